/*
 * carrier: what carries a call to a SuperNode's worker API: gRPC, or HTTP/1.1. Main thread;
 * callbacks come from the loop, never from inside the function that started or cancelled the call.
 * Knows no method, and nothing of retries.
 */
#ifndef FLWR_API_CARRIER_H
#define FLWR_API_CARRIER_H

#include "common/base/log.h"
#include "common/base/outcome.h"
#include "common/base/slice.h"
#include "common/rpc/channel.h"

struct http;

enum carrier_kind { CARRIER_GRPC, CARRIER_HTTP };

struct carrier_options {
	enum carrier_kind kind;
	struct rpc *rpc;   /* of CARRIER_GRPC */
	struct http *http; /* of CARRIER_HTTP */
	const char *address;
	const struct rpc_tls *tls; /* trusted_pem is there; NULL: plain text */
	uint64_t receive_max_bytes;
	struct log *log; /* for the progress of contents; NULL: it is not told */
	/* Each call shows this header, which is borrowed; without a key, or NULL: none. */
	const struct rpc_header *token;
	bool own_connection; /* gRPC: share none, so that what it says of a peer is new */
};

struct carrier;
struct carrier_handle;

struct carrier_result {
	enum outcome outcome;
	const char *details; /* never NULL; a peer's words: quote them */
	struct slices body;  /* with OUTCOME_OK; may be taken */
};

typedef void carrier_done_fn(void *arg, struct carrier_result *result);

struct carrier_call {
	const char *path; /* as gRPC has it: "/flwr.proto.Runtime/PullMessages"; static */
	const struct rpc_header *headers;
	size_t n_headers;
	int64_t timeout_ms; /* 0: none */
	const char
		*what; /* static: what passes, "the inputs": its progress is told; NULL: is not */
	carrier_done_fn *done;
	void *arg;
};

/* 0, -EINVAL (address), -ENOMEM. Strings are copied. */
int carrier_new(const struct carrier_options *options, struct carrier **out);

/* body is taken over, on failure too. done comes once, later, unless this fails: 0, -EINVAL,
 * -ENOMEM, -EIO. *out is valid until done. */
int carrier_call(struct carrier *carrier, const struct carrier_call *call, struct slices *body,
	struct carrier_handle **out);
/* done comes soon, with OUTCOME_CANCELLED or what came first. */
void carrier_cancel(struct carrier_handle *handle);

/* Connect anew now, after a failure. */
void carrier_reconnect(struct carrier *carrier);

/* The gRPC channel, for calls that only gRPC has; borrowed. NULL: there is none. */
struct rpc_channel *carrier_channel(const struct carrier *carrier);

/* Calls that are out are cancelled; their callbacks still come. NULL is fine. */
void carrier_free(struct carrier *carrier);

#endif
