#include "common/base/tree.h"

#include "common/base/below.h"
#include "common/base/cleanup.h"
#include "common/base/process_mark.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdbool.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <time.h>

#define LOOK_MS     50  /* longest wait between two looks */
#define OUTRUN_MS   100 /* what is there after so long is all stopped first */
#define CHUNK_BYTES 4096

/* One look at the children. */
struct look {
	uint64_t spared_ticks;
	bool kills;
	unsigned count; /* children that are not spared */
	uint64_t sum;   /* changes with their numbers */
};

static int64_t now_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

static bool is_spared(uint64_t spared_ticks, pid_t pid)
{
	uint64_t start;
	pid_t parent;

	return spared_ticks && process_stat(pid, &parent, &start) == 0 && start < spared_ticks;
}

static bool is_ours(void *arg, pid_t child)
{
	const struct tree *tree = arg;

	return !is_spared(tree->spared_ticks, child);
}

static void child_visit(struct look *look, pid_t pid)
{
	if (is_spared(look->spared_ticks, pid))
		return;
	look->count++;
	look->sum = (look->sum ^ (uint64_t)pid) * 1099511628211U;
	/* A child keeps its number until it is reaped, and only this thread reaps. */
	if (look->kills)
		kill(pid, SIGKILL);
}

/* The kernel's own list. false: there is none here. */
static bool visit_list(struct look *look)
{
	auto_(close_at_exit) int fd = open("/proc/thread-self/children", O_RDONLY | O_CLOEXEC);
	char chunk[CHUNK_BYTES];
	pid_t pid = 0;
	ssize_t n;

	if (fd < 0)
		return false;
	while ((n = read(fd, chunk, sizeof chunk)) > 0) {
		for (ssize_t i = 0; i < n; i++) {
			if (chunk[i] >= '0' && chunk[i] <= '9') {
				pid = pid * 10 + (chunk[i] - '0');
			} else if (pid > 0) {
				child_visit(look, pid);
				pid = 0;
			}
		}
	}
	return true;
}

static void visit_all(struct look *look)
{
	auto_(closedir_at_exit) DIR *proc = opendir("/proc");
	const pid_t self = getpid();
	struct dirent *entry;

	while (proc && (entry = readdir(proc))) {
		pid_t pid = (pid_t)strtol(entry->d_name, NULL, 10);
		uint64_t start;
		pid_t parent;

		if (pid > 0 && process_stat(pid, &parent, &start) == 0 && parent == self)
			child_visit(look, pid);
	}
}

static struct look look_at(const struct tree *tree, bool kills)
{
	struct look look = {.spared_ticks = tree->spared_ticks, .kills = kills};

	if (!visit_list(&look))
		visit_all(&look);
	return look;
}

/* Reap whoever has ended. false: there is no child any more. */
static bool reap_all(struct tree *tree)
{
	pid_t pid;

	while ((pid = waitpid(-1, NULL, WNOHANG)) > 0)
		tree->ended++;
	return pid == 0 || errno != ECHILD;
}

static void wait_for_child(int64_t ms)
{
	const struct timespec time = {.tv_sec = ms / 1000, .tv_nsec = ms % 1000 * 1000000};
	sigset_t child;

	sigemptyset(&child);
	sigaddset(&child, SIGCHLD);
	sigtimedwait(&child, NULL, &time);
}

void tree_begin(struct tree *tree)
{
	struct timespec now;
	uint64_t hz = (uint64_t)sysconf(_SC_CLK_TCK);

	*tree = (struct tree){0};
	clock_gettime(CLOCK_BOOTTIME, &now);
	if (look_at(tree, false).count > 0)
		tree->spared_ticks =
			(uint64_t)now.tv_sec * hz + (uint64_t)now.tv_nsec * hz / 1000000000;
}

unsigned tree_empty(struct tree *tree, int64_t bound_ms)
{
	const int64_t start_ms = now_ms();
	const int64_t end_ms = start_ms + bound_ms;
	uint64_t sum = 0;

	tree->ended = 0;
	for (;;) {
		unsigned ended = tree->ended;
		struct look look;
		int64_t left_ms;

		if (!reap_all(tree))
			return 0;
		if (now_ms() - start_ms > OUTRUN_MS)
			below_end(is_ours, tree);
		look = look_at(tree, true);
		left_ms = end_ms - now_ms();
		if (look.count == 0 && tree->spared_ticks)
			return 0;
		if (left_ms <= 0)
			return look.count;
		if (tree->ended == ended && look.sum == sum)
			wait_for_child(left_ms < LOOK_MS ? left_ms : LOOK_MS);
		sum = look.sum;
	}
}
