/*
 * dialect: how a SuperLink's releases differ for a node: what its calls are named, and how contents
 * travel. Main thread. Private to this folder.
 */
#ifndef FLWR_FLEET_DIALECT_H
#define FLWR_FLEET_DIALECT_H

#include "supernode/fleet/fleet.h"
#include "supernode/link/call.h"

struct pulled_tree;

struct dialect {
	const char *releases; /* "Flower-1.15-to-1.18" */
	const struct call_kind *heartbeat;
	const struct call_kind *poll;
	bool activates;        /* ActivateNode and DeactivateNode, not CreateNode and DeleteNode */
	int64_t proof_ms;      /* a signature is used again for so long */
	uint64_t object_bytes; /* of an object, at most, unless its maker was told otherwise */
	/* PullMessages has brought a message; what is left in message and tree is the caller's. */
	void (*take)(struct fleet *fleet, struct held_message *message, struct pulled_tree *tree);
	/* The dialect's part of fleet_push(). */
	int (*push)(struct fleet *fleet, const struct fleet_push *push);
};

extern const struct dialect dialect_a; /* 1.15 - 1.18: contents_inline.c */
extern const struct dialect dialect_b; /* 1.20 - 1.22: contents_objects.c */
extern const struct dialect dialect_c; /* 1.23 and later */

#endif
