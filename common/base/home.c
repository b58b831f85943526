#include "common/base/home.h"

#include "common/base/cleanup.h"
#include "common/base/text.h"

#include <errno.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define UNIX_SCHEME     "unix:"
#define ENTRY_BYTES     1024
#define ENTRY_MAX_BYTES (1 << 20)

/* The home in the entry of that user (NULL: the user of this process), or NULL. Other threads,
 * which may be of somebody else's program, may ask for entries meanwhile. */
static char *home_in_entry(const char *user)
{
	struct passwd entry, *found = NULL;

	for (size_t bytes = ENTRY_BYTES; bytes <= ENTRY_MAX_BYTES; bytes *= 2) {
		auto_(free_at_exit) char *texts = malloc(bytes);
		int r = ENOMEM;

		if (texts)
			r = user ? getpwnam_r(user, &entry, texts, bytes, &found)
				 : getpwuid_r(getuid(), &entry, texts, bytes, &found);
		if (r != ERANGE)
			return r == 0 && found && entry.pw_dir ? strdup(entry.pw_dir) : NULL;
	}
	return NULL;
}

/* The home of the user whose name has len bytes at name (0: the user of this process), or NULL: not
 * known.  */
static char *home_of(const char *name, size_t len)
{
	auto_(free_at_exit) char *user = NULL;
	const char *home = len ? NULL : getenv("HOME");

	if (home)
		return strdup(home);
	user = text_dup(name, len);
	return user ? home_in_entry(len ? user : NULL) : NULL;
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
