/*
 * message: from its pull to the end of its one reply. Whatever happens to a message at once (its
 * worker ends, its time is over, a late push, the node is given up), message_finish() lets the
 * first of them answer.
 */
#include "supernode/core/node_internal.h"

#include "common/base/cleanup.h"
#include "common/base/clock.h"
#include "common/base/text.h"

#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <string.h>

#define NO_TOKEN "the SuperNode could not make a token"

struct message *message_find(const struct node *node, uint64_t number)
{
	for (struct message *message = node->messages; message; message = message->next) {
		if (message->number == number)
			return message;
	}
	return NULL;
}

static void content_done(struct node *node, struct message *message)
{
	held_message_drop_content(&message->instruction);
	node_release(node, &message->content_reserved);
}

static void reply_done(struct node *node, struct message *message)
{
	held_message_drop_content(&message->reply);
	node_release(node, &message->reply_reserved);
}

void message_draft_done(struct node *node, struct message *message)
{
	held_message_done(&message->draft);
	node_release(node, &message->draft_reserved);
}

/*
 * ---- its end: message_fail() answers with an error of ours, message_answer() with what a worker
 * made; both queue their reply by message_finish(). message_drop() settles without a reply. Settled
 * is over: contents are freed. ----
 */

static void message_stop(struct message *message)
{
	message->work_end_ms = CLOCK_NEVER;
	switch (message->worker) {
	case WORKER_GUEST:
		/* The worker learns it by its token, which is spent. Nobody has seen that of an
		 * offer. */
		if (message->state == MESSAGE_OFFERED)
			message->token = 0;
		break;
	case WORKER_WANTED:
		/* Nobody has heard of the worker or its token. */
		message->worker = WORKER_NONE;
		message->token = 0;
		break;
	case WORKER_RUNNING:
		message->worker = WORKER_UNWANTED;
		break;
	case WORKER_NONE:
	case WORKER_UNWANTED:
	case WORKER_LEAVING:
		break;
	}
}

static bool is_pushing(const struct message *message)
{
	return message->state == MESSAGE_PUSHING || message->state == MESSAGE_FORSAKEN;
}

static bool is_answered(const struct message *message)
{
	return message->state >= MESSAGE_ANSWERED;
}

/*
 * The only way to a reply: queue *reply, which is taken over with the reserved bytes of its
 * content. The first one counts; the only other one is that which takes the place of one that the
 * SuperLink refused.
 */
static void message_finish(
	struct node *node, struct message *message, struct held_message *reply, uint64_t reserved)
{
	const struct envelope *made = &message->reply.envelope;

	if (is_answered(message)) {
		held_message_done(reply);
		node_release(node, &reserved);
		return;
	}
	content_done(node, message);
	reply_done(node, message);
	message_draft_done(node, message);
	held_message_done(&message->reply);
	message->is_substitute = message->state == MESSAGE_REFUSED;
	message->state = MESSAGE_ANSWERED;
	message->alive_end_ms = CLOCK_NEVER;
	message->reply = held_message_take(reply);
	message->reply_reserved = reserved;
	message->code = made->has_error && made->error_code > 0 ? made->error_code : 0;
}

static void message_settle(
	struct node *node, struct message *message, struct node_now now, int64_t code)
{
	content_done(node, message);
	reply_done(node, message);
	message_draft_done(node, message);
	message->state = MESSAGE_SETTLED;
	message->alive_end_ms = CLOCK_NEVER;
	message->code = code;
	if (message->run)
		node_run_used(message->run, now);
	if (message->worker == WORKER_GUEST)
		message->worker = WORKER_NONE;
}

/* A reason goes into a protobuf string; what of it came from a peer, or was cut, may be no UTF-8.
 */
static char *clean_text(const char *text)
{
	char *clean = strdup(text ? text : "");

	if (!clean || utf8_valid(clean, strlen(clean)))
		return clean;
	for (char *c = clean; *c; c++) {
		if ((unsigned char)*c >= 0x80)
			*c = '?';
	}
	return clean;
}

