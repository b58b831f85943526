/*
 * flwr-app-start [-e] [-n] [-c BYTES] [-m MASK] [-u UID:GID[,GROUP...]] [-g FILE] [-d BYTES]
 * [-p N] [-k CPU[,CPU...]] AGENT_PID PROGRAM [ARGUMENT...]: starts PROGRAM (an absolute path) for
 * an agent and stays as its parent: orphans of PROGRAM's children come to this process, which reaps
 * them, so that PROGRAM can wait for its own children only. It ends as PROGRAM ended; what is left
 * below it then comes to the agent. When the agent dies, it kills everything below it. Links
 * nothing but libc, because it lies on the way of every message.
 *
 *   -e  PROGRAM is executed in its place, tied to the agent: for an agent that does all that itself
 *   -n  no program that PROGRAM executes gains privileges (set-user-id, file capabilities)
 *   -c  the soft limit of PROGRAM's core files, in bytes
 *   -m  the umask, octal
 *   -u  the user, the group and all supplementary groups that PROGRAM has
 *   -g  the control group that PROGRAM is in, by the file of its members
 *   -d  the limit of PROGRAM's data, in bytes: of each process that it starts, too
 *   -p  the limit of the processes and threads of its user
 *   -k  the CPUs that it may use
 *
 * Exit status, where PROGRAM was not executed: 125 wrong usage or the agent has gone, 126 it cannot
 * be executed, 127 it is not there.
 *
 * flwr-app-start -a PID AGENT_PID: PROGRAM runs already, as PID, a child of this process (exec
 * keeps them): be its parent as above.
 *
 * flwr-app-start -u UID:GID[,GROUP...] -r PATH...: can that user read the files, enter the
 * directories, execute the programs? Exit status 0: all of them; N: not the Nth.
 */
#include "bounds.h"
#include "limits.h"

#include "common/base/ending.h"
#include "common/base/tree.h"

#include <errno.h>
#include <limits.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#define END_MS 60000 /* in one go */

struct command {
	struct bounds bounds;
	struct limits limits;
	bool in_place;       /* -e */
	bool checks;         /* -r */
	const char *adopted; /* -a */
	char **rest;         /* AGENT_PID PROGRAM [ARGUMENT...], or PATH... */
};

static bool command_read(int argc, char **argv, struct command *out)
{
	int option;

	while ((option = getopt(argc, argv, "+enc:m:u:rg:d:p:k:a:")) != -1) {
		if (option == 'e')
			out->in_place = true;
		else if (option == 'n')
			out->bounds.no_new_privileges = true;
		else if (option == 'c')
			out->bounds.core = optarg;
		else if (option == 'm')
			out->bounds.mask = optarg;
		else if (option == 'u')
			out->bounds.user = optarg;
		else if (option == 'r')
			out->checks = true;
		else if (option == 'g')
			out->limits.group = optarg;
		else if (option == 'd')
			out->limits.data = optarg;
		else if (option == 'p')
			out->limits.processes = optarg;
		else if (option == 'k')
			out->limits.cpus = optarg;
		else if (option == 'a')
			out->adopted = optarg;
		else
			return false;
	}
	out->rest = argv + optind;
	if (out->adopted)
		return argc - optind == 1;
	return out->checks ? out->bounds.user != NULL : argc - optind >= 2;
}

__attribute__((noreturn)) static void execute(char **argv)
{
	execv(argv[0], argv);
	fprintf(stderr, "flwr-app-start: cannot execute %s: %s\n", argv[0], strerror(errno));
	_exit(errno == ENOENT || errno == ENOTDIR ? EXIT_NOT_FOUND : EXIT_NOT_EXECUTABLE);
}

/* Have this process get the signal when its parent dies; false: the parent is not pid any more. */
static int tie_to(pid_t pid, int signal)
{
	return prctl(PR_SET_PDEATHSIG, signal, 0, 0, 0) == 0 && getppid() == pid;
}

/* The agent has died: kill all that is below this process. What is killed leaves its own children
 * to it. */
__attribute__((noreturn)) static void end_all(void)
{
	struct tree tree = {0};

	while (tree_empty(&tree, END_MS) > 0)
		continue;
	_exit(EXIT_NOT_BEGUN);
}

