#include "common/fab/install.h"

#include "common/base/cleanup.h"
#include "common/base/files.h"
#include "common/base/sha256.h"
#include "common/base/text.h"
#include "common/fab/installed.h"
#include "common/fab/manifest.h"
#include "common/fab/unpack.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

/* Directories in which something is being unpacked: ".<hash8>.<16 digits>.new", locked by who
 * unpacks. */
#define HASH_DIGITS    8 /* of a FAB's hash in such a name */
#define FLOWER_DIGITS  8 /* and in the names of directories that Flower makes */
#define SCRATCH_SUFFIX ".new"
#define SCRATCH_DIGITS 16
#define SCRATCH_TRIES  16

/* A directory of our own beside the apps. Removed when it goes out of scope. */
struct scratch {
	int fd; /* holds the lock */
	char *path;
};

static void scratch_done(struct scratch *scratch)
{
	/* The directory is removed while it is locked, or another process would remove it at the
	 * same time. */
	if (scratch->path)
		dir_remove(scratch->path);
	close_fd(&scratch->fd);
	free(scratch->path);
	scratch->path = NULL;
}

static int failed(struct reason *why, int code, const char *what, const char *path)
{
	const char *text = strerrordesc_np(-code);

	return reason_code(
		why, code, "cannot %s %s: %s", what, path, text ? text : "unknown error");
}

static bool is_scratch(const char *name)
{
	static const char hex[] = "0123456789abcdef";
	const char *number = name + 1 + HASH_DIGITS + 1;

	return name[0] == '.' && strspn(name + 1, hex) == HASH_DIGITS && number[-1] == '.' &&
	       strspn(number, hex) == SCRATCH_DIGITS &&
	       strcmp(number + SCRATCH_DIGITS, SCRATCH_SUFFIX) == 0;
}

/*
 * Open and lock the directory at path. 0; -EAGAIN: somebody else has it, or it is no longer what
 * path names; -errno. Taking the lock and making or removing the name are not one step: so the name
 * is looked at again.
 */
static int lock_dir(const char *path, int *fd_out)
{
	auto_(close_at_exit) int fd = open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	struct stat ours, named;

	if (fd < 0)
		return errno == ENOENT ? -EAGAIN : -errno;
	if (flock(fd, LOCK_EX | LOCK_NB) < 0)
		return errno == EWOULDBLOCK ? -EAGAIN : -errno;
	if (fstat(fd, &ours) < 0)
		return -errno;
	if (lstat(path, &named) < 0)
		return errno == ENOENT ? -EAGAIN : -errno;
	if (ours.st_dev != named.st_dev || ours.st_ino != named.st_ino)
		return -EAGAIN;
	*fd_out = take_fd(&fd);
	return 0;
}

/* Remove what crashes left. Never an error: it is only in the way. */
static void sweep(const char *apps)
{
	auto_(closedir_at_exit) DIR *dir = opendir(apps);
	struct dirent *item;

	while (dir && (item = readdir(dir))) {
		auto_(free_at_exit) char *path = NULL;
		auto_(close_at_exit) int fd = -1;

		if (!is_scratch(item->d_name))
			continue;
		path = path_join(apps, item->d_name);
		if (path && lock_dir(path, &fd) == 0)
			dir_remove(path);
	}
}

static int scratch_try(const char *apps, const char *hash, struct scratch *out)
{
	auto_(free_at_exit) char *path = NULL;
	uint64_t number;
	int r;

	if (getrandom(&number, sizeof number, 0) != sizeof number)
		return -EIO;
	if (asprintf(&path, "%s/.%.*s.%016llx" SCRATCH_SUFFIX, apps, HASH_DIGITS, hash,
		    (unsigned long long)number) < 0) {
		path = NULL;
		return -ENOMEM;
	}
	if (mkdir(path, 0755) < 0)
		return errno == EEXIST ? -EAGAIN : -errno;
	r = lock_dir(path, &out->fd);
	if (r < 0) {
		/* A directory that another process has locked is removed by that process. */
		if (r != -EAGAIN)
			rmdir(path);
		return r;
	}
	out->path = take_pointer(&path);
	return 0;
}

