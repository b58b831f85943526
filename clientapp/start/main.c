/*
 * flwr-app-start AGENT_PID PROGRAM [ARGUMENT...]: what must happen in an app's process before its
 * program runs. Makes it the subreaper of what it starts and ties its life to its agent's, then
 * executes PROGRAM (an absolute path). Links nothing but libc, because it lies on the way of every
 * message.
 *
 * Exit status, where PROGRAM was not executed: 125 wrong usage or the agent has gone, 126 it cannot
 * be executed, 127 it is not there.
 */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <unistd.h>

enum { EXIT_NOT_BEGUN = 125, EXIT_NOT_EXECUTABLE = 126, EXIT_NOT_FOUND = 127 };

int main(int argc, char **argv)
{
	char *end;
	long agent;

	if (argc < 3) {
		fprintf(stderr, "usage: flwr-app-start AGENT_PID PROGRAM [ARGUMENT...]\n");
		return EXIT_NOT_BEGUN;
	}
	agent = strtol(argv[1], &end, 10);
	if (agent <= 0 || *end) {
		fprintf(stderr, "flwr-app-start: not a process id: %s\n", argv[1]);
		return EXIT_NOT_BEGUN;
	}
	if (prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) < 0 ||
		prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0) < 0) {
		fprintf(stderr, "flwr-app-start: cannot be tied to its agent: %s\n",
			strerror(errno));
		return EXIT_NOT_BEGUN;
	}
	/* It may have died before it was to tell. */
	if (getppid() != (pid_t)agent)
		return EXIT_NOT_BEGUN;
	execv(argv[2], argv + 2);
	fprintf(stderr, "flwr-app-start: cannot execute %s: %s\n", argv[2], strerror(errno));
	return errno == ENOENT || errno == ENOTDIR ? EXIT_NOT_FOUND : EXIT_NOT_EXECUTABLE;
}
