/*
 * zygote_runs: the zygotes of runs whose apps have a flwr_preload(): which run has one, which may
 * have none any more. Main thread. Private to common/launch.
 */
#ifndef FLWR_LAUNCH_ZYGOTE_RUNS_H
#define FLWR_LAUNCH_ZYGOTE_RUNS_H

#include "common/launch/zygote.h"

struct zygote_runs;

/* There is none yet. 0 or -ENOMEM. */
int zygote_runs_new(struct agent *agent, struct zygote_runs **out);
/* Their processes are not touched. NULL is fine. */
void zygote_runs_free(struct zygote_runs *runs);

/* The one for a message of that app (as control_app; may be NULL), which would have that cage.
 * Borrowed until the loop goes on; NULL: there is none. */
struct zygote *zygote_runs_find(struct zygote_runs *runs, const struct control_app *app,
	const char *python, const struct sandbox_cage *cage);

/* An app has replied, and has a flwr_preload(): have a zygote for its run. app is moved from when
 * there will be one. */
void zygote_runs_tell(struct zygote_runs *runs, struct zygote_app *app);

/* The worker of a message has ended. */
void zygote_runs_message_ended(struct zygote_runs *runs);
/* No message of this run will come any more: end its zygote, and forget what is known of the run.
 */
void zygote_runs_ended(struct zygote_runs *runs, uint64_t id);
/* This program is stopping: end them all, and start none any more. */
void zygote_runs_stop(struct zygote_runs *runs);

/* ---- for zygote.c; app is what it was made with ---- */

/* A fork has begun with a message. */
void zygote_runs_used(struct zygote_runs *runs, const struct zygote_app *app);
/* It is no use, and why; it may be chance. May the run have another one, when an app tells of
 * flwr_preload() again? A log line says so then. */
bool zygote_runs_try_again(struct zygote_runs *runs, const struct zygote_app *app, const char *why);
/* It is no use, and why: the run has none any more. why may be the app's word. */
void zygote_runs_failed(struct zygote_runs *runs, const struct zygote_app *app, const char *why);
/* Its process is gone: it is freed. */
void zygote_runs_gone(struct zygote_runs *runs, const struct zygote_app *app);

#endif
