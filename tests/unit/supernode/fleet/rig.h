/*
 * rig: a node of fleet.h in a time of its own: timers, clock and jobs are the rig's, calls go to a
 * transport that keeps them until the test answers, what the owner is told is written down. What
 * listens is found out by a probe that answers from the loop.
 */
#ifndef FLWR_TEST_FLEET_RIG_H
#define FLWR_TEST_FLEET_RIG_H

#include "common/wire/wire.h"
#include "kit/log.h"
#include "supernode/fleet/fleet_internal.h"

#define RIG_NODE_ID 4242
/* The owner's number of the last message. */
#define RIG_NUMBER(rig) (11 + (uint64_t)(rig)->messages)
/* Metadata of a reply that is pushed; an initializer. */
#define RIG_REPLY_METADATA                                                                         \
	{                                                                                          \
		.run_id = 7, .message_id = (char *)"", .src_node_id = RIG_NODE_ID,                 \
		.dst_node_id = 1, .reply_to_message_id = (char *)"message-1",                      \
		.group_id = (char *)"3", .ttl = 100.0, .message_type = (char *)"train",            \
		.created_at = 1790000000.0                                                         \
	}

/* A call that is out. */
struct rig_call {
	struct transport_handle handle;
	struct rig_call *next;
	char method[32];
	int64_t timeout_ms;
	uint64_t answer_max_bytes;
	bool cancelled;
	char *pem;
	bool proven;
	char signed_at[CLOCK_ISO8601_BYTES];
	struct transport *transport;
	struct slices body;
};

struct rig {
	struct fleet *fleet;
	struct kit_log log;
	double random01;
	bool wants;     /* what wants_message() says */
	int fail_calls; /* so many calls cannot be started */
	bool hold_jobs; /* jobs of the io thread wait */
	struct spool *spool;

	/* The peer that listens. */
	struct connector connector;
	struct timer *probe_timer;
	probe_done_fn *probe_done;
	void *probe_arg;
	enum probe_result found; /* PROBE_GRPC at first */
	const char *found_why;
	unsigned probes, opened, freed;
	unsigned others;                /* so many other addresses may be looked at */
	const char *const *other_lacks; /* lacks over rig_transports' last one; NULL: the same */
	const char *const *lacks; /* methods that the SuperLink does not have: what calls them is
				     answered UNIMPLEMENTED, and not counted */
	bool keys_first;          /* as real ones answer it: UNAUTHENTICATED, or UNKNOWN when this
				     is the key of a node */
	char *node_pem;           /* the last node's key */

	struct rig_call *out;
	unsigned sent, reconnects;
	int code;         /* of the next answer */
	bool told_to_end; /* by the next answer; false afterwards */
	double date_s;    /* of every answer */

	/* The events that the owner was told. */
	unsigned registered, lost, messages, over, told, stopped;
	uint64_t node_id;
	enum fleet_over over_what;
	char over_sentence[REASON_BYTES];
	struct object_set *objects; /* of the last message */
	char refused[REASON_BYTES]; /* as it was told with the last message; "" */
	unsigned over_budget_messages;
	unsigned contents;    /* content() or over_budget() was called */
	unsigned over_budget; /* over_budget() was */
	enum outcome content_outcome;
	bool too_large;       /* the next answer is; 0 afterwards */
	bool unreadable;      /* as too_large */
	struct budget budget; /* for who gives it to the fleet */
	char content_details[256];
	bool no_use;             /* what message() answers */
	struct metadata message; /* of the last message */
	/* The result of the last call. */
	unsigned ends;
	enum outcome outcome;
	char details[256];
	char fab_hash[80];
	size_t content_bytes;
	uint64_t number;
	bool push_in_message; /* answer messages with an error, at once, without their objects */
};

extern const char *const rig_lacks_a[];   /* what Flower 1.15 - 1.18 does not have */
extern const char *const rig_lacks_b[];   /* 1.20 - 1.22 */
extern const char *const rig_lacks_c[];   /* 1.23 and later */
extern const char *const rig_lacks_all[]; /* a peer that is no SuperLink of these */

/* For rig->connector.transports: those that it has at first, and one of gRPC's line over which no
 * keys are looked at. */
extern const struct transport_kind *const rig_transports[];

/* Not started. Speaks dialect A; with an operator's key when there is one (taken over); keeps its
 * number in state_dir. */
struct rig *rig_new_with(
	const struct retry_policy *policy, struct auth *operator_key, const char *state_dir);
struct rig *rig_new(const struct retry_policy *policy);
/* Started at a SuperLink that lacks these, with the first call out; wants no messages. */
struct rig *rig_begin(const char *const *lacks, struct auth *operator_key, const char *state_dir);
struct auth *rig_key(void);
/* Stops the node if that did not happen, and checks that nothing is left. */
void rig_free(struct rig *rig);

/* Let time pass, firing timers in order. */
void rig_pass(struct rig *rig, int64_t ms);
int64_t rig_now(void);
bool rig_loop_is_empty(void);
/* Answer a call of a method that the SuperLink lacks, if one is out. */
bool rig_answer_lacking(struct rig *rig);

/* The oldest call of this method that is out and not cancelled; NULL when there is none. */
struct rig_call *rig_sent(struct rig *rig, const char *method);
/* End a call. body (may be NULL) is taken over. */
void rig_answer(struct rig *rig, struct rig_call *handle, enum outcome outcome, const char *details,
	struct slices *body);
/* The oldest call of this method succeeds with a message of proto/, a generated struct. */
void rig_answer_with(struct rig *rig, const char *method, const void *message);
/* The oldest call of this method fails; what follows from that happens. */
void rig_fail(struct rig *rig, const char *method, enum outcome outcome);
/* Answer the calls that were cancelled. */
void rig_answer_cancelled(struct rig *rig);

/* Start; answer until the node is registered (as RIG_NODE_ID) and the first heartbeat succeeded. */
void rig_register(struct rig *rig);
/* A call is out that makes a node, or registers or activates one (and what tells the dialect). */
void rig_answer_node(struct rig *rig, uint64_t node_id);
void rig_answer_ping(struct rig *rig, bool success);
/* A pull is out: answer it with a message (content may be NULL: an error), or with none. */
void rig_answer_pull(struct rig *rig, const char *type, const struct slices *content);
/* The same with objects: a message without content, and its encoded tree (may be NULL). */
void rig_answer_pull_tree(struct rig *rig, const struct slices *tree);
void rig_answer_pull_empty(struct rig *rig);
/* A push is out: answer it. */
void rig_answer_push(struct rig *rig, const char *key);
/* Decode the push that is out. */
void rig_pushed(struct rig *rig, struct envelope *out);

/* Lines of the log so far that have text in them. */
unsigned rig_lines(struct rig *rig, const char *text);
/* At most that many lines of warn and error. */
unsigned rig_warnings(struct rig *rig);

/* Callbacks that write down. */
void rig_run_done(
	void *arg, uint64_t run_id, enum outcome outcome, struct run *run, const char *details);
void rig_fab_done(void *arg, uint64_t run_id, struct fleet_fab *fab);
void rig_push_done(void *arg, uint64_t number, enum outcome outcome, const char *details);
void rig_stopped(void *arg);
/* The objects of the last message are not wanted any more. */
void rig_drop_content(struct rig *rig);
/* Push a reply, whose end is written down. */
int rig_push(struct rig *rig, uint64_t number, const struct held_message *reply, double runtime_s);

#endif
