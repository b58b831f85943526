/*
 * A worker as its agent sees it. Its two processes end in any order; worker_states.c has the table
 * of what follows:
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
#include "common/launch/fork_server.h"
#include "common/launch/native_apps.h"
#include "common/launch/sandbox.h"
#include "common/launch/worker_states.h"

#include <assert.h>
#include <errno.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

struct worker_process {
	struct agent *agent;
	enum worker_step step;
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
	uint64_t run_id;         /* of the app, as the worker says; 0: not known */
	struct app_limits limits;
	struct leases *leases; /* of GPUs; NULL: lease is none of these */
	int lease;
	struct timer *app_timer; /* until the app must have ended by itself */
	int64_t grace_ms;        /* of what is stopped now */
	char cut[64];            /* why the app was not left to its own end; "": it was */
};

static void control_close(struct worker_process *worker)
{
	watch_free(worker->watch);
	worker->watch = NULL;
	close_fd(&worker->control);
}

/* Before the owner is told that the worker is gone: it may start the next one then. */
static void lease_return(struct worker_process *worker)
{
	if (worker->leases)
		lease_give_back(worker->leases, worker->lease);
	worker->leases = NULL;
}

void worker_process_free(struct worker_process *worker)
{
	if (!worker)
		return;
	if (worker->linked)
		LIST_REMOVE(worker, link);
	control_close(worker);
	timer_free(worker->app_timer);
	app_limits_done(&worker->limits);
	lease_return(worker);
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
	app_limits_done(&worker->limits);
	lease_return(worker);
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

/* Something has happened, with all that is known of it. */
struct happening {
	enum worker_event event;
	const struct process_end *end;    /* of the worker or the app that has ended */
	const struct control_app *wanted; /* WORKER_WANTS_APP */
};

static void happen(struct worker_process *worker, struct happening what);

/* ---- the app ---- */

/* How the app ended, with what its control group knows of that. */
static struct process_end app_end(
	const struct worker_process *worker, const struct process_end *end)
{
	const struct group *group = worker->limits.group;
	bool killed = end->kind == PROCESS_KILLED && end->value == SIGKILL;
	enum group_shortage shortage = group && killed ? group_shortage(group) : GROUP_NO_SHORTAGE;
	struct process_end all = *end;

	all.over_memory_limit = shortage == GROUP_OVER_LIMIT;
	all.out_of_memory |= shortage == GROUP_SHORT && !end->stop;
	if (group && group_pid_refusals(group) > 0)
		log_warn(worker->agent->log,
			"%s: processes or threads that it wanted were refused: it may have %" PRId64
			" (--worker-pids)",
			worker->app_name, worker->agent->options->worker_pids);
	return all;
}

static void app_ended(void *arg, struct process *process, const struct process_end *end)
{
	const struct process_end all = app_end(arg, end);

	(void)process;
	happen(arg, (struct happening){.event = WORKER_APP_ENDED, .end = &all});
}

static void app_gone(void *arg, struct process *process)
{
	struct worker_process *worker = arg;

	(void)process;
	worker->app = NULL;
	happen(worker, (struct happening){.event = WORKER_APP_GONE});
}

static const struct process_ops app_ops = {.ended = app_ended, .gone = app_gone};

static void app_failed(struct worker_process *worker, const struct process_end *failed)
{
	happen(worker, (struct happening){.event = WORKER_APP_FAILED, .end = failed});
}

/* The app may have no more than its limits: without them it does not start. */
static int limits_begin(struct worker_process *worker)
{
	const struct app_bounds *bounds = worker->agent->bounds;
	struct process_end failed = {.kind = PROCESS_NOT_STARTED};
	struct reason why = {.text = ""};
	int r = bounds ? app_limits_init(
				 bounds->limits, app_bounds_uid(bounds), &worker->limits, &why)
		       : 0;

	if (r == 0)
		return 0;
	log_error(worker->agent->log, "%s: could not be started: %s", worker->app_name, why.text);
	failed.value = -r;
	reason_set(&failed.why, "its limits could not be set on this node: %s", strerror(-r));
	app_failed(worker, &failed);
	return r;
}

static const char *app_setting(const struct worker_process *worker)
{
	return worker->leases ? lease_setting(worker->leases, worker->lease) : NULL;
}

/* r: as of app_process_start(). It may free worker. */
static void app_take(struct worker_process *worker, struct app_process *app, int r)
{
	struct control_message message = {.kind = CONTROL_APP_STARTED, .fd = -1};
	struct agent *agent = worker->agent;

	if (r < 0) {
		app_failed(worker, &app->failed);
		return;
	}
	auto_(close_at_exit) int fd = app->fd;
	worker->app = app->process;
	if (sandbox_kind(agent->sandbox) != SANDBOX_OFF)
		process_filter(worker->app, sandbox_repeats, agent->sandbox, worker->run_id);
	happen(worker, (struct happening){.event = WORKER_APP_STARTED});
	message.fd = fd;
	message.native = app->native;
	if (worker_tell(worker, &message) < 0)
		process_kill(worker->app);
	spare_app_started(agent);
}

static void app_later(void *arg, struct app_process *app, int r)
{
	app_take(arg, app, r);
}

static void app_begin(struct worker_process *worker, const struct control_app *wanted)
{
	struct app_process app = {.fd = -1};
	int r;

	if (limits_begin(worker) < 0)
		return;
	worker->run_id = wanted->run_id;
	r = app_process_start(worker->agent,
		&(struct app_process_spec){.name = worker->app_name,
			.app = wanted,
			.limits = &worker->limits,
			.setting = app_setting(worker),
			.ops = &app_ops,
			.arg = worker,
			.later = app_later},
		&app);
	if (r != APP_PROCESS_LATER)
		app_take(worker, &app, r);
}

static void app_late(void *arg)
{
	happen(arg, (struct happening){.event = WORKER_APP_LATE});
}

static void app_tell_cut(const struct worker_process *worker, const struct process_end *end)
{
	if (worker->cut[0])
		app_process_tell_cut(worker->agent->log, worker->app_name, worker->cut, end);
}

/* ---- the worker ---- */

static void control_handle(struct worker_process *worker, const struct control_message *message)
{
	if (message->kind == CONTROL_APP_START)
		happen(worker,
			(struct happening){.event = WORKER_WANTS_APP, .wanted = &message->app});
	else if (message->kind == CONTROL_APP_STOP)
		happen(worker, (struct happening){.event = WORKER_WANTS_NO_APP});
	else
		worker_refuse(worker, "asked for what it may not ask", -EBADMSG);
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
	bool well = end->kind == PROCESS_EXITED && end->value == 0;

	(void)process;
	control_close(worker);
	happen(worker, (struct happening){
			       .event = well ? WORKER_ENDED_WELL : WORKER_ENDED_BADLY, .end = end});
}

static void worker_gone(void *arg, struct process *process)
{
	struct worker_process *worker = arg;

	(void)process;
	worker->process = NULL;
	happen(worker, (struct happening){.event = WORKER_IS_GONE});
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
	worker->step = WORKER_SPARE;
	worker->grace_ms = WORKER_GRACE_MS;
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
	struct leases *leases = worker->agent->bounds ? worker->agent->bounds->leases : NULL;
	int r = worker_rename(worker, spec->name);

	if (r)
		return r;
	if (leases) {
		worker->lease = lease_take(leases);
		if (worker->lease == LEASE_NONE)
			return -EBUSY;
		worker->leases = leases;
	}
	/* The cage of an app is made when its process starts. */
	message.start.names_apps = worker->agent->names_apps ||
				   native_apps_any(worker->agent->options) ||
				   sandbox_kind(worker->agent->sandbox) != SANDBOX_OFF;
	r = control_send(worker->control, &message);
	explicit_bzero(&message, sizeof message);
	if (r) {
		lease_return(worker);
		return r;
	}
	if (worker->process)
		worker->agent->spares--;
	worker->ops = spec->ops;
	worker->arg = spec->arg;
	happen(worker, (struct happening){.event = WORKER_BEGINS});
	return 0;
}

/* Start its process. command: another program in its place, or NULL. 0; -errno with a sentence. */
static int worker_launch(
	struct worker_process *worker, const char *command, int theirs, struct reason *why)
{
	struct agent *agent = worker->agent;
	const struct app_bounds *bounds = agent->bounds;
	char core[24];
	/* Another worker program has the app in itself. */
	const char *const env[] = {command ? app_setting(worker) : NULL, NULL};
	const char *const argv[] = {agent->paths->worker, "--control",
		bounds && command ? "--core-limit" : NULL, core, NULL};
	/* flwr-clientapp in another worker's place hands on its output; our worker has nothing but
	 * a log. */
	const struct process_spec spec = {.name = worker->name,
		.argv = argv,
		.env = env,
		.env_hide = bounds ? bounds->env_hide : NULL,
		.fd = theirs,
		.logs = !command,
		.inherits_output = command && agent->options->passes_output,
		.ops = &process_ops,
		.arg = worker};
	int r;

	snprintf(core, sizeof core, "%" PRIu64, bounds ? bounds->core_bytes : 0);
	r = command ? -ENOENT : fork_server_start(agent->fork_server, &spec, &worker->process);
	if (r < 0)
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
	worker->grace_ms = grace_ms;
	happen(worker, (struct happening){.event = WORKER_STOPPED});
	worker->grace_ms = WORKER_GRACE_MS;
}

pid_t worker_process_pid(const struct worker_process *worker)
{
	return worker->pid;
}

/* ---- what follows ---- */

static void do_refuse(struct worker_process *worker, const struct happening *what)
{
	(void)what;
	worker_refuse(worker, "asked for what it may not ask", -EBADMSG);
}

static void do_start_app(struct worker_process *worker, const struct happening *what)
{
	app_begin(worker, what->wanted);
}

static void do_tell_app(struct worker_process *worker, const struct happening *what)
{
	worker_tell(worker,
		&(struct control_message){.kind = CONTROL_APP_ENDED, .fd = -1, .end = *what->end});
}

static void do_tell_cut(struct worker_process *worker, const struct happening *what)
{
	app_tell_cut(worker, what->end);
}

static void do_flush_app(struct worker_process *worker, const struct happening *what)
{
	(void)what;
	process_flush(worker->app);
}

static void do_wait_app(struct worker_process *worker, const struct happening *what)
{
	(void)what;
	timer_set(worker->app_timer,
		clock_after(clock_now_ms(), worker->agent->options->app_exit_grace_ms));
}

static void do_note_late(struct worker_process *worker, const struct happening *what)
{
	(void)what;
	snprintf(worker->cut, sizeof worker->cut, "%g s after its reply (--app-exit-grace)",
		(double)worker->agent->options->app_exit_grace_ms / 1000);
}

static void do_note_stop(struct worker_process *worker, const struct happening *what)
{
	(void)what;
	snprintf(worker->cut, sizeof worker->cut, "when it was told to stop");
}

static void do_stop_worker(struct worker_process *worker, const struct happening *what)
{
	(void)what;
	process_stop(worker->process, worker->grace_ms);
}

static void do_stop_app(struct worker_process *worker, const struct happening *what)
{
	(void)what;
	process_stop(worker->app, worker->grace_ms);
}

static void do_kill_app(struct worker_process *worker, const struct happening *what)
{
	(void)what;
	process_kill(worker->app);
}

static void do_spare_over(struct worker_process *worker, const struct happening *what)
{
	spare_ended(worker->agent, worker, what->end);
}

static void do_tell_ended(struct worker_process *worker, const struct happening *what)
{
	worker->ops->ended(worker->arg, worker, what->end);
	spare_message_ended(worker->agent);
}

static void do_settle(struct worker_process *worker, const struct happening *what)
{
	(void)what;
	worker_settle(worker);
}

/* In the order of the bits. */
static void (*const does[])(struct worker_process *, const struct happening *) = {do_refuse,
	do_start_app, do_tell_app, do_tell_cut, do_flush_app, do_wait_app, do_note_late,
	do_note_stop, do_stop_worker, do_stop_app, do_kill_app, do_spare_over, do_tell_ended,
	do_settle};

static void happen(struct worker_process *worker, struct happening what)
{
	const struct worker_answer *answer = worker_answer(worker->step, what.event);

	assert(!answer->never);
	worker->step = answer->next;
	for (size_t i = 0; i < ARRAY_LEN(does); i++)
		if (answer->todo & 1U << i)
			does[i](worker, &what);
}
