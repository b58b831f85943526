/*
 * A content may be large and its token lies inside it. So whoever has shown a live token on the
 * same connection (by pulling inputs) may send one at any time; of the others one at a time, and
 * only while some token can be used for it.
 */
#include "supernode/workers/instruction.h"

#include "common/base/cleanup.h"
#include "common/base/clock.h"
#include "common/message/instruction_codec.h"
#include "common/message/worker_api.h"
#include "supernode/workers/given_context.h"
#include "supernode/workers/reading.h"
#include "supernode/workers/refuse.h"

#include <errno.h>
#include <stddef.h>
#include <string.h>

#define TOKEN_BODY_MAX 64    /* bytes of a request that is a token at most */
#define TOKEN_BODY_MS  10000 /* to receive one */

struct instruction {
	struct loop *loop;
	struct log *log;
	struct node *node;
	struct guests *guests;
	const struct appio_ops *ops;
	void *arg;
	struct waiting *waiting;
	const struct launchers *launchers;
	struct service service;
	struct timer *stranger_timer;
	struct request *stranger; /* whose content is being received, without a token shown */
	int64_t stranger_end_ms;  /* if others wait */
	uint64_t stranger_bytes;  /* that have come on its connection */
	struct request *queue[APPIO_QUEUE_MAX];
	size_t n_queue;
	unsigned n_pushes; /* whose outputs are being taken apart */
};

static void changed(struct instruction *instruction)
{
	instruction->ops->changed(instruction->arg);
}

/* ---- GetToken ---- */

/* Hand out a token if there is one: true when request was answered. */
static bool give_token(void *arg, struct request *request, const char **details_out)
{
	struct instruction *instruction = arg;
	const struct node_now now = {clock_now_ms(), clock_wall_s()};
	auto_(slices_done) struct slices body = {0};
	uint64_t token = 0;
	uint64_t message = 0;
	int r;

	/* Nobody would learn that it was lost on the way. */
	*details_out = "the caller has gone";
	if (!guests_open(instruction->guests, request->peer) ||
		node_get_token(instruction->node, now, &token, details_out) != OUTCOME_OK)
		return false;
	r = instruction_encode_token(token, &body);
	if (r) {
		if (node_token_live(instruction->node, token, &message))
			node_worker_lost(instruction->node, now, message, "no memory");
		refuse_errno(instruction->guests, request, r);
		return true;
	}
	guests_hold(instruction->guests, request->peer, token,
		request_header(request, GUESTS_SAID_HEADER));
	request_reply(request, &body);
	return true;
}

static void none(void *arg, struct request *request, const char *details)
{
	const struct instruction *instruction = arg;

	refuse_quietly(instruction->log, request, OUTCOME_FAILED_PRECONDITION, details);
}

static const struct waiting_ops questions = {.give = give_token, .none = none};

static void handle_get_token(void *server, struct request *request)
{
	struct instruction *instruction = server;

	guests_used(instruction->guests, request->peer);
	if (instruction->launchers && !launchers_admit(instruction->launchers, request))
		return;
	if (waiting_ask(instruction->waiting, MESSAGE_INLINE, request))
		changed(instruction);
}

bool instruction_receiving(const struct instruction *instruction)
{
	return instruction->stranger || instruction->n_pushes;
}

/* ---- PullClientAppInputs ---- */

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

	guests_used(instruction->guests, request->peer);
	if (r) {
		refuse_errno(instruction->guests, request, r);
		return;
	}
	if (!guests_open(instruction->guests, request->peer)) {
		refuse_gone(request);
		return;
	}
	outcome = node_pull_inputs(instruction->node,
		(struct node_now){clock_now_ms(), clock_wall_s()}, token, &inputs, &details);
	if (outcome != OUTCOME_OK) {
		refuse(instruction->guests, request, outcome, details);
		changed(instruction);
		return;
	}
	if (node_token_live(instruction->node, token, &message)) {
		guests_hold(instruction->guests, request->peer, token,
			request_header(request, GUESTS_SAID_HEADER));
		instruction->ops->ready(instruction->arg, message, request->peer);
	}
	r = instruction_encode_inputs(&inputs, &body);
	if (r)
		refuse_errno(instruction->guests, request, r);
	else
		request_reply(request, &body);
	changed(instruction);
}

/* ---- PushClientAppOutputs ---- */

/* The body of a push is complete, or will not be. */
static void body_over(struct instruction *instruction, struct request *request)
{
	request_on_cancel(request, NULL, NULL);
	guests_busy(instruction->guests, request->peer, -1);
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
		refuse(instruction->guests, request, OUTCOME_FAILED_PRECONDITION,
			"no message waits for outputs");
		receive_next(instruction);
		return;
	}
	instruction->stranger = request;
	guests_content(instruction->guests, request->peer, 1);
	instruction->stranger_end_ms = clock_after(clock_now_ms(), INSTRUCTION_STRANGER_MS);
	instruction->stranger_bytes = guests_received(instruction->guests, request->peer);
	timer_set(instruction->stranger_timer, clock_after(clock_now_ms(), INSTRUCTION_STALL_MS));
	request_admit(request);
}

/* The content of request is here, or will not come. */
static void received(struct instruction *instruction, const struct request *request)
{
	if (instruction->stranger != request)
		return;
	instruction->stranger = NULL;
	guests_content(instruction->guests, request->peer, -1);
	timer_set(instruction->stranger_timer, CLOCK_NEVER);
	receive_next(instruction);
}

