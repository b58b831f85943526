/*
 * Landlock's part of a cage, for every version of its interface from 1 on; the system calls and
 * numbers are those of the kernel's documentation (userspace-api/landlock), since the C library has
 * none. Any domain keeps its processes from tracing others, reading their memory and changing
 * mounts; from ABI 6 on from signalling them and from connecting to their abstract sockets.
 */
#include "clientapp/start/cage_internal.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#define CREATE_RULESET_VERSION 1
#define RULE_PATH_BENEATH      1
#define RULE_NET_PORT          2

/* Rights to files, by bits. */
#define FS_EXECUTE    (1ULL << 0)
#define FS_WRITE_FILE (1ULL << 1)
#define FS_READ_FILE  (1ULL << 2)
#define FS_READ_DIR   (1ULL << 3)
#define FS_ABI_1      ((1ULL << 13) - 1)
#define FS_REFER      (1ULL << 13) /* ABI 2 */
#define FS_TRUNCATE   (1ULL << 14) /* ABI 3 */
#define FS_IOCTL_DEV  (1ULL << 15) /* ABI 5 */
#define FS_READ       (FS_EXECUTE | FS_READ_FILE | FS_READ_DIR)
/* A rule for a file that is no directory can have these rights. */
#define FS_OF_FILE (FS_EXECUTE | FS_WRITE_FILE | FS_READ_FILE | FS_TRUNCATE | FS_IOCTL_DEV)

#define NET_BIND_TCP    (1ULL << 0) /* ABI 4 */
#define NET_CONNECT_TCP (1ULL << 1)

#define SCOPE_ABSTRACT_SOCKETS (1ULL << 0) /* ABI 6 */
#define SCOPE_SIGNALS          (1ULL << 1)

struct ruleset_attributes {
	uint64_t fs, net, scopes;
};

struct path_rule {
	uint64_t rights;
	int32_t fd;
} __attribute__((packed));

struct port_rule {
	uint64_t rights, port;
};

/* The rules that are being made. */
struct ruleset {
	int fd;
	uint64_t fs; /* rights that are handled: refused where no rule grants them */
	const char *description;
};

int cage_landlock_abi(void)
{
	long abi = syscall(SYS_landlock_create_ruleset, NULL, 0, CREATE_RULESET_VERSION);

	return abi < 0 ? 0 : (int)abi;
}

static uint64_t fs_rights(int abi)
{
	return FS_ABI_1 | (abi >= 2 ? FS_REFER : 0) | (abi >= 3 ? FS_TRUNCATE : 0) |
	       (abi >= 5 ? FS_IOCTL_DEV : 0);
}

/* Grant rights to path and all below it. What is not there, or is a link, is left out. */
static int grant(const struct ruleset *rules, const char *path, uint64_t rights)
{
	struct path_rule rule = {.rights = rights & rules->fs};
	struct stat file;
	int r = 0;

	rule.fd = open(path, O_PATH | O_NOFOLLOW | O_CLOEXEC);
	if (rule.fd < 0 || fstat(rule.fd, &file) < 0) {
		r = errno == ENOENT || errno == EACCES || errno == ENOTDIR ? 0 : -errno;
	} else if (!S_ISLNK(file.st_mode)) {
		if (!S_ISDIR(file.st_mode))
			rule.rights &= FS_OF_FILE;
		/* Files of the kernel alone (EBADFD) need no grant. */
		if (rule.rights &&
			syscall(SYS_landlock_add_rule, rules->fd, RULE_PATH_BENEATH, &rule, 0) <
				0 &&
			errno != EBADFD)
			r = -errno;
	}
	if (rule.fd >= 0)
		close(rule.fd);
	return r < 0 ? cage_failed("no rule for", path, -r) : 0;
}

/* ---- all but what is hidden ---- */

enum place { PLACE_FREE, PLACE_HIDDEN, PLACE_ABOVE };

/* Is path hidden, above something hidden, or neither? */
static enum place place_of(const char *description, const char *path)
{
	size_t len = strlen(path);
	enum place place = PLACE_FREE;
	struct cage_rule rule;

	while (cage_rule_next(&description, &rule) > 0) {
		if (strcmp(rule.word, "hide") != 0 && strcmp(rule.word, "apps") != 0)
			continue;
		if (strcmp(rule.path, path) == 0)
			return PLACE_HIDDEN;
		if (strncmp(rule.path, path, len) == 0 && rule.path[len] == '/')
			place = PLACE_ABOVE;
	}
	return place;
}

static int grant_beside(const struct ruleset *rules, char *dir);

