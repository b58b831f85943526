#include "common/launch/app_process.h"

#include "common/base/cleanup.h"
#include "common/launch/agent_internal.h"
#include "common/launch/app_start.h"
#include "common/launch/dependencies.h"
#include "common/launch/end.h"
#include "common/launch/limits.h"
#include "common/launch/native_apps.h"
#include "common/launch/python.h"
#include "common/launch/sandbox.h"
#include "common/launch/spare_app.h"
#include "common/launch/zygote.h"
#include "common/launch/zygote_runs.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>

static int socketpair_open(int *ours_out, int *theirs_out, struct reason *why)
{
	int ends[2];

	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends) < 0)
		return reason_code(why, -errno, "no socketpair for it: %s", strerror(errno));
	*ours_out = ends[0];
	*theirs_out = ends[1];
	return 0;
}

/* Find what runs the app. 0; -errno with a sentence for the log and one for the reply. */
static int program_find(struct agent *agent, const struct control_app *app, struct app_program *out,
	struct reason *why, struct reason *told)
{
	int r = 0;

	if (app->fab_id)
		r = native_apps_choose(agent->options,
			&(struct native_question){.fab_id = app->fab_id,
				.component = app->component,
				.app_dir = app->dir},
			&out->native, told);
	if (r) {
		*why = *told;
		return r;
	}
	if (out->native.file) {
		out->kind = APP_START_NATIVE;
		return 0;
	}
	r = python_find(agent->options->python, &out->python, why);
	if (r)
		reason_set(told,
			"no python3 that can be executed on this node: give --python or install python3 with the flwr package");
	return r;
}

/* Describe its cage. 0, with or without one; -errno with a sentence. */
static int cage_make(const struct agent *agent, const struct control_app *app,
	const struct app_program *program, struct sandbox_cage *out, struct reason *why)
{
	if (sandbox_kind(agent->sandbox) == SANDBOX_OFF)
		return 0;
	if (!app->dir)
		return reason_code(why, -EPERM, "the worker has not said which app it is for");
	return sandbox_cage(agent->sandbox,
		&(struct sandbox_app){.dir = app->dir,
			.interpreter = program->python,
			.file = program->native.file,
			.bridge = agent->paths->bridge,
			.host = agent->paths->host,
			.start = agent->runs ? agent->paths->start : NULL,
			.writable = dependencies_folder(agent->dependencies),
			.run_id = app->run_id},
		out, why);
}

/* Start the app by flwr-app-start. 0; -errno with a sentence. */
static int start_plainly(struct agent *agent, const struct app_process_spec *wanted,
	const struct app_start *start, bool native, struct app_process *out, struct reason *why)
{
	auto_(close_at_exit) int theirs = -1;
	auto_(close_at_exit) int ours = -1;
	struct process_spec spec = {.name = wanted->name,
		.argv = start->argv,
		.env = start->env,
		.env_drop = app_start_drops,
		.env_hide = agent->bounds ? agent->bounds->env_hide : NULL,
		.env_keep = start->env_keep,
		.inherits_output = agent->options->passes_output,
		/* Lines of flwr_log() have levels. */
		.logs = native,
		.ops = wanted->ops,
		.arg = wanted->arg};
	int r = socketpair_open(&ours, &theirs, why);

	if (r)
		return r;
	spec.fd = theirs;
	r = process_start(agent->set, &spec, &out->process, why);
	if (r)
		return r;
	out->native = native;
	out->fd = take_fd(&ours);
	return 0;
}

/* Log why, and say so in out. */
static void tell_failed(struct agent *agent, const char *name, int r, const struct reason *why,
	const struct reason *told, struct app_process *out)
{
	log_error(agent->log, "%s: could not be started: %s", name, why->text);
	out->failed = (struct process_end){.kind = PROCESS_NOT_STARTED, .value = -r};
	if (told->text[0])
		out->failed.why = *told;
	else
		reason_set(&out->failed.why, "no process for it could be started on this node: %s",
			strerror(-r));
}

int app_process_start_ahead(struct agent *agent, const struct app_process_spec *wanted,
	const char *python, struct sandbox_cage *cage_out, struct app_process *out,
	struct reason *why)
{
	/* Its limits and its lease are a message's. */
	const struct app_program program = {.kind = APP_START_PYTHON, .python = (char *)python};
	auto_(sandbox_cage_done) struct sandbox_cage cage = {.description = NULL};
	auto_(app_start_done) struct app_start start = {.zygote = NULL};
	int r = cage_make(agent, wanted->app, &program, &cage, why);

