/*
 * environment: what a started process inherits of ours. Main thread. Private to common/launch.
 */
#ifndef FLWR_LAUNCH_ENVIRONMENT_H
#define FLWR_LAUNCH_ENVIRONMENT_H

/*
 * Our environment, or what of it the lists in keep name, without what the lists in drop and hide
 * name ("NAME,PREFIX*"), without what speaks to this program only (LISTEN_*, NOTIFY_SOCKET,
 * WATCHDOG_PID, WATCHDOG_USEC, CREDENTIALS_DIRECTORY, FLWR_APP_*), and with the settings
 * "NAME=value" in set instead of inherited ones, of two with one name the last. All end in NULL and
 * may be NULL. The array is malloc()ed, its strings are borrowed; NULL on no memory.
 */
char **environment_new(const char *const *set, const char *const *drop, const char *const *hide,
	const char *const *keep);

#endif
