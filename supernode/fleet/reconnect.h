/*
 * reconnect: the message of that type, by which SuperLinks of 1.15 - 1.18 tell a node to
 * disconnect, for a while or for good; and its replies. Pure.
 */
#ifndef FLWR_FLEET_RECONNECT_H
#define FLWR_FLEET_RECONNECT_H

#include "common/base/reason.h"
#include "common/message/envelope.h"

struct reconnect_order {
	bool has_seconds;
	int64_t seconds; /* until the node is to be back; 0: for good */
};

/* Is it such a message? */
bool reconnect_is(const struct envelope *message);
/* 0; -EBADMSG with a sentence; -ENOMEM. */
int reconnect_read(const struct envelope *message, struct reconnect_order *out, struct reason *why);
/* A reply that says that the node disconnects; or an error that says why it does not. now_s is wall
 * time. 0 or -ENOMEM; out is the caller's. */
int reconnect_reply(const struct metadata *metadata, double now_s,
	const struct reconnect_order *order, struct envelope *out);
int reconnect_refusal(const struct metadata *metadata, double now_s, const struct reason *why,
	struct envelope *out);

#endif
