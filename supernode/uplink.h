/*
 * uplink: events of the fleet become events of the core, and what the core wants of the SuperLink
 * becomes calls; but for FABs, which not every owner wants. Main thread; knows no worker.
 */
#ifndef FLWR_SUPERNODE_UPLINK_H
#define FLWR_SUPERNODE_UPLINK_H

#include "common/base/clock.h"
#include "supernode/core/node.h"
#include "supernode/fleet/fleet.h"

struct uplink_ops {
	/* The core was given an event: it may have actions. */
	void (*changed)(void *arg);
	/* As those of fleet. */
	void (*told_to_end)(void *arg);
	void (*over)(void *arg, enum fleet_over over, const char *sentence);
};

/* Embedded; everything is borrowed. */
struct uplink {
	struct log *log;
	struct node *node;
	struct fleet *fleet;
	const char *guess;   /* an option's name; NULL when there is none, or it was said to be
				wrong */
	int64_t answered_ms; /* when the last reply was delivered; 0: none was */
	const struct uplink_ops *ops;
	void *arg;
};

extern const struct fleet_ops uplink_events; /* arg is the uplink */

static inline struct node_now uplink_now(void)
{
	return (struct node_now){clock_now_ms(), clock_wall_s()};
}

/* Do an action of the core. */
void uplink_fetch_run(struct uplink *uplink, const struct node_action *action);
void uplink_push_reply(struct uplink *uplink, const struct node_action *action);
/* NODE_FINISHED: nothing of its content is wanted any more; say how it ended. */
void uplink_finished(struct uplink *uplink, const struct node_action *action);

/* The meaning of the final outcome of a call for a FAB or an object. */
enum node_fetch uplink_meaning_of_part(enum outcome outcome);
/* Words for the core about something that the SuperLink did not give. */
void uplink_refused(
	const char *what, enum outcome outcome, const char *details, struct reason *why);

#endif
