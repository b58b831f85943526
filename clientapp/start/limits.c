#include "clientapp/start/limits.h"

#include "clientapp/start/bounds.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

static int failed(const char *what, int error)
{
	fprintf(stderr, "flwr-app-start: %s: %s\n", what, strerror(error));
	return EXIT_NOT_BEGUN;
}

static int join_group(const char *members)
{
	int fd = open(members, O_WRONLY | O_CLOEXEC);
	int error = fd < 0 || write(fd, "0", 1) != 1 ? errno : 0;

	if (fd >= 0)
		close(fd);
	return error ? failed("cannot enter the control group", error) : 0;
}

static int limit(int resource, const char *text, const char *what)
{
	struct rlimit limit;
	unsigned long long value;
	char *end;

	errno = 0;
	value = strtoull(text, &end, 10);
	if (errno || end == text || *end)
		return failed(what, EINVAL);
	if (getrlimit(resource, &limit) < 0)
		return failed(what, errno);
	/* The hard limit, too: an app must not raise it again. */
	if (value < limit.rlim_max)
		limit.rlim_max = (rlim_t)value;
	limit.rlim_cur = limit.rlim_max;
	return setrlimit(resource, &limit) < 0 ? failed(what, errno) : 0;
}

static int choose_cpus(const char *text)
{
	cpu_set_t set;

	CPU_ZERO(&set);
	while (*text) {
		char *end;
		unsigned long cpu = strtoul(text, &end, 10);

		if (end == text || cpu >= CPU_SETSIZE || (*end && *end != ','))
			return failed("-k", EINVAL);
		CPU_SET(cpu, &set);
		text = *end ? end + 1 : end;
	}
	return sched_setaffinity(0, sizeof set, &set) < 0 ? failed("cannot choose CPUs", errno) : 0;
}

int limits_apply(const struct limits *limits)
{
	int r = limits->group ? join_group(limits->group) : 0;

	if (r == 0 && limits->data)
		r = limit(RLIMIT_DATA, limits->data, "cannot limit memory");
	if (r == 0 && limits->processes)
		r = limit(RLIMIT_NPROC, limits->processes, "cannot limit processes");
	if (r == 0 && limits->cpus)
		r = choose_cpus(limits->cpus);
	return r;
}
