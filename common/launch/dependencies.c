#include "common/launch/dependencies.h"

#include "common/base/cleanup.h"
#include "common/base/files.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define OPTION           "--allow-runtime-dependency-installation"
#define FOLDER           "dependencies"
#define TIMEOUT_MS       600000
#define WRITTEN_BY_OTHER (S_IWGRP | S_IWOTH)

/* ---- the options ---- */

/* index may be NULL. */
static bool is_none(const char *index)
{
	return index && strcmp(index, "none") == 0;
}

static bool is_folder(const char *index)
{
	return index && !is_none(index) && !strstr(index, "://");
}

static int check_index(const char *index, struct reason *why)
{
	struct stat file;

	if (!*index)
		return reason_code(why, -EINVAL,
			"--dependency-index needs a URL, a directory of wheels, or none");
	if (!is_folder(index))
		return 0;
	if (stat(index, &file) < 0)
		return reason_code(
			why, -errno, "--dependency-index %s: %s", index, strerror(errno));
	return S_ISDIR(file.st_mode)
		       ? 0
		       : reason_code(why, -ENOTDIR,
				 "--dependency-index %s is no directory of wheels", index);
}

int dependencies_check(struct launch_options *options, struct reason *why)
{
	if (!options->installs_dependencies && options->dependency_index)
		return reason_code(why, -EINVAL,
			"--dependency-index has no effect without " OPTION ": give both or none");
	if (!options->installs_dependencies && options->dependency_timeout_ms >= 0)
		return reason_code(why, -EINVAL,
			"--dependency-timeout has no effect without " OPTION ": give both or none");
	if (options->dependency_timeout_ms < 0)
		options->dependency_timeout_ms = TIMEOUT_MS;
	return options->dependency_index ? check_index(options->dependency_index, why) : 0;
}

void dependencies_warn(const struct launch_options *options, struct log *log)
{
	const char *index = options->dependency_index;

	if (!options->installs_dependencies)
		return;
	if (is_none(index))
		log_warn(log, OPTION
			" with --dependency-index none installs nothing: an app whose dependencies are not there is refused");
	else if (is_folder(index))
		log_warn(log, OPTION ": apps choose what is installed for them out of %s", index);
	else
		log_warn(log, OPTION
			": apps choose packages, which are downloaded and installed for them; code of these packages runs as the user of the apps");
}

/* ---- the folder ---- */

static int failed(struct reason *why, int code, const char *what, const char *path)
{
	return reason_code(why, code, OPTION ": %s %s: %s", what, path, strerror(-code));
}

/* Open name below dir, made if it is not there. The descriptor, or -errno with a sentence. */
static int enter(int dir, const char *name, mode_t mode, const char *whole, struct reason *why)
{
	int fd;

	if (mkdirat(dir, name, mode) < 0 && errno != EEXIST)
		return failed(why, -errno, "cannot make", whole);
	fd = openat(dir, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	return fd < 0 ? failed(why, -errno, "cannot use", whole) : fd;
}

static int somebody_elses(const char *path, struct reason *why)
{
	return reason_code(why, -EPERM,
		OPTION ": %s belongs to somebody else, or others may write to it", path);
}

/* The directory that fd is has to be of the apps' user alone. */
static int give(int fd, uid_t uid, gid_t gid, const char *path, struct reason *why)
{
	struct stat file;

	if (fstat(fd, &file) < 0)
		return failed(why, -errno, "cannot use", path);
	if ((file.st_uid != uid && file.st_uid != geteuid()) || (file.st_mode & WRITTEN_BY_OTHER))
		return somebody_elses(path, why);
	if (file.st_uid != uid && fchown(fd, uid, gid) < 0)
		return failed(why, -errno, "cannot give away", path);
	if ((file.st_mode & 07777) != 0700 && fchmod(fd, 0700) < 0)
		return failed(why, -errno, "cannot use", path);
	return 0;
}

static int check_parent(int fd, const char *path, struct reason *why)
{
	struct stat file;

	if (fstat(fd, &file) < 0)
		return failed(why, -errno, "cannot use", path);
	if ((file.st_uid != geteuid() && file.st_uid != 0) || (file.st_mode & WRITTEN_BY_OTHER))
		return somebody_elses(path, why);
	return 0;
}

static int make_folder(const char *path, uid_t uid, gid_t gid, struct reason *why)
{
	auto_(close_at_exit) int all = -1;
	auto_(close_at_exit) int own = -1;
	const char *name = strrchr(path, '/') + 1;
	auto_(free_at_exit) char *parent = strndup(path, (size_t)(name - path - 1));
	int r;

	if (!parent)
		return -ENOMEM;
	all = enter(AT_FDCWD, parent, 0755, parent, why);
	r = all < 0 ? all : check_parent(all, parent, why);
	if (r < 0)
		return r;
	own = enter(all, name, 0700, path, why);
	return own < 0 ? own : give(own, uid, gid, path, why);
}

/* ---- what an app process is told ---- */

static int set_env(
	char **env, const char *root, const struct launch_options *options, struct reason *why)
{
	const char *given = options->dependency_index;
	auto_(free_at_exit) char *index = NULL;

	if (is_folder(given)) {
		index = realpath(given, NULL);
		if (!index)
			return reason_code(
				why, -errno, "--dependency-index %s: %s", given, strerror(errno));
	}
	if (asprintf(&env[0], "FLWR_APP_DEPENDENCIES=%s", root) < 0 ||
		asprintf(&env[1], "FLWR_APP_DEPENDENCY_TIMEOUT=%" PRId64 ".%03d",
			options->dependency_timeout_ms / 1000,
			(int)(options->dependency_timeout_ms % 1000)) < 0)
		return -ENOMEM;
	if (given && asprintf(&env[2], "FLWR_APP_DEPENDENCY_INDEX=%s", index ? index : given) < 0)
		return -ENOMEM;
	return 0;
}

int dependencies_init(struct dependencies *dependencies, const struct launch_options *options,
	const char *flwr_home, const struct app_user *user, struct reason *why)
{
	auto_(free_at_exit) char *home = NULL;
	auto_(free_at_exit) char *root = NULL;
	uid_t uid = geteuid();
	gid_t gid = getegid();
	char *rest;
	int r;

	*dependencies = (struct dependencies){.env = {NULL}};
	if (!options->installs_dependencies)
		return 0;
	if (user) {
		uid = (uid_t)strtoul(user->ids, &rest, 10);
		gid = (gid_t)strtoul(rest + 1, NULL, 10);
	}
	r = dir_make(flwr_home, 0755);
	if (r < 0)
		return failed(why, r, "cannot make", flwr_home);
	home = realpath(flwr_home, NULL);
	if (!home)
		return failed(why, -errno, "cannot use", flwr_home);
	if (asprintf(&root, "%s/" FOLDER "/%u", home, (unsigned int)uid) < 0) {
		root = NULL;
		return -ENOMEM;
	}
	r = make_folder(root, uid, gid, why);
	if (r == 0)
		r = set_env(dependencies->env, root, options, why);
	if (r < 0)
		dependencies_done(dependencies);
	return r;
}

const char *dependencies_folder(const struct dependencies *dependencies)
{
	return dependencies && dependencies->env[0] ? strchr(dependencies->env[0], '=') + 1 : NULL;
}

void dependencies_done(struct dependencies *dependencies)
{
	for (size_t i = 0; i < ARRAY_LEN(dependencies->env); i++)
		free(dependencies->env[i]);
	*dependencies = (struct dependencies){.env = {NULL}};
}
