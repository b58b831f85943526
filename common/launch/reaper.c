#include "common/launch/reaper.h"

#include "common/base/cleanup.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <sys/pidfd.h>
#include <unistd.h>

#define VARIABLE  "FLWR_REAPER" /* "PID:DESCRIPTOR" */
#define REPEAT_MS 500

void reaper_find(struct reaper *out)
{
	const char *text = getenv(VARIABLE);
	int pid = 0, letter = -1;

	*out = (struct reaper){.pidfd = -1, .letter = -1};
	if (text && sscanf(text, "%d:%d", &pid, &letter) == 2 && pid > 0) {
		out->pid = (pid_t)pid;
		out->pidfd = pidfd_open(out->pid, 0);
		/* Its number may be another's by now, and so may the descriptor be. */
		if (getppid() != out->pid)
			close_fd(&out->pidfd);
		else if (letter >= 0 && fcntl(letter, F_SETFD, FD_CLOEXEC) == 0)
			out->letter = letter;
	}
	unsetenv(VARIABLE);
}

/* ---- its end ---- */

static void reaper_ended(void *arg, int ready)
{
	struct reaper *reaper = arg;

	(void)ready;
	watch_free(reaper->watch);
	reaper->watch = NULL;
	close_fd(&reaper->pidfd);
	reaper->gone(reaper->arg);
}

static void ended_before(struct loop_work *work)
{
	struct reaper *reaper = container_of(work, struct reaper, ended_before);

	reaper->gone(reaper->arg);
}

int reaper_watch(struct reaper *reaper, struct loop *loop, void (*gone)(void *arg), void *arg)
{
	reaper->gone = gone;
	reaper->arg = arg;
	if (reaper->pid == 0)
		return 0;
	if (reaper->pidfd < 0) {
		reaper->ended_before.run = ended_before;
		loop_post(loop, &reaper->ended_before);
		return 0;
	}
	reaper->watch = watch_new(loop, reaper->pidfd, WATCH_READ, reaper_ended, reaper);
	return reaper->watch ? 0 : -ENOMEM;
}

/* ---- letters ---- */

bool reaper_ask_restart(struct reaper *reaper)
{
	return reaper->letter >= 0 && write(reaper->letter, "r", 1) == 1;
}

static void name_path(struct reaper *reaper, char kind, const char *path)
{
	char text[PIPE_BUF] = {kind};
	size_t len = strlen(path) + 1;

	if (reaper->letter < 0 || len >= sizeof text)
		return;
	memcpy(text + 1, path, len);
	/* One write of this size comes whole or not at all. */
	(void)!write(reaper->letter, text, len + 1);
}

void reaper_name_dir(struct reaper *reaper, const char *dir)
{
	name_path(reaper, 'd', dir);
}

void reaper_name_groups(struct reaper *reaper, const char *prefix)
{
	name_path(reaper, 'g', prefix);
}

/* ---- signals ---- */

bool reaper_repeats(struct reaper *reaper, int signal, pid_t sender, int64_t now_ms)
{
	bool one_is_its = (sender == reaper->pid) != (reaper->sender == reaper->pid);

	if (reaper->pid && signal == reaper->signal && one_is_its &&
		now_ms - reaper->signal_ms < REPEAT_MS) {
		reaper->signal = 0;
		return true;
	}
	reaper->signal = signal;
	reaper->sender = sender;
	reaper->signal_ms = now_ms;
	return false;
}

void reaper_done(struct reaper *reaper)
{
	watch_free(reaper->watch);
	reaper->watch = NULL;
	if (reaper->pid) {
		close_fd(&reaper->pidfd);
		close_fd(&reaper->letter);
	}
}
