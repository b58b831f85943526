/*
 * rig: the dialects with a real node core and requests that no transport carries,
 * in a time that passes when the test says so. Programs with it are linked as the CMakeLists.txt
 * says.
 */
#ifndef FLWR_TEST_WORKERS_RIG_H
#define FLWR_TEST_WORKERS_RIG_H

#include "common/base/clock.h"
#include "kit/clock.h"
#include "kit/dir.h"
#include "kit/loop.h"
#include "supernode/workers/dialects.h"

#define NODE_ID 11
#define RUN_ID  22

#define RIG_TOKEN 4711 /* the first one that the node makes; then 4712 ... */
/* RecordSet {arrays {key = "p", value {data_values {}}}} */
#define RIG_CONTENT       "\x0a\x07\x0a\x01p\x12\x02\x0a\x00"
#define RIG_CONTENT_BYTES (sizeof RIG_CONTENT - 1)

/* A request that nothing carries; what was answered stays here. */
struct call {
	struct request request;
	const char *wait; /* the header of a GetToken that may wait; NULL: without */
	bool admitted;
	bool finished;
	enum outcome outcome;
	char details[256];
	struct slices body;
};

extern struct rig {
	struct loop *loop;
	struct budget budget;
	struct node *node;
	struct admission admission;
	struct held_calls *held_calls;
	struct dialects *dialects;
	struct spool *spool;
	char task_token[NODE_TOKEN_TEXT_BYTES]; /* what calls about tasks show; "": nothing */
	const char *token_header;               /* in this header */
	char proof[PROOF_N][PROOF_TEXT_BYTES];  /* of a launcher, the same way */
	uint64_t token;                         /* of the message at work */
	uint64_t words;                         /* of tokens that were made */
	unsigned changes;
	unsigned readies;
	int busy;                /* what guests was told of calls that take their time */
	uint64_t held;           /* the token that was shown, as guests was told */
	uint64_t held_before;    /* the other one that was shown before it */
	uint64_t held_elsewhere; /* one that another connection has shown, which is open */
	bool no_memory_to_hold;
	bool gone;         /* callers' connections have ended */
	uint64_t received; /* bytes, on them */
} rig;

int rig_setup(void **state);
/* Workers come for the messages; two may be at work at a time. */
int rig_setup_offering(void **state);
/* Workers are programs of ours. */
int rig_setup_own_workers(void **state);
int rig_teardown(void **state);

struct node_now now_is(void);
void time_passes(int64_t ms);
bool token_live(uint64_t token);

/* ---- what the supervisor does ---- */

/* Take actions until one of this kind comes. */
struct node_action action_of(enum node_action_kind kind);
/* A message of a run that is known. */
void message_to_node(void);
/* Bring one message to its worker's start, or its offer. */
void message_comes(void);
/* The same; rig.token is its worker's. */
void work_begins(void);

/* ---- what workers do ---- */

/* A call arrives. method: its name, or its path where a name is in several services. */
void call_make(struct call *call, const char *method);
/* The body of a call that was admitted follows. */
void call_body(struct call *call, struct slices *body);
void call_done(struct call *call);

/* A caller asks for a token, and is content to wait (header; NULL: it is not). */
void ask(struct call *call, const char *wait);
/* Check that the caller was given this token, of a message that is at work now. Returns the
 * message's number. */
uint64_t assert_given(const struct call *call, uint64_t token);
/* The inputs, in *out unless that is NULL. */
enum outcome pull(uint64_t token, struct instruction_inputs *out);
/* Pull, and make outputs of the inputs, with that token. */
void outputs_make(uint64_t token, struct slices *body);
/* body is empty afterwards. */
enum outcome push(struct slices *body);
/* Requests come, from now on, by a connection on which no token was shown; the other one stays
 * open. */
void by_another_connection(void);

#endif
