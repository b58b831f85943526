#include "common/launch/spare_app.h"

#include "common/base/cleanup.h"
#include "common/launch/agent_internal.h"
#include "common/launch/end.h"
#include "common/launch/memory_pressure.h"
#include "common/launch/zygote.h"

#include <errno.h>
#include <string.h>

/* A spare Python has one of these from its start to its end, with a message or without. */
struct spare_app {
	struct spare_apps *apps;
	LIST_ENTRY(spare_app) link;
	struct process *process;
	int fd;
	char *python;
	struct sandbox_cage cage;
	uint64_t run_id; /* of the app for which it was started; 0: nobody has said */
	bool taken;
	struct app_process_spec spec; /* of the app that it has taken; its texts have no meaning */
};

struct spare_apps {
	struct agent *agent;
	LIST_HEAD(, spare_app) all;
	struct spare_app *next; /* the one that waits; NULL: none */
	struct memory_pressure *pressure;
	/* The app that was started plainly last. */
	char *python; /* NULL: none was */
	struct control_app app;
};

int spare_apps_new(struct agent *agent, struct spare_apps **out)
{
	struct spare_apps *apps = calloc(1, sizeof *apps);

	if (!apps)
		return -ENOMEM;
	apps->agent = agent;
	*out = apps;
	return 0;
}

static void spare_free(struct spare_app *spare)
{
	LIST_REMOVE(spare, link);
	close_fd(&spare->fd);
	free(spare->python);
	sandbox_cage_done(&spare->cage);
	free(spare);
}

static void app_forget(struct spare_apps *apps)
{
	free(apps->app.fab_id);
	free(apps->app.component);
	free(apps->app.dir);
	apps->app = (struct control_app){.fab_id = NULL};
	free_at_exit(&apps->python);
	apps->python = NULL;
}

/* Take the one that waits, which does so no longer; NULL: there is none. */
static struct spare_app *next_take(struct spare_apps *apps)
{
	struct spare_app *spare = apps->next;

	apps->next = NULL;
	memory_pressure_free(apps->pressure);
	apps->pressure = NULL;
	return spare;
}

void spare_apps_free(struct spare_apps *apps)
{
	if (!apps)
		return;
	next_take(apps);
	while (!LIST_EMPTY(&apps->all))
		spare_free(LIST_FIRST(&apps->all));
	app_forget(apps);
	free(apps);
}

void spare_apps_drop(struct spare_apps *apps)
{
	struct spare_app *spare = next_take(apps);

	if (spare)
		process_kill(spare->process);
}

static void memory_short(void *arg)
{
	struct spare_apps *apps = arg;

	log_info(apps->agent->log, "spare Python: memory is short, not kept");
	spare_apps_drop(apps);
}

void spare_apps_run_ended(struct spare_apps *apps, uint64_t run_id)
{
	if (apps->next && apps->next->run_id == run_id)
		spare_apps_drop(apps);
	if (apps->app.run_id == run_id)
		app_forget(apps);
}

/* ---- its process ---- */

static void spare_ended_alone(struct spare_app *spare, const struct process_end *end)
{
	char how[128];

	end_describe(end, how, sizeof how);
	log_debug(spare->apps->agent->log, "spare Python pid=%d: %s",
		(int)process_pid(spare->process), how);
	if (spare->apps->next == spare)
		next_take(spare->apps);
}

static void spare_process_ended(void *arg, struct process *process, const struct process_end *end)
{
	struct spare_app *spare = arg;

	if (spare->taken)
		spare->spec.ops->ended(spare->spec.arg, process, end);
	else
		spare_ended_alone(spare, end);
}

static void spare_process_gone(void *arg, struct process *process)
{
	struct spare_app *spare = arg;

	if (spare->taken)
		spare->spec.ops->gone(spare->spec.arg, process);
	else
		spare->apps->agent->spares--;
	spare_free(spare);
}

static const struct process_ops spare_ops = {
	.ended = spare_process_ended, .gone = spare_process_gone};

/* ---- which app ---- */

