/*
 * The token lies inside the body: a pull's body is nothing else (ADMIT_INLINE), outputs are
 * admitted by what their connection has shown (ADMIT_OUTPUTS).
 */
#include "supernode/workers/dialect1.h"

#include "common/base/cleanup.h"
#include "common/base/clock.h"
#include "common/message/instruction_codec.h"
#include "common/message/worker_api.h"
#include "supernode/workers/given_context.h"

#include <errno.h>
#include <stddef.h>
#include <string.h>

#define TOKEN_BODY_MAX 64    /* bytes of a request that is a token at most */
#define TOKEN_BODY_MS  10000 /* to receive one */

struct dialect1 {
	struct admission *admission;
	struct held_calls *held_calls;
	struct worker_service service;
};

static struct node_now now(void)
{
	return (struct node_now){clock_now_ms(), clock_wall_s()};
}

static void changed(const struct dialect1 *dialect)
{
	dialect->admission->ops->changed(dialect->admission->arg);
}

/* ---- GetToken ---- */

/* Hand out a token if there is one: true when request was answered. */
static bool give_token(void *arg, struct request *request, const char **details_out)
{
	struct admission *admission = ((struct dialect1 *)arg)->admission;
	auto_(slices_done) struct slices body = {0};
	uint64_t token = 0;
	int r;

	/* A token that is lost on the way would not be missed. */
	*details_out = "the caller has gone";
	if (!guests_open(admission->guests, request->peer) ||
		node_get_token(admission->node, now(), &token, details_out) != OUTCOME_OK)
		return false;
	r = instruction_encode_token(token, &body);
	if (r == 0)
		r = admission_hold(admission, request, token);
	if (r) {
		node_worker_lost(admission->node, now(),
			node_message_number(node_message_of(admission->node, token)), "no memory");
		refuse_errno(admission, request, r);
		return true;
	}
	request_reply(request, &body);
	return true;
}

static void none(void *arg, struct request *request, const char *details)
{
	const struct dialect1 *dialect = arg;

	refuse_quietly(dialect->admission, request, OUTCOME_FAILED_PRECONDITION, details);
}

static const struct held_calls_ops questions = {.give = give_token, .none = none};

static void handle_get_token(void *arg, struct request *request, struct message *shown)
{
	struct dialect1 *dialect = arg;

	(void)shown;
	if (held_calls_ask(dialect->held_calls, MESSAGE_INLINE, request))
		changed(dialect);
}

/* ---- PullClientAppInputs ---- */

static void handle_pull(void *arg, struct request *request, struct message *message)
{
	struct dialect1 *dialect = arg;
	struct admission *admission = dialect->admission;
	auto_(instruction_inputs_done) struct instruction_inputs inputs = {0};
	auto_(slices_done) struct slices body = {0};
	const char *details = "";
	enum outcome outcome = node_pull_inputs(admission->node, now(), message, &inputs, &details);
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
	changed(dialect);
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
	struct dialect1 *dialect, struct request *request, struct instruction_outputs *outputs)
{
	auto_(slices_done) struct slices body = {0};
	const char *details = "";
	uint64_t token = outputs->token;
	enum outcome outcome =
		node_push_outputs(dialect->admission->node, now(), outputs, &details);
	int r;

	if (outcome != OUTCOME_OK) {
		refuse(dialect->admission, request, outcome, details);
		changed(dialect);
		return;
	}
	held_calls_taken(dialect->held_calls, token);
	r = instruction_encode_status(0, "Success", &body);
	if (r)
		refuse_errno(dialect->admission, request, r);
	else
		request_reply(request, &body);
	changed(dialect);
}

static bool push_take(struct content *content, struct message *shown)
{
	struct push *push = container_of(content, struct push, content);
	struct dialect1 *dialect = content->service->dialect;

	(void)shown;
	if (content->result) {
		refuse_errno(dialect->admission, content->request, content->result);
	} else if (push->context &&
		   node_message_of(dialect->admission->node, push->outputs.token)) {
		/* For a token that is of no use the node answers, whatever came with it. */
		refuse_context(dialect->admission, content->request, push->context);
		changed(dialect);
	} else {
		outputs_take(dialect, content->request, &push->outputs);
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
	struct dialect1 *dialect = service->dialect;
	struct instruction_outputs nothing = {.token = instruction_first_token(&request->body)};

	if (request->body.bytes < CONTENT_LARGE_BYTES ||
		node_message_of(dialect->admission->node, nothing.token))
		return true;
	outputs_take(dialect, request, &nothing);
	return false;
}

static const struct content_kind pushes = {.bytes = sizeof(struct push),
	.look = push_look,
	.read = push_read,
	.take = push_take,
	.done = push_done};

static const struct worker_method methods[] = {
	{.name = "GetToken",
		.body_max = TOKEN_BODY_MAX,
		.body_ms = TOKEN_BODY_MS,
		.rule = ADMIT_LAUNCHER,
		.handle = handle_get_token},
	{.name = "PullClientAppInputs",
		.body_max = TOKEN_BODY_MAX,
		.body_ms = TOKEN_BODY_MS,
		.rule = ADMIT_INLINE,
		.handle = handle_pull},
	{.name = "PushClientAppOutputs",
		.body_max = INT32_MAX,
		.rule = ADMIT_OUTPUTS,
		.content = &pushes},
};

struct dialect1 *dialect1_new(struct admission *admission, struct held_calls *held_calls)
{
	struct dialect1 *dialect = calloc(1, sizeof *dialect);

	if (!dialect)
		return NULL;
	*dialect = (struct dialect1){
		.admission = admission,
		.held_calls = held_calls,
		.service = {.name = WORKER_API_CLIENT_APP_IO,
			.table = methods,
			.n = ARRAY_LEN(methods),
			.dialect = dialect,
			.admission = admission},
	};
	worker_service_init(&dialect->service);
	held_calls_serve(held_calls, MESSAGE_INLINE, &questions, dialect);
	return dialect;
}

void dialect1_free(struct dialect1 *dialect)
{
	free(dialect);
}

const struct service *dialect1_service(const struct dialect1 *dialect)
{
	return &dialect->service.service;
}
