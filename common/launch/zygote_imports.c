#include "common/launch/zygote_imports.h"

#include "common/base/cleanup.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#define IMPORTS_REFUSED 16    /* packages that are left out; then nothing more is learnt */
#define IMPORTS_NAMES   16384 /* bytes of the names that a fresh one is told */
#define IMPORTS_DEPENDS 65536 /* bytes of what it depends on */

void zygote_imports_done(struct zygote_imports *imports)
{
	text_done(&imports->learned);
	text_done(&imports->refused);
	text_done(&imports->depends);
}

bool zygote_imports_accept(const struct zygote_imports *imports, const char *names)
{
	static const char letters[] =
		"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_.\n";

	return imports->learns && strspn(names, letters) == strlen(names);
}

void zygote_imports_take(struct zygote_imports *imports, const char *line)
{
	if (strncmp(line, "N ", 2) == 0 && imports->learned.len < IMPORTS_NAMES)
		(void)text_printf(&imports->learned, "%s\n", line + 2);
	else if (strncmp(line, "F ", 2) == 0 && imports->depends.len < IMPORTS_DEPENDS)
		(void)text_printf(&imports->depends, "%s\n", line + 2);
}

void zygote_imports_unlearn(struct zygote_imports *imports)
{
	imports->learns = false;
	text_done(&imports->learned);
}

static bool module_is_package(const char *line, const char *package)
{
	size_t len = strcspn(line, ".\n");

	return len == strlen(package) && strncmp(line, package, len) == 0;
}

/* Remove what lies in the package from what was learnt. */
static void learned_forget(struct zygote_imports *imports, const char *package)
{
	auto_(text_done) struct text kept = {0};
	const char *line = imports->learned.data;

	while (line && *line) {
		size_t len = strcspn(line, "\n") + 1;

		if (!module_is_package(line, package))
			(void)text_add(&kept, line, len);
		line += len;
	}
	text_done(&imports->learned);
	imports->learned = kept;
	kept = (struct text){0};
}

bool zygote_imports_refuse(struct zygote_imports *imports, const char *package)
{
	char line[160];

	snprintf(line, sizeof line, "-%s\n", package);
	if (imports->refused.data && strstr(imports->refused.data, line))
		return false;
	if (text_add(&imports->refused, line, strlen(line)))
		return false;
	if (++imports->n_refused >= IMPORTS_REFUSED)
		imports->learns = false;
	learned_forget(imports, package);
	return true;
}

/* A list "MODULE,MODULE" of the operator's. 0 or -ENOMEM. */
static int add_wishes(struct text *names, const char *list)
{
	int r = 0;

	while (r == 0 && *list) {
		size_t len = strcspn(list, ",");

		r = text_printf(names, "+%.*s\n", (int)len, list);
		list += len + (list[len] == ',');
	}
	return r;
}

int zygote_imports_begin(
	struct zygote_imports *imports, const struct option_names *preload, struct text *names)
{
	int r = 0;

	if (imports->refused.len)
		r = text_add(names, imports->refused.data, imports->refused.len);
	for (const char *const *each = preload->v; r == 0 && *each; each++)
		r = add_wishes(names, *each);
	if (r == 0 && imports->learned.len)
		r = text_add(names, imports->learned.data, imports->learned.len);
	text_done(&imports->learned);
	text_done(&imports->depends);
	return r;
}

static bool file_changed(const char *line)
{
	struct stat st = {.st_size = 0};
	char *path;
	long long then = strtoll(line, &path, 10), now;

	if (*path++ != ' ')
		return true;
	/* A directory that is not there has the time 0. */
	now = stat(path, &st) < 0 ? 0
				  : (long long)st.st_mtim.tv_sec * 1000000000 + st.st_mtim.tv_nsec;
	return now != then;
}

bool zygote_imports_changed(const struct zygote_imports *imports)
{
	auto_(free_at_exit) char *lines = NULL;
	char *rest;
	const char *line;

	if (!imports->depends.len)
		return false;
	rest = lines = text_dup(imports->depends.data, imports->depends.len);
	while (rest && (line = strsep(&rest, "\n")))
		if (*line && file_changed(line))
			return true;
	return !lines;
}
