/*
 * fleet_internal: what the files of this folder share about one node's conversation with its
 * SuperLink. Main thread. Private to this folder; knows no transport. What the dialects have in
 * common is written once (fleet.c, join.c, heartbeat.c, poll.c, errand.c); how contents travel is
 * contents_inline.c (A) and contents_objects.c (B, C).
 */
#ifndef FLWR_FLEET_FLEET_INTERNAL_H
#define FLWR_FLEET_FLEET_INTERNAL_H

#include "common/base/pace.h"
#include "common/fab/fab.h"
#include "common/objects/object_tree.h"
#include "supernode/fleet/connector.h"
#include "supernode/fleet/fleet.h"

#include <sys/queue.h>

#define FLOW_CALL_TIMEOUT_MS  30000
#define FLOW_LEAVE_TIMEOUT_MS 2000
#define FLOW_CLOSE_PULL_MS                                                                         \
	1000 /* a pull that is out when the node stops may still bring a message */
#define FLOW_CLOSE_PUSH_MS 2000  /* for the reply to it */
#define FLOW_STABLE_MS     10000 /* lost again sooner after a registration: back-off */
#define FLOW_LINE_MS       10000 /* between warnings about failing calls */

#define FLOW_ONLINE_MS                                                                             \
	(2 * 30000 + 10000) /* a node that has not said goodbye counts as online: two heartbeat    \
				 intervals, and a little more */
/* Between tries when what a peer says is waited out, and between lines about it. */
#define FLOW_SLOW_MS        50000
#define FLOW_SLOW_VARIES_MS 20000
#define FLOW_SLOW_LINE_MS   (3600 * 1000)
#define FLOW_LONG_BYTES     (1 << 20) /* of a request that takes a young signature */
#define FLOW_FIND_GAP_MS    1000      /* between two looks at what a failing SuperLink speaks now */

/* What an answer may have, by its call. */
#define FLOW_CONTROL_ANSWER_BYTES (64 << 10) /* a number, a yes */
#define FLOW_RUN_ANSWER_BYTES     (4 << 20)  /* a run, with its configuration */
#define FLOW_TREE_ANSWER_BYTES                                                                     \
	((uint64_t)OBJECT_TREE_BYTES_MAX + (1 << 20)) /* a message without content */
#define FLOW_FAB_ANSWER_BYTES    ((uint64_t)FAB_RECEIVED_MAX_BYTES + (1 << 20))
#define FLOW_OBJECT_ANSWER_BYTES (((uint64_t)64 << 20) + 1024)

/* What Flower 1.25 says, as UNKNOWN, of an object that is not there yet: it counts the bytes of the
 * answer, and stumbles over none. */
#define FLOW_NOT_YET "Both bytes_sent and bytes_recv cannot be zero"

enum fleet_state {
	FLEET_NEW,
	FLEET_REGISTERING, /* join.c */
	FLEET_ONLINE,
	FLEET_CLOSING,  /* stopping: waits for a pull (or a registration) that is out, and for the
			   reply to what it brought */
	FLEET_DRAINING, /* every call was cancelled; when all are home, `next` follows */
	FLEET_LEAVING,  /* the SuperLink is being told; `next` follows */
	FLEET_AWAY,     /* was told to come back later */
	FLEET_OVER,     /* fleet_stop() is awaited */
	FLEET_ENDED
};

enum fleet_next {
	NEXT_REGISTER, /* the node is forgotten: anew */
	NEXT_AWAY,     /* leave, wait, register */
	NEXT_OVER,
	NEXT_END /* leave if there is a node, then the owner's done() */
};

enum join_step {
	JOIN_FIND,     /* what listens there */
	JOIN_REGISTER, /* C; with an operator's key that was done by somebody else */
	JOIN_ACTIVATE, /* C */
	JOIN_CREATE,   /* A, B */
	JOIN_TELL,     /* A or B? a heartbeat tells */
	JOIN_PING      /* that of A, when it did not */
};

/* How contents travel, and what the calls are named. */
struct dialect {
	const char *releases; /* "Flower-1.15-to-1.18" */
	const char *heartbeat;
	bool activates;        /* ActivateNode and DeactivateNode, not CreateNode and DeleteNode */
	int64_t proof_ms;      /* a signature is used again for so long */
	uint64_t object_bytes; /* of an object, at most, unless its maker was told otherwise */
	int64_t poll_ms; /* PullMessages ends after so long; 0: content comes along, it takes as
			    long as it takes */
	uint64_t poll_answer_bytes; /* of its answer, at most */
	/* What PullMessages has brought; message and tree are taken over. */
	void (*take)(struct fleet *fleet, struct held_message *message, struct slices *tree);
	/* As fleet_push(). */
	int (*push)(struct fleet *fleet, uint64_t number, const struct held_message *reply,
		double runtime_s, fleet_push_fn *done, void *arg);
};

