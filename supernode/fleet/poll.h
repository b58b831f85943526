/*
 * poll: asks the SuperLink for the next message, at the pace of what happens, as long as one is
 * wanted. Main thread. Knows nothing of what becomes of a message.
 */
#ifndef FLWR_FLEET_POLL_H
#define FLWR_FLEET_POLL_H

#include "common/base/budget.h"
#include "common/base/pace.h"
#include "common/objects/object_tree.h"
#include "supernode/core/held_message.h"
#include "supernode/link/call.h"

extern const struct call_kind poll_inline;  /* a message brings its content along */
extern const struct call_kind poll_objects; /* a message comes without its content */

/* The objects of a message, as PullMessages tells them. */
struct pulled_tree {
	struct object_tree tree;
	int result; /* negative: it is of no use ... */
	struct reason why;
};

/* An answer, taken apart. */
struct pulled {
	struct held_message message;
	struct pulled_tree tree;
	unsigned more; /* messages than one */
	int result;    /* 0; 1: there is no message; negative: it cannot be read */
};

struct poll_ops {
	/* Shall a message be asked for now? */
	bool (*wants)(void *arg);
	/* A message came, with the tree of its objects in dialects that have one; what is left in
	 * both is the caller's. refused: nothing but its metadata is here, and that is why; else
	 * NULL. */
	void (*message)(void *arg, struct held_message *message, struct pulled_tree *tree,
		const char *refused);
	/* A poll has ended, after message(): does polling go on? */
	bool (*ended)(void *arg);
};

struct poll {
	struct call call; /* the owner's to initialise, as ops, arg, and the bounds of pace */
	const struct poll_ops *ops;
	void *arg;
	struct pace pace;
	struct budget *budget; /* that messages which bring their content along have room in; NULL:
				  any have */
	struct pulled pulled;
	uint64_t node_id;
	bool parked; /* due, but no message is wanted */
};

/* The node was registered just now. The link ends it. */
void poll_begin(struct poll *poll, const struct call_kind *kind, uint64_t node_id);
/* Something happened: ask at once, but not while polls fail. */
void poll_hurry(struct poll *poll);
/* wants() may say something else now. */
void poll_unpark(struct poll *poll);

#endif
