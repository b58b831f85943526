/*
 *   what happens                              what the zygote does
 *   the worker of a message ends, whose app   it is started, if there is none; then, or when it is
 *   was one of Python                         there, it forks a child ahead
 *   next message                              the child takes its app; without one it forks
 *   an app has imported more modules          it imports them; later forks have them
 *   a module starts a thread or opens a       it ends; another one is started, which leaves that
 *   device                                    module's package out
 *   packages were installed or removed        it is replaced
 *   warm_idle_ms without a message, memory    it is killed, and its child ahead
 *   is short
 *   it dies, hangs                            the app is started plainly; another one comes after
 *                                             the message, ZYGOTE_FAILURES times in a row
 *
 * One of a run imports its app instead, calls flwr_preload(), and is not started again by itself
 * (zygote_runs.c).
 */
#include "common/launch/zygote.h"

#include "common/base/cleanup.h"
#include "common/base/clock.h"
#include "common/base/text.h"
#include "common/launch/agent_internal.h"
#include "common/launch/end.h"
#include "common/launch/memory_pressure.h"
#include "common/launch/zygote_child.h"
#include "common/launch/zygote_imports.h"
#include "common/launch/zygote_runs.h"
#include "common/launch/zygote_socket.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

enum zygote_state {
	ZYGOTE_NONE,    /* or it is ending */
	ZYGOTE_IMPORTS, /* it cannot fork now */
	ZYGOTE_READY
};

struct zygote {
	struct agent *agent;
	char name[40];                /* for log lines */
	const struct zygote_app *app; /* of whose run it is; NULL: of all apps */
	struct app_limits limits;     /* of a run's */
	enum zygote_state state;
	bool off;      /* there will be none any more */
	bool dropped;  /* its end is our wish */
	bool again;    /* start another one when it has gone */
	bool learning; /* what it imports now was learnt since its start */
	char *python;  /* the interpreter; NULL: no app of Python has run */
	struct process *process;
	int control;
	struct watch *watch;
	struct timer *late, *idle;
	struct memory_pressure *pressure; /* NULL: not watched */
	unsigned asked;                   /* imports that it has not answered */
	unsigned failures;
	struct zygote_child *next; /* forked ahead; NULL: none */
	struct zygote_imports imports;
};

static void control_close(struct zygote *zygote)
{
	watch_free(zygote->watch);
	zygote->watch = NULL;
	close_fd(&zygote->control);
}

static void next_drop(struct zygote *zygote)
{
	struct zygote_child *child = zygote->next;

	zygote->next = NULL;
	if (child)
		zygote_child_drop(child);
}

/* End it. Its end comes as an event. */
static void zygote_drop(struct zygote *zygote)
{
	next_drop(zygote);
	timer_set(zygote->late, CLOCK_NEVER);
	timer_set(zygote->idle, CLOCK_NEVER);
	memory_pressure_free(zygote->pressure);
	zygote->pressure = NULL;
	control_close(zygote);
	zygote->state = ZYGOTE_NONE;
	zygote->dropped = true;
	if (zygote->process)
		process_kill(zygote->process);
}

static void zygote_off(struct zygote *zygote, const char *why)
{
	if (zygote->app)
		zygote_runs_failed(zygote->agent->runs, zygote->app, why);
	else
		log_warn(zygote->agent->log,
			"zygote: %s; each app starts a Python of its own from now on", why);
	zygote->off = true;
	zygote_drop(zygote);
}

/* It is no use as it is. One line says so, whatever follows from it. */
static void zygote_fail(struct zygote *zygote, const char *what)
{
	if (zygote->state == ZYGOTE_NONE)
		return;
	zygote_drop(zygote);
	if (zygote->app || ++zygote->failures >= ZYGOTE_FAILURES)
		zygote_off(zygote, what);
	else
		log_warn(zygote->agent->log,
			"zygote: %s; the app of the next message starts without it", what);
}

/* What apps have had it import may be why it is no use. */
static void learning_failed(struct zygote *zygote)
{
	if (zygote->learning)
		zygote_imports_unlearn(&zygote->imports);
}