extern const struct dialect dialect_a, dialect_b, dialect_c;

/* ---- attempt: one try of one call; embedded ---- */

struct attempt;

/* How it ended; may free the attempt. attempt->cancelled: by us, whatever the outcome says. */
typedef void attempt_fn(struct attempt *attempt, struct transport_result *result);

struct attempt {
	struct fleet *fleet;
	attempt_fn *done;
	struct transport *transport; /* while out: that handle belongs to */
	struct transport_handle *handle;
	const char *method;
	int64_t started_ms;
	bool out;
	bool cancelled;
	bool broken; /* attempt_break() */
};

struct attempt_call {
	const char *method;
	int64_t timeout_ms;        /* 0: content */
	uint64_t answer_max_bytes; /* 0: FLOW_CONTROL_ANSWER_BYTES */
	const char *what;          /* as in struct transport_call */
};

/*
 * Sign and send; done is called exactly once, inside when it cannot be sent (INTERNAL): call this
 * from the loop only. error is what encoding the request ended with; body is taken over.
 */
void attempt_start(struct attempt *attempt, const struct attempt_call *call, int error,
	struct slices *body, attempt_fn *done);
/* Nothing happens when it is not out. done still comes, later. */
void attempt_cancel(struct attempt *attempt);
/* As if the peer had ended it: whoever tries again does. */
void attempt_break(struct attempt *attempt);

/* ---- outage: log lines about failing calls ---- */

struct outage {
	uint64_t number;   /* of this outage, or of the next one */
	unsigned failing;  /* callers whose last try failed */
	unsigned failures; /* not yet mentioned in a line */
	int64_t since_ms;
	int64_t line_ms; /* of the last warning */
	bool said;       /* a warning was written about this outage */
};

/* One caller's part in it: the number of the outage in which its last try failed. */
struct failing {
	uint64_t outage;
};

void outage_init(struct outage *outage);
/* A try failed and is repeated at next_ms. */
void outage_failed(struct fleet *fleet, struct failing *failing, const char *method,
	const struct transport_result *result, int64_t next_ms);
/* This caller's call was answered: the last one ends the outage, with a line. */
void outage_worked(struct fleet *fleet, struct failing *failing);
/* This caller has gone. */
void outage_left(struct fleet *fleet, struct failing *failing);
/* Over for all callers; answered: the SuperLink speaks again, which is worth a line. */
void outage_end(struct fleet *fleet, bool answered);

/* ---- errand: GetRun, GetFab, PushMessages: calls about a message, tried again by themselves ----
 */

struct errand;

enum errand_name {
	ERRAND_GET_RUN,
	ERRAND_GET_FAB,
	ERRAND_PUSH_MESSAGES,
	ERRAND_PULL_OBJECT,
	ERRAND_PUSH_OBJECT,
	ERRAND_CONFIRM,
	ERRAND_N
};

/* Its final outcome; CANCELLED: lost or stopping. From the loop. */
typedef void errand_fn(void *arg, struct transport_result *result);

/* request is taken over, on failure too. 0 or -ENOMEM (done does not come). */
int errand_start(struct fleet *fleet, enum errand_name name, struct slices *request,
	errand_fn *done, void *arg);
/* The same, with another bound of the answer than is usual for it. */
int errand_start_bounded(struct fleet *fleet, enum errand_name name, uint64_t answer_max_bytes,
	struct slices *request, errand_fn *done, void *arg);
/* All end with CANCELLED, from the loop. */
void errand_cancel_all(struct fleet *fleet);
/* attempt_break() those that are out. */
void errand_break_all(struct fleet *fleet);
/* An answer that cannot be read (r as a codec gives it): result becomes one that says so. */
void errand_unreadable(struct transport_result *result, int r);

/* ---- the node ---- */

struct fleet {
	struct loop *loop;
	struct log *log;
	struct connector *connector;
	struct transport
		*retired; /* what was spoken before, while calls are out there; else NULL */
	unsigned retired_out;
	struct transport *transport;   /* NULL until something was found */
	enum probe_result found;       /* with transport */
	const struct dialect *dialect; /* ONLINE: what is spoken; before: NULL */
	struct fleet_options options;
	char superlink[256]; /* host:port, for log lines */
	char connected[256]; /* where transport leads */
	char *state_dir;     /* NULL: nothing is kept */
	struct fleet_ops ops;
	void *arg;

	enum fleet_state state;
	enum fleet_next next;
	struct auth *auth;
	bool operator_key;   /* auth is the operator's: it stays */
	uint64_t node_id;    /* 0: not registered */
	unsigned out;        /* attempts that have not come home */
	struct timer *phase; /* what the state waits for */
	struct outage outage;
	LIST_HEAD(, errand) errands;

