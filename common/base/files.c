/*
 * files: small files, directories to make and to remove, and where things lie.
 */
#include "common/base/files.h"

#include "common/base/cleanup.h"
#include "common/base/number.h"
#include "common/base/text.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/uio.h>

#define READ_PIECE_BYTES 4096
#define SLICES_AT_ONCE   64
#define PRIVATE_PATH_MAX 90 /* a socket's address has 108 bytes, and the socket needs a name */

static ssize_t read_again(int fd, void *buffer, size_t len)
{
	ssize_t n;

	do
		n = read(fd, buffer, len);
	while (n < 0 && errno == EINTR);
	return n;
}

int file_read(const char *path, size_t max_bytes, char **out, size_t *len_out)
{
	auto_(close_at_exit) int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY);
	auto_(text_done) struct text text = {0};
	char piece[READ_PIECE_BYTES];
	size_t len;
	ssize_t n;

	if (fd < 0)
		return -errno;
	/* The announced size is not asked for: files of the kernel have none, others grow. */
	while ((n = read_again(fd, piece, sizeof piece)) > 0) {
		if ((size_t)n > max_bytes - text.len)
			return -EFBIG;
		if (text_add(&text, piece, (size_t)n) < 0)
			return -ENOMEM;
	}
	if (n < 0)
		return -errno;
	len = text.len;
	*out = text_take(&text);
	if (!*out)
		return -ENOMEM;
	*len_out = len;
	return 0;
}

int fd_read_all(int fd, char *buffer, size_t max_bytes, size_t *len_out)
{
	char more;
	size_t len = 0;
	ssize_t n;

	do {
		/* A full buffer is read on by one byte, which is no secret: it only says -EFBIG. */
		n = len < max_bytes ? read_again(fd, buffer + len, max_bytes - len)
				    : read_again(fd, &more, 1);
		if (n > 0 && len == max_bytes)
			return -EFBIG;
		if (n > 0)
			len += (size_t)n;
	} while (n > 0);
	if (n < 0)
		return -errno;
	*len_out = len;
	return 0;
}

int fd_named(const char *text)
{
	uint64_t fd;

	if (strncmp(text, "fd:", 3) != 0)
		return -1;
	/* Standard output and error are written to. */
	if (number_u64(text + 3, &fd) || fd > INT_MAX || fd == STDOUT_FILENO || fd == STDERR_FILENO)
		return -EINVAL;
	return (int)fd;
}

int fd_write_all(int fd, const void *data, size_t len)
{
	const char *at = data;

	while (len > 0) {
		ssize_t n = write(fd, at, len);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return n < 0 ? -errno : -EIO;
		at += n;
		len -= (size_t)n;
	}
	return 0;
}

/* Write a part of list from byte *within of slice *i on, and move both on. The bytes that were
 * written, or -errno. */
static ssize_t pwrite_some(
	int fd, const struct slices *list, size_t *i, size_t *within, uint64_t offset)
{
	struct iovec parts[SLICES_AT_ONCE];
	ssize_t wrote;
	int n = 0;

	for (size_t at = *i; at < list->n && n < SLICES_AT_ONCE; at++, n++) {
		size_t skip = at == *i ? *within : 0;

		/* pwritev() only reads the bytes. */
		parts[n].iov_base = (void *)(uintptr_t)(list->v[at].data + skip);
		parts[n].iov_len = list->v[at].len - skip;
	}
	wrote = pwritev(fd, parts, n, (off_t)offset);
	if (wrote <= 0)
		return wrote < 0 ? -errno : -EIO;
	*within += (size_t)wrote;
	while (*i < list->n && *within >= list->v[*i].len)
		*within -= list->v[(*i)++].len;
	return wrote;
}

int fd_pwrite_slices(int fd, const struct slices *list, uint64_t offset)
{
	size_t i = 0, within = 0;

	while (i < list->n) {
		ssize_t wrote = pwrite_some(fd, list, &i, &within, offset);

		if (wrote < 0 && wrote != -EINTR)
			return (int)wrote;
		if (wrote > 0)
			offset += (uint64_t)wrote;
	}
	return 0;
}

static int directory_check(const char *path)
{
	struct stat st;

	if (stat(path, &st) < 0)
		return -errno;
	return S_ISDIR(st.st_mode) ? 0 : -ENOTDIR;
}

