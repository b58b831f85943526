#include "clientapp/foreign_worker.h"

#include "common/base/cleanup.h"
#include "common/launch/agent_client.h"
#include "common/launch/command.h"
#include "common/launch/launch_paths.h"

#include <errno.h>
#include <signal.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>

/* Our own agent kills us WORKER_GRACE_MS after it told us to stop. */
#define FOREIGN_WORKER_GRACE_MS (WORKER_GRACE_MS - 500)

struct foreign_worker {
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

/* An agent has nothing to say here: it has gone. */
static void agent_gone(void *arg, int ready)
{
	struct foreign_worker *worker = arg;

	(void)ready;
	/* The set ends processes in sessions of their own, too. */
	process_set_free(worker->set);
	agent_client_die();
}

static void ended(void *arg, struct process *process, const struct process_end *end)
{
	struct foreign_worker *worker = arg;

	(void)process;
	worker->end = *end;
	loop_stop(worker->loop);
}

static void gone(void *arg, struct process *process)
{
	struct foreign_worker *worker = arg;

	(void)process;
	worker->process = NULL;
}

static const struct process_ops events = {.ended = ended, .gone = gone};

/* Start the command by flwr-app-start, which ties it to this process. */
static int start_program(struct foreign_worker *worker, char *const *command,
	const char *core_limit, struct reason *why)
{
	auto_(launch_paths_done) struct launch_paths paths = {0};
	auto_(free_at_exit) const char **argv = NULL;
	char pid[16];
	size_t n = 0, at = 0;
	int r = launch_paths_find(&paths);

	while (command[n])
		n++;
	if (r == 0)
		argv = calloc(n + 6, sizeof *argv);
	if (r == 0 && !argv)
		r = -ENOMEM;
	if (r == 0) {
		snprintf(pid, sizeof pid, "%d", (int)getpid());
		argv[at++] = paths.start;
		argv[at++] = "-e"; /* Flower's workers end when {parent_pid} is not their parent */
		if (core_limit) {
			argv[at++] = "-c";
			argv[at++] = core_limit;
		}
		argv[at++] = pid;
		memcpy(argv + at, command, n * sizeof *argv);
		r = process_start(worker->set,
			&(struct process_spec){.name = "worker",
				.argv = argv,
				.fd = -1,
				.inherits_output = true,
				.ops = &events,
				.arg = worker},
			&worker->process, why);
	}
	return r;
}

int foreign_worker_new(struct loop *loop, struct log *log,
	const struct foreign_worker_options *options, struct foreign_worker **out,
	struct reason *why)
{
	const struct control_start *start = options->start;
	const struct command_values values = {.address = start->address,
		.token = start->token,
		.task_token = start->task_token,
		.token_file = start->token_file,
		.tls = start->tls,
		.root_certificates = start->root_certificates,
		.parent_pid = getpid()};
	auto_(command_free_at_exit) char **command = NULL;
	struct foreign_worker *worker;
	int r = command_build(start->command, &values, &command, why);

	if (r)
		return r;
	worker = calloc(1, sizeof *worker);
	if (!worker)
		return -ENOMEM;
	worker->loop = loop;
	worker->lifeline = watch_new(loop, options->control, WATCH_READ, agent_gone, worker);
	r = worker->lifeline ? process_set_new(loop, log, &worker->set) : -ENOMEM;
	if (r == 0)
		r = start_program(worker, command, options->core_limit, why);
	if (r) {
		foreign_worker_free(worker);
		return r;
	}
	*out = worker;
	return 0;
}

void foreign_worker_stop(struct foreign_worker *worker)
{
	if (worker->process)
		process_stop(worker->process, FOREIGN_WORKER_GRACE_MS);
}

struct process_end foreign_worker_end(const struct foreign_worker *worker)
{
	return worker->end;
}

void foreign_worker_free(struct foreign_worker *worker)
{
	if (!worker)
		return;
	process_set_free(worker->set);
	watch_free(worker->lifeline);
	free(worker);
}
