/*
 * node_internal: what the files of this folder share: messages, runs, FABs and the verbs that join
 * them. Main thread. Actions are not queued but follow from flags, so that deciding one never needs
 * memory.
 */
#ifndef FLWR_CORE_NODE_INTERNAL_H
#define FLWR_CORE_NODE_INTERNAL_H

#include "supernode/core/node.h"

/*
 * How far a message has come. The order matters: up to WAITING it waits for its run, from ANSWERED
 * on it has its reply, from SETTLED on it is over. Steps back: STARTED to OFFERED (a guest was lost
 * before its first pull), and PUSHING by way of REFUSED to ANSWERED, in one event.
 */
enum message_state {
	MESSAGE_COMING,    /* objects of its content are missing */
	MESSAGE_WAITING,   /* for its run's information or FAB */
	MESSAGE_READY,     /* for a slot */
	MESSAGE_OFFERED,   /* to the worker that asks first; process isolation only */
	MESSAGE_STARTED,   /* has a worker and a token */
	MESSAGE_WORKING,   /* its inputs were pulled */
	MESSAGE_RETURNING, /* its inputs were given up: outputs are on their way */
	MESSAGE_REFUSED,   /* the SuperLink does not take its reply: another takes the place */
	MESSAGE_ANSWERED,  /* its reply waits for the owner */
	MESSAGE_PUSHING,   /* its reply is with the owner */
	MESSAGE_FORSAKEN,  /* PUSHING, to a SuperLink that has forgotten this node */
	MESSAGE_SETTLED,   /* pushed or dropped; the owner has not been told how it ended */
	MESSAGE_REPORTED,  /* it goes when its worker is gone */
	MESSAGE_NSTATES
};

/* A message's worker. Every one but WORKER_NONE has a slot. */
enum worker_state {
	WORKER_NONE,
	WORKER_GUEST, /* one that came by itself, or will; it counts until the message is settled */
	WORKER_WANTED, /* the owner has to start it */
	WORKER_RUNNING,
	WORKER_UNWANTED, /* the owner has to stop it */
	WORKER_LEAVING   /* was told to stop, or has ended; not all of its processes are gone */
};

enum { TOKEN_TAIL = 15 }; /* words of 64 bits: with the token 256 hex digits */

struct message {
	struct message *next;
	uint64_t number;
	enum message_state state;
	enum worker_state worker;
	enum message_form form;
	struct held_message instruction; /* its content goes with the answer */
	uint64_t content_reserved;
	struct node_run *run;            /* NULL once the run is over */
	uint64_t token;                  /* 0: none; known, but spent, from the answer on */
	uint64_t token_tail[TOKEN_TAIL]; /* what follows it in its text */
	int64_t offered_ms;              /* OFFERED: since when */
	int64_t ttl_end_ms;
	int64_t work_end_ms; /* OFFERED: of the first question; STARTED: of the first pull; WORKING:
				of the reply; answered: of the worker */
	int64_t alive_end_ms;      /* at work: its worker must have said by then that it lives */
	bool beats;                /* its worker sends heartbeats */
	bool in_body;              /* its worker shows the token in bodies */
	int64_t pulled_ms;         /* WORKING: since when */
	double runtime_s;          /* from there to the reply */
	struct held_message draft; /* MESSAGE_OBJECTS: the reply as its worker has announced it */
	uint64_t draft_reserved;
	struct held_message reply;
	bool is_substitute; /* reply is an error in the place of one that was refused */
	uint64_t reply_reserved;
	struct envelope spare; /* an error reply for when there is no memory to make one */
	int64_t code;          /* how it ended, as NODE_FINISHED has it */
	struct reason why;     /* of a dropped one */
};

/*
 * A Context: state that the messages of a run, or of all runs of a series (1.31 and later), leave
 * for each other.
 */
struct held_context {
	struct held_context *next;
	bool of_series;
	uint64_t id;     /* of the series, or of the run */
	uint64_t run_id; /* whose bytes these are: another run of the series takes over the state
			    only */
	unsigned runs;   /* that point here */
	struct slices bytes;
	uint64_t reserved;
};

