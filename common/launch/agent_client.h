/*
 * agent_client: where a worker's app process comes from: its agent, asked by the control socket, or
 * (a worker that somebody else started is its own agent) a process set of its own. Main thread of
 * the worker.
 */
#ifndef FLWR_LAUNCH_AGENT_CLIENT_H
#define FLWR_LAUNCH_AGENT_CLIENT_H

#include "common/launch/agent.h"

struct agent_client;

struct agent_client_ops {
	void (*started)(void *arg, int fd); /* our end of the socketpair, now the callee's */
	void (*ended)(void *arg,
		const struct process_end *end); /* once; also when it could not be started */
	/*
	 * Only by control socket: the agent has gone. Its apps end by flwr-app-start; the worker
	 * ends now (kills its own group): agent_client_die().
	 */
	void (*lost)(void *arg);
};

/* By control socket (taken over). 0 or -errno. ops outlives the client. */
int agent_client_from_control(struct loop *loop, int control, const struct agent_client_ops *ops,
	void *arg, struct agent_client **out);

/* Own agent: options as for an agent (worker_path unused). 0 or -errno. */
int agent_client_local(struct loop *loop, struct log *log, const struct agent_options *options,
	const struct agent_client_ops *ops, void *arg, struct agent_client **out);

/* Ask for the app process, once. Failure comes by ended(). */
void agent_client_start(struct agent_client *client);
/*
 * Its reply was taken over. true: it has its exit grace to end by itself, then it is cut off, with
 * a WARN line; ended() comes. false: it has ended, or its agent does that.
 */
bool agent_client_finish(struct agent_client *client);
/* End it: TERM, grace, KILL. ended() comes. */
void agent_client_stop(struct agent_client *client);
/* Local: waits (the loop runs, at most WORKER_GRACE_MS) until the app process has ended by itself,
 * then stops it. By control: nothing, the agent does. Not from inside a callback. */
void agent_client_free(struct agent_client *client);

/* Kill our own process group, ourselves included. Does not return. */
void agent_client_die(void) __attribute__((noreturn));

#endif
