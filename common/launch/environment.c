#include "common/launch/environment.h"

#include "common/base/cleanup.h"

#include <stdbool.h>
#include <string.h>

static const char *const our_own[] = {
	"LISTEN_FDS", "LISTEN_PID", "LISTEN_FDNAMES", "NOTIFY_SOCKET", "FLWR_APP_FD", NULL};

/* Does setting ("NAME=value") set name (which ends at its NUL or '=')? */
static bool setting_is(const char *setting, const char *name)
{
	size_t len = strcspn(name, "=");

	return strncmp(setting, name, len) == 0 && setting[len] == '=';
}

static bool setting_in(const char *setting, const char *const *names)
{
	for (; names && *names; names++)
		if (setting_is(setting, *names))
			return true;
	return false;
}

static size_t list_length(char *const *list)
{
	size_t n = 0;

	while (list && list[n])
		n++;
	return n;
}

char **environment_new(const char *const *set, const char *const *drop)
{
	size_t n_set = list_length((char *const *)set);
	size_t n = 0;
	char **list = calloc(list_length(environ) + n_set + 1, sizeof(*list));

	if (!list)
		return NULL;
	for (char **setting = environ; setting && *setting; setting++)
		if (!setting_in(*setting, our_own) && !setting_in(*setting, drop) &&
			!setting_in(*setting, set))
			list[n++] = *setting;
	for (size_t i = 0; i < n_set; i++)
		list[n++] = (char *)set[i];
	return list;
}
