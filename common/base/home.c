#include "common/base/home.h"

#include "common/base/cleanup.h"
#include "common/base/text.h"

#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define UNIX_SCHEME "unix:"

/* The home of the user whose name has len bytes at name (0: the user of this process), or NULL: not
 * known.  */
static char *home_of(const char *name, size_t len)
{
	auto_(free_at_exit) char *user = NULL;
	const struct passwd *entry;
	const char *home = len ? NULL : getenv("HOME");

	if (home)
		return strdup(home);
	user = text_dup(name, len);
	if (!user)
		return NULL;
	entry = len ? getpwnam(user) : getpwuid(getuid());
	return entry && entry->pw_dir ? strdup(entry->pw_dir) : NULL;
}

char *path_expand(const char *path)
{
	size_t scheme = strncmp(path, UNIX_SCHEME, strlen(UNIX_SCHEME)) ? 0 : strlen(UNIX_SCHEME);
	const char *name = path + scheme + 1;
	auto_(free_at_exit) char *home = NULL;
	char *expanded = NULL;
	size_t len, home_len;

	if (path[scheme] != '~')
		return strdup(path);
	len = strcspn(name, "/");
	home = home_of(name, len);
	if (!home)
		return strdup(path);
	home_len = strlen(home);
	while (home_len > 0 && home[home_len - 1] == '/')
		home[--home_len] = '\0';
	if (asprintf(&expanded, "%.*s%s%s", (int)scheme, path, home,
		    home_len || name[len] ? name + len : "/") < 0)
		return NULL;
	return expanded;
}
