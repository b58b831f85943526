/*
 * Can apps change the Python that runs them? A zygote without a cage would run what they have put
 * there.
 */
#include "common/launch/sandbox_internal.h"

#include "common/base/cleanup.h"
#include "common/base/files.h"

#include <glob.h>
#include <stdlib.h>
#include <string.h>

/* Python runs and imports these, below the directory that it is installed in. */
static const char *const installed[] = {"pyvenv.cfg", "bin", "lib*/python3*",
	"lib*/python3*/lib-dynload", "lib*/python3*/site-packages", "lib*/python3*/dist-packages"};

/* What Debian's Python imports beside that, and what a user has installed for himself. */
static const char *const beside[] = {
	"/usr/lib/python3/dist-packages", "/usr/local/lib/python3*/dist-packages", "/etc/python3*"};
static const char user_packages[] = ".local/lib/python3*/site-packages";

/* Neither path nor a directory above it. */
static bool path_closed(const struct sandbox *sandbox, const char *path)
{
	auto_(free_at_exit) char *at = realpath(path, NULL);
	char *slash;

	if (!at)
		return false;
	if (sandbox_is_open(sandbox, at))
		return false;
	while ((slash = strrchr(at, '/'))) {
		*slash = '\0';
		if (sandbox_is_open(sandbox, *at ? at : "/"))
			return false;
	}
	return true;
}

/* None of the files that there are. */
static bool files_closed(const struct sandbox *sandbox, const char *dir, const char *pattern)
{
	auto_(free_at_exit) char *whole = dir ? path_join(dir, pattern) : strdup(pattern);
	glob_t found = {0};
	bool closed = whole != NULL;

	if (whole)
		glob(whole, 0, NULL, &found);
	for (size_t i = 0; i < found.gl_pathc && closed; i++)
		closed = path_closed(sandbox, found.gl_pathv[i]);
	globfree(&found);
	return closed;
}

/* A Python whose program is at path. */
static bool program_closed(const struct sandbox *sandbox, const char *path)
{
	auto_(free_at_exit) char *prefix = strdup(path);
	bool closed = prefix && path_closed(sandbox, path);

	for (int levels = 0; closed && levels < 2; levels++) {
		char *slash = strrchr(prefix, '/');

		if (slash)
			*slash = '\0';
	}
	for (size_t i = 0; closed && i < ARRAY_LEN(installed); i++)
		closed = files_closed(sandbox, prefix, installed[i]);
	return closed;
}

/* What the environment names. */
static bool named_closed(const struct sandbox *sandbox)
{
	const char *value = getenv("PYTHONPATH");
	auto_(free_at_exit) char *list = value ? strdup(value) : NULL;
	char *rest = list;
	const char *each;

	if (value && !list)
		return false;
	while (rest && (each = strsep(&rest, ":")))
		if (*each && !path_closed(sandbox, each))
			return false;
	return !getenv("PYTHONHOME");
}

bool sandbox_python_closed(const struct sandbox *sandbox, const char *interpreter)
{
	auto_(free_at_exit) char *real = realpath(interpreter, NULL);
	const char *home = getenv("HOME");
	bool closed;

	/* Root can change everything, and is told so (app_bounds_warn()). */
	if (sandbox->uid == 0)
		return true;
	closed = real && program_closed(sandbox, interpreter) && program_closed(sandbox, real) &&
		 named_closed(sandbox);
	for (size_t i = 0; closed && i < ARRAY_LEN(beside); i++)
		closed = files_closed(sandbox, NULL, beside[i]);
	return closed && (!home || files_closed(sandbox, home, user_packages));
}
