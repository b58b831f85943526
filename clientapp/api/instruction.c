/*
 * instruction: the worker's end of dialect 1 (service ClientAppIo of Flower 1.15 - 1.18): shows a
 * token, takes one instruction, gives back one reply, each in one call.
 */
#include "clientapp/api/conversation_ops.h"

#include "common/base/cleanup.h"
#include "common/message/instruction_codec.h"
#include "common/message/worker_api.h"
#include "common/records/maps_codec.h"

#include <stddef.h>

struct instruction {
	struct conversation conversation;
	uint64_t token;
	uint64_t bytes; /* of the outputs that are being pushed */
	conversation_pulled_fn *pulled;
	conversation_pushed_fn *pushed;
	void *arg;
};

static struct instruction *of(struct conversation *conversation)
{
	return container_of(conversation, struct instruction, conversation);
}

/* 0 also when the records cannot be read: that is said in broken. */
static int decode_inputs(struct instruction_inputs *from, struct conversation_inputs *out)
{
	int r = envelope_decode(&from->message, &out->message);

	if (r == 0)
		r = conversation_decode_rest(out, &from->context, &from->run, &from->fab);
	if (r)
		return r;
	out->content_bytes = out->message.content.bytes;
	r = maps_decode(&out->message.content, &out->content, &out->broken);
	if (r == 0)
		r = maps_decode(&out->context.state, &out->state, &out->broken);
	/* Arrays refer to it. */
	slices_done(&out->message.content);
	if (r && !out->broken.text[0])
		reason_set(&out->broken, "no memory for the inputs");
	return 0;
}

static void pull_done(void *arg, struct carrier_result *result)
{
	struct instruction *instruction = arg;
	auto_(instruction_inputs_done) struct instruction_inputs parts = {0};
	auto_(conversation_inputs_done) struct conversation_inputs inputs = {0};
	enum outcome outcome = result->outcome;
	const char *details = result->details;

	if (outcome == OUTCOME_OK && instruction_decode_inputs(&result->body, &parts)) {
		outcome = OUTCOME_INTERNAL;
		details = "the SuperNode's answer cannot be decoded";
	}
	slices_done(&result->body);
	if (outcome == OUTCOME_OK && decode_inputs(&parts, &inputs))
		reason_set(&inputs.broken, "the worker could not decode its inputs");
	instruction_inputs_done(&parts);
	instruction->pulled(instruction->arg, outcome, &inputs, details);
}

static int instruction_pull(
	struct conversation *conversation, conversation_pulled_fn *done, void *arg)
{
	static const struct api_call call = {
		.path = "/" WORKER_API_CLIENT_APP_IO "/PullClientAppInputs",
		.what = "the inputs",
		.again_if_full = true};
	struct instruction *instruction = of(conversation);
	struct slices body = {0};
	int r = instruction_encode_token(instruction->token, &body);

	instruction->pulled = done;
	instruction->arg = arg;
	return r ? r : api_calls_start(conversation->calls, &call, &body, pull_done, instruction);
}

static void push_done(void *arg, struct carrier_result *result)
{
	struct instruction *instruction = arg;
	auto_(free_at_exit) char *text = NULL;
	enum outcome outcome = result->outcome;
	const char *details = result->details;
	int code = 0;

	if (outcome == OUTCOME_OK && instruction_decode_status(&result->body, &code, &text)) {
		outcome = OUTCOME_INTERNAL;
		details = "the SuperNode's answer cannot be decoded";
	} else if (outcome == OUTCOME_OK && code != 0) {
		outcome = OUTCOME_INTERNAL;
		details = "the SuperNode could not take the outputs";
	}
	instruction->pushed(instruction->arg, outcome, details, instruction->bytes);
}

static int encode_outputs(
	const struct instruction *instruction, struct conversation_reply *reply, struct slices *out)
{
	auto_(instruction_outputs_done) struct instruction_outputs outputs = {0};
	int r = 0;

	outputs.token = instruction->token;
	if (reply->message.has_content)
		r = maps_encode(&reply->content, &reply->message.content);
	if (r == 0)
		r = envelope_encode(&reply->message, &outputs.message);
	if (r == 0)
		r = conversation_encode_context(reply, maps_encode, &outputs.context.bytes);
	return r ? r : instruction_encode_outputs(&outputs, out);
}

static int instruction_push(struct conversation *conversation, struct conversation_reply *reply,
	conversation_pushed_fn *done, void *arg)
{
	static const struct api_call call = {
		.path = "/" WORKER_API_CLIENT_APP_IO "/PushClientAppOutputs",
		.what = "the outputs"};
	struct instruction *instruction = of(conversation);
	auto_(slices_done) struct slices body = {0};
	int r = encode_outputs(instruction, reply, &body);

	conversation_reply_done(reply);
	if (r)
		return r;
	instruction->bytes = body.bytes;
	instruction->pushed = done;
	instruction->arg = arg;
	return api_calls_start(conversation->calls, &call, &body, push_done, instruction);
}

static void instruction_free(struct conversation *conversation)
{
	api_calls_free(conversation->calls);
	free(of(conversation));
}

static const struct conversation_ops ops = {
	.pull = instruction_pull, .push = instruction_push, .free = instruction_free};

struct conversation *instruction_new(uint64_t token)
{
	struct instruction *instruction = calloc(1, sizeof *instruction);

	if (!instruction)
		return NULL;
	instruction->conversation.ops = &ops;
	instruction->token = token;
	return &instruction->conversation;
}
