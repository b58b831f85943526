#include "supernode/run/private_dir.h"

#include "common/base/cleanup.h"
#include "common/base/files.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>

#define NAME_START "flwr-"
#define MARK       "node" /* in a directory that is locked by its owner */
#define NAME_BYTES 11     /* with six random letters */

static int lock_dir(const char *path)
{
	auto_(close_at_exit) int fd = open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	struct stat st;

	if (fd < 0 || fstat(fd, &st) < 0 || st.st_uid != geteuid() ||
		flock(fd, LOCK_EX | LOCK_NB) < 0)
		return -1;
	return take_fd(&fd);
}

static bool has(const char *dir, const char *name, mode_t type)
{
	auto_(free_at_exit) char *path = path_join(dir, name);
	struct stat st;

	return path && lstat(path, &st) == 0 && (st.st_mode & S_IFMT) == type;
}

/*
 * Remove path if its owner is dead. A directory without a socket or the mark may be so young that
 * its owner has not locked it yet: it stays.
 */
static void remove_left(const char *path)
{
	auto_(close_at_exit) int lock = -1;

	if (!has(path, "worker-api.sock", S_IFSOCK) && !has(path, MARK, S_IFREG))
		return;
	lock = lock_dir(path);
	if (lock >= 0)
		dir_remove(path);
}

static void sweep(const char *parent, const char *ours)
{
	auto_(closedir_at_exit) DIR *dir = opendir(parent);
	struct dirent *item;

	while (dir && (item = readdir(dir))) {
		auto_(free_at_exit) char *path = NULL;

		if (strncmp(item->d_name, NAME_START, strlen(NAME_START)) != 0 ||
			strlen(item->d_name) != NAME_BYTES)
			continue;
		path = path_join(parent, item->d_name);
		if (path && strcmp(path, ours) != 0)
			remove_left(path);
	}
}

/* Mark the directory as ours: another node may remove it once it is not locked. */
static void mark(int dir)
{
	auto_(close_at_exit) int fd =
		openat(dir, MARK, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);

	(void)fd;
}

int private_dir_open(const char *flwr_dir, struct private_dir *out, struct reason *why)
{
	auto_(free_at_exit) char *path = NULL;
	auto_(free_at_exit) char *parent = NULL;
	int r = dir_make_private(flwr_dir, &path, why);

	if (r < 0)
		return r;
	parent = strndup(path, (size_t)(strrchr(path, '/') - path));
	out->lock = lock_dir(path);
	if (out->lock >= 0)
		mark(out->lock);
	if (parent)
		sweep(parent, path);
	out->path = take_pointer(&path);
	return 0;
}

void private_dir_close(struct private_dir *dir)
{
	if (!dir->path)
		return;
	dir_remove(dir->path);
	close_fd(&dir->lock);
	free(take_pointer(&dir->path));
}