static char *copy(const char *text, bool *failed)
{
	char *made = text ? strdup(text) : NULL;

	*failed = *failed || (text && !made);
	return made;
}

/* Is it to have what one that was started before its message has not? */
static bool has_bounds(const struct app_process_spec *wanted)
{
	const struct app_limits *limits = wanted->limits;

	return wanted->setting || (limits && (limits->group || limits->data_bytes[0] ||
						     limits->processes[0] || limits->cpus[0]));
}

void spare_apps_note(
	struct spare_apps *apps, const struct app_process_spec *wanted, const char *python)
{
	const struct control_app *app = wanted->app;
	bool failed = false;

	app_forget(apps);
	if (has_bounds(wanted)) {
		spare_apps_drop(apps);
		return;
	}
	if (app) {
		apps->app.fab_id = copy(app->fab_id, &failed);
		apps->app.component = copy(app->component, &failed);
		apps->app.dir = copy(app->dir, &failed);
		apps->app.run_id = app->run_id;
	}
	apps->python = copy(python, &failed);
	if (failed)
		app_forget(apps);
}

/* 0; -errno with a sentence. */
static int spare_start(struct spare_apps *apps, struct reason *why)
{
	struct spare_app *spare = calloc(1, sizeof *spare);
	struct app_process app = {.fd = -1};
	bool failed = false;
	int r;

	if (!spare)
		return -ENOMEM;
	spare->apps = apps;
	spare->fd = -1;
	spare->run_id = apps->app.run_id;
	spare->python = copy(apps->python, &failed);
	LIST_INSERT_HEAD(&apps->all, spare, link);
	r = failed ? -ENOMEM
		   : app_process_start_ahead(apps->agent,
			     &(struct app_process_spec){.name = "spare Python",
				     .app = &apps->app,
				     .ops = &spare_ops,
				     .arg = spare},
			     spare->python, &spare->cage, &app, why);
	if (r) {
		spare_free(spare);
		return r;
	}
	spare->process = app.process;
	spare->fd = take_fd(&app.fd);
	apps->agent->spares++;
	apps->next = spare;
	apps->pressure = agent_watch_memory(apps->agent, memory_short, apps);
	return 0;
}

void spare_apps_message_ended(struct spare_apps *apps)
{
	const struct agent *agent = apps->agent;
	struct reason why = {.text = ""};
	int r;

	if (apps->next || !apps->python || !agent->warm_idle_ms || !zygote_is_off(agent->zygote))
		return;
	r = spare_start(apps, &why);
	if (r)
		log_debug(agent->log, "no spare Python: %s", why.text[0] ? why.text : strerror(-r));
}

/* ---- its message ---- */

/* Why it cannot be what that app would get. NULL: it can. */
static const char *differs(const struct spare_app *spare, const struct app_process_spec *wanted,
	const char *python, const struct sandbox_cage *cage)
{
	if (has_bounds(wanted))
		return "the app has limits or a GPU of its own";
	if (strcmp(spare->python, python) != 0)
		return "the app has another interpreter";
	if (!sandbox_cage_same(&spare->cage, cage))
		return "the app has another cage";
	return NULL;
}

int spare_apps_use(struct spare_apps *apps, const struct app_process_spec *wanted,
	const char *python, const struct sandbox_cage *cage, struct app_process *out,
	struct reason *why)
{
	struct spare_app *spare = apps->next;
	const char *other = spare ? differs(spare, wanted, python, cage) : NULL;
	int r;

	if (!spare)
		return -ENOENT;
	if (other) {
		spare_apps_drop(apps);
		return reason_code(why, -ESTALE, "not in the spare Python: %s", other);
	}
	r = process_begin_as(spare->process, wanted->name);
	if (r)
		return reason_code(why, r, "no memory for the spare Python");
	log_debug(apps->agent->log, "spare Python pid=%d: takes %s",
		(int)process_pid(spare->process), wanted->name);
	next_take(apps);
	apps->agent->spares--;
	spare->taken = true;
	spare->spec = *wanted;
	*out = (struct app_process){.process = spare->process, .fd = take_fd(&spare->fd)};
	return 0;
}