static int scratch_open(const char *apps, const char *hash, struct scratch *out, struct reason *why)
{
	int r = -EAGAIN;

	for (int i = 0; i < SCRATCH_TRIES && r == -EAGAIN; i++)
		r = scratch_try(apps, hash, out);
	return r < 0 ? failed(why, r, "make a directory in", apps) : 0;
}

/* Move the unpacked app to its place among the apps. 0; -EEXIST: another was faster; -errno with a
 * sentence. */
static int publish(struct scratch *scratch, const char *target, struct reason *why)
{
	int r;

	r = renameat2(AT_FDCWD, scratch->path, AT_FDCWD, target, RENAME_NOREPLACE);
	/* The file system may lack the flag: a directory never replaces one that has something in
	 * it. */
	if (r < 0 && (errno == EINVAL || errno == ENOSYS))
		r = rename(scratch->path, target);
	if (r < 0) {
		if (errno == EEXIST || errno == ENOTEMPTY)
			return -EEXIST;
		return failed(why, -errno, "install the app as", target);
	}
	free(scratch->path);
	scratch->path = NULL;
	return 0;
}

/* ---- the app ---- */

/* An installation under way. */
struct installation {
	struct bundle *bundle;
	const struct fab_install_options *options;
	struct manifest manifest;
	struct content_list list;
	char *apps; /* absolute */
	struct reason *why;
	struct reason *note;
};

static void installation_done(struct installation *installation)
{
	content_done(&installation->list);
	manifest_done(&installation->manifest);
	free(installation->apps);
	bundle_free(&installation->bundle);
}

/* home/apps, absolute. NULL on no memory. */
static char *apps_path(const char *home)
{
	auto_(free_at_exit) char *here = NULL;
	auto_(free_at_exit) char *absolute = NULL;

	if (home[0] == '/')
		return path_join(home, "apps");
	here = getcwd(NULL, 0);
	absolute = here ? path_join(here, home) : NULL;
	return absolute ? path_join(absolute, "apps") : NULL;
}

/* home/apps, ours or root's as home is. Its descriptor; -ENOENT; -errno with a sentence. */
static int open_apps(const char *home, bool make, struct reason *why)
{
	auto_(close_at_exit) int dir = -1;
	struct reason cause = {0};
	int apps, r = make ? dir_make(home, 0755) : 0;

	if (r < 0)
		return failed(why, r, "make the directory", home);
	apps = dir = installed_open(AT_FDCWD, home, &cause);
	if (dir >= 0 && make && mkdirat(dir, "apps", 0755) < 0 && errno != EEXIST)
		return failed(why, -errno, "make the directory apps in", home);
	if (dir >= 0)
		apps = installed_open(dir, "apps", &cause);
	if (apps >= 0 || (apps == -ENOENT && !make))
		return apps;
	if (cause.text[0])
		return reason_code(why, apps, "cannot use apps in %s: %s", home, cause.text);
	return failed(why, apps, "use apps in", home);
}

static int changed_line(const struct content_list *list)
{
	size_t i = 0;

	while (!list->v[i].differs)
		i++;
	return (int)i;
}

/* Set the sentence about files that differ from the FAB's. */
static void tell_changed(
	const struct content_list *list, int n, const char *rest, struct reason *out)
{
	const struct content_line *line = &list->v[changed_line(list)];
	char quoted[160];

	text_quote(line->path, line->path_len, quoted, sizeof quoted);
	reason_set(out, "the installed app was changed: %s%s is not as in its FAB%s", quoted,
		n > 1 ? " (and others)" : "", rest);
}

/* Unpack all into a directory beside the app's. */
static int unpack_new(struct installation *installation, struct scratch *scratch)
{
	const struct fab_install_options *options = installation->options;
	int r;

	sweep(installation->apps);
	r = scratch_open(installation->apps, options->hash, scratch, installation->why);
	if (r == 0)
		r = unpack_files(installation->bundle, &installation->list, scratch->fd,
			options->limits.files_max, installation->why);
	return r;
}

/* The directory of a file below dir, whatever lies in its way; *name_out is the file's own name.
 * The descriptor or -errno. */