int dir_make(const char *path, mode_t mode)
{
	auto_(free_at_exit) char *copy = strdup(path);
	char *at;

	if (!copy)
		return -ENOMEM;
	if (directory_check(path) == 0)
		return 0;
	for (at = copy + 1; *copy && *at; at++) {
		if (*at != '/')
			continue;
		*at = '\0';
		/* mkdir() may fail here: a parent that exists may be unwritable. directory_check()
		 * tells in the end. */
		mkdir(copy, mode);
		*at = '/';
	}
	if (mkdir(path, mode) < 0 && errno != EEXIST)
		return -errno;
	return directory_check(path);
}

/* ---- removal: one open directory, whatever the depth; the way back up is checked by number ----
 */

struct removal {
	DIR *dir;        /* at hand */
	struct text way; /* struct stat's st_ino of each directory above */
	dev_t device;
	ino_t inode;   /* of the one at hand */
	unsigned left; /* entries that may be removed */
	unsigned deepest;
};

static void removal_done(struct removal *removal)
{
	if (removal->dir)
		closedir(removal->dir);
	text_done(&removal->way);
}

/* A directory whose owner has taken his own rights away gets them back; a failure shows later. */
static void rights_restore(int parent, const char *name)
{
	auto_(close_at_exit) int fd =
		openat(parent, name, O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	char path[64];

	if (fd < 0)
		return;
	snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
	if (chmod(path, 0700) < 0)
		return;
}

/* Make the directory name of parent the one at hand. */
static int removal_enter(struct removal *removal, int parent, const char *name)
{
	const int flags = O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC;
	auto_(close_at_exit) int fd = openat(parent, name, flags);
	struct stat st;
	DIR *dir;

	if (fd < 0 && errno == EACCES) {
		rights_restore(parent, name);
		fd = openat(parent, name, flags);
	}
	if (fd < 0 || fstat(fd, &st) < 0)
		return -errno;
	if (removal->device && st.st_dev != removal->device)
		return -EXDEV;
	if ((st.st_mode & 0700) != 0700 && fchmod(fd, 0700) < 0)
		return -errno;
	dir = fdopendir(fd);
	if (!dir)
		return -errno;
	take_fd(&fd); /* the stream's */
	if (removal->dir)
		closedir(removal->dir);
	removal->dir = dir;
	removal->device = st.st_dev;
	removal->inode = st.st_ino;
	return 0;
}

static int removal_descend(struct removal *removal, const char *name)
{
	ino_t above = removal->inode;
	int r;

	if (removal->way.len / sizeof above >= removal->deepest)
		return -ELOOP;
	r = text_add(&removal->way, &above, sizeof above);
	if (r == 0)
		r = removal_enter(removal, dirfd(removal->dir), name);
	return r;
}

static int removal_ascend(struct removal *removal)
{
	ino_t above;
	int r = removal_enter(removal, dirfd(removal->dir), "..");

	if (r < 0)
		return r;
	removal->way.len -= sizeof above;
	memcpy(&above, removal->way.data + removal->way.len, sizeof above);
	/* The directory was moved meanwhile: nothing above it is ours to remove. */
	return above == removal->inode ? 0 : -ESTALE;
}

/* Remove what can be at once. 0; 1: a directory that is not empty; -errno. */
static int entry_remove(int dir, const char *name)
{
	if (unlinkat(dir, name, 0) == 0 || errno == ENOENT)
		return 0;
	if (errno != EISDIR && errno != EPERM)
		return -errno;
	if (unlinkat(dir, name, AT_REMOVEDIR) == 0 || errno == ENOENT)
		return 0;
	if (errno == ENOTDIR)
		return -EPERM; /* of the file, above */
	return errno == ENOTEMPTY || errno == EEXIST ? 1 : -errno;
}

/* Empty the directory at hand or enter its first directory that is not empty. 0: empty; 1: entered.
 */
static int removal_step(struct removal *removal)
{
	struct dirent *entry;
	int r;

	while (errno = 0, (entry = readdir(removal->dir))) {
		if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0)
			continue;
		r = entry_remove(dirfd(removal->dir), entry->d_name);
		if (r > 0)
			r = removal_descend(removal, entry->d_name);
		else if (r == 0 && --removal->left > 0)
			continue;
		else if (r == 0)
			return -EINPROGRESS;
		return r < 0 ? r : 1;
	}
	return -errno;
}

