#include "common/base/installed.h"

#include "common/base/cleanup.h"
#include "common/base/text.h"

#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

char *path_program_dir(void)
{
	char path[PATH_MAX];
	ssize_t n = readlink("/proc/self/exe", path, sizeof path);
	char *slash;

	if (n <= 0 || (size_t)n >= sizeof path)
		return NULL;
	slash = memrchr(path, '/', (size_t)n);
	if (!slash)
		return NULL;
	return text_dup(path, slash == path ? 1 : (size_t)(slash - path));
}

/* How much of the program's directory is the prefix. */
static size_t prefix_length(const char *dir)
{
	static const char behind_reaper[] = "/libexec/flwr-native";
	size_t len = strlen(dir), rest = strlen(behind_reaper);

	if (len >= rest && strcmp(dir + len - rest, behind_reaper) == 0)
		return len - rest;
	return (size_t)(strrchr(dir, '/') - dir);
}

char *path_installed(const char *name)
{
	auto_(free_at_exit) char *dir = path_program_dir();
	char *path;

	if (!dir || asprintf(&path, "%.*s/%s", (int)prefix_length(dir), dir, name) < 0)
		return NULL;
	return path;
}
