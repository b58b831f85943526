/*
 * node: what a SuperNode knows, as a pure core: messages, runs, FABs, contexts, tokens. Events go
 * in, actions come out; time and randomness are arguments; no I/O, no processes, no protocol. Main
 * thread.
 *
 * A message's life:
 *   WAITING (for its run's information, its FAB) -> READY (for a slot) -> STARTED (a worker was
 * started, has a token; with process isolation first OFFERED, until a worker asks)
 *   -> WORKING (its inputs were pulled) -> ANSWERED (its one reply is queued or being pushed) ->
 * freed, when the reply is settled and the slot is free again. message_finish() in message.c is the
 * only way into ANSWERED.
 */
#ifndef FLWR_NODE_NODE_H
#define FLWR_NODE_NODE_H

#include "common/base/budget.h"
#include "common/base/outcome.h"
#include "common/base/reason.h"
#include "common/fab/fab.h"
#include "common/message/envelope.h"
#include "common/message/instruction_codec.h"

#include <stdbool.h>
#include <stdint.h>

/* A run's information is asked for again after so long without a message, to learn whether it is
 * over; doubled each time. */
#define NODE_RUN_PROBE_MS     60000
#define NODE_RUN_PROBE_MAX_MS 3600000
/* A worker's first pull after its start. */
#define NODE_WORKER_READY_MS 120000
/* From a message's answer to the end of its worker; then that is stopped, since it holds the slot.
 */
#define NODE_WORKER_LEAVE_MS 60000

struct node;

struct node_options {
	const struct value_map *node_config; /* copied */
	unsigned slots;                      /* messages worked on at a time; 1 for now */
	bool workers_come; /* process isolation: workers are not started, they ask for messages */
	int64_t offer_ms;  /* how long a message waits for a worker to ask; 0: the ttl bounds it */
	int64_t worker_timeout_ms; /* from the first pull to the reply; 0: only the message's ttl
				      bounds it */
	struct budget *budget;     /* borrowed */
	uint64_t (*random)(void *arg); /* tokens; must be unpredictable */
	void *random_arg;
};

/* What an event gives in is at this moment. */
struct node_now {
	int64_t ms;    /* CLOCK_BOOTTIME */
	double wall_s; /* for created_at */
};

/* NULL on no memory. */
struct node *node_new(const struct node_options *options);
void node_free(struct node *node);

/* ---- actions: what the owner has to do, in order; ask after each event until there is none ----
 */

enum node_action_kind {
	NODE_FETCH_RUN, /* run_id -> node_run_fetched() */
	NODE_FETCH_FAB, /* run_id, fab_hash; get, verify, read its manifest -> node_fab_fetched() */
	NODE_START_WORKER, /* message, token -> node_worker_ended() and node_worker_gone() in the
			      end */
	NODE_STOP_WORKER,  /* message: its work is of no use any more */
	NODE_PUSH_REPLY,   /* message, reply -> node_reply_pushed() */
	NODE_FINISHED, /* message: for the log: how it ended. code 0: an ordinary reply; -1: dropped
			  without one, text says why */
	NODE_ACTION_N
};

struct node_action {
	enum node_action_kind kind;
	uint64_t message; /* the node's own number of the message, never reused */
	uint64_t run_id;
	uint64_t token;
	const char *fab_hash;         /* borrowed until the next event */
	const struct envelope *reply; /* borrowed until node_reply_pushed() */
	int64_t code;                 /* FINISHED */
	const char *text;             /* FINISHED; borrowed until the next event */
};

/* 1 and the next action in *out; 0: none. */
int node_next_action(struct node *node, struct node_action *out);

/* ---- towards the SuperLink ---- */

/* Registered as node_id (again with another one: everything of before is dropped, as by
 * node_lost()). */
void node_registered(struct node *node, struct node_now now, uint64_t node_id);
/* The SuperLink has forgotten this node, and with it all runs: messages are dropped, workers
 * stopped, contexts freed. */
void node_lost(struct node *node, struct node_now now);
/* Stopping: wants no more messages. Those at hand go on until node_give_up(). */
void node_close(struct node *node);
/* Answer every message that has no reply yet with error 8 and this sentence; stop their workers. */
void node_give_up(struct node *node, struct node_now now, const char *reason);

/* Shall the SuperLink be asked for a message? (registered, not closed, fewer messages without a
 * settled reply than slots: the next one is fetched while the last one's processes end) */
bool node_wants_message(const struct node *node);

/*
 * A message was pulled (taken over, empty afterwards). 0; -ENOMEM: it could not even be recorded
 * (the owner logs it). What cannot be worked on (no content, addressed to another node, over the
 * budget) is answered with an error at once.
 */
int node_message(struct node *node, struct node_now now, struct envelope *message);

