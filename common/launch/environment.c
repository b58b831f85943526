#include "common/launch/environment.h"

#include "common/base/cleanup.h"

#include <stdbool.h>
#include <string.h>

/* Variables by which a service manager, or this project, tells one process something. */
static const char *const ours_alone[] = {"LISTEN_*,NOTIFY_SOCKET,WATCHDOG_PID,WATCHDOG_USEC",
	"CREDENTIALS_DIRECTORY,FLWR_APP_FD,FLWR_APP_ZYGOTE,FLWR_APP_DEPENDENC*,FLWR_APP_SANDBOX",
	NULL};

/* Is the name of setting ("NAME=value") in list ("NAME,PREFIX*")? */
static bool setting_listed(const char *setting, const char *list)
{
	size_t name_len = strcspn(setting, "=");

	while (*list) {
		size_t len = strcspn(list, ",");
		bool open = len > 0 && list[len - 1] == '*';
		size_t fixed = open ? len - 1 : len;

		if ((open ? name_len >= fixed : name_len == fixed) &&
			strncmp(setting, list, fixed) == 0)
			return true;
		list += len + (list[len] == ',');
	}
	return false;
}

static bool setting_in(const char *setting, const char *const *lists)
{
	for (; lists && *lists; lists++)
		if (setting_listed(setting, *lists))
			return true;
	return false;
}

/* Does one of set have its name? */
static bool setting_replaced(const char *setting, const char *const *set)
{
	size_t len = strcspn(setting, "=") + 1;

	for (; set && *set; set++)
		if (strncmp(setting, *set, len) == 0)
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

char **environment_new(const char *const *set, const char *const *drop, const char *const *hide,
	const char *const *keep)
{
	size_t n_set = list_length((char *const *)set);
	size_t n = 0;
	char **list = calloc(list_length(environ) + n_set + 1, sizeof *list);

	if (!list)
		return NULL;
	for (char **setting = environ; setting && *setting; setting++)
		if (!setting_in(*setting, ours_alone) && !setting_in(*setting, drop) &&
			!setting_in(*setting, hide) && !setting_replaced(*setting, set) &&
			(!keep || setting_in(*setting, keep)))
			list[n++] = *setting;
	/* Programs differ in which of two settings with one name they find: only the last is kept.
	 */
	for (size_t i = 0; i < n_set; i++)
		if (!setting_replaced(set[i], set + i + 1))
			list[n++] = (char *)set[i];
	return list;
}
