/*
 * instructions: a worker shows a token, is given one message with its content, gives back one
 * reply. The token is a number in the body: a pull's body is nothing else, outputs are
 * admitted by what their connection has shown.
 */
#include "common/base/cleanup.h"
#include "common/message/instruction_codec.h"
#include "supernode/workers/given_context.h"
#include "supernode/workers/handlers.h"

#include <errno.h>
#include <stddef.h>
#include <string.h>

/* ---- GetToken ---- */

/* Hand out a token if there is one: true when request was answered. */
static bool give_token(void *arg, struct request *request, const char **details_out)
{
	struct admission *admission = ((struct dialects *)arg)->admission;
	auto_(slices_done) struct slices body = {0};
	uint64_t token = 0;
	int r;

	/* A token that is lost on the way would not be missed. */
	*details_out = "the caller has gone";
	if (!guests_stays(admission->guests, request->peer) ||
		node_get_token(admission->node, handlers_now(), &token, details_out) != OUTCOME_OK)
		return false;
	r = instruction_encode_token(token, &body);
	if (r == 0)
		r = admission_hold(admission, request, token);
	if (r) {
		node_worker_lost(admission->node, handlers_now(),
			node_message_number(node_message_of(admission->node, token)), "no memory");
		refuse_errno(admission, request, r);
		return true;
	}
	request_reply(request, &body);
	return true;
}

static void none(void *arg, struct request *request, const char *details)
{
	struct dialects *dialects = arg;

	if (!handlers_wrong_kind(dialects, request, MESSAGE_INLINE))
		refuse_quietly(dialects->admission, request, OUTCOME_FAILED_PRECONDITION, details);
}

static const struct held_question question = {
	.form = MESSAGE_INLINE, .give = give_token, .none = none};

void instructions_get_token(void *arg, struct request *request, struct message *message)
{
	struct dialects *dialects = arg;

	(void)message;
	if (held_calls_ask(dialects->held_calls, &question, dialects, request))
		handlers_changed(dialects);
}

/* ---- PullClientAppInputs ---- */

void instructions_pull(void *arg, struct request *request, struct message *message)
{
	struct dialects *dialects = arg;
	struct admission *admission = dialects->admission;
	auto_(instruction_inputs_done) struct instruction_inputs inputs = {0};
	auto_(slices_done) struct slices body = {0};
	const char *details = "";
	enum outcome outcome =
		node_pull_inputs(admission->node, handlers_now(), message, &inputs, &details);
	int r;

	if (outcome != OUTCOME_OK) {
		refuse(admission, request, outcome, details);
	} else {
		admission->ops->ready(admission->arg, node_message_number(message), request->peer);
		r = instruction_encode_inputs(&inputs, &body);
		if (r)
			refuse_errno(admission, request, r);
		else
			request_reply(request, &body);
	}
	handlers_changed(dialects);
}

/* ---- PushClientAppOutputs ---- */

/* Outputs that are being taken apart. */
struct push {
	struct content content;
	struct instruction_outputs outputs;
	int context; /* what is wrong with the Context; 0: nothing */
};

static int push_read(struct content *content)
{
	struct push *push = container_of(content, struct push, content);
	int r = instruction_decode_outputs(&content->request->body, &push->outputs);

	slices_done(&content->request->body);
	if (r < 0)
		return r;
	/* The node asks for the result. */
	(void)instruction_decode_reply(&push->outputs);
	push->context = given_context_check(&push->outputs.context, MESSAGE_INLINE);
	return 0;
}

/* Give outputs to the node. */
static void outputs_take(
	struct dialects *dialects, struct request *request, struct instruction_outputs *outputs)
{
	auto_(slices_done) struct slices body = {0};
	const char *details = "";
	uint64_t token = outputs->token;
	enum outcome outcome =
		node_push_outputs(dialects->admission->node, handlers_now(), outputs, &details);
	int r;

	if (outcome != OUTCOME_OK) {
		refuse(dialects->admission, request, outcome, details);
		handlers_changed(dialects);
		return;
	}
	held_calls_taken(dialects->held_calls, token);
	r = instruction_encode_status(0, "Success", &body);
	if (r)
		refuse_errno(dialects->admission, request, r);
	else
		request_reply(request, &body);
	handlers_changed(dialects);
}

static bool push_take(struct content *content, struct message *shown)
{
	struct push *push = container_of(content, struct push, content);
	struct dialects *dialects = content->service->dialect;

	(void)shown;
	if (content->result) {
		refuse_errno(dialects->admission, content->request, content->result);
	} else if (push->context &&
		   node_message_of(dialects->admission->node, push->outputs.token)) {
		/* For a token that is of no use the node answers, whatever came with it. */
		refuse_context(dialects->admission, content->request, push->context);
		handlers_changed(dialects);
	} else {
		outputs_take(dialects, content->request, &push->outputs);
	}
	return true;
}

static void push_done(struct content *content)
{
	instruction_outputs_done(&container_of(content, struct push, content)->outputs);
}

/* Nothing large is taken apart for a caller that has no token. */
static bool push_look(struct worker_service *service, struct request *request)
{
	struct dialects *dialects = service->dialect;
	struct instruction_outputs nothing = {.token = instruction_first_token(&request->body)};

	if (request->body.bytes < CONTENT_LARGE_BYTES ||
		node_message_of(dialects->admission->node, nothing.token))
		return true;
	outputs_take(dialects, request, &nothing);
	return false;
}

const struct content_kind instructions_outputs = {.bytes = sizeof(struct push),
	.look = push_look,
	.read = push_read,
	.take = push_take,
	.done = push_done};
