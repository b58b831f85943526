/*
 * peers: the peer behind a descriptor number. gRPC names the connection of a call by that number
 * only, which the system gives to another connection as soon as it is closed. Main thread. Private
 * to common/rpc.
 */
#ifndef FLWR_RPC_PEERS_H
#define FLWR_RPC_PEERS_H

#include "common/service/service.h"

#include <stddef.h>
#include <stdint.h>

struct peer_slot {
	const struct peer *peer; /* NULL: nobody's */
	int64_t free_at_ms;      /* a call of the one before may come until then */
};

/* Zero-initialised is empty. */
struct peers {
	struct peer_slot *v; /* by descriptor number */
	size_t n;
};

/*
 * Enter the connection *fd as peer's (borrowed until peers_gone()). When its number may still be
 * named by calls of an earlier connection, *fd is replaced by a duplicate with another number. 0 or
 * -errno (*fd is open then, too).
 */
int peers_add(struct peers *peers, int *fd, const struct peer *peer, int64_t now_ms);

/* The peer that gRPC calls text ("fd:12"), or NULL. */
const struct peer *peers_find(const struct peers *peers, const char *text);

/* peer's connection has ended. */
void peers_gone(struct peers *peers, const struct peer *peer, int64_t now_ms);

void peers_done(struct peers *peers);

#endif
