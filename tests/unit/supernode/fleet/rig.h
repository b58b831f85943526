/*
 * rig: a node of fleet.h in a time of its own: timers and clock are the rig's, calls go to a
 * transport that keeps them until the test answers, what the owner is told is written down.
 */
#ifndef FLWR_TEST_FLEET_RIG_H
#define FLWR_TEST_FLEET_RIG_H

#include "common/base/cleanup.h"
#include "common/message/wire.h"
#include "supernode/fleet/flow.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#define RIG_NODE_ID 4242

/* A call that is out. */
struct transport_handle {
	struct transport_handle *next;
	char method[32];
	int64_t timeout_ms;
	bool heartbeat;
	bool cancelled;
	char *pem;
	bool proven;
	struct slices body;
	transport_done_fn *done;
	void *arg;
};

struct rig {
	struct fleet *fleet;
	struct log *log;
	int log_fd;
	double random01;
	bool wants;     /* what wants_message() says */
	int fail_calls; /* so many calls cannot be started */

	struct transport transport;
	struct transport_handle *out;
	unsigned sent, reconnects;

	/* What the owner was told. */
	unsigned registered, lost, messages, over, stopped;
	uint64_t node_id;
	bool over_error;
	char over_sentence[REASON_BYTES];
	struct metadata message; /* of the last message */
	/* Of the last call's end. */
	unsigned ends;
	enum outcome outcome;
	char details[256];
	char fab_hash[80];
	size_t content_bytes;
	uint64_t number;
	bool push_in_message; /* answer messages with an error, at once */
};

/* Not started. */
struct rig *rig_new(const struct retry_policy *policy);
/* Stops the node if that did not happen, and checks that nothing is left. */
void rig_free(struct rig *rig);

/* Let time pass, firing timers in order. */
void rig_pass(struct rig *rig, int64_t ms);
int64_t rig_now(void);

/* The oldest call of this method that is out and not cancelled; NULL when there is none. */
struct transport_handle *rig_sent(struct rig *rig, const char *method);
/* End a call. body (may be NULL) is taken over. */
void rig_answer(struct rig *rig, struct transport_handle *handle, enum outcome outcome,
	const char *details, struct slices *body);
/* Answer the calls that were cancelled. */
void rig_answer_cancelled(struct rig *rig);

/* CreateNode was sent: answer with RIG_NODE_ID; then the first heartbeat, with success. */
void rig_register(struct rig *rig);
void rig_answer_node(struct rig *rig, uint64_t node_id);
void rig_answer_ping(struct rig *rig, bool success);
/* A pull is out: answer it with a message (content may be NULL: an error), or with none. */
void rig_answer_pull(struct rig *rig, const char *type, const struct slices *content);
void rig_answer_pull_empty(struct rig *rig);
/* A push is out: answer it. */
void rig_answer_push(struct rig *rig, const char *key);
/* What is in the push that is out. */
void rig_pushed(struct rig *rig, struct envelope *out);

/* Lines of the log so far that have text in them. */
unsigned rig_lines(struct rig *rig, const char *text);
/* At most that many lines of warn and error. */
unsigned rig_warnings(struct rig *rig);

/* Callbacks that write down. */
void rig_run_done(
	void *arg, uint64_t run_id, enum outcome outcome, struct run *run, const char *details);
void rig_fab_done(void *arg, uint64_t run_id, enum outcome outcome, struct slices *content,
	const char *details);
void rig_push_done(void *arg, uint64_t number, enum outcome outcome, const char *details);
void rig_stopped(void *arg);

#endif
