/*
 * front_end: a server that speaks one protocol, as a door sees it: it is given the connections
 * whose first bytes it knows. gRPC's is here, HTTP/1.1's in front_end_http.h. Main thread.
 */
#ifndef FLWR_LISTEN_FRONT_END_H
#define FLWR_LISTEN_FRONT_END_H

#include "common/rpc/server.h"

#define FRONT_END_BYTES 24 /* so many first bytes are looked at: HTTP/2's preface */

enum match { MATCH_WHOLE, MATCH_PART, MATCH_NONE };

struct front_end {
	/* Judge the first n bytes of a connection, 1 to FRONT_END_BYTES: enough to serve it,
	 * the beginning of what may be enough, or another protocol's. */
	enum match (*matches)(const char *bytes, size_t n);
	/* Serve a connection: fd, of which nothing was read, is taken over; behind a relay its
	 * first bytes come when the server's have. peer is borrowed until peer_gone(). */
	void (*add)(void *server, int fd, const struct peer *peer);
	/* The connection of peer has ended; calls that still name it are cancelled. */
	void (*peer_gone)(void *server, const struct peer *peer);
	void *server; /* borrowed */
	/* The server speaks HTTP/2: connections whose bytes the door carries go past a guard. */
	bool http2;
};

/* An option that a gRPC server behind a door must have: windows stay small. gRPC widens them when
 * it has measured a fast peer, and megabytes of a content that was not admitted yet would arrive.
 */
extern const struct rpc_option front_end_grpc_windows;
struct front_end front_end_grpc(struct rpc_server *server);

/* Its server has gone: it knows no bytes any more, and is told nothing. */
void front_end_detach(struct front_end *front_end);

#endif
