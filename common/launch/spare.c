/*
 * A spare worker: one that is started before there is a message for it, since the links of its
 * libraries take longer than a small message. An agent has one at most, and only while messages
 * come:
 *
 *   the worker of a message ends      start one, if there is none: the machine has time
 *   next message                      give it to the spare; start another one when messages follow
 *                                     each other: when the app has started, or at once when it
 *                                     cannot be forked
 *   warm_idle_ms without a message    kill it
 *   it ends by itself                 the next message starts a worker as without it
 */
#include "common/launch/agent_internal.h"

#include "common/base/clock.h"
#include "common/launch/end.h"
#include "common/launch/fork_server.h"
#include "common/launch/spare_app.h"
#include "common/launch/zygote.h"
#include "common/launch/zygote_runs.h"

/* Messages that follow each other so soon leave no time for a start between them. */
#define SPARE_SOON_MS 1000

static void spare_drop(struct agent *agent)
{
	struct worker_process *worker = agent->spare;

	agent->spare = NULL;
	timer_set(agent->spare_idle, CLOCK_NEVER);
	if (worker)
		worker_process_drop(worker);
}

void spare_idle(void *arg)
{
	struct agent *agent = arg;

	fork_server_drop(agent->fork_server);
	if (agent->spare_apps)
		spare_apps_drop(agent->spare_apps);
	if (!agent->spare)
		return;
	log_debug(agent->log, "spare worker pid=%d: no message for a while, not kept",
		(int)worker_process_pid(agent->spare));
	spare_drop(agent);
}

/* Have one, from now on for warm_idle_ms. */
static void spare_start(struct agent *agent)
{
	struct reason why = {.text = ""};
	int r;

	if (!agent->warm_idle_ms)
		return;
	timer_set(agent->spare_idle, clock_after(clock_now_ms(), agent->warm_idle_ms));
	if (agent->spare)
		return;
	fork_server_have(agent->fork_server);
	r = worker_process_prepare(agent, &agent->spare, &why);
	if (r)
		log_debug(agent->log, "no spare worker: %s", why.text);
}

static bool is_soon(const struct agent *agent)
{
	return clock_now_ms() - agent->message_end_ms < SPARE_SOON_MS;
}

void spare_app_started(struct agent *agent)
{
	if (is_soon(agent))
		spare_start(agent);
}

bool spare_use(
	struct agent *agent, const struct worker_process_spec *spec, struct worker_process **out)
{
	struct worker_process *worker = agent->spare;
	pid_t pid;

	if (!worker || spec->start->command)
		return false;
	pid = worker_process_pid(worker);
	if (worker_process_begin(worker, spec)) {
		log_debug(agent->log, "spare worker pid=%d: cannot take %s", (int)pid, spec->name);
		spare_drop(agent);
		return false;
	}
	log_debug(agent->log, "spare worker pid=%d: takes %s", (int)pid, spec->name);
	agent->spare = NULL;
	/* The next one starts while this one connects; a fork is so quick that it may wait until
	 * this one's app has started, and the loop has time for it. */
	if (is_soon(agent) && !fork_server_is_there(agent->fork_server))
		spare_start(agent);
	*out = worker;
	return true;
}

void spare_message_ended(struct agent *agent)
{
	agent->message_end_ms = clock_now_ms();
	spare_start(agent);
	if (!agent->zygote)
		return;
	zygote_message_ended(agent->zygote);
	zygote_runs_message_ended(agent->runs);
	spare_apps_message_ended(agent->spare_apps);
}

void spare_ended(
	struct agent *agent, const struct worker_process *worker, const struct process_end *end)
{
	char how[128];

	end_describe(end, how, sizeof how);
	log_debug(agent->log, "spare worker pid=%d: %s", (int)worker_process_pid(worker), how);
	if (agent->spare == worker)
		agent->spare = NULL;
}

void agent_stop_spare(struct agent *agent)
{
	agent->warm_idle_ms = 0;
	fork_server_drop(agent->fork_server);
	spare_drop(agent);
	if (!agent->zygote)
		return;
	zygote_stop(agent->zygote);
	zygote_runs_stop(agent->runs);
	spare_apps_drop(agent->spare_apps);
}
