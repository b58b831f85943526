/*
 * node: what a SuperNode knows, as a pure core: messages, runs, FABs, contexts, tokens. Events go
 * in, actions come out; time and randomness are arguments; no I/O, no processes, no protocol. Main
 * thread.
 *
 * A message's life:
 *   COMING (its objects are missing) -> WAITING (for its run's information and FAB) -> READY (for a
 * slot) -> STARTED (a worker was started, has a token; with process isolation first OFFERED, until
 * a worker asks) -> WORKING (its inputs were pulled) -> ANSWERED (its one reply is queued) ->
 * PUSHING -> SETTLED -> freed, when the owner knows how it ended and the slot is free again.
 * message_finish() in message.c is the only way into ANSWERED. Events note what has happened;
 * node_reconcile() in node.c then moves every message as far as that allows.
 */
#ifndef FLWR_CORE_NODE_H
#define FLWR_CORE_NODE_H

#include "common/app/checked_fab.h"
#include "common/base/budget.h"
#include "common/base/outcome.h"
#include "common/base/reason.h"
#include "common/message/instruction_codec.h"
#include "supernode/core/held_message.h"

#include <stdbool.h>
#include <stdint.h>

/* A run's information is asked for again after so long without a message, to learn whether it is
 * over; doubled each time. */
#define NODE_RUN_PROBE_MS     60000
#define NODE_RUN_PROBE_MAX_MS 3600000
/* A worker's first pull after its start. */
#define NODE_WORKER_READY_MS 120000
/* Workers that come for messages that are objects, as Flower's nodes have it: so long from the
 * claim to the first pull or heartbeat, and from a heartbeat to the next. */
#define NODE_CLAIM_MS     30000
#define NODE_HEARTBEAT_MS 60000
/* A worker has this time to end after its message was answered; then it is stopped, since it
 * holds the slot. */
#define NODE_WORKER_LEAVE_MS 60000

/* Messages that are held beside those in slots: they wait for another one of their run. A node that
 * took none of them would never see what lies behind them at the SuperLink, of another run. */
#define NODE_AHEAD_MAX 32

struct node;

/* Contexts of run series without a run at hand that are kept, those that were left last; fewer,
 * when the budget has no room for what is needed. */
#define NODE_SERIES_MAX 256

/* How a message's content travels: which decides how workers ask for it. */
enum message_form {
	MESSAGE_INLINE, /* Flower 1.15 - 1.18: worker API dialect 1 */
	MESSAGE_OBJECTS /* 1.20 and later: it has objects; dialect 6 */
};

struct node_options {
	const struct value_map *node_config; /* copied */
	unsigned slots;                      /* messages worked on at a time */
	bool parallel_in_run; /* messages of one run are worked on at once; the Context of the last
				 one to be answered stays */
	bool workers_come; /* process isolation: workers are not started, they ask for messages */
	bool without_fab;  /* apps are the owner's own: FABs are not asked for, and a run's
			      configuration is what was set for the run */
	bool tells_ends;   /* NODE_RUN_ENDED is wanted */
	int64_t offer_ms;  /* how long a message waits for a worker to ask; 0: the ttl bounds it */
	int64_t worker_timeout_ms; /* from the first pull to the reply; 0: only the message's ttl
				      bounds it */
	struct budget *budget;     /* borrowed */
	uint64_t (*random)(void *arg); /* tokens; must be unpredictable */
	void *random_arg;
};

/* The moment of an event. */
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
	NODE_RUN_OVERLAPS, /* run_id, for the log: several messages of it are at work; once a run */
	NODE_RUN_ENDED,    /* run_id, with tells_ends: it is over, its workers are gone */
	NODE_START_WORKER, /* message, token, form -> node_worker_ended() and node_worker_gone() in
			      the end */
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
	enum message_form form;           /* of the message */
	const char *fab_hash;             /* borrowed until the next event */
	const struct held_message *reply; /* borrowed until node_reply_pushed() */
	double runtime_s; /* PUSH_REPLY: from the worker's pull to its push; 0 when there was none
			   */
	int64_t code;     /* FINISHED */
	const char *text; /* FINISHED; borrowed until the next event or action */
};

/* 1 and the next action in *out; 0: none. */
int node_next_action(struct node *node, struct node_action *out);

/* ---- towards the SuperLink ---- */

/* Registered as node_id (again with another one: everything of before is dropped, as by
 * node_lost()). */
void node_registered(struct node *node, struct node_now now, uint64_t node_id);
/* The SuperLink has forgotten this node, and with it all runs: messages are dropped, workers
 * stopped, contexts freed; those of series are kept in case that the node gets its old number
 * again. */
void node_lost(struct node *node, struct node_now now);
/* Stopping: wants no more messages. Those at hand go on until node_give_up(). */
void node_close(struct node *node);
/* Answer every message that has no reply yet with error 8 and this sentence; stop their workers. */
void node_give_up(struct node *node, struct node_now now, const char *reason);

