/*
 * worker: one message: takes its inputs from the SuperNode, installs the FAB, has an app
 * process run it, gives back the outputs. Main thread. Where the app process comes from is the
 * agent_client's business.
 */
#ifndef FLWR_CLIENTAPP_WORKER_H
#define FLWR_CLIENTAPP_WORKER_H

#include "common/launch/agent_client.h"
#include "common/rpc/rpc.h"

struct worker_options {
	const char *address; /* of the worker API, as gRPC takes it */
	uint64_t token;
	const char *task_token;     /* of a message that is objects; NULL: it is inline */
	const char *flwr_home;      /* where apps are installed */
	uint64_t content_max_bytes; /* that a message may take when it is written out for the app;
				       0: half of the memory limit that applies here */
	int control; /* control socket of the agent, taken over; -1: be one's own agent */
	const struct app_bounds
		*bounds; /* own agent only; borrowed, for as long as the worker is there */
	const struct launch_options *launch; /* own agent only; borrowed as well */
	bool signed_apps;                    /* refuse an app that is not as it was signed */
	bool stderr_in_replies;              /* may error replies quote the stderr of an app? */
	/* Run nothing, answer with this error: for the agent of a worker that has ended without a
	 * reply. NULL: run the app. */
	const char *failure;
	bool patient; /* try a SuperNode that cannot be reached for ever */
	int64_t failure_code;
};

struct worker;

/* 0 or -errno. Strings are copied or used up. done(arg) comes from the loop, once, when the message
 * is settled, and an app of our own has ended. */
int worker_new(struct loop *loop, struct rpc *rpc, struct log *log,
	const struct worker_options *options, void (*done)(void *arg), void *arg,
	struct worker **out);

void worker_start(struct worker *worker);

/* Answer with an error that says so, instead of working on; of an app that is at its end already,
 * cut it off. done() comes as ever. */
void worker_stop(struct worker *worker);

/* Did its outputs reach the SuperNode? */
bool worker_succeeded(const struct worker *worker);

/* Ends the app process first, if it is ours to end. */
void worker_free(struct worker *worker);

#endif
