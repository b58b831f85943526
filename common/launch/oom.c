#include "common/launch/oom.h"

#include "common/base/cleanup.h"

#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#define OOM_VMSTAT "/proc/vmstat"

/* The value of the line "oom_kill N"; -1 when there is none. */
static int64_t read_count(const char *path)
{
	auto_(fclose_at_exit) FILE *file = fopen(path, "re");
	char line[256];
	unsigned long long count;

	while (file && fgets(line, sizeof line, file))
		if (sscanf(line, "oom_kill %llu", &count) == 1)
			return (int64_t)(count & INT64_MAX);
	return -1;
}

/* Takes path over: true when it counts (it is the source's then). */
static bool source_try(struct oom_source *source, char *path)
{
	if (!path || read_count(path) < 0) {
		free(path);
		return false;
	}
	source->path = path;
	return true;
}

static bool source_try_parts(
	struct oom_source *source, const char *mount, const char *group, const char *file)
{
	char *path;

	if (asprintf(&path, "%s%s/%s", mount, group, file) < 0)
		return false;
	return source_try(source, path);
}

/* A line of /proc/self/cgroup: "id:controllers:path". */
static bool try_group(struct oom_source *source, char *line)
{
	char *controllers = strchr(line, ':');
	char *group = controllers ? strchr(controllers + 1, ':') : NULL;

	if (!group)
		return false;
	*group++ = '\0';
	controllers++;
	group[strcspn(group, "\n")] = '\0';
	if (!*controllers)
		return source_try_parts(source, "/sys/fs/cgroup", group, "memory.events");
	if (strcmp(controllers, "memory") != 0)
		return false;
	/* In a container the path is often the host's, and what is mounted is our group itself. */
	return source_try_parts(source, "/sys/fs/cgroup/memory", group, "memory.oom_control") ||
	       source_try_parts(source, "/sys/fs/cgroup/memory", "", "memory.oom_control");
}

void oom_source_init(struct oom_source *source)
{
	auto_(fclose_at_exit) FILE *file = fopen("/proc/self/cgroup", "re");
	char line[4096];

	source->path = NULL;
	while (file && fgets(line, sizeof line, file))
		if (try_group(source, line))
			return;
	source_try(source, strdup(OOM_VMSTAT));
}

void oom_source_done(struct oom_source *source)
{
	free(source->path);
	source->path = NULL;
}

uint64_t oom_count(const struct oom_source *source)
{
	int64_t count = source->path ? read_count(source->path) : 0;

	return count > 0 ? (uint64_t)count : 0;
}
