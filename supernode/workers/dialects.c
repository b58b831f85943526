/*
 * The tables. A dialect is the names and bodies of a range of Flower's releases (docs/protocol.md):
 * 1 - 5 are methods of one service.
 */
#include "supernode/workers/dialects.h"

#include "common/base/cleanup.h"
#include "common/base/clock.h"
#include "common/message/worker_api.h"
#include "supernode/workers/handlers.h"

#define TOKEN_BODY_MAX 64   /* bytes of a request that is a number at most */
#define SMALL_BODY_MAX 4096 /* of one without content */
#define SMALL_BODY_MS  10000
#define LOGS_MAX       (1 << 20)
#define MESSAGES_MAX   (OBJECT_TREE_BYTES_MAX + (1 << 20))

#define SMALL       .body_max = SMALL_BODY_MAX, .body_ms = SMALL_BODY_MS
#define BY_LAUNCHER SMALL, .rule = ADMIT_LAUNCHER
#define BY_WORKER   SMALL, .rule = ADMIT_WORKER
#define NUMBER      .body_max = TOKEN_BODY_MAX, .body_ms = SMALL_BODY_MS

static const struct worker_method client_app_io[] = {
	/* Dialect 1. */
	{.name = "GetToken", NUMBER, .rule = ADMIT_LAUNCHER, .handle = instructions_get_token},
	{.name = "PullClientAppInputs", NUMBER, .rule = ADMIT_INLINE, .handle = instructions_pull},
	{.name = "PushClientAppOutputs",
		.body_max = INT32_MAX,
		.rule = ADMIT_OUTPUTS,
		.content = &instructions_outputs},
};

static const struct worker_method runtime[] = {
	{.name = "PullPendingTasks", BY_LAUNCHER, .handle = tasks_pending},
	{.name = "ClaimTask", BY_LAUNCHER, .handle = tasks_claim},
	{.name = "AcquireTask", BY_LAUNCHER, .handle = tasks_acquire},
	{.name = "GetRun", SMALL, .rule = ADMIT_LAUNCHER_OR_WORKER, .handle = tasks_get_run},
	{.name = "SendTaskHeartbeat", BY_WORKER, .handle = tasks_heartbeat},
	{.name = "PullTaskInput", BY_WORKER, .handle = tasks_pull_input},
	{.name = "PullMessages", BY_WORKER, .handle = tasks_pull_messages},
	{.name = "PullObject", BY_WORKER, .handle = tasks_pull_object},
	{.name = "ConfirmMessageReceived", BY_WORKER, .handle = tasks_confirm},
	{.name = "PushMessages",
		.body_max = MESSAGES_MAX,
		.rule = ADMIT_CONTENT,
		.content = &tasks_messages},
	{.name = "PushObject",
		.body_max = INT32_MAX,
		.rule = ADMIT_CONTENT,
		.content = &tasks_object},
	{.name = "PushTaskOutput",
		.body_max = INT32_MAX,
		.rule = ADMIT_CONTENT,
		.content = &tasks_output},
	{.name = "PushLogs",
		.body_max = LOGS_MAX,
		.body_ms = SMALL_BODY_MS,
		.rule = ADMIT_WORKER,
		.handle = tasks_logs},
};

static const struct worker_method failure[] = {
	{.name = "Fail",
		.body_max = 2 * ENVELOPE_STRING_MAX,
		.body_ms = SMALL_BODY_MS,
		.rule = ADMIT_WORKER,
		.handle = tasks_fail},
};

static const struct {
	const char *name;
	const struct worker_method *table;
	size_t n;
} services[DIALECTS_SERVICES] = {
	[DIALECTS_CLIENT_APP_IO] = {WORKER_API_CLIENT_APP_IO, client_app_io,
		ARRAY_LEN(client_app_io)},
	[DIALECTS_RUNTIME] = {WORKER_API_RUNTIME, runtime, ARRAY_LEN(runtime)},
	[DIALECTS_FAILURE] = {WORKER_API_FAILURE, failure, ARRAY_LEN(failure)},
};

/* ---- for the handlers ---- */

struct node_now handlers_now(void)
{
	return (struct node_now){clock_now_ms(), clock_wall_s()};
}

void handlers_changed(const struct dialects *dialects)
{
	dialects->admission->ops->changed(dialects->admission->arg);
}

void handlers_answer(struct dialects *dialects, struct request *request, int r, struct slices *body)
{
	if (r)
		refuse_errno(dialects->admission, request, r);
	else
		request_reply(request, body);
}

bool handlers_own_run(struct dialects *dialects, struct request *request,
	const struct message *message, uint64_t run_id)
{
	if (run_id == node_run_of(dialects->admission->node, node_message_number(message)))
		return true;
	refuse(dialects->admission, request, OUTCOME_PERMISSION_DENIED,
		"the call is about another run than the task");
	return false;
}

/* ---- life ---- */

struct dialects *dialects_new(struct admission *admission, struct held_calls *held_calls,
	const struct dialects_options *options)
{
	struct dialects *dialects = calloc(1, sizeof *dialects);

	if (!dialects)
		return NULL;
	dialects->admission = admission;
	dialects->held_calls = held_calls;
	dialects->options = *options;
	for (size_t i = 0; i < DIALECTS_SERVICES; i++) {
		dialects->services[i] = (struct worker_service){.name = services[i].name,
			.table = services[i].table,
			.n = services[i].n,
			.dialect = dialects,
			.admission = admission};
		worker_service_init(&dialects->services[i]);
	}
	return dialects;
}

void dialects_free(struct dialects *dialects)
{
	free(dialects);
}

const struct service *dialects_service(const struct dialects *dialects, size_t i)
{
	return i < DIALECTS_SERVICES ? &dialects->services[i].service : NULL;
}
