/*
 * transport: one call to a SuperLink, whatever carries it: call(method, headers, body) -> outcome,
 * body. Main thread. Conversations (flows) lie above; they never know which transport it is.
 */
#ifndef FLWR_LINK_TRANSPORT_H
#define FLWR_LINK_TRANSPORT_H

#include "common/base/outcome.h"
#include "common/base/slice.h"
#include "supernode/link/auth.h"
#include "supernode/link/probe.h"

#include <stdbool.h>

struct transport_result;
typedef void transport_done_fn(void *arg, struct transport_result *result);

struct transport_call {
	const char *method; /* "PullMessages"; static */
	int64_t timeout_ms; /* 0: none: a call that carries content; ended by a dead connection only
			     */
	const char *what; /* static: the content that passes, "a reply": its progress is logged when
			     it takes long; NULL: it is not */
	uint64_t answer_max_bytes; /* a larger answer is not taken; at most receive_max_bytes */
	bool keeps_head; /* ... but its first bytes, where that can be: result->body has them */
	uint64_t kind_max_bytes; /* that an answer of this kind may have at another time, when it is
				    more; which connection the call takes depends on that */
	const struct auth *auth;
	const struct auth_proof *proof; /* borrowed during the start; NULL: unsigned */
	transport_done_fn *done;
	void *arg;
};

struct transport_result {
	enum outcome outcome;
	const char *details; /* never NULL; a peer's words: quote them */
	int code; /* Flower's number of an application error (2004 ...), 0 when none was told */
	bool too_large;   /* the answer is larger than answer_max_bytes; with RESOURCE_EXHAUSTED */
	bool unreadable;  /* with OK: the call was done, but its answer cannot be unpacked: body is
			     empty, details are words about it */
	bool told_to_end; /* the peer wants this program to end; whatever the outcome */
	double date_s;    /* the peer's clock, when it told it (HTTP's Date); 0 else */
	struct slices body;
};

/*
 * Of gRPC's connections. Dead ones are found by pings, since calls with content have no deadline.
 * Flower's servers leave gRPC's limit for a client's pings as it is: one in 5 minutes while a call
 * is out, strikes for what comes sooner, GOAWAY too_many_pings at the third. So: a little more than
 * that, and never without a call. The time-out also becomes TCP_USER_TIMEOUT: a peer that is gone
 * while we send is found after 20 s.
 */
#define TRANSPORT_KEEPALIVE_MS         310000
#define TRANSPORT_KEEPALIVE_TIMEOUT_MS 20000

#define TRANSPORT_SMALL_BYTES  (4 << 20)
#define TRANSPORT_MIDDLE_BYTES (68 << 20) /* a FAB, an object, a tree */

struct transport;

/* A call that is out: the base of each transport's own struct. */
struct transport_handle {
	transport_done_fn *done;
	void *arg;
};

struct transport_ops {
	/* body is taken over; done comes later, exactly once unless this
	 * fails. */
	int (*call)(struct transport *transport, const struct transport_call *call,
		struct slices *body, struct transport_handle **out);
	void (*cancel)(struct transport_handle *handle);
	/* Connect anew at the next call, at once. */
	void (*reconnect)(struct transport *transport);
	void (*free)(struct transport *transport);
};

struct transport {
	const struct transport_ops *ops;
	uint64_t receive_max_bytes; /* of any answer */
};

struct http;
struct log;
struct rpc;

/* Everything is copied, but for the pointers to what is open. */
struct transport_options {
	struct rpc *rpc;
	struct http *http;
	const char *address; /* host:port */
	const char *ca_pem;  /* certificates that are trusted, PEM; NULL: plain text */
	uint64_t receive_max_bytes;
	uint64_t memory_max_bytes; /* that answers with content may take, those that are kept
				      included; 0: no limit. HTTP bounds each answer as it comes */
	struct log *log;
};

/* A transport as such: each file transport_NAME.c has one, transports.h the table of them. */
struct transport_kind {
	const char *name;       /* for log lines */
	const char *option;     /* of the command line, which guesses it; NULL: there is none */
	enum probe_result line; /* what the probe finds where it is spoken */
	const char *releases;   /* "Flower-1.40-and-later"; NULL: as the dialect says */
	bool early;             /* SuperLinks to 1.22 (dialects A and B) may speak it */
	bool signed_calls;      /* SuperLinks look at keys and signatures */
	/* 0, -EINVAL, -ENOMEM. */
	int (*open)(const struct transport_options *options, struct transport **out);
};

/* The kind to try first where the probe finds this: the guess (an option's name; NULL: none), if it
 * is of that line. NULL for what is no answer. Tables end with NULL. */
const struct transport_kind *transport_first(
	const struct transport_kind *const *table, enum probe_result line, const char *guess);
/* The next one of the same line, after the last the first. */
const struct transport_kind *transport_next(
	const struct transport_kind *const *table, const struct transport_kind *kind);
/* How many are there of a line? */
unsigned transport_count(const struct transport_kind *const *table, enum probe_result line);

#endif