static int make_way(int dir, const char *path, const char **name_out)
{
	auto_(close_at_exit) int at = fcntl(dir, F_DUPFD_CLOEXEC, 0);
	char name[NAME_MAX + 1];

	for (const char *slash; at >= 0 && (slash = strchr(path, '/')); path = slash + 1) {
		const int flags = O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC;
		int next;

		memcpy(name, path, (size_t)(slash - path));
		name[slash - path] = '\0';
		next = openat(at, name, flags);
		if (next < 0 && (errno == ENOTDIR || errno == ELOOP))
			unlinkat(at, name, 0);
		if (next < 0 &&
			(mkdirat(at, name, 0755) < 0 || (next = openat(at, name, flags)) < 0))
			return -errno;
		close_fd(&at);
		at = next;
	}
	*name_out = path;
	return at < 0 ? -errno : take_fd(&at);
}

/* Move a file from the scratch directory over what lies in its place. */
static int replace_file(int from, int dir, const char *target, const struct content_line *line)
{
	auto_(close_at_exit) int parent = -1;
	auto_(free_at_exit) char *path = text_dup(line->path, line->path_len);
	auto_(free_at_exit) char *whole = path ? path_join(target, path) : NULL;
	const char *name = NULL;
	int r;

	if (!whole)
		return -ENOMEM;
	parent = make_way(dir, path, &name);
	if (parent < 0)
		return parent;
	if (renameat(from, path, parent, name) == 0)
		return fsync(parent) < 0 ? -errno : 0;
	if (errno != EISDIR && errno != ENOTEMPTY && errno != EEXIST)
		return -errno;
	r = dir_remove(whole);
	return r == 0 && renameat(from, path, parent, name) < 0 ? -errno : r;
}

/* Files that an app has written beside its own stay. */
static int repair(struct installation *installation, int dir, const char *target, int n)
{
	auto_(scratch_done) struct scratch scratch = {.fd = -1};
	int r = unpack_new(installation, &scratch);

	for (size_t i = 0; r == 0 && i < installation->list.n; i++) {
		if (!installation->list.v[i].differs)
			continue;
		r = replace_file(scratch.fd, dir, target, &installation->list.v[i]);
		if (r < 0)
			failed(installation->why, r, "put right the app in", target);
	}
	if (r == 0)
		tell_changed(&installation->list, n, ": put right", installation->note);
	return r;
}

/*
 * Remove bytecode beside the listed sources: Python believes it when it bears a source's size and
 * time, and any app could have left it. Where that is not allowed, nobody else of this user has
 * left it either. 0 or -ENOMEM.
 */
static int drop_bytecode(const char *target, const struct content_list *list)
{
	auto_(free_at_exit) char *last = NULL;

	for (size_t i = 0; i < list->n; i++) {
		const struct content_line *line = &list->v[i];
		const char *slash = memrchr(line->path, '/', line->path_len);
		size_t len = slash ? (size_t)(slash - line->path) : 0;
		char *cache;

		if (line->path_len < 3 || memcmp(line->path + line->path_len - 3, ".py", 3) != 0)
			continue;
		if (asprintf(&cache, "%s/%.*s/__pycache__", target, (int)len, line->path) < 0)
			return -ENOMEM;
		/* The list is sorted: most files follow one of their directory. */
		if (!last || strcmp(last, cache) != 0)
			(void)dir_remove(cache);
		free(last);
		last = cache;
	}
	return 0;
}

/*
 * Does the directory name of apps serve? 0 it is not there, or no use and not ours to change; 1 it
 * does; -errno, -EBADMSG.
 */
static int try_installed(struct installation *installation, int apps, const char *name,
	const char *target, bool ours)
{
	auto_(close_at_exit) int dir = -1;
	struct reason cause = {0};
	bool strict = installation->options->strict;
	int n, r;

	dir = installed_open(apps, name, &cause);
	if (dir < 0 && (dir == -ENOENT || !ours))
		return 0;
	if (dir < 0)
		return cause.text[0] ? reason_code(installation->why, dir, "cannot use %s: %s",
					       target, cause.text)
				     : failed(installation->why, dir, "use", target);
	n = installed_compare(dir, &installation->list);
	if (n < 0)
		return n;
	if (n > 0 && !ours)
		return 0;
	if (n > 0 && strict) {
		tell_changed(&installation->list, n, "", installation->why);
		return -EBADMSG;
	}
	r = strict ? installed_unlisted(dir, &installation->list, ours ? installation->why : NULL)
		   : 0;
	if (r > 0)
		return ours ? -EBADMSG : 0;
	if (r == 0 && n > 0)
		r = repair(installation, dir, target, n);
	if (r == 0)
		r = drop_bytecode(target, &installation->list);
	return r < 0 ? r : 1;
}

