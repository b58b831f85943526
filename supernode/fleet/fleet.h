/*
 * fleet: a node at its SuperLink: registers, keeps the heartbeat, asks for messages, pushes
 * replies; and registers again when the SuperLink has forgotten it. Main thread; callbacks come
 * from the loop, never from inside a function that was called.
 */
#ifndef FLWR_FLEET_FLEET_H
#define FLWR_FLEET_FLEET_H

#include "common/base/budget.h"
#include "common/base/log.h"
#include "common/base/reason.h"
#include "common/loop/loop.h"
#include "supernode/core/held_message.h"
#include "supernode/link/link.h"
#include "supernode/store/object_store.h"
#include "supernode/store/spool.h"

struct fleet;

struct fleet_ops;

struct fleet_options {
	/* The way to the SuperLink; fleet sets news and arg. key is an operator's, which somebody
	 * has registered at the SuperLink; NULL: a fresh key for each registration. */
	struct link_options link;
	const char *state_dir; /* keeps the node's number there, for SuperLinks that give it only
				  once to a key; copied; NULL: it is not kept */
	struct spool *spool;   /* for objects; borrowed, as budget */
	struct budget *budget; /* where objects on their way are reserved; NULL: nowhere */
	bool own_workers;      /* who hash large objects (object_set_skip_large_hashes()), and
				  refuse a message that is larger than the budget */
	int64_t poll_min_ms, poll_max_ms;
	const struct fleet_ops *ops;
	void *arg;
};

enum fleet_over {
	FLEET_OVER_TOLD,    /* by the SuperLink, to shut down */
	FLEET_OVER_LOST,    /* given up (--max-retries, --max-wait-time) */
	FLEET_OVER_REFUSED, /* a final refusal */
	FLEET_OVER_KEY      /* the operator's key, or the clock, at the first registration */
};

struct fleet_ops {
	void (*registered)(void *arg, uint64_t node_id);
	/* The SuperLink has forgotten the node (or told it to disconnect): calls at hand end with
	 * OUTCOME_CANCELLED; registering anew begins by itself. */
	void (*lost)(void *arg);
	/* Shall a message be asked for now? */
	bool (*wants_message)(void *arg);
	/* A message came; take it over: *message is empty afterwards. Control messages (reconnect)
	 * do not come here. Objects of it may be missing: then content() follows, with the number
	 * that is returned here, unless fleet_drop_content() is called inside; the numbers rise. 0:
	 * it is of no use. refused: it cannot be worked on, and that is why; else NULL. */
	uint64_t (*message)(void *arg, struct held_message *message, const char *refused);
	/* All objects of message are there (OUTCOME_OK); or they will not come (PERMISSION_DENIED:
	 * its run is over). Not called when the node is lost, or after fleet_drop_content(). */
	void (*content)(void *arg, uint64_t number, enum outcome outcome, const char *details);
	/* Instead of content(): they have no room in the memory budget, and no more of them come.
	 */
	void (*over_budget)(void *arg, uint64_t number, const char *details);
	/* The SuperLink, or who relays calls to it, wants this program to end as if it was asked to
	 * by its operator. Called once; fleet_stop() is next, when the messages at work are
	 * answered. */
	void (*told_to_end)(void *arg);
	/* Over for good. fleet_stop() is next. */
	void (*over)(void *arg, enum fleet_over over, const char *sentence);
};

/* 0 or -errno. Nothing is called before fleet_start(). */
int fleet_new(const struct fleet_options *options, struct fleet **out);
void fleet_start(struct fleet *fleet);

/* wants_message() may say something else now. */
void fleet_poke(struct fleet *fleet);

/* The objects of message number are not wanted any more, if they are still on their way. */
void fleet_drop_content(struct fleet *fleet, uint64_t number);

/*
 * Information on a run; retried as all calls are. run (to be taken over: the callee frees what it
 * owns) with OUTCOME_OK; OUTCOME_NOT_FOUND when the SuperLink knows no such run; other outcomes are
 * final: PERMISSION_DENIED: it is over; CANCELLED: lost or stopping. 0 or -ENOMEM (no callback).
 */
typedef void fleet_run_fn(
	void *arg, uint64_t run_id, enum outcome outcome, struct run *run, const char *details);
int fleet_get_run(struct fleet *fleet, uint64_t run_id, fleet_run_fn *done, void *arg);

/*
 * A FAB by hash. Outcomes as above; NOT_FOUND: the SuperLink has the run, but not its FAB. The
 * callee may empty content and verifications.
 */
struct fleet_fab {
	enum outcome outcome;
	const char *details;
	struct slices content;          /* not verified; empty but with OUTCOME_OK */
	struct value_map verifications; /* who has signed it (common/fab/trusted.h); empty before
					   1.23 */
};
typedef void fleet_fab_fn(void *arg, uint64_t run_id, struct fleet_fab *fab);
int fleet_get_fab(
	struct fleet *fleet, uint64_t run_id, const char *hash, fleet_fab_fn *done, void *arg);

/* Push a reply; a reply that the SuperLink dropped is OUTCOME_OK and logged. number is handed back.
 */
typedef void fleet_push_fn(void *arg, uint64_t number, enum outcome outcome, const char *details);
struct fleet_push {
	uint64_t number;
	const struct held_message *reply; /* borrowed; its bytes and objects are referenced */
	double runtime_s;                 /* from the worker's pull to its push */
	fleet_push_fn *done;
	void *arg;
};
int fleet_push(struct fleet *fleet, const struct fleet_push *push);

/* Registered, and the last heartbeat was answered within two intervals? */
bool fleet_is_online(const struct fleet *fleet);
/* For log lines and people: host:port; and "Flower-1.23-to-1.39", "" before it was found out. */
const char *fleet_superlink(const struct fleet *fleet);
const char *fleet_speaks(const struct fleet *fleet);
/* NULL before it was found. */
const struct transport_kind *fleet_transport(const struct fleet *fleet);

/* End: no more polls; pending calls are cancelled; the SuperLink is told, one try of at most 2 s
 * for each of the one or two calls that it takes; then done(arg), from the loop. */
void fleet_stop(struct fleet *fleet, void (*done)(void *arg), void *arg);
/* The same at once, in any state but after its done(): all calls are cancelled, and the SuperLink
 * is told nothing. */
void fleet_abandon(struct fleet *fleet, void (*done)(void *arg), void *arg);
void fleet_free(struct fleet *fleet); /* after done, or before fleet_start() */

#endif
