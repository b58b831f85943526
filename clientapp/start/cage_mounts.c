/*
 * Mounts that cover what an app must not see. A user namespace, where one is needed, keeps the
 * process's user and group. The kernel locks the mounts for namespaces that the app makes in its
 * turn: nobody can take them away one by one.
 */
#include "clientapp/start/cage_internal.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <linux/securebits.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

/* An empty directory lies there while other things are covered: empty files come from it. What is
 * hidden of /proc itself is covered afterwards. */
#define STAGE       "/proc"
#define NOBODY_FILE STAGE "/hidden"

static int write_file(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY | O_CLOEXEC);
	ssize_t n;

	if (fd < 0)
		return -errno;
	n = write(fd, text, strlen(text));
	close(fd);
	return n == (ssize_t)strlen(text) ? 0 : -EPERM;
}

/* The namespace has one user and one group: those that the process has outside. */
static int map_self(unsigned int uid, unsigned int gid)
{
	char text[64];
	int r = write_file("/proc/self/setgroups", "deny");

	if (r == 0 || r == -ENOENT) {
		snprintf(text, sizeof text, "%u %u 1", uid, uid);
		r = write_file("/proc/self/uid_map", text);
	}
	if (r == 0) {
		snprintf(text, sizeof text, "%u %u 1", gid, gid);
		r = write_file("/proc/self/gid_map", text);
	}
	return r;
}

int cage_mounts_begin(bool as_user)
{
	unsigned int uid = geteuid(), gid = getegid();
	int r = 0;

	/* Root's namespace would have no other user's files in it, which apps of root can reach. */
	if (as_user && uid == 0)
		return -EPERM;
	/* The maps belong to root after a change of the user. */
	if (as_user)
		prctl(PR_SET_DUMPABLE, 1, 0, 0, 0);
	if (unshare(CLONE_NEWNS | (as_user ? CLONE_NEWUSER : 0)) < 0)
		return -errno;
	if (as_user)
		r = map_self(uid, gid);
	/* Mounts of the machine come in, ours do not go out. */
	if (r == 0 && mount(NULL, "/", NULL, MS_REC | MS_SLAVE, NULL) < 0)
		r = -errno;
	return r;
}

static int make_read_only(const char *path)
{
	struct mount_attr attributes = {.attr_set = MOUNT_ATTR_RDONLY};

	return mount_setattr(AT_FDCWD, path, 0, &attributes, sizeof attributes) < 0 ? -errno : 0;
}

/* An empty directory over path, writable until make_read_only(). */
static int put_empty(const char *path, const char *options)
{
	return mount("none", path, "tmpfs", MS_NOSUID | MS_NODEV, options) < 0 ? -errno : 0;
}

/* A copy of the mount tree at path, which can be put elsewhere. */
static int take_tree(const char *path)
{
	int fd = open_tree(AT_FDCWD, path, OPEN_TREE_CLONE | AT_RECURSIVE | O_CLOEXEC);

	return fd < 0 ? -errno : fd;
}

/* Put the app's own directory back into the empty one that lies over all apps. */
static int put_app(int tree, const char *path, bool writable)
{
	int r = 0;

	if (mkdir(path, 0755) < 0 ||
		move_mount(tree, "", AT_FDCWD, path, MOVE_MOUNT_F_EMPTY_PATH) < 0)
		r = -errno;
	return r || writable ? r : make_read_only(path);
}

/* The app's directory, if it lies in dir: *tree_out is a copy of it, else -1. */
static int find_app(const char *description, const char *dir, struct cage_rule *app, int *tree_out)
{
	*tree_out = -1;
	while (cage_rule_next(&description, app) > 0) {
		if ((strcmp(app->word, "app") != 0 && strcmp(app->word, "app-rw") != 0) ||
			!cage_is_entry(app->path, dir))
			continue;
		*tree_out = take_tree(app->path);
		return *tree_out < 0 ? *tree_out : 0;
	}
	return 0;
}

static int cover_apps(const char *description, const char *dir)
{
	struct cage_rule app;
	struct stat file;
	int tree;
	int r;

	if (stat(dir, &file) < 0)
		return errno == ENOENT ? 0 : cage_failed("cannot look at", dir, errno);
	r = find_app(description, dir, &app, &tree);
	if (r < 0)
		return cage_failed("cannot keep", app.path, -r);
	r = put_empty(dir, "mode=755,size=64k,nr_inodes=8");
	if (r == 0 && tree >= 0)
		r = put_app(tree, app.path, strcmp(app.word, "app-rw") == 0);
	if (tree >= 0)
		close(tree);
	if (r == 0)
		r = make_read_only(dir);
	return r < 0 ? cage_failed("cannot cover", dir, -r) : 0;
}

