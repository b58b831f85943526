/*
 * transport: one call to a SuperLink, whatever carries it: call(method, headers, body) -> outcome,
 * body. Main thread. Conversations (flows) lie above; they never know which transport it is.
 */
#ifndef FLWR_LINK_TRANSPORT_H
#define FLWR_LINK_TRANSPORT_H

#include "common/base/outcome.h"
#include "common/base/slice.h"
#include "supernode/link/auth.h"

#include <stdbool.h>

struct transport_result;
typedef void transport_done_fn(void *arg, struct transport_result *result);

struct transport_call {
	const char *method; /* "PullMessages" */
	int64_t timeout_ms; /* 0: none: a call that carries content; ended by a dead connection only
			     */
	const char *what; /* static: the content that passes, "a reply": its progress is logged when
			     it takes long; NULL: it is not */
	uint64_t answer_max_bytes; /* a larger answer is not taken; at most receive_max_bytes */
	const struct auth *auth;
	const struct auth_proof *proof; /* borrowed during the start; NULL: unsigned */
	transport_done_fn *done;
	void *arg;
};

struct transport_result {
	enum outcome outcome;
	const char *details; /* never NULL; a peer's words: quote them */
	int code; /* Flower's number of an application error (2004 ...), 0 when none was told */
	bool too_large; /* the answer is larger than answer_max_bytes; with RESOURCE_EXHAUSTED */
	double date_s;  /* the peer's clock, when it told it (HTTP's Date); 0 else */
	struct slices body;
};

#define TRANSPORT_SMALL_BYTES  (4 << 20)
#define TRANSPORT_MIDDLE_BYTES (68 << 20) /* a FAB, an object, a tree */

struct transport;
struct transport_handle; /* a call that is out */

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

/* Everything is copied, but for log. */
struct transport_options {
	const char *address; /* host:port */
	const char *ca_pem;  /* certificates that are trusted, PEM; NULL: plain text */
	uint64_t receive_max_bytes;
	uint64_t memory_max_bytes; /* that answers with content may take, those that are kept
				      included; 0: no limit. HTTP bounds each answer as it comes */
	struct log *log;
};

/*
 * grpc-rere: service flwr.proto.Fleet over gRPC. gRPC takes in the whole of an answer before it
 * looks at its size, but no more than a connection may hold. So there are three: for calls without
 * content, heartbeats among them, whose answers are small (TRANSPORT_SMALL_BYTES); for content with
 * answers of middle size (TRANSPORT_MIDDLE_BYTES); for the rest. Each connects at its first call.
 * 0, -EINVAL, -ENOMEM.
 */
int transport_grpc_new(
	struct rpc *rpc, const struct transport_options *options, struct transport **out);

/* Protobuf over HTTP/1.1, as Flower 1.40 and later: POST /v1/fleet/<kebab-name>. Connections as
 * they are needed; heartbeats never wait for one. Same results. */
int transport_http_new(
	struct http *http, const struct transport_options *options, struct transport **out);

#endif
