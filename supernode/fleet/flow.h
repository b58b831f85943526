/*
 * flow: what the files of this folder share about one node's conversation with its SuperLink
 * (dialect A). Main thread. Private to this folder; knows no transport.
 */
#ifndef FLWR_FLEET_FLOW_H
#define FLWR_FLEET_FLOW_H

#include "common/base/pace.h"
#include "supernode/fleet/fleet.h"

#include <sys/queue.h>

#define FLOW_CALL_TIMEOUT_MS  30000
#define FLOW_LEAVE_TIMEOUT_MS 2000
#define FLOW_CLOSE_PULL_MS                                                                         \
	1000 /* a pull that is out when the node stops may still bring a message */
#define FLOW_CLOSE_PUSH_MS 2000  /* for the reply to it */
#define FLOW_STABLE_MS     10000 /* lost again sooner after a registration: back-off */
#define FLOW_LINE_MS       10000 /* between warnings about failing calls */

#define FLOW_WRONG_DIALECT "does not speak the Fleet API of Flower 1.15 - 1.18"

enum fleet_state {
	FLEET_NEW,
	FLEET_REGISTERING, /* CreateNode is out, or waits for its next try */
	FLEET_ONLINE,
	FLEET_CLOSING,  /* stopping: waits for a pull (or CreateNode) that is out, and for the reply
			   to what it brought */
	FLEET_DRAINING, /* every call was cancelled; when all are home, `next` follows */
	FLEET_LEAVING,  /* DeleteNode is out; `next` follows */
	FLEET_AWAY,     /* was told to come back later */
	FLEET_OVER,     /* fleet_stop() is awaited */
	FLEET_ENDED
};

enum fleet_next {
	NEXT_REGISTER, /* the node is forgotten: anew */
	NEXT_AWAY,     /* DeleteNode, wait, register */
	NEXT_OVER,
	NEXT_END /* DeleteNode if there is a node, then the owner's done() */
};

/* ---- attempt: one try of one call; embedded ---- */

struct attempt;

/* How it ended; may free the attempt. attempt->cancelled: by us, whatever the outcome says. */
typedef void attempt_fn(struct attempt *attempt, struct transport_result *result);

struct attempt {
	struct fleet *fleet;
	attempt_fn *done;
	struct transport_handle *handle;
	const char *method;
	int64_t started_ms;
	bool out;
	bool cancelled;
};

struct attempt_call {
	const char *method;
	int64_t timeout_ms; /* 0: content */
	bool heartbeat;
	const char *what; /* as in struct transport_call */
};

/*
 * Sign and send; done is called exactly once, inside when it cannot be sent (INTERNAL): call this
 * from the loop only. error is what encoding the request ended with; body is taken over.
 */
void attempt_start(struct attempt *attempt, const struct attempt_call *call, int error,
	struct slices *body, attempt_fn *done);
/* Nothing happens when it is not out. done still comes, later. */
void attempt_cancel(struct attempt *attempt);

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

/* A push of the flow's own. As fleet_push(). */
int errand_push(struct fleet *fleet, uint64_t number, const struct envelope *reply,
	fleet_push_fn *done, void *arg);
/* All end with CANCELLED, from the loop. */
void errand_cancel_all(struct fleet *fleet);

/* ---- the node ---- */

struct fleet {
	struct loop *loop;
	struct log *log;
	struct transport *transport;
	struct fleet_options options;
	char *superlink;
	struct fleet_ops ops;
	void *arg;

	enum fleet_state state;
	enum fleet_next next;
	struct auth *auth;
	uint64_t node_id;    /* 0: not registered */
	unsigned out;        /* attempts that have not come home */
	struct timer *phase; /* what the state waits for */
	struct outage outage;
	LIST_HEAD(, errand) errands;

	struct attempt create;
	struct retry create_retry;
	struct failing create_failing;
	struct retry flap; /* for being forgotten soon after a registration */
	int64_t registered_ms;

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
	int64_t away_ms;     /* NEXT_AWAY: for how long */
	bool disconnecting;  /* a control message is being acknowledged */
	bool reply_expected; /* CLOSING: a message came, its reply has not gone */
	void (*stopped)(void *arg);
	void *stopped_arg;
};

/* Clock and chance of the flow; the only place that asks for them is inline.c. */
int64_t fleet_now_ms(void);
double fleet_wall_s(void);
double fleet_random01(const struct fleet *fleet);

/* The SuperLink has forgotten the node: method said so. */
void fleet_lost(struct fleet *fleet, const char *method, const struct transport_result *result);
/* Nothing more can be done. Only the first of these is told. */
void fleet_over(struct fleet *fleet, bool error, const char *format, ...)
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

/* control.c: a message is not for the node, but for its connection. Takes it over. */
bool control_is(const struct envelope *message);
void control_handle(struct fleet *fleet, struct envelope *message);

#endif
