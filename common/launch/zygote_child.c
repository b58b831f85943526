/*
 *   state      waits for                        then
 *   FORKING    P: its flwr-app-start is there   it is adopted, and told to go on; E: it fails
 *   ADOPTED    R: the app process is there      it waits for an app
 *   WAITS      an app                           B is sent
 *   BEGINS     B: it has begun                  its app is told; it is a process as any other
 *   WORKS      its end
 *
 * A child that fails before WORKS is killed, and its app, if it has one, is started plainly.
 */
#include "common/launch/zygote_child.h"

#include "common/base/cleanup.h"
#include "common/base/clock.h"
#include "common/base/number.h"
#include "common/base/text.h"
#include "common/launch/end.h"
#include "common/launch/zygote.h"
#include "common/launch/zygote_runs.h"
#include "common/launch/zygote_socket.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>

#define ERROR_MAX     4095 /* of the kernel's */
#define CHILD_LESSONS 8    /* of ZYGOTE_BYTES; nobody imports as much */

enum child_state {
	CHILD_FORKING,
	CHILD_ADOPTED,
	CHILD_WAITS,
	CHILD_BEGINS,
	CHILD_WORKS,
	CHILD_OVER
};

struct zygote_child {
	struct agent *agent;
	struct zygote *zygote; /* that forks it; NULL: it is gone */
	LIST_ENTRY(zygote_child) link;
	enum child_state state;
	struct process *process; /* in the set from ADOPTED on */
	bool adopted;
	int gate;
	struct watch *watch;
	struct timer *late;
	/* The app. */
	bool taken, of_run, told;
	struct app_process_spec spec; /* its name is ours; app has no meaning */
	char *name;
	struct text settings;
	struct zygote_app app;
	pid_t app_pid;
	unsigned lessons; /* datagrams with what it has imported */
	int ours, theirs; /* the app's socketpair */
};

static void gate_close(struct zygote_child *child)
{
	watch_free(child->watch);
	child->watch = NULL;
	close_fd(&child->gate);
}

static void child_free(struct zygote_child *child)
{
	LIST_REMOVE(child, link);
	gate_close(child);
	timer_free(child->late);
	close_fd(&child->ours);
	close_fd(&child->theirs);
	text_done(&child->settings);
	zygote_app_done(&child->app);
	free(child->name);
	free(child);
}

void zygote_child_free_all(struct agent *agent)
{
	struct zygote_child *child;

	while ((child = LIST_FIRST(&agent->zygote_children))) {
		if (!child->adopted)
			process_discard(child->process);
		child_free(child);
	}
}

void zygote_children_disown(struct agent *agent, const struct zygote *zygote)
{
	struct zygote_child *child;

	LIST_FOREACH(child, &agent->zygote_children, link)
	if (child->zygote == zygote)
		child->zygote = NULL;
}

/* It does nothing more: end what there is of it. Its app is the caller's business. May free it. */
static void child_end(struct zygote_child *child)
{
	child->state = CHILD_OVER;
	timer_set(child->late, CLOCK_NEVER);
	gate_close(child);
	if (child->adopted) {
		if (child->process)
			process_kill(child->process);
		return;
	}
	process_discard(child->process);
	child_free(child);
}

static void child_fail(struct zygote_child *child, const char *what)
{
	struct agent *agent = child->agent;
	struct app_process_spec spec = child->spec;
	bool taken = child->taken, forking = child->state < CHILD_WAITS;
	auto_(free_at_exit) char *name = take_pointer(&child->name);
	auto_(zygote_app_done) struct zygote_app app = child->app;
	struct zygote *zygote = child->zygote;

	child->app = (struct zygote_app){.dir = NULL};
	child->taken = false;
	child_end(child);
	if (zygote)
		zygote_child_lost(zygote, child, forking, what);
	if (!taken)
		return;
	log_debug(
		agent->log, "%s: no fork of the zygote (%s), so it is started plainly", name, what);
	spec.name = name;
	app_process_start_later(agent, &spec, app.python, &app.cage);
}

static void child_late(void *arg)
{
	child_fail(arg, "it does not answer");
}

static void answer_awaited(struct zygote_child *child)
{
	timer_set(child->late, clock_after(clock_now_ms(), ZYGOTE_ANSWER_MS));
}

/* ---- its process ---- */

static void process_over(struct zygote_child *child, const struct process_end *end)
{
	char how[128];

	end_describe(end, how, sizeof how);
	child_fail(child, how);
}

static bool gate_read(struct zygote_child *child);

