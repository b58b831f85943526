/*
 * channel: unary calls to a gRPC server. Main thread; callbacks come from the loop, never from
 * inside the function that started the call.
 */
#ifndef FLWR_RPC_CHANNEL_H
#define FLWR_RPC_CHANNEL_H

#include "common/base/log.h"
#include "common/base/outcome.h"
#include "common/base/slice.h"
#include "common/rpc/metadata.h"
#include "common/rpc/rpc.h"

#include <stdbool.h>

struct rpc_channel;
struct rpc_call;

struct rpc_channel_options {
	const char *target; /* "127.0.0.1:9092", "unix:/run/x", as gRPC takes it */
	const char *ca_pem; /* TLS, with these trusted certificates (PEM); NULL: plain text */
	uint64_t receive_max_bytes; /* up to 2,147,483,647 */
	/*
	 * Bytes of answers that the channel may hold, from their arrival to the end of the slices;
	 * beyond it as with a server's memory_max_bytes. 0: no limit, and one answer may take up to
	 * 4 GiB before receive_max_bytes is looked at. No effect on a channel over a socket.
	 */
	uint64_t memory_max_bytes;
	int64_t keepalive_ms; /* between pings while calls are out; 0: none */
	int64_t keepalive_timeout_ms;
	bool own_connection;    /* share no connection with another channel of the same target */
	const char *user_agent; /* prefix; NULL: none */
	struct log *log;        /* for the progress of long calls; borrowed; NULL: not told */
};

/* Connects at the first call. 0, -EINVAL (target), -ENOMEM. Strings are copied.
 */
int rpc_channel_new(
	struct rpc *rpc, const struct rpc_channel_options *options, struct rpc_channel **out);

/* A channel over a connected socket, taken over (closed on failure too). Same results. */
int rpc_channel_from_fd(struct rpc *rpc, int fd, const struct rpc_channel_options *options,
	struct rpc_channel **out);

/* Calls that are still out are cancelled; their callbacks still come. NULL is fine. */
void rpc_channel_free(struct rpc_channel *channel);

/*
 * Forget back-off: connect now (for a caller with a retry policy of its own). Until that attempt
 * has ended, calls that do not wait_for_ready are still answered with the failure of the last one.
 */
void rpc_channel_reconnect_now(struct rpc_channel *channel);

struct rpc_call_options {
	const char *path; /* "/flwr.proto.Fleet/Ping" */
	const struct rpc_header *headers;
	size_t n_headers;
	int64_t timeout_ms; /* 0: none (calls that carry content; the channel's keepalive ends dead
			       ones) */
	uint64_t answer_max_bytes; /* a larger answer becomes RESOURCE_EXHAUSTED, too_large; 0: the
				      channel's receive_max_bytes. It is looked at when all of it
				      is here: memory_max_bytes bounds what it takes until then */
	bool wait_for_ready;       /* needs a timeout */
	const char
		*what; /* static: what passes, "a reply": its progress is told; NULL: it is not */
};

struct rpc_result {
	enum outcome outcome;
	int status;          /* gRPC's number */
	const char *details; /* the peer's or gRPC's words, never NULL; a peer's bytes: quote them
				in log lines */
	struct slices body;  /* with OUTCOME_OK; may be taken (slices_move) */
	bool too_large;      /* more than answer_max_bytes came */
};

typedef void rpc_done_fn(void *arg, struct rpc_result *result);

/*
 * Start a call. body is taken over (empty afterwards, on failure too); by reference, never copied.
 * done is called exactly once, later, unless this fails. 0; -ENOMEM; -EINVAL (headers). *out (may
 * be NULL) is valid until done.
 */
int rpc_call_start(struct rpc_channel *channel, const struct rpc_call_options *options,
	struct slices *body, rpc_done_fn *done, void *arg, struct rpc_call **out);

/* End it early: done comes with OUTCOME_CANCELLED (or what came first). */
void rpc_call_cancel(struct rpc_call *call);

#endif