enum node_fetch {
	NODE_FETCHED,
	NODE_RUN_OVER,     /* PERMISSION_DENIED, NOT_FOUND: its messages are dropped, it is freed */
	NODE_FETCH_REFUSED /* of no use: error reply (code 7 for a FAB, 8 for a run) with the
			      sentence */
};

/* run is taken over (with NODE_FETCHED). Unknown run_id is ignored. */
void node_run_fetched(struct node *node, struct node_now now, uint64_t run_id,
	enum node_fetch fetch, struct run *run, const char *reason);
/* content and manifest are taken over (with NODE_FETCHED): verified, so that manifest is what the
 * FAB says. */
void node_fab_fetched(struct node *node, struct node_now now, uint64_t run_id,
	enum node_fetch fetch, struct slices *content, struct manifest *manifest,
	const char *reason);

enum node_push {
	NODE_PUSHED,       /* delivered (or dropped by the SuperLink: the same for us) */
	NODE_PUSH_OVER,    /* the run is over: the reply is dropped */
	NODE_PUSH_REFUSED, /* too large, or unreadable, for the SuperLink: an error reply with this
			      sentence is pushed instead, once */
	NODE_PUSH_FAILED   /* given up: dropped */
};

void node_reply_pushed(struct node *node, struct node_now now, uint64_t message,
	enum node_push push, const char *reason);

/* ---- towards the worker API (dialect 1); statuses as Flower 1.15.2 gives them ---- */

/*
 * GetToken: hand out the token of a message that is offered. OUTCOME_OK or
 * OUTCOME_FAILED_PRECONDITION; *details_out is a static sentence.
 */
enum outcome node_get_token(
	struct node *node, struct node_now now, uint64_t *token_out, const char **details_out);

/*
 * PullClientAppInputs. OUTCOME_OK: references in *out (empty before), the caller's; again with the
 * same live token: the same. FAILED_PRECONDITION: nothing is at work, or this token's message is
 * answered; INVALID_ARGUMENT: not a token of a message at work; RESOURCE_EXHAUSTED: no memory.
 */
enum outcome node_pull_inputs(struct node *node, struct node_now now, uint64_t token,
	struct instruction_inputs *out, const char **details_out);

/*
 * PushClientAppOutputs. outputs is taken over with OUTCOME_OK only. Reply metadata is made by the
 * node, whatever the worker says (but its ttl, bounded). FAILED_PRECONDITION: nothing at work,
 * inputs were not pulled, or already answered; INVALID_ARGUMENT: another token, broken bytes,
 * neither or both of content and error, a context of another run or node; RESOURCE_EXHAUSTED: over
 * the budget (then answered with an error reply).
 */
enum outcome node_push_outputs(struct node *node, struct node_now now,
	struct instruction_outputs *outputs, const char **details_out);

/* The outputs of message begin to arrive: its inputs are needed no more, and one that asks for them
 * all the same has failed. So a message and its reply are never held both. */
void node_outputs_coming(struct node *node, uint64_t message);

/* Is there a live token whose inputs were pulled (a push with content may come)? Before a body is
 * received. */
bool node_expects_outputs(const struct node *node);
/* Is token one of a message at work? Constant time. *message_out is its number. */
bool node_token_live(const struct node *node, uint64_t token, uint64_t *message_out);

/* ---- towards processes ---- */

/* The worker of message has ended, or could not be started. Without a reply so far: error reply
 * with code and reason. */
void node_worker_ended(
	struct node *node, struct node_now now, uint64_t message, int64_t code, const char *reason);
/* All of its processes are gone: the slot is free. */
void node_worker_gone(struct node *node, struct node_now now, uint64_t message);

/*
 * The worker that came for message has gone away without an answer. Before it pulled the inputs:
 * the message is offered again, with another token; later: error reply with reason.
 */
void node_worker_lost(struct node *node, struct node_now now, uint64_t message, const char *reason);

/* ---- time ---- */

/* When node_tick() is due at the latest; CLOCK_NEVER: not at all. */
int64_t node_next_ms(const struct node *node);
/* Deadlines: ttl, worker timeout, first pull, probes of idle runs. */
void node_tick(struct node *node, struct node_now now);

/* ---- for log lines and tests ---- */

struct node_counts {
	unsigned messages, runs, fabs, contexts, tokens;
};

struct node_counts node_count(const struct node *node);
/* Is message (a number of the node's) at work, its token of use? */
bool node_message_live(const struct node *node, uint64_t message);
/* The number of the oldest message that is offered, and since when; 0: none is. */
uint64_t node_offered(const struct node *node, int64_t *since_ms_out);

/* "run_id=123 message_id=4f.. type=train group=3" of a message at hand into text; "" when there is
 * none of that number. */
void node_describe(const struct node *node, uint64_t message, char *text, size_t bytes);

#endif