	struct attempt join;
	enum join_step join_step;
	struct retry join_retry;
	struct failing join_failing;
	uint64_t joined_id; /* that the last step gave */
	uint64_t kept_id; /* that a SuperLink without activation gave to the operator's key; 0: see
			     kept_node.h */
	unsigned keeping; /* numbers that are being written */
	bool tell_later;  /* joined_id is one of them: the next step waits for that */
	bool kept_tried;  /* joined_id is that number */
	bool kept_dead;   /* the SuperLink does not know that number any more */
	int64_t refused_ms; /* since when an activation is refused; -1: it is not */
	struct reason
		slow_said; /* what is being waited out, as it was said last; "" when nothing is */
	int64_t slow_said_ms;
	struct retry flap; /* for being forgotten soon after a registration */
	int64_t registered_ms;
	bool ever_online;
	bool finding;    /* ONLINE: is something else there now? */
	int64_t find_ms; /* when that was asked last */

	int64_t beaten_ms; /* when a heartbeat was answered last; -1: none was */
	struct attempt beat;
	struct retry beat_retry;
	struct failing beat_failing;
	struct timer *beat_timer;

	struct attempt pull;
	struct retry pull_retry;
	struct failing pull_failing;
	struct timer *pull_timer;
	struct pace pace;
	bool pull_parked; /* due, but no message is wanted */

	struct attempt leave;
	unsigned left;               /* calls that have been made to leave */
	LIST_HEAD(, intake) intakes; /* objects_in.c */
	int64_t away_ms;             /* NEXT_AWAY: for how long */
	bool disconnecting;          /* a control message is being acknowledged */
	bool reply_expected;         /* CLOSING: a message came, its reply has not gone */
	void (*stopped)(void *arg);
	void *stopped_arg;
};

/* Clock and chance of the flow; the only place that asks for them is fleet.c. */
int64_t fleet_now_ms(void);
double fleet_wall_s(void);
double fleet_random01(const struct fleet *fleet);

/* The SuperLink has forgotten the node: method said so. */
void fleet_lost(struct fleet *fleet, const char *method, const struct transport_result *result);
/* Nothing more can be done. Only the first of these is told. */
void fleet_over(struct fleet *fleet, enum fleet_over over, const char *format, ...)
	__attribute__((format(printf, 3, 4)));
/* Over because a call of the node itself ended with a final outcome, or its tries are used up. */
void fleet_refused(struct fleet *fleet, const char *method, const struct transport_result *result);
void fleet_gave_up(struct fleet *fleet, const char *method, const struct retry *retry,
	const struct transport_result *result);
/* Disconnect, and register again after away_ms. */
void fleet_go_away(struct fleet *fleet, int64_t away_ms);
/* An attempt or an errand ended. */
void fleet_came_home(struct fleet *fleet);
/* CLOSING: what was waited for has happened. */
void fleet_closed(struct fleet *fleet);

/* "NAME \"details\"" for log lines. */
#define FLOW_CAUSE_BYTES 320
void flow_cause(const struct transport_result *result, char text[FLOW_CAUSE_BYTES]);

/* Cancel everything; when all of it has come home, next. */
void fleet_drain(struct fleet *fleet, enum fleet_next next);
/* A reply was settled: the next message may be asked for; what CLOSING waits for has happened. */
void fleet_replied(struct fleet *fleet, enum outcome outcome);
/* Hand a message to the owner, who has to refuse it when that is not NULL. His number of it, 0: it
 * is of no use. */
uint64_t fleet_hand_over(struct fleet *fleet, struct held_message *message, const char *refused);

/* join.c */
void join_begin(struct fleet *fleet);
void join_fire(struct fleet *fleet);
/* A call of a node that is ONLINE failed for want of a connection: is there still the same? */
void join_find_again(struct fleet *fleet);
/* Let go of the transport before the last one when its calls have come home; not from a callback of
 * one of them. */
void join_forget_retired(struct fleet *fleet);
/* DeleteNode was answered: the number is of no use any more. */
void join_deleted(struct fleet *fleet);

/* leave.c */
void leave_begin(struct fleet *fleet);

/* heartbeat.c */
void heartbeat_begin(struct fleet *fleet);
void heartbeat_fire(void *fleet);
/* When the next one is due after one that succeeded. */
int64_t heartbeat_next(int64_t now_ms, double random01);

/* poll.c */
void poll_begin(struct fleet *fleet);
void poll_fire(void *fleet);
/* Something happened: ask at once. */
void poll_now(struct fleet *fleet);

/* reconnect.c: a message is not for the node, but for its connection. Takes it over. */
bool control_is(const struct envelope *message);
void control_handle(struct fleet *fleet, struct envelope *message);

/* outage.c: "; this machine's clock ..." when the answer's clock differs by more than a SuperLink
 * takes; "" else. */
#define FLOW_CLOCK_BYTES 128
void flow_clock_hint(const struct fleet *fleet, const struct transport_result *result,
	char text[FLOW_CLOCK_BYTES]);

#endif