static void zygote_late(void *arg)
{
	struct zygote *zygote = arg;

	learning_failed(zygote);
	zygote_fail(zygote, zygote->app ? "it does not come to an end"
					: "it does not come to an end with its imports");
}

static void zygote_idle(void *arg)
{
	struct zygote *zygote = arg;

	log_debug(zygote->agent->log, "%s: no message for a while, not kept", zygote->name);
	zygote_drop(zygote);
}

static void idle_set(struct zygote *zygote)
{
	/* Imports may take longer; the idle time begins when the zygote is ready. */
	if (zygote->state != ZYGOTE_IMPORTS)
		timer_set(zygote->idle, clock_after(clock_now_ms(), zygote->agent->warm_idle_ms));
}

static void memory_short(void *arg)
{
	struct zygote *zygote = arg;

	log_info(zygote->agent->log, "%s: memory is short, not kept", zygote->name);
	zygote_drop(zygote);
}

/* ---- forks ---- */

static struct zygote_child *zygote_fork(struct zygote *zygote, struct reason *why)
{
	struct zygote_child *child = NULL;

	if (zygote_child_new(zygote->agent, zygote, zygote->control, &child, why))
		return NULL;
	return child;
}

static void fork_ahead(struct zygote *zygote)
{
	struct reason why = {.text = ""};

	if (zygote->next || zygote->state != ZYGOTE_READY)
		return;
	zygote->next = zygote_fork(zygote, &why);
	if (!zygote->next)
		log_debug(zygote->agent->log, "%s: %s", zygote->name, why.text);
}

void zygote_child_lost(
	struct zygote *zygote, const struct zygote_child *child, bool forking, const char *what)
{
	char why[200];

	if (zygote->next == child)
		zygote->next = NULL;
	log_debug(zygote->agent->log, "fork of the zygote: %s", what);
	/* One that is at its imports may be another one already. */
	if (!forking || zygote->state != ZYGOTE_READY)
		return;
	snprintf(why, sizeof why, "it does not fork: %s", what);
	if (zygote->app && zygote_runs_try_again(zygote->agent->runs, zygote->app, why))
		zygote_drop(zygote);
	else
		zygote_fail(zygote, why);
}

void zygote_served(struct zygote *zygote)
{
	zygote->failures = 0;
	if (zygote->app)
		zygote_runs_used(zygote->agent->runs, zygote->app);
}

/* ---- imports ---- */

/* 0 or -errno. */
static int zygote_ask(
	struct zygote *zygote, char letter, const char *text, size_t len, int64_t within_ms)
{
	int r = zygote_socket_send(zygote->control, letter, text, len, NULL, 0);

	if (r)
		return r;
	log_debug(zygote->agent->log, "%s pid=%d: imports", zygote->name,
		(int)process_pid(zygote->process));
	zygote->asked++;
	zygote->state = ZYGOTE_IMPORTS;
	timer_set(zygote->idle, CLOCK_NEVER);
	timer_set(zygote->late, clock_after(clock_now_ms(), within_ms));
	return 0;
}

static int zygote_import(struct zygote *zygote, const char *names, size_t len)
{
	return zygote_ask(zygote, 'I', names, len, ZYGOTE_IMPORT_MS);
}

/* Have the zygote of a run load its app, and call flwr_preload(). 0 or -errno. */
static int zygote_load_app(struct zygote *zygote)
{
	auto_(text_done) struct text text = {0};
	int r = text_printf(&text, "%s\n%s", zygote->app->dir, zygote->app->loaded);

	return r ? r : zygote_ask(zygote, 'A', text.data, text.len, ZYGOTE_PRELOAD_MS);
}

void zygote_learn(struct zygote *zygote, const char *names)
{
	if (zygote->state == ZYGOTE_NONE || !zygote_imports_accept(&zygote->imports, names))
		return;
	/* A message that comes meanwhile has a fork without them. */
	fork_ahead(zygote);
	/* Else it is told again after a later message. */
	if (zygote_import(zygote, names, strlen(names)) == 0)
		zygote->learning = true;
}

