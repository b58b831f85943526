/*
 * server: a gRPC front-end of common/service that is given accepted connections and listens nowhere
 * itself. Main thread.
 */
#ifndef FLWR_RPC_SERVER_H
#define FLWR_RPC_SERVER_H

#include "common/rpc/metadata.h"
#include "common/rpc/rpc.h"
#include "common/service/service.h"

#define RPC_HEADERS_MAX 8 /* headers that the services of a server read */

struct rpc_server;

struct rpc_server_options {
	const struct service *services; /* borrowed, outlive the server */
	size_t n_services;
	/* Names, in lower case, of the headers that the services read; static. Others are not kept.
	 */
	const char *headers[RPC_HEADERS_MAX];
	uint64_t receive_max_bytes; /* largest body of any method, up to 2,147,483,647 */
	/*
	 * Bytes of messages that all callers together may have us hold, from their arrival to the
	 * end of the slices. Beyond it gRPC ends calls with RESOURCE_EXHAUSTED, for a moment also
	 * some that are not to blame, and may drop connections: an emergency brake, well above what
	 * is admitted. Without it (0) any message may take up to 4 GiB, for gRPC looks at
	 * receive_max_bytes, and we at a method's body_max, only when all of it is there.
	 */
	uint64_t memory_max_bytes;
	unsigned calls_max;            /* further ones are answered with RESOURCE_EXHAUSTED */
	unsigned connection_calls_max; /* at a time on one connection, more wait at the caller; 0:
					  no limit */
	/* A call was answered here, in the services' place: method is theirs or "a call"; for the
	 * log. May be NULL. */
	void (*refused)(void *arg, const struct peer *peer, const char *method,
		enum outcome outcome, const char *details);
	void *refused_arg;
	int64_t keepalive_ms;
	int64_t keepalive_timeout_ms;
};

/* 0 or -ENOMEM. *options is copied, services stay borrowed. */
int rpc_server_new(
	struct rpc *rpc, const struct rpc_server_options *options, struct rpc_server **out);

/*
 * Serve a connected socket on which the whole HTTP/2 preface is waiting to be read. fd is taken
 * over. peer is borrowed until rpc_server_peer_gone(); calls on this connection carry it
 * (request->peer).
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
 * loop, may be NULL). The server must not be used afterwards.
 */
void rpc_server_shutdown(
	struct rpc_server *server, int64_t grace_ms, void (*done)(void *arg), void *arg);

#endif
