/*
 * heartbeat: the node's sign of life, at random times near an interval, without end: whether to
 * give up is seen from the calls that matter. A SuperLink that does not know the node is news of
 * the link. Main thread.
 */
#ifndef FLWR_FLEET_HEARTBEAT_H
#define FLWR_FLEET_HEARTBEAT_H

#include "supernode/link/call.h"

#define HEARTBEAT_INTERVAL_S 30.0

extern const struct call_kind heartbeat_ping; /* Ping of 1.15 - 1.18 */
extern const struct call_kind heartbeat_send; /* SendNodeHeartbeat of 1.20 and later */

struct heartbeat {
	struct call call; /* the owner's to initialise */
	uint64_t node_id;
	int64_t answered_ms; /* the last one, or the registration */
};

/* The node was registered just now. The link ends it. */
void heartbeat_begin(struct heartbeat *heartbeat, const struct call_kind *kind, uint64_t node_id);
/* The next one is sent at once. */
void heartbeat_hurry(struct heartbeat *heartbeat);
/* Was one answered within the last two intervals? */
bool heartbeat_is_fresh(const struct heartbeat *heartbeat);

/* When the next one is due after one that was answered now. */
int64_t heartbeat_next(int64_t now_ms, double random01);

#endif
