/*
 * relay_internal: a relay, and what the relays of a door share; for relay.c (one connection) and
 * relays.c (those that wait). Main thread.
 */
#ifndef FLWR_LISTEN_RELAY_INTERNAL_H
#define FLWR_LISTEN_RELAY_INTERNAL_H

#include "common/listen/relay.h"
#include "common/listen/way.h"

#include <sys/queue.h>

#define RELAY_CHUNK_BYTES (64 << 10) /* of the buffer that all relays share */

/* Where a relay waits that is held back: for its own limits, for room in the pool, or, without a
 * guard, since it has sent much. */
enum queue { QUEUE_NONE, QUEUE_OWN, QUEUE_POOL, QUEUE_PLAIN, QUEUES };

TAILQ_HEAD(relay_list, relay);

struct relay {
	struct relays *relays;
	struct relay_options options;
	int server; /* our end of the socketpair */
	struct watch *peer_watch, *server_watch;
	struct guard guard;
	struct way in, out;
	uint64_t received;
	LIST_ENTRY(relay) link;
	enum queue queue;
	TAILQ_ENTRY(relay) held_link; /* of its queue */
	bool again;                   /* it had more than a turn's work */
	TAILQ_ENTRY(relay) again_link;
	bool stalled; /* the peer does not take what is in out */
	TAILQ_ENTRY(relay) stalled_link;
	int64_t stalled_ms;      /* since when */
	int64_t look_ms;         /* the next look at it */
	int64_t server_ended_ms; /* when that was seen; 0: it was not. The peer's bytes go nowhere
				  * then */
	/* Without a guard. */
	bool half_closed;      /* the peer has ended its half, and the server was told */
	uint64_t unanswered;   /* bytes that have come since the server spoke */
	bool dropping;         /* the server has ended: what the peer sends is dropped */
	uint64_t dropped;      /* bytes */
	int64_t linger_end_ms; /* one side has ended, or half of it; 0: it has not */
};

struct relays {
	struct loop *loop;
	struct guard_pool pool;
	struct timer *timer;
	int64_t timer_ms;       /* it is set for */
	int64_t held_ms;        /* the next look at the queues */
	int64_t full_ms;        /* since when streams wait and get no place; 0: none does */
	LIST_HEAD(, relay) all; /* the newest first */
	struct relay_list queues[QUEUES];
	unsigned n[QUEUES];
	struct relay_list again;
	struct relay_list stalled; /* in the order of look_ms */
	unsigned n_again;
	uint8_t *chunk;
};

/* Work on a relay for one turn. It may end, and is gone then. */
void relay_work(struct relay *relay);
/* The server takes nothing any more; its last bytes are still on their way to the peer. */
void relay_server_gone(struct relay *relay);

void relay_set_queue(struct relay *relay, enum queue queue);
/* Its turn ended before its work: it gets another one soon. */
void relay_set_again(struct relay *relay, bool again);
/* The peer takes nothing (again, something), from now on. */
void relay_set_stalled(struct relay *relay, bool stalled);

/* Of those that have a guard. */
unsigned relays_count_held(const struct relays *relays);
/* The relay that has opened most streams lately, of those that are held back of the address whose
 * relays have; among equals the newest. NULL: all are trusted. */
struct relay *relays_find_busiest_held(const struct relays *relays);

#endif
