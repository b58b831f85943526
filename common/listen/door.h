/*
 * door: an address that anybody may connect to: accepts connections, waits for first bytes that a
 * front-end knows, hands the connection to that, and knows it until its end. How many there may be,
 * what they may send and which lines are written about them is the owner's business. Main thread.
 * Knows no method.
 */
#ifndef FLWR_LISTEN_DOOR_H
#define FLWR_LISTEN_DOOR_H

#include "common/base/log.h"
#include "common/listen/address.h"
#include "common/listen/allowance.h"
#include "common/listen/front_end.h"
#include "common/listen/relay.h"
#include "common/listen/share.h"
#include "common/listen/stream.h"
#include "common/loop/loop.h"

#include <sys/queue.h>

#define DOOR_PREFACE_MS     10000 /* from accept, through TLS, to first bytes of a front-end */
#define DOOR_HANDSHAKES_MAX 128   /* of TLS, that have not ended */
#define DOOR_FRONT_ENDS_MAX 2
/* Calls on a connection that may be refused: at once, and a second. */
#define DOOR_REFUSED_MAX 64
#define DOOR_REFUSED_S   1

struct door;

TAILQ_HEAD(connections, connection);

/* A connection; the first member of the owner's struct of it. Others read it only. */
struct connection {
	TAILQ_ENTRY(connection) link; /* in the list of its door */
	struct door *door;
	struct peer peer;
	int fd;               /* once it is served without a relay a duplicate of the front-end's */
	struct stream stream; /* over fd */
	struct share *share;  /* of its address */
	bool greeting;        /* its handshake has not ended */
	struct watch *watch;  /* of fd; NULL once it has a relay */
	struct relay *relay;  /* NULL: its bytes go to the front-end directly */
	const struct front_end *front_end; /* that serves it; NULL: none does yet */
	int64_t deadline_ms;               /* for its first bytes */
	struct allowance allowance;
	struct debt refused; /* calls; the owner may forgive them */
};

/* Why a connection ends that no front-end has served. */
enum door_unserved {
	DOOR_ENDED,  /* by its peer, before first bytes were complete */
	DOOR_OTHER,  /* the first bytes are of no protocol that is served */
	DOOR_SILENT, /* they did not come in time */
	DOOR_PLAIN,  /* they are not TLS, which this address speaks */
	DOOR_TLS,    /* its TLS is not right */
};

struct door_ops {
	/* A connection has come; the rest of its struct is zero-initialised. May be NULL. */
	void (*begun)(void *arg, struct connection *connection);
	/* There is one connection more than connections_max: make room by connection_end(), or
	 * the new connection is closed. */
	void (*crowded)(void *arg);
	/* A connection ends unserved; bytes: the n first ones that its peer has sent; with
	 * DOOR_TLS the sentence what is wrong. */
	void (*unserved)(void *arg, const struct peer *peer, enum door_unserved why,
		const char *bytes, size_t n);
	/* Bytes came on one that is served, or will be: the sentence why it is to be cut off,
	 * static; NULL: it may go on. */
	const char *(*judge)(void *arg, struct connection *connection);
	/* Is nothing more to be read from one for now? Asked of those that are not guarded: they
	 * can be held back instead of cut off. NULL: none waits. */
	bool (*waits)(void *arg, struct connection *connection);
	/* The connection has left the list, and is freed afterwards. by_peer: its peer, or its
	 * front-end, has ended it. */
	void (*ended)(void *arg, struct connection *connection, bool by_peer);
};

struct door_options {
	const char *name; /* for log lines, borrowed for good */
	/* A connection takes three descriptors (if it is direct two), which the rest of the program
	 * must be able to do without. */
	unsigned connections_max;
	/* Streams of HTTP/2 that are open at a time on connections which are not trusted: fewer
	 * than the server has calls, so that some are left for the others. */
	unsigned streams_max;
	/* Front-ends read the connections themselves, without a guard: all peers are of ours. */
	bool direct;
	struct tls *tls;         /* that all connections begin with; borrowed; NULL: none */
	size_t connection_bytes; /* of the owner's struct of one */
	const struct door_ops *ops;
	void *arg;
};

/* sockets are taken over, on failure too. Nothing is accepted before door_open(). 0 or -ENOMEM. */
int door_new(struct loop *loop, struct log *log, struct address_sockets *sockets,
	const struct door_options *options, struct door **out);

/* Give connections to this server (copied), too; at most DOOR_FRONT_ENDS_MAX. */
void door_register(struct door *door, const struct front_end *front_end);
/* Accept connections from now on. */
void door_open(struct door *door);

/* The address as somebody on this machine dials it; borrowed. */
const char *door_address(const struct door *door);

/* The connections that are open, those not served yet among them, the one used last first; and how
 * many. */
const struct connections *door_connections(const struct door *door);
unsigned door_count(const struct door *door);
/* Find the connection that goes first among those that the owner calls idle: the one used longest
 * ago of the address that has most of them. NULL: none is idle. */
struct connection *door_find_idle(const struct door *door,
	bool (*is_idle)(const void *arg, const struct connection *connection));
/* The one of peer; NULL: it has ended. */
struct connection *door_find(const struct door *door, const struct peer *peer);

/* The connection is being used now; a new one counts as used. */
void connection_touch(struct connection *connection);
/* Have a connection that is served judged now; one that is cut off is gone afterwards. */
void connection_look(struct connection *connection);
/* Bytes of bodies that have come on it; of a direct one an estimate of all its bytes. */
uint64_t connection_received(const struct connection *connection);
/* Has its peer ended its half? It waits for no later answer, and may have gone. */
bool connection_is_half_closed(const struct connection *connection);
/* Let it send any number of bytes from now on. */
void connection_lift(struct connection *connection);
/* Its peer is trusted from now on, or no longer: others have smaller limits, and are held back
 * together (guard.h). */
void connection_trust(struct connection *connection, bool trusted);
/* Bytes that have come on it and were neither judged nor forgiven yet. */
uint64_t connection_fresh(const struct connection *connection);
/* The bytes until now were asked for: they do not count against it. */
void connection_forgive(struct connection *connection);
/* Has it sent more by now than one may that nobody vouches for? */
bool connection_sends_too_much(struct connection *connection);
/* Does it owe time still for what it has sent? */
bool connection_owes(const struct connection *connection);
/* Can it be held back (door_ops.waits)? */
bool connection_can_wait(const struct connection *connection);
/* Were more calls of it refused by now than one may have refused that nobody vouches for? */
bool connection_is_refused_often(const struct connection *connection);
/* End it now. */
void connection_end(struct connection *connection);

/* A call of peer was refused: it is judged soon, from the loop, if they are many. */
void door_count_refused(struct door *door, const struct peer *peer);

/* A line at level warn about a peer: at most one in ten seconds, which counts those that were left
 * out. */
void door_complain(struct door *door, const struct peer *peer, const char *what);

/* This server (front_end.server) has been shut down: it is told and given nothing any more. NULL:
 * all of them. */
void door_detach(struct door *door, const void *server);

/* Stop accepting, close connections that are not served yet; the others end with their server. */
void door_close(struct door *door);
/* After door_detach(), or without a server. NULL is fine. */
void door_free(struct door *door);

#endif