/* Shall the SuperLink be asked for a message? (registered, not closed, and a slot would have
 * nothing to do: the next one is fetched while the last one's processes end. Messages that wait
 * for others of their run do not count, as long as there are not too many of them, nor too large
 * ones.) */
bool node_wants_message(const struct node *node);

/*
 * A message was pulled (taken over, empty afterwards). 0; -ENOMEM: it could not even be recorded
 * (the owner logs it). What cannot be worked on (no content, addressed to another node, over the
 * budget) is answered with an error at once. Of a message in the form of objects some may still be
 * missing: it waits for node_content(). *number_out (may be NULL) is the node's number of it.
 * refused (may be NULL): why it cannot be worked on: error reply with code 3.
 */
int node_message(struct node *node, struct node_now now, struct held_message *message,
	const char *refused, uint64_t *number_out);

enum node_fetch {
	NODE_FETCHED,
	NODE_RUN_OVER, /* PERMISSION_DENIED, NOT_FOUND: its messages are dropped, it is freed */
	NODE_FETCH_REFUSED,  /* of no use: error reply (code 7 for a FAB, 8 for a run) with the
				sentence */
	NODE_FETCH_TOO_LARGE /* of objects only: over the memory budget */
};

/* The objects of message are all there (NODE_FETCHED), or will not come: error reply with code 3,
 * or 8 with NODE_FETCH_TOO_LARGE, and the sentence. */
void node_content(struct node *node, struct node_now now, uint64_t message, enum node_fetch fetch,
	const char *reason);

/* The end of a fetch for a run. */
struct node_fetched {
	uint64_t run_id; /* an unknown one is ignored */
	enum node_fetch fetch;
	const char *reason; /* unless NODE_FETCHED */
};

/* run is taken over (with NODE_FETCHED; else it may be NULL). */
void node_run_fetched(struct node *node, struct node_now now, const struct node_fetched *fetched,
	struct run *run);
/* fab is taken over; NULL: none came. When the run names another hash by now, the FAB is asked for
 * again. */
void node_fab_fetched(struct node *node, struct node_now now, const struct node_fetched *fetched,
	struct checked_fab *fab);

enum node_push {
	NODE_PUSHED,       /* delivered (or dropped by the SuperLink: the same for us) */
	NODE_PUSH_OVER,    /* the run is over: the reply is dropped */
	NODE_PUSH_REFUSED, /* too large, or unreadable, for the SuperLink: an error reply with this
			      sentence is pushed instead, once */
	NODE_PUSH_FAILED   /* given up: dropped */
};

void node_reply_pushed(struct node *node, struct node_now now, uint64_t message,
	enum node_push push, const char *reason);

/* ---- towards the worker API: who may speak for which message ---- */

/* A message at work, as the functions below take it; borrowed until the next event. */
struct message;

/* The one of this token; NULL: it is of none that is at work. Constant time in the tokens. */
struct message *node_message_of(const struct node *node, uint64_t token);

#define NODE_TOKEN_TEXT_BYTES 257 /* 256 hex digits and NUL */

/* The same of a token as dialects from 2 on write it. */
struct message *node_message_of_text(const struct node *node, const char *text);
/* Write the text of a token. False: the token is not known. */
bool node_token_text(const struct node *node, uint64_t token, char out[NODE_TOKEN_TEXT_BYTES]);

/*
 * The one of this token and in this form, with the statuses of Flower 1.15.2. OUTCOME_OK;
 * FAILED_PRECONDITION: nothing is at work, or this token's message is answered; INVALID_ARGUMENT:
 * not a token of a message at work. *details_out, here and below, is a static sentence.
 */
enum outcome node_find_message(const struct node *node, uint64_t token, enum message_form form,
	struct message **out, const char **details_out);

uint64_t node_message_number(const struct message *message);
uint64_t node_message_token(const struct message *message);
enum message_form node_message_form(const struct message *message);

/* ---- for workers that come by themselves ---- */

/* GetToken: hand out the token of an inline message that is offered. OUTCOME_OK or
 * OUTCOME_FAILED_PRECONDITION. */
enum outcome node_get_token(
	struct node *node, struct node_now now, uint64_t *token_out, const char **details_out);
/* ClaimTask: the token of message, if it is offered (node_offered()) and in the form of objects.
 * false: it is not. */
bool node_claim(struct node *node, struct node_now now, uint64_t message, uint64_t *token_out);

/* The run that message is of; 0: no message of that number is at hand. */
uint64_t node_run_of(const struct node *node, uint64_t message);
/* The oldest message of this run that is offered, in the form of objects; 0: none is. */
uint64_t node_offered_of_run(const struct node *node, uint64_t run_id);
/* GetRun: a Run as workers get it; borrowed until the next event. NULL: no run of that number is
 * here with all that a worker needs. */
const struct slices *node_run_bytes(const struct node *node, uint64_t run_id);

/* ---- what a worker asks for and hands back ---- */

