#include "common/fab/installed.h"

#include "common/base/cleanup.h"
#include "common/base/text.h"
#include "common/fab/directory.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <linux/openat2.h>
#include <pwd.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#define PIECE_BYTES 65536
#define DEPTH_MAX   128 /* of directories that are looked through */

static void sha256_free_at_exit(struct sha256 **hash)
{
	sha256_free(*hash);
}

/* Many systems give each user a group of the user's name, and the umask 002. */
static bool is_own_group(gid_t gid)
{
	const struct passwd *user = getpwuid(geteuid());
	const struct group *group = user && gid == user->pw_gid ? getgrgid(gid) : NULL;

	return group && strcmp(group->gr_name, user->pw_name) == 0 && !group->gr_mem[0];
}

int installed_open(int dir, const char *name, struct reason *why)
{
	auto_(close_at_exit) int fd = openat(
		dir, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC | (dir == AT_FDCWD ? 0 : O_NOFOLLOW));
	struct stat st;

	if (fd < 0)
		return errno == ELOOP ? -ENOTDIR : -errno;
	if (fstat(fd, &st) < 0)
		return -errno;
	if (st.st_uid != geteuid() && st.st_uid != 0)
		return reason_code(why, -EPERM,
			"it belongs to user %u, who could put anything there", (unsigned)st.st_uid);
	if (st.st_mode & S_IWOTH || (st.st_mode & S_IWGRP && !is_own_group(st.st_gid)))
		return reason_code(
			why, -EPERM, "others may write to it, who could put anything there");
	return take_fd(&fd);
}

/* ---- files ---- */

