#include "common/launch/orphan.h"

#include "common/base/below.h"
#include "common/base/cleanup.h"
#include "common/base/number.h"
#include "common/base/process_mark.h"

#include <dirent.h>
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>

#define SWEEP_ROUNDS 64 /* each reaps at least one, or is the last */

struct sweep {
	uint64_t born_ticks;
	enum orphan_kill how;
	orphan_known_fn *known;
	void *arg;
	int reaped;
	int left;
	pid_t left_pid;
};

uint64_t orphan_ticks_now(void)
{
	struct timespec now;
	uint64_t hz = (uint64_t)sysconf(_SC_CLK_TCK);

	clock_gettime(CLOCK_BOOTTIME, &now);
	return (uint64_t)now.tv_sec * hz + (uint64_t)now.tv_nsec * hz / 1000000000;
}

static bool is_older(const struct sweep *sweep, pid_t pid)
{
	uint64_t start = 0;
	pid_t parent;

	return process_stat(pid, &parent, &start) == 0 && start < sweep->born_ticks;
}

static bool is_orphan(void *arg, pid_t pid)
{
	const struct sweep *sweep = arg;

	return !sweep->known(sweep->arg, pid) && !is_older(sweep, pid);
}

static void child_visit(struct sweep *sweep, pid_t pid)
{
	siginfo_t info = {.si_pid = 0};
	bool older;

	if (sweep->known(sweep->arg, pid))
		return;
	older = is_older(sweep, pid);
	if (older && getpid() != 1)
		return;
	/* A child of ours keeps its number until it is reaped, right below. */
	if (sweep->how != ORPHAN_LEAVE && !older)
		kill(pid, SIGKILL);
	if (waitid(P_PID, (id_t)pid, &info, WEXITED | WNOHANG) < 0)
		return;
	if (info.si_pid == pid) {
		sweep->reaped++;
	} else if (!older) {
		sweep->left++;
		sweep->left_pid = pid;
	}
}

/* The kernel's own lists of children, one a thread. 0; -ENOENT where there are none; -errno. */
static int visit_lists(struct sweep *sweep)
{
	auto_(closedir_at_exit) DIR *threads = opendir("/proc/self/task");
	struct dirent *entry;
	char path[sizeof("/proc/self/task//children") + sizeof entry->d_name];
	int pid;

	if (!threads)
		return -errno;
	while ((entry = readdir(threads))) {
		if (entry->d_name[0] == '.')
			continue;
		snprintf(path, sizeof path, "/proc/self/task/%s/children", entry->d_name);
		auto_(fclose_at_exit) FILE *file = fopen(path, "re");
		if (!file)
			return -errno;
		while (fscanf(file, "%d", &pid) == 1)
			child_visit(sweep, pid);
	}
	return 0;
}

static int visit_all(struct sweep *sweep)
{
	auto_(closedir_at_exit) DIR *proc = opendir("/proc");
	struct dirent *entry;
	pid_t parent;
	uint64_t start;

	if (!proc)
		return -errno;
	while ((entry = readdir(proc))) {
		int64_t pid;

		if (number_i64(entry->d_name, &pid) == 0 && pid > 0 &&
			process_stat((pid_t)pid, &parent, &start) == 0 && parent == getpid())
			child_visit(sweep, (pid_t)pid);
	}
	return 0;
}

int orphan_sweep(uint64_t born_ticks, enum orphan_kill how, orphan_known_fn *known, void *arg,
	pid_t *left_out)
{
	struct sweep sweep = {.born_ticks = born_ticks, .how = how, .known = known, .arg = arg};

	if (how == ORPHAN_KILL_BELOW)
		below_end(is_orphan, &sweep);

	/* A list that changes while it is read can be incomplete, and whoever was reaped may have
	 * left us its children. */
	for (int round = 0; round < SWEEP_ROUNDS; round++) {
		sweep.reaped = 0;
		sweep.left = 0;
		int r = visit_lists(&sweep);
		if (r == -ENOENT)
			r = visit_all(&sweep);
		if (r < 0)
			return r;
		if (!sweep.reaped)
			break;
	}
	if (sweep.reaped && !sweep.left)
		return -EAGAIN;
	if (sweep.left)
		*left_out = sweep.left_pid;
	return sweep.left;
}
