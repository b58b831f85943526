/*
 * zygote: a Python that has imported what apps need, and forks an app process for each message. An
 * agent has one at most. Main thread. Private to common/launch.
 */
#ifndef FLWR_LAUNCH_ZYGOTE_H
#define FLWR_LAUNCH_ZYGOTE_H

#include "common/launch/app_process.h"
#include "common/launch/app_start.h"

#define ZYGOTE_ANSWER_MS 3000   /* for a fork; then the app is started plainly */
#define ZYGOTE_IMPORT_MS 120000 /* for imports */

struct zygote;
struct zygote_child;

/* Nothing is started. 0 or -ENOMEM. */
int zygote_new(struct agent *agent, struct zygote **out);
/* Its process is not touched. NULL is fine. */
void zygote_free(struct zygote *zygote);

/*
 * Have the app of a message run in a fork. 0: wanted->later() will be called, cage is empty.
 * -errno: there is none that could take it; why says why.
 */
int zygote_use(struct zygote *zygote, const struct app_process_spec *wanted, const char *python,
	const struct app_start *start, struct sandbox_cage *cage, struct reason *why);

/* The worker of a message has ended: have one, and a fork, for the next message. */
void zygote_message_ended(struct zygote *zygote);
/* This program is stopping: end it, and start none any more. */
void zygote_stop(struct zygote *zygote);

/* ---- for zygote_child.c ---- */

/* An app has imported these modules, a line each: import them, too, if they are fit for it. */
void zygote_learn(struct zygote *zygote, const char *names);
/* A child has begun with its app. */
void zygote_served(struct zygote *zygote);
/* A child is over before it had begun; forking: the zygote had not even forked it. */
void zygote_child_lost(
	struct zygote *zygote, const struct zygote_child *child, bool forking, const char *what);

#endif