/* M: "MODULE\nWHY". It ends by itself. */
static void take_misfit(struct zygote *zygote, char *text)
{
	char *module = strsep(&text, "\n");
	char package[128];

	snprintf(package, sizeof package, "%.*s", (int)strcspn(module, "."), module);
	/* Another one would be told the same. */
	if (!zygote_imports_refuse(&zygote->imports, package)) {
		zygote_fail(zygote, "it imports a module that it was to leave out");
		return;
	}
	log_info(zygote->agent->log, "zygote: the module %s is not imported ahead: %s", module,
		text ? text : "");
	zygote_drop(zygote);
	zygote->again = true;
}

static void take_ready(struct zygote *zygote, char *text)
{
	const char *line;

	/* One of a run is a process of an app, which must not choose the paths that are looked at.
	 */
	while (!zygote->app && (line = strsep(&text, "\n")))
		zygote_imports_take(&zygote->imports, line);
	if (--zygote->asked)
		return;
	timer_set(zygote->late, CLOCK_NEVER);
	zygote->state = ZYGOTE_READY;
	idle_set(zygote);
	zygote->learning = false;
	log_debug(zygote->agent->log, "%s pid=%d: ready", zygote->name,
		(int)process_pid(zygote->process));
	/* An earlier fork has not what is there now. */
	next_drop(zygote);
	fork_ahead(zygote);
}

/* Take one message; was there one? */
static bool control_read(struct zygote *zygote)
{
	char text[ZYGOTE_BYTES];
	size_t len;
	pid_t pid;
	int r = zygote_socket_receive(zygote->control, text, &len, &pid);

	if (r == -EAGAIN)
		return false;
	if (r == 'R' && zygote->asked) {
		take_ready(zygote, text);
	} else if (r == 'M' && !zygote->app) {
		take_misfit(zygote, text);
	} else if (r == 'U') {
		zygote_off(zygote, text);
	} else if (r == 0) {
		/* Its end comes as an event, which says how. */
		control_close(zygote);
	} else {
		zygote_fail(zygote, "it says what it may not say");
	}
	return true;
}

static void control_ready(void *arg, int ready)
{
	(void)ready;
	control_read(arg);
}

/* ---- its process ---- */

static void zygote_start(struct zygote *zygote);

static void zygote_ended(void *arg, struct process *process, const struct process_end *end)
{
	struct zygote *zygote = arg;
	char how[128], what[160];

	end_describe(end, how, sizeof how);
	/* It may have said why. A fork may still hold its end. */
	while (zygote->control >= 0 && control_read(zygote))
		;
	if (zygote->dropped) {
		log_debug(zygote->agent->log, "%s pid=%d: %s", zygote->name,
			(int)process_pid(process), how);
		return;
	}
	learning_failed(zygote);
	snprintf(what, sizeof what, "%s", how);
	zygote_fail(zygote, what);
}

static void zygote_gone(void *arg, struct process *process)
{
	struct zygote *zygote = arg;

	(void)process;
	zygote->process = NULL;
	zygote->agent->spares--;
	if (zygote->app)
		zygote_runs_gone(zygote->agent->runs, zygote->app);
	else if (zygote->again)
		zygote_start(zygote);
}

static const struct process_ops zygote_ops = {.ended = zygote_ended, .gone = zygote_gone};

/* Start its process with that cage. theirs: the other end of control. 0; -errno with a sentence. */
static int launch_caged(
	struct zygote *zygote, const struct sandbox_cage *cage, int theirs, struct reason *why)
{
	struct agent *agent = zygote->agent;
	const struct app_program program = {.kind = APP_START_ZYGOTE, .python = zygote->python};
	const struct app_process_spec wanted = {.limits = zygote->app ? &zygote->limits : NULL};
	auto_(app_start_done) struct app_start start = {.zygote = NULL};
	struct process_spec spec = {.name = zygote->name,
		.argv = start.argv,
		.env = start.env,
		.env_drop = app_start_drops,
		.env_hide = agent->bounds ? agent->bounds->env_hide : NULL,
		.fd = theirs,
		.inherits_output = agent->options->passes_output,
		.forks = true,
		.ops = &zygote_ops,
		.arg = zygote};
	int r = app_start_fill(&start, agent, &program, &wanted, cage);

