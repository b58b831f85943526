#include "common/launch/group.h"

#include "common/base/cleanup.h"
#include "common/base/files.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

#define LEAF       "flwr-node" /* where this program and its other processes are */
#define MOVE_TRIES 16          /* a process may fork while it is moved */
#define CPU_PERIOD 100000      /* microseconds */
#define FILE_MAX   65536

#define NOT_DELEGATED "%s is not delegated (systemd: Delegate=yes beside ProtectControlGroups=no)"

/* Each limit has a controller, and a file in the group. */
static const struct {
	const char *controller, *file;
} limits[GROUP_LIMIT_N] = {
	[GROUP_MEMORY] = {"memory", "memory.max"},
	[GROUP_CPUS] = {"cpu", "cpu.max"},
	[GROUP_PIDS] = {"pids", "pids.max"},
};

struct groups {
	char *dir, *leaf;
	bool has[GROUP_LIMIT_N];
	LIST_HEAD(, group) left; /* freed groups whose directories could not be removed yet */
};

struct group {
	struct groups *groups;
	LIST_ENTRY(group) link; /* of those that are left */
	char *dir, *procs;
};

/* ---- files ---- */

static int file_write(const char *dir, const char *name, const char *text)
{
	auto_(free_at_exit) char *path = path_join(dir, name);
	auto_(close_at_exit) int fd = path ? open(path, O_WRONLY | O_CLOEXEC) : -1;

	if (!path)
		return -ENOMEM;
	return fd < 0 ? -errno : fd_write_all(fd, text, strlen(text));
}

static int file_text(const char *dir, const char *name, char **out)
{
	auto_(free_at_exit) char *path = path_join(dir, name);
	size_t len;

	return path ? file_read(path, FILE_MAX, out, &len) : -ENOMEM;
}

static bool has_word(const char *text, const char *word)
{
	size_t len = strlen(word);

	for (; *text; text += strcspn(text, " \n"), text += strspn(text, " \n"))
		if (strncmp(text, word, len) == 0 && strchr(" \n", text[len]))
			return true;
	return false;
}

/* The number behind key in a file with lines "key number"; 0: there is none. */
static uint64_t event_count(const char *dir, const char *name, const char *key)
{
	auto_(free_at_exit) char *text = NULL;
	size_t len = strlen(key);

	if (file_text(dir, name, &text))
		return 0;
	for (char *line = text; line && *line; line = strchr(line, '\n'), line += line != NULL)
		if (strncmp(line, key, len) == 0 && line[len] == ' ')
			return strtoull(line + len, NULL, 10);
	return 0;
}

/* ---- the group of this program ---- */

/* The path of our group in its hierarchy: the line "0::PATH" of /proc/self/cgroup. NULL: none. */
static char *own_path(void)
{
	auto_(free_at_exit) char *text = NULL;
	size_t len;
	char *line = NULL;

	if (file_read("/proc/self/cgroup", FILE_MAX, &text, &len) == 0)
		line = strncmp(text, "0::", 3) == 0 ? text : strstr(text, "\n0::");
	if (!line)
		return NULL;
	line += strcspn(line, "0") + 3;
	line[strcspn(line, "\n")] = '\0';
	return strdup(line);
}

/* Where the hierarchy is mounted, and which of its groups is there: the first mount of cgroup2. */
static int own_mount(char **root_out, char **mount_out)
{
	auto_(fclose_at_exit) FILE *file = fopen("/proc/self/mountinfo", "re");
	auto_(free_at_exit) char *line = NULL;
	size_t room = 0;

	while (file && getline(&line, &room, file) > 0) {
		if (!strstr(line, " - cgroup2 "))
			continue;
		if (sscanf(line, "%*s %*s %*s %ms %ms", root_out, mount_out) == 2)
			return 0;
	}
	return -ENOENT;
}

/* path as seen from root: NULL when it is not below it. */
static const char *path_below(const char *path, const char *root)
{
	size_t len = strcmp(root, "/") == 0 ? 0 : strlen(root);

	if (strncmp(path, root, len) != 0 || (path[len] && path[len] != '/'))
		return NULL;
	return path + len;
}

static bool says_delegated(const char *dir)
{
	static const char *const names[] = {"user.delegate", "trusted.delegate"};
	char value[2];

	for (size_t i = 0; i < ARRAY_LEN(names); i++)
		if (getxattr(dir, names[i], value, sizeof value) == 1 && value[0] == '1')
			return true;
	return false;
}

