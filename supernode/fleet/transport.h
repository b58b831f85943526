/*
 * transport: one call to a SuperLink, whatever carries it: call(method, headers, body) -> outcome,
 * body. Main thread. Conversations (flows) lie above; they never know which transport it is.
 */
#ifndef FLWR_FLEET_TRANSPORT_H
#define FLWR_FLEET_TRANSPORT_H

#include "common/base/outcome.h"
#include "common/base/slice.h"
#include "supernode/fleet/auth.h"

#include <stdbool.h>

/* What a flow says of a call. */
struct transport_call {
	const char *method; /* "PullMessages" */
	int64_t timeout_ms; /* 0: none: a call that carries content; ended by a dead connection only
			     */
	const char *what; /* static: the content that passes, "a reply": its progress is logged when
			     it takes long; NULL: it is not */
	bool heartbeat;   /* goes on the connection of its own */
	const struct auth *auth;
	const struct auth_proof *proof; /* borrowed during the start; NULL: unsigned */
};

struct transport_result {
	enum outcome outcome;
	const char *details; /* never NULL; a peer's words: quote them */
	int code; /* Flower's number of an application error (2004 ...), 0 when none was told */
	double date_s; /* the peer's clock, when it told it (HTTP's Date); 0 else */
	struct slices body;
};

typedef void transport_done_fn(void *arg, struct transport_result *result);

struct transport;
struct transport_handle; /* a call that is out */

struct transport_ops {
	/* As rpc_call_start(): body is taken over, done comes later, exactly once unless this
	 * fails. */
	int (*call)(struct transport *transport, const struct transport_call *call,
		struct slices *body, transport_done_fn *done, void *arg,
		struct transport_handle **out);
	void (*cancel)(struct transport_handle *handle);
	/* Connect anew at the next call, at once. */
	void (*reconnect)(struct transport *transport);
	void (*free)(struct transport *transport);
};

struct transport {
	const struct transport_ops *ops;
};

struct http;
struct log;
struct rpc;

/* Everything is copied, but for log. */
struct transport_options {
	const char *address; /* host:port */
	const char *ca_pem;  /* certificates that are trusted, PEM; NULL: plain text */
	uint64_t receive_max_bytes;
	struct log *log;
};

/*
 * grpc-rere: service flwr.proto.Fleet over gRPC; two connections: one for heartbeats, one for the
 * rest. 0, -EINVAL, -ENOMEM.
 */
int transport_grpc_new(
	struct rpc *rpc, const struct transport_options *options, struct transport **out);

/* Protobuf over HTTP/1.1, as Flower 1.40 and later: POST /v1/fleet/<kebab-name>. Connections as
 * they are needed; heartbeats never wait for one. Same results. */
int transport_http_new(
	struct http *http, const struct transport_options *options, struct transport **out);

#endif
