#include "common/launch/agent_internal.h"

#include "common/base/cleanup.h"
#include "common/base/clock.h"
#include "common/launch/dependencies.h"
#include "common/launch/fork_server.h"
#include "common/launch/memory_pressure.h"
#include "common/launch/native_apps.h"
#include "common/launch/python.h"
#include "common/launch/sandbox.h"
#include "common/launch/spare_app.h"
#include "common/launch/zygote.h"
#include "common/launch/zygote_child.h"
#include "common/launch/zygote_runs.h"

#include <errno.h>
#include <string.h>

#define SWEEP_MS 20 /* between two goes */

static void agent_free_at_exit(struct agent **agent)
{
	agent_free(*agent);
}

static void sweep(void *arg)
{
	struct agent *agent = arg;

	if (sandbox_sweep(agent->sandbox))
		timer_set(agent->sweep, clock_after(clock_now_ms(), SWEEP_MS));
}

static bool wants_zygote(const struct agent *agent, const struct agent_options *options)
{
	if (!options->warm_python || !options->warm_idle_ms)
		return false;
	if (!options->launch->installs_dependencies)
		return true;
	/* One of another version may be what the app asks for. */
	log_debug(agent->log,
		"no zygote: apps may install other versions of what it would import ahead");
	return false;
}

int agent_new(
	struct loop *loop, struct log *log, const struct agent_options *options, struct agent **out)
{
	auto_(agent_free_at_exit) struct agent *agent = calloc(1, sizeof *agent);
	int r;

	if (!agent)
		return -ENOMEM;
	agent->loop = loop;
	agent->log = log;
	agent->options = options->launch;
	agent->bounds = options->bounds;
	agent->dependencies = options->dependencies;
	agent->sandbox = options->sandbox;
	agent->paths = options->paths ? options->paths : &agent->installed;
	r = options->paths ? 0 : launch_paths_find(&agent->installed);
	if (r < 0)
		return r;
	r = process_set_new(loop, log, &agent->set);
	if (r < 0)
		return r;
	agent->warm_idle_ms = options->warm_idle_ms;
	agent->spare_idle = timer_new(loop, spare_idle, agent);
	agent->sweep = timer_new(loop, sweep, agent);
	if (!agent->spare_idle || !agent->sweep)
		return -ENOMEM;
	r = fork_server_new(agent, &agent->fork_server);
	if (r < 0)
		return r;
	if (wants_zygote(agent, options)) {
		r = zygote_new(agent, &agent->zygote);
		if (r == 0)
			r = zygote_runs_new(agent, &agent->runs);
		if (r == 0)
			r = spare_apps_new(agent, &agent->spare_apps);
	}
	if (r < 0)
		return r;
	*out = take_pointer(&agent);
	return 0;
}

void agent_free(struct agent *agent)
{
	if (!agent)
		return;
	process_set_free(agent->set);
	zygote_child_free_all(agent);
	zygote_runs_free(agent->runs);
	spare_apps_free(agent->spare_apps);
	zygote_free(agent->zygote);
	fork_server_free(agent->fork_server);
	while (!LIST_EMPTY(&agent->workers))
		worker_process_free(LIST_FIRST(&agent->workers));
	timer_free(agent->spare_idle);
	timer_free(agent->sweep);
	launch_paths_done(&agent->installed);
	free(agent);
}

int agent_check_python(const char *python, struct reason *why)
{
	auto_(free_at_exit) char *found = NULL;
	struct reason cause = {0};
	int r;

	if (!python)
		return 0;
	if (!*python)
		return reason_code(
			why, -EINVAL, "--python needs the path or the name of an interpreter");
	r = python_find(python, &found, &cause);
	return r ? reason_code(why, r, "--python: %s", cause.text) : 0;
}

void agent_tell_apps(const struct agent *agent)
{
	auto_(free_at_exit) char *found = NULL;
	struct reason cause = {0};

	native_apps_tell(agent->options, agent->log);
	if (python_find(agent->options->python, &found, &cause) == 0)
		log_info(agent->log, "apps run with %s", found);
	else if (native_apps_any(agent->options))
		log_info(agent->log, "only native apps can run: %s", cause.text);
	else
		log_warn(agent->log, "no app can run yet: %s", cause.text);
	if (agent->bounds)
		app_bounds_warn(agent->bounds, agent->log);
	sandbox_tell(agent->sandbox, agent->log);
	dependencies_warn(agent->options, agent->log);
}

void agent_run_ended(struct agent *agent, uint64_t run_id)
{
	/* Processes that wait for a message of the run use its directories. */
	if (agent->zygote) {
		zygote_runs_ended(agent->runs, run_id);
		spare_apps_run_ended(agent->spare_apps, run_id);
	}
	sandbox_run_ended(agent->sandbox, run_id);
	timer_set(agent->sweep, clock_now_ms());
}

/* Where each app has a control group this process is in one beside them: what holds all is watched.
 */
struct memory_pressure *agent_watch_memory(
	const struct agent *agent, void (*fn)(void *arg), void *arg)
{
	const struct limits *limits = agent->bounds ? agent->bounds->limits : NULL;

	return memory_pressure_new(agent->loop, limits ? limits_groups_dir(limits) : NULL, fn, arg);
}

struct process_set *agent_processes(struct agent *agent)
{
	return agent->set;
}

unsigned agent_count(const struct agent *agent)
{
	return process_set_count(agent->set) - agent->spares;
}
