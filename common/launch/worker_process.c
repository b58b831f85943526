/*
 * A worker as its agent sees it. Its two processes end in any order:
 *
 *   worker exits with 0     the app gets exit_grace_ms to end by itself, then it is cut off
 *   worker ends otherwise   the app is killed
 *   app ends                the worker is told, and goes on
 *
 * A spare worker (spare.c) has no ops until it is given its message.
 */
#include "common/launch/agent_internal.h"

#include "common/base/cleanup.h"
#include "common/base/clock.h"
#include "common/launch/app_process.h"
#include "common/launch/native_apps.h"
#include "common/launch/sandbox.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

struct worker_process {
	struct agent *agent;
	LIST_ENTRY(worker_process) link;
	bool linked;
	const struct worker_process_ops *ops; /* NULL: it has no message yet */
	void *arg;
	char *name;
	char *app_name;
	pid_t pid;
	int control; /* our end; -1 when the worker has ended or is not listened to any more */
	struct watch *watch;
	struct process *process; /* NULL when gone */
	struct process *app;     /* NULL before it was asked for, and when gone */
	bool app_asked;
	bool app_unwanted; /* the worker has answered without it, and had it stopped */
	bool ended;
	struct timer *app_timer; /* until the app must have ended by itself */
	char cut[64];            /* why the app was not left to its own end; "": it was */
};

static void control_close(struct worker_process *worker)
{
	watch_free(worker->watch);
	worker->watch = NULL;
	close_fd(&worker->control);
}

void worker_process_free(struct worker_process *worker)
{
	if (!worker)
		return;
	if (worker->linked)
		LIST_REMOVE(worker, link);
	control_close(worker);
	timer_free(worker->app_timer);
	free(worker->name);
	free(worker->app_name);
	free(worker);
}

static void worker_process_free_at_exit(struct worker_process **worker)
{
	worker_process_free(*worker);
}

static void worker_settle(struct worker_process *worker)
{
	if (worker->process || worker->app)
		return;
	if (worker->ops)
		worker->ops->gone(worker->arg, worker);
	else
		worker->agent->spares--;
	worker_process_free(worker);
}

/* End a worker that did what ours does not do, or does not listen. Its end comes as an event. */
static void worker_refuse(struct worker_process *worker, const char *what, int r)
{
	log_warn(worker->agent->log, "%s: %s (%s), killing it", worker->name, what, strerror(-r));
	control_close(worker);
	process_kill(worker->process);
}

/* A worker that has gone is no failure here: its end comes as an event. */
static int worker_tell(struct worker_process *worker, const struct control_message *message)
{
	int r;

	if (worker->control < 0)
		return 0;
	r = control_send(worker->control, message);
	if (r == 0 || r == -EPIPE)
		return 0;
	worker_refuse(worker, "cannot be told what its agent has to say", r);
	return r;
}

/* ---- the app ---- */

static void app_ended(void *arg, struct process *process, const struct process_end *end)
{
	struct worker_process *worker = arg;
	struct control_message message = {.kind = CONTROL_APP_ENDED, .fd = -1, .end = *end};

	(void)process;
	if (worker->cut[0] && !worker->app_unwanted)
		app_process_tell_cut(worker->agent->log, worker->app_name, worker->cut, end);
	worker_tell(worker, &message);
}

static void app_gone(void *arg, struct process *process)
{
	struct worker_process *worker = arg;

	(void)process;
	worker->app = NULL;
	worker_settle(worker);
}

static const struct process_ops app_ops = {.ended = app_ended, .gone = app_gone};

static void app_begin(struct worker_process *worker, const struct control_app *wanted)
{
	struct control_message message = {.kind = CONTROL_APP_STARTED, .fd = -1};
	struct app_process app;

	if (app_process_start(worker->agent,
		    &(struct app_process_spec){.name = worker->app_name,
			    .app = wanted,
			    .ops = &app_ops,
			    .arg = worker},
		    &app) < 0) {
		message.kind = CONTROL_APP_ENDED;
		message.end = app.failed;
		worker_tell(worker, &message);
		return;
	}
	worker->app = app.process;
	auto_(close_at_exit) int fd = app.fd;
	message.fd = fd;
	message.native = app.native;
	if (worker_tell(worker, &message) < 0)
		process_kill(worker->app);
}