/* The outputs of message begin to arrive, or its worker has confirmed that it has the inputs: these
 * are needed no more, and one that asks for them all the same has failed. So a message and its
 * reply are never held both. No effect before the inputs were pulled. */
void node_outputs_coming(struct node *node, struct message *message);

/*
 * PullClientAppInputs, of an inline message. OUTCOME_OK: references in *out (empty before), the
 * caller's; again: the same. FAILED_PRECONDITION: after node_outputs_coming(); RESOURCE_EXHAUSTED:
 * no memory.
 */
enum outcome node_pull_inputs(struct node *node, struct node_now now, struct message *message,
	struct instruction_inputs *out, const char **details_out);

/*
 * PushClientAppOutputs; the message is that of the token in outputs, which are taken over with
 * OUTCOME_OK only. Reply metadata is made by the node, whatever the worker says (but its ttl,
 * bounded). The Context was checked; only whose it is is looked at here. FAILED_PRECONDITION:
 * nothing at work, inputs were not pulled, or already answered; INVALID_ARGUMENT: another token,
 * broken bytes, neither or both of content and error, a context of another run or node;
 * RESOURCE_EXHAUSTED: over the budget (then answered with an error reply).
 */
enum outcome node_push_outputs(struct node *node, struct node_now now,
	struct instruction_outputs *outputs, const char **details_out);

/* The worker of message, which is objects, shows its token in bodies (dialects 2 - 4), as those of
 * inline messages do. */
void node_token_in_body(struct message *message);

/* The token of message number i (from 0) of those that node_expects_outputs() is about, whose
 * workers have come by themselves and send heartbeats; 0: there are no more. */
uint64_t node_token_of_bodies(const struct node *node, size_t i);

/* Is there a message whose inputs were pulled, and whose worker shows the token in bodies (a push
 * with content may come)? Before a body is received. */
bool node_expects_outputs(const struct node *node);

/*
 * A worker that has come by itself says that it lives, or asks for its inputs in a dialect in which
 * it has to say so: from now on it must within NODE_HEARTBEAT_MS each, else its message is offered
 * again (before the pull) or answered with an error. No effect on others, whose end is seen.
 */
void node_heartbeat(struct node *node, struct node_now now, struct message *message);

/* The inputs of a task without its message. The caller owns the references. */
struct task_inputs {
	bool again; /* they were pulled before */
	struct slices context;
	struct slices run;
	struct slices fab; /* empty: the node is without FABs */
};

void task_inputs_done(struct task_inputs *inputs);

/* PullTaskInput, of a message that is objects. As node_pull_inputs(), but FAILED_PRECONDITION has
 * no other effect. */
enum outcome node_pull_task(struct node *node, struct node_now now, struct message *message,
	struct task_inputs *out, const char **details_out);

/* PullMessages: the instruction, its objects in it; borrowed until the next event. NULL before
 * node_pull_task() and after node_outputs_coming(). */
const struct held_message *node_instruction(const struct message *message);

/*
 * PushMessages: what the reply will be: an error, or content whose objects come into
 * reply->objects. Taken over with OUTCOME_OK; in the place of one that was begun before.
 * FAILED_PRECONDITION: the inputs were not pulled; INVALID_ARGUMENT: content is one object below
 * the root of reply->objects, else it could not be sent on.
 */
enum outcome node_reply_begin(struct node *node, struct node_now now, struct message *message,
	struct held_message *reply, const char **details_out);
/* The set that takes the objects of a reply that was begun; borrowed; NULL: the reply has no
 * objects. */
struct object_set *node_reply_objects(const struct message *message);
/*
 * PushTaskOutput: reply and Context in one step; context is taken over with OUTCOME_OK; an empty
 * one leaves it as it was. FAILED_PRECONDITION: no reply was begun, or objects of it are missing;
 * the others as node_push_outputs().
 */
enum outcome node_push_task(struct node *node, struct node_now now, struct message *message,
	struct given_context *context, const char **details_out);

/* ---- towards processes ---- */

/* The worker of message has ended, or could not be started. Without a reply so far: error reply
 * with code and reason. */
void node_worker_ended(
	struct node *node, struct node_now now, uint64_t message, int64_t code, const char *reason);
/* Every process of the worker is gone: the slot is free. */
void node_worker_gone(struct node *node, struct node_now now, uint64_t message);

/*
 * The worker that came for message has gone away without an answer. Before it pulled the inputs:
 * the message is offered again, with another token; later: error reply with reason.
 */
void node_worker_lost(struct node *node, struct node_now now, uint64_t message, const char *reason);

/* ---- time ---- */

/* The time at which node_tick() is due; CLOCK_NEVER: it is not. */
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
/* The number of the oldest message of this form that is offered, and since when; 0: none is. */
uint64_t node_offered(const struct node *node, enum message_form form, int64_t *since_ms_out);

/* "run_id=123 message_id=4f.. type=train group=3" of a message at hand into text; "" when there is
 * none of that number. */
void node_describe(const struct node *node, uint64_t message, char *text, size_t bytes);

#endif
