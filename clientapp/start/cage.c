#include "clientapp/start/cage_internal.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <unistd.h>

int cage_failed(const char *what, const char *path, int error)
{
	fprintf(stderr, "flwr-app-start: the app's cage: %s%s%s: %s\n", what, path[0] ? " " : "",
		path, strerror(error));
	return -error;
}

int cage_rule_next(const char **text, struct cage_rule *out)
{
	const char *line = *text;
	size_t len = strcspn(line, "\n");
	size_t word = strcspn(line, " \n");
	size_t value = word < len ? len - word - 1 : 0;

	if (!*line)
		return 0;
	if (word == 0 || word >= sizeof out->word || value >= sizeof out->path)
		return -EINVAL;
	memcpy(out->word, line, word);
	out->word[word] = '\0';
	memcpy(out->path, line + len - value, value);
	out->path[value] = '\0';
	*text = line + len + (line[len] == '\n');
	return 1;
}

bool cage_has(const char *description, const char *word, char *value)
{
	struct cage_rule rule;

	while (cage_rule_next(&description, &rule) > 0) {
		if (strcmp(rule.word, word) != 0)
			continue;
		if (value)
			memcpy(value, rule.path, sizeof rule.path);
		return true;
	}
	return false;
}

bool cage_is_entry(const char *path, const char *dir)
{
	size_t len = strlen(dir);

	return strncmp(path, dir, len) == 0 && path[len] == '/' && path[len + 1] &&
	       !strchr(path + len + 1, '/') && strcmp(path + len, "/..") != 0 &&
	       strcmp(path + len, "/.") != 0;
}

static bool is_in(const char *word, const char *const *list)
{
	for (; *list; list++)
		if (strcmp(word, *list) == 0)
			return true;
	return false;
}

/* Are all lines such as can be understood? A rule that is not must not be left out. */
static int check(const char *description)
{
	static const char *const flags[] = {"mounts", "warm", "strict", NULL};
	static const char *const paths[] = {
		"hide", "apps", "app", "app-rw", "keep", "read", "write", "fresh", NULL};
	struct cage_rule rule;
	int r;

	while ((r = cage_rule_next(&description, &rule)) > 0) {
		bool known = strcmp(rule.word, "network") == 0 ? rule.path[0] != '\0'
			     : is_in(rule.word, flags)         ? rule.path[0] == '\0'
							       : false;

		if (!known && !(is_in(rule.word, paths) && rule.path[0] == '/'))
			return cage_failed("not a rule:", rule.word, EINVAL);
	}
	return r < 0 ? cage_failed("not a description", "", EINVAL) : 0;
}

int cage_open(const char *description)
{
	int r = check(description);

	if (r < 0)
		return r;
	if (!cage_has(description, "mounts", NULL) || cage_mounts_begin(false) < 0)
		return 1;
	return cage_mounts_make(description);
}

/* Mounts by a user namespace. */
static int cover_by_namespace(const char *description)
{
	int r = cage_mounts_begin(true);

	if (r < 0)
		return cage_failed("no mounts of its own", "", -r);
	r = cage_mounts_make(description);
	return r ? r : cage_mounts_drop();
}

/*
 * ABI 1 refuses every rename to another directory, which apps of the node's cage may do. Where
 * mounts cover what is hidden a user namespace does the rest: its processes can trace none that is
 * outside. opened: the mounts were made without one. Is this process in a namespace of its own?
 */
static bool namespace_will_do(const char *description, bool opened, int abi)
{
	if (abi > 1 || cage_has(description, "strict", NULL) ||
		!cage_has(description, "mounts", NULL))
		return false;
	return !opened || (cage_mounts_begin(true) == 0 && cage_mounts_drop() == 0);
}

static int enforce(const char *description, bool opened, int abi)
{
	bool mounts = cage_has(description, "mounts", NULL);
	int r;

	/* Landlock would keep the forks of a warm Python from mounts. */
	if ((mounts && cage_has(description, "warm", NULL)) ||
		namespace_will_do(description, opened, abi))
		return 0;
	r = cage_landlock(description, mounts, abi);
	return r ? r : cage_filter(description, abi);
}

int cage_close_as(const char *description, bool opened, int abi)
{
	const struct rlimit none = {0};
	bool mounts = cage_has(description, "mounts", NULL);
	bool strict = cage_has(description, "strict", NULL);
	int r = mounts && !opened ? cover_by_namespace(description) : 0;

	if (r < 0)
		return r;
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
		return cage_failed("cannot give up new privileges", "", errno);
	/* A core file lies wherever the machine's administrator has them written. */
	if (strict && setrlimit(RLIMIT_CORE, &none) < 0)
		return cage_failed("cannot turn core files off", "", errno);
	return enforce(description, opened, abi);
}

int cage_close(const char *description, bool opened)
{
	return cage_close_as(description, opened, cage_landlock_abi());
}

int cage_apply(const char *description)
{
	int r = cage_open(description);

	return r < 0 ? r : cage_close(description, r == 0);
}

int cage_again_as(int abi)
{
	/* ABI 1 would refuse renames to another directory, which the cage around it may grant. */
	if (abi == 1)
		return 0;
	/* All is granted that the cage around it grants. */
	return cage_landlock("", true, abi);
}

int cage_again(void)
{
	return cage_again_as(cage_landlock_abi());
}

bool cage_mounts_open(void)
{
	return cage_mounts_begin(false) == 0;
}

bool cage_mounts_possible(bool opened)
{
	return opened || (cage_mounts_begin(true) == 0 && cage_mounts_drop() == 0);
}

bool cage_mounts_again(void)
{
	return cage_mounts_possible(cage_mounts_open());
}