enum run_state {
	RUN_UNKNOWN, /* only its number is known */
	RUN_BARE,    /* its information is here, its FAB is not */
	RUN_READY,   /* all that a worker needs is here */
	RUN_BROKEN,  /* it can never be worked on: fail_code, fail */
	RUN_OVER     /* its messages are dropped, because of fail; it goes */
};

struct node_run {
	struct node_run *next;
	uint64_t run_id;
	enum run_state state;
	struct run info;
	unsigned messages; /* that point here */
	bool asking;       /* its information was asked for (also as a probe) */
	bool fab_asking;
	bool want_info, want_fab;     /* the owner has not been told yet */
	struct held_fab *fab;         /* NULL for good in a node without FABs */
	struct slices bytes;          /* the Run as a worker gets it */
	struct value_map config;      /* fused */
	struct held_context *context; /* from RUN_READY on; before, what its series has left */
	uint64_t reserved;            /* for bytes */
	int64_t probe_ms, probe_gap_ms;
	uint64_t served; /* grows with each start of the node: runs with lower ones are next */
	bool overlaps;   /* several of its messages were at work at once */
	bool want_overlap_told; /* the owner does not know it yet */
	/* Its waiting messages fail with this code when the node reconciles; 0: they do not. It
	 * lasts for a broken run only. */
	int64_t fail_code;
	struct reason fail; /* the sentence; of RUN_OVER: why it is over */
};

/* A FAB, shared by the runs that name its hash. */
struct held_fab {
	struct held_fab *next;
	unsigned refs;
	char *hash;
	struct slices bytes; /* the Fab as a worker gets it */
	uint64_t reserved;
	struct manifest manifest;
};

struct node {
	struct value_map node_config;
	unsigned slots;
	bool parallel_in_run;
	bool workers_come;
	bool without_fab;
	bool tells_ends;
	int64_t offer_ms;
	int64_t worker_timeout_ms;
	struct budget *budget;
	uint64_t (*random)(void *arg);
	void *random_arg;
	bool registered, closed, given_up;
	uint64_t node_id;
	uint64_t last_number;
	uint64_t last_served; /* of the run that was served last */
	struct reason give_up_why;
	struct message *messages; /* in the order in which they came */
	struct node_run *ended;   /* freed but for their ids, which the owner does not know yet */
	struct node_run *runs;
	struct held_fab *fabs;
	struct held_context *contexts;
};

/* ---- node.c ---- */

/*
 * The end of every event: moves each message as far as what is known allows, starts the next ones,
 * frees what nobody needs. Events themselves only note what has happened. A second call at once has
 * no effect.
 */
void node_reconcile(struct node *node, struct node_now now);

/* ---- queue.c ---- */

/* Does another message have to be answered before this one may be started? */
bool queue_blocks(const struct node *node, const struct message *message);
/* A new run has its turn behind all that wait, but for the one that was served last. */
void queue_join(const struct node *node, struct node_run *run);
/* Start what is READY and may be started, as far as there are slots. */
void queue_start(struct node *node, struct node_now now);
/* Has a slot nothing to do, and may more messages be held? */
bool queue_wants(const struct node *node);

/* ---- message.c ---- */

struct message *message_find(const struct node *node, uint64_t number);
/* Forget what a worker has announced as its reply. */
void message_draft_done(struct node *node, struct message *message);
/* Answer with an error (no effect on one that is answered), stop its worker. */
void message_fail(struct node *node, struct message *message, struct node_now now, int64_t code,
	const char *reason);
/* Answer with what a worker made: reply is taken over, with the reserved bytes of its content. */
void message_answer(struct node *node, struct message *message, struct node_now now,
	struct held_message *reply, uint64_t reserved);
/* Settle without a reply, unless it is settled or its reply is being pushed. */
void message_drop(struct node *node, struct message *message, struct node_now now, const char *why);
/* Drop, or if being pushed: settle with the end of the push, however it ends. */
void message_node_lost(
	struct node *node, struct message *message, struct node_now now, const char *why);
