/*
 * health: gRPC's health service (grpc.health.v1.Health) at an address of its own, in plain text:
 * Check answers how it is, Watch goes on saying so at each change. Main thread. Knows not what
 * makes its program healthy: it is told.
 */
#ifndef FLWR_HEALTH_HEALTH_H
#define FLWR_HEALTH_HEALTH_H

#include "common/base/log.h"
#include "common/base/reason.h"
#include "common/rpc/rpc.h"

#include <stdbool.h>
#include <stdint.h>

/* Some stay free for callers that come and go. */
#define HEALTH_CONNECTIONS_MAX      32
#define HEALTH_KEPT_MAX             24  /* of them with calls that stay */
#define HEALTH_CALLS_MAX            256 /* at a time; further ones: RESOURCE_EXHAUSTED */
#define HEALTH_OPEN_CALLS_MAX       156 /* that are taken up at all; others wait before the server */
#define HEALTH_CONNECTION_CALLS_MAX 100 /* of them on one connection; more wait at the caller */
#define HEALTH_WATCHES_MAX          128 /* of them that stay */

struct health;

/* All is borrowed: address until health_new() returns, the rest until health_free(). */
struct health_options {
	struct loop *loop;
	struct rpc *rpc;
	struct log *log;
	const char *address; /* "host:port", port 0: any */
};

/*
 * Listen at the address and serve at once; not serving until told otherwise.
 * 0; -errno with a sentence (address in use ...).
 */
int health_new(const struct health_options *options, struct health **out, struct reason *why);

/* The address as somebody on this machine dials it; borrowed. */
const char *health_address(const struct health *health);

/*
 * Say SERVING or NOT_SERVING from now on. Watchers that take in what they are sent hear of each
 * change; one that is slower than the changes hears the last.
 */
void health_set(struct health *health, bool serving);

/* No more connections and calls; watchers are told UNAVAILABLE; those that do not take it in are
 * cut off after grace_ms; then done(arg), from the loop. */
void health_stop(struct health *health, int64_t grace_ms, void (*done)(void *arg), void *arg);
/* After done. NULL is fine. */
void health_free(struct health *health);

#endif
