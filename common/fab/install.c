#include "common/fab/install.h"

#include "common/base/cleanup.h"
#include "common/base/files.h"
#include "common/base/sha256.h"
#include "common/fab/manifest.h"
#include "common/fab/unpack.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

/* Directories in which something is being unpacked: ".<hash8>.<16 digits>.new", locked by who
 * unpacks. */
#define HASH_DIGITS    8 /* of a FAB's hash in the name of its directory */
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
	/* Removed while it is locked still, or another would do the same at the same time. */
	if (scratch->path)
		dir_remove(scratch->path);
	close_fd(&scratch->fd);
	free(scratch->path);
	scratch->path = NULL;
}

static void closedir_at_exit(DIR **dir)
{
	if (*dir)
		closedir(*dir);
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

	if (getrandom(&number, sizeof(number), 0) != sizeof(number))
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
		/* Not ours to remove when another has locked it: that one removes it. */
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

/* Move ours to where apps are looked for. 0, also when another was faster. */
static int publish(struct scratch *scratch, const char *target, struct reason *why)
{
	int r;

	/* The name must not reach the disk before the files do: a power cut would leave an app of
	 * empty files that counts as installed. Once for each FAB. */
	if (syncfs(scratch->fd) < 0)
		return failed(why, -errno, "write the app as", target);
	r = renameat2(AT_FDCWD, scratch->path, AT_FDCWD, target, RENAME_NOREPLACE);
	/* A file system without that flag: a directory never replaces one that has something in it.
	 */
	if (r < 0 && (errno == EINVAL || errno == ENOSYS))
		r = rename(scratch->path, target);
	if (r < 0) {
		if (errno == EEXIST || errno == ENOTEMPTY)
			return 0;
		return failed(why, -errno, "install the app as", target);
	}
	free(scratch->path);
	scratch->path = NULL;
	return 0;
}

static int unpack_app(struct bundle *bundle, const char *hash, const struct fab_limits *limits,
	const char *apps, const char *target, struct reason *why)
{
	auto_(content_done) struct content_list list = {0};
	auto_(scratch_done) struct scratch scratch = {.fd = -1};
	int r = unpack_check(bundle, limits, &list, why);

	if (r < 0)
		return r;
	r = dir_make(apps, 0755);
	if (r < 0)
		return failed(why, r, "make the directory", apps);
	sweep(apps);
	r = scratch_open(apps, hash, &scratch, why);
	if (r == 0)
		r = unpack_files(bundle, &list, scratch.fd, limits->files_max, why);
	return r < 0 ? r : publish(&scratch, target, why);
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

/* Is there an app already? 0 no, 1 yes, -errno. */
static int installed(const char *target, struct reason *why)
{
	struct stat st;

	if (stat(target, &st) < 0)
		return errno == ENOENT ? 0 : failed(why, -errno, "look at", target);
	return S_ISDIR(st.st_mode) ? 1 : failed(why, -ENOTDIR, "use", target);
}

/* Below the home or, when it is only there, below the older one. As installed(). *target_out is
 * malloc()ed. */
static int find_app(const char *apps, const char *older_home, const char *name, char **target_out,
	struct reason *why)
{
	auto_(free_at_exit) char *target = path_join(apps, name);
	auto_(free_at_exit) char *older_apps = older_home ? apps_path(older_home) : NULL;
	auto_(free_at_exit) char *older = older_apps ? path_join(older_apps, name) : NULL;
	int r;

	if (!target || (older_home && !older))
		return -ENOMEM;
	r = installed(target, why);
	/* What cannot be used there is no reason not to install the app here. */
	if (r == 0 && older && installed(older, NULL) > 0) {
		*target_out = take_pointer(&older);
		return 1;
	}
	*target_out = take_pointer(&target);
	return r;
}

int fab_install(const struct slices *content, const char *hash, const char *flwr_home,
	const char *older_home, const struct fab_limits *limits, struct manifest *manifest_out,
	char **dir_out, struct reason *why)
{
	auto_(bundle_free) struct bundle *bundle = NULL;
	auto_(manifest_done) struct manifest manifest = {0};
	auto_(free_at_exit) char *apps = NULL;
	auto_(free_at_exit) char *name = NULL;
	auto_(free_at_exit) char *target = NULL;
	int r;

	/* Its first digits become part of a path. */
	if (!sha256_is_hex(hash))
		return reason_code(why, -EBADMSG, "the FAB's announced hash is no SHA-256 hash");
	r = bundle_open(content, &bundle, why);
	if (r == 0)
		r = manifest_read(bundle, &manifest, why);
	if (r < 0)
		return r;
	apps = apps_path(flwr_home);
	name = manifest_directory(&manifest, hash, HASH_DIGITS);
	if (!apps || !name)
		return -ENOMEM;
	r = find_app(apps, older_home, name, &target, why);
	if (r == 0)
		r = unpack_app(bundle, hash, limits, apps, target, why);
	if (r < 0)
		return r;
	*dir_out = take_pointer(&target);
	*manifest_out = manifest;
	manifest = (struct manifest){0};
	return 0;
}