/* A file that nobody may open lies over a hidden one. A bind mount keeps it when it is removed. */
static int cover_file(const char *path)
{
	int fd = open(NOBODY_FILE, O_WRONLY | O_CREAT | O_CLOEXEC, 0);
	int r = 0;

	if (fd < 0)
		return -errno;
	close(fd);
	if (mount(NOBODY_FILE, path, NULL, MS_BIND, NULL) < 0)
		r = -errno;
	unlink(NOBODY_FILE);
	return r ? r : make_read_only(path);
}

static int cover_one(const char *path)
{
	struct stat file;
	int r;

	/* A path that the user of the app cannot reach needs no cover. */
	if (lstat(path, &file) < 0)
		return errno == ENOENT || errno == ENOTDIR || errno == EACCES
			       ? 0
			       : cage_failed("cannot look at", path, errno);
	/* Covered by the zygote, and locked there: nothing can be mounted on a file that has been
	 * removed. */
	if (S_ISREG(file.st_mode) && file.st_nlink == 0 && !(file.st_mode & 0777))
		return 0;
	if (!S_ISDIR(file.st_mode)) {
		r = cover_file(path);
	} else {
		r = put_empty(path, "mode=000,size=4k,nr_inodes=2");
		if (r == 0)
			r = make_read_only(path);
	}
	return r < 0 ? cage_failed("cannot cover", path, -r) : 0;
}

/* A mount that cannot be written lies over what is to be kept as it is. */
static int keep_one(const char *path)
{
	struct mount_attr attributes = {.attr_set = MOUNT_ATTR_RDONLY};
	int tree = take_tree(path);
	int r = 0;

	if (tree < 0)
		return tree == -ENOENT || tree == -ENOTDIR || tree == -EACCES
			       ? 0
			       : cage_failed("cannot keep", path, -tree);
	if (mount_setattr(tree, "", AT_EMPTY_PATH | AT_RECURSIVE, &attributes, sizeof attributes) <
			0 ||
		move_mount(tree, "", AT_FDCWD, path, MOVE_MOUNT_F_EMPTY_PATH) < 0)
		r = cage_failed("cannot keep", path, errno);
	close(tree);
	return r;
}

/* A process whose working directory was covered is in the old one still, by no name. */
static int enter_again(void)
{
	char path[PATH_MAX];

	if (getcwd(path, sizeof path) && path[0] == '/' && chdir(path) == 0)
		return 0;
	return chdir("/") < 0 ? cage_failed("cannot enter", "/", errno) : 0;
}

int cage_mounts_make(const char *description)
{
	struct cage_rule rule;
	const char *text = description;
	int r = put_empty(STAGE, "mode=700,size=4k,nr_inodes=4");

	if (r < 0)
		return cage_failed("cannot mount anything at", STAGE, -r);
	while (r == 0 && cage_rule_next(&text, &rule) > 0)
		if (strcmp(rule.word, "hide") == 0 && !cage_is_entry(rule.path, STAGE))
			r = cover_one(rule.path);
	if (umount2(STAGE, MNT_DETACH) < 0 && r == 0)
		r = cage_failed("cannot unmount", STAGE, errno);
	text = description;
	while (r == 0 && cage_rule_next(&text, &rule) > 0) {
		if (strcmp(rule.word, "apps") == 0)
			r = cover_apps(description, rule.path);
		else if (strcmp(rule.word, "keep") == 0)
			r = keep_one(rule.path);
		else if (strcmp(rule.word, "hide") == 0 && cage_is_entry(rule.path, STAGE))
			r = cover_one(rule.path);
		else if (strcmp(rule.word, "fresh") == 0 && put_empty(rule.path, "mode=1777") < 0)
			r = cage_failed("cannot cover", rule.path, errno);
	}
	return r ? r : enter_again();
}

int cage_mounts_drop(void)
{
	struct __user_cap_header_struct head = {.version = _LINUX_CAPABILITY_VERSION_3};
	struct __user_cap_data_struct none[_LINUX_CAPABILITY_U32S_3] = {{0}};

	/* Nor by executing a program as user 0, where that is the user. */
	prctl(PR_SET_SECUREBITS, SECBIT_NOROOT | SECBIT_NOROOT_LOCKED, 0, 0, 0);
	for (unsigned long each = 0; each < 64; each++)
		if (prctl(PR_CAPBSET_READ, each, 0, 0, 0) == 1)
			prctl(PR_CAPBSET_DROP, each, 0, 0, 0);
	return syscall(SYS_capset, &head, none) < 0
		       ? cage_failed("cannot drop capabilities", "", errno)
		       : 0;
}
