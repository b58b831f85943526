#include "clientapp/keeper.h"

#include "common/base/cleanup.h"
#include "common/launch/agent.h"
#include "common/launch/app_source.h"
#include "common/launch/command.h"

#include <errno.h>
#include <signal.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>

/* Our own agent kills us WORKER_GRACE_MS after it told us to stop. */
#define KEEPER_GRACE_MS (WORKER_GRACE_MS - 500)

struct keeper {
	struct loop *loop;
	struct watch *lifeline;
	struct process_set *set;
	struct process *process; /* NULL: gone */
	struct process_end end;
};

static void command_free_at_exit(char ***argv)
{
	command_free(*argv);
}

/* An agent has nothing to say to a keeper: it has gone. */
static void agent_gone(void *arg, int ready)
{
	struct keeper *keeper = arg;

	(void)ready;
	/* The set ends processes in sessions of their own, too. */
	process_set_free(keeper->set);
	app_source_die();
}

static void ended(void *arg, struct process *process, const struct process_end *end)
{
	struct keeper *keeper = arg;

	(void)process;
	keeper->end = *end;
	loop_stop(keeper->loop);
}

static void gone(void *arg, struct process *process)
{
	struct keeper *keeper = arg;

	(void)process;
	keeper->process = NULL;
}

static const struct process_ops events = {.ended = ended, .gone = gone};

/* By flwr-app-start, which ties it to this process. */
static int start_program(
	struct keeper *keeper, char *const *command, const char *core_limit, struct reason *why)
{
	struct agent_options paths = {0};
	auto_(free_at_exit) const char **argv = NULL;
	char pid[16];
	size_t n = 0, at = 0;
	int r = agent_paths(&paths);

	while (command[n])
		n++;
	if (r == 0)
		argv = calloc(n + 6, sizeof *argv);
	if (r == 0 && !argv)
		r = -ENOMEM;
	if (r == 0) {
		snprintf(pid, sizeof pid, "%d", (int)getpid());
		argv[at++] = paths.start_path;
		argv[at++] = "-e"; /* Flower's workers end when {parent_pid} is not their parent */
		if (core_limit) {
			argv[at++] = "-c";
			argv[at++] = core_limit;
		}
		argv[at++] = pid;
		memcpy(argv + at, command, n * sizeof *argv);
		r = process_start(keeper->set,
			&(struct process_spec){
				.name = "worker", .argv = argv, .fd = -1, .inherits_output = true},
			&events, keeper, &keeper->process, why);
	}
	free((char *)paths.worker_path);
	free((char *)paths.start_path);
	free((char *)paths.bridge_path);
	return r;
}

int keeper_new(struct loop *loop, struct log *log, int control, const struct control_start *start,
	const char *core_limit, struct keeper **out, struct reason *why)
{
	const struct command_values values = {.address = start->address,
		.token = start->token,
		.task_token = start->task_token,
		.token_file = start->token_file,
		.parent_pid = getpid()};
	auto_(command_free_at_exit) char **command = NULL;
	struct keeper *keeper;
	int r = command_build(start->command, &values, &command, why);

	if (r)
		return r;
	keeper = calloc(1, sizeof *keeper);
	if (!keeper)
		return -ENOMEM;
	keeper->loop = loop;
	keeper->lifeline = watch_new(loop, control, WATCH_READ, agent_gone, keeper);
	r = keeper->lifeline ? process_set_new(loop, log, &keeper->set) : -ENOMEM;
	if (r == 0)
		r = start_program(keeper, command, core_limit, why);
	if (r) {
		keeper_free(keeper);
		return r;
	}
	*out = keeper;
	return 0;
}

void keeper_stop(struct keeper *keeper)
{
	if (keeper->process)
		process_stop(keeper->process, KEEPER_GRACE_MS);
}

struct process_end keeper_end(const struct keeper *keeper)
{
	return keeper->end;
}

void keeper_free(struct keeper *keeper)
{
	if (!keeper)
		return;
	process_set_free(keeper->set);
	watch_free(keeper->lifeline);
	free(keeper);
}

void keeper_end_as(const struct process_end *end)
{
	/* The program has left its core already, if it leaves one. */
	const struct rlimit none = {0};
	sigset_t set;

	if (end->kind == PROCESS_EXITED)
		_exit(end->value);
	setrlimit(RLIMIT_CORE, &none);
	signal(end->value, SIG_DFL);
	sigemptyset(&set);
	sigaddset(&set, end->value);
	raise(end->value);
	sigprocmask(SIG_UNBLOCK, &set, NULL);
	_exit(128 + end->value);
}
