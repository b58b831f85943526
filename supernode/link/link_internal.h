/*
 * link_internal: what link.c, call.c and outage.c share. Main thread. Private to this folder.
 */
#ifndef FLWR_LINK_LINK_INTERNAL_H
#define FLWR_LINK_LINK_INTERNAL_H

#include "supernode/link/call.h"

struct link {
	struct link_options options; /* without what was taken over */
	struct connector *connector;
	struct auth *key;                  /* the operator's; NULL: there is none */
	struct auth *fresh_key;            /* signs instead of it; NULL: nothing does */
	int64_t reuse_ms;                  /* of a signature */
	struct transport *transport;       /* NULL until something was found */
	const struct transport_kind *kind; /* of transport */
	/* By what the probe finds: the kind that is tried there; NULL for what is no answer. */
	const struct transport_kind *kinds[PROBE_N];
	unsigned tried;      /* kinds that were none, since calls were open last */
	char address[256];   /* that was probed last, for log lines */
	char connected[256]; /* where transport leads */
	probe_done_fn *find_done;
	void *find_arg;

	/* The transport before, while calls are out there; else NULL. */
	struct transport *retired;
	unsigned retired_out;
	struct timer *retirement;

	bool open;     /* calls are carried */
	bool watching; /* open, and a failing connection is a reason to look what listens */
	bool looking;
	int64_t looked_ms;

	LIST_HEAD(, call) calls;
	struct outage outage;
};

/* A connection failed: does still the same listen? */
void link_look_again(struct link *link);
/* A call of the retired transport has ended. */
void link_retired_home(struct link *link);

/* Did the SuperLink refuse a call for the age of its signature? From 1.40 on it does not say so. */
bool link_bad_time(const struct transport_result *result);

/* End the try that is out as if the peer had: it is repeated. */
void call_break(struct call *call);
/* done() comes with CANCELLED, from the loop. */
void call_cancel(struct call *call);

#endif