/* Open a component after the other, for kernels without openat2(). */
static int walk_to(int dir, char *path)
{
	auto_(close_at_exit) int at = fcntl(dir, F_DUPFD_CLOEXEC, 0);

	for (char *slash; at >= 0 && (slash = strchr(path, '/')); path = slash + 1) {
		int next;

		*slash = '\0';
		next = openat(at, path, O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
		*slash = '/';
		if (next < 0)
			return -errno;
		close_fd(&at);
		at = next;
	}
	if (at < 0)
		return -errno;
	int fd = openat(at, path, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);

	return fd < 0 ? -errno : fd;
}

/* A file below dir, on whose way there is no link. */
static int open_below(int dir, char *path)
{
	const struct open_how how = {.flags = O_RDONLY | O_NONBLOCK | O_CLOEXEC,
		.resolve = RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS};
	long fd = syscall(SYS_openat2, dir, path, &how, sizeof how);

	if (fd >= 0)
		return (int)fd;
	/* A filter of system calls may refuse what it does not know. */
	return errno == ENOSYS || errno == EPERM ? walk_to(dir, path) : -errno;
}

/* 1 the file is the line's, 0 it is not, -ENOMEM. */
static int is_same(int dir, const struct content_line *line, char *piece)
{
	auto_(sha256_free_at_exit) struct sha256 *hash = NULL;
	auto_(close_at_exit) int fd = -1;
	char path[DIRECTORY_NAME_MAX_BYTES + 1], hex[SHA256_HEX_BYTES];
	struct stat st;
	uint64_t bytes = 0;
	ssize_t n;

	if (line->path_len > DIRECTORY_NAME_MAX_BYTES)
		return 0;
	memcpy(path, line->path, line->path_len);
	path[line->path_len] = '\0';
	fd = open_below(dir, path);
	if (fd < 0)
		return fd == -ENOMEM ? fd : 0;
	if (fstat(fd, &st) < 0 || !S_ISREG(st.st_mode) || (uint64_t)st.st_size != line->bytes)
		return 0;
	hash = sha256_new();
	if (!hash)
		return -ENOMEM;
	while (bytes <= line->bytes && (n = read(fd, piece, PIECE_BYTES)) != 0) {
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return 0;
		sha256_add(hash, piece, (size_t)n);
		bytes += (uint64_t)n;
	}
	sha256_hex(hash, hex);
	return bytes == line->bytes && strcmp(hex, line->hash) == 0;
}

int installed_compare(int dir, struct content_list *list)
{
	static const char info[] = ".info/";
	auto_(free_at_exit) char *piece = malloc(PIECE_BYTES);
	int n = 0;

	if (!piece)
		return -ENOMEM;
	for (size_t i = 0; i < list->n; i++) {
		struct content_line *line = &list->v[i];
		int r;

		line->differs = false;
		if (line->path_len >= strlen(info) && memcmp(line->path, info, strlen(info)) == 0)
			continue;
		r = is_same(dir, line, piece);
		if (r < 0)
			return r;
		line->differs = r == 0;
		n += line->differs;
	}
	return n;
}

/* ---- what is not listed ---- */

struct search {
	const struct content_list *list;
	struct text path; /* of the directory at hand, with a slash at its end */
	struct reason *why;
};

static bool is_importable(const char *name)
{
	static const char *const endings[] = {".py", ".pyc", ".pyo", ".pyw", ".so", ".pth"};
	size_t len = strlen(name);

	for (size_t i = 0; i < ARRAY_LEN(endings); i++) {
		size_t end = strlen(endings[i]);

		if (len > end && strcasecmp(name + len - end, endings[i]) == 0)
			return true;
	}
	return false;
}

static int found(const struct search *search, const char *what)
{
	char quoted[160];

	text_quote(search->path.data, search->path.len, quoted, sizeof quoted);
	return reason_code(search->why, 1,
		"the installed app has %s %s, which its FAB does not list", what, quoted);
}

static int look_through(struct search *search, int dir, unsigned depth);

/* Look at an entry; the search's path ends in its name. As look_through(). */
static int look_at(struct search *search, int dir, const char *name, unsigned depth)
{
	auto_(close_at_exit) int inner = -1;
	struct stat st;
	int r;

	if (fstatat(dir, name, &st, AT_SYMLINK_NOFOLLOW) < 0)
		return errno == ENOENT ? 0 : -errno;
	if (!S_ISDIR(st.st_mode)) {
		if (content_find(search->list, search->path.data, search->path.len))
			return 0;
		if (is_importable(name))
			return found(search, "the file");
		if (S_ISLNK(st.st_mode) && fstatat(dir, name, &st, 0) == 0 && S_ISDIR(st.st_mode))
			return found(search, "the link to a directory");
		return 0;
	}
	if (strcmp(name, "__pycache__") == 0)
		return 0;
	if (depth == DEPTH_MAX)
		return found(search, "the directory");
	inner = openat(dir, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	/* Python cannot look into it either. */
	if (inner < 0)
		return errno == EACCES || errno == ENOENT ? 0 : -errno;
	r = text_add(&search->path, "/", 1);
	return r < 0 ? r : look_through(search, inner, depth + 1);
}

/* 0 nothing is found; 1; -errno. */
static int look_through(struct search *search, int dir, unsigned depth)
{
	int copy = fcntl(dir, F_DUPFD_CLOEXEC, 0);
	auto_(closedir_at_exit) DIR *entries = copy < 0 ? NULL : fdopendir(copy);
	size_t len = search->path.len;
	struct dirent *entry;
	int r = 0;

	if (!entries) {
		r = -errno;
		close_fd(&copy);
		return r;
	}
	while (r == 0 && (entry = readdir(entries))) {
		if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0)
			continue;
		search->path.len = len;
		r = text_add(&search->path, entry->d_name, strlen(entry->d_name));
		if (r == 0)
			r = look_at(search, dir, entry->d_name, depth);
	}
	return r;
}

int installed_unlisted(int dir, const struct content_list *list, struct reason *why)
{
	struct search search = {.list = list, .why = why};
	int r = look_through(&search, dir, 0);

	text_done(&search.path);
	return r;
}
