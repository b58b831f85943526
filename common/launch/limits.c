#include "common/launch/limits.h"

#include "common/base/cleanup.h"
#include "common/base/number.h"
#include "common/base/text.h"

#include <dirent.h>
#include <errno.h>
#include <inttypes.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* The name of an app's group begins so, before its number. Several programs may share what was
 * delegated. */
#define GROUP_NAME "flwr-app-%d-"

struct limits {
	uint64_t values[GROUP_LIMIT_N]; /* 0: not limited */
	struct groups *groups;          /* NULL: no_groups says why */
	struct reason no_groups;
	uint64_t made; /* groups so far */
	unsigned next_cpu;
};

static bool by_group(const struct limits *limits, enum group_limit limit)
{
	return limits->values[limit] && limits->groups && groups_limit(limits->groups, limit);
}

static bool by_process(const struct limits *limits, enum group_limit limit)
{
	return limits->values[limit] && !by_group(limits, limit);
}

int limits_new(const struct launch_options *options, struct limits **out, struct reason *why)
{
	auto_(free_at_exit) char *dir = NULL;
	bool wanted[GROUP_LIMIT_N];
	struct limits *limits;
	bool any = false;

	limits = calloc(1, sizeof *limits);
	if (!limits)
		return reason_code(why, -ENOMEM, "no memory");
	limits->values[GROUP_MEMORY] = options->worker_memory_bytes;
	limits->values[GROUP_CPUS] = (uint64_t)options->worker_cpus;
	limits->values[GROUP_PIDS] = (uint64_t)options->worker_pids;
	for (size_t i = 0; i < GROUP_LIMIT_N; i++) {
		wanted[i] = limits->values[i] > 0;
		any = any || wanted[i];
	}
	*out = any ? limits : NULL;
	if (!any)
		free(limits);
	else if (group_find_own(&dir, &limits->no_groups) == 0)
		(void)groups_new(dir, wanted, &limits->groups, &limits->no_groups);
	return 0;
}

void limits_free(struct limits *limits)
{
	if (!limits)
		return;
	groups_free(limits->groups);
	free(limits);
}

char *limits_groups_prefix(const struct limits *limits)
{
	char *prefix;

	if (!limits->groups ||
		asprintf(&prefix, "%s/" GROUP_NAME, groups_dir(limits->groups), (int)getpid()) < 0)
		return NULL;
	return prefix;
}

const char *limits_groups_dir(const struct limits *limits)
{
	return limits->groups ? groups_dir(limits->groups) : NULL;
}

/* ---- limits of processes ---- */

/* Processes and threads of a user, which RLIMIT_NPROC counts. */
static uint64_t tasks_of(uid_t uid)
{
	auto_(closedir_at_exit) DIR *proc = opendir("/proc");
	struct dirent *entry;
	uint64_t n = 0;

	while (proc && (entry = readdir(proc))) {
		char path[sizeof "/proc//task" + sizeof entry->d_name];
		struct stat info;
		int64_t pid;

		if (number_i64(entry->d_name, &pid))
			continue;
		snprintf(path, sizeof path, "/proc/%s/task", entry->d_name);
		/* A directory has a link for each directory in it, and two more. */
		if (stat(path, &info) == 0 && info.st_uid == uid)
			n += info.st_nlink > 2 ? info.st_nlink - 2 : 1;
	}
	return n;
}

/* The next CPUs of those that this program may use, each app beginning where the last one ended. */
static void choose_cpus(struct limits *limits, char *text, size_t bytes)
{
	uint64_t wanted = limits->values[GROUP_CPUS];
	unsigned there[CPU_SETSIZE], n = 0;
	size_t len = 0;
	cpu_set_t set;

	text[0] = '\0';
	if (sched_getaffinity(0, sizeof set, &set) < 0)
		return;
	for (unsigned i = 0; i < CPU_SETSIZE; i++)
		if (CPU_ISSET(i, &set))
			there[n++] = i;
	if (wanted >= n)
		return;
	for (uint64_t i = 0; i < wanted && len + 8 < bytes; i++)
		len += (size_t)snprintf(text + len, bytes - len, "%s%u", i ? "," : "",
			there[limits->next_cpu++ % n]);
}

static void limit_processes(struct limits *limits, uid_t uid, struct app_limits *out)
{
	if (by_process(limits, GROUP_MEMORY))
		snprintf(out->data_bytes, sizeof out->data_bytes, "%" PRIu64,
			limits->values[GROUP_MEMORY]);
	if (by_process(limits, GROUP_PIDS) && uid != 0)
		snprintf(out->processes, sizeof out->processes, "%" PRIu64,
			tasks_of(uid) + limits->values[GROUP_PIDS]);
	if (by_process(limits, GROUP_CPUS))
		choose_cpus(limits, out->cpus, sizeof out->cpus);
}

/* ---- one app ---- */

int app_limits_init(struct limits *limits, uid_t uid, struct app_limits *out, struct reason *why)
{
	char name[64];

	*out = (struct app_limits){.group = NULL};
	if (!limits)
		return 0;
	limit_processes(limits, uid, out);
	if (!limits->groups)
		return 0;
	snprintf(name, sizeof name, GROUP_NAME "%" PRIu64, (int)getpid(), ++limits->made);
	return group_new(limits->groups, name, limits->values, &out->group, why);
}

void app_limits_done(struct app_limits *limits)
{
	group_free(limits->group);
	limits->group = NULL;
}

const char **app_limits_words(const struct app_limits *limits, const char **words)
{
	const char *const all[][2] = {
		{"-g", limits->group ? group_procs(limits->group) : ""},
		{"-d", limits->data_bytes},
		{"-p", limits->processes},
		{"-k", limits->cpus},
	};

	for (size_t i = 0; i < ARRAY_LEN(all); i++) {
		if (!all[i][1][0])
			continue;
		*words++ = all[i][0];
		*words++ = all[i][1];
	}
	return words;
}

/* ---- for people ---- */

static void tell_one(const struct limits *limits, enum group_limit limit, struct text *text)
{
	static const char *const what[GROUP_LIMIT_N] = {[GROUP_MEMORY] = "bytes of memory",
		[GROUP_CPUS] = "CPUs",
		[GROUP_PIDS] = "processes and threads"};
	static const char *const otherwise[GROUP_LIMIT_N] = {
		[GROUP_MEMORY] = "by RLIMIT_DATA, each process for itself",
		[GROUP_CPUS] = "by CPU affinity",
		[GROUP_PIDS] = "by RLIMIT_NPROC, beside what its user runs already"};

	if (!limits->values[limit])
		return;
	text_printf(text, "%s%" PRIu64 " %s %s", text->len ? "; " : "", limits->values[limit],
		what[limit], by_group(limits, limit) ? "by control group" : otherwise[limit]);
}

void limits_tell(const struct limits *limits, uid_t uid, struct log *log)
{
	struct text text = {0};

	for (size_t i = 0; i < GROUP_LIMIT_N; i++)
		tell_one(limits, (enum group_limit)i, &text);
	if (limits->groups)
		log_info(log, "limits of each worker's app: %s; control groups are below %s",
			text.data ? text.data : "", groups_dir(limits->groups));
	else
		log_info(log, "limits of each worker's app: %s; there are no control groups: %s",
			text.data ? text.data : "", limits->no_groups.text);
	text_done(&text);
	if (by_process(limits, GROUP_PIDS) && uid == 0)
		log_warn(log,
			"--worker-pids has no effect: apps run as root, whom RLIMIT_NPROC does not hold, and there are no control groups for that; give --app-user USER");
}
