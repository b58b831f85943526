/*
 * join: becoming a node of the SuperLink: finds out what it is (transport, then dialect), registers
 * and activates, step by step; keeps the number that some SuperLinks give only once. Main thread;
 * callbacks come from the loop. Knows nothing of what a node does afterwards.
 */
#ifndef FLWR_FLEET_JOIN_H
#define FLWR_FLEET_JOIN_H

#include "supernode/fleet/dialect.h"

#define JOIN_STABLE_MS 10000 /* joining again sooner after it succeeded: back-off */
/* A node that has not said goodbye counts as online for two heartbeat intervals, and a little. */
#define JOIN_ONLINE_MS (2 * 30000 + 10000)

struct join;

/* A node at the SuperLink. */
struct joined {
	uint64_t node_id; /* 0: there is none */
	const struct dialect *dialect;
	bool active; /* may be: what RegisterNode has made is not, before ActivateNode */
};

struct join_ops {
	void (*joined)(void *arg, const struct joined *node);
	/* After join_stop(): the step that was out has ended, and left this. */
	void (*stopped)(void *arg, const struct joined *node);
	/* Joining ends, after a final refusal or since its tries are used up. */
	void (*refused)(void *arg, enum fleet_over over, const char *sentence);
	void (*gave_up)(void *arg, const struct link_cause *cause);
	/* Nothing is being written any more. */
	void (*idle)(void *arg);
};

struct join_options {
	struct link *link;
	bool operator_key;     /* the link has one, the operator's */
	const char *state_dir; /* copied; NULL: no number is kept */
	const struct join_ops *ops;
	void *arg;
};

/* 0 or -ENOMEM. */
int join_new(const struct join_options *options, struct join **out);
/* When it is idle and no step is out. NULL is fine. */
void join_free(struct join *join);

/* Begin, from the loop; again: not after a pause that the SuperLink asked for, so that joining
 * again and again becomes slower. */
void join_begin(struct join *join, bool again);
/* No more steps; stopped() follows if one is out. link_close_calls() or link_cancel_calls() comes
 * next. */
void join_stop(struct join *join);
/* Does the node have the operator's key there? Not with a transport over which nobody looks at it.
 */
bool join_has_key(const struct join *join);
/* Is a step out? */
bool join_is_out(const struct join *join);
/* Is no number being written? */
bool join_is_idle(const struct join *join);
/* Has it ever succeeded? */
bool join_was_online(const struct join *join);

/* The SuperLink does not know the node's number any more; or has deleted the node. */
void join_forget_number(struct join *join);
void join_drop_number(struct join *join);

#endif
