/*
 * task_offers: what launchers ask: whether there is work, the token of it, and the run that it is
 * of. A launcher is told of the oldest message that is offered; the token is for the one that asks
 * for it first.
 */
#include "common/base/cleanup.h"
#include "common/message/app_codec.h"
#include "supernode/workers/handlers.h"

#include <string.h>

/* ---- is there work? ---- */

/* How an answer names the message that is offered. */
typedef int encode_offer_fn(uint64_t message, uint64_t run_id, struct slices *out);

static int encode_runs(uint64_t message, uint64_t run_id, struct slices *out)
{
	(void)message;
	return app_encode_runs(run_id, out);
}

static bool give(struct dialects *dialects, struct request *request, encode_offer_fn *encode,
	const char **details_out)
{
	const struct node *node = dialects->admission->node;
	auto_(slices_done) struct slices body = {0};
	int64_t since_ms;
	uint64_t message = node_offered(node, MESSAGE_OBJECTS, &since_ms);

	*details_out = "no message waits for a worker";
	if (!message)
		return false;
	handlers_answer(
		dialects, request, encode(message, node_run_of(node, message), &body), &body);
	return true;
}

static bool give_pending(void *arg, struct request *request, const char **details_out)
{
	return give(arg, request, task_encode_pending, details_out);
}

static bool give_runs(void *arg, struct request *request, const char **details_out)
{
	return give(arg, request, encode_runs, details_out);
}

/* An answer without work is empty. */
static void none(void *arg, struct request *request, const char *details)
{
	struct dialects *dialects = arg;

	(void)details;
	if (!handlers_wrong_kind(dialects, request, MESSAGE_OBJECTS))
		handlers_answer_nothing(request);
}

static const struct held_question pending = {
	.form = MESSAGE_OBJECTS, .give = give_pending, .none = none};
static const struct held_question runs = {.form = MESSAGE_OBJECTS, .give = give_runs, .none = none};

void tasks_pending(void *arg, struct request *request, struct message *message)
{
	struct dialects *dialects = arg;

	(void)message;
	held_calls_ask(dialects->held_calls, &pending, dialects, request);
}

void tasks_list_runs(void *arg, struct request *request, struct message *message)
{
	struct dialects *dialects = arg;

	(void)message;
	held_calls_ask(dialects->held_calls, &runs, dialects, request);
}

void tasks_get_run(void *arg, struct request *request, struct message *message)
{
	struct dialects *dialects = arg;
	auto_(slices_done) struct slices body = {0};
	const struct slices *run;
	uint64_t run_id = 0;
	int r = task_decode_get_run(&request->body, &run_id);

	if (r == 0 && message && !handlers_own_run(dialects, request, message, run_id))
		return;
	run = r ? NULL : node_run_bytes(dialects->admission->node, run_id);
	if (run)
		r = task_encode_get_run(run, &body);
	handlers_answer(dialects, request, r, &body);
}

/* ---- claims ---- */

/* Without a token in the answer somebody else has it. */
typedef int encode_claimed_fn(
	uint64_t number, uint64_t run_id, const char *token, struct slices *out);

static int encode_claimed(uint64_t number, uint64_t run_id, const char *token, struct slices *out)
{
	(void)number;
	(void)run_id;
	return task_encode_claimed(token, out);
}

static int encode_requested(uint64_t number, uint64_t run_id, const char *token, struct slices *out)
{
	(void)number;
	(void)run_id;
	return app_encode_requested(token, out);
}

/* Answer with the token of task number, if it is offered: true. The connection holds it from now
 * on for the worker that its caller starts. */
static bool claim(struct dialects *dialects, struct request *request, uint64_t number,
	encode_claimed_fn *encode)
{
	struct node *node = dialects->admission->node;
	auto_(slices_done) struct slices body = {0};
	char text[NODE_TOKEN_TEXT_BYTES];
	uint64_t token = 0;
	bool claimed = node_claim(node, handlers_now(), number, &token) &&
		       node_token_text(node, token, text);
	int r = encode(
		number, claimed ? node_run_of(node, number) : 0, claimed ? text : NULL, &body);

	explicit_bzero(text, sizeof text);
	if (claimed && r == 0)
		r = admission_hold(dialects->admission, request, token);
	if (claimed && r)
		node_worker_lost(node, handlers_now(), number, "no memory");
	else if (claimed)
		guests_claimed(dialects->admission->guests, request->peer, token);
	handlers_answer(dialects, request, r, &body);
	return claimed;
}

void tasks_claim(void *arg, struct request *request, struct message *message)
{
	struct dialects *dialects = arg;
	uint64_t number = 0;
	int r = task_decode_claim(&request->body, &number);

	(void)message;
	if (r)
		refuse_errno(dialects->admission, request, r);
	else if (claim(dialects, request, number, encode_claimed))
		handlers_changed(dialects);
}

void tasks_request_token(void *arg, struct request *request, struct message *message)
{
	struct dialects *dialects = arg;
	uint64_t run_id = 0;
	int r = app_decode_request(&request->body, &run_id);

	(void)message;
	if (r)
		refuse_errno(dialects->admission, request, r);
	else if (claim(dialects, request, node_offered_of_run(dialects->admission->node, run_id),
			 encode_requested))
		handlers_changed(dialects);
}

static bool give_acquired(void *arg, struct request *request, const char **details_out)
{
	struct dialects *dialects = arg;
	int64_t since_ms;
	uint64_t number = node_offered(dialects->admission->node, MESSAGE_OBJECTS, &since_ms);

	*details_out = "no message waits for a worker";
	if (!number || !guests_stays(dialects->admission->guests, request->peer))
		return false;
	claim(dialects, request, number, task_encode_acquired);
	return true;
}

static const struct held_question acquired = {
	.form = MESSAGE_OBJECTS, .give = give_acquired, .none = none};

void tasks_acquire(void *arg, struct request *request, struct message *message)
{
	struct dialects *dialects = arg;
	bool wanted;
	int r = task_decode_acquire(&request->body, &wanted);

	(void)message;
	if (r)
		refuse_errno(dialects->admission, request, r);
	else if (!wanted)
		handlers_answer_nothing(request);
	else if (held_calls_ask(dialects->held_calls, &acquired, dialects, request))
		handlers_changed(dialects);
}