static void child_process_ended(void *arg, struct process *process, const struct process_end *end)
{
	struct zygote_child *child = arg;

	/* What it has said before comes first: perhaps that it has begun. */
	while (child->state != CHILD_OVER && child->gate >= 0 && gate_read(child))
		;
	if (child->state == CHILD_WORKS)
		child->spec.ops->ended(child->spec.arg, process, end);
	else if (child->state != CHILD_OVER)
		process_over(child, end);
}

static void child_process_gone(void *arg, struct process *process)
{
	struct zygote_child *child = arg;

	child->process = NULL;
	if (child->state == CHILD_WORKS)
		child->spec.ops->gone(child->spec.arg, process);
	else
		child->agent->spares--;
	child_free(child);
}

static const struct process_ops child_ops = {
	.ended = child_process_ended, .gone = child_process_gone};

/* ---- its gate ---- */

/* P: pid leads it. */
static int child_adopt(struct zygote_child *child, pid_t pid)
{
	int r = process_adopt(child->process, pid);

	if (r)
		return r;
	child->adopted = true;
	child->agent->spares++;
	child->state = CHILD_ADOPTED;
	return zygote_socket_send(child->gate, 'G', "", 0, NULL, 0);
}

/* B: whatever its processes shall have or not have is settled by now, or by the app process before
 * it answers. */
static int child_send(struct zygote_child *child)
{
	const struct app_limits *limits = child->spec.limits;
	int r = process_begin_as(child->process, child->name);

	/* The app's user may not write there. Above a fork of a run's zygote is what was a process
	 * of the app until it executed flwr-app-start. */
	if (r == 0 && limits && limits->group && child->of_run)
		r = group_add(limits->group, process_pid(child->process));
	if (r == 0 && limits && limits->group)
		r = group_add(limits->group, child->app_pid);
	if (r == 0)
		r = zygote_socket_send(child->gate, 'B', child->settings.data, child->settings.len,
			&child->theirs, 1);
	if (r)
		return r;
	close_fd(&child->theirs);
	child->state = CHILD_BEGINS;
	answer_awaited(child);
	return 0;
}

/* R: the app process is there. */
static int child_waits(struct zygote_child *child, pid_t pid)
{
	child->app_pid = pid;
	child->state = CHILD_WAITS;
	timer_set(child->late, CLOCK_NEVER);
	return child->taken ? child_send(child) : 0;
}

static int child_begun(struct zygote_child *child)
{
	struct app_process app = {.process = child->process, .fd = take_fd(&child->ours)};

	log_debug(child->agent->log, "fork of the zygote pid=%d: takes %s",
		(int)process_pid(child->process), child->name);
	child->state = CHILD_WORKS;
	child->agent->spares--;
	timer_set(child->late, CLOCK_NEVER);
	if (child->zygote)
		zygote_served(child->zygote);
	child->spec.later(child->spec.arg, &app, 0);
	return 0;
}

/* A: its app has a flwr_preload(). */
static int child_tells(struct zygote_child *child, const char *text)
{
	child->told = true;
	child->app.loaded = strdup(text);
	if (child->app.loaded)
		zygote_runs_tell(child->agent->runs, &child->app);
	return 0;
}

/* E: there is none. -errno, of which an app may have chosen the number. */
static int child_missing(const char *number)
{
	int64_t error;

	if (number_i64(number, &error) || error <= 0 || error > ERROR_MAX)
		return -EBADMSG;
	return (int)-error;
}

static int gate_take(struct zygote_child *child, int letter, const char *text, pid_t pid)
{
	if (letter == 'P' && child->state == CHILD_FORKING)
		return child_adopt(child, pid);
	if (letter == 'E' && child->state == CHILD_FORKING)
		return child_missing(text);
	if (letter == 'R' && child->state == CHILD_ADOPTED)
		return child_waits(child, pid);
	if (letter == 'B' && child->state == CHILD_BEGINS)
		return child_begun(child);
	if (letter == 'L' && child->state == CHILD_WORKS && child->lessons < CHILD_LESSONS) {
		child->lessons++;
		zygote_learn(child->agent->zygote, text);
		return 0;
	}
	if (letter == 'A' && child->state == CHILD_WORKS && !child->of_run && !child->told)
		return child_tells(child, text);
	return -EBADMSG;
}

/* Take one message; was there one that it may send? It may free a child that is not adopted. */
static bool gate_read(struct zygote_child *child)
{
	char text[ZYGOTE_BYTES];
	size_t len;
	pid_t pid;
	int r = zygote_socket_receive(child->gate, text, &len, &pid);

	if (r == -EAGAIN)
		return false;
	if (r > 0 && strlen(text) != len)
		r = -EBADMSG;
	if (r > 0)
		r = gate_take(child, r, text, pid);
	else if (r == 0)
		r = -EPIPE;
	if (r == 0)
		return true;
	/* An app may do with its descriptors what it likes. */
	if (child->state == CHILD_WORKS)
		gate_close(child);
	else
		child_fail(child, r == -EPIPE ? "it has gone" : strerror(-r));
	return false;
}