	if (r == 0)
		r = app_start_fill(&start, agent, &program, wanted, &cage);
	if (r == 0)
		r = start_plainly(agent, wanted, &start, false, out, why);
	if (r)
		return r;
	*cage_out = cage;
	cage = (struct sandbox_cage){.description = NULL};
	return 0;
}

/* Is it on its way, by the zygote? Then it has the cage; else why says why not. */
static bool start_by_zygote(struct agent *agent, const struct app_process_spec *wanted,
	const char *python, const struct app_start *start, struct sandbox_cage *cage,
	struct reason *why)
{
	struct zygote *of_run;

	if (wanted->limits && wanted->limits->cpus[0]) {
		reason_set(why,
			"its CPUs are chosen, and libraries count them when they are imported");
		return false;
	}
	of_run = zygote_runs_find(agent->runs, wanted->app, python, cage);
	if (of_run && zygote_use(of_run, wanted, python, start, cage, why) == 0)
		return true;
	if (of_run)
		log_debug(agent->log, "%s: not from the zygote of its run: %s", wanted->name,
			why->text);
	return zygote_use(agent->zygote, wanted, python, start, cage, why) == 0;
}

/* Does it run in the spare Python now? no_fork: why the zygote has not forked it. */
static bool start_by_spare(struct agent *agent, const struct app_process_spec *wanted,
	const char *python, const struct sandbox_cage *cage, struct app_process *out,
	const struct reason *no_fork)
{
	struct reason why = {.text = ""};
	int r = spare_apps_use(agent->spare_apps, wanted, python, cage, out, &why);

	if (r == 0)
		log_debug(agent->log, "%s: in a spare Python: %s", wanted->name, no_fork->text);
	else
		log_debug(agent->log, "%s: started plainly: %s%s%s", wanted->name, no_fork->text,
			why.text[0] ? "; " : "", why.text);
	spare_apps_note(agent->spare_apps, wanted, python);
	return r == 0;
}

int app_process_start(
	struct agent *agent, const struct app_process_spec *wanted, struct app_process *out)
{
	auto_(app_program_done) struct app_program program = {.kind = APP_START_PYTHON};
	auto_(sandbox_cage_done) struct sandbox_cage cage = {.description = NULL};
	auto_(app_start_done) struct app_start start = {.zygote = NULL};
	struct reason why = {.text = ""}, told = {.text = ""}, no_fork = {.text = ""};
	bool native, warm;
	int r = program_find(agent, wanted->app, &program, &why, &told);

	native = program.kind == APP_START_NATIVE;
	if (r == 0)
		r = cage_make(agent, wanted->app, &program, &cage, &why);
	if (r == 0)
		r = app_start_fill(&start, agent, &program, wanted, &cage);
	warm = r == 0 && !native && agent->zygote && wanted->later;
	if (warm && start_by_zygote(agent, wanted, program.python, &start, &cage, &no_fork))
		return APP_PROCESS_LATER;
	if (warm && start_by_spare(agent, wanted, program.python, &cage, out, &no_fork))
		return 0;
	if (r == 0)
		r = start_plainly(agent, wanted, &start, native, out, &why);
	if (r)
		tell_failed(agent, wanted->name, r, &why, &told, out);
	return r;
}

void app_process_start_later(struct agent *agent, const struct app_process_spec *wanted,
	const char *python, const struct sandbox_cage *cage)
{
	const struct app_program program = {.kind = APP_START_PYTHON, .python = (char *)python};
	auto_(app_start_done) struct app_start start = {.zygote = NULL};
	struct reason why = {.text = ""}, told = {.text = ""};
	struct app_process app = {.fd = -1};
	int r = app_start_fill(&start, agent, &program, wanted, cage);

	if (r == 0)
		r = start_plainly(agent, wanted, &start, false, &app, &why);
	if (r)
		tell_failed(agent, wanted->name, r, &why, &told, &app);
	wanted->later(wanted->arg, &app, r);
}

void app_process_tell_cut(
	struct log *log, const char *name, const char *why, const struct process_end *end)
{
	char how[128];

	end_describe(end, how, sizeof how);
	log_warn(log,
		"%s: cut off at its end, %s: %s; what its threads, exit handlers and open files still had to do is lost",
		name, why, how);
}
