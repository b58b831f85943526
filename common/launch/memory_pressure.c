#include "common/launch/memory_pressure.h"

#include "common/base/cleanup.h"
#include "common/base/files.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>

#define GROUPS "/sys/fs/cgroup"

/* Some task waits for memory for a tenth of two seconds; shorter windows need privileges. */
static const char trigger[] = "some 200000 2000000";

struct memory_pressure {
	void (*fn)(void *arg);
	void *arg;
	int psi;    /* -1: none */
	int events; /* memory.events of the control group; -1: none */
	int epoll;  /* of both: what they tell is "urgent", which the loop does not watch for */
	struct watch *watch;
	unsigned long long killed;
};

/* The directory of the control group (version 2) of this process, malloc()ed. NULL: there is none,
 * or no memory. */
static char *own_group(void)
{
	auto_(fclose_at_exit) FILE *file = fopen("/proc/self/cgroup", "re");
	char line[4096];

	while (file && fgets(line, sizeof line, file)) {
		line[strcspn(line, "\n")] = '\0';
		if (strncmp(line, "0::/", 4) == 0)
			return path_join(GROUPS, line + strlen("0::/"));
	}
	return NULL;
}

/* A file of a control group. -1: it cannot be opened, or there is no group (NULL). */
static int group_open(const char *group, const char *name, int flags)
{
	auto_(free_at_exit) char *path = group ? path_join(group, name) : NULL;

	return path ? open(path, flags | O_CLOEXEC) : -1;
}

/* Ask for stalls, of a file that was opened. The descriptor; -1: it cannot be asked. */
static int psi_ask(int file)
{
	auto_(close_at_exit) int fd = file;

	if (fd < 0 || write(fd, trigger, sizeof trigger) < 0)
		return -1;
	return take_fd(&fd);
}

static int psi_open(const char *group)
{
	int fd = psi_ask(group_open(group, "memory.pressure", O_RDWR | O_NONBLOCK));

	return fd < 0 ? psi_ask(open("/proc/pressure/memory", O_RDWR | O_NONBLOCK | O_CLOEXEC))
		      : fd;
}

/* How often a limit of the group could not be kept, or one of its processes was killed for it. */
static unsigned long long killed_count(int events)
{
	char text[512], *rest = text, *line;
	ssize_t n = pread(events, text, sizeof text - 1, 0);
	unsigned long long value, sum = 0;

	text[n > 0 ? n : 0] = '\0';
	while ((line = strsep(&rest, "\n")))
		if (sscanf(line, "oom %llu", &value) == 1 ||
			sscanf(line, "oom_kill %llu", &value) == 1)
			sum += value;
	return sum;
}

static void epoll_ready(void *arg, int ready)
{
	struct memory_pressure *pressure = arg;
	struct epoll_event events[2];
	int n = epoll_wait(pressure->epoll, events, 2, 0);
	bool is_short = false;

	(void)ready;
	for (int i = 0; i < n; i++) {
		unsigned long long before = pressure->killed;

		if (events[i].data.fd == pressure->psi) {
			is_short = true;
			continue;
		}
		pressure->killed = killed_count(pressure->events);
		is_short = is_short || pressure->killed > before;
	}
	if (is_short)
		pressure->fn(pressure->arg);
}

static void epoll_add(struct memory_pressure *pressure, int *fd)
{
	struct epoll_event event = {.events = EPOLLPRI | EPOLLET, .data.fd = *fd};

	if (*fd >= 0 && epoll_ctl(pressure->epoll, EPOLL_CTL_ADD, *fd, &event) < 0)
		close_fd(fd);
}

struct memory_pressure *memory_pressure_new(
	struct loop *loop, const char *group, void (*fn)(void *arg), void *arg)
{
	struct memory_pressure *pressure = calloc(1, sizeof *pressure);
	auto_(free_at_exit) char *own = group ? NULL : own_group();

	if (!pressure)
		return NULL;
	group = group ? group : own;
	*pressure = (struct memory_pressure){.fn = fn,
		.arg = arg,
		.psi = psi_open(group),
		.events = group_open(group, "memory.events", O_RDONLY),
		.epoll = epoll_create1(EPOLL_CLOEXEC)};
	if (pressure->epoll >= 0) {
		/* A file that was read once tells of changes only. */
		if (pressure->events >= 0)
			pressure->killed = killed_count(pressure->events);
		epoll_add(pressure, &pressure->psi);
		epoll_add(pressure, &pressure->events);
	}
	if (pressure->epoll >= 0 && (pressure->psi >= 0 || pressure->events >= 0))
		pressure->watch =
			watch_new(loop, pressure->epoll, WATCH_READ, epoll_ready, pressure);
	if (!pressure->watch) {
		memory_pressure_free(pressure);
		return NULL;
	}
	return pressure;
}

void memory_pressure_free(struct memory_pressure *pressure)
{
	if (!pressure)
		return;
	watch_free(pressure->watch);
	close_fd(&pressure->psi);
	close_fd(&pressure->events);
	close_fd(&pressure->epoll);
	free(pressure);
}
