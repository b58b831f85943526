/*
 * acceptor: listening sockets, and the connections that come in by them. Main thread. Knows no
 * server.
 */
#ifndef FLWR_LISTEN_ACCEPTOR_H
#define FLWR_LISTEN_ACCEPTOR_H

#include "common/listen/address.h"
#include "common/loop/loop.h"

#include <sys/socket.h>

struct acceptor;

struct acceptor_ops {
	/* A connection: fd is taken over, non-blocking and CLOEXEC. */
	void (*accepted)(void *arg, int fd, const struct sockaddr_storage *address);
	/* No descriptors or memory for one: new ones wait a moment. cause is a sentence. */
	void (*paused)(void *arg, const char *cause);
};

/* sockets are taken over, on failure too. Nothing is accepted before acceptor_start(). 0 or
 * -ENOMEM. */
int acceptor_new(struct loop *loop, struct address_sockets *sockets, const struct acceptor_ops *ops,
	void *arg, struct acceptor **out);
void acceptor_start(struct acceptor *acceptor);
/* The address as somebody on this machine dials it; borrowed. */
const char *acceptor_address(const struct acceptor *acceptor);
/* Stop listening; a unix socket's name goes. NULL is fine. */
void acceptor_stop(struct acceptor *acceptor);
void acceptor_free(struct acceptor *acceptor); /* NULL is fine */

#endif
