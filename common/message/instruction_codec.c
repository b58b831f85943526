/*
 * instruction_codec: dialect 1 is a token and parts that are handed on as they are.
 */
#include "common/message/instruction_codec.h"

#include "clientappio.pb-c.h"
#include "common/base/cleanup.h"
#include "common/message/parts.h"
#include "numbers.h"

#include <errno.h>
#include <string.h>

void instruction_inputs_done(struct instruction_inputs *inputs)
{
	slices_done(&inputs->message);
	slices_done(&inputs->context);
	slices_done(&inputs->run);
	slices_done(&inputs->fab);
}

void instruction_outputs_done(struct instruction_outputs *outputs)
{
	slices_done(&outputs->message);
	given_context_done(&outputs->context);
	envelope_done(&outputs->reply);
	*outputs = (struct instruction_outputs){0};
}

int instruction_encode_token(uint64_t token, struct slices *out)
{
	Flwr__GetTokenResponse message = FLWR__GET_TOKEN_RESPONSE__INIT;

	message.token = token;
	return wire_encode(&message, out);
}

int instruction_decode_token(const struct slices *bytes, uint64_t *token_out)
{
	auto_(wire_free) Flwr__GetTokenResponse *message = NULL;
	int r = call_decode(get_token_response, bytes, &message);

	if (r == 0)
		*token_out = message->token;
	return r;
}

uint64_t instruction_first_token(const struct slices *bytes)
{
	return wire_first_varint(bytes, NUMBER_PUSH_CLIENT_APP_OUTPUTS_REQUEST_TOKEN);
}

int instruction_decode_reply(struct instruction_outputs *outputs)
{
	if (!outputs->decoded)
		outputs->reply_result = envelope_decode(&outputs->message, &outputs->reply);
	outputs->decoded = true;
	return outputs->reply_result;
}

int instruction_encode_inputs(const struct instruction_inputs *inputs, struct slices *out)
{
	Flwr__PullClientAppInputsResponse message = FLWR__PULL_CLIENT_APP_INPUTS_RESPONSE__INIT;

	part_set(&message, message, &inputs->message);
	part_set(&message, context, &inputs->context);
	part_set(&message, run, &inputs->run);
	if (inputs->fab.bytes)
		part_set(&message, fab, &inputs->fab);
	return wire_encode(&message, out);
}

int instruction_decode_inputs(const struct slices *bytes, struct instruction_inputs *out)
{
	auto_(wire_free) Flwr__PullClientAppInputsResponse *message = NULL;
	auto_(instruction_inputs_done) struct instruction_inputs inputs = {0};
	int r = call_decode(pull_client_app_inputs_response, bytes, &message);

	*out = (struct instruction_inputs){0};
	if (r == 0)
		r = part_take(message->message, message->n_message, &inputs.message);
	if (r == 0)
		r = part_take(message->context, message->n_context, &inputs.context);
	if (r == 0)
		r = part_take(message->run, message->n_run, &inputs.run);
	if (r == 0)
		r = part_take(message->fab, message->n_fab, &inputs.fab);
	if (r < 0)
		return r;
	*out = inputs;
	inputs = (struct instruction_inputs){0};
	return 0;
}

int instruction_encode_outputs(const struct instruction_outputs *outputs, struct slices *out)
{
	Flwr__PushClientAppOutputsRequest message = FLWR__PUSH_CLIENT_APP_OUTPUTS_REQUEST__INIT;

	message.token = outputs->token;
	part_set(&message, message, &outputs->message);
	part_set(&message, context, &outputs->context.bytes);
	return wire_encode(&message, out);
}

int instruction_decode_outputs(const struct slices *bytes, struct instruction_outputs *out)
{
	auto_(wire_free) Flwr__PushClientAppOutputsRequest *message = NULL;
	auto_(instruction_outputs_done) struct instruction_outputs outputs = {0};
	int r = call_decode(push_client_app_outputs_request, bytes, &message);

	*out = (struct instruction_outputs){0};
	if (r == 0)
		r = part_take(message->message, message->n_message, &outputs.message);
	if (r == 0)
		r = part_take(message->context, message->n_context, &outputs.context.bytes);
	if (r < 0)
		return r;
	outputs.token = message->token;
	*out = outputs;
	outputs = (struct instruction_outputs){0};
	return 0;
}

int instruction_encode_status(int code, const char *text, struct slices *out)
{
	Flwr__ClientAppOutputStatus status = FLWR__CLIENT_APP_OUTPUT_STATUS__INIT;
	Flwr__PushClientAppOutputsResponse message = FLWR__PUSH_CLIENT_APP_OUTPUTS_RESPONSE__INIT;

	status.code = (Flwr__ClientAppOutputCode)code;
	status.message = (char *)text;
	message.status = &status;
	return wire_encode(&message, out);
}

int instruction_decode_status(const struct slices *bytes, int *code_out, char **text_out)
{
	auto_(wire_free) Flwr__PushClientAppOutputsResponse *message = NULL;
	char *none = (char *)protobuf_c_empty_string;
	int r = call_decode(push_client_app_outputs_response, bytes, &message);

	*text_out = NULL;
	if (r < 0)
		return r;
	r = wire_take_string(
		message->status ? &message->status->message : &none, ENVELOPE_STRING_MAX, text_out);
	if (r < 0)
		return r;
	*code_out = message->status ? (int)message->status->code : 0;
	return 0;
}
