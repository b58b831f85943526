/*
 * app_source: where a worker's app process comes from: its agent, asked by the control socket, or
 * (a worker that somebody else started is its own agent) a process set of its own. Main thread of
 * the worker.
 */
#ifndef FLWR_LAUNCH_APP_SOURCE_H
#define FLWR_LAUNCH_APP_SOURCE_H

#include "common/launch/agent.h"

struct app_source;

struct app_source_ops {
	void (*started)(void *arg, int fd); /* our end of the socketpair, now the callee's */
	void (*ended)(void *arg,
		const struct process_end *end); /* once; also when it could not be started */
	/*
	 * Only by control socket: the agent has gone. Its apps end by flwr-app-start; the worker
	 * ends now (kills its own group): app_source_die().
	 */
	void (*lost)(void *arg);
};

/* By control socket (taken over). 0 or -errno. ops outlives the source. */
int app_source_from_control(struct loop *loop, int control, const struct app_source_ops *ops,
	void *arg, struct app_source **out);

/* Own agent: options as for an agent (worker_path unused). 0 or -errno. */
int app_source_local(struct loop *loop, struct log *log, const struct agent_options *options,
	const struct app_source_ops *ops, void *arg, struct app_source **out);

/* Ask for the app process, once. Failure comes by ended(). */
void app_source_start(struct app_source *source);
/*
 * Its reply was taken over. true: it has its exit grace to end by itself, then it is cut off, with
 * a WARN line; ended() comes. false: it has ended, or its agent does that.
 */
bool app_source_finish(struct app_source *source);
/* End it: TERM, grace, KILL. ended() comes. */
void app_source_stop(struct app_source *source);
/* Local: waits (the loop runs, at most WORKER_GRACE_MS) until the app process has ended by itself,
 * then stops it. By control: nothing, the agent does. Not from inside a callback. */
void app_source_free(struct app_source *source);

/* Kill our own process group, ourselves included. Does not return. */
void app_source_die(void) __attribute__((noreturn));

#endif