/* dir cannot be listed, but entered: go on with what lies above something hidden. */
static int grant_through(const struct ruleset *rules, char *dir)
{
	const char *text = rules->description;
	size_t len = strlen(dir);
	struct cage_rule rule;
	int r = 0;

	while (r == 0 && cage_rule_next(&text, &rule) > 0) {
		if ((strcmp(rule.word, "hide") != 0 && strcmp(rule.word, "apps") != 0) ||
			strncmp(rule.path, dir, len) != 0 || rule.path[len] != '/')
			continue;
		const char *slash = strchr(rule.path + len + 1, '/');

		if (!slash)
			continue;
		snprintf(dir, PATH_MAX, "%.*s", (int)(slash - rule.path), rule.path);
		r = grant_beside(rules, dir);
		dir[len] = '\0';
	}
	return r;
}

/* Grant everything in dir, which is above something hidden, but that. What is made right in dir
 * later is not granted: a right to dir itself would be one to all below it. dir has room for
 * PATH_MAX bytes and is the same afterwards; it has no slash at its end. */
static int grant_beside(const struct ruleset *rules, char *dir)
{
	size_t len = strlen(dir);
	DIR *entries = opendir(len ? dir : "/");
	struct dirent *entry;
	int r = 0;

	if (!entries)
		return grant_through(rules, dir);
	while (r == 0 && (entry = readdir(entries))) {
		if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0 ||
			len + strlen(entry->d_name) + 2 > PATH_MAX)
			continue;
		snprintf(dir + len, PATH_MAX - len, "/%s", entry->d_name);
		enum place place = place_of(rules->description, dir);

		if (place == PLACE_ABOVE)
			r = grant_beside(rules, dir);
		else if (place == PLACE_FREE)
			r = grant(rules, dir, rules->fs);
		dir[len] = '\0';
	}
	closedir(entries);
	return r;
}

/* ---- what is granted by name ---- */

static int grant_named(const struct ruleset *rules)
{
	const char *text = rules->description;
	struct cage_rule rule;
	int r = 0;

	while (r == 0 && cage_rule_next(&text, &rule) > 0) {
		if (strcmp(rule.word, "app") == 0 || strcmp(rule.word, "read") == 0)
			r = grant(rules, rule.path, FS_READ);
		else if (strcmp(rule.word, "app-rw") == 0 || strcmp(rule.word, "write") == 0 ||
			 strcmp(rule.word, "fresh") == 0)
			r = grant(rules, rule.path, rules->fs);
	}
	return r;
}

static int grant_ports(const struct ruleset *rules, const char *ports)
{
	while (*ports) {
		struct port_rule rule = {.rights = NET_CONNECT_TCP};
		char *end;

		rule.port = strtoul(ports, &end, 10);
		if (end == ports || rule.port > UINT16_MAX || (*end && *end != ','))
			return cage_failed("not ports:", ports, EINVAL);
		if (syscall(SYS_landlock_add_rule, rules->fd, RULE_NET_PORT, &rule, 0) < 0)
			return cage_failed("no rule for port", ports, errno);
		ports = end + (*end == ',');
	}
	return 0;
}

/* ---- */

static int fill(const struct ruleset *rules, bool strict, bool covered)
{
	char dir[PATH_MAX] = "";

	if (strict)
		return grant_named(rules);
	if (!rules->fs)
		return 0;
	if (covered || place_of(rules->description, "") != PLACE_ABOVE)
		return grant(rules, "/", rules->fs);
	int r = grant(rules, "/", FS_READ_DIR);
	if (r == 0)
		r = grant_beside(rules, dir);
	return r ? r : grant_named(rules);
}

int cage_landlock(const char *description, bool covered)
{
	char network[PATH_MAX] = "";
	int abi = cage_landlock_abi();
	bool strict = cage_has(description, "strict", NULL);
	bool open = cage_has(description, "network", network) && strcmp(network, "all") == 0;
	struct ruleset_attributes attributes = {.fs = abi ? fs_rights(abi) : 0};
	int r;

	/* The strict cage is Landlock's; of the other one mounts do most without it. */
	if (!abi)
		return strict || !covered ? cage_failed("no Landlock", "", ENOSYS) : 0;
	/* ABI 1 refuses every rename to another directory wherever it handles files. */
	if (abi == 1 && covered && !strict && geteuid() != 0)
		return 0;
	if (abi >= 4 && strict && !open)
		attributes.net = NET_BIND_TCP | NET_CONNECT_TCP;
	if (abi >= 6)
		attributes.scopes = SCOPE_ABSTRACT_SOCKETS | SCOPE_SIGNALS;
	struct ruleset rules = {.fs = attributes.fs, .description = description};
	rules.fd = (int)syscall(SYS_landlock_create_ruleset, &attributes, sizeof attributes, 0);
	if (rules.fd < 0)
		return cage_failed("no Landlock", "", errno);
	r = fill(&rules, strict, covered);
	if (r == 0 && attributes.net && network[0])
		r = grant_ports(&rules, network);
	if (r == 0 && syscall(SYS_landlock_restrict_self, rules.fd, 0) < 0)
		r = cage_failed("no Landlock", "", errno);
	close(rules.fd);
	return r;
}
