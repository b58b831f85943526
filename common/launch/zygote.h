/*
 * zygote: a Python that has imported what apps need, and forks an app process for each message. An
 * agent has one at most, and some for runs, which have called the flwr_preload() of an app, too.
 * Main thread. Private to common/launch.
 */
#ifndef FLWR_LAUNCH_ZYGOTE_H
#define FLWR_LAUNCH_ZYGOTE_H

#include "common/launch/app_process.h"
#include "common/launch/app_start.h"

#define ZYGOTE_FAILURES   3      /* without an app that it has run; then there is none any more */
#define ZYGOTE_ANSWER_MS  3000   /* for a fork; then the app is started plainly */
#define ZYGOTE_IMPORT_MS  120000 /* for imports */
#define ZYGOTE_PRELOAD_MS 300000 /* for flwr_preload() */

struct zygote;
struct zygote_child;

/* An app, as a process of it gets it. All is owned. */
struct zygote_app {
	uint64_t run_id;
	char *dir,
		*name; /* where it is installed, "PUBLISHER/NAME"; NULL: the worker has not said */
	char *python;  /* its interpreter */
	char *loaded;  /* lines: FAB id, version, hash, by which the bridge has loaded it */
	struct sandbox_cage cage;
};

void zygote_app_done(struct zygote_app *app);

/* Nothing is started. 0 or -ENOMEM. */
int zygote_new(struct agent *agent, struct zygote **out);
/*
 * The zygote of a run, started at once; app is borrowed, for its life. 0; -errno with a sentence.
 * zygote_runs_gone() is called when it is gone, zygote_runs_failed() before that when it was no
 * use.
 */
int zygote_new_of_run(
	struct agent *agent, const struct zygote_app *app, struct zygote **out, struct reason *why);
/* Its process is not touched. NULL is fine. */
void zygote_free(struct zygote *zygote);

/*
 * Have the app of a message run in a fork. 0: wanted->later() will be called, cage is empty.
 * -errno: there is none that could take it; why says why.
 */
int zygote_use(struct zygote *zygote, const struct app_process_spec *wanted, const char *python,
	const struct app_start *start, struct sandbox_cage *cage, struct reason *why);

/* The worker of a message has ended: have one, and a fork, for the next message. (One of a run that
 * has ended is not started again.) */
void zygote_message_ended(struct zygote *zygote);
/* This program is stopping, or the run has no use for it: end it, and start none any more. */
void zygote_stop(struct zygote *zygote);
/* Will there be none any more? */
bool zygote_is_off(const struct zygote *zygote);
/* Was it ended, whether its process is gone or not? */
bool zygote_is_over(const struct zygote *zygote);

/* ---- for zygote_child.c ---- */

/* An app has imported these modules, a line each: import them, too, if they are fit for it. */
void zygote_learn(struct zygote *zygote, const char *names);
/* A child has begun with its app. */
void zygote_served(struct zygote *zygote);
/* A child is over before it had begun; forking: the zygote had not even forked it. */
void zygote_child_lost(
	struct zygote *zygote, const struct zygote_child *child, bool forking, const char *what);

#endif
