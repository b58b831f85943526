/*
 * budget: the account, and what the machine gives us at most.
 */
#include "common/base/budget.h"

#include "common/base/cleanup.h"
#include "common/base/files.h"
#include "common/base/number.h"

#include <assert.h>
#include <errno.h>
#include <stdbool.h>
#include <string.h>

#define CGROUP_LIST_MAX  (64 * 1024)
#define CGROUP_LIMIT_MAX 64

/* The number in a file of one line; "max" and whatever else is no number is no limit. */
static uint64_t limit_read(const char *path)
{
	auto_(free_at_exit) char *text = NULL;
	uint64_t limit;
	size_t len;

	if (file_read(path, CGROUP_LIMIT_MAX, &text, &len) < 0)
		return UINT64_MAX;
	text[strcspn(text, "\n")] = '\0';
	if (number_u64(text, &limit) < 0)
		return UINT64_MAX;
	return limit;
}

/*
 * The smallest limit of a control group and those above it. Within a container the path may be one
 * of the host, which is not there: the walk up ends at the container's own.
 */
static uint64_t limit_of_group(const char *mount, char *group, const char *file)
{
	uint64_t limit = UINT64_MAX;

	for (;;) {
		auto_(free_at_exit) char *path = NULL;
		char *slash = strrchr(group, '/');
		uint64_t one;

		if (asprintf(&path, "%s%s/%s", mount, slash && slash[1] ? group : "", file) < 0) {
			path = NULL;
			return limit;
		}
		one = limit_read(path);
		if (one < limit)
			limit = one;
		if (!slash || !slash[1])
			return limit;
		slash[slash == group] = '\0';
	}
}

/* Is "memory" one of the comma-separated names? */
static bool has_memory(const char *names)
{
	size_t len;

	for (;; names += len + 1) {
		len = strcspn(names, ",");
		if (len == strlen("memory") && memcmp(names, "memory", len) == 0)
			return true;
		if (!names[len])
			return false;
	}
}

static uint64_t limit_of_cgroups(void)
{
	auto_(free_at_exit) char *text = NULL;
	uint64_t limit = UINT64_MAX;
	char *save = NULL;
	size_t len;

	if (file_read("/proc/self/cgroup", CGROUP_LIST_MAX, &text, &len) < 0)
		return limit;
	/* Each line is number:controllers:path; version 2 has no controllers. */
	for (char *line = strtok_r(text, "\n", &save); line; line = strtok_r(NULL, "\n", &save)) {
		char *names = strchr(line, ':');
		char *group = names ? strchr(names + 1, ':') : NULL;
		uint64_t one = UINT64_MAX;

		if (!group || group[1] != '/')
			continue;
		*group++ = '\0';
		if (!*++names)
			one = limit_of_group("/sys/fs/cgroup", group, "memory.max");
		else if (has_memory(names))
			one = limit_of_group(
				"/sys/fs/cgroup/memory", group, "memory.limit_in_bytes");
		if (one < limit)
			limit = one;
	}
	return limit;
}

uint64_t budget_default_limit(void)
{
	long pages = sysconf(_SC_PHYS_PAGES);
	long page_bytes = sysconf(_SC_PAGESIZE);
	uint64_t limit = limit_of_cgroups();

	if (pages > 0 && page_bytes > 0) {
		uint64_t machine = (uint64_t)pages * (uint64_t)page_bytes;

		if (machine < limit)
			limit = machine;
	}
	return limit / 2;
}

void budget_init(struct budget *budget, uint64_t limit_bytes)
{
	*budget = (struct budget){.limit_bytes = limit_bytes};
}

int budget_reserve(struct budget *budget, uint64_t bytes)
{
	/* The limit may have been lowered below what is in use. */
	if (budget->used_bytes > budget->limit_bytes ||
		bytes > budget->limit_bytes - budget->used_bytes)
		return -EDQUOT;
	budget->used_bytes += bytes;
	if (budget->used_bytes > budget->peak_bytes)
		budget->peak_bytes = budget->used_bytes;
	return 0;
}

void budget_release(struct budget *budget, uint64_t bytes)
{
	assert(bytes <= budget->used_bytes);
	budget->used_bytes -= bytes;
}

void budget_peak_reset(struct budget *budget)
{
	budget->peak_bytes = budget->used_bytes;
}
