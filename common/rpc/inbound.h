/*
 * inbound: the inside of a server, and the calls it is serving. Main thread. Private to this
 * folder.
 */
#ifndef FLWR_RPC_INBOUND_H
#define FLWR_RPC_INBOUND_H

#include "common/rpc/peers.h"
#include "common/rpc/server.h"
#include "common/rpc/tag.h"

#include <sys/queue.h>

struct grpc_server;
struct grpc_server_credentials;
struct inbound;

struct rpc_server {
	struct rpc *rpc;
	struct rpc_server_options options;
	struct grpc_server *server;
	struct grpc_server_credentials *plain;
	struct peers peers;
	LIST_HEAD(, inbound) calls; /* all that have arrived and are not yet freed */
	size_t live;                /* so many */
	size_t serving;             /* those of them that the services have */
	size_t posted;              /* waiting for a call to arrive */
	struct timer *timer;        /* for what could not be posted; at shutdown for the grace */
	bool stopping;
	bool cut;  /* calls at hand were cancelled */
	bool down; /* gRPC has let go of everything */
	struct tag ended;
	struct loop_work free_work;
	void (*done)(void *arg);
	void *done_arg;
};

/* Wait for one more call. 0 or -ENOMEM. */
int inbound_post(struct rpc_server *server);

/* Requests of peer get a copy of it and are cancelled; no code of a service runs inside. */
void inbound_orphan(struct rpc_server *server, const struct peer *peer);

/* server.c: the number of waiting or living calls has changed. */
void server_changed(struct rpc_server *server);

#endif
