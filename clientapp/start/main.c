/*
 * flwr-app-start [-n] [-c BYTES] [-m MASK] [-u UID:GID[,GROUP...]] AGENT_PID PROGRAM [ARGUMENT...]:
 * what must happen in an app's process before its program runs. Makes it the subreaper of what it
 * starts and ties its life to its agent's, then executes PROGRAM (an absolute path). Links nothing
 * but libc, because it lies on the way of every message.
 *
 *   -n  no program that it executes gains privileges (set-user-id, file capabilities)
 *   -c  the soft limit of core files, in bytes
 *   -m  the umask, octal
 *   -u  the user, the group and all supplementary groups to become
 *
 * Exit status, where PROGRAM was not executed: 125 wrong usage or the agent has gone, 126 it cannot
 * be executed, 127 it is not there.
 *
 * flwr-app-start -u UID:GID[,GROUP...] -r PATH...: can that user read the files, enter the
 * directories, execute the programs? Exit status 0: all of them; N: not the Nth.
 */
#include "bounds.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <unistd.h>

struct command {
	struct bounds bounds;
	bool checks; /* -r */
	char **rest; /* AGENT_PID PROGRAM [ARGUMENT...], or PATH... */
};

static bool command_read(int argc, char **argv, struct command *out)
{
	int option;

	while ((option = getopt(argc, argv, "+nc:m:u:r")) != -1) {
		if (option == 'n')
			out->bounds.no_new_privileges = true;
		else if (option == 'c')
			out->bounds.core = optarg;
		else if (option == 'm')
			out->bounds.mask = optarg;
		else if (option == 'u')
			out->bounds.user = optarg;
		else if (option == 'r')
			out->checks = true;
		else
			return false;
	}
	out->rest = argv + optind;
	return out->checks ? out->bounds.user != NULL : argc - optind >= 2;
}

int main(int argc, char **argv)
{
	struct command command = {.rest = NULL};
	char *end;
	long agent;
	int r;

	if (!command_read(argc, argv, &command)) {
		fprintf(stderr,
			"usage: flwr-app-start [-n] [-c BYTES] [-m MASK] [-u UID:GID[,GROUP...]] "
			"AGENT_PID PROGRAM [ARGUMENT...]\n");
		return EXIT_NOT_BEGUN;
	}
	if (command.checks)
		return bounds_check(command.bounds.user, command.rest);
	argv = command.rest;
	agent = strtol(argv[0], &end, 10);
	if (agent <= 0 || *end) {
		fprintf(stderr, "flwr-app-start: not a process id: %s\n", argv[0]);
		return EXIT_NOT_BEGUN;
	}
	r = bounds_apply(&command.bounds);
	if (r)
		return r;
	if (prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) < 0 ||
		prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0) < 0) {
		fprintf(stderr, "flwr-app-start: cannot be tied to its agent: %s\n",
			strerror(errno));
		return EXIT_NOT_BEGUN;
	}
	/* It may have died before it was to tell. */
	if (getppid() != (pid_t)agent)
		return EXIT_NOT_BEGUN;
	execv(argv[1], argv + 1);
	fprintf(stderr, "flwr-app-start: cannot execute %s: %s\n", argv[1], strerror(errno));
	return errno == ENOENT || errno == ENOTDIR ? EXIT_NOT_FOUND : EXIT_NOT_EXECUTABLE;
}
