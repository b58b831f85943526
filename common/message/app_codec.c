#include "common/message/app_codec.h"

#include "clientappio.pb-c.h"
#include "common/base/cleanup.h"
#include "common/message/parts.h"
#include "common/wire/wire.h"
#include "numbers.h"

#include <errno.h>
#include <string.h>

#define RUNS_MEMORY_MAX (1 << 20) /* of many runs that wait */

bool app_first_token(const struct slices *bytes, char out[TASK_TOKEN_DIGITS + 1])
{
	struct wire_reader reader, inside;
	struct wire_field field;

	out[0] = '\0';
	wire_reader_init(&reader, bytes);
	if (wire_next(&reader, &field) != 1 ||
		field.number != NUMBER_PULL_APP_INPUTS_REQUEST_TOKEN || field.type != WIRE_BYTES)
		return false;
	if (field.len <= TASK_TOKEN_DIGITS) {
		wire_reader_enter(&inside, &reader, &field);
		out[wire_next_bytes(&inside, out, TASK_TOKEN_DIGITS)] = '\0';
	}
	return true;
}

/* ---- the launcher's ---- */

int app_encode_runs(uint64_t run_id, struct slices *out)
{
	Flwr__ListAppsToLaunchResponse message = FLWR__LIST_APPS_TO_LAUNCH_RESPONSE__INIT;

	message.n_run_ids = run_id ? 1 : 0;
	message.run_ids = &run_id;
	return wire_encode(&message, out);
}

int app_decode_runs(const struct slices *bytes, uint64_t *run_id_out)
{
	auto_(wire_free) Flwr__ListAppsToLaunchResponse *message = NULL;
	int r = wire_decode(
		&flwr__list_apps_to_launch_response__descriptor, bytes, RUNS_MEMORY_MAX, &message);

	if (r == 0)
		*run_id_out = message->n_run_ids ? message->run_ids[0] : 0;
	return r;
}

int app_encode_request(uint64_t run_id, struct slices *out)
{
	Flwr__RequestTokenRequest message = FLWR__REQUEST_TOKEN_REQUEST__INIT;

	message.run_id = run_id;
	return wire_encode(&message, out);
}

int app_decode_request(const struct slices *bytes, uint64_t *run_id_out)
{
	auto_(wire_free) Flwr__RequestTokenRequest *message = NULL;
	int r = call_decode(request_token_request, bytes, &message);

	if (r == 0)
		*run_id_out = message->run_id;
	return r;
}

int app_encode_requested(const char *token, struct slices *out)
{
	Flwr__RequestTokenResponse message = FLWR__REQUEST_TOKEN_RESPONSE__INIT;

	message.token = (char *)token;
	return wire_encode(&message, out);
}

int app_decode_requested(const struct slices *bytes, char **token_out)
{
	auto_(wire_free) Flwr__RequestTokenResponse *message = NULL;
	int r = call_decode(request_token_response, bytes, &message);

	*token_out = NULL;
	if (r < 0 || !*message->token)
		return r;
	return wire_take_string(&message->token, TASK_TOKEN_MAX, token_out);
}

/* ---- the worker's ---- */

int app_encode_token(const char *token, struct slices *out)
{
	Flwr__PullAppInputsRequest message = FLWR__PULL_APP_INPUTS_REQUEST__INIT;

	message.token = (char *)token;
	return wire_encode(&message, out);
}

int app_encode_pull(const char *token, uint64_t run_id, struct slices *out)
{
	Flwr__PullRunMessagesRequest message = FLWR__PULL_RUN_MESSAGES_REQUEST__INIT;

	message.token = (char *)token;
	message.run_id = run_id;
	return wire_encode(&message, out);
}

int app_encode_push(const char *token, uint64_t run_id, const struct task_messages *messages,
	struct slices *out)
{
	Flwr__PushRunMessagesRequest message = FLWR__PUSH_RUN_MESSAGES_REQUEST__INIT;

	message.token = (char *)token;
	message.run_id = run_id;
	if (messages->n_messages)
		part_set(&message, messages_list, &messages->message);
	if (messages->n_trees)
		part_set(&message, message_object_trees, &messages->tree);
	return wire_encode(&message, out);
}

int app_decode_push(const struct slices *bytes, struct task_messages *out)
{
	auto_(wire_free) Flwr__PushRunMessagesRequest *message = NULL;
	int r = call_decode(push_run_messages_request, bytes, &message);

	*out = (struct task_messages){0};
	if (r < 0)
		return r;
	out->n_messages = message->n_messages_list;
	out->n_trees = message->n_message_object_trees;
	if (out->n_messages)
		out->message = slices_take(&message->messages_list[0]);
	if (out->n_trees)
		out->tree = slices_take(&message->message_object_trees[0]);
	return 0;
}

void app_output_done(struct app_output *output)
{
	given_context_done(&output->context);
	*output = (struct app_output){0};
}

int app_encode_output(const char *token, const struct app_output *output, struct slices *out)
{
	Flwr__PushAppOutputsRequest message = FLWR__PUSH_APP_OUTPUTS_REQUEST__INIT;

	message.token = (char *)token;
	message.run_id = output->run_id;
	part_set(&message, context, &output->context.bytes);
	return wire_encode(&message, out);
}

int app_decode_output(const struct slices *bytes, struct app_output *out)
{
	auto_(wire_free) Flwr__PushAppOutputsRequest *message = NULL;
	int r = call_decode(push_app_outputs_request, bytes, &message);

	*out = (struct app_output){0};
	if (r == 0)
		r = part_take(message->context, message->n_context, &out->context.bytes);
	if (r == 0)
		out->run_id = message->run_id;
	return r;
}
