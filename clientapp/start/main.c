/*
 * flwr-app-start [-e] [-n] [-c BYTES] [-d DIR] [-k CAGE] [-m MASK] [-u UID:GID[,GROUP...]]
 * AGENT_PID PROGRAM [ARGUMENT...]: starts PROGRAM (an absolute path) for an agent and stays as its
 * parent: orphans of PROGRAM's children come to this process, which reaps them, so that PROGRAM can
 * wait for its own children only. It ends as PROGRAM ended; what is left below it then comes to the
 * agent. When the agent dies, it kills everything below it. Links nothing but libc, because it lies
 * on the way of every message.
 *
 *   -e  PROGRAM is executed in its place, tied to the agent: for an agent that does all that itself
 *   -n  no program that PROGRAM executes gains privileges (set-user-id, file capabilities)
 *   -c  the soft limit of PROGRAM's core files, in bytes
 *   -d  the working directory
 *   -k  what PROGRAM can reach, as cage.h describes it
 *   -m  the umask, octal
 *   -u  the user, the group and all supplementary groups that PROGRAM has
 *
 * Exit status, where PROGRAM was not executed: 125 wrong usage or the agent has gone, 126 it cannot
 * be executed, 127 it is not there.
 *
 * flwr-app-start -u UID:GID[,GROUP...] -r PATH...: can that user read the files, enter the
 * directories, execute the programs? Exit status 0: all of them; N: not the Nth.
 *
 * flwr-app-start [-u UID:GID[,GROUP...]] -p: what cages can there be for that user? Exit status:
 * the version of Landlock's interface (0: none), and 64 more where there can be mounts.
 */
#include "clientapp/start/bounds.h"

#include <errno.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

struct command {
	struct bounds bounds;
	bool in_place; /* -e */
	bool checks;   /* -r */
	bool probes;   /* -p */
	char **rest;   /* AGENT_PID PROGRAM [ARGUMENT...], or PATH... */
};

static bool command_read(int argc, char **argv, struct command *out)
{
	int option;

	while ((option = getopt(argc, argv, "+enc:d:k:m:u:rp")) != -1) {
		if (option == 'e')
			out->in_place = true;
		else if (option == 'n')
			out->bounds.no_new_privileges = true;
		else if (option == 'c')
			out->bounds.core = optarg;
		else if (option == 'd')
			out->bounds.directory = optarg;
		else if (option == 'k')
			out->bounds.cage = optarg;
		else if (option == 'm')
			out->bounds.mask = optarg;
		else if (option == 'u')
			out->bounds.user = optarg;
		else if (option == 'r')
			out->checks = true;
		else if (option == 'p')
			out->probes = true;
		else
			return false;
	}
	out->rest = argv + optind;
	if (out->probes)
		return argc == optind;
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

static void kill_children(void)
{
	FILE *file = fopen("/proc/thread-self/children", "re");
	int pid;

	/* A kernel without such lists: the group is all that can be named, and this process is in
	 * it. */
	if (!file) {
		kill(0, SIGKILL);
		return;
	}
	while (fscanf(file, "%d", &pid) == 1)
		kill(pid, SIGKILL);
	fclose(file);
}

/* The agent has died: kill all that is below this process. What is killed leaves its own children
 * to it. */
__attribute__((noreturn)) static void end_all(void)
{
	do
		kill_children();
	while (waitpid(-1, NULL, 0) > 0 || errno == EINTR);
	_exit(EXIT_NOT_BEGUN);
}

/* A signal that ended PROGRAM ends this process, too. */
__attribute__((noreturn)) static void end_as(int status)
{
	const struct rlimit none = {0};
	sigset_t set;

	if (WIFEXITED(status))
		_exit(WEXITSTATUS(status));
	/* PROGRAM has left its core already, if it leaves one. */
	setrlimit(RLIMIT_CORE, &none);
	signal(WTERMSIG(status), SIG_DFL);
	sigemptyset(&set);
	sigaddset(&set, WTERMSIG(status));
	raise(WTERMSIG(status));
	sigprocmask(SIG_UNBLOCK, &set, NULL);
	_exit(128 + WTERMSIG(status));
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

/* Returns only when PROGRAM cannot be started: the exit status. */
static int start(pid_t agent, const struct command *command)
{
	pid_t self = getpid();
	sigset_t all, before;
	pid_t program;
	int r;

	sigfillset(&all);
	sigprocmask(SIG_BLOCK, &all, &before);
	if (prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) < 0) {
		fprintf(stderr, "flwr-app-start: cannot take orphans: %s\n", strerror(errno));
		return EXIT_NOT_BEGUN;
	}
	if (!tie_to(agent, SIGHUP))
		return EXIT_NOT_BEGUN;
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
	r = bounds_apply(&command->bounds);
	if (r)
		_exit(r);
	if (!tie_to(self, SIGKILL))
		_exit(EXIT_NOT_BEGUN);
	sigprocmask(SIG_SETMASK, &before, NULL);
	execute(command->rest + 1);
}

int main(int argc, char **argv)
{
	struct command command = {.rest = NULL};
	char *end;
	long agent;
	int r;

	if (!command_read(argc, argv, &command)) {
		fprintf(stderr,
			"usage: flwr-app-start [-e] [-n] [-c BYTES] [-d DIR] [-k CAGE] [-m MASK] [-u UID:GID[,GROUP...]] AGENT_PID PROGRAM [ARGUMENT...]\n");
		return EXIT_NOT_BEGUN;
	}
	if (command.probes)
		return bounds_probe(command.bounds.user);
	if (command.checks)
		return bounds_check(command.bounds.user, command.rest);
	argv = command.rest;
	agent = strtol(argv[0], &end, 10);
	if (agent <= 0 || *end) {
		fprintf(stderr, "flwr-app-start: not a process id: %s\n", argv[0]);
		return EXIT_NOT_BEGUN;
	}
	if (!command.in_place)
		return start((pid_t)agent, &command);
	r = bounds_apply(&command.bounds);
	if (r)
		return r;
	if (!tie_to((pid_t)agent, SIGKILL))
		return EXIT_NOT_BEGUN;
	execute(argv + 1);
}
