/*
 * A content may be large and its token lies inside it. So whoever has shown a live token on the
 * same connection (by pulling inputs) may send one at any time; of the others one at a time, and
 * only while some token can be used for it.
 */
#include "supernode/appio/instruction.h"

#include "common/base/cleanup.h"
#include "common/base/clock.h"
#include "common/message/instruction_codec.h"

#include <errno.h>
#include <stddef.h>
#include <string.h>

#define TOKEN_BODY_MAX 64    /* bytes of a request that is a token at most */
#define TOKEN_BODY_MS  10000 /* to receive one */

struct instruction {
	struct log *log;
	struct node *node;
	struct listener *listener;
	const struct appio_ops *ops;
	void *arg;
	struct service service;
	struct timer *stranger_timer;
	struct request *stranger; /* whose content is being received, without a token shown */
	struct request *queue[APPIO_QUEUE_MAX];
	size_t n_queue;
};

static void changed(struct instruction *instruction)
{
	instruction->ops->changed(instruction->arg);
}

static void refuse(struct instruction *instruction, struct request *request, enum outcome outcome,
	const char *details)
{
	char what[256];

	snprintf(what, sizeof what, "%s refused: %s: %s", request->method->name,
		outcome_name(outcome), details);
	listener_complain(instruction->listener, request->peer, what);
	request_fail(request, outcome, details);
}

/* As refuse(), for what workers that wait for work meet in ordinary life. */
static void refuse_quietly(struct instruction *instruction, struct request *request,
	enum outcome outcome, const char *details)
{
	log_debug(instruction->log, "worker API: %s %s: %s: %s", request->peer->text,
		request->method->name, outcome_name(outcome), details);
	request_fail(request, outcome, details);
}

static void refuse_errno(struct instruction *instruction, struct request *request, int error)
{
	if (error == -ENOMEM)
		refuse(instruction, request, OUTCOME_RESOURCE_EXHAUSTED, "no memory");
	else
		refuse(instruction, request, OUTCOME_INVALID_ARGUMENT,
			"the request cannot be decoded");
}

static void handle_get_token(void *server, struct request *request)
{
	struct instruction *instruction = server;
	struct slices body = {0};
	const char *details = "";
	uint64_t token;
	enum outcome outcome;
	int r;

	listener_used(instruction->listener, request->peer);
	outcome = node_get_token(instruction->node,
		(struct node_now){clock_now_ms(), clock_wall_s()}, &token, &details);
	if (outcome != OUTCOME_OK) {
		refuse_quietly(instruction, request, outcome, details);
		return;
	}
	r = instruction_encode_token(token, &body);
	if (r)
		refuse_errno(instruction, request, r);
	else
		request_reply(request, &body);
	slices_done(&body);
	changed(instruction);
}

static void handle_pull(void *server, struct request *request)
{
	struct instruction *instruction = server;
	auto_(instruction_inputs_done) struct instruction_inputs inputs = {0};
	auto_(slices_done) struct slices body = {0};
	const char *details = "";
	uint64_t token = 0;
	uint64_t message = 0;
	enum outcome outcome;
	int r = instruction_decode_token(&request->body, &token);

	listener_used(instruction->listener, request->peer);
	if (r) {
		refuse_errno(instruction, request, r);
		return;
	}
	outcome = node_pull_inputs(instruction->node,
		(struct node_now){clock_now_ms(), clock_wall_s()}, token, &inputs, &details);
	if (outcome != OUTCOME_OK) {
		refuse(instruction, request, outcome, details);
		changed(instruction);
		return;
	}
	if (node_token_live(instruction->node, token, &message)) {
		listener_hold(instruction->listener, request->peer, message);
		instruction->ops->ready(instruction->arg, message, request->peer);
	}
	r = instruction_encode_inputs(&inputs, &body);
	if (r)
		refuse_errno(instruction, request, r);
	else
		request_reply(request, &body);
	changed(instruction);
}

/* The body of a push is complete, or will not be. */
static void body_over(struct instruction *instruction, struct request *request)
{
	request_on_cancel(request, NULL, NULL);
	listener_busy(instruction->listener, request->peer, -1);
}

static void receive_next(struct instruction *instruction)
{
	struct request *request;

	if (instruction->stranger || instruction->n_queue == 0)
		return;
	request = instruction->queue[0];
	instruction->n_queue--;
	memmove(instruction->queue, instruction->queue + 1,
		instruction->n_queue * sizeof instruction->queue[0]);
	if (!node_expects_outputs(instruction->node)) {
		body_over(instruction, request);
		refuse(instruction, request, OUTCOME_FAILED_PRECONDITION,
			"no instruction waits for outputs");
		receive_next(instruction);
		return;
	}
	instruction->stranger = request;
	timer_set(
		instruction->stranger_timer, clock_after(clock_now_ms(), INSTRUCTION_STRANGER_MS));
	request_admit(request);
}