static void gate_ready(void *arg, int ready)
{
	(void)ready;
	gate_read(arg);
}

/* ---- its beginning ---- */

static struct zygote_child *child_new(struct agent *agent)
{
	struct zygote_child *child = calloc(1, sizeof *child);

	if (!child)
		return NULL;
	child->agent = agent;
	child->gate = -1;
	child->ours = -1;
	child->theirs = -1;
	LIST_INSERT_HEAD(&agent->zygote_children, child, link);
	child->late = timer_new(agent->loop, child_late, child);
	return child;
}

/* 0 or -errno: then the child is to be ended. */
static int child_ask(struct zygote_child *child, int control)
{
	const struct process_spec spec = {.name = "fork of the zygote",
		.inherits_output = child->agent->options->passes_output,
		.ops = &child_ops,
		.arg = child};
	auto_(close_at_exit) int theirs = -1;
	auto_(close_at_exit) int out = -1;
	auto_(close_at_exit) int err = -1;
	int r = child->late ? zygote_socket_open(&child->gate, &theirs) : -ENOMEM;

	if (r == 0)
		r = process_prepare(child->agent->set, &spec, &child->process, &out, &err);
	if (r == 0) {
		child->watch =
			watch_new(child->agent->loop, child->gate, WATCH_READ, gate_ready, child);
		r = child->watch ? 0 : -ENOMEM;
	}
	if (r == 0)
		r = zygote_socket_send(control, 'F', "", 0, (int[]){theirs, out, err}, 3);
	return r;
}

int zygote_child_new(struct agent *agent, struct zygote *zygote, int control,
	struct zygote_child **out, struct reason *why)
{
	struct zygote_child *child = child_new(agent);
	int r = child ? child_ask(child, control) : -ENOMEM;

	if (r && child)
		child_end(child);
	if (r)
		return reason_code(
			why, r, "the zygote cannot be asked for a fork: %s", strerror(-r));
	child->zygote = zygote;
	child->of_run = zygote != agent->zygote;
	answer_awaited(child);
	*out = child;
	return 0;
}

static int setting_add(struct text *settings, const char *name, const char *value)
{
	if (!value || !*value)
		return 0;
	int r = text_printf(settings, "%s=%s", name, value);

	return r ? r : text_add(settings, "", 1);
}

static int settings_fill(struct text *settings, const struct app_start *start,
	const struct app_limits *limits, const struct sandbox_cage *cage)
{
	int r = 0;

	for (const char *const *each = start->env; r == 0 && *each; each++)
		r = text_add(settings, *each, strlen(*each) + 1);
	if (r == 0 && limits)
		r = setting_add(settings, ZYGOTE_DATA, limits->data_bytes);
	if (r == 0 && limits)
		r = setting_add(settings, ZYGOTE_PROCESSES, limits->processes);
	if (r == 0)
		r = setting_add(settings, ZYGOTE_DIRECTORY, cage->directory);
	return r ? r : setting_add(settings, ZYGOTE_CAGE, cage->description);
}

/* Keep what the worker has said of its app, and the interpreter. 0 or -ENOMEM. */
static int app_fill(struct zygote_app *app, const struct control_app *wanted, const char *python)
{
	app->python = strdup(python);
	if (!app->python)
		return -ENOMEM;
	if (!wanted || !wanted->dir)
		return 0;
	app->run_id = wanted->run_id;
	app->dir = strdup(wanted->dir);
	app->name = strdup(wanted->fab_id);
	return app->dir && app->name ? 0 : -ENOMEM;
}

int zygote_child_begin(struct zygote_child *child, const struct app_process_spec *wanted,
	const char *python, const struct app_start *start, struct sandbox_cage *cage)
{
	int ends[2];

	if (child->taken || child->state > CHILD_WAITS)
		return -EBUSY;
	child->name = strdup(wanted->name);
	if (!child->name || app_fill(&child->app, wanted->app, python) ||
		settings_fill(&child->settings, start, wanted->limits, cage))
		return -ENOMEM;
	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends) < 0)
		return -errno;
	child->ours = ends[0];
	child->theirs = ends[1];
	child->spec = *wanted;
	child->spec.app = NULL;
	if (child->state == CHILD_WAITS) {
		int r = child_send(child);

		if (r)
			return r;
	} else {
		/* The app waits for it from now on. */
		answer_awaited(child);
	}
	child->taken = true;
	child->app.cage = *cage;
	*cage = (struct sandbox_cage){.description = NULL};
	return 0;
}

void zygote_child_drop(struct zygote_child *child)
{
	child_end(child);
}
