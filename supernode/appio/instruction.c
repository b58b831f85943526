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
#define WAITING_MAX    64    /* GetToken calls that wait for a message; others must ask again */

struct waiting {
	struct request *request;
	int64_t end_ms;
};

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
	struct waiting waiting[WAITING_MAX]; /* those that came first, first */
	size_t n_waiting;
	struct timer *waiting_timer;
	bool stopping;
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

/* ---- GetToken ---- */

/* Hand out a token if there is one: true when request was answered. */
static bool give_token(
	struct instruction *instruction, struct request *request, const char **details_out)
{
	auto_(slices_done) struct slices body = {0};
	uint64_t token = 0;
	uint64_t message = 0;
	int r;

	if (node_get_token(instruction->node, (struct node_now){clock_now_ms(), clock_wall_s()},
		    &token, details_out) != OUTCOME_OK)
		return false;
	if (node_token_live(instruction->node, token, &message))
		listener_hold(instruction->listener, request->peer, message);
	r = instruction_encode_token(token, &body);
	if (r)
		refuse_errno(instruction, request, r);
	else
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

static void waiting_late(void *arg)
{
	struct instruction *instruction = arg;
	int64_t now = clock_now_ms();

	for (size_t i = 0; i < instruction->n_waiting;) {
		if (instruction->waiting[i].end_ms > now && !instruction->stopping)
			i++;
		else
			refuse_quietly(instruction, waiting_take(instruction, i),
				OUTCOME_FAILED_PRECONDITION, "no message came");
	}
	waiting_set_timer(instruction);
}

/* How long this caller is content to wait. */
static int64_t waits_ms(const struct instruction *instruction, const struct request *request)
{
	const char *header = request_header(request, INSTRUCTION_WAIT_HEADER);
	uint64_t wait_ms = 0;

	if (!header || instruction->stopping || instruction->n_waiting == WAITING_MAX ||
		number_u64(header, &wait_ms))
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
	wait_ms = waits_ms(instruction, request);
	if (!wait_ms) {
		refuse_quietly(instruction, request, OUTCOME_FAILED_PRECONDITION, details);
		return;
	}
	instruction->waiting[instruction->n_waiting++] =
		(struct waiting){request, clock_after(clock_now_ms(), wait_ms)};
	request_on_cancel(request, waiting_cancelled, instruction);
	listener_busy(instruction->listener, request->peer, 1);
	waiting_set_timer(instruction);
}

void instruction_offer(struct instruction *instruction)
{
	const char *details;
	int64_t since_ms;

	while (instruction->n_waiting && node_offered(instruction->node, &since_ms)) {
		struct request *request = waiting_take(instruction, 0);

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
	uint64_t message;

	listener_used(instruction->listener, request->peer);
	if (!node_expects_outputs(instruction->node)) {
		refuse(instruction, request, OUTCOME_FAILED_PRECONDITION,
			"no message waits for outputs");
		return;
	}
	request_on_cancel(request, push_cancelled, instruction);
	listener_busy(instruction->listener, request->peer, 1);
	message = listener_holds(instruction->listener, request->peer);
	if (message) {
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

const struct service *instruction_service(const struct instruction *instruction)
{
	return &instruction->service;
}