int dir_remove_some(const char *path, unsigned max)
{
	auto_(removal_done) struct removal removal = {.left = max, .deepest = max};
	int r = entry_remove(AT_FDCWD, path);

	if (r <= 0)
		return r;
	r = removal_enter(&removal, AT_FDCWD, path);
	while (r >= 0) {
		r = removal_step(&removal);
		if (r == 0 && removal.way.len == 0)
			break;
		if (r == 0)
			r = removal_ascend(&removal);
	}
	if (r == 0 && rmdir(path) < 0 && errno != ENOENT)
		r = -errno;
	return r == -EINPROGRESS ? 1 : r;
}

int dir_remove(const char *path)
{
	int r;

	do {
		r = dir_remove_some(path, UINT_MAX);
	} while (r > 0);
	return r;
}

/* ---- where things lie ---- */

/* An environment variable that is set and not empty, or NULL. */
static const char *environment(const char *name)
{
	const char *value = getenv(name);

	return value && *value ? value : NULL;
}

char *path_flwr_home(const char *flwr_dir)
{
	if (flwr_dir)
		return strdup(flwr_dir);
	if (environment("FLWR_HOME"))
		return strdup(environment("FLWR_HOME"));
	if (environment("HOME"))
		return path_join(environment("HOME"), ".flwr");
	if (environment("XDG_DATA_HOME"))
		return path_join(environment("XDG_DATA_HOME"), ".flwr");
	return strdup("");
}

char *path_spool(const char *flwr_dir)
{
	if (flwr_dir)
		return strdup(flwr_dir);
	if (environment("TMPDIR"))
		return strdup(environment("TMPDIR"));
	if (access("/var/tmp", W_OK | X_OK) == 0)
		return strdup("/var/tmp");
	if (environment("XDG_RUNTIME_DIR"))
		return strdup(environment("XDG_RUNTIME_DIR"));
	return strdup("/tmp");
}

int path_flwr_home_older(const char *home, char **out)
{
	auto_(free_at_exit) char *chosen = NULL;
	auto_(free_at_exit) char *older = NULL;

	*out = NULL;
	if (environment("FLWR_HOME") || !environment("XDG_DATA_HOME"))
		return 0;
	chosen = path_flwr_home(NULL);
	older = path_join(environment("XDG_DATA_HOME"), ".flwr");
	if (!chosen || !older)
		return -ENOMEM;
	if (strcmp(home, chosen) == 0 && strcmp(home, older) != 0)
		*out = take_pointer(&older);
	return 0;
}

static int private_make(const char *base, char **out)
{
	auto_(free_at_exit) char *path = path_join(base, "flwr-XXXXXX");

	if (!path)
		return -ENOMEM;
	if (strlen(path) >= PRIVATE_PATH_MAX)
		return -ENAMETOOLONG;
	if (!mkdtemp(path))
		return -errno;
	*out = take_pointer(&path);
	return 0;
}

static int private_failed(struct reason *why, const char *base, int r)
{
	if (r == -ENAMETOOLONG)
		return reason_code(why, r,
			"the path of %s is too long for the sockets in it: name a directory with a path of at most %d bytes",
			base, PRIVATE_PATH_MAX - 1 - (int)strlen("/flwr-XXXXXX"));
	return reason_code(
		why, r, "no private directory could be made in %s: %s", base, strerrordesc_np(-r));
}

int dir_check(const char *path, struct reason *why)
{
	auto_(free_at_exit) char *at = strdup(path);
	struct stat st;
	int r;

	if (!at)
		return reason_code(why, -ENOMEM, "no memory");
	if (!*path)
		return reason_code(why, -EINVAL, "needs the path of a directory");
	/* Missing directories will be made in the nearest one that exists. */
	while ((r = stat(at, &st) < 0 ? -errno : 0) == -ENOENT) {
		char *slash = strrchr(at, '/');

		if (!slash || slash == at) {
			at[0] = slash ? '/' : '.';
			at[1] = '\0';
			r = stat(at, &st) < 0 ? -errno : 0;
			break;
		}
		*slash = '\0';
	}
	if (r == 0 && !S_ISDIR(st.st_mode))
		r = -ENOTDIR;
	if (r == 0 && access(at, W_OK | X_OK) < 0)
		r = -errno;
	return r ? reason_code(why, r, "%s cannot be written to: %s", path, strerrordesc_np(-r))
		 : 0;
}

