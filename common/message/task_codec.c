/*
 * task_codec: small fields, and parts that are handed on as they are.
 */
#include "common/message/task_codec.h"

#include "common/base/cleanup.h"
#include "common/message/envelope.h"
#include "common/message/parts.h"
#include "runtime.pb-c.h"

#include <errno.h>
#include <string.h>

#define TASKS_MEMORY_MAX (16 << 20) /* of many tasks that wait */

bool task_token_valid(const char *text)
{
	return strlen(text) == TASK_TOKEN_DIGITS &&
	       strspn(text, "0123456789abcdefABCDEF") == TASK_TOKEN_DIGITS;
}

/* ---- the launcher's ---- */

int task_encode_pending(uint64_t task_id, uint64_t run_id, struct slices *out)
{
	Flwr__PullPendingTasksResponse message = FLWR__PULL_PENDING_TASKS_RESPONSE__INIT;
	Flwr__Task task = FLWR__TASK__INIT, *tasks = &task;

	task.task_id = task_id;
	task.type = (char *)TASK_TYPE;
	task.run_id = run_id;
	message.n_tasks = task_id ? 1 : 0;
	message.tasks = &tasks;
	return wire_encode(&message, out);
}

int task_decode_pending(const struct slices *bytes, uint64_t *task_id_out)
{
	auto_(wire_free) Flwr__PullPendingTasksResponse *message = NULL;
	int r = wire_decode(
		&flwr__pull_pending_tasks_response__descriptor, bytes, TASKS_MEMORY_MAX, &message);

	if (r < 0)
		return r;
	*task_id_out = 0;
	for (size_t i = 0; i < message->n_tasks && !*task_id_out; i++)
		if (strcmp(message->tasks[i]->type, TASK_TYPE) == 0)
			*task_id_out = message->tasks[i]->task_id;
	return 0;
}

int task_encode_claim(uint64_t task_id, struct slices *out)
{
	Flwr__ClaimTaskRequest message = FLWR__CLAIM_TASK_REQUEST__INIT;

	message.task_id = task_id;
	return wire_encode(&message, out);
}

int task_decode_claim(const struct slices *bytes, uint64_t *task_id_out)
{
	auto_(wire_free) Flwr__ClaimTaskRequest *message = NULL;
	int r = call_decode(claim_task_request, bytes, &message);

	if (r == 0)
		*task_id_out = message->task_id;
	return r;
}

int task_encode_claimed(const char *token, struct slices *out)
{
	Flwr__ClaimTaskResponse message = FLWR__CLAIM_TASK_RESPONSE__INIT;

	if (token)
		message.has_token_case = FLWR__CLAIM_TASK_RESPONSE__HAS_TOKEN_TOKEN;
	message.token = (char *)token;
	return wire_encode(&message, out);
}

int task_decode_claimed(const struct slices *bytes, char **token_out)
{
	auto_(wire_free) Flwr__ClaimTaskResponse *message = NULL;
	int r = call_decode(claim_task_response, bytes, &message);

	*token_out = NULL;
	if (r < 0)
		return r;
	if (message->has_token_case != FLWR__CLAIM_TASK_RESPONSE__HAS_TOKEN_TOKEN ||
		!*message->token)
		return 0;
	if (strlen(message->token) > TASK_TOKEN_MAX)
		return -EMSGSIZE;
	*token_out = take_pointer(&message->token);
	return 0;
}

int task_encode_acquire(struct slices *out)
{
	Flwr__AcquireTaskRequest message = FLWR__ACQUIRE_TASK_REQUEST__INIT;
	char *type = (char *)TASK_TYPE;

	message.n_supported_task_types = 1;
	message.supported_task_types = &type;
	return wire_encode(&message, out);
}

int task_decode_acquired(const struct slices *bytes, char **token_out)
{
	auto_(wire_free) Flwr__AcquireTaskResponse *message = NULL;
	int r = call_decode(acquire_task_response, bytes, &message);

	*token_out = NULL;
	if (r < 0 || !*message->token)
		return r < 0 ? r : 0;
	if (strlen(message->token) > TASK_TOKEN_MAX)
		return -EMSGSIZE;
	*token_out = take_pointer(&message->token);
	return 0;
}

int task_decode_acquire(const struct slices *bytes, bool *wanted_out)
{
	auto_(wire_free) Flwr__AcquireTaskRequest *message = NULL;
	int r = call_decode(acquire_task_request, bytes, &message);

	*wanted_out = false;
	if (r < 0)
		return r;
	for (size_t i = 0; i < message->n_supported_task_types && !*wanted_out; i++)
		*wanted_out = strcmp(message->supported_task_types[i], TASK_TYPE) == 0;
	return 0;
}

