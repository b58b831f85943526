/*
 * acceptor: listening sockets and what comes in by them; what both listeners of this program make
 * of strangers: a text for log lines, the first bytes of gRPC, few lines of complaint. Main thread.
 * Knows no server.
 */
#ifndef FLWR_LISTEN_ACCEPTOR_H
#define FLWR_LISTEN_ACCEPTOR_H

#include "common/base/log.h"
#include "common/loop/loop.h"
#include "supernode/listen/address.h"

#include <stdint.h>
#include <sys/socket.h>

/* ---- complaints: lines about what strangers do ---- */

struct complaints {
	int64_t last_ms; /* of the last line; 0: none was written */
	unsigned more;   /* not written since */
};

/* "<name>: <who>: <what>" at level warn: at most one line in ten seconds, which counts those that
 * were left out. */
void complain(struct complaints *complaints, struct log *log, const char *name, const char *who,
	const char *what);

/* ---- the first bytes of a connection ---- */

#define PREFACE_BYTES 24 /* of HTTP/2, which gRPC begins with */

enum preface { PREFACE_WHOLE, PREFACE_PART, PREFACE_OTHER };

/* What the first n bytes, 1 to PREFACE_BYTES, are. */
enum preface preface_of(const char *bytes, size_t n);

/* Has the peer sent its end? */
bool socket_half_closed(int fd);

/* ---- the sockets ---- */

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
/* As somebody on this machine dials it; borrowed. */
const char *acceptor_address(const struct acceptor *acceptor);
/* Stop listening; a unix socket's name goes. NULL is fine. */
void acceptor_stop(struct acceptor *acceptor);
void acceptor_free(struct acceptor *acceptor); /* NULL is fine */

#endif