static void message_settle_without(
	struct node *node, struct message *message, struct node_now now, const char *why)
{
	if (why != message->why.text)
		reason_set(&message->why, "%s", why);
	message_settle(node, message, now, -1);
}

void message_drop(struct node *node, struct message *message, struct node_now now, const char *why)
{
	if (message->state >= MESSAGE_SETTLED || is_pushing(message))
		return;
	/* The worker of one that is answered ends by itself. */
	if (!is_answered(message))
		message_stop(message);
	message_settle_without(node, message, now, why);
}

void message_node_lost(
	struct node *node, struct message *message, struct node_now now, const char *why)
{
	message_stop(message);
	message_drop(node, message, now, why);
	if (!is_pushing(message))
		return;
	message->state = MESSAGE_FORSAKEN;
	reason_set(&message->why, "%s", why);
}

void message_fail(struct node *node, struct message *message, struct node_now now, int64_t code,
	const char *reason)
{
	auto_(free_at_exit) char *text = clean_text(reason);
	auto_(held_message_done) struct held_message reply = {0};

	if (is_answered(message))
		return;
	message_stop(message);
	if (!text || envelope_error(&message->instruction.envelope.metadata, now.wall_s, code, text,
			     &reply.envelope) < 0) {
		if (!message->spare.has_error) {
			message_drop(node, message, now, "no memory for an error reply");
			return;
		}
		reply.envelope = message->spare;
		message->spare = (struct envelope){0};
	}
	message_finish(node, message, &reply, 0);
}

void message_answer(struct node *node, struct message *message, struct node_now now,
	struct held_message *reply, uint64_t reserved)
{
	message->work_end_ms = message->worker == WORKER_GUEST
				       ? CLOCK_NEVER
				       : clock_after(now.ms, NODE_WORKER_LEAVE_MS);
	message_finish(node, message, reply, reserved);
}

void message_free(struct node *node, struct message *message)
{
	for (struct message **at = &node->messages; *at; at = &(*at)->next) {
		if (*at == message) {
			*at = message->next;
			break;
		}
	}
	if (message->run)
		node_run_leave(message->run);
	content_done(node, message);
	reply_done(node, message);
	message_draft_done(node, message);
	held_message_done(&message->instruction);
	held_message_done(&message->reply);
	envelope_done(&message->spare);
	explicit_bzero(&message->token, sizeof message->token);
	explicit_bzero(message->token_tail, sizeof message->token_tail);
	free(message);
}

/* ---- its beginning ---- */

/*
 * The time by which a message must be answered, so that the reply still has a ttl when it is
 * delivered: what is left of the instruction's ttl by our clock (all of it when that makes no
 * sense: clocks differ), less a tenth, at most a second.
 */
static int64_t answer_by_ms(const struct metadata *instruction, struct node_now now)
{
	double passed_s = now.wall_s - instruction->created_at;
	double left_s = instruction->ttl;
	int64_t left_ms;

	if (passed_s > 0 && passed_s < left_s)
		left_s -= passed_s;
	left_ms = clock_ms_of_s(left_s);
	if (left_ms == CLOCK_NEVER || left_ms <= 0)
		return clock_after(now.ms, left_ms);
	return clock_after(now.ms, left_ms - (left_ms < 10000 ? left_ms / 10 : 1000));
}

static struct message *message_new(
	struct node *node, struct node_now now, struct held_message *instruction)
{
	auto_(free_at_exit) struct message *message = calloc(1, sizeof *message);
	struct message **at = &node->messages;
	struct message *made;

