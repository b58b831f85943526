/*
 * worker: one message: takes its inputs from the SuperNode, installs the FAB, has an app process
 * run it, gives back the outputs. Main thread. Its agent starts the app process (agent_client.h).
 */
#ifndef FLWR_CLIENTAPP_WORKER_H
#define FLWR_CLIENTAPP_WORKER_H

#include "common/launch/control.h"
#include "common/rpc/credentials.h"
#include "common/rpc/rpc.h"

struct http;

struct worker_options {
	const struct control_start *start; /* what the agent has said; strings are copied */
	struct http *http;                 /* of a spelling that HTTP carries */
	const struct rpc_tls *tls;         /* to the SuperNode; NULL: plain text */
	int control;                       /* socket to the agent; taken over, on failure too */
	void (*done)(void *arg);           /* from the loop, once: the message is settled */
	void *arg;
};

struct worker;

/* 0 or -errno. */
int worker_new(struct loop *loop, struct rpc *rpc, struct log *log,
	const struct worker_options *options, struct worker **out);

void worker_start(struct worker *worker);

/* Did its outputs reach the SuperNode? */
bool worker_succeeded(const struct worker *worker);

/* NULL is fine. */
void worker_free(struct worker *worker);

#endif
