/*
 * fleet_internal: a node at its SuperLink, as the files see it that carry its messages: what the
 * owner asks (run_info.c), and how contents travel (contents_inline.c: dialect A;
 * contents_objects.c: B and C). Main thread. Private to this folder. Only fleet.c changes what is
 * in struct fleet; the other files report to it.
 */
#ifndef FLWR_FLEET_FLEET_INTERNAL_H
#define FLWR_FLEET_FLEET_INTERNAL_H

#include "supernode/fleet/dialect.h"
#include "supernode/fleet/heartbeat.h"
#include "supernode/fleet/join.h"
#include "supernode/fleet/leave.h"
#include "supernode/fleet/poll.h"

#include <sys/queue.h>

#define FLEET_CLOSE_PULL_MS                                                                        \
	1000 /* a pull that is out when the node stops may still bring a message */
#define FLEET_CLOSE_PUSH_MS 2000 /* for the reply to it */

#define FLEET_OBJECT_ANSWER_BYTES (((uint64_t)64 << 20) + 1024) /* an object, at most */

enum fleet_state {
	FLEET_NEW,
	FLEET_JOINING,
	FLEET_ONLINE,
	FLEET_CLOSING,  /* stopping: waits for a pull (or a step of joining) that is out, and for
			   the reply to what it brought */
	FLEET_DRAINING, /* every call was cancelled; when all have ended, `next` follows */
	FLEET_LEAVING,  /* the SuperLink is being told; `next` follows */
	FLEET_AWAY,     /* was told to come back later */
	FLEET_OVER,     /* fleet_stop() is awaited */
	FLEET_ENDED
};

enum fleet_next {
	NEXT_JOIN, /* the node is forgotten: anew */
	NEXT_AWAY, /* leave, wait, join */
	NEXT_OVER,
	NEXT_END /* leave if there is a node, then the owner's done() */
};

struct fleet {
	struct fleet_options options; /* without what was taken over */
	struct log *log;
	struct link *link;
	struct join *join;
	struct heartbeat heartbeat;
	struct poll poll;
	struct leave leave;
	LIST_HEAD(, download) downloads; /* objects_in.c */

	enum fleet_state state;
	enum fleet_next next;
	struct timer *phase; /* what the state waits for */
	struct joined node;  /* node_id 0: it is none */
	int64_t away_ms;     /* NEXT_AWAY: for how long */
	bool disconnecting;  /* a control message is being acknowledged */
	bool reply_expected; /* CLOSING: a message came, its reply has not gone */
	uint64_t dropped;    /* the largest number that fleet_drop_content() was told */
	bool told;           /* told_to_end() was called */
	bool abandoned;      /* the SuperLink is told nothing any more */
	void (*stopped)(void *arg);
	void *stopped_arg;
};

/* ---- what the other files report ---- */

/* Hand a message to the owner, who has to refuse it when that is not NULL. The owner's number of
 * it; 0: it is of no use. */
uint64_t fleet_hand_over(struct fleet *fleet, struct held_message *message, const char *refused);
/* The download of a message has ended, and was not cancelled. */
void fleet_content(struct fleet *fleet, uint64_t number, enum outcome outcome, const char *details);
/* A message came that tells the node to disconnect (reconnect.h). */
void fleet_told(struct fleet *fleet, const struct envelope *message);
/* A reply was settled: the next message may be asked for. */
void fleet_replied(struct fleet *fleet, enum outcome outcome);
/* A download has ended, or something else that drains. */
void fleet_look_idle(void *fleet);

#endif