/* Slow is fine, but not while others wait; and something has to come. */
static void stranger_late(void *arg)
{
	struct instruction *instruction = arg;
	struct request *request = instruction->stranger;
	uint64_t bytes = guests_received(instruction->guests, request->peer);
	bool stalled = bytes && bytes == instruction->stranger_bytes;
	bool others_wait = instruction->n_queue > 0;

	if (!stalled && !(others_wait && clock_now_ms() >= instruction->stranger_end_ms)) {
		instruction->stranger_bytes = bytes;
		timer_set(instruction->stranger_timer,
			clock_after(clock_now_ms(), INSTRUCTION_STALL_MS));
		return;
	}
	body_over(instruction, request);
	refuse(instruction->guests, request, OUTCOME_DEADLINE_EXCEEDED,
		"the outputs came too slowly");
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
	refuse_gone(request);
	received(instruction, request);
}

static void admit_push(void *server, struct request *request)
{
	struct instruction *instruction = server;
	uint64_t message;

	guests_used(instruction->guests, request->peer);
	if (!node_expects_outputs(instruction->node)) {
		refuse(instruction->guests, request, OUTCOME_FAILED_PRECONDITION,
			"no message waits for outputs");
		return;
	}
	request_on_cancel(request, push_cancelled, instruction);
	guests_busy(instruction->guests, request->peer, 1);
	if (node_token_live(instruction->node, guests_holds(instruction->guests, request->peer),
		    &message)) {
		node_outputs_coming(instruction->node, message);
		request_admit(request);
		return;
	}
	if (instruction->n_queue == APPIO_QUEUE_MAX) {
		body_over(instruction, request);
		refuse(instruction->guests, request, OUTCOME_RESOURCE_EXHAUSTED,
			"too many outputs are waiting to be received");
		return;
	}
	instruction->queue[instruction->n_queue++] = request;
	receive_next(instruction);
}

/* Outputs that are being taken apart. */
struct push {
	struct reading reading;
	struct instruction *instruction;
	struct instruction_outputs outputs;
	int context; /* what is wrong with the Context; 0: nothing */
};

static int push_read(struct reading *reading)
{
	struct push *push = container_of(reading, struct push, reading);
	int r = instruction_decode_outputs(&reading->request->body, &push->outputs);

	slices_done(&reading->request->body);
	if (r < 0)
		return r;
	/* The node asks for the result. */
	(void)instruction_decode_reply(&push->outputs);
	push->context = given_context_check(&push->outputs.context, MESSAGE_INLINE);
	return 0;
}

/* Give outputs to the node. */
static void push_take(struct instruction *instruction, struct request *request,
	struct instruction_outputs *outputs)
{
	auto_(slices_done) struct slices body = {0};
	const char *details = "";
	uint64_t token = outputs->token;
	enum outcome outcome = node_push_outputs(instruction->node,
		(struct node_now){clock_now_ms(), clock_wall_s()}, outputs, &details);
	int r;

	if (outcome != OUTCOME_OK) {
		refuse(instruction->guests, request, outcome, details);
		changed(instruction);
		return;
	}
	waiting_taken(instruction->waiting, token);
	r = instruction_encode_status(0, "Success", &body);
	if (r)
		refuse_errno(instruction->guests, request, r);
	else
		request_reply(request, &body);
	changed(instruction);
}

static void push_done(struct reading *reading)
{
	struct push *push = container_of(reading, struct push, reading);
	struct instruction *instruction = push->instruction;
	uint64_t message;

	instruction->n_pushes--;
	if (reading->result) {
		refuse_errno(instruction->guests, reading->request, reading->result);
	} else if (push->context &&
		   node_token_live(instruction->node, push->outputs.token, &message)) {
		/* For a token that is of no use the node answers, whatever came with it. */
		refuse_context(instruction->guests, reading->request, push->context);
		changed(instruction);
	} else {
		push_take(instruction, reading->request, &push->outputs);
	}
	instruction_outputs_done(&push->outputs);
	free(push);
}

static void handle_push(void *server, struct request *request)
{
	struct instruction *instruction = server;
	struct instruction_outputs nothing = {.token = instruction_first_token(&request->body)};
	struct push *push;
	uint64_t message;

	body_over(instruction, request);
	received(instruction, request);
	/* Nothing large is taken apart for somebody who has no token. */
	if (request->body.bytes >= READING_LARGE_BYTES &&
		!node_token_live(instruction->node, nothing.token, &message)) {
		push_take(instruction, request, &nothing);
		return;
	}
	push = calloc(1, sizeof *push);
	if (!push) {
		refuse_errno(instruction->guests, request, -ENOMEM);
		return;
	}
	push->instruction = instruction;
	push->reading = (struct reading){.request = request, .read = push_read, .done = push_done};
	instruction->n_pushes++;
	reading_start(instruction->loop, &push->reading);
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
	struct guests *guests, struct waiting *waiting, const struct appio_ops *ops, void *arg)
{
	struct instruction *instruction = calloc(1, sizeof *instruction);

	if (!instruction)
		return NULL;
	*instruction = (struct instruction){
		.loop = loop,
		.log = log,
		.node = node,
		.guests = guests,
		.ops = ops,
		.arg = arg,
		.waiting = waiting,
		.service = {.name = WORKER_API_CLIENT_APP_IO,
			.methods = methods,
			.n_methods = ARRAY_LEN(methods),
			.server = instruction},
		.stranger_timer = timer_new(loop, stranger_late, instruction),
	};
	if (!instruction->stranger_timer) {
		instruction_free(instruction);
		return NULL;
	}
	waiting_serve(waiting, MESSAGE_INLINE, &questions, instruction);
	return instruction;
}

void instruction_set_launchers(struct instruction *instruction, const struct launchers *launchers)
{
	instruction->launchers = launchers;
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
