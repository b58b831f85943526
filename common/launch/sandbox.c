#include "common/launch/sandbox_internal.h"

#include "common/base/cleanup.h"
#include "common/base/files.h"
#include "common/launch/launch_paths.h"
#include "common/launch/run.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* The exit status of flwr-app-start -q is made of these (BOUNDS_MOUNTS, BOUNDS_MOUNTS_AGAIN,
 * BOUNDS_ABI_MAX). */
#define WITH_MOUNTS       64
#define WITH_MOUNTS_AGAIN 32
#define WITH_ABI_MAX      28

static void free_sandbox_at_exit(struct sandbox **sandbox)
{
	sandbox_free(*sandbox);
}

static void set_user(struct sandbox *sandbox, const struct app_user *user)
{
	char *rest;

	sandbox->uid = geteuid();
	sandbox->gid = getegid();
	if (!user)
		return;
	sandbox->uid = (uid_t)strtoul(user->ids, &rest, 10);
	sandbox->gid = (gid_t)strtoul(rest + 1, NULL, 10);
}

/* Find out which cages there can be. 0 or -errno. */
static int probe(struct sandbox *sandbox, const struct app_user *user)
{
	auto_(launch_paths_done) struct launch_paths paths = {0};
	int r = launch_paths_find(&paths);
	const char *const argv[] = {
		paths.start, "-q", user ? "-u" : NULL, user ? user->ids : NULL, NULL};

	if (r == 0)
		r = run_to_end(argv);
	if (r < 0 || r > WITH_MOUNTS + WITH_MOUNTS_AGAIN + WITH_ABI_MAX)
		return r < 0 ? r : -EIO;
	sandbox->mounts = r & WITH_MOUNTS;
	sandbox->mounts_again = r & WITH_MOUNTS_AGAIN;
	sandbox->abi = r & ~(WITH_MOUNTS | WITH_MOUNTS_AGAIN);
	return 0;
}

static int choose(struct sandbox *sandbox, struct reason *why)
{
	const char *given = sandbox->launch->sandbox;

	sandbox->asked = given;
	if (sandbox->abi > 0)
		sandbox->kind =
			given && strcmp(given, "strict") == 0 ? SANDBOX_STRICT : SANDBOX_NODE;
	else if (given)
		return reason_code(why, -EINVAL,
			"--sandbox %s needs Landlock, which this kernel does not have or has not turned on: leave it out, or give --sandbox off",
			given);
	return 0;
}

int sandbox_new(const struct sandbox_options *options, struct sandbox **out, struct reason *why)
{
	auto_(free_sandbox_at_exit) struct sandbox *sandbox = calloc(1, sizeof *sandbox);
	const char *given = options->launch->sandbox;
	int r = 0;

	if (!sandbox)
		return -ENOMEM;
	sandbox->launch = options->launch;
	sandbox->flwr_home = options->flwr_home;
	sandbox->dev = "/dev";
	sandbox->runs_lock = -1;
	set_user(sandbox, options->user);
	if (!given || strcmp(given, "off") != 0)
		r = probe(sandbox, options->user);
	/* Where its program is not there no app can be started, which is said then. */
	if (r < 0 && !given)
		r = 0;
	else if (r < 0)
		return reason_code(
			why, r, "--sandbox: flwr-app-start cannot be run: %s", strerror(-r));
	if (given && strcmp(given, "off") == 0)
		sandbox->asked = true;
	else
		r = choose(sandbox, why);
	if (r == 0)
		r = path_flwr_home_older(options->flwr_home, &sandbox->older_home);
	if (r == 0 && sandbox->kind == SANDBOX_STRICT)
		r = sandbox_strict_new(sandbox, why);
	if (r == 0)
		*out = take_pointer(&sandbox);
	return r;
}

void sandbox_free(struct sandbox *sandbox)
{
	if (!sandbox)
		return;
	sandbox_strict_done(sandbox);
	for (size_t i = 0; i < sandbox->n_hidden; i++)
		free(sandbox->hidden[i]);
	free(sandbox->older_home);
	free(sandbox);
}

int sandbox_hide(struct sandbox *sandbox, const char *path)
{
	char *copy;

	if (sandbox_kind(sandbox) == SANDBOX_OFF || !path || fd_named(path) != -1)
		return 0;
	copy = sandbox->n_hidden < SANDBOX_HIDDEN_MAX ? strdup(path) : NULL;
	if (!copy)
		return -ENOMEM;
	sandbox->hidden[sandbox->n_hidden++] = copy;
	return 0;
}