/* Why a group cannot be written to, which errno says. -errno. */
static int refused(const char *dir, bool whole, struct reason *why)
{
	if (errno == EROFS && whole)
		return reason_code(why, -EROFS, "%s is read-only in this container", dir);
	if (errno == EROFS)
		return reason_code(why, -EROFS,
			"%s is read-only (systemd: ProtectControlGroups=no beside Delegate=yes)",
			dir);
	if (errno == EACCES && !whole)
		return reason_code(why, -EACCES, NOT_DELEGATED, dir);
	return reason_code(why, -errno, "%s cannot be written: %s", dir, strerror(errno));
}

int group_check(const char *dir, bool whole, struct reason *why)
{
	auto_(free_at_exit) char *type = path_join(dir, "cgroup.type");
	struct stat info;

	if (!type)
		return reason_code(why, -ENOMEM, "no memory");
	if (access(type, F_OK) < 0)
		return reason_code(
			why, -EPERM, "this program is in the control group of the whole machine");
	if (stat(dir, &info) < 0 || access(dir, W_OK) < 0)
		return refused(dir, whole, why);
	if (whole || says_delegated(dir) || (info.st_uid == geteuid() && info.st_uid != 0))
		return 0;
	return reason_code(why, -EPERM, NOT_DELEGATED, dir);
}

int group_find_own(char **dir_out, struct reason *why)
{
	auto_(free_at_exit) char *path = own_path();
	auto_(free_at_exit) char *root = NULL;
	auto_(free_at_exit) char *mount = NULL;
	auto_(free_at_exit) char *dir = NULL;
	const char *below;
	size_t len;
	int r = path ? own_mount(&root, &mount) : -ENOENT;

	below = r == 0 ? path_below(path, root) : NULL;
	if (!below)
		return reason_code(why, -ENOENT, "no control groups (v2) are mounted");
	dir = path_join(mount, below[0] == '/' ? below + 1 : below);
	if (!dir)
		return reason_code(why, -ENOMEM, "no memory");
	/* A program of ours that was started again, or by another one, is in the leaf. */
	for (len = strlen(dir); len > 1 && dir[len - 1] == '/';)
		dir[--len] = '\0';
	if (len > strlen("/" LEAF) && strcmp(dir + len - strlen("/" LEAF), "/" LEAF) == 0)
		dir[len - strlen("/" LEAF)] = '\0';
	r = group_check(dir, strcmp(dir, mount) == 0, why);
	if (r == 0)
		*dir_out = take_pointer(&dir);
	return r;
}

/* ---- dividing it ---- */

/* Move all processes of one group into another one. 0; -EBUSY: there are always more; -errno. */
static int move_all(const char *from, const char *to)
{
	for (unsigned i = 0; i < MOVE_TRIES; i++) {
		auto_(free_at_exit) char *pids = NULL;
		char *rest = NULL;
		int r = file_text(from, "cgroup.procs", &pids);

		if (r || !pids[0])
			return r;
		for (char *pid = strtok_r(pids, "\n", &rest); pid;
			pid = strtok_r(NULL, "\n", &rest)) {
			r = file_write(to, "cgroup.procs", pid);
			if (r && r != -ESRCH)
				return r;
		}
	}
	return -EBUSY;
}

/* Give the controllers to the children, or take them away. */
static int switch_controllers(const struct groups *groups, char sign)
{
	int r = 0;

	for (size_t i = 0; r == 0 && i < GROUP_LIMIT_N; i++) {
		char word[16];

		snprintf(word, sizeof word, "%c%s", sign, limits[i].controller);
		if (groups->has[i])
			r = file_write(groups->dir, "cgroup.subtree_control", word);
	}
	return r;
}

static void put_together(struct groups *groups)
{
	(void)switch_controllers(groups, '-');
	(void)move_all(groups->leaf, groups->dir);
	rmdir(groups->leaf);
}

static int divide(struct groups *groups, struct reason *why)
{
	int r = mkdir(groups->leaf, 0755) < 0 && errno != EEXIST ? -errno : 0;

	if (r == 0)
		r = move_all(groups->dir, groups->leaf);
	if (r == 0)
		r = switch_controllers(groups, '+');
	if (r == 0)
		return 0;
	put_together(groups);
	return reason_code(why, r, "%s cannot be divided: %s", groups->dir, strerror(-r));
}

static void groups_free_at_exit(struct groups **groups)
{
	if (!*groups)
		return;
	free((*groups)->dir);
	free((*groups)->leaf);
	free(*groups);
}

