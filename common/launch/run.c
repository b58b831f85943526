#include "common/launch/run.h"

#include <errno.h>
#include <signal.h>
#include <spawn.h>
#include <stddef.h>
#include <sys/wait.h>
#include <unistd.h>

int run_to_end(const char *const *argv)
{
	int status, r;
	pid_t pid;

	/* The kernel keeps no status while SIGCHLD is ignored, as it may be by inheritance. */
	signal(SIGCHLD, SIG_DFL);
	r = -posix_spawn(&pid, argv[0], NULL, NULL, (char *const *)argv, environ);
	if (r < 0)
		return r;
	while ((r = waitpid(pid, &status, 0)) < 0 && errno == EINTR)
		;
	if (r < 0)
		return -errno;
	return WIFEXITED(status) ? WEXITSTATUS(status) : -EIO;
}
