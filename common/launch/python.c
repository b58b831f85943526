#include "common/launch/python.h"

#include "common/base/cleanup.h"
#include "common/base/files.h"

#include <errno.h>
#include <string.h>

#define ADVICE "give --python or install python3 with the flwr package"

/* path is malloc()ed, or NULL for no memory. */
static int offer(char *path, char **out)
{
	auto_(free_at_exit) char *offered = path;

	return offered ? path_find_program(offered, out) : -ENOMEM;
}

static int find_default(char **out)
{
	const char *environment = getenv("VIRTUAL_ENV");
	int r = -ENOENT;

	if (environment && *environment)
		r = offer(path_join(environment, "bin/python3"), out);
	if (r == 0 || r == -ENOMEM)
		return r;
	return path_find_program("python3", out);
}

int python_find(const char *given, char **out, struct reason *why)
{
	int r;

	if (!given)
		r = find_default(out);
	else
		r = path_find_program(given, out);
	if (r == 0)
		return 0;
	if (r == -ENOMEM)
		return reason_code(why, r, "no memory to look for python3");
	if (!given)
		return reason_code(why, r,
			"no python3 that can be executed in $VIRTUAL_ENV or on PATH: %s", ADVICE);
	return reason_code(why, r, "%s cannot be executed (%s): %s", given, strerror(-r), ADVICE);
}