/* Try the app of Flower's own installation, below a home that is not changed. Results as of
 * try_installed(); *target_out is malloc()ed on 1. */
static int try_flowers(struct installation *installation, const char *home, char **target_out)
{
	auto_(free_at_exit) char *apps = apps_path(home);
	auto_(free_at_exit) char *name = manifest_directory(
		&installation->manifest, installation->options->hash, FLOWER_DIGITS);
	auto_(free_at_exit) char *target = apps && name ? path_join(apps, name) : NULL;
	auto_(close_at_exit) int dir = -1;
	int r;

	if (!target)
		return -ENOMEM;
	dir = open_apps(home, false, NULL);
	r = dir < 0 ? 0 : try_installed(installation, dir, name, target, false);
	if (r > 0)
		*target_out = take_pointer(&target);
	return r;
}

static int install_new(struct installation *installation, const char *target)
{
	auto_(scratch_done) struct scratch scratch = {.fd = -1};
	auto_(close_at_exit) int apps =
		open_apps(installation->options->flwr_home, true, installation->why);
	int r = apps < 0 ? apps : unpack_new(installation, &scratch);

	if (r == 0)
		r = publish(&scratch, target, installation->why);
	if (r == 0 && fsync(apps) < 0)
		r = failed(installation->why, -errno, "write", installation->apps);
	return r;
}

/* *target_out is malloc()ed. */
static int find_or_make(struct installation *installation, char **target_out)
{
	const struct fab_install_options *options = installation->options;
	auto_(free_at_exit) char *name =
		manifest_directory(&installation->manifest, options->hash, SHA256_HEX_BYTES - 1);
	auto_(free_at_exit) char *target = name ? path_join(installation->apps, name) : NULL;
	auto_(close_at_exit) int apps = -1;
	int r;

	if (!target)
		return -ENOMEM;
	apps = open_apps(options->flwr_home, false, installation->why);
	if (apps < 0 && apps != -ENOENT)
		return apps;
	r = apps < 0 ? 0 : try_installed(installation, apps, name, target, true);
	if (r == 0)
		r = try_flowers(installation, options->flwr_home, target_out);
	if (r == 0 && options->older_home)
		r = try_flowers(installation, options->older_home, target_out);
	if (r == 0)
		r = install_new(installation, target);
	if (r == -EEXIST) {
		/* A directory that was made meanwhile is checked as one that was there before. */
		close_fd(&apps);
		apps = open_apps(options->flwr_home, false, installation->why);
		r = apps < 0 ? apps : try_installed(installation, apps, name, target, true);
	}
	if (r < 0)
		return r;
	if (!*target_out)
		*target_out = take_pointer(&target);
	return 0;
}

int fab_install(const struct slices *content, const struct fab_install_options *options,
	struct manifest *manifest_out, char **dir_out, struct reason *why)
{
	auto_(installation_done) struct installation installation = {
		.options = options, .why = why, .note = options->note};
	char *target = NULL;
	int r;

	/* The hash becomes part of a path. */
	if (!sha256_is_hex(options->hash))
		return reason_code(why, -EBADMSG, "the FAB's announced hash is no SHA-256 hash");
	r = bundle_open(content, &installation.bundle, why);
	if (r == 0)
		r = manifest_read(installation.bundle, &installation.manifest, why);
	if (r == 0)
		r = unpack_check(installation.bundle, &options->limits, &installation.list, why);
	if (r < 0)
		return r;
	installation.apps = apps_path(options->flwr_home);
	if (!installation.apps)
		return -ENOMEM;
	r = find_or_make(&installation, &target);
	if (r < 0)
		return r;
	*dir_out = target;
	*manifest_out = installation.manifest;
	installation.manifest = (struct manifest){0};
	return 0;
}
