/*
 * A content may be large and its token lies inside it. So whoever has shown a live token on the
 * same connection (by pulling inputs) may send one at any time; of the others one at a time, and
 * only while some token can be used for it.
 */
#include "supernode/appio/instruction.h"

#include "common/base/cleanup.h"
#include "common/base/clock.h"
#include "common/base/number.h"
#include "common/message/instruction_codec.h"

#include <errno.h>
#include <stddef.h>
#include <string.h>

#define TOKEN_BODY_MAX 64    /* bytes of a request that is a token at most */
#define TOKEN_BODY_MS  10000 /* to receive one */
#define WAITING_MAX    64    /* calls that wait for a message or its end; others must ask again */

struct waiting {
	struct request *request;
	uint64_t token; /* whose end is waited for; 0: a message is */
	int64_t end_ms;
};

struct instruction {
	struct log *log;
	struct node *node;
	struct listener *listener;
	const struct appio_ops *ops;
	void *arg;
	struct service services[2]; /* Flower's and ours */
	struct timer *stranger_timer;
	struct request *stranger; /* whose content is being received, without a token shown */
	int64_t stranger_end_ms;  /* if others wait */
	uint64_t stranger_bytes;  /* that have come on its connection */
	struct request *queue[APPIO_QUEUE_MAX];
	size_t n_queue;
	struct waiting waiting[WAITING_MAX]; /* those that came first, first */
	size_t n_waiting;
	struct timer *waiting_timer;
	uint64_t taken;    /* the token of the last outputs that were taken */
	uint64_t attended; /* the last one that was */
	bool stopping;
};

static void changed(struct instruction *instruction)
{
	instruction->ops->changed(instruction->arg);
}