/* The content of request is here, or will not come. */
static void received(struct instruction *instruction, const struct request *request)
{
	if (instruction->stranger != request)
		return;
	instruction->stranger = NULL;
	timer_set(instruction->stranger_timer, CLOCK_NEVER);
	receive_next(instruction);
}

/* Slow is fine, but not while others wait. */
static void stranger_late(void *arg)
{
	struct instruction *instruction = arg;
	struct request *request = instruction->stranger;

	if (instruction->n_queue == 0) {
		timer_set(instruction->stranger_timer,
			clock_after(clock_now_ms(), INSTRUCTION_STRANGER_MS));
		return;
	}
	body_over(instruction, request);
	refuse(instruction, request, OUTCOME_DEADLINE_EXCEEDED, "the outputs came too slowly");
	received(instruction, request);
}

static void push_cancelled(void *arg, struct request *request)
{
	struct instruction *instruction = arg;

	for (size_t i = 0; i < instruction->n_queue; i++) {
		if (instruction->queue[i] != request)
			continue;
		instruction->n_queue--;
		memmove(instruction->queue + i, instruction->queue + i + 1,
			(instruction->n_queue - i) * sizeof instruction->queue[0]);
		break;
	}
	body_over(instruction, request);
	request_fail(request, OUTCOME_CANCELLED, "the caller has gone");
	received(instruction, request);
}

static void admit_push(void *server, struct request *request)
{
	struct instruction *instruction = server;

	listener_used(instruction->listener, request->peer);
	if (!node_expects_outputs(instruction->node)) {
		refuse(instruction, request, OUTCOME_FAILED_PRECONDITION,
			"no instruction waits for outputs");
		return;
	}
	request_on_cancel(request, push_cancelled, instruction);
	listener_busy(instruction->listener, request->peer, 1);
	if (listener_holds(instruction->listener, request->peer)) {
		request_admit(request);
		return;
	}
	if (instruction->n_queue == APPIO_QUEUE_MAX) {
		body_over(instruction, request);
		refuse(instruction, request, OUTCOME_RESOURCE_EXHAUSTED,
			"too many outputs are waiting to be received");
		return;
	}
	instruction->queue[instruction->n_queue++] = request;
	receive_next(instruction);
}

static void handle_push(void *server, struct request *request)
{
	struct instruction *instruction = server;
	auto_(instruction_outputs_done) struct instruction_outputs outputs = {0};
	auto_(slices_done) struct slices body = {0};
	const char *details = "";
	enum outcome outcome;
	int r;

	body_over(instruction, request);
	r = instruction_decode_outputs(&request->body, &outputs);
	slices_done(&request->body);
	received(instruction, request);
	if (r) {
		refuse_errno(instruction, request, r);
		return;
	}
	outcome = node_push_outputs(instruction->node,
		(struct node_now){clock_now_ms(), clock_wall_s()}, &outputs, &details);
	if (outcome != OUTCOME_OK) {
		refuse(instruction, request, outcome, details);
		changed(instruction);
		return;
	}
	r = instruction_encode_status(0, "Success", &body);
	if (r)
		refuse_errno(instruction, request, r);
	else
		request_reply(request, &body);
	changed(instruction);
}

static const struct method methods[] = {
	{.name = "GetToken",
		.body_max = TOKEN_BODY_MAX,
		.body_ms = TOKEN_BODY_MS,
		.handle = handle_get_token},
	{.name = "PullClientAppInputs",
		.body_max = TOKEN_BODY_MAX,
		.body_ms = TOKEN_BODY_MS,
		.handle = handle_pull},
	{.name = "PushClientAppOutputs",
		.body_max = INT32_MAX,
		.admit = admit_push,
		.handle = handle_push},
};

struct instruction *instruction_new(struct loop *loop, struct log *log, struct node *node,
	struct listener *listener, const struct appio_ops *ops, void *arg)
{
	struct instruction *instruction = calloc(1, sizeof *instruction);

	if (!instruction)
		return NULL;
	*instruction = (struct instruction){
		.log = log,
		.node = node,
		.listener = listener,
		.ops = ops,
		.arg = arg,
		.service = {.name = "flwr.proto.ClientAppIo",
			.methods = methods,
			.n_methods = ARRAY_LEN(methods),
			.server = instruction},
		.stranger_timer = timer_new(loop, stranger_late, instruction),
	};
	if (!instruction->stranger_timer) {
		free(instruction);
		return NULL;
	}
	return instruction;
}

void instruction_free(struct instruction *instruction)
{
	if (!instruction)
		return;
	timer_free(instruction->stranger_timer);
	free(instruction);
}

const struct service *instruction_service(const struct instruction *instruction)
{
	return &instruction->service;
}