static void app_late(void *arg)
{
	struct worker_process *worker = arg;

	if (!worker->app)
		return;
	snprintf(worker->cut, sizeof worker->cut, "%g s after its reply (--app-exit-grace)",
		(double)worker->agent->options->app_exit_grace_ms / 1000);
	process_stop(worker->app, WORKER_GRACE_MS);
}

/* ---- the worker ---- */

static void control_handle(struct worker_process *worker, const struct control_message *message)
{
	if (message->kind == CONTROL_APP_START && worker->ops && !worker->app_asked) {
		worker->app_asked = true;
		app_begin(worker, &message->app);
	} else if (message->kind == CONTROL_APP_STOP && worker->app_asked) {
		worker->app_unwanted = true;
		if (worker->app)
			process_stop(worker->app, WORKER_GRACE_MS);
	} else {
		worker_refuse(worker, "asked for what it may not ask", -EBADMSG);
	}
}

/* Take one message an event: a flood leaves the loop to others. */
static void control_ready(void *arg, int ready)
{
	struct worker_process *worker = arg;
	struct control_message message;
	int r = control_receive(worker->control, &message);

	(void)ready;
	if (r == -EAGAIN)
		return;
	if (r == 0) {
		control_close(worker);
		return;
	}
	if (r < 0) {
		worker_refuse(worker, "sent what it may not send", r);
		return;
	}
	control_handle(worker, &message);
	control_message_done(&message);
}

static void worker_ended(void *arg, struct process *process, const struct process_end *end)
{
	struct worker_process *worker = arg;

	(void)process;
	worker->ended = true;
	control_close(worker);
	if (!worker->ops) {
		spare_ended(worker->agent, worker, end);
		return;
	}
	if (worker->app) {
		/* The error that it has answered with is in the log when the reply is on its way.
		 */
		process_flush(worker->app);
		if (end->kind == PROCESS_EXITED && end->value == 0)
			timer_set(worker->app_timer,
				clock_after(
					clock_now_ms(), worker->agent->options->app_exit_grace_ms));
		else
			process_kill(worker->app);
	}
	worker->ops->ended(worker->arg, worker, end);
	spare_message_ended(worker->agent);
}

static void worker_gone(void *arg, struct process *process)
{
	struct worker_process *worker = arg;

	(void)process;
	worker->process = NULL;
	worker_settle(worker);
}

static const struct process_ops process_ops = {.ended = worker_ended, .gone = worker_gone};

/* The worker and its app have this name in log lines from now on. 0 or -ENOMEM. */
static int worker_rename(struct worker_process *worker, const char *name)
{
	auto_(free_at_exit) char *copy = strdup(name);
	auto_(free_at_exit) char *app_name = NULL;
	int r = 0;

	if (!copy || asprintf(&app_name, "%s app", name) < 0) {
		app_name = NULL;
		return -ENOMEM;
	}
	if (worker->process)
		r = process_begin_as(worker->process, name);
	if (r)
		return r;
	free(worker->name);
	free(worker->app_name);
	worker->name = take_pointer(&copy);
	worker->app_name = take_pointer(&app_name);
	return 0;
}

/* Open the control socket: 0 and the worker's end; -errno. */
static int control_open(struct worker_process *worker, int *theirs_out)
{
	int ends[2];

	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends) < 0)
		return -errno;
	worker->control = ends[0];
	*theirs_out = ends[1];
	worker->watch =
		watch_new(worker->agent->loop, worker->control, WATCH_READ, control_ready, worker);
	return worker->watch ? 0 : -ENOMEM;
}

/* Make one, whose process is not started. theirs: its end of the control socket. 0 or -errno. */
static int worker_new(
	struct agent *agent, const char *name, struct worker_process **out, int *theirs)
{
	auto_(worker_process_free_at_exit) struct worker_process *worker =
		calloc(1, sizeof *worker);
	int r;

