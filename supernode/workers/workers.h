/*
 * workers: the worker API's server: its connections, the gRPC front-end, and the dialects that
 * workers speak. Main thread. Decides nothing about messages: the node does.
 */
#ifndef FLWR_WORKERS_WORKERS_H
#define FLWR_WORKERS_WORKERS_H

#include "common/rpc/rpc.h"
#include "supernode/store/spool.h"
#include "supernode/workers/admission.h"

#define WORKERS_CALLS_MAX            256 /* at work at a time; further ones: RESOURCE_EXHAUSTED */
#define WORKERS_CONNECTION_CALLS_MAX 100 /* of them on one connection */
#define WORKERS_GUEST_CALLS_MAX      128 /* of them from peers that have shown no live token */

struct workers;

/* All borrowed; address, socket_group and dir only during workers_new(). */
struct workers_options {
	struct loop *loop;
	struct log *log;
	struct node *node;
	const struct workers_ops *ops;
	void *arg;
	const char *address; /* host:port or unix:PATH; NULL: a private unix socket in dir, for gRPC
				alone */
	const char *socket_group; /* whose members may connect to PATH; NULL: the process's */
	struct launcher_auth *launchers; /* NULL: everybody may ask for messages */
	struct tls *tls;                 /* of host:port; NULL: none */
	bool shows_certificates;         /* with tls: peers must show one */
	const char *dir;                 /* private directory */
	uint64_t receive_max_bytes;
	uint64_t memory_max_bytes; /* that requests may take before they are looked at */
	struct spool *spool;       /* for objects of replies; NULL: those are refused */
	bool own_workers;  /* each is flwr-clientapp, started by this program, at a unix socket */
	bool workers_come; /* process isolation: workers come by themselves, and may be lost */
	int64_t reconnect_ms; /* with workers_come: so long a worker may be without a connection */
};

/* 0; -errno with a sentence (address in use ...). Serves at once. */
int workers_new(struct rpc *rpc, const struct workers_options *options, struct workers **out,
	struct reason *why);

/* The address as a worker on this machine dials it; borrowed. */
const char *workers_address(const struct workers *workers);

/* The node was given an event: is there a message now for a question that waits? */
void workers_offer(struct workers *workers);

/* No more connections and calls; those at hand are cancelled after grace_ms; then done(arg), from
 * the loop. */
void workers_stop(struct workers *workers, int64_t grace_ms, void (*done)(void *arg), void *arg);
/* After done. NULL is fine. */
void workers_free(struct workers *workers);

#endif