int dir_make_private(const char *flwr_dir, char **out, struct reason *why)
{
	const char *const bases[] = {environment("XDG_RUNTIME_DIR"), environment("TMPDIR"), "/tmp"};
	const char *failed = NULL;
	int r = 0, first = 0;

	if (flwr_dir) {
		r = strlen(flwr_dir) < PRIVATE_PATH_MAX - strlen("/flwr-XXXXXX")
			    ? dir_make(flwr_dir, 0700)
			    : -ENAMETOOLONG;
		if (r == 0)
			r = private_make(flwr_dir, out);
		return r < 0 ? private_failed(why, flwr_dir, r) : 0;
	}
	/* A directory that is named but not usable (a container as another user) is passed over. */
	for (size_t i = 0; i < ARRAY_LEN(bases); i++) {
		if (!bases[i])
			continue;
		r = private_make(bases[i], out);
		if (r == 0)
			return 0;
		if (!failed) {
			failed = bases[i];
			first = r;
		}
	}
	return private_failed(why, failed, first);
}

int flwr_home_open(const char *flwr_dir, struct flwr_home *out, struct reason *why)
{
	auto_(free_at_exit) char *named = path_flwr_home(flwr_dir);
	int r;

	if (!named)
		return -ENOMEM;
	if (*named) {
		*out = (struct flwr_home){.path = take_pointer(&named)};
		return 0;
	}
	r = dir_make_private(NULL, &out->path, why);
	out->is_made = r == 0;
	return r;
}

void flwr_home_done(struct flwr_home *home)
{
	if (home->is_made)
		dir_remove(home->path);
	free(home->path);
	*home = (struct flwr_home){0};
}

int memfd_new(const char *name)
{
	int fd = memfd_create(name, MFD_CLOEXEC | MFD_ALLOW_SEALING);

	return fd < 0 ? -errno : fd;
}

uint64_t fd_limit_raise(void)
{
	struct rlimit limit;
	rlim_t before;

	if (getrlimit(RLIMIT_NOFILE, &limit) < 0)
		return 0;
	before = limit.rlim_cur;
	limit.rlim_cur = limit.rlim_max;
	if (setrlimit(RLIMIT_NOFILE, &limit) < 0)
		return before;
	return limit.rlim_cur;
}

char *path_join(const char *dir, const char *name)
{
	char *path = NULL;

	if (asprintf(&path, "%s/%s", dir, name) < 0)
		return NULL;
	return path;
}

/* 0, -ENOENT or -EACCES. */
static int file_check(const char *path)
{
	struct stat status;

	if (stat(path, &status) < 0)
		return errno == EACCES ? -EACCES : -ENOENT;
	return S_ISREG(status.st_mode) && access(path, X_OK) == 0 ? 0 : -EACCES;
}

/* Move path (malloc()ed, or NULL for no memory) to *out as an absolute one, if it can be executed.
 */
static int path_offer(char *path, char **out)
{
	auto_(free_at_exit) char *offered = path;
	auto_(free_at_exit) char *here = NULL;
	int r;

	if (!offered)
		return -ENOMEM;
	r = file_check(offered);
	if (r < 0)
		return r;
	if (*offered == '/') {
		*out = take_pointer(&offered);
		return 0;
	}
	here = getcwd(NULL, 0);
	if (!here)
		return -errno;
	*out = path_join(here, offered);
	return *out ? 0 : -ENOMEM;
}

/* 0, -ENOENT, -EACCES (there are some, none can be executed), -ENOMEM. */
static int search_path(const char *name, char **out)
{
	const char *dirs = getenv("PATH");
	int result = -ENOENT;

	for (const char *dir = dirs; dir; dir = *dir ? dir + 1 : NULL) {
		size_t len = strcspn(dir, ":");
		auto_(free_at_exit) char *folder = text_dup(len ? dir : ".", len ? len : 1);
		int r = folder ? path_offer(path_join(folder, name), out) : -ENOMEM;

		if (r == 0 || r == -ENOMEM)
			return r;
		if (r == -EACCES)
			result = r;
		dir += len;
	}
	return result;
}

int path_find_program(const char *name, char **out)
{
	if (!*name)
		return -ENOENT;
	return strchr(name, '/') ? path_offer(strdup(name), out) : search_path(name, out);
}
