#include "clientapp/native/run.h"

#include "clientapp/native/conversation.h"
#include "clientapp/native/reply_file.h"
#include "clientapp/native/task.h"
#include "common/base/cleanup.h"
#include "common/base/clock.h"
#include "libflwr/app/call_internal.h"

#include <errno.h>
#include <inttypes.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/resource.h>

#define PROGRESS_MS 1000 /* between two lines about it */

/* The argument of the hooks: flwr_log() and the others lead to them. */
struct listener {
	int socket;
	double end_s; /* of the message's time, seconds since 1970 */
	atomic_llong told_ms;
};

/* All that a call is made of. */
struct job {
	struct task task;
	struct reply_file *file;
	struct flwr_dict *content, *reply, *state;
	struct flwr_dict *configs; /* node_config and run_config are records of it */
	struct flwr_record *node_config, *run_config;
};

static void job_done(struct job *job)
{
	flwr_dict_free(job->content);
	flwr_dict_free(job->reply);
	flwr_dict_free(job->state);
	flwr_dict_free(job->configs);
	task_done(&job->task);
	reply_file_free(job->file);
}

/* ---- what an app says while it works ---- */

/* The agent reads the level from the line. One write each, so that threads do not mix them. */
static void tell(const char *level, const char *line)
{
	dprintf(STDERR_FILENO, "%-5s %s\n", level, line);
}

static void on_log(void *arg, int level, const char *line)
{
	static const char *const names[] = {[FLWR_LOG_ERROR] = "ERROR",
		[FLWR_LOG_WARN] = "WARN",
		[FLWR_LOG_INFO] = "INFO",
		[FLWR_LOG_DEBUG] = "DEBUG"};

	(void)arg;
	tell(level >= FLWR_LOG_ERROR && level <= FLWR_LOG_DEBUG ? names[level] : "INFO", line);
}

static void on_progress(void *arg, double fraction, const char *text)
{
	struct listener *listener = arg;
	long long now_ms = clock_now_ms(), told_ms = atomic_load(&listener->told_ms);
	char line[256];

	/* The end of it is shown in any case. */
	if (fraction < 1 && told_ms && now_ms - told_ms < PROGRESS_MS)
		return;
	if (!atomic_compare_exchange_strong(&listener->told_ms, &told_ms, now_ms))
		return;
	snprintf(line, sizeof line, "%.0f %%%s%.200s", fraction * 100, *text ? ": " : "", text);
	tell("INFO", line);
}

static bool on_stopping(void *arg)
{
	const struct listener *listener = arg;

	return clock_wall_s() > listener->end_s || conversation_over(listener->socket);
}

static const struct context_hooks hooks = {
	.log = on_log, .progress = on_progress, .stopping = on_stopping};

/* ---- the call ---- */

static int add_config(
	struct job *job, const char *name, struct value_map *values, struct flwr_record **out)
{
	*out = flwr_dict_add(job->configs, name, FLWR_CONFIGS);
	return *out ? record_take_values(*out, values) : FLWR_E_MEMORY;
}

/* Make what the app is given of the task. 0 or negative, as of libflwr-app. */
static int prepare(struct job *job)
{
	struct flwr_dict **const all[] = {&job->content, &job->reply, &job->state, &job->configs};
	int r = 0;

	for (size_t i = 0; i < ARRAY_LEN(all); i++) {
		*all[i] = flwr_dict_new();
		if (!*all[i])
			return FLWR_E_MEMORY;
		dict_set_memory(*all[i], reply_file_memory, job->file);
	}
	r = dict_take_records(job->content, &job->task.content);
	if (r == 0)
		r = dict_take_records(job->state, &job->task.state);
	if (r == 0)
		r = add_config(job, "node_config", &job->task.node_config, &job->node_config);
	if (r == 0)
		r = add_config(job, "run_config", &job->task.run_config, &job->run_config);
	return r;
}

static int call_app(const struct run_spec *spec, struct job *job)
{
	const struct task *task = &job->task;
	struct listener listener = {.socket = spec->socket, .end_s = task->created_at + task->ttl};
	const struct flwr_message message = {.type = task->message_type,
		.id = task->message_id,
		.group_id = task->group_id,
		.run_id = task->run_id,
		.src_node_id = task->src_node_id,
		.created_at = task->created_at,
		.ttl = task->ttl};
	struct call_context context;
	struct flwr_call call = {.content = job->content,
		.reply = job->reply,
		.context = &context.pub,
		.message = &message};

	context_init(&context, &hooks, &listener, spec->level);
	context.pub.run_id = task->run_id;
	context.pub.node_id = task->node_id;
	context.pub.node_config = job->node_config;
	context.pub.run_config = job->run_config;
	context.pub.state = job->state;
	return call_run(spec->app, &call);
}

/* ---- the reply ---- */

static int tell_unwritten(const struct run_spec *spec, int r, uint64_t bytes)
{
	struct rlimit limit = {RLIM_INFINITY, RLIM_INFINITY};
	struct reason why;

	getrlimit(RLIMIT_FSIZE, &limit);
	reason_set(&why, "The ClientApp's reply of %" PRIu64 " bytes could not be written: %s",
		bytes, strerror(-r));
	if (limit.rlim_max != RLIM_INFINITY) {
		struct reason whole;

		reason_set(&whole,
			"%.300s; files of its process are limited to %llu bytes (RLIMIT_FSIZE)",
			why.text, (unsigned long long)limit.rlim_max);
		why = whole;
	}
	return conversation_failure(spec->socket, ERROR_CRASHED, &why);
}

/* The app's reply, its state, and the configurations as they came. */
static int give(const struct run_spec *spec, struct job *job)
{
	auto_(record_dict_done) struct record_dict content = {0}, state = {0};
	auto_(value_map_done) struct value_map node_config = {0}, run_config = {0};
	uint64_t bytes;
	int r = dict_give_records(job->reply, &content);

	if (r == 0)
		r = dict_give_records(job->state, &state);
	if (r == 0)
		r = record_give_values(job->node_config, &node_config);
	if (r == 0)
		r = record_give_values(job->run_config, &run_config);
	if (r == 0)
		r = reply_file_write(job->file,
			&(struct reply){.content = &content,
				.state = &state,
				.node_config = &node_config,
				.run_config = &run_config},
			&bytes);
	if (r)
		return tell_unwritten(
			spec, r, record_dict_bytes(&content) + record_dict_bytes(&state));
	return conversation_reply(spec->socket, bytes);
}

static int fail(const struct run_spec *spec, uint32_t code, const char *sentence)
{
	struct reason why;

	reason_set(&why, "%s", sentence);
	return conversation_failure(spec->socket, code, &why);
}

int run(const struct run_spec *spec)
{
	auto_(job_done) struct job job = {.file = NULL};
	const pid_t self = getpid();
	struct reason why = {.text = ""};
	int r = task_read(spec->task, &job.task, &why);

	if (r) {
		close(spec->task);
		return fail(spec, ERROR_CRASHED, why.text);
	}
	r = reply_file_new(spec->task, &job.task.file, &job.file);
	if (r)
		return fail(spec, ERROR_CRASHED, strerror(-r));
	if (prepare(&job) != 0)
		return fail(spec, ERROR_CRASHED, flwr_error());
	r = call_app(spec, &job);
	/* A child of the app's that has come back from the handler, too. */
	if (getpid() != self) {
		fprintf(stderr,
			"WARN  a forked child returned from the handler of its parent: it ends here\n");
		_exit(EXIT_FAILURE);
	}
	return r == 0 ? give(spec, &job) : fail(spec, ERROR_RAISED, flwr_error());
}
