/*
 * task: the worker's end of dialects 2 - 7: shows a token, takes a message as objects, gives back a
 * reply as objects, and the Context. What differs between them is in spelling.h.
 */
#include "clientapp/api/task_internal.h"

#include "common/base/cleanup.h"
#include "common/base/clock.h"
#include "common/base/text.h"
#include "common/message/worker_api.h"

#include <errno.h>
#include <stddef.h>
#include <string.h>
#include <sys/random.h>

/* Heartbeats as those of Flower's worker: a token lives for 60 s from each; a call takes up to 5 s.
 */
#define HEARTBEAT_MS         20000
#define HEARTBEAT_JITTER_MS  2500
#define HEARTBEAT_TIMEOUT_MS 5000

/* ---- jobs ---- */

int task_job(struct task *task, struct job *job)
{
	int r = loop_job(task->loop, job);

	if (r == 0)
		task->jobs++;
	return r;
}

bool task_job_over(struct task *task)
{
	task->jobs--;
	return !task->closing;
}

/* ---- calls ---- */

int task_call(struct task *task, enum api_method method, const struct api_call *how,
	struct slices *body, carrier_done_fn *done, void *arg)
{
	struct api_call call = *how;

	call.path = task->spelling->paths[method];
	return api_calls_start(task->conversation.calls, &call, body, done, arg);
}

/* ---- heartbeats ---- */

static void heartbeat_done(void *arg, struct carrier_result *result)
{
	struct task *task = arg;
	bool success = true;

	if (result->outcome == OUTCOME_OK)
		(void)task_decode_heartbeat(&result->body, &success);
	if (result->outcome == OUTCOME_UNIMPLEMENTED) /* to 1.23: a token lives without */
		task_heartbeat_end(task);
	if (task->ending || task->is_gone ||
		(success && result->outcome != OUTCOME_UNAUTHENTICATED))
		return;
	task->is_gone = true;
	log_warn(task->log, "the SuperNode does not know the task any more");
	task_heartbeat_end(task);
	if (task->gone)
		task->gone(task->arg);
}

static void heartbeat(void *arg)
{
	static const struct api_call call = {.timeout_ms = HEARTBEAT_TIMEOUT_MS};
	struct task *task = arg;
	struct slices body = {0};
	uint16_t random = 0;

	(void)!getrandom(&random, sizeof random, GRND_NONBLOCK);
	if (task->spelling->token(task->token, &body) == 0)
		(void)task_call(task, API_HEARTBEAT, &call, &body, heartbeat_done, task);
	timer_set(task->heartbeat,
		clock_after(clock_now_ms(),
			HEARTBEAT_MS - HEARTBEAT_JITTER_MS + random % (2 * HEARTBEAT_JITTER_MS)));
}

void task_heartbeat_begin(struct task *task)
{
	heartbeat(task);
}

void task_heartbeat_end(struct task *task)
{
	timer_set(task->heartbeat, CLOCK_NEVER);
}

/* ---- in a worker's place ---- */

static void fail_done(void *arg, struct carrier_result *result)
{
	struct task *task = arg;

	task->push.done(task->push.arg, result->outcome, result->details, 0);
}

static int task_fail(struct conversation *conversation, int64_t code, const char *reason,
	conversation_pushed_fn *done, void *arg)
{
	static const struct api_call call = {.path = "/" WORKER_API_FAILURE "/Fail"};
	struct task *task = task_of(conversation);
	auto_(slices_done) struct slices body = {0};
	auto_(envelope_done) struct envelope error = {
		.has_error = true, .error_code = code, .error_reason = strdup(reason)};
	int r = error.error_reason ? 0 : -ENOMEM;

	if (task->spelling != &spelling_1_34)
		return 1;
	if (r == 0) {
		text_cut(error.error_reason, ENVELOPE_STRING_MAX);
		r = envelope_encode(&error, &body);
	}
	task->push.done = done;
	task->push.arg = arg;
	return r ? r : api_calls_start(conversation->calls, &call, &body, fail_done, task);
}

/* ---- life ---- */

static void task_free(struct conversation *conversation)
{
	struct task *task = task_of(conversation);

	task->closing = true;
	while (task->jobs)
		loop_step(task->loop, 1000);
	api_calls_free(conversation->calls);
	timer_free(task->heartbeat);
	task_pull_done(&task->pull);
	task_push_done(&task->push);
	if (task->token)
		explicit_bzero(task->token, strlen(task->token));
	free(task->token);
	free(task);
}

static const struct conversation_ops ops = {
	.pull = task_pull, .push = task_push, .fail = task_fail, .free = task_free};

struct conversation *task_new(
	struct loop *loop, struct log *log, const struct conversation_options *options)
{
	struct task *task = calloc(1, sizeof *task);

	if (!task)
		return NULL;
	task->conversation.ops = &ops;
	task->loop = loop;
	task->log = log;
	task->spelling = options->spelling ? options->spelling : &spelling_1_34;
	task->token = strdup(options->task_token);
	task->content_max_bytes =
		options->content_max_bytes ? options->content_max_bytes : UINT64_MAX;
	task->without_content = options->without_content;
	task->gone = options->gone;
	task->arg = options->arg;
	task->heartbeat = timer_new(loop, heartbeat, task);
	if (!task->heartbeat || !task->token) {
		task_free(&task->conversation);
		return NULL;
	}
	return &task->conversation;
}
