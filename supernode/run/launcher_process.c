/*
 * The agent has a worker without a message: a flwr-clientapp that keeps the program
 * (foreign_worker), as it keeps the worker programs of messages.
 */
#include "supernode/run/launcher_process.h"

#include "common/base/clock.h"
#include "common/base/pace.h"
#include "common/launch/end.h"

#include <stdlib.h>

struct launcher_process {
	struct launcher_process_options options;
	struct worker_process *process; /* NULL: gone, or never started */
	struct timer *timer;            /* of the next start */
	int64_t wait_ms;                /* the last wait; 0: it has done its work since */
	bool stopped;
};

static void start_later(struct launcher_process *launcher, const char *what)
{
	int64_t wait_ms = pace_double(&launcher->wait_ms, LAUNCHER_AGAIN_MS, LAUNCHER_AGAIN_MAX_MS);

	log_warn(launcher->options.log, "launcher (--clientapp-command): %s; started again in %g s",
		what, (double)wait_ms / 1000);
	timer_set(launcher->timer, clock_after(clock_now_ms(), wait_ms));
}

static void ended(void *arg, struct worker_process *process, const struct process_end *end)
{
	struct launcher_process *launcher = arg;
	char text[128];

	(void)process;
	end_describe(end, text, sizeof text);
	if (launcher->stopped)
		log_debug(launcher->options.log, "launcher ended: %s", text);
	else
		start_later(launcher, text);
}

static void gone(void *arg, struct worker_process *process)
{
	struct launcher_process *launcher = arg;

	(void)process;
	launcher->process = NULL;
	launcher->options.gone(launcher->options.arg);
}

static const struct worker_process_ops events = {.ended = ended, .gone = gone};

static void start(void *arg)
{
	struct launcher_process *launcher = arg;
	const struct launcher_process_options *options = &launcher->options;
	const struct control_start said = {
		.address = (char *)options->address,
		.flwr_home = (char *)options->flwr_home,
		.command = (char *)options->command,
		.log_level = (int)options->log_level,
	};
	struct reason why = {0};

	if (launcher->process) {
		/* Processes that it has started are left. */
		timer_set(launcher->timer, clock_after(clock_now_ms(), LAUNCHER_AGAIN_MS));
		return;
	}
	if (agent_start_worker(options->agent,
		    &(struct worker_process_spec){
			    .name = "launcher", .start = &said, .ops = &events, .arg = launcher},
		    &launcher->process, &why))
		start_later(launcher, why.text);
	else
		log_info(options->log, "launcher started: pid=%d",
			(int)worker_process_pid(launcher->process));
}

struct launcher_process *launcher_process_new(const struct launcher_process_options *options)
{
	struct launcher_process *launcher = calloc(1, sizeof *launcher);

	if (!launcher)
		return NULL;
	launcher->options = *options;
	launcher->timer = timer_new(options->loop, start, launcher);
	if (!launcher->timer) {
		free(launcher);
		return NULL;
	}
	timer_set(launcher->timer, clock_now_ms());
	return launcher;
}

void launcher_process_free(struct launcher_process *launcher)
{
	if (!launcher)
		return;
	timer_free(launcher->timer);
	free(launcher);
}

void launcher_process_ready(struct launcher_process *launcher)
{
	launcher->wait_ms = 0;
}

void launcher_process_stop(struct launcher_process *launcher, int64_t grace_ms)
{
	launcher->stopped = true;
	timer_set(launcher->timer, CLOCK_NEVER);
	if (launcher->process)
		worker_process_stop(launcher->process, grace_ms);
}
