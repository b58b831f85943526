/*
 * fleet: a node at its SuperLink: registers, keeps the heartbeat, asks for messages, pushes
 * replies; and registers again when the SuperLink has forgotten it. Main thread; callbacks come
 * from the loop, never from inside a function that was called.
 */
#ifndef FLWR_FLEET_FLEET_H
#define FLWR_FLEET_FLEET_H

#include "common/base/log.h"
#include "common/base/reason.h"
#include "common/loop/loop.h"
#include "common/message/envelope.h"
#include "supernode/fleet/retry.h"
#include "supernode/fleet/transport.h"

#define HEARTBEAT_INTERVAL_S 30.0
#define HEARTBEAT_TIMEOUT_MS 5000

struct fleet;

struct fleet_options {
	const char *superlink; /* for log lines */
	struct retry_policy retry;
	int64_t poll_min_ms, poll_max_ms;
	double (*random01)(void *arg); /* in [0, 1) */
	void *random_arg;
};

struct fleet_ops {
	void (*registered)(void *arg, uint64_t node_id);
	/* The SuperLink has forgotten the node (or told it to disconnect): calls at hand end with
	 * OUTCOME_CANCELLED; registering anew begins by itself. */
	void (*lost)(void *arg);
	/* Shall a message be asked for now? */
	bool (*wants_message)(void *arg);
	/* A message came; take it over (envelope_done() it: what stays in *message is not freed
	 * here). Control messages (reconnect) do not come here. */
	void (*message)(void *arg, struct envelope *message);
	/* Over for good: given up (--max-retries, --max-wait-time), told to shut down (error
	 * false), or a final refusal. fleet_stop() is next. */
	void (*over)(void *arg, bool error, const char *sentence);
};

/* transport is taken over, on failure too. 0 or -errno. Nothing is called before fleet_start(). */
int fleet_new(struct loop *loop, struct log *log, struct transport *transport,
	const struct fleet_options *options, const struct fleet_ops *ops, void *arg,
	struct fleet **out);
void fleet_start(struct fleet *fleet);

/* wants_message() may say something else now. */
void fleet_poke(struct fleet *fleet);

/*
 * Information on a run; retried as all calls are. run (to be taken over: the callee frees what it
 * owns) with OUTCOME_OK; OUTCOME_NOT_FOUND when the SuperLink knows no such run; other outcomes are
 * final: PERMISSION_DENIED: it is over; CANCELLED: lost or stopping. 0 or -ENOMEM (no callback).
 */
typedef void fleet_run_fn(
	void *arg, uint64_t run_id, enum outcome outcome, struct run *run, const char *details);
int fleet_get_run(struct fleet *fleet, uint64_t run_id, fleet_run_fn *done, void *arg);

/* A FAB by hash; content (to be taken over, as run above) is not verified. Outcomes as above. */
typedef void fleet_fab_fn(void *arg, uint64_t run_id, enum outcome outcome, struct slices *content,
	const char *details);
int fleet_get_fab(
	struct fleet *fleet, uint64_t run_id, const char *hash, fleet_fab_fn *done, void *arg);

/* Push a reply (borrowed; its bytes are referenced until done). A reply that the SuperLink dropped
 * is OUTCOME_OK and logged. number is handed back. */
typedef void fleet_push_fn(void *arg, uint64_t number, enum outcome outcome, const char *details);
int fleet_push(struct fleet *fleet, uint64_t number, const struct envelope *reply,
	fleet_push_fn *done, void *arg);

/* End: no more polls; pending calls are cancelled; DeleteNode, one try of at most 2 s; then
 * done(arg), from the loop. */
void fleet_stop(struct fleet *fleet, void (*done)(void *arg), void *arg);
void fleet_free(struct fleet *fleet); /* after done, or before fleet_start() */

#endif
