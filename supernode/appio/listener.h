/*
 * listener: the address of the worker API: accepts, looks at the first bytes of each connection,
 * hands it to the server that speaks them, and knows each connection until its end. Main thread.
 * Knows no method.
 */
#ifndef FLWR_APPIO_LISTENER_H
#define FLWR_APPIO_LISTENER_H

#include "common/base/log.h"
#include "common/base/reason.h"
#include "common/loop/loop.h"
#include "common/rpc/server.h"

#define LISTENER_PREFACE_MS      10000 /* from accept to the whole HTTP/2 preface */
#define LISTENER_IDLE_MS         60000 /* a connection without a call and without a live token is ended */
#define LISTENER_CONNECTIONS_MAX 2048 /* or what the limit of descriptors allows */

struct listener;

struct listener_ops {
	/* Does the message that a caller on this connection has shown a token of still live? */
	bool (*live)(void *arg, uint64_t message);
	/*
	 * The last connection on which the token of message, which still lives, was shown has
	 * ended. process (the callee's) is a pidfd of its peer, -1 when that is not known. NULL:
	 * nobody needs to know, and no peer's process is looked for.
	 */
	void (*cut)(void *arg, uint64_t message, int process, const struct peer *peer);
};

/*
 * Listen at address ("host:port", port 0: any), or, when it is NULL, on a unix socket in dir (a
 * private directory, not removed). 0; -EADDRINUSE and others of bind() with a sentence that names
 * the address; -ENOMEM.
 */
int listener_new(struct loop *loop, struct log *log, const char *address, const char *dir,
	const struct listener_ops *ops, void *arg, struct listener **out, struct reason *why);

/* Give accepted connections to server from now on. */
void listener_start(struct listener *listener, struct rpc_server *server);

/* Where a worker on this machine reaches it, as gRPC takes it: "unix:/...", "127.0.0.1:9094".
 * Borrowed. */
const char *listener_address(const struct listener *listener);

/* A call came on this connection. */
void listener_used(struct listener *listener, const struct peer *peer);
/* A caller on this connection has shown the live token of message. */
void listener_hold(struct listener *listener, const struct peer *peer, uint64_t message);
/* A call on this connection is receiving a body (+1), or is no longer (-1): meanwhile it is not
 * idle. */
void listener_busy(struct listener *listener, const struct peer *peer, int change);
/* The message whose live token was shown on this connection; 0: none. */
uint64_t listener_holds(const struct listener *listener, const struct peer *peer);

/* Connections that are open, those not yet handed over included. */
unsigned listener_count(const struct listener *listener);

/* The server has been shut down: connections that are left are closed without it. */
void listener_detach(struct listener *listener);

/* Say what a peer did: at most one line in ten seconds, which counts those that were left out. */
void listener_complain(struct listener *listener, const struct peer *peer, const char *what);

/* Stop listening and close connections that were not handed over yet; the others end with their
 * server. */
void listener_stop(struct listener *listener);
/* After the server was shut down. */
void listener_free(struct listener *listener);

#endif
