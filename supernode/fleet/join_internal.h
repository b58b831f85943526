/*
 * join_internal: what join.c (the steps) and join_failure.c (what follows when one fails) share.
 * Main thread.
 */
#ifndef FLWR_FLEET_JOIN_INTERNAL_H
#define FLWR_FLEET_JOIN_INTERNAL_H

#include "supernode/fleet/join.h"
#include "supernode/fleet/kept_node.h"

/* The words of SuperLinks to 1.22 about a key that is in no list of theirs. */
#define JOIN_NO_KEY "Public key not recognized"

enum join_step {
	JOIN_FIND, /* what listens there */
	JOIN_REGISTER,
	JOIN_ACTIVATE,
	JOIN_CREATE,
	JOIN_BEAT, /* SendNodeHeartbeat */
	JOIN_PING,
	JOIN_CALLS,               /* the steps so far, but for the first, are calls */
	JOIN_NUMBER = JOIN_CALLS, /* is there a number that was kept? */
	JOINED_A,
	JOINED_B,
	JOINED_C
};

struct join {
	struct join_options options;
	struct link *link;
	struct timer *timer; /* the next step */
	struct call call;
	bool active;      /* between join_begin() and its end */
	bool has_key;     /* the operator's is used */
	bool unused_said; /* that the operator's is not used */
	enum join_step step;
	struct tries tries; /* of joining as a whole */
	uint64_t node_id;   /* that the last step gave */

	struct kept_node kept; /* of the operator's key */
	bool beat_later;       /* node_id is being written there: JOIN_BEAT waits for that */
	bool kept_tried;       /* node_id comes from there */

	int64_t refused_ms;      /* since when an activation is refused; -1: it is not */
	struct reason slow_said; /* the kind of what is waited out and was said; "": nothing is */
	int64_t slow_said_ms;
	struct retry flap;     /* for being forgotten soon after a registration */
	int64_t registered_ms; /* last; -1: never */
};

extern const struct call_kind join_calls[JOIN_CALLS];

/* A try (what: its name in log lines) has failed: joining begins anew from JOIN_FIND, when the
 * policy allows it, because a SuperLink may have been replaced meanwhile. */
void join_failed(struct join *join, const char *what, const struct transport_result *result);
/* join->step has ended with this, and no other step follows from it. */
void join_step_failed(struct join *join, const struct transport_result *result);
/* The peer that listens is no SuperLink, as sentence says. */
void join_found_wrong(struct join *join, const char *what, const struct transport_result *result,
	const char *sentence);

#endif
