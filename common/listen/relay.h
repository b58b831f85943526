/*
 * relay: carries a connection between its peer's stream and a socketpair whose other end the server
 * has, that of HTTP/2 past a guard. What the guard holds back waits here, in turn with the others.
 * Main thread. Knows no server.
 */
#ifndef FLWR_LISTEN_RELAY_H
#define FLWR_LISTEN_RELAY_H

#include "common/listen/guard.h"
#include "common/listen/share.h"
#include "common/listen/stream.h"
#include "common/loop/loop.h"

#define RELAY_HELD_MAX 256 /* connections of a door that are held back */
/* The peer takes nothing: for so long while the server is there, and in all when that has gone. */
#define RELAY_STALL_MS 100000
#define RELAY_FLUSH_MS 10000
/*
 * Without a guard: one side has ended, and the other one goes on for so long. A peer may have ended
 * its half behind its request: the server gets all of that, and the peer the answer, as long as
 * bytes move, and a millisecond more for so many bytes that the server has to work on. A server may
 * have refused a body that the peer still sends: so much of it is dropped, as unread bytes would
 * make a reset, which may overtake the answer.
 */
#define RELAY_LINGER_MS       2000
#define RELAY_LINGER_MS_BYTES (64 << 10)
#define RELAY_DROP_BYTES      (32 << 20)

struct relay;
struct relays;

struct relay_ops {
	/* Bytes have come (relay_received()), and were passed to nobody yet: the sentence why the
	 * connection is to be cut, static; NULL: it may go on. relay_trust() may be called. */
	const char *(*judge)(void *arg);
	/* Is nothing more to be read from the peer for now? Asked without a guard only, and again
	 * soon. */
	bool (*waits)(void *arg);
	/* The connection has ended, by its peer or its server, or (why: the static sentence) was
	 * cut: relay_free() now. */
	void (*ended)(void *arg, const char *why);
};

struct relay_options {
	struct stream *stream; /* the peer's; borrowed for the relay's life, as share */
	struct share *share;   /* of the peer's address */
	bool guarded;          /* it is HTTP/2; else its bytes pass as they come */
	const struct relay_ops *ops;
	void *arg;
};

/* The state that the relays of a door share: streams_max are open at a time of peers that are not
 * trusted. 0 or -ENOMEM. */
int relays_new(struct loop *loop, unsigned streams_max, struct relays **out);
/* When all relays are freed. NULL is fine. */
void relays_free(struct relays *relays);

/* *server_out is the server's end, the caller's, non-blocking and CLOEXEC. 0 or -errno. Nothing of
 * options->ops is called inside. */
int relay_new(struct relays *relays, const struct relay_options *options, struct relay **out,
	int *server_out);
/* Also closes the relay's end of the socketpair. NULL is fine. */
void relay_free(struct relay *relay);

/* The peer is trusted from now on, or no longer: see guard.h. */
void relay_trust(struct relay *relay, bool trusted);
/* Bytes that have come from the peer; those of bodies that have passed (without a guard: all). */
uint64_t relay_received(const struct relay *relay);
uint64_t relay_body_bytes(const struct relay *relay);
/* Has the peer ended its half of the connection? It may have gone altogether. */
bool relay_is_half_closed(const struct relay *relay);
/* Tell the peer of HTTP/2 to come back later, if that can be said now, and end the connection:
 * ended() is called inside. */
void relay_cut(struct relay *relay, const char *why);

#endif