int task_encode_acquired(uint64_t task_id, uint64_t run_id, const char *token, struct slices *out)
{
	Flwr__AcquireTaskResponse message = FLWR__ACQUIRE_TASK_RESPONSE__INIT;
	Flwr__Task task = FLWR__TASK__INIT;

	if (!token)
		return 0;
	task.task_id = task_id;
	task.type = (char *)TASK_TYPE;
	task.run_id = run_id;
	message.task = &task;
	message.token = (char *)token;
	return wire_encode(&message, out);
}

int task_encode_heartbeat(bool success, struct slices *out)
{
	Flwr__SendTaskHeartbeatResponse message = FLWR__SEND_TASK_HEARTBEAT_RESPONSE__INIT;

	message.success = success;
	return wire_encode(&message, out);
}

int task_decode_heartbeat(const struct slices *bytes, bool *success_out)
{
	auto_(wire_free) Flwr__SendTaskHeartbeatResponse *message = NULL;
	int r = call_decode(send_task_heartbeat_response, bytes, &message);

	if (r == 0)
		*success_out = message->success;
	return r;
}

int task_decode_get_run(const struct slices *bytes, uint64_t *run_id_out)
{
	auto_(wire_free) Flwr__GetRunRequest *message = NULL;
	int r = call_decode(get_run_request, bytes, &message);

	if (r == 0)
		*run_id_out = message->run_id;
	return r;
}

int task_encode_get_run(const struct slices *run, struct slices *out)
{
	Flwr__GetRunResponse message = FLWR__GET_RUN_RESPONSE__INIT;

	part_set(&message, run, run);
	return wire_encode(&message, out);
}

/* ---- the input ---- */

void task_input_done(struct task_input *input)
{
	slices_done(&input->context);
	slices_done(&input->run);
	slices_done(&input->fab);
	*input = (struct task_input){0};
}

int task_encode_input(const struct task_input *input, struct slices *out)
{
	Flwr__PullTaskInputResponse message = FLWR__PULL_TASK_INPUT_RESPONSE__INIT;

	part_set(&message, context, &input->context);
	part_set(&message, run, &input->run);
	if (input->fab.bytes)
		part_set(&message, fab, &input->fab);
	message.task_id = input->task_id;
	return wire_encode(&message, out);
}

int task_decode_input(const struct slices *bytes, struct task_input *out)
{
	auto_(wire_free) Flwr__PullTaskInputResponse *message = NULL;
	auto_(task_input_done) struct task_input input = {0};
	int r = call_decode(pull_task_input_response, bytes, &message);

	*out = (struct task_input){0};
	if (r == 0)
		r = part_take(message->context, message->n_context, &input.context);
	if (r == 0)
		r = part_take(message->run, message->n_run, &input.run);
	if (r == 0)
		r = part_take(message->fab, message->n_fab, &input.fab);
	if (r < 0)
		return r;
	input.task_id = message->task_id;
	*out = input;
	input = (struct task_input){0};
	return 0;
}

/* ---- messages ---- */

void task_messages_done(struct task_messages *messages)
{
	slices_done(&messages->message);
	slices_done(&messages->tree);
	*messages = (struct task_messages){0};
}

int task_encode_pulled(const struct task_messages *messages, struct slices *out)
{
	Flwr__PullAppMessagesResponse message = FLWR__PULL_APP_MESSAGES_RESPONSE__INIT;

	if (messages->n_messages)
		part_set(&message, messages_list, &messages->message);
	if (messages->n_trees)
		part_set(&message, message_object_trees, &messages->tree);
	return wire_encode(&message, out);
}

int task_encode_push(const struct task_messages *messages, struct slices *out)
{
	Flwr__PushAppMessagesRequest message = FLWR__PUSH_APP_MESSAGES_REQUEST__INIT;

	if (messages->n_messages)
		part_set(&message, messages_list, &messages->message);
	if (messages->n_trees)
		part_set(&message, message_object_trees, &messages->tree);
	return wire_encode(&message, out);
}

/* PullAppMessagesResponse and PushAppMessagesRequest have these two lists. */
#define messages_take(from, to)                                                                    \
	do {                                                                                       \
		(to)->n_messages = (from)->n_messages_list;                                        \
		(to)->n_trees = (from)->n_message_object_trees;                                    \
		if ((to)->n_messages)                                                              \
			(to)->message = slices_take(&(from)->messages_list[0]);                    \
		if ((to)->n_trees)                                                                 \
			(to)->tree = slices_take(&(from)->message_object_trees[0]);                \
	} while (0)

int task_decode_pull(const struct slices *bytes, const char *message_id, bool *own_out)
{
	auto_(wire_free) Flwr__PullAppMessagesRequest *message = NULL;
	int r = call_decode(pull_app_messages_request, bytes, &message);

	if (r < 0)
		return r;
	*own_out = true;
	for (size_t i = 0; i < message->n_message_ids; i++)
		*own_out = *own_out && strcmp(message->message_ids[i], message_id) == 0;
	return 0;
}