	if (!message || envelope_error(&instruction->envelope.metadata, now.wall_s,
				ERROR_CODE_CLIENT_APP_CRASHED,
				"the SuperNode has run out of memory", &message->spare) < 0)
		return NULL;
	message->number = ++node->last_number;
	message->form = instruction->objects ? MESSAGE_OBJECTS : MESSAGE_INLINE;
	message->in_body = message->form == MESSAGE_INLINE;
	message->state = instruction->objects && object_set_missing(instruction->objects) > 0
				 ? MESSAGE_COMING
				 : MESSAGE_WAITING;
	message->work_end_ms = CLOCK_NEVER;
	message->alive_end_ms = CLOCK_NEVER;
	message->ttl_end_ms = answer_by_ms(&instruction->envelope.metadata, now);
	message->instruction = held_message_take(instruction);
	while (*at)
		at = &(*at)->next;
	made = take_pointer(&message);
	*at = made;
	return made;
}

/* Is it one that a worker can be given? 0, or -EINVAL or -EDQUOT with the sentence for its sender.
 */
static int message_check(struct node *node, struct message *message, struct reason *why)
{
	const struct envelope *instruction = &message->instruction.envelope;
	const struct metadata *metadata = &instruction->metadata;
	uint64_t bytes = held_message_bytes(&message->instruction);
	int r;

	if (node->given_up)
		return reason_code(why, -EINVAL, "%s", node->give_up_why.text);
	if (!instruction->has_content || instruction->has_error)
		return reason_code(why, -EINVAL, "the message has no content to work on");
	if (metadata->dst_node_id != node->node_id)
		return reason_code(why, -EINVAL,
			"the message is for node %" PRIu64 ", this is node %" PRIu64,
			metadata->dst_node_id, node->node_id);
	if (metadata->ttl <= 0)
		return reason_code(why, -EINVAL, "the message's ttl of %g s was over when it came",
			metadata->ttl);
	r = node_reserve(node, bytes, "the message's content", why);
	if (r == 0)
		message->content_reserved = bytes;
	return r;
}

int node_message(struct node *node, struct node_now now, struct held_message *given,
	const char *refused, uint64_t *number_out)
{
	auto_(held_message_done) struct held_message instruction = held_message_take(given);
	struct message *message;
	struct reason why = {0};

	message = message_new(node, now, &instruction);
	if (!message)
		return -ENOMEM;
	if (number_out)
		*number_out = message->number;
	if (!node->registered) {
		message_drop(node, message, now, "the node is not registered");
	} else if (refused) {
		message_fail(node, message, now,
			message->instruction.over_budget ? ERROR_CODE_CLIENT_APP_CRASHED
							 : ERROR_CODE_MESSAGE_UNAVAILABLE,
			refused);
	} else if (message_check(node, message, &why) < 0) {
		message_fail(node, message, now, ERROR_CODE_CLIENT_APP_CRASHED, why.text);
	} else if (node_run_join(node, message->instruction.envelope.metadata.run_id,
			   &message->run) < 0) {
		message_fail(node, message, now, ERROR_CODE_CLIENT_APP_CRASHED,
			"the SuperNode has no memory for the message's run");
	}
	node_reconcile(node, now);
	return 0;
}

void node_content(struct node *node, struct node_now now, uint64_t number, enum node_fetch fetch,
	const char *reason)
{
	struct message *message = message_find(node, number);

	if (!message || message->state != MESSAGE_COMING)
		return;
	message->state = MESSAGE_WAITING;
	if (fetch == NODE_RUN_OVER)
		node_run_over(message->run, "its run is over");
	else if (fetch == NODE_FETCH_REFUSED)
		message_fail(node, message, now, ERROR_CODE_MESSAGE_UNAVAILABLE, reason);
	else if (fetch == NODE_FETCH_TOO_LARGE)
		message_fail(node, message, now, ERROR_CODE_CLIENT_APP_CRASHED, reason);
	node_reconcile(node, now);
}

/* ---- its worker ---- */

