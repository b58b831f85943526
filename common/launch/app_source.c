#include "common/launch/app_source.h"

#include "common/base/cleanup.h"
#include "common/base/clock.h"
#include "common/launch/app_process.h"

#include <assert.h>
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>

/* Either control or set is there. */
struct app_source {
	struct loop *loop;
	const struct app_source_ops *ops;
	void *arg;
	bool asked;
	bool stopped;        /* before it began */
	bool ended;          /* said, or not to be said any more */
	struct timer *timer; /* does from the loop what app_source_start() and _finish() lead to */
	struct process_end failed;
	/* by control socket */
	int control;
	struct watch *watch;
	bool started;
	/* local */
	struct log *log;
	struct agent_options options;
	struct process_set *set;
	struct process *app;
	bool finishing; /* its reply was taken over */
	char cut[64];   /* why it was not left to its own end; "": it was */
};

static void source_end(struct app_source *source, const struct process_end *end)
{
	if (source->ended)
		return;
	source->ended = true;
	source->ops->ended(source->arg, end);
}

static void local_begin(struct app_source *source);

/* The exit grace is over. */
static void local_late(struct app_source *source)
{
	if (!source->app)
		return;
	snprintf(source->cut, sizeof source->cut, "%g s after its reply (--app-exit-grace)",
		(double)source->options.exit_grace_ms / 1000);
	process_stop(source->app, WORKER_GRACE_MS);
}

static void source_begin(void *arg)
{
	struct app_source *source = arg;

	if (source->finishing)
		local_late(source);
	else if (source->set)
		local_begin(source);
	else
		source_end(source, &source->failed);
}

static void source_free_at_exit(struct app_source **source)
{
	app_source_free(*source);
}

static struct app_source *source_new(struct loop *loop, const struct app_source_ops *ops, void *arg)
{
	auto_(source_free_at_exit) struct app_source *source = calloc(1, sizeof *source);

	if (!source)
		return NULL;
	source->loop = loop;
	source->ops = ops;
	source->arg = arg;
	source->control = -1;
	source->timer = timer_new(loop, source_begin, source);
	return source->timer ? take_pointer(&source) : NULL;
}

/* ---- by control socket ---- */

static void source_lost(struct app_source *source)
{
	watch_free(source->watch);
	source->watch = NULL;
	close_fd(&source->control);
	source->ended = true;
	source->ops->lost(source->arg);
}

/* One message an event, and nothing after the callee: it may free the source. */
static void control_ready(void *arg, int ready)
{
	struct app_source *source = arg;
	struct control_message message;
	int r = control_receive(source->control, &message);

	(void)ready;
	if (r == -EAGAIN)
		return;
	if (r <= 0) {
		source_lost(source);
		return;
	}
	if (message.kind == CONTROL_APP_STARTED && source->asked && !source->started) {
		source->started = true;
		source->ops->started(source->arg, take_fd(&message.fd));
	} else if (message.kind == CONTROL_APP_ENDED && source->asked) {
		source_end(source, &message.end);
	} else {
		source_lost(source);
	}
	control_message_done(&message);
}

int app_source_from_control(struct loop *loop, int control, const struct app_source_ops *ops,
	void *arg, struct app_source **out)
{
	auto_(close_at_exit) int socket = control;
	auto_(source_free_at_exit) struct app_source *source = source_new(loop, ops, arg);

	if (!source)
		return -ENOMEM;
	source->watch = watch_new(loop, socket, WATCH_READ, control_ready, source);
	if (!source->watch)
		return -ENOMEM;
	source->control = take_fd(&socket);
	*out = take_pointer(&source);
	return 0;
}

