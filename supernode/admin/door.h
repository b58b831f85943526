/*
 * door: an address that anybody may connect to: accepts, waits for the first bytes of gRPC, hands
 * the connection to a server, and knows it until its end. Few connections at a time, and some of
 * them stay free for callers that come and go. Main thread. Knows no method.
 */
#ifndef FLWR_ADMIN_DOOR_H
#define FLWR_ADMIN_DOOR_H

#include "common/base/log.h"
#include "common/base/reason.h"
#include "common/loop/loop.h"
#include "common/rpc/server.h"

/* Each takes two descriptors, which the rest of the program must be able to do without. */
#define DOOR_CONNECTIONS_MAX 32
#define DOOR_KEPT_MAX        24    /* of them may be kept; see door_keep() */
#define DOOR_PREFACE_MS      10000 /* from accept to the whole HTTP/2 preface */

struct door;

/*
 * Listen at address ("host:port", port 0: any). name is for log lines, borrowed for good. 0;
 * -EADDRINUSE and others of bind() with a sentence that names the address; -ENOMEM.
 */
int door_new(struct loop *loop, struct log *log, const char *name, const char *address,
	struct door **out, struct reason *why);

/* Give connections to server from now on. */
void door_open(struct door *door, struct rpc_server *server);

/* As somebody on this machine dials it; borrowed. */
const char *door_address(const struct door *door);

/*
 * A call that stays has begun on this connection: it is not ended in favour of a new one. false:
 * too many are kept already; then there is no door_let_go(). When there are too
 * many connections, the one is ended that has been there longest without such a call.
 */
bool door_keep(struct door *door, const struct peer *peer);
/* It has ended. The connection may have, too. */
void door_let_go(struct door *door, const struct peer *peer);

/* A line at level warn: at most one in ten seconds, which counts those that were left out. */
void door_complain(struct door *door, const struct peer *peer, const char *what);

/* The server has been shut down. */
void door_detach(struct door *door);

/* Stop listening, close connections that were not handed over yet; the others end with their
 * server. */
void door_close(struct door *door);
/* After door_detach(), or without a server. NULL is fine. */
void door_free(struct door *door);

#endif