/* Offer the message to whoever asks first, with a token that nobody has seen. */
static void message_offer(struct node *node, struct message *message, struct node_now now)
{
	if (token_issue(node, message) < 0) {
		message_fail(node, message, now, ERROR_CODE_CLIENT_APP_CRASHED, NO_TOKEN);
		return;
	}
	message->worker = WORKER_GUEST;
	message->state = MESSAGE_OFFERED;
	message->offered_ms = now.ms;
	message->beats = false;
	message->in_body = message->form == MESSAGE_INLINE;
	message->alive_end_ms = CLOCK_NEVER;
	message->work_end_ms = node->offer_ms ? clock_after(now.ms, node->offer_ms) : CLOCK_NEVER;
}

void message_start(struct node *node, struct message *message, struct node_now now)
{
	if (node->workers_come) {
		message_offer(node, message, now);
		return;
	}
	if (token_issue(node, message) < 0) {
		message_fail(node, message, now, ERROR_CODE_CLIENT_APP_CRASHED, NO_TOKEN);
		return;
	}
	message->worker = WORKER_WANTED;
	message->state = MESSAGE_STARTED;
	message->work_end_ms = clock_after(now.ms, NODE_WORKER_READY_MS);
}

static void worker_end(struct node *node, struct message *message, struct node_now now,
	int64_t code, const char *reason)
{
	/* No one is left who could be stopped. */
	message->worker = WORKER_LEAVING;
	message->work_end_ms = CLOCK_NEVER;
	message_fail(node, message, now, code, reason);
}

void node_worker_ended(
	struct node *node, struct node_now now, uint64_t number, int64_t code, const char *reason)
{
	struct message *message = message_find(node, number);

	if (!message || message->worker < WORKER_WANTED)
		return;
	worker_end(node, message, now, code, reason);
	node_reconcile(node, now);
}

void node_worker_gone(struct node *node, struct node_now now, uint64_t number)
{
	struct message *message = message_find(node, number);

	if (!message || message->worker < WORKER_WANTED)
		return;
	worker_end(node, message, now, ERROR_CODE_CLIENT_APP_CRASHED,
		"the worker has gone without a reply");
	message->worker = WORKER_NONE;
	node_reconcile(node, now);
}

static void lose_worker(
	struct node *node, struct message *message, struct node_now now, const char *reason)
{
	if (message->state == MESSAGE_STARTED && message->worker == WORKER_GUEST)
		message_offer(node, message, now);
	else
		message_fail(node, message, now, ERROR_CODE_CLIENT_APP_CRASHED, reason);
}

void node_worker_lost(struct node *node, struct node_now now, uint64_t number, const char *reason)
{
	struct message *message = message_find(node, number);

	if (!message || !message_at_work(message))
		return;
	lose_worker(node, message, now, reason);
	node_reconcile(node, now);
}

void node_outputs_coming(struct node *node, struct message *message)
{
	if (message->state != MESSAGE_WORKING)
		return;
	content_done(node, message);
	message->state = MESSAGE_RETURNING;
}

uint64_t node_offered_of_run(const struct node *node, uint64_t run_id)
{
	for (const struct message *message = node->messages; message; message = message->next) {
		if (message->state == MESSAGE_OFFERED && message->form == MESSAGE_OBJECTS &&
			message->instruction.envelope.metadata.run_id == run_id)
			return message->number;
	}
	return 0;
}

uint64_t node_offered(const struct node *node, enum message_form form, int64_t *since_ms_out)
{
	for (const struct message *message = node->messages; message; message = message->next) {
		if (message->state != MESSAGE_OFFERED || message->form != form)
			continue;
		*since_ms_out = message->offered_ms;
		return message->number;
	}
	return 0;
}

/* ---- its reply's way ---- */

static void reply_refused(
	struct node *node, struct message *message, struct node_now now, const char *reason)
{
	bool in_vain = message->is_substitute || message->state == MESSAGE_FORSAKEN;
	struct reason why = {0};