	spec.env_keep = start.env_keep;
	if (r == 0)
		r = process_start(agent->set, &spec, &zygote->process, why);
	if (r == 0)
		agent->spares++;
	return r;
}

/* Start its process: a zygote that runs code of an app has the app's cage and limits. */
static int zygote_launch(struct zygote *zygote, int theirs, struct reason *why)
{
	const struct app_bounds *bounds = zygote->agent->bounds;
	auto_(sandbox_cage_done) struct sandbox_cage cage = {.description = NULL};
	int r = 0;

	if (!zygote->app) {
		r = sandbox_zygote(zygote->agent->sandbox, zygote->python, &cage, why);
		return r ? r : launch_caged(zygote, &cage, theirs, why);
	}
	if (bounds)
		r = app_limits_init(bounds->limits, app_bounds_uid(bounds), &zygote->limits, why);
	return r ? r : launch_caged(zygote, &zygote->app->cage, theirs, why);
}

/* Start its process, and keep it as long as it is of use. 0; -errno: zygote_drop() is due. */
static int zygote_open(struct zygote *zygote, struct reason *why)
{
	auto_(close_at_exit) int theirs = -1;
	int r = zygote_socket_open(&zygote->control, &theirs);

	if (r)
		return r;
	zygote->watch =
		watch_new(zygote->agent->loop, zygote->control, WATCH_READ, control_ready, zygote);
	r = zygote->watch ? zygote_launch(zygote, theirs, why) : -ENOMEM;
	if (r)
		return r;
	zygote->pressure = agent_watch_memory(zygote->agent, memory_short, zygote);
	return 0;
}

static void zygote_start(struct zygote *zygote)
{
	auto_(text_done) struct text names = {0};
	struct reason why = {.text = ""};
	int r;

	zygote->again = false;
	if (zygote->off || zygote->process || !zygote->python)
		return;
	zygote->dropped = false;
	zygote->learning = false;
	zygote->asked = 0;
	r = zygote_imports_begin(&zygote->imports, &zygote->agent->options->preload, &names);
	if (r == 0)
		r = zygote_open(zygote, &why);
	if (r == 0)
		r = zygote_import(zygote, names.data, names.len);
	if (r == 0)
		return;
	/* Nothing can be done about it later. */
	if (r == -EPERM && why.text[0]) {
		zygote_off(zygote, why.text);
		return;
	}
	log_debug(zygote->agent->log, "no zygote: %s", why.text[0] ? why.text : strerror(-r));
	zygote_drop(zygote);
}

/* ---- for its agent ---- */

int zygote_new(struct agent *agent, struct zygote **out)
{
	struct zygote *zygote = calloc(1, sizeof *zygote);

	if (!zygote)
		return -ENOMEM;
	zygote->agent = agent;
	zygote->control = -1;
	snprintf(zygote->name, sizeof zygote->name, "zygote");
	/* In the strict cage each run has a home of its own, which modules may have looked for. */
	zygote->imports.learns = sandbox_kind(agent->sandbox) != SANDBOX_STRICT;
	zygote->late = timer_new(agent->loop, zygote_late, zygote);
	zygote->idle = timer_new(agent->loop, zygote_idle, zygote);
	if (!zygote->late || !zygote->idle) {
		zygote_free(zygote);
		return -ENOMEM;
	}
	*out = zygote;
	return 0;
}

static void zygote_free_at_exit(struct zygote **zygote)
{
	zygote_free(*zygote);
}