static void refuse(struct instruction *instruction, struct request *request, enum outcome outcome,
	const char *details)
{
	listener_complain_refused(
		instruction->listener, request->peer, request->method->name, outcome, details);
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

/* ---- GetToken ---- */

/* Hand out a token if there is one: true when request was answered. */
static bool give_token(
	struct instruction *instruction, struct request *request, const char **details_out)
{
	const struct node_now now = {clock_now_ms(), clock_wall_s()};
	auto_(slices_done) struct slices body = {0};
	uint64_t token = 0;
	uint64_t message = 0;
	int r;

	/* Nobody would learn that it was lost on the way. */
	*details_out = "the caller has gone";
	if (!listener_open(instruction->listener, request->peer) ||
		node_get_token(instruction->node, now, &token, details_out) != OUTCOME_OK)
		return false;
	r = instruction_encode_token(token, &body);
	if (r) {
		if (node_token_live(instruction->node, token, &message))
			node_worker_lost(instruction->node, now, message, "no memory");
		refuse_errno(instruction, request, r);
		return true;
	}
	listener_hold(instruction->listener, request->peer, token);
	request_reply(request, &body);
	return true;
}

static void waiting_set_timer(struct instruction *instruction)
{
	int64_t next_ms = CLOCK_NEVER;

	for (size_t i = 0; i < instruction->n_waiting; i++)
		if (instruction->waiting[i].end_ms < next_ms)
			next_ms = instruction->waiting[i].end_ms;
	timer_set(instruction->waiting_timer, next_ms);
}

/* It waits no longer; its answer is the caller's business. */
static struct request *waiting_take(struct instruction *instruction, size_t i)
{
	struct request *request = instruction->waiting[i].request;

	instruction->n_waiting--;
	memmove(instruction->waiting + i, instruction->waiting + i + 1,
		(instruction->n_waiting - i) * sizeof instruction->waiting[0]);
	request_on_cancel(request, NULL, NULL);
	listener_busy(instruction->listener, request->peer, -1);
	return request;
}

static void waiting_cancelled(void *arg, struct request *request)
{
	struct instruction *instruction = arg;

	for (size_t i = 0; i < instruction->n_waiting; i++) {
		if (instruction->waiting[i].request != request)
			continue;
		waiting_take(instruction, i);
		break;
	}
	request_fail(request, OUTCOME_CANCELLED, "the caller has gone");
}

static bool waiting_add(
	struct instruction *instruction, struct request *request, uint64_t token, int64_t end_ms)
{
	if (instruction->stopping || instruction->n_waiting == WAITING_MAX)
		return false;
	instruction->waiting[instruction->n_waiting++] = (struct waiting){request, token, end_ms};
	request_on_cancel(request, waiting_cancelled, instruction);
	listener_busy(instruction->listener, request->peer, 1);
	waiting_set_timer(instruction);
	return true;
}

static void waiting_late(void *arg)
{
	struct instruction *instruction = arg;
	int64_t now = clock_now_ms();

	for (size_t i = 0; i < instruction->n_waiting;) {
		if (instruction->waiting[i].end_ms > now && !instruction->stopping)
			i++;
		else
			refuse_quietly(instruction, waiting_take(instruction, i),
				OUTCOME_FAILED_PRECONDITION,
				instruction->stopping ? "the SuperNode is stopping"
						      : "no message came");
	}
	waiting_set_timer(instruction);
}

/* How long this caller is content to wait. */
static int64_t waits_ms(const struct request *request)
{
	const char *header = request_header(request, INSTRUCTION_WAIT_HEADER);
	uint64_t wait_ms = 0;

	if (!header || number_u64(header, &wait_ms))
		return 0;
	return wait_ms < INSTRUCTION_WAIT_MAX_MS ? (int64_t)wait_ms : INSTRUCTION_WAIT_MAX_MS;
}

static void handle_get_token(void *server, struct request *request)
{
	struct instruction *instruction = server;
	const char *details = "";
	int64_t wait_ms;

	listener_used(instruction->listener, request->peer);
	if (give_token(instruction, request, &details)) {
		changed(instruction);
		return;
	}
	wait_ms = waits_ms(request);
	if (!wait_ms || !waiting_add(instruction, request, 0, clock_after(clock_now_ms(), wait_ms)))
		refuse_quietly(instruction, request, OUTCOME_FAILED_PRECONDITION, details);
}

/* ---- Attend ---- */

static void handle_attend(void *server, struct request *request)
{
	struct instruction *instruction = server;
	uint64_t token = 0;
	uint64_t message;
	int r = instruction_decode_token(&request->body, &token);

	listener_used(instruction->listener, request->peer);
	if (r)
		refuse_errno(instruction, request, r);
	else if (!node_token_live(instruction->node, token, &message))
		refuse_quietly(instruction, request, OUTCOME_INVALID_ARGUMENT,
			"the token is of no message that is being worked on");
	else if (!listener_open(instruction->listener, request->peer))
		request_fail(request, OUTCOME_CANCELLED, "the caller has gone");
	else if (!waiting_add(instruction, request, token, CLOCK_NEVER))
		refuse_quietly(
			instruction, request, OUTCOME_UNAVAILABLE, "too many calls are waiting");
	else {
		instruction->attended = token;
		listener_hold(instruction->listener, request->peer, token);
	}
}

bool instruction_attended(const struct instruction *instruction, uint64_t token)
{
	return instruction->attended == token;
}

/* Answer those who attend what is over: by outputs of theirs, or otherwise. */
static void attended_over(struct instruction *instruction)
{
	uint64_t message;

	for (size_t i = 0; i < instruction->n_waiting;) {
		struct slices nothing = {0};
		uint64_t token = instruction->waiting[i].token;

		if (!token || node_token_live(instruction->node, token, &message))
			i++;
		else if (token == instruction->taken)
			request_reply(waiting_take(instruction, i), &nothing);
		else
			refuse_quietly(instruction, waiting_take(instruction, i),
				OUTCOME_FAILED_PRECONDITION, "the token is of no use any more");
	}
}

/* The first that waits for a message; n_waiting: nobody does. */
static size_t waiting_first(const struct instruction *instruction)
{
	size_t i = 0;

	while (i < instruction->n_waiting && instruction->waiting[i].token)
		i++;
	return i;
}

void instruction_offer(struct instruction *instruction)
{
	const char *details;
	int64_t since_ms;

	attended_over(instruction);
	for (size_t i; (i = waiting_first(instruction)) < instruction->n_waiting &&
		       node_offered(instruction->node, &since_ms);) {
		struct request *request = waiting_take(instruction, i);

		if (!give_token(instruction, request, &details))
			refuse_quietly(instruction, request, OUTCOME_FAILED_PRECONDITION, details);
	}
	waiting_set_timer(instruction);
}

bool instruction_receiving(const struct instruction *instruction)
{
	return instruction->stranger != NULL;
}

void instruction_stop(struct instruction *instruction)
{
	instruction->stopping = true;
	waiting_late(instruction);
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

	listener_used(instruction->listener, request->peer);
	if (r) {
		refuse_errno(instruction, request, r);
		return;
	}
	if (!listener_open(instruction->listener, request->peer)) {
		request_fail(request, OUTCOME_CANCELLED, "the caller has gone");
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
		listener_hold(instruction->listener, request->peer, token);
		instruction->ops->ready(instruction->arg, message, request->peer);
	}
	r = instruction_encode_inputs(&inputs, &body);
	if (r)
		refuse_errno(instruction, request, r);
	else
		request_reply(request, &body);
	changed(instruction);
}

/* ---- PushClientAppOutputs ---- */

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
			"no message waits for outputs");
		receive_next(instruction);
		return;
	}
	instruction->stranger = request;
	instruction->stranger_end_ms = clock_after(clock_now_ms(), INSTRUCTION_STRANGER_MS);
	instruction->stranger_bytes = listener_received(instruction->listener, request->peer);
	timer_set(instruction->stranger_timer, clock_after(clock_now_ms(), INSTRUCTION_STALL_MS));
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

