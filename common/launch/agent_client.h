/*
 * agent_client: a worker's end of the control socket: has its agent start and end the app process.
 * Main thread of the worker.
 */
#ifndef FLWR_LAUNCH_AGENT_CLIENT_H
#define FLWR_LAUNCH_AGENT_CLIENT_H

#include "common/launch/control.h"

struct agent_client;

struct agent_client_ops {
	/* fd: our end of the socketpair, now the callee's. native: the app is a shared object. */
	void (*started)(void *arg, int fd, bool native);
	void (*ended)(void *arg,
		const struct process_end *end); /* once; also when it could not be started */
	/* The message is to be answered with an error now. */
	void (*give_up)(void *arg);
	/* The agent has gone. Its apps end by flwr-app-start; the worker ends now:
	 * agent_client_die(). */
	void (*lost)(void *arg);
};

/* control is taken over, on failure too. 0 or -errno. ops outlives the client. */
int agent_client_new(struct loop *loop, int control, const struct agent_client_ops *ops, void *arg,
	struct agent_client **out);

/* Ask for the app process, once; app: of this one (borrowed), NULL: of any that is Python's. A
 * failure comes by ended(). */
void agent_client_start(struct agent_client *client, const struct control_app *app);
/* End it: TERM, grace, KILL. ended() comes. */
void agent_client_stop(struct agent_client *client);

/* No callback comes afterwards. NULL is fine. */
void agent_client_free(struct agent_client *client);

/* Kill our own process group, ourselves included. Does not return. */
void agent_client_die(void) __attribute__((noreturn));

#endif
