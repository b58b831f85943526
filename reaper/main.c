/*
 * The reaper: what flower-supernode and flwr-clientapp start as. It starts the program proper, of
 * the same name, in libexec/flwr-native, and stays as its parent: it hands signals on, and when the
 * program has ended, in whatever way, it ends everything that is left below, then itself likewise,
 * or starts the program again when that has asked for it (common/launch/reaper.h is its end). One
 * thread; links nothing but libc, so that it takes little memory and no time.
 *
 * Exit status, where the program was not executed: 125 there is no process or no /proc, 126 it
 * cannot be executed, 127 it is not there.
 */
#include "common/base/argument.h"
#include "common/base/cleanup.h"
#include "common/base/ending.h"
#include "common/base/tree.h"
#include "reaper/course.h"
#include "reaper/letter.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdint.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>

#define EMPTY_MS  5000 /* for what is left to die */
#define LETTER_FD 800
#define VARIABLE  "FLWR_REAPER=" /* of the program's environment: "PID:DESCRIPTOR" */

/* A line on stderr; where it cannot be written nobody can be told. */
#define SAY(format, ...)                                                                           \
	((void)dprintf(STDERR_FILENO, FLWR_PROGRAM ": " format "\n", ##__VA_ARGS__))

enum { EXIT_NOT_BEGUN = 125, EXIT_NOT_EXECUTABLE = 126, EXIT_NOT_FOUND = 127 };

struct reaper {
	char **argv;
	char program[PATH_MAX];
	sigset_t before; /* the mask that the program gets */
	sigset_t all;
	struct tree tree;
	struct course course;
	pid_t pid;     /* the program's */
	int letters;   /* what it says to the reaper; -1: nothing any more */
	int64_t since; /* when it was started, in ms */
};

static int64_t now_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

/* PREFIX/bin/NAME is this file: PREFIX/libexec/flwr-native/NAME is the program. */
static bool find_program(struct reaper *reaper)
{
	static const char place[] = "/libexec/flwr-native/" FLWR_PROGRAM;
	ssize_t n = readlink("/proc/self/exe", reaper->program, sizeof reaper->program - 1);

	for (int part = 0; n > 0 && part < 2; part++) {
		char *slash = memrchr(reaper->program, '/', (size_t)n);

		n = slash ? slash - reaper->program : -1;
	}
	if (n < 0 || (size_t)n + sizeof place > sizeof reaper->program)
		return false;
	memcpy(reaper->program + n, place, sizeof place);
	return true;
}

/* ---- the start ---- */

/* The environment with VARIABLE; NULL on no memory. */
static char **environment(char *variable)
{
	size_t n = 0, kept = 0;
	char **list;

	while (environ[n])
		n++;
	list = calloc(n + 2, sizeof *list);
	for (size_t i = 0; list && i < n; i++) {
		if (strncmp(environ[i], VARIABLE, strlen(VARIABLE)) != 0)
			list[kept++] = environ[i];
	}
	if (list)
		list[kept] = variable;
	return list;
}

/* In the program's process. Its group is its own, so that what a terminal sends to the reaper's
 * comes to it once, from the reaper; it may write to the terminal all the same. */
__attribute__((noreturn)) static void become_program(struct reaper *reaper, pid_t parent, int fd)
{
	char variable[64];
	char **list;

	snprintf(variable, sizeof variable, VARIABLE "%d:%d", (int)parent, fd);
	list = environment(variable);
	setpgid(0, 0);
	signal(SIGTTOU, SIG_IGN);
	sigprocmask(SIG_SETMASK, &reaper->before, NULL);
	if (list && (fd < 0 || fcntl(fd, F_SETFD, 0) == 0))
		execve(reaper->program, reaper->argv, list);
	SAY("cannot start %s: %s", reaper->program, strerror(errno));
	_exit(errno == ENOENT || errno == ENOTDIR ? EXIT_NOT_FOUND : EXIT_NOT_EXECUTABLE);
}

/* Descriptors are the program's, which may close them to tell others something. What stays open:
 * where a program that is started again writes to, and its letters. */
static void keep_little(struct reaper *reaper)
{
	int nothing = open("/dev/null", O_RDONLY | O_CLOEXEC);

	if (nothing > STDIN_FILENO) {
		dup2(nothing, STDIN_FILENO);
		close(nothing);
	} else if (nothing < 0) {
		close(STDIN_FILENO);
	}
	if (reaper->letters > STDERR_FILENO + 1) {
		int fd = dup3(reaper->letters, STDERR_FILENO + 1, O_CLOEXEC);

		close(reaper->letters);
		reaper->letters = fd;
	}
	close_range(STDERR_FILENO + 2, ~0U, 0);
}

/* Small numbers are those of descriptors that somebody hands in, or has forgotten to. */
static void lift(int *fd, int least)
{
	int lifted = fcntl(*fd, F_DUPFD_CLOEXEC, least);

	if (lifted < 0)
		return;
	close(*fd);
	*fd = lifted;
}

/* Other processes of the user do not look into this one. */
static void hide(void)
{
#ifdef FLWR_TEST_HOOKS
	/* Tests of another user than root can. */
	if (getenv("FLWR_TEST_VISIBLE"))
		return;
#endif
	prctl(PR_SET_DUMPABLE, 0, 0, 0, 0);
}

/* false: there is no process to be had. */
static bool start(struct reaper *reaper)
{
	const pid_t self = getpid();
	int ends[2] = {-1, -1};

	/* Without the pipe nothing is lost but a new start. */
	if (pipe2(ends, O_CLOEXEC | O_NONBLOCK) < 0)
		ends[0] = ends[1] = -1;
	lift(&ends[0], STDERR_FILENO + 1);
	lift(&ends[1], LETTER_FD);
	reaper->pid = fork();
	if (reaper->pid == 0)
		become_program(reaper, self, ends[1]);
	if (ends[1] >= 0)
		close(ends[1]);
	if (reaper->pid < 0) {
		if (ends[0] >= 0)
			close(ends[0]);
		return false;
	}
	setpgid(reaper->pid, reaper->pid);
	/* The program has its own copy. One with a token is not started again. */
	argument_hide(reaper->argv, "--token");
	reaper->letters = ends[0];
	reaper->since = now_ms();
	keep_little(reaper);
	hide();
	return true;
}

/* ---- while it runs ---- */

static void hand_on(struct reaper *reaper, int signal)
{
	course_signal(&reaper->course, signal);
	kill(reaper->pid, signal);
	/* A shell sees that its job has stopped. */
	if (signal == SIGTSTP)
		raise(SIGSTOP);
}

/* Reap whoever has ended. Is the program among them? Then its status is in *status_out. */
static bool reap(const struct reaper *reaper, int *status_out)
{
	pid_t pid;
	int status;

	while ((pid = waitpid(-1, &status, WNOHANG)) > 0) {
		if (pid == reaper->pid) {
			*status_out = status;
			return true;
		}
	}
	return false;
}

/* Until the program has ended: its status. */
static int stay(struct reaper *reaper)
{
	int signal, status;

	while (!reap(reaper, &status)) {
		if (sigwait(&reaper->all, &signal) == 0 && signal != SIGCHLD && signal != SIGTTIN &&
			signal != SIGTTOU)
			hand_on(reaper, signal);
	}
	return status;
}

/* ---- after its end ---- */

static void say_end(const struct reaper *reaper, int status, unsigned left)
{
	char ended[64] = "";

	if (reaper->tree.ended)
		snprintf(ended, sizeof ended, ": %u process%s that it left %s ended",
			reaper->tree.ended, reaper->tree.ended == 1 ? "" : "es",
			reaper->tree.ended == 1 ? "was" : "were");
	if (WIFSIGNALED(status))
		SAY("process %d was killed by SIG%s%s", (int)reaper->pid,
			sigabbrev_np(WTERMSIG(status)) ? sigabbrev_np(WTERMSIG(status)) : "?",
			ended);
	else if (reaper->tree.ended)
		SAY("process %d ended with %d%s", (int)reaper->pid, WEXITSTATUS(status), ended);
	if (left)
		SAY("%u process%s of it cannot be killed", left, left == 1 ? "" : "es");
}

/* End everything that the program has left; what it said before decides what follows: the wait
 * before a new start, or COURSE_OVER. */
static int64_t finish(struct reaper *reaper, int status)
{
	struct letter letter = {0};
	unsigned left = tree_empty(&reaper->tree, EMPTY_MS);

	if (reaper->letters >= 0) {
		letter_read(reaper->letters, &letter);
		close(reaper->letters);
		reaper->letters = -1;
	}
	if (letter.dir[0])
		letter_remove(letter.dir);
	if (letter.groups[0])
		letter_remove_groups(letter.groups);
	if (letter.restarts)
		reaper->course.restarts = true;
	say_end(reaper, status, left);
	return course_ended(&reaper->course, status, now_ms() - reaper->since);
}

/* The program from its start to its end, whose status is in *status_out; as finish(). */
static int64_t run(struct reaper *reaper, int *status_out)
{
	if (!start(reaper)) {
		SAY("no process: %s", strerror(errno));
		*status_out = W_EXITCODE(EXIT_NOT_BEGUN, 0);
		return course_ended(&reaper->course, *status_out, 0);
	}
	*status_out = stay(reaper);
	return finish(reaper, *status_out);
}

/* Wait for so long. false: it was told to end meanwhile. */
static bool pause_for(struct reaper *reaper, int64_t ms)
{
	const int64_t end_ms = now_ms() + ms;
	int64_t left_ms = ms;

	SAY("starts again in %g s", (double)ms / 1000);
	while (left_ms > 0 && !reaper->course.told) {
		const struct timespec time = {
			.tv_sec = left_ms / 1000, .tv_nsec = left_ms % 1000 * 1000000};
		int signal = sigtimedwait(&reaper->all, NULL, &time);

		if (signal > 0)
			course_signal(&reaper->course, signal);
		left_ms = end_ms - now_ms();
	}
	return !reaper->course.told;
}

int main(int argc, char **argv)
{
	static struct reaper reaper;
	int64_t pause_ms = 0;
	int status = 0;

	(void)argc;
	reaper.argv = argv;
	sigfillset(&reaper.all);
	sigprocmask(SIG_BLOCK, &reaper.all, &reaper.before);
	/* Ignored, it would have the kernel reap children and forget how they ended. */
	signal(SIGCHLD, SIG_DFL);
	tree_begin(&reaper.tree);
	if (!find_program(&reaper) || prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) < 0) {
		SAY("cannot find its place or take orphans: %s", strerror(errno));
		return EXIT_NOT_BEGUN;
	}
	do {
		pause_ms = run(&reaper, &status);
	} while (pause_ms != COURSE_OVER && pause_for(&reaper, pause_ms));
	end_as(status);
}