int sandbox_hide_socket(struct sandbox *sandbox, const char *address)
{
	const char scheme[] = "unix:";

	return address && strncmp(address, scheme, strlen(scheme)) == 0
		       ? sandbox_hide(sandbox, address + strlen(scheme))
		       : 0;
}

enum sandbox_kind sandbox_kind(const struct sandbox *sandbox)
{
	return sandbox ? sandbox->kind : SANDBOX_OFF;
}

/* ---- the log ---- */

/* Add path, unless it is hidden. */
static int list_path(const struct sandbox *sandbox, const char *path, struct text *list)
{
	return sandbox_hides(sandbox, path)
		       ? 0
		       : text_printf(list, "%s%s", list->data ? ", " : "", path);
}

/* Before the first app there is no directory for it. */
static int list_apps_to_come(const struct sandbox *sandbox, struct text *list)
{
	auto_(free_at_exit) char *apps = path_join(sandbox->flwr_home, "apps");

	if (!apps)
		return -ENOMEM;
	return access(apps, F_OK) == 0 ? 0 : list_path(sandbox, apps, list);
}

/* List what is not hidden because that would break apps. */
static int list_open(const struct sandbox *sandbox, struct text *list)
{
	char *dirs[2];
	size_t n;
	int r = sandbox_app_dirs(sandbox, dirs, &n);

	for (size_t i = 0; i < n; i++) {
		if (r == 0)
			r = list_path(sandbox, dirs[i], list);
		free(dirs[i]);
	}
	if (r == 0)
		r = list_apps_to_come(sandbox, list);
	for (size_t i = 0; i < sandbox->n_hidden && r == 0; i++) {
		auto_(free_at_exit) char *path = realpath(sandbox->hidden[i], NULL);

		if (path)
			r = list_path(sandbox, path, list);
	}
	return r;
}

static void tell_without_mounts(const struct sandbox *sandbox, struct log *log)
{
	auto_(text_done) struct text list = {0};

	if (sandbox->kind == SANDBOX_STRICT)
		return;
	if (sandbox->asked)
		log_warn(log,
			"apps cannot have mounts of their own here (user namespaces are not allowed): they can make nothing new in directories that lie above what is hidden from them");
	else if (list_open(sandbox, &list) == 0 && list.data)
		log_warn(log,
			"apps cannot have mounts of their own here (user namespaces are not allowed), so this stays within their reach: %s; --sandbox node hides it, but then they can make nothing new in the directories above it",
			list.data);
}

/* Apps meet this, or are not kept from it, before this version of Landlock's interface. */
static const struct {
	int abi;
	bool always; /* or, with mounts, in the strict cage alone */
	bool strict; /* there alone, mounts or not */
	const char *text;
} lacks[] = {
	{2, false, false, "apps cannot move files from one directory to another (EXDEV)"},
	{2, true, false,
		"messages of one run are not kept from tracing each other, if it has flwr_preload()"},
	{3, false, false, "apps cannot truncate files by their names (EACCES)"},
	{4, false, true,
		"apps can be given the whole network (--app-network all), but no ports of it"},
	{5, false, true, "apps are not kept from the ioctls of devices that they may only read"},
	{6, true, false,
		"apps are not kept from signalling other processes of their user, nor from abstract sockets of others"},
};

static void tell_lacks(const struct sandbox *sandbox, struct log *log)
{
	auto_(text_done) struct text list = {0};
	bool strict = sandbox->kind == SANDBOX_STRICT;

	for (size_t i = 0; i < ARRAY_LEN(lacks); i++) {
		bool concerns =
			lacks[i].strict ? strict : lacks[i].always || strict || !sandbox->mounts;

		if (sandbox->abi < lacks[i].abi && concerns &&
			text_printf(&list, "%s%s", list.data ? "; " : "", lacks[i].text))
			return;
	}
	if (list.data)
		log_info(log, "this kernel's Landlock is of ABI %d: %s", sandbox->abi, list.data);
}

void sandbox_tell(const struct sandbox *sandbox, struct log *log)
{
	if (!sandbox)
		return;
	if (sandbox->kind == SANDBOX_OFF) {
		if (sandbox->asked)
			log_info(log, "apps run without a cage (--sandbox off)");
		else
			log_info(log, "apps run without a cage: this kernel has no Landlock");
		return;
	}
	log_info(log, "apps run in a cage: sandbox=%s landlock=%d mounts=%s",
		sandbox->kind == SANDBOX_STRICT ? "strict" : "node", sandbox->abi,
		sandbox->mounts ? "yes" : "no");
	if (!sandbox->mounts)
		tell_without_mounts(sandbox, log);
	tell_lacks(sandbox, log);
	if (sandbox->kind == SANDBOX_STRICT)
		sandbox_strict_tell(sandbox, log);
}
