#include "supernode/run/runner.h"

#include "common/base/cleanup.h"
#include "common/base/text.h"
#include "common/launch/end.h"
#include "supernode/run/token_file.h"

#include <errno.h>
#include <inttypes.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

struct slot {
	struct slot *next;
	struct runner *runner;
	uint64_t message;
	struct worker_process *worker;
	bool ready;
};

struct runner {
	struct runner_options options;
	const struct runner_ops *ops;
	void *arg;
	struct slot *first;
};

struct runner *runner_new(
	const struct runner_options *options, const struct runner_ops *ops, void *arg)
{
	struct runner *runner = calloc(1, sizeof *runner);

	if (runner)
		*runner = (struct runner){.options = *options, .ops = ops, .arg = arg};
	return runner;
}

void runner_free(struct runner *runner)
{
	if (!runner)
		return;
	while (runner->first) {
		struct slot *slot = runner->first;

		runner->first = slot->next;
		free(slot);
	}
	free(runner);
}

static struct slot *slot_of(const struct runner *runner, uint64_t message)
{
	struct slot *slot = runner->first;

	while (slot && slot->message != message)
		slot = slot->next;
	return slot;
}

static void worker_ended(void *arg, struct worker_process *worker, const struct process_end *end)
{
	struct slot *slot = arg;
	struct process_end told = *end;
	struct text reason = {0};
	char text[128];
	int code;

	told.never_ready = !slot->ready;
	end_describe(end, text, sizeof text);
	log_debug(slot->runner->options.log, "worker ended: message=%" PRIu64 " pid=%d: %s",
		slot->message, (int)worker_process_pid(worker), text);
	code = end_error(END_WORKER, &told, slot->runner->options.stderr_in_replies, &reason);
	slot->runner->ops->ended(slot->runner->arg, slot->message, code,
		reason.data ? reason.data : "the worker ended");
	text_done(&reason);
}

static void worker_gone(void *arg, struct worker_process *worker)
{
	struct slot *slot = arg;
	struct runner *runner = slot->runner;
	struct slot **at = &runner->first;
	uint64_t message = slot->message;

	(void)worker;
	if (runner->options.token_dir)
		token_file_remove(runner->options.token_dir, message);
	while (*at != slot)
		at = &(*at)->next;
	*at = slot->next;
	free(slot);
	runner->ops->gone(runner->arg, message);
}

static const struct worker_process_ops worker_events = {.ended = worker_ended, .gone = worker_gone};

/* The file of the command's placeholder, if it has that. 0 or -errno with a sentence. */
static int make_token_file(const struct runner *runner, const struct runner_task *task,
	char **path_out, struct reason *why)
{
	char number[24];
	int r;

	if (!runner->options.token_dir)
		return 0;
	snprintf(number, sizeof number, "%" PRIu64, task->token);
	r = token_file_make(runner->options.token_dir, task->message,
		task->task_token ? task->task_token : number, path_out);
	explicit_bzero(number, sizeof number);
	return r ? reason_code(why, r, "no file for its token: %s", strerror(-r)) : 0;
}

static int start_process(
	struct slot *slot, const struct runner_task *task, char *token_file, struct reason *why)
{
	const struct runner_options *options = &slot->runner->options;
	const struct control_start start = {
		.token = task->token,
		.task_token = (char *)task->task_token,
		.address = (char *)options->address,
		.flwr_home = (char *)options->flwr_home,
		.command = (char *)options->command,
		.token_file = token_file,
		.content_max_bytes = options->content_max_bytes,
		.log_level = options->log_level,
		.stderr_in_replies = options->stderr_in_replies,
		.signed_apps = options->signed_apps,
	};
	char name[32];

	snprintf(name, sizeof name, "%" PRIu64, task->message);
	return agent_start_worker(options->agent,
		&(struct worker_process_spec){
			.name = name, .start = &start, .ops = &worker_events, .arg = slot},
		&slot->worker, why);
}

int runner_start(struct runner *runner, const struct runner_task *task, struct reason *why)
{
	auto_(free_at_exit) char *token_file = NULL;
	struct slot *slot = calloc(1, sizeof *slot);
	int r;

	if (!slot)
		return reason_code(why, -ENOMEM, "no memory");
	slot->runner = runner;
	slot->message = task->message;
	r = make_token_file(runner, task, &token_file, why);
	if (r == 0)
		r = start_process(slot, task, token_file, why);
	if (r) {
		if (token_file)
			token_file_remove(runner->options.token_dir, task->message);
		free(slot);
		return r;
	}
	slot->next = runner->first;
	runner->first = slot;
	log_info(runner->options.log, "worker started: message=%" PRIu64 " pid=%d", task->message,
		(int)worker_process_pid(slot->worker));
	return 0;
}

void runner_ready(struct runner *runner, uint64_t message)
{
	struct slot *slot = slot_of(runner, message);

	if (slot)
		slot->ready = true;
}

void runner_stop(struct runner *runner, uint64_t message, int64_t grace_ms)
{
	struct slot *slot = slot_of(runner, message);

	if (slot)
		worker_process_stop(slot->worker, grace_ms);
}

void runner_stop_all(struct runner *runner, int64_t grace_ms)
{
	for (struct slot *slot = runner->first; slot; slot = slot->next)
		worker_process_stop(slot->worker, grace_ms);
}
