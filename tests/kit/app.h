/*
 * app: an app process, or a test in its place, with the worker's end of it, and what it said. Main
 * thread. Whatever fails fails the test. Knows neither bridge nor native host.
 */
#ifndef FLWR_KIT_APP_H
#define FLWR_KIT_APP_H

#include "clientapp/run/app_host.h"
#include "kit/test.h"

#include <sys/types.h>

struct kit_app {
	struct loop *loop;
	struct app_host *host;
	pid_t pid;     /* 0: no process, or it has ended */
	int status;    /* with which it ended */
	int peer;      /* without a process: the app's end; -1 */
	int output;    /* what it printed goes here; -1: to the test's output */
	char *printed; /* what kit_app_printed() returned last */
	unsigned events[APP_HOST_HUNG_UP + 1];
	struct app_reply reply;
};

/* The test is the app: it has the end app->peer. */
void kit_app_open(struct kit_app *app);

/* Start a program (a path) as the app, with these variables (each list ends in NULL) beside those
 * of the test. With keep_output what it prints is for kit_app_printed(). */
struct kit_app_command {
	char *const *argv;
	const char *const *variables;
	bool keep_output;
};
void kit_app_start(struct kit_app *app, const struct kit_app_command *command);

/* A task with a message of this type, all else as it comes: run 2^64 - 1 of the app lab/app 1.0.0,
 * node 2, an id "message", a Context with the values partition-id, old and name. */
struct kit_app_task {
	const char *type, *app_dir;
	double ttl, created_at;
	const struct record_dict *content, *state; /* NULL: nothing in it */
};
void kit_app_give(struct kit_app *app, const struct kit_app_task *task);

/* Has the worker's end come to its end, in one way or the other? */
bool kit_app_is_over(const struct kit_app *app);
/* Wait for that, and for the end of the process. */
void kit_app_wait(struct kit_app *app);
/* Close the worker's end, and wait for the end of the process, which must be with this status. */
void kit_app_leave(struct kit_app *app, int status);

/* The app has replied, without an error, and ended with status 0. */
void kit_app_assert_replied(const struct kit_app *app);

/* All that it has printed; borrowed until the next call. */
const char *kit_app_printed(struct kit_app *app);

void kit_app_close(struct kit_app *app);

#endif
