/*
 * app_user: the user that apps run as, when it is not the user who runs this program.
 */
#include "common/launch/app_user.h"

#include "common/base/cleanup.h"
#include "common/base/files.h"
#include "common/base/number.h"
#include "common/base/text.h"
#include "common/launch/agent.h"
#include "common/launch/python.h"
#include "common/launch/run.h"

#include <errno.h>
#include <grp.h>
#include <linux/capability.h>
#include <pwd.h>
#include <stdbool.h>
#include <string.h>
#include <sys/syscall.h>

#define GROUPS_MAX 1024

struct account {
	uid_t uid;
	gid_t gid;
	const struct passwd *entry; /* NULL: a number that has none */
};

static void user_free_at_exit(struct app_user **user)
{
	app_user_free(*user);
}

static int id_parse(const char *text, uint32_t *out)
{
	uint64_t number;
	int r = number_u64(text, &number);

	/* The largest one means "unchanged" to the kernel. */
	if (r < 0 || number >= UINT32_MAX)
		return -EINVAL;
	*out = (uint32_t)number;
	return 0;
}

/* "UID:GID" or "UID". 0; -EINVAL: it is no number; -ENOENT: UID alone, without an account. */
static int account_of_number(const char *text, struct account *out)
{
	auto_(free_at_exit) char *uid = text_dup(text, strcspn(text, ":"));
	const char *colon = strchr(text, ':');

	if (!uid)
		return -ENOMEM;
	if (id_parse(uid, &out->uid) || (colon && id_parse(colon + 1, &out->gid)))
		return -EINVAL;
	out->entry = getpwuid(out->uid);
	if (!colon && !out->entry)
		return -ENOENT;
	if (!colon)
		out->gid = out->entry->pw_gid;
	return 0;
}

static int account_find(const char *text, struct account *out, struct reason *why)
{
	char shown[96];
	int r;

	*out = (struct account){.entry = getpwnam(text)};
	if (out->entry) {
		out->uid = out->entry->pw_uid;
		out->gid = out->entry->pw_gid;
		return 0;
	}
	r = account_of_number(text, out);
	if (r == 0 || r == -ENOMEM)
		return r;
	text_quote(text, strlen(text), shown, sizeof shown);
	if (r == -ENOENT)
		return reason_code(why, -EINVAL,
			"--app-user %s is no account of this machine: give UID:GID", shown);
	return reason_code(why, -EINVAL,
		"--app-user %s is no account of this machine, nor UID or UID:GID", shown);
}

/* May this program become others, and end what they run? */
static bool has_root(void)
{
	struct __user_cap_header_struct head = {.version = _LINUX_CAPABILITY_VERSION_3};
	struct __user_cap_data_struct sets[_LINUX_CAPABILITY_U32S_3] = {{0}};
	const uint32_t needed = 1U << CAP_SETUID | 1U << CAP_SETGID | 1U << CAP_KILL;

	return syscall(SYS_capget, &head, sets) == 0 && (sets[0].effective & needed) == needed;
}

static int ids_format(const struct account *account, char **out)
{
	auto_(text_done) struct text ids = {0};
	gid_t groups[GROUPS_MAX];
	int n = account->entry ? GROUPS_MAX : 0;
	int r;

	if (n && getgrouplist(account->entry->pw_name, account->gid, groups, &n) < 0)
		return -E2BIG;
	r = text_printf(&ids, "%u:%u", account->uid, account->gid);
	for (int i = 0; i < n && r == 0; i++)
		r = text_printf(&ids, ",%u", groups[i]);
	*out = r ? NULL : text_take(&ids);
	return *out ? 0 : -ENOMEM;
}

static char *setting(const char *name, const char *value)
{
	char *text;

	return asprintf(&text, "%s=%s", name, value) < 0 ? NULL : text;
}

static int env_format(const struct passwd *entry, char *env[4])
{
	env[0] = setting("HOME", entry ? entry->pw_dir : "/");
	if (!env[0] || !entry)
		return env[0] ? 0 : -ENOMEM;
	env[1] = setting("USER", entry->pw_name);
	env[2] = setting("LOGNAME", entry->pw_name);
	return env[1] && env[2] ? 0 : -ENOMEM;
}

int app_user_new(const char *text, struct app_user **out, struct reason *why)
{
	auto_(user_free_at_exit) struct app_user *user = NULL;
	struct account account;
	int r = account_find(text, &account, why);

	if (r < 0)
		return r;
	*out = NULL;
	if (account.uid == geteuid() && (account.gid == getegid() || !strchr(text, ':')))
		return 0;
	if (geteuid() != 0)
		return reason_code(why, -EINVAL,
			"--app-user is for a program that runs as root: run it as %s instead, and leave the option out",
			text);
	if (!has_root())
		return reason_code(why, -EINVAL,
			"--app-user needs the capabilities CAP_SETUID, CAP_SETGID and CAP_KILL, which root does not have here");
	user = calloc(1, sizeof *user);
	if (!user)
		return -ENOMEM;
	r = ids_format(&account, &user->ids);
	if (r == -E2BIG)
		return reason_code(
			why, -EINVAL, "--app-user %s is in more than %d groups", text, GROUPS_MAX);
	if (r == 0)
		r = env_format(account.entry, user->env);
	if (r == 0)
		*out = take_pointer(&user);
	return r;
}

void app_user_free(struct app_user *user)
{
	if (!user)
		return;
	free(user->ids);
	for (size_t i = 0; i < ARRAY_LEN(user->env); i++)
		free(user->env[i]);
	free(user);
}

/* ---- what it can reach ---- */

int app_user_check(
	const struct app_user *user, const char *flwr_home, const char *python, struct reason *why)
{
	auto_(free_at_exit) char *interpreter = NULL;
	auto_(launch_paths_done) struct launch_paths paths = {0};
	struct reason cause;
	int r = dir_make(flwr_home, 0755);

	if (r < 0)
		return reason_code(why, r, "%s cannot be made: %s", flwr_home, strerrordesc_np(-r));
	r = python_find(python, &interpreter, &cause) == -ENOMEM ? -ENOMEM
								 : launch_paths_find(&paths);
	if (r == 0) {
		const char *const argv[] = {paths.start, "-u", user->ids, "-r", flwr_home,
			paths.bridge, interpreter, NULL};

		r = run_to_end(argv);
		if (r >= 1 && r <= 3)
			r = reason_code(why, -EACCES,
				"--app-user: that user cannot reach %s: give it the right to enter the directories above, or name another place (%s)",
				argv[3 + r],
				r == 1   ? "--flwr-dir"
				: r == 2 ? "where these programs are installed"
					 : "--python");
		else if (r != 0)
			r = reason_code(why, r < 0 ? r : -EPERM,
				"--app-user: this program cannot become that user");
	}
	return r;
}
