#include "common/launch/python.h"

#include "common/base/cleanup.h"
#include "common/base/files.h"
#include "common/base/text.h"

#include <errno.h>
#include <string.h>
#include <sys/stat.h>

#define ADVICE "give --python or install python3 with the flwr package"

/* 0, -ENOENT or -EACCES. */
static int file_check(const char *path)
{
	struct stat status;

	if (stat(path, &status) < 0)
		return errno == EACCES ? -EACCES : -ENOENT;
	return S_ISREG(status.st_mode) && access(path, X_OK) == 0 ? 0 : -EACCES;
}

/* Move path (malloc()ed, or NULL for no memory) to *out as an absolute one, if it can be executed.
 */
static int path_offer(char *path, char **out)
{
	auto_(free_at_exit) char *offered = path;
	auto_(free_at_exit) char *here = NULL;
	int r;

	if (!offered)
		return -ENOMEM;
	r = file_check(offered);
	if (r < 0)
		return r;
	if (*offered == '/') {
		*out = take_pointer(&offered);
		return 0;
	}
	here = getcwd(NULL, 0);
	if (!here)
		return -errno;
	*out = path_join(here, offered);
	return *out ? 0 : -ENOMEM;
}

/* 0, -ENOENT, -EACCES (there are some, none can be executed), -ENOMEM. */
static int search_path(const char *name, char **out)
{
	const char *dirs = getenv("PATH");
	int result = -ENOENT;

	for (const char *dir = dirs; dir; dir = *dir ? dir + 1 : NULL) {
		size_t len = strcspn(dir, ":");
		auto_(free_at_exit) char *folder = text_dup(len ? dir : ".", len ? len : 1);
		int r = folder ? path_offer(path_join(folder, name), out) : -ENOMEM;

		if (r == 0 || r == -ENOMEM)
			return r;
		if (r == -EACCES)
			result = r;
		dir += len;
	}
	return result;
}

static int find_default(char **out)
{
	const char *environment = getenv("VIRTUAL_ENV");
	int r = -ENOENT;

	if (environment && *environment)
		r = path_offer(path_join(environment, "bin/python3"), out);
	if (r == 0 || r == -ENOMEM)
		return r;
	return search_path("python3", out);
}

int python_find(const char *given, char **out, struct reason *why)
{
	int r;

	if (!given)
		r = find_default(out);
	else if (strchr(given, '/'))
		r = path_offer(strdup(given), out);
	else
		r = search_path(given, out);
	if (r == 0)
		return 0;
	if (r == -ENOMEM)
		return reason_code(why, r, "no memory to look for python3");
	if (!given)
		return reason_code(why, r,
			"no python3 that can be executed in $VIRTUAL_ENV or on PATH: %s", ADVICE);
	return reason_code(why, r, "no python3 at %s (%s): %s", given, strerror(-r), ADVICE);
}