int zygote_new_of_run(
	struct agent *agent, const struct zygote_app *app, struct zygote **out, struct reason *why)
{
	auto_(zygote_free_at_exit) struct zygote *zygote = NULL;
	/* The zygote may have imported files that are newer than these, and ends too early then. */
	const struct text *depends = &agent->zygote->imports.depends;
	int r = zygote_new(agent, &zygote);

	if (r)
		return r;
	zygote->app = app;
	r = text_add(&zygote->imports.depends, depends->data, depends->len);
	if (r)
		return r;
	snprintf(zygote->name, sizeof zygote->name, "zygote of run %" PRIu64, app->run_id);
	zygote->python = strdup(app->python);
	r = zygote->python ? zygote_open(zygote, why) : -ENOMEM;
	/* Its end comes as an event from here on. */
	if (r == 0 && zygote_load_app(zygote))
		zygote_off(zygote, "its process cannot be told of the app");
	if (r == 0)
		*out = take_pointer(&zygote);
	return r;
}

void zygote_free(struct zygote *zygote)
{
	if (!zygote)
		return;
	zygote_children_disown(zygote->agent, zygote);
	app_limits_done(&zygote->limits);
	control_close(zygote);
	memory_pressure_free(zygote->pressure);
	timer_free(zygote->late);
	timer_free(zygote->idle);
	zygote_imports_done(&zygote->imports);
	free(zygote->python);
	free(zygote);
}

/* Were packages changed since it has imported some? */
static bool packages_changed(const struct zygote *zygote)
{
	const struct zygote *knows = zygote->imports.depends.len ? zygote : zygote->agent->zygote;

	return zygote_imports_changed(&knows->imports);
}

/* The interpreter of the app at hand is the zygote's from now on. 0 or -ENOMEM. */
static int python_note(struct zygote *zygote, const char *python)
{
	char *copy;

	if (zygote->python && strcmp(zygote->python, python) == 0)
		return 0;
	copy = strdup(python);
	if (!copy)
		return -ENOMEM;
	if (zygote->process)
		zygote_drop(zygote);
	free(zygote->python);
	zygote->python = copy;
	return 0;
}

int zygote_use(struct zygote *zygote, const struct app_process_spec *wanted, const char *python,
	const struct app_start *start, struct sandbox_cage *cage, struct reason *why)
{
	struct zygote_child *child;
	int r = python_note(zygote, python);

	if (r)
		return reason_code(why, r, "no memory for the zygote");
	if (zygote->off)
		return reason_code(why, -ENOENT, "there is no zygote any more");
	if (zygote->state != ZYGOTE_NONE && packages_changed(zygote)) {
		zygote_drop(zygote);
		return reason_code(
			why, -ESTALE, "packages have changed since the zygote imported them");
	}
	child = take_pointer(&zygote->next);
	if (!child && zygote->state == ZYGOTE_IMPORTS)
		return reason_code(why, -EAGAIN, "the zygote is at its imports");
	if (!child && zygote->state == ZYGOTE_NONE)
		return reason_code(why, -ENOENT, "there is no zygote yet");
	if (!child)
		child = zygote_fork(zygote, why);
	if (!child)
		return -EAGAIN;
	r = zygote_child_begin(child, wanted, python, start, cage);
	idle_set(zygote);
	if (r == 0)
		return 0;
	zygote_child_drop(child);
	return reason_code(why, r, "the zygote's fork cannot take it: %s", strerror(-r));
}

void zygote_message_ended(struct zygote *zygote)
{
	if (zygote->app)
		fork_ahead(zygote);
	if (zygote->app || zygote->off || !zygote->python)
		return;
	idle_set(zygote);
	if (!zygote->process)
		zygote_start(zygote);
	else if (zygote->dropped)
		zygote->again = true;
	else
		fork_ahead(zygote);
}

void zygote_stop(struct zygote *zygote)
{
	zygote->off = true;
	zygote_drop(zygote);
}

bool zygote_is_off(const struct zygote *zygote)
{
	return zygote->off;
}

bool zygote_is_over(const struct zygote *zygote)
{
	return zygote->state == ZYGOTE_NONE;
}
