/*
 * channel: the way to one gRPC server: its address, TLS, keepalive, what holds for all calls over
 * it. Main thread; callbacks come from the loop. Its calls: call.h (unary) and stream.h (the other
 * kinds). gRPC's own retries are off: callers decide.
 */
#ifndef FLWR_RPC_CHANNEL_H
#define FLWR_RPC_CHANNEL_H

#include "common/base/log.h"
#include "common/base/outcome.h"
#include "common/rpc/compression.h"
#include "common/rpc/credentials.h"
#include "common/rpc/metadata.h"
#include "common/rpc/option.h"
#include "common/rpc/rpc.h"

#include <stdbool.h>

struct rpc_channel;
struct rpc_interceptor;

struct rpc_channel_options {
	const char *target;         /* "127.0.0.1:9092", "unix:/run/x", as gRPC takes it */
	const struct rpc_tls *tls;  /* copied; NULL: plain text */
	const char *tls_name;       /* that the server's certificate is for; NULL: target's host */
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
	enum rpc_compression compression; /* of what is sent, when a call says nothing else */
	/*
	 * RPC_ACCEPT() of compressed answers, 0 for none: a peer may make such a one unpack to a
	 * thousand times its bytes, and receive_max_bytes is looked at before that.
	 */
	unsigned accept;
	const struct rpc_interceptor *interceptors; /* copied; called in order, at the end of a call
						       in the opposite one */
	size_t n_interceptors;
	const struct rpc_option *options; /* they take the place of what the others say */
	size_t n_options;
};

/* How a call ended. */
struct rpc_end {
	enum outcome outcome;
	int status;          /* gRPC's number */
	const char *details; /* the peer's or gRPC's words, never NULL; a peer's bytes: quote them
				in log lines */
	const struct rpc_headers *trailers; /* borrowed; never NULL */
};

/* Connects at the first call. 0, -EINVAL (target; a certificate without its key, or a key alone),
 * -ENOMEM. Strings are copied. */
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

/*
 * Connect, keep connected, and tell each change: ready true when the connection (with TLS) is made,
 * false when it is lost. The first state is told, too, when it is ready. One watcher; another fn
 * takes its place, and is told anew; fn NULL ends that. 0; -ENOMEM; -EINVAL: a channel over a
 * socket, which knows no other connection.
 */
typedef void rpc_ready_fn(void *arg, bool ready);
int rpc_channel_watch(struct rpc_channel *channel, rpc_ready_fn *fn, void *arg);

/* Is there a connection? Connects nothing. */
bool rpc_channel_is_ready(const struct rpc_channel *channel);

#endif