static void control_ask(struct app_source *source, enum control_kind kind)
{
	struct control_message message = {.kind = kind, .fd = -1};
	int r = source->control < 0 ? -EPIPE : control_send(source->control, &message);

	/* When the agent has gone, that comes as an event. */
	if (r == 0 || r == -EPIPE || kind != CONTROL_APP_START)
		return;
	source->failed = (struct process_end){.kind = PROCESS_NOT_STARTED, .value = -r};
	reason_set(&source->failed.why, "its agent could not be asked for a process: %s",
		strerror(-r));
	timer_set(source->timer, clock_now_ms());
}

/* ---- local ---- */

static void app_ended(void *arg, struct process *process, const struct process_end *end)
{
	struct app_source *source = arg;

	(void)process;
	if (source->cut[0])
		app_process_tell_cut(source->log, "app", source->cut, end);
	source_end(source, end);
}

static void app_gone(void *arg, struct process *process)
{
	struct app_source *source = arg;

	(void)process;
	source->app = NULL;
}

static const struct process_ops app_ops = {.ended = app_ended, .gone = app_gone};

int app_source_local(struct loop *loop, struct log *log, const struct agent_options *options,
	const struct app_source_ops *ops, void *arg, struct app_source **out)
{
	auto_(source_free_at_exit) struct app_source *source = source_new(loop, ops, arg);
	int r;

	if (!source)
		return -ENOMEM;
	source->log = log;
	r = agent_options_copy(options, &source->options);
	if (r < 0)
		return r;
	r = process_set_new(loop, log, &source->set);
	if (r < 0)
		return r;
	*out = take_pointer(&source);
	return 0;
}

static void local_begin(struct app_source *source)
{
	int fd;
	int r = -ECANCELED;

	if (source->stopped)
		source->failed = (struct process_end){
			.kind = PROCESS_NOT_STARTED, .value = ECANCELED, .stop = PROCESS_STOPPED};
	else
		r = app_process_start(source->set, source->log, &source->options, "app", &app_ops,
			source, &source->app, &fd, &source->failed);
	if (r < 0)
		source_end(source, &source->failed);
	else
		source->ops->started(source->arg, fd);
}

static void local_wait(struct app_source *source, int64_t wait_ms)
{
	int64_t end_ms = clock_after(clock_now_ms(), wait_ms);
	int64_t now_ms;

	while (source->app && (now_ms = clock_now_ms()) < end_ms)
		loop_step(source->loop, end_ms - now_ms);
}

static void local_end(struct app_source *source)
{
	/* The one who frees it wants to hear no more. */
	source->ended = true;
	local_wait(source, WORKER_GRACE_MS);
	if (!source->app)
		return;
	process_stop(source->app, WORKER_GRACE_MS);
	local_wait(source, WORKER_GRACE_MS);
}

/* ---- both ---- */

void app_source_start(struct app_source *source)
{
	assert(!source->asked);
	source->asked = true;
	if (source->set)
		timer_set(source->timer, clock_now_ms());
	else
		control_ask(source, CONTROL_APP_START);
}

bool app_source_finish(struct app_source *source)
{
	if (!source->app || source->ended)
		return false;
	source->finishing = true;
	timer_set(source->timer, clock_after(clock_now_ms(), source->options.exit_grace_ms));
	return true;
}

void app_source_stop(struct app_source *source)
{
	if (!source->asked || source->ended)
		return;
	if (source->finishing && !source->cut[0])
		snprintf(source->cut, sizeof source->cut, "when it was told to stop");
	if (!source->set)
		control_ask(source, CONTROL_APP_STOP);
	else if (source->app)
		process_stop(source->app, WORKER_GRACE_MS);
	else
		source->stopped = true;
}

void app_source_free(struct app_source *source)
{
	if (!source)
		return;
	if (source->app)
		local_end(source);
	process_set_free(source->set);
	agent_options_done(&source->options);
	if (source->watch)
		watch_free(source->watch);
	close_fd(&source->control);
	if (source->timer)
		timer_free(source->timer);
	free(source);
}

void app_source_die(void)
{
	kill(0, SIGKILL);
	_exit(128 + SIGKILL);
}