/* Slow is fine, but not while others wait; and something has to come. */
static void stranger_late(void *arg)
{
	struct instruction *instruction = arg;
	struct request *request = instruction->stranger;
	uint64_t bytes = listener_received(instruction->listener, request->peer);
	bool stalled = bytes && bytes == instruction->stranger_bytes;
	bool others_wait = instruction->n_queue > 0;

	if (!stalled && !(others_wait && clock_now_ms() >= instruction->stranger_end_ms)) {
		instruction->stranger_bytes = bytes;
		timer_set(instruction->stranger_timer,
			clock_after(clock_now_ms(), INSTRUCTION_STALL_MS));
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
	uint64_t message;

	listener_used(instruction->listener, request->peer);
	if (!node_expects_outputs(instruction->node)) {
		refuse(instruction, request, OUTCOME_FAILED_PRECONDITION,
			"no message waits for outputs");
		return;
	}
	request_on_cancel(request, push_cancelled, instruction);
	listener_busy(instruction->listener, request->peer, 1);
	if (node_token_live(instruction->node, listener_holds(instruction->listener, request->peer),
		    &message)) {
		node_outputs_coming(instruction->node, message);
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
	uint64_t token;
	int r;

	body_over(instruction, request);
	r = instruction_decode_outputs(&request->body, &outputs);
	slices_done(&request->body);
	received(instruction, request);
	if (r) {
		refuse_errno(instruction, request, r);
		return;
	}
	token = outputs.token;
	outcome = node_push_outputs(instruction->node,
		(struct node_now){clock_now_ms(), clock_wall_s()}, &outputs, &details);
	if (outcome != OUTCOME_OK) {
		refuse(instruction, request, outcome, details);
		changed(instruction);
		return;
	}
	instruction->taken = token;
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

static const struct method own_methods[] = {
	{.name = "Attend",
		.body_max = TOKEN_BODY_MAX,
		.body_ms = TOKEN_BODY_MS,
		.handle = handle_attend},
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
		.services = {{.name = "flwr.proto.ClientAppIo",
				     .methods = methods,
				     .n_methods = ARRAY_LEN(methods),
				     .server = instruction},
			{.name = INSTRUCTION_OWN_SERVICE,
				.methods = own_methods,
				.n_methods = ARRAY_LEN(own_methods),
				.server = instruction}},
		.stranger_timer = timer_new(loop, stranger_late, instruction),
		.waiting_timer = timer_new(loop, waiting_late, instruction),
	};
	if (!instruction->stranger_timer || !instruction->waiting_timer) {
		instruction_free(instruction);
		return NULL;
	}
	return instruction;
}

void instruction_free(struct instruction *instruction)
{
	if (!instruction)
		return;
	timer_free(instruction->stranger_timer);
	timer_free(instruction->waiting_timer);
	free(instruction);
}

const struct service *instruction_services(const struct instruction *instruction, size_t *n_out)
{
	*n_out = ARRAY_LEN(instruction->services);
	return instruction->services;
}
