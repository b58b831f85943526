/*
 * connector: what listens at a SuperLink's address, and transports to it. Main thread. Knows no
 * conversation.
 */
#ifndef FLWR_LINK_CONNECTOR_H
#define FLWR_LINK_CONNECTOR_H

#include "common/loop/loop.h"
#include "supernode/link/probe.h"
#include "supernode/link/transport.h"

#define CONNECTOR_NEW "127.0.0.1:8000" /* a SuperLink since 1.40, by default */
#define CONNECTOR_OLD "127.0.0.1:9092" /* and before */

struct connector;

/* A connector probes one address at a time. Tests have fakes of it. */
struct connector_ops {
	/* Find out what is there now; done comes later, from the loop, exactly once, unless it is
	 * cancelled. 0 or -errno. */
	int (*probe)(struct connector *connector, probe_done_fn *done, void *arg);
	/* done will not come. Nothing happens when no probe is out. */
	void (*cancel)(struct connector *connector);
	/* The peer that answered the last probe is no SuperLink. True: the next probe asks another
	 * address. False: there is none that was not asked. */
	bool (*next)(struct connector *connector);
	/* A transport of this kind to the address that was probed last. 0 or -errno. */
	int (*open)(struct connector *connector, const struct transport_kind *kind,
		struct transport **out);
	/* host:port that was probed last; borrowed. */
	const char *(*address)(const struct connector *connector);
	void (*free)(struct connector *connector);
};

struct connector {
	const struct connector_ops *ops;
	const struct transport_kind *const *transports; /* that it can open; NULL at the end */
};

struct connector_options {
	const char *address; /* host:port; NULL: CONNECTOR_NEW, then CONNECTOR_OLD, in turn until
				one answers; copied */
	const char *ca_pem;  /* NULL: plain text; copied */
	uint64_t receive_max_bytes;
	uint64_t memory_max_bytes; /* as in struct transport_options */
};

/* rpc, http and log are borrowed. 0 or -ENOMEM. */
int connector_new(struct rpc *rpc, struct http *http, struct log *log,
	const struct connector_options *options, struct connector **out);

#endif
