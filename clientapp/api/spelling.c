#include "clientapp/api/spelling.h"

#include "common/base/cleanup.h"
#include "common/message/app_codec.h"
#include "common/message/worker_api.h"

#include <string.h>

/* ---- requests of tasks: the token is in a header, the run is the task's ---- */

static int no_token(const char *token, struct slices *out)
{
	(void)token;
	(void)out;
	return 0;
}

static int task_pull_request(const char *token, uint64_t run_id, struct slices *out)
{
	(void)token;
	(void)run_id;
	(void)out;
	return 0;
}

static int task_push_request(const char *token, uint64_t run_id,
	const struct task_messages *messages, struct slices *out)
{
	(void)token;
	(void)run_id;
	return task_encode_push(messages, out);
}

static int task_output_request(
	const char *token, uint64_t run_id, const struct task_output *output, struct slices *out)
{
	(void)token;
	(void)run_id;
	return task_encode_output(output, out);
}

/* ---- requests of runs ---- */

static int run_output_request(
	const char *token, uint64_t run_id, const struct task_output *output, struct slices *out)
{
	const struct app_output outputs = {.run_id = run_id, .context = output->context};

	return app_encode_output(token, &outputs, out);
}

#define OF_TASKS                                                                                   \
	.token_header = WORKER_API_TASK_TOKEN, .token = no_token, .pull = task_pull_request,       \
	.push = task_push_request, .output = task_output_request
#define OF_RUNS                                                                                    \
	.token_header = WORKER_API_APP_TOKEN, .token = app_encode_token, .pull = app_encode_pull,  \
	.push = app_encode_push, .output = run_output_request

/* ---- the table ---- */

const struct spelling spelling_1_20 = {.since = "1.20",
	.paths = {[API_HEARTBEAT] = "/flwr.proto.ClientAppIo/SendAppHeartbeat",
		[API_PULL_INPUT] = "/flwr.proto.ClientAppIo/PullClientAppInputs",
		[API_PULL_MESSAGE] = "/flwr.proto.ClientAppIo/PullMessage",
		[API_PULL_OBJECT] = "/flwr.proto.ClientAppIo/PullObject",
		[API_CONFIRM] = "/flwr.proto.ClientAppIo/ConfirmMessageReceived",
		[API_PUSH_MESSAGE] = "/flwr.proto.ClientAppIo/PushMessage",
		[API_PUSH_OBJECT] = "/flwr.proto.ClientAppIo/PushObject",
		[API_PUSH_OUTPUT] = "/flwr.proto.ClientAppIo/PushClientAppOutputs"},
	OF_RUNS};

const struct spelling spelling_1_26 = {.since = "1.26",
	.paths = {[API_HEARTBEAT] = "/flwr.proto.ClientAppIo/SendAppHeartbeat",
		[API_PULL_INPUT] = "/flwr.proto.ClientAppIo/PullAppInputs",
		[API_PULL_MESSAGE] = "/flwr.proto.ClientAppIo/PullMessage",
		[API_PULL_OBJECT] = "/flwr.proto.ClientAppIo/PullObject",
		[API_CONFIRM] = "/flwr.proto.ClientAppIo/ConfirmMessageReceived",
		[API_PUSH_MESSAGE] = "/flwr.proto.ClientAppIo/PushMessage",
		[API_PUSH_OBJECT] = "/flwr.proto.ClientAppIo/PushObject",
		[API_PUSH_OUTPUT] = "/flwr.proto.ClientAppIo/PushAppOutputs"},
	.older = &spelling_1_20,
	OF_RUNS};

const struct spelling spelling_1_30 = {.since = "1.30",
	.paths = {[API_HEARTBEAT] = "/flwr.proto.ClientAppIo/SendTaskHeartbeat",
		[API_PULL_INPUT] = "/flwr.proto.ClientAppIo/PullTaskInput",
		[API_PULL_MESSAGE] = "/flwr.proto.ClientAppIo/PullMessage",
		[API_PULL_OBJECT] = "/flwr.proto.ClientAppIo/PullObject",
		[API_CONFIRM] = "/flwr.proto.ClientAppIo/ConfirmMessageReceived",
		[API_PUSH_MESSAGE] = "/flwr.proto.ClientAppIo/PushMessage",
		[API_PUSH_OBJECT] = "/flwr.proto.ClientAppIo/PushObject",
		[API_PUSH_OUTPUT] = "/flwr.proto.ClientAppIo/PushTaskOutput"},
	OF_TASKS};

const struct spelling spelling_1_32 = {.since = "1.32",
	.paths = {[API_HEARTBEAT] = "/flwr.proto.ClientAppIo/SendTaskHeartbeat",
		[API_PULL_INPUT] = "/flwr.proto.ClientAppIo/PullTaskInput",
		[API_PULL_MESSAGE] = "/flwr.proto.ClientAppIo/PullMessages",
		[API_PULL_OBJECT] = "/flwr.proto.ClientAppIo/PullObject",
		[API_CONFIRM] = "/flwr.proto.ClientAppIo/ConfirmMessageReceived",
		[API_PUSH_MESSAGE] = "/flwr.proto.ClientAppIo/PushMessages",
		[API_PUSH_OBJECT] = "/flwr.proto.ClientAppIo/PushObject",
		[API_PUSH_OUTPUT] = "/flwr.proto.ClientAppIo/PushTaskOutput"},
	.older = &spelling_1_30,
	OF_TASKS};

const struct spelling spelling_1_34 = {.since = "1.34",
	.paths = {[API_HEARTBEAT] = "/flwr.proto.Runtime/SendTaskHeartbeat",
		[API_PULL_INPUT] = "/flwr.proto.Runtime/PullTaskInput",
		[API_PULL_MESSAGE] = "/flwr.proto.Runtime/PullMessages",
		[API_PULL_OBJECT] = "/flwr.proto.Runtime/PullObject",
		[API_CONFIRM] = "/flwr.proto.Runtime/ConfirmMessageReceived",
		[API_PUSH_MESSAGE] = "/flwr.proto.Runtime/PushMessages",
		[API_PUSH_OBJECT] = "/flwr.proto.Runtime/PushObject",
		[API_PUSH_OUTPUT] = "/flwr.proto.Runtime/PushTaskOutput"},
	OF_TASKS};

const struct spelling spelling_1_35 = {.since = "1.35",
	.paths = {[API_HEARTBEAT] = "/flwr.proto.Runtime/SendTaskHeartbeat",
		[API_PULL_INPUT] = "/flwr.proto.Runtime/PullTaskInput",
		[API_PULL_MESSAGE] = "/flwr.proto.Runtime/PullMessages",
		[API_PULL_OBJECT] = "/flwr.proto.Runtime/PullObject",
		[API_CONFIRM] = "/flwr.proto.Runtime/ConfirmMessageReceived",
		[API_PUSH_MESSAGE] = "/flwr.proto.Runtime/PushMessages",
		[API_PUSH_OBJECT] = "/flwr.proto.Runtime/PushObject",
		[API_PUSH_OUTPUT] = "/flwr.proto.Runtime/PushTaskOutput"},
	.carrier = CARRIER_HTTP,
	OF_TASKS};

const struct spelling *spelling_find(const char *since)
{
	static const struct spelling *const table[] = {&spelling_1_20, &spelling_1_26,
		&spelling_1_30, &spelling_1_32, &spelling_1_34, &spelling_1_35};

	for (size_t i = 0; since && i < ARRAY_LEN(table); i++)
		if (strcmp(table[i]->since, since) == 0)
			return table[i];
	return &spelling_1_34;
}
