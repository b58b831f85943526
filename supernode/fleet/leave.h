/*
 * leave: telling the SuperLink that the node goes: one try of each of the one or two calls that it
 * takes. Main thread; callbacks come from the loop.
 */
#ifndef FLWR_FLEET_LEAVE_H
#define FLWR_FLEET_LEAVE_H

#include "supernode/link/call.h"

/* How a node came to be, and so how it goes. */
enum leave_way {
	LEAVE_CREATED,   /* CreateNode: DeleteNode */
	LEAVE_ACTIVATED, /* ActivateNode of a key that somebody else registered: DeactivateNode */
	LEAVE_OWN_KEY,   /* RegisterNode, ActivateNode: DeactivateNode, UnregisterNode */
	LEAVE_INACTIVE,  /* RegisterNode: UnregisterNode */
	LEAVE_WAYS
};

/* deleted: the SuperLink has deleted the node, whose number is of no use any more. */
typedef void leave_fn(void *arg, bool deleted);

struct leave {
	struct call call; /* the owner's to initialise, as left and arg */
	leave_fn *left;
	void *arg;
	uint64_t node_id;
	const struct call_kind *const *next; /* NULL at its end */
};

/* Call from the loop. left() is called once, later or inside. */
void leave_begin(struct leave *leave, enum leave_way way, uint64_t node_id);

#endif