/* Reap whoever has ended, and end with program. */
static void reap(pid_t program)
{
	pid_t pid;
	int status;

	while ((pid = waitpid(-1, &status, WNOHANG)) > 0)
		if (pid == program)
			end_as(status);
}

/* Until program ends. */
__attribute__((noreturn)) static void stay(pid_t agent, pid_t program, const sigset_t *all)
{
	/* Descriptors are program's: their other ends must see when it closes them. */
	close_range(0, ~0U, 0);
	for (;;) {
		int signal;

		if (getppid() != agent)
			end_all();
		reap(program);
		if (sigwait(all, &signal) != 0 || signal == SIGCHLD)
			continue;
		/* Signals to the group reach program by themselves, unless it has left the group.
		 */
		if (getpgid(program) != getpgrp())
			kill(program, signal);
	}
}

/* Begin to be the parent: signals wait, orphans come here, it is known when the agent dies. 0 or
 * the exit status. */
static int be_parent(pid_t agent, sigset_t *all, sigset_t *before)
{
	sigfillset(all);
	sigprocmask(SIG_BLOCK, all, before);
	if (prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) < 0) {
		fprintf(stderr, "flwr-app-start: cannot take orphans: %s\n", strerror(errno));
		return EXIT_NOT_BEGUN;
	}
	return tie_to(agent, SIGHUP) ? 0 : EXIT_NOT_BEGUN;
}

/* Returns only when it cannot: the exit status. */
static int adopt(pid_t agent, pid_t program)
{
	sigset_t all, before;
	int r;

	prctl(PR_SET_DUMPABLE, 0, 0, 0, 0);
	r = be_parent(agent, &all, &before);
	if (r)
		return r;
	stay(agent, program, &all);
}

/* Returns only when PROGRAM cannot be started: the exit status. */
static int start(pid_t agent, const struct command *command)
{
	pid_t self = getpid();
	sigset_t all, before;
	pid_t program;
	int r = be_parent(agent, &all, &before);

	if (r)
		return r;
	program = fork();
	if (program < 0) {
		fprintf(stderr, "flwr-app-start: no process: %s\n", strerror(errno));
		return EXIT_NOT_BEGUN;
	}
	if (program > 0) {
		/* The app must not go on as this process, which may still gain privileges. */
		if (command->bounds.no_new_privileges)
			prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
		prctl(PR_SET_DUMPABLE, 0, 0, 0, 0);
		stay(agent, program, &all);
	}
	/* The process keeps the node's user: a process of another user cannot kill it. */
	r = limits_apply(&command->limits);
	if (r == 0)
		r = bounds_apply(&command->bounds);
	if (r)
		_exit(r);
	if (!tie_to(self, SIGKILL))
		_exit(EXIT_NOT_BEGUN);
	sigprocmask(SIG_SETMASK, &before, NULL);
	execute(command->rest + 1);
}

/* A process id; 0: it is none. */
static pid_t pid_read(const char *text)
{
	char *end;
	long pid = strtol(text, &end, 10);

	if (pid > 0 && pid <= INT_MAX && !*end)
		return (pid_t)pid;
	fprintf(stderr, "flwr-app-start: not a process id: %s\n", text);
	return 0;
}

int main(int argc, char **argv)
{
	struct command command = {.rest = NULL};
	pid_t agent, adopted;
	int r;

	if (!command_read(argc, argv, &command)) {
		fprintf(stderr,
			"usage: flwr-app-start [-e] [-n] [-c BYTES] [-m MASK] [-u UID:GID[,GROUP...]] [-g FILE] [-d BYTES] [-p N] [-k CPU[,CPU...]] AGENT_PID PROGRAM [ARGUMENT...]\n");
		return EXIT_NOT_BEGUN;
	}
	if (command.checks)
		return bounds_check(command.bounds.user, command.rest);
	argv = command.rest;
	agent = pid_read(argv[0]);
	if (!agent)
		return EXIT_NOT_BEGUN;
	if (command.adopted) {
		adopted = pid_read(command.adopted);
		return adopted ? adopt(agent, adopted) : EXIT_NOT_BEGUN;
	}
	if (!command.in_place)
		return start(agent, &command);
	r = limits_apply(&command.limits);
	if (r == 0)
		r = bounds_apply(&command.bounds);
	if (r)
		return r;
	if (!tie_to(agent, SIGKILL))
		return EXIT_NOT_BEGUN;
	execute(argv + 1);
}
