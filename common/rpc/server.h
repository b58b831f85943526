/*
 * server: a gRPC front-end of common/service: it listens at ports, or is given accepted
 * connections, or both. What its requests have beyond those of common/service is in context.h.
 * Main thread.
 */
#ifndef FLWR_RPC_SERVER_H
#define FLWR_RPC_SERVER_H

#include "common/rpc/compression.h"
#include "common/rpc/credentials.h"
#include "common/rpc/option.h"
#include "common/rpc/rpc.h"
#include "common/service/service.h"

struct rpc_server;

struct rpc_port {
	const char *address;       /* "127.0.0.1:0", "[::]:50051", "unix:/run/x/socket",
				      "unix-abstract:x" */
	const struct rpc_tls *tls; /* NULL: plain text */
};

struct rpc_server_options {
	const struct service *services; /* borrowed, outlive the server */
	size_t n_services;
	/* Before and after each request, in this order; borrowed, outlive the server. */
	const struct interceptor *interceptors;
	size_t n_interceptors;
	/* Where to listen; borrowed until rpc_server_new() returns. None: see rpc_server_add(). */
	const struct rpc_port *ports;
	size_t n_ports;
	uint64_t receive_max_bytes; /* largest body of any method, up to 2,147,483,647 */
	/*
	 * Bytes of messages that all callers together may have us hold, from their arrival to the
	 * end of the slices. Beyond it gRPC ends calls with RESOURCE_EXHAUSTED, for a moment also
	 * some that are not to blame, and may drop connections: an emergency brake, well above what
	 * is admitted. Without it (0) any message may take up to 4 GiB, for gRPC looks at
	 * receive_max_bytes, and we at a method's body_max, only when all of it is there.
	 */
	uint64_t memory_max_bytes;
	unsigned calls_max; /* further ones are answered with RESOURCE_EXHAUSTED; 0: no
			       limit */
	/* At a time on one connection, more wait at the caller, or are answered with
	 * RESOURCE_EXHAUSTED, as is a connection that has twice as many as calls_max leaves room
	 * for; 0: no limit. */
	unsigned connection_calls_max;
	/* A call was answered here, in the services' place: method is theirs or "a call"; for the
	 * log. May be NULL. */
	void (*refused)(void *arg, const struct peer *peer, const char *method,
		enum outcome outcome, const char *details);
	void *refused_arg;
	int64_t keepalive_ms;         /* between pings to a peer, with calls and without; 0: none */
	int64_t keepalive_timeout_ms; /* for the answer to one */
	/* Answers are compressed so if the caller accepts it; a request may choose for itself
	 * (context.h). */
	enum rpc_compression compression;
	/*
	 * Compressions that requests may have, RPC_ACCEPT(); requests with others are answered with
	 * UNIMPLEMENTED, but for algorithms that gRPC does not know, and for messages marked as
	 * compressed by none: those come as they are, and nothing tells. Dangerous: gRPC unpacks
	 * all of a message before it or we can look at its size, and outside of memory_max_bytes.
	 * Until then only the packed bytes are held to receive_max_bytes: for a moment a caller
	 * makes us hold about 1,030 times as many, with each of its calls.
	 */
	unsigned accept;
	/* They take the place of what the others say; borrowed until rpc_server_new() returns. */
	const struct rpc_option *options;
	size_t n_options;
};

/*
 * Start a server. 0, -ENOMEM, -EADDRNOTAVAIL (a port cannot be listened at: in use, or no address),
 * -EINVAL (the TLS of a port cannot be used, or there is no such compression). *options is copied,
 * services and interceptors stay borrowed. A socket file that is in the way of a unix: address is
 * replaced, even if another server listens there.
 */
int rpc_server_new(
	struct rpc *rpc, const struct rpc_server_options *options, struct rpc_server **out);

/* The number that options->ports[i] has got; 1 for one that has no number (unix sockets). */
int rpc_server_port(const struct rpc_server *server, size_t i);

/*
 * Serve a connected socket whose peer speaks HTTP/2: its preface is waiting to be read, or is sent
 * when the server's settings have come. fd is taken over. peer is borrowed until
 * rpc_server_peer_gone(); calls on this connection carry it (request->peer).
 */
void rpc_server_add(struct rpc_server *server, int fd, const struct peer *peer);

/*
 * The connection of peer has ended: no new request will name it, and requests that still do are
 * cancelled and given a stand-in peer that outlives them.
 */
void rpc_server_peer_gone(struct rpc_server *server, const struct peer *peer);

/*
 * Take no more calls (the callers get UNAVAILABLE or, when they are very quick, CANCELLED); let
 * those at hand finish for grace_ms, then cancel them; free everything; then call done (from the
 * loop, may be NULL). The server must not be used afterwards, but for this: until done is called it
 * may be asked again, and ends with the grace that is over first; the last done that is not NULL is
 * called.
 */
void rpc_server_shutdown(
	struct rpc_server *server, int64_t grace_ms, void (*done)(void *arg), void *arg);

/*
 * Wait, running the loop, until the server has ended after somebody's rpc_server_shutdown(), or for
 * timeout_ms (negative: for ever). false: it has not. true: it must not be used any more. Not from
 * a callback of the loop. loop_stop() does not end it: the next loop_run() returns at once then.
 */
bool rpc_server_wait(struct rpc_server *server, int64_t timeout_ms);

#endif