	if (!worker)
		return -ENOMEM;
	worker->agent = agent;
	worker->control = -1;
	worker->app_timer = timer_new(agent->loop, app_late, worker);
	if (!worker->app_timer)
		return -ENOMEM;
	r = worker_rename(worker, name);
	if (r == 0)
		r = control_open(worker, theirs);
	if (r == 0)
		*out = take_pointer(&worker);
	return r;
}

int worker_process_begin(struct worker_process *worker, const struct worker_process_spec *spec)
{
	struct control_message message = {.kind = CONTROL_START, .fd = -1, .start = *spec->start};
	int r = worker_rename(worker, spec->name);

	if (r)
		return r;
	/* The cage of an app is made when its process starts. */
	message.start.names_apps = native_apps_any(worker->agent->options) ||
				   sandbox_kind(worker->agent->sandbox) != SANDBOX_OFF;
	r = control_send(worker->control, &message);
	explicit_bzero(&message, sizeof message);
	if (r)
		return r;
	if (worker->process)
		worker->agent->spares--;
	worker->ops = spec->ops;
	worker->arg = spec->arg;
	return 0;
}

/* Start its process. command: another program in its place, or NULL. 0; -errno with a sentence. */
static int worker_launch(
	struct worker_process *worker, const char *command, int theirs, struct reason *why)
{
	struct agent *agent = worker->agent;
	const struct app_bounds *bounds = agent->bounds;
	char core[24];
	const char *const argv[] = {agent->paths->worker, "--control",
		bounds && command ? "--core-limit" : NULL, core, NULL};
	/* flwr-clientapp in another worker's place hands on its output; our worker has nothing but
	 * a log. */
	const struct process_spec spec = {.name = worker->name,
		.argv = argv,
		.env_hide = bounds ? bounds->env_hide : NULL,
		.fd = theirs,
		.logs = !command,
		.inherits_output = command && agent->options->passes_output,
		.ops = &process_ops,
		.arg = worker};
	int r;

	snprintf(core, sizeof core, "%" PRIu64, bounds ? bounds->core_bytes : 0);
	r = process_start(agent->set, &spec, &worker->process, why);
	if (r < 0)
		return r;
	worker->pid = process_pid(worker->process);
	LIST_INSERT_HEAD(&agent->workers, worker, link);
	worker->linked = true;
	return 0;
}

/* Start a worker, with its message or (wanted NULL) without. 0; -errno with a sentence. */
static int worker_start(struct agent *agent, const struct worker_process_spec *wanted,
	struct worker_process **out, struct reason *why)
{
	const char *name = wanted ? wanted->name : "spare worker";
	auto_(worker_process_free_at_exit) struct worker_process *worker = NULL;
	auto_(close_at_exit) int theirs = -1;
	int r = worker_new(agent, name, &worker, &theirs);

	if (worker && wanted)
		r = worker_process_begin(worker, wanted);
	if (!worker || r < 0)
		return reason_code(why, r, "cannot start %s: %s", name, strerror(-r));
	r = worker_launch(worker, wanted ? wanted->start->command : NULL, theirs, why);
	if (r < 0)
		return r;
	*out = take_pointer(&worker);
	return 0;
}

int worker_process_prepare(struct agent *agent, struct worker_process **out, struct reason *why)
{
	int r = worker_start(agent, NULL, out, why);

	if (r == 0)
		agent->spares++;
	return r;
}

int agent_start_worker(struct agent *agent, const struct worker_process_spec *wanted,
	struct worker_process **out, struct reason *why)
{
	return spare_use(agent, wanted, out) ? 0 : worker_start(agent, wanted, out, why);
}

void worker_process_drop(struct worker_process *worker)
{
	process_kill(worker->process);
}

void worker_process_give_up(struct worker_process *worker)
{
	worker_tell(worker, &(struct control_message){.kind = CONTROL_GIVE_UP, .fd = -1});
}

void worker_process_stop(struct worker_process *worker, int64_t grace_ms)
{
	if (worker->process)
		process_stop(worker->process, grace_ms);
	if (!worker->app)
		return;
	if (worker->ended && !worker->cut[0])
		snprintf(worker->cut, sizeof worker->cut, "when it was told to stop");
	process_stop(worker->app, grace_ms);
}

pid_t worker_process_pid(const struct worker_process *worker)
{
	return worker->pid;
}