int task_decode_pulled(const struct slices *bytes, struct task_messages *out)
{
	auto_(wire_free) Flwr__PullAppMessagesResponse *message = NULL;
	int r = call_decode(pull_app_messages_response, bytes, &message);

	*out = (struct task_messages){0};
	if (r == 0)
		messages_take(message, out);
	return r;
}

int task_decode_push(const struct slices *bytes, struct task_messages *out)
{
	auto_(wire_free) Flwr__PushAppMessagesRequest *message = NULL;
	int r = call_decode(push_app_messages_request, bytes, &message);

	*out = (struct task_messages){0};
	if (r == 0)
		messages_take(message, out);
	return r;
}

void task_pushed_done(struct task_pushed *pushed)
{
	free(pushed->message_id);
	free(pushed->session_id);
	free(pushed->wanted);
	*pushed = (struct task_pushed){0};
}

int task_encode_pushed(const struct task_pushed *pushed, struct slices *out)
{
	Flwr__PushAppMessagesResponse message = FLWR__PUSH_APP_MESSAGES_RESPONSE__INIT;
	auto_(free_at_exit) char *ids = NULL;
	auto_(free_at_exit) char **wanted = NULL;
	char *message_id = pushed->message_id;

	ids = reallocarray(NULL, pushed->n_wanted + 1, OBJECT_ID_TEXT_BYTES);
	wanted = reallocarray(NULL, pushed->n_wanted + 1, sizeof *wanted);
	if (!ids || !wanted)
		return -ENOMEM;
	for (size_t i = 0; i < pushed->n_wanted; i++) {
		wanted[i] = ids + i * OBJECT_ID_TEXT_BYTES;
		object_id_format(&pushed->wanted[i], wanted[i]);
	}
	message.n_message_ids = message_id && *message_id ? 1 : 0;
	message.message_ids = &message_id;
	message.n_objects_to_push = pushed->n_wanted;
	message.objects_to_push = wanted;
	message.session_id = pushed->session_id;
	return wire_encode(&message, out);
}

int task_decode_pushed(const struct slices *bytes, struct task_pushed *out)
{
	auto_(wire_free) Flwr__PushAppMessagesResponse *message = NULL;
	auto_(task_pushed_done) struct task_pushed pushed = {0};
	char *none = (char *)protobuf_c_empty_string, **id = &none;
	int r = wire_decode(
		&flwr__push_app_messages_response__descriptor, bytes, WANTED_MEMORY_MAX, &message);

	*out = (struct task_pushed){0};
	if (r == 0)
		r = wanted_take(message->objects_to_push, message->n_objects_to_push,
			&pushed.wanted, &pushed.n_wanted);
	if (r < 0)
		return r;
	if (message->n_message_ids)
		id = &message->message_ids[message->n_message_ids - 1];
	r = wire_take_string(id, TASK_TEXT_MAX, &pushed.message_id);
	if (r == 0)
		r = wire_take_string(&message->session_id, TASK_TEXT_MAX, &pushed.session_id);
	if (r < 0)
		return r;
	*out = pushed;
	pushed = (struct task_pushed){0};
	return 0;
}

/* ---- the output ---- */

void task_output_done(struct task_output *output)
{
	given_context_done(&output->context);
	free(output->sub_status);
	free(output->details);
	*output = (struct task_output){0};
}

int task_encode_output(const struct task_output *output, struct slices *out)
{
	Flwr__PushTaskOutputRequest message = FLWR__PUSH_TASK_OUTPUT_REQUEST__INIT;

	if (output->has_context)
		part_set(&message, context, &output->context.bytes);
	message.sub_status = output->sub_status;
	message.details = output->details;
	if (output->has_runtime)
		message.has_clientapp_runtime_case =
			FLWR__PUSH_TASK_OUTPUT_REQUEST__HAS_CLIENTAPP_RUNTIME_CLIENTAPP_RUNTIME;
	message.clientapp_runtime = output->runtime_s;
	return wire_encode(&message, out);
}

int task_decode_output(const struct slices *bytes, struct task_output *out)
{
	auto_(wire_free) Flwr__PushTaskOutputRequest *message = NULL;
	auto_(task_output_done) struct task_output output = {0};
	int r = wire_decode(&flwr__push_task_output_request__descriptor, bytes,
		CALL_MEMORY_MAX + ENVELOPE_REASON_MAX, &message);

	*out = (struct task_output){0};
	if (r == 0)
		r = part_take(message->context, message->n_context, &output.context.bytes);
	if (r == 0)
		r = wire_take_string(&message->sub_status, TASK_TEXT_MAX, &output.sub_status);
	if (r == 0)
		r = wire_take_string(&message->details, ENVELOPE_REASON_MAX, &output.details);
	if (r < 0)
		return r;
	output.has_context = message->n_context > 0;
	output.has_runtime = message->has_clientapp_runtime_case != 0;
	output.runtime_s = message->clientapp_runtime;
	*out = output;
	output = (struct task_output){0};
	return 0;
}
