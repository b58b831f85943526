#include "clientapp/start/bounds.h"

#include "clientapp/start/cage.h"

#include <errno.h>
#include <grp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#define GROUPS_MAX 65536 /* as Linux has it */

static int failed(const char *what, int error)
{
	fprintf(stderr, "flwr-app-start: %s: %s\n", what, strerror(error));
	return EXIT_NOT_BEGUN;
}

/* The number at *text, up to end or the end of the text; *text moves behind it. */
static bool number_next(const char **text, int base, char end, unsigned long long *out)
{
	char *after;

	if (**text < '0' || **text > '9')
		return false;
	errno = 0;
	*out = strtoull(*text, &after, base);
	if (errno || (*after && *after != end))
		return false;
	*text = *after ? after + 1 : after;
	return true;
}

static bool number_whole(const char *text, int base, unsigned long long *out)
{
	return number_next(&text, base, '\0', out);
}

static int become(const char *user)
{
	static gid_t groups[GROUPS_MAX];
	unsigned long long uid = 0, gid = 0, group = 0;
	size_t n = 0;
	bool good = number_next(&user, 10, ':', &uid) && number_next(&user, 10, ',', &gid);

	while (good && *user && n < GROUPS_MAX) {
		good = number_next(&user, 10, ',', &group);
		groups[n++] = (gid_t)group;
	}
	if (!good || *user)
		return failed("-u", EINVAL);
	if (setgroups(n, groups) < 0 || setresgid((gid_t)gid, (gid_t)gid, (gid_t)gid) < 0 ||
		setresuid((uid_t)uid, (uid_t)uid, (uid_t)uid) < 0)
		return failed("cannot become the user of apps", errno);
	return 0;
}

static int limit_core(const char *text)
{
	struct rlimit limit;
	unsigned long long bytes;

	if (!number_whole(text, 10, &bytes))
		return failed("-c", EINVAL);
	if (getrlimit(RLIMIT_CORE, &limit) == 0) {
		limit.rlim_cur = bytes < limit.rlim_max ? (rlim_t)bytes : limit.rlim_max;
		if (setrlimit(RLIMIT_CORE, &limit) == 0)
			return 0;
	}
	return failed("cannot set the limit of core files", errno);
}

static int mask_files(const char *text)
{
	unsigned long long mask;

	if (!number_whole(text, 8, &mask) || mask > 0777)
		return failed("-m", EINVAL);
	umask((mode_t)mask);
	return 0;
}

int bounds_apply(const struct bounds *bounds)
{
	int opened = bounds->cage ? cage_open(bounds->cage) : 1;
	int r = opened < 0 ? EXIT_NOT_BEGUN : 0;

	if (r == 0 && bounds->core)
		r = limit_core(bounds->core);
	if (r == 0 && bounds->mask)
		r = mask_files(bounds->mask);
	if (r == 0 && bounds->user)
		r = become(bounds->user);
	if (r == 0 && bounds->directory && chdir(bounds->directory) < 0)
		r = failed(bounds->directory, errno);
	if (r == 0 && bounds->no_new_privileges && prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
		r = failed("cannot give up new privileges", errno);
	if (r == 0 && bounds->cage && cage_close(bounds->cage, opened == 0) < 0)
		r = EXIT_NOT_BEGUN;
	return r;
}

static bool reaches(const char *path)
{
	struct stat file;

	/* A directory need not be listed, a program need not be read. */
	return stat(path, &file) == 0 && access(path, file.st_mode & 0111 ? X_OK : R_OK) == 0;
}

int bounds_check(const char *user, char *const *paths)
{
	int r = become(user);

	for (int i = 0; r == 0 && paths[i]; i++)
		if (!reaches(paths[i]))
			r = i + 1;
	return r;
}

int bounds_probe(const char *user)
{
	bool opened = cage_mounts_open();
	int r = user ? become(user) : 0;
	int abi = cage_landlock_abi();

	if (r)
		return r;
	r = abi < BOUNDS_ABI_MAX ? abi : BOUNDS_ABI_MAX;
	if (!cage_mounts_possible(opened))
		return r;
	return r + BOUNDS_MOUNTS + (cage_mounts_again() ? BOUNDS_MOUNTS_AGAIN : 0);
}
