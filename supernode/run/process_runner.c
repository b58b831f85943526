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

/* A worker that runs, or whose processes are not all gone. */
struct started {
	struct started *next;
	struct runner *runner;
	uint64_t message;
	struct worker_process *worker;
	bool ready;
};

struct runner {
	struct runner_options options;
	const struct runner_ops *ops;
	void *arg;
	struct started *first;
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
		struct started *started = runner->first;

		runner->first = started->next;
		free(started);
	}
	free(runner);
}

static struct started *started_of(const struct runner *runner, uint64_t message)
{
	struct started *started = runner->first;

	while (started && started->message != message)
		started = started->next;
	return started;
}

static void worker_ended(void *arg, struct worker_process *worker, const struct process_end *end)
{
	struct started *started = arg;
	struct process_end told = *end;
	struct text reason = {0};
	char text[128];
	int code;

	told.never_ready = !started->ready;
	end_describe(end, text, sizeof text);
	log_debug(started->runner->options.log, "worker ended: message=%" PRIu64 " pid=%d: %s",
		started->message, (int)worker_process_pid(worker), text);
	code = end_error(END_WORKER, &told, started->runner->options.stderr_in_replies, &reason);
	started->runner->ops->ended(started->runner->arg, started->message, code,
		reason.data ? reason.data : "the worker ended");
	text_done(&reason);
}

static void worker_gone(void *arg, struct worker_process *worker)
{
	struct started *started = arg;
	struct runner *runner = started->runner;
	struct started **at = &runner->first;
	uint64_t message = started->message;

	(void)worker;
	if (runner->options.token_dir)
		token_file_remove(runner->options.token_dir, message);
	while (*at != started)
		at = &(*at)->next;
	*at = started->next;
	free(started);
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

static int start_process(struct started *started, const struct runner_task *task, char *token_file,
	struct reason *why)
{
	const struct runner_options *options = &started->runner->options;
	const struct control_start start = {
		.token = task->token,
		.task_token = (char *)task->task_token,
		.address = (char *)options->address,
		.tls = options->tls,
		.root_certificates = (char *)options->root_certificates,
		.client_certificate = (char *)options->client_certificate,
		.client_key = (char *)options->client_key,
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
			.name = name, .start = &start, .ops = &worker_events, .arg = started},
		&started->worker, why);
}

int runner_start(struct runner *runner, const struct runner_task *task, struct reason *why)
{
	auto_(free_at_exit) char *token_file = NULL;
	struct started *started = calloc(1, sizeof *started);
	int r;

	if (!started)
		return reason_code(why, -ENOMEM, "no memory");
	started->runner = runner;
	started->message = task->message;
	r = make_token_file(runner, task, &token_file, why);
	if (r == 0)
		r = start_process(started, task, token_file, why);
	if (r) {
		if (token_file)
			token_file_remove(runner->options.token_dir, task->message);
		free(started);
		return r;
	}
	started->next = runner->first;
	runner->first = started;
	log_info(runner->options.log, "worker started: message=%" PRIu64 " pid=%d", task->message,
		(int)worker_process_pid(started->worker));
	return 0;
}

void runner_ready(struct runner *runner, uint64_t message)
{
	struct started *started = started_of(runner, message);

	if (started)
		started->ready = true;
}

void runner_stop(struct runner *runner, uint64_t message, int64_t grace_ms)
{
	struct started *started = started_of(runner, message);

	if (started)
		worker_process_stop(started->worker, grace_ms);
}

void runner_stop_all(struct runner *runner, int64_t grace_ms)
{
	for (struct started *started = runner->first; started; started = started->next)
		worker_process_stop(started->worker, grace_ms);
}
