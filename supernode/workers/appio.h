/*
 * appio: the worker API's server: its connections, the gRPC front-end, and the conversations with
 * workers. Main thread. Decides nothing about messages: the node does.
 */
#ifndef FLWR_WORKERS_APPIO_H
#define FLWR_WORKERS_APPIO_H

#include "common/base/log.h"
#include "common/base/reason.h"
#include "common/message/launcher_auth.h"
#include "common/rpc/rpc.h"
#include "common/service/service.h"
#include "supernode/core/node.h"
#include "supernode/store/spool.h"

#define APPIO_CALLS_MAX            256 /* at work at a time; further ones: RESOURCE_EXHAUSTED */
#define APPIO_CONNECTION_CALLS_MAX 16  /* of them on one connection */
#define APPIO_QUEUE_MAX            16 /* contents that wait because their callers have shown no token yet */

struct appio;

struct appio_options {
	const char *address;      /* host:port or unix:PATH; NULL: a private unix socket in dir */
	const char *socket_group; /* whose members may connect to PATH; NULL: the process's */
	struct launcher_auth *launchers; /* borrowed; NULL: everybody may ask for messages */
	const char *dir;                 /* private directory; borrowed during appio_new() */
	uint64_t receive_max_bytes;
	uint64_t memory_max_bytes; /* that requests may take before they are looked at */
	struct spool *spool;       /* for objects of replies; borrowed; NULL: those are refused */
	bool own_workers;  /* each is flwr-clientapp, started by this program, at a unix socket */
	bool workers_come; /* process isolation: workers come by themselves, and may be lost */
	int64_t reconnect_ms; /* with workers_come: so long a worker may be without a connection */
};

struct appio_ops {
	/* The node was given an event: there may be actions. */
	void (*changed)(void *arg);
	/* A worker has pulled the inputs of message: its first sign of life. */
	void (*ready)(void *arg, uint64_t message, const struct peer *peer);
};

/* 0; -errno with a sentence (address in use ...). node is borrowed. Serves at once. */
int appio_new(struct loop *loop, struct rpc *rpc, struct log *log, struct node *node,
	const struct appio_options *options, const struct appio_ops *ops, void *arg,
	struct appio **out, struct reason *why);

/* As a worker on this machine dials it; borrowed. */
const char *appio_address(const struct appio *appio);

/* The node was given an event: is there a message now for whom waits for one? */
void appio_offer(struct appio *appio);

/* No more connections and calls; those at hand are cancelled after grace_ms; then done(arg), from
 * the loop. */
void appio_stop(struct appio *appio, int64_t grace_ms, void (*done)(void *arg), void *arg);
/* After done. NULL is fine. */
void appio_free(struct appio *appio);

#endif
