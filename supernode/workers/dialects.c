/*
 * The tables. A dialect is the names and bodies of a range of Flower's releases (docs/protocol.md):
 * 1 - 5 are methods of one service.
 */
#include "supernode/workers/dialects.h"

#include "common/base/cleanup.h"
#include "common/base/clock.h"
#include "common/message/worker_api.h"
#include "supernode/workers/handlers.h"

#define SMALL_BODY_MAX 4096 /* bytes of a request without content */
#define SMALL_BODY_MS  10000
#define LOGS_MAX       (1 << 20)
#define MESSAGES_MAX   (OBJECT_TREE_BYTES_MAX + (1 << 20))

#define SMALL       .body_max = SMALL_BODY_MAX, .body_ms = SMALL_BODY_MS
#define MESSAGES    .body_max = MESSAGES_MAX, .content = &tasks_messages
#define OBJECT      .body_max = INT32_MAX, .content = &tasks_object
#define BY_LAUNCHER SMALL, .rule = ADMIT_LAUNCHER
#define BY_WORKER   SMALL, .rule = ADMIT_WORKER

/* The methods of tasks that have other names, or are not there, in dialects before 5. */
#define TASKS                                                                                      \
	{.name = "PullPendingTasks", BY_LAUNCHER, .handle = tasks_pending},                        \
		{.name = "ClaimTask", BY_LAUNCHER, .handle = tasks_claim},                         \
		{.name = "SendTaskHeartbeat", BY_WORKER, .handle = tasks_heartbeat},               \
		{.name = "PullTaskInput", BY_WORKER, .handle = tasks_pull_input},                  \
		{.name = "PullMessages", BY_WORKER, .handle = tasks_pull_messages},                \
		{.name = "PushMessages", MESSAGES, .rule = ADMIT_WORKER},                          \
		{.name = "PushTaskOutput",                                                         \
			.body_max = INT32_MAX,                                                     \
			.rule = ADMIT_WORKER,                                                      \
			.content = &tasks_output},                                                 \
	{                                                                                          \
		.name = "PushLogs", .body_max = LOGS_MAX, .body_ms = SMALL_BODY_MS,                \
		.rule = ADMIT_WORKER, .handle = tasks_logs                                         \
	}

/* Dialect 6 (1.34), and 7 (1.35 and later) over HTTP. */
static const struct worker_method runtime[] = {
	TASKS,
	{.name = "AcquireTask", BY_LAUNCHER, .handle = tasks_acquire},
	{.name = "GetRun", SMALL, .rule = ADMIT_LAUNCHER_OR_WORKER, .handle = tasks_get_run},
	{.name = "PullObject", BY_WORKER, .handle = tasks_pull_object},
	{.name = "PushObject", OBJECT, .rule = ADMIT_WORKER},
	{.name = "ConfirmMessageReceived", BY_WORKER, .handle = tasks_confirm},
};

/* Dialects 2 and 3 (1.20 - 1.25) have these by names of dialect 1. Workers before 1.24 send no
 * heartbeats. */
static const struct worker_method pull_by_text = {
	.name = "PullClientAppInputs", SMALL, .rule = ADMIT_TEXT, .handle = tasks_pull_input_only};
static const struct worker_method push_by_text = {.name = "PushClientAppOutputs",
	.body_max = INT32_MAX,
	.rule = ADMIT_TEXT,
	.content = &tasks_app_output};

static const struct worker_method client_app_io[] = {
	/* Dialect 1 (1.15 - 1.18). */
	{.name = "GetToken", BY_LAUNCHER, .handle = instructions_get_token},
	{.name = "PullClientAppInputs",
		SMALL,
		.rule = ADMIT_NUMBER,
		.handle = instructions_pull,
		.text = &pull_by_text},
	{.name = "PushClientAppOutputs",
		.body_max = INT32_MAX,
		.rule = ADMIT_NUMBER,
		.content = &instructions_outputs,
		.text = &push_by_text},
	/* Dialects 2 (1.20), 3 (1.21 - 1.25) and 4 (1.26 - 1.29). */
	{.name = "GetRunIdsWithPendingMessages", BY_LAUNCHER, .handle = tasks_list_runs},
	{.name = "ListAppsToLaunch", BY_LAUNCHER, .handle = tasks_list_runs},
	{.name = "RequestToken", BY_LAUNCHER, .handle = tasks_request_token},
	{.name = "SendAppHeartbeat", SMALL, .rule = ADMIT_ANYONE, .handle = tasks_app_heartbeat},
	{.name = "PullAppInputs", SMALL, .rule = ADMIT_TEXT, .handle = tasks_pull_input},
	{.name = "PushAppOutputs",
		.body_max = INT32_MAX,
		.rule = ADMIT_TEXT,
		.content = &tasks_app_output},
	/* Dialects 2 - 5: a token in the body, a header, or none. */
	{.name = "GetRun", SMALL, .rule = ADMIT_LAUNCHER_OR_WORKER, .handle = tasks_get_run},
	{.name = "PullMessage", SMALL, .rule = ADMIT_TEXT, .handle = tasks_pull_messages},
	{.name = "PushMessage", MESSAGES, .rule = ADMIT_TEXT},
	{.name = "PullObject", SMALL, .rule = ADMIT_SHOWN, .handle = tasks_pull_object},
	{.name = "PushObject", OBJECT, .rule = ADMIT_SHOWN},
	{.name = "ConfirmMessageReceived", SMALL, .rule = ADMIT_SHOWN, .handle = tasks_confirm},
	/* Dialect 5 (1.30 - 1.33). */
	TASKS,
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
	[DIALECTS_RUNTIME] = {WORKER_API_RUNTIME, runtime, ARRAY_LEN(runtime)},
	[DIALECTS_CLIENT_APP_IO] = {WORKER_API_CLIENT_APP_IO, client_app_io,
		ARRAY_LEN(client_app_io)},
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

void handlers_answer_nothing(struct request *request)
{
	struct slices nothing = {0};

	request_reply(request, &nothing);
}

bool handlers_wrong_kind(struct dialects *dialects, struct request *request, enum message_form form)
{
	enum message_form other = form == MESSAGE_INLINE ? MESSAGE_OBJECTS : MESSAGE_INLINE;
	const char *sentence =
		other == MESSAGE_OBJECTS ? ADMISSION_NEEDS_OBJECTS : ADMISSION_NEEDS_INLINE;
	int64_t since_ms;

	if (request_header(request, WORKER_API_WAIT_MS) ||
		!node_offered(dialects->admission->node, other, &since_ms))
		return false;
	if (!dialects->told[other])
		log_warn(dialects->admission->log, "worker API: %s: %s refused: %s",
			request->peer->text, request->method->name, sentence);
	dialects->told[other] = true;
	refuse_quietly(dialects->admission, request, OUTCOME_FAILED_PRECONDITION, sentence);
	return true;
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