int groups_new(
	const char *dir, const bool wanted[GROUP_LIMIT_N], struct groups **out, struct reason *why)
{
	auto_(groups_free_at_exit) struct groups *groups = calloc(1, sizeof *groups);
	auto_(free_at_exit) char *controllers = NULL;
	bool any = false;
	int r;

	if (groups) {
		groups->dir = strdup(dir);
		groups->leaf = path_join(dir, LEAF);
	}
	if (!groups || !groups->dir || !groups->leaf)
		return reason_code(why, -ENOMEM, "no memory");
	r = file_text(dir, "cgroup.controllers", &controllers);
	if (r)
		return reason_code(why, r, "%s/cgroup.controllers: %s", dir, strerror(-r));
	for (size_t i = 0; i < GROUP_LIMIT_N; i++) {
		groups->has[i] = wanted[i] && has_word(controllers, limits[i].controller);
		any = any || groups->has[i];
	}
	if (!any)
		return reason_code(
			why, -EOPNOTSUPP, "%s has none of the controllers that are needed", dir);
	r = divide(groups, why);
	if (r == 0)
		*out = take_pointer(&groups);
	return r;
}

const char *groups_dir(const struct groups *groups)
{
	return groups->dir;
}

bool groups_limit(const struct groups *groups, enum group_limit limit)
{
	return groups->has[limit];
}

/* ---- the group of an app ---- */

static void group_done(struct group *group)
{
	free(group->dir);
	free(group->procs);
	free(group);
}

static void group_done_at_exit(struct group **group)
{
	if (*group)
		group_done(*group);
}

/* Remove the groups that are left: what was killed in them needs a moment to be gone. */
static void sweep(struct groups *groups)
{
	struct group *next;

	for (struct group *group = LIST_FIRST(&groups->left); group; group = next) {
		next = LIST_NEXT(group, link);
		if (rmdir(group->dir) < 0 && errno == EBUSY)
			continue;
		LIST_REMOVE(group, link);
		group_done(group);
	}
}

void groups_free(struct groups *groups)
{
	if (!groups)
		return;
	sweep(groups);
	while (!LIST_EMPTY(&groups->left)) {
		struct group *group = LIST_FIRST(&groups->left);

		LIST_REMOVE(group, link);
		group_done(group);
	}
	put_together(groups);
	groups_free_at_exit(&groups);
}

static int write_limit(const struct group *group, enum group_limit limit, uint64_t value)
{
	char text[64];
	int r;

	if (limit == GROUP_CPUS)
		snprintf(text, sizeof text, "%" PRIu64 " %d", value * CPU_PERIOD, CPU_PERIOD);
	else
		snprintf(text, sizeof text, "%" PRIu64, value);
	r = file_write(group->dir, limits[limit].file, text);
	if (r || limit != GROUP_MEMORY)
		return r;
	/* Kernels without swap accounting have no such file. What ends for want of memory ends as a
	 * whole: half an app would wait for the other half. */
	(void)file_write(group->dir, "memory.swap.max", "0");
	(void)file_write(group->dir, "memory.oom.group", "1");
	return 0;
}

int group_new(struct groups *groups, const char *name, const uint64_t values[GROUP_LIMIT_N],
	struct group **out, struct reason *why)
{
	auto_(group_done_at_exit) struct group *group = calloc(1, sizeof *group);
	int r;

	sweep(groups);
	if (group) {
		group->groups = groups;
		group->dir = path_join(groups->dir, name);
		group->procs = group->dir ? path_join(group->dir, "cgroup.procs") : NULL;
	}
	if (!group || !group->procs)
		return reason_code(why, -ENOMEM, "no memory for a control group");
	r = mkdir(group->dir, 0755) < 0 && errno != EEXIST ? -errno : 0;
	for (size_t i = 0; r == 0 && i < GROUP_LIMIT_N; i++)
		if (groups->has[i] && values[i])
			r = write_limit(group, (enum group_limit)i, values[i]);
	if (r) {
		reason_set(
			why, "the control group %s cannot be made: %s", group->dir, strerror(-r));
		rmdir(group->dir);
		return r;
	}
	*out = take_pointer(&group);
	return 0;
}

const char *group_procs(const struct group *group)
{
	return group->procs;
}

int group_add(const struct group *group, pid_t pid)
{
	char text[24];

	snprintf(text, sizeof text, "%d", (int)pid);
	return file_write(group->dir, "cgroup.procs", text);
}

enum group_shortage group_shortage(const struct group *group)
{
	if (event_count(group->dir, "memory.events", "oom_kill") == 0)
		return GROUP_NO_SHORTAGE;
	/* The kernel counts "oom" in the group whose limit was met, and in those above it. */
	return event_count(group->dir, "memory.events", "oom") > 0 ? GROUP_OVER_LIMIT : GROUP_SHORT;
}

uint64_t group_pid_refusals(const struct group *group)
{
	return event_count(group->dir, "pids.events", "max");
}

void group_free(struct group *group)
{
	if (!group)
		return;
	if (rmdir(group->dir) < 0 && errno == EBUSY) {
		(void)file_write(group->dir, "cgroup.kill", "1");
		LIST_INSERT_HEAD(&group->groups->left, group, link);
		sweep(group->groups);
		return;
	}
	group_done(group);
}