/* Give it a worker: one that is to be started, or that comes by itself. */
void message_start(struct node *node, struct message *message, struct node_now now);
void message_free(struct node *node, struct message *message);
void message_tick(struct node *node, struct message *message, struct node_now now);
/* CLOCK_NEVER: no deadline. */
int64_t message_next_ms(const struct message *message);

/* ---- run.c ---- */

/* The run of that number, which is made if need be, for one more message. 0 or -ENOMEM. */
int node_run_join(struct node *node, uint64_t run_id, struct node_run **out);
/* A message of it is gone. */
void node_run_leave(struct node_run *run);
/* Do what it needs next for a message that waits. */
void node_run_advance(struct node *node, struct node_run *run);
/* Nobody needs it, and no answer will come for it. */
bool node_run_is_useless(const struct node_run *run);
/* The run is over: its messages without a reply are dropped, then it is freed. */
void node_run_over(struct node_run *run, const char *why);
/* A message of the run was settled: the wait until the next probe begins anew. */
void node_run_used(struct node_run *run, struct node_now now);
void node_run_free(struct node *node, struct node_run *run);
void node_run_tick(struct node_run *run, struct node_now now);
int64_t node_run_next_ms(const struct node_run *run);

/* ---- held_fab.c ---- */

/* Another reference to the FAB of that hash; NULL: not there. */
struct held_fab *held_fab_ref(const struct node *node, const char *hash);
/* A new one, with one reference; content and manifest are taken over with 0. -EDQUOT (over the
 * budget) or -ENOMEM, with a sentence. */
int held_fab_new(
	struct node *node, struct checked_fab *checked, struct held_fab **out, struct reason *why);
void held_fab_unref(struct node *node, struct held_fab *fab);

/* ---- context.c ---- */

/* Do what budget_reserve() does, with a sentence: "<what> of 5 bytes do not fit into the memory
 * budget ...". Contexts that are kept in case that a series goes on give way. */
int node_reserve(struct node *node, uint64_t bytes, const char *what, struct reason *why);
/* Release *reserved, 0 afterwards. */
void node_release(struct node *node, uint64_t *reserved);

/* Have the run point to what its series has left, if that is there: it is not forgotten then. */
void context_join(const struct node *node, struct node_run *run);
/*
 * Make what a worker is given of a run: Run, and a first Context with its fused configuration. 0;
 * -EINVAL: the configuration cannot be fused; -EDQUOT; -ENOMEM; each with a sentence.
 */
int context_prepare(struct node *node, struct node_run *run, struct reason *why);
/* The Context as a worker of this run gets it: references, appended to *out. 0, -ENOMEM. */
int context_get(const struct node *node, const struct node_run *run, struct slices *out);
/* Check that a Context is that run's and this node's. 0; -EBADMSG, -EMSGSIZE, -ENOMEM. */
int context_check(
	const struct node *node, const struct message *message, struct given_context *context);
/* Replace the run's Context; context is taken over, and reserved bytes with it. */
void context_replace(
	struct node *node, struct node_run *run, struct slices *context, uint64_t reserved);
/* The run is over. What belongs to a series is kept for its next run. */
void context_leave(struct node *node, struct node_run *run);
/* Forget all that no run points to. */
void contexts_drop_unused(struct node *node);

/* ---- token.c ---- */

/* Give message a token that no other has. 0 or -EAGAIN (the random numbers are none). */
int token_issue(const struct node *node, struct message *message);
/* The message of a token, spent or not; NULL: no such one. Constant time in the token. */
struct message *token_find(const struct node *node, uint64_t token);

/* Has the worker pulled the inputs, and is there no reply yet? */
static inline bool message_is_pulled(const struct message *message)
{
	return message->state == MESSAGE_WORKING || message->state == MESSAGE_RETURNING;
}

/* May a worker speak for the message? */
static inline bool message_at_work(const struct message *message)
{
	return message->state == MESSAGE_STARTED || message_is_pulled(message);
}

/* A reply was announced. */
static inline bool message_has_draft(const struct message *message)
{
	return message->draft.envelope.has_content || message->draft.envelope.has_error;
}

#endif
