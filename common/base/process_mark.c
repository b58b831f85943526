#include "common/base/process_mark.h"

#include "common/base/cleanup.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>
#include <sys/pidfd.h>
#include <sys/stat.h>

#define NAME "process="

int process_stat(pid_t pid, pid_t *parent_out, uint64_t *start_out)
{
	char path[64];
	char text[1024];
	size_t n;
	char *after_name;
	int parent;
	unsigned long long start;

	snprintf(path, sizeof path, "/proc/%d/stat", (int)pid);
	auto_(fclose_at_exit) FILE *file = fopen(path, "re");
	if (!file)
		return -errno;
	n = fread(text, 1, sizeof text - 1, file);
	text[n] = '\0';
	after_name = strrchr(text, ')'); /* a name may hold anything, its own brackets too */
	if (!after_name ||
		sscanf(after_name + 1,
			" %*c %d %*d %*d %*d %*d %*u %*u %*u %*u %*u %*u %*u %*d %*d %*d %*d %*d %*d %llu",
			&parent, &start) != 2)
		return -EBADMSG;
	*parent_out = parent;
	*start_out = start;
	return 0;
}

/* 0: unknown. */
static uint64_t own_namespace(void)
{
	struct stat space;

	return stat("/proc/self/ns/pid", &space) < 0 ? 0 : space.st_ino;
}

void process_mark_own(char out[PROCESS_MARK_BYTES])
{
	uint64_t space = own_namespace(), start;
	pid_t parent;

	out[0] = '\0';
	if (space && process_stat(getpid(), &parent, &start) == 0)
		snprintf(out, PROCESS_MARK_BYTES, NAME "%" PRIu64 ".%d.%" PRIu64, space,
			(int)getpid(), start);
}

int process_mark_open(const char *text)
{
	const char *mark = strstr(text, NAME);
	uint64_t space, start, found;
	pid_t parent;
	int pid;

	if (!mark ||
		sscanf(mark + strlen(NAME), "%" SCNu64 ".%d.%" SCNu64, &space, &pid, &start) != 3 ||
		pid <= 0 || space == 0 || space != own_namespace())
		return -ESRCH;
	auto_(close_at_exit) int pidfd = pidfd_open(pid, 0);
	/* The number may have gone to another process before pidfd_open(), not after it. */
	if (pidfd < 0 || process_stat(pid, &parent, &found) < 0 || found != start)
		return -ESRCH;
	return take_fd(&pidfd);
}
