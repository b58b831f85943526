#include "clientapp/appio/instruction.h"

#include "common/base/cleanup.h"
#include "common/base/clock.h"
#include "common/base/pace.h"
#include "common/base/text.h"

#include <errno.h>
#include <stddef.h>

#define RETRY_FIRST_MS       50
#define RETRY_MAX_MS         2000
#define KEEPALIVE_MS         60000
#define KEEPALIVE_TIMEOUT_MS 20000
#define RECEIVE_MAX_BYTES    2147483647

#define PULL_PATH "/flwr.proto.ClientAppIo/PullClientAppInputs"
#define PUSH_PATH "/flwr.proto.ClientAppIo/PushClientAppOutputs"

struct instruction {
	struct log *log;
	struct rpc_channel *channel;
	struct timer *retry;
	uint64_t token;
	int64_t retry_ms;
	/* The call at hand. */
	const char *path;
	struct slices body; /* kept for another try */
	struct rpc_call *call;
	int64_t first_ms; /* of its first failure; 0: none yet */
	int64_t wait_ms;
	instruction_pulled_fn *pulled;
	instruction_pushed_fn *pushed;
	void *arg;
	/* Set by instruction_free() while a call is out: its end frees. */
	bool orphaned;
};

static void call_again(void *arg);

int instruction_new(struct loop *loop, struct rpc *rpc, struct log *log, const char *address,
	uint64_t token, int64_t retry_ms, struct instruction **out)
{
	struct instruction *instruction = calloc(1, sizeof *instruction);
	int r;

	if (!instruction)
		return -ENOMEM;
	instruction->log = log;
	instruction->token = token;
	instruction->retry_ms = retry_ms;
	instruction->retry = timer_new(loop, call_again, instruction);
	r = rpc_channel_new(rpc,
		&(struct rpc_channel_options){
			.target = address,
			.receive_max_bytes = RECEIVE_MAX_BYTES,
			.keepalive_ms = KEEPALIVE_MS,
			.keepalive_timeout_ms = KEEPALIVE_TIMEOUT_MS,
			.log = log,
		},
		&instruction->channel);
	if (r == 0 && !instruction->retry)
		r = -ENOMEM;
	if (r) {
		instruction_free(instruction);
		return r;
	}
	*out = instruction;
	return 0;
}

static void dispose(struct instruction *instruction)
{
	slices_done(&instruction->body);
	free(instruction);
}

static void tell_pulled(
	struct instruction *instruction, struct rpc_result *result, const char *details)
{
	auto_(instruction_inputs_done) struct instruction_inputs inputs = {0};
	enum outcome outcome = result->outcome;

	if (outcome == OUTCOME_OK && instruction_decode_inputs(&result->body, &inputs)) {
		outcome = OUTCOME_INTERNAL;
		details = "the SuperNode's answer cannot be decoded";
	}
	slices_done(&result->body);
	instruction->pulled(instruction->arg, outcome, &inputs, details);
}

static void tell_pushed(
	struct instruction *instruction, struct rpc_result *result, const char *details)
{
	auto_(free_at_exit) char *text = NULL;
	enum outcome outcome = result->outcome;
	int code = 0;

	if (outcome == OUTCOME_OK && instruction_decode_status(&result->body, &code, &text)) {
		outcome = OUTCOME_INTERNAL;
		details = "the SuperNode's answer cannot be decoded";
	} else if (outcome == OUTCOME_OK && code != 0) {
		outcome = OUTCOME_INTERNAL;
		details = "the SuperNode could not take the outputs";
	}
	instruction->pushed(instruction->arg, outcome, details);
}

/* Outputs that are too large stay so; inputs are a few bytes to ask for. */
static bool call_again_after(const struct instruction *instruction, enum outcome outcome)
{
	return outcome == OUTCOME_UNAVAILABLE ||
	       (outcome == OUTCOME_RESOURCE_EXHAUSTED && instruction->pulled);
}

static void call_done(void *arg, struct rpc_result *result)
{
	struct instruction *instruction = arg;
	int64_t now = clock_now_ms();
	int64_t retry_ms, wait_ms;
	char quoted[512];

	instruction->call = NULL;
	if (instruction->orphaned) {
		dispose(instruction);
		return;
	}
	text_quote(result->details, strlen(result->details), quoted, sizeof quoted);
	if (!instruction->first_ms)
		instruction->first_ms = now;
	retry_ms = result->outcome == OUTCOME_UNAVAILABLE ? instruction->retry_ms
							  : INSTRUCTION_RETRY_MS;
	wait_ms = pace_double(&instruction->wait_ms, RETRY_FIRST_MS, RETRY_MAX_MS);
	if (call_again_after(instruction, result->outcome) &&
		now + wait_ms < clock_after(instruction->first_ms, retry_ms)) {
		log_line(instruction->log,
			now == instruction->first_ms ? LOG_LEVEL_WARN : LOG_LEVEL_DEBUG,
			"the SuperNode cannot be reached (%s), again in %lld ms: %s",
			outcome_name(result->outcome), (long long)wait_ms, quoted);
		rpc_channel_reconnect_now(instruction->channel);
		timer_set(instruction->retry, clock_after(now, wait_ms));
		return;
	}
	slices_done(&instruction->body);
	if (instruction->pulled)
		tell_pulled(instruction, result, quoted);
	else
		tell_pushed(instruction, result, quoted);
}

static int call_start(struct instruction *instruction)
{
	const struct rpc_call_options options = {.path = instruction->path,
		.what = instruction->pulled ? "the inputs" : "the outputs"};
	struct slices body = {0};
	int r = slices_append_refs(&body, &instruction->body);

	if (r)
		return r;
	return rpc_call_start(
		instruction->channel, &options, &body, call_done, instruction, &instruction->call);
}

static void call_again(void *arg)
{
	struct instruction *instruction = arg;
	struct rpc_result result = {.outcome = OUTCOME_RESOURCE_EXHAUSTED, .details = "no memory"};

	if (call_start(instruction))
		call_done(instruction, &result);
}

static int call_first(struct instruction *instruction, const char *path, void *arg)
{
	int r;

	instruction->path = path;
	instruction->arg = arg;
	instruction->first_ms = 0;
	instruction->wait_ms = 0;
	r = call_start(instruction);
	if (r)
		slices_done(&instruction->body);
	return r;
}

int instruction_pull(struct instruction *instruction, instruction_pulled_fn *done, void *arg)
{
	int r = instruction_encode_token(instruction->token, &instruction->body);

	if (r)
		return r;
	instruction->pulled = done;
	instruction->pushed = NULL;
	return call_first(instruction, PULL_PATH, arg);
}

int instruction_push(struct instruction *instruction, struct instruction_outputs *outputs,
	instruction_pushed_fn *done, void *arg)
{
	int r;

	outputs->token = instruction->token;
	r = instruction_encode_outputs(outputs, &instruction->body);
	if (r) {
		slices_done(&instruction->body);
		return r;
	}
	instruction->pulled = NULL;
	instruction->pushed = done;
	return call_first(instruction, PUSH_PATH, arg);
}

void instruction_free(struct instruction *instruction)
{
	if (!instruction)
		return;
	timer_free(instruction->retry);
	instruction->orphaned = true;
	if (instruction->call)
		rpc_call_cancel(instruction->call);
	rpc_channel_free(instruction->channel);
	if (!instruction->call)
		dispose(instruction);
}
