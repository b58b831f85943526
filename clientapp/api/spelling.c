#include "clientapp/api/spelling.h"

#include "common/base/cleanup.h"
#include "common/message/app_codec.h"
#include "common/message/worker_api.h"

#include <string.h>

#define CLIENT_APP_IO "/" WORKER_API_CLIENT_APP_IO "/"
#define RUNTIME       "/" WORKER_API_RUNTIME "/"

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
#define OBJECTS(service)                                                                           \
	[API_PULL_OBJECT] = service "PullObject", [API_PUSH_OBJECT] = service "PushObject",        \
	[API_CONFIRM] = service "ConfirmMessageReceived"

/* ---- the table ---- */

const struct spelling spelling_1_20 = {.since = "1.20",
	.paths = {[API_HEARTBEAT] = CLIENT_APP_IO "SendAppHeartbeat",
		[API_PULL_INPUT] = CLIENT_APP_IO "PullClientAppInputs",
		[API_PULL_MESSAGE] = CLIENT_APP_IO "PullMessage",
		[API_PUSH_MESSAGE] = CLIENT_APP_IO "PushMessage",
		[API_PUSH_OUTPUT] = CLIENT_APP_IO "PushClientAppOutputs",
		OBJECTS(CLIENT_APP_IO)},
	OF_RUNS};

const struct spelling spelling_1_26 = {.since = "1.26",
	.paths = {[API_HEARTBEAT] = CLIENT_APP_IO "SendAppHeartbeat",
		[API_PULL_INPUT] = CLIENT_APP_IO "PullAppInputs",
		[API_PULL_MESSAGE] = CLIENT_APP_IO "PullMessage",
		[API_PUSH_MESSAGE] = CLIENT_APP_IO "PushMessage",
		[API_PUSH_OUTPUT] = CLIENT_APP_IO "PushAppOutputs",
		OBJECTS(CLIENT_APP_IO)},
	.older = &spelling_1_20,
	OF_RUNS};

const struct spelling spelling_1_30 = {.since = "1.30",
	.paths = {[API_HEARTBEAT] = CLIENT_APP_IO "SendTaskHeartbeat",
		[API_PULL_INPUT] = CLIENT_APP_IO "PullTaskInput",
		[API_PULL_MESSAGE] = CLIENT_APP_IO "PullMessage",
		[API_PUSH_MESSAGE] = CLIENT_APP_IO "PushMessage",
		[API_PUSH_OUTPUT] = CLIENT_APP_IO "PushTaskOutput",
		OBJECTS(CLIENT_APP_IO)},
	OF_TASKS};

const struct spelling spelling_1_32 = {.since = "1.32",
	.paths = {[API_HEARTBEAT] = CLIENT_APP_IO "SendTaskHeartbeat",
		[API_PULL_INPUT] = CLIENT_APP_IO "PullTaskInput",
		[API_PULL_MESSAGE] = CLIENT_APP_IO "PullMessages",
		[API_PUSH_MESSAGE] = CLIENT_APP_IO "PushMessages",
		[API_PUSH_OUTPUT] = CLIENT_APP_IO "PushTaskOutput",
		OBJECTS(CLIENT_APP_IO)},
	.older = &spelling_1_30,
	OF_TASKS};

#define RUNTIME_PATHS                                                                              \
	{                                                                                          \
		[API_HEARTBEAT] = RUNTIME "SendTaskHeartbeat",                                     \
		[API_PULL_INPUT] = RUNTIME "PullTaskInput",                                        \
		[API_PULL_MESSAGE] = RUNTIME "PullMessages",                                       \
		[API_PUSH_MESSAGE] = RUNTIME "PushMessages",                                       \
		[API_PUSH_OUTPUT] = RUNTIME "PushTaskOutput", OBJECTS(RUNTIME)                     \
	}

const struct spelling spelling_1_34 = {.since = "1.34", .paths = RUNTIME_PATHS, OF_TASKS};

const struct spelling spelling_1_35 = {
	.since = "1.35", .carrier = CARRIER_HTTP, .paths = RUNTIME_PATHS, OF_TASKS};

const struct spelling *spelling_find(const char *since)
{
	static const struct spelling *const table[] = {&spelling_1_20, &spelling_1_26,
		&spelling_1_30, &spelling_1_32, &spelling_1_34, &spelling_1_35};

	for (size_t i = 0; since && i < ARRAY_LEN(table); i++)
		if (strcmp(table[i]->since, since) == 0)
			return table[i];
	return &spelling_1_34;
}
