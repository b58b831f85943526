/*
 * zygote_child: a fork of the zygote, from the request for it to its end: an app process and the
 * flwr-app-start above it. Main thread. Private to common/launch.
 */
#ifndef FLWR_LAUNCH_ZYGOTE_CHILD_H
#define FLWR_LAUNCH_ZYGOTE_CHILD_H

#include "common/launch/agent_internal.h"
#include "common/launch/app_process.h"
#include "common/launch/app_start.h"

struct zygote;
struct zygote_child;

/* Ask the zygote at the other end of control for one. 0; -errno with a sentence. It is freed by
 * itself; zygote_child_lost() is called before that, unless it has got an app. */
int zygote_child_new(struct agent *agent, struct zygote *zygote, int control,
	struct zygote_child **out, struct reason *why);

/*
 * Give it an app, once. 0: wanted->later() will be called, from the loop, even when the child fails
 * (then the app is started plainly), and cage is the child's; -errno: it cannot take one.
 */
int zygote_child_begin(struct zygote_child *child, const struct app_process_spec *wanted,
	const char *python, const struct app_start *start, struct sandbox_cage *cage);

/* One without an app: end it. No call comes. */
void zygote_child_drop(struct zygote_child *child);

/* The zygote is freed: tell it nothing more. */
void zygote_children_disown(struct agent *agent, const struct zygote *zygote);

/* Free all of the agent's, in whatever state they are; their processes are not touched. */
void zygote_child_free_all(struct agent *agent);

#endif