	reason_set(&why, "the SuperLink does not take the reply: %.400s", reason ? reason : "");
	message->state = MESSAGE_REFUSED;
	if (in_vain)
		message_settle_without(node, message, now, why.text);
	else
		message_fail(node, message, now, ERROR_CODE_CLIENT_APP_CRASHED, why.text);
}

void node_reply_pushed(struct node *node, struct node_now now, uint64_t number, enum node_push push,
	const char *reason)
{
	struct message *message = message_find(node, number);

	if (!message || !is_pushing(message))
		return;
	switch (push) {
	case NODE_PUSHED:
		message_settle(node, message, now, message->code);
		break;
	case NODE_PUSH_OVER:
		if (message->run)
			node_run_over(message->run, "its run is over");
		message_settle_without(node, message, now, "its run is over");
		break;
	case NODE_PUSH_REFUSED:
		reply_refused(node, message, now, reason);
		break;
	case NODE_PUSH_FAILED:
		message_settle_without(node, message, now,
			message->state == MESSAGE_FORSAKEN ? message->why.text
			: reason                           ? reason
							   : "not delivered");
		break;
	}
	node_reconcile(node, now);
}

/* ---- its time ---- */

static const char *const waits_for[MESSAGE_NSTATES] = {
	[MESSAGE_COMING] = "its objects, its run's information or its FAB",
	[MESSAGE_WAITING] = "its objects, its run's information or its FAB",
	[MESSAGE_READY] = "a free worker",
	[MESSAGE_OFFERED] = "a worker to come for it (is flwr-clientapp running?)",
	[MESSAGE_STARTED] = "its worker to ask for it",
	[MESSAGE_WORKING] = "its worker's reply",
	[MESSAGE_RETURNING] = "its worker's reply",
};

static void fail_late(struct node *node, struct message *message, struct node_now now)
{
	struct reason why = {0};

	if (message->worker == WORKER_GUEST && message->state == MESSAGE_STARTED) {
		message_offer(node, message, now);
		return;
	}
	if (message->state == MESSAGE_OFFERED)
		reason_set(&why,
			"no worker has come for the message within %g s (--clientapp-wait)",
			(double)node->offer_ms / 1000);
	else if (message_is_pulled(message))
		reason_set(&why, "the worker took longer than --worker-timeout (%g s)",
			(double)node->worker_timeout_ms / 1000);
	else
		reason_set(&why, "the worker did not ask for its inputs within %d s of its start",
			NODE_WORKER_READY_MS / 1000);
	message_fail(node, message, now, ERROR_CODE_CLIENT_APP_CRASHED, why.text);
}

void message_tick(struct node *node, struct message *message, struct node_now now)
{
	struct reason why = {0};

	if (!is_answered(message) && message->ttl_end_ms <= now.ms) {
		reason_set(&why, "the message took longer than its ttl of %g s, waiting for %s",
			message->instruction.envelope.metadata.ttl, waits_for[message->state]);
		message_fail(node, message, now, ERROR_CODE_CLIENT_APP_CRASHED, why.text);
	} else if (message->alive_end_ms <= now.ms) {
		reason_set(&why, "the worker has not said for %d s that it lives",
			NODE_HEARTBEAT_MS / 1000);
		lose_worker(node, message, now, why.text);
	} else if (message->work_end_ms <= now.ms) {
		if (message_at_work(message) || message->state == MESSAGE_OFFERED)
			fail_late(node, message, now);
		else
			message_stop(message);
	}
}

int64_t message_next_ms(const struct message *message)
{
	int64_t ttl_ms = is_answered(message) ? CLOCK_NEVER : message->ttl_end_ms;
	int64_t next_ms = ttl_ms < message->work_end_ms ? ttl_ms : message->work_end_ms;

	return next_ms < message->alive_end_ms ? next_ms : message->alive_end_ms;
}
