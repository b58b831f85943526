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

/* Flags of restrict_self (ABI 7): the machine's audit log gets no record of what is refused to the
 * code of an app, nor to domains that the app makes. An app could fill it. */
#define LOG_SAME_EXEC_OFF  (1U << 0)
#define LOG_SUBDOMAINS_OFF (1U << 2)

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

void cage_landlock_handles(int abi, bool tcp, struct cage_handled *out)
{
	*out = (struct cage_handled){.fs = abi >= 1 ? FS_ABI_1 : 0};
	if (abi >= 2)
		out->fs |= FS_REFER;
	if (abi >= 3)
		out->fs |= FS_TRUNCATE;
	if (abi >= 4 && tcp)
		out->net = NET_BIND_TCP | NET_CONNECT_TCP;
	if (abi >= 5)
		out->fs |= FS_IOCTL_DEV;
	if (abi >= 6)
		out->scopes = SCOPE_ABSTRACT_SOCKETS | SCOPE_SIGNALS;
	if (abi >= 7)
		out->flags = LOG_SAME_EXEC_OFF | LOG_SUBDOMAINS_OFF;
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
	if (covered || place_of(rules->description, "") != PLACE_ABOVE)
		return grant(rules, "/", rules->fs);
	int r = grant(rules, "/", FS_READ_DIR);
	if (r == 0)
		r = grant_beside(rules, dir);
	return r ? r : grant_named(rules);
}

/* The kernel reads fs, net and scopes, in this order. */
static int ruleset_make(const struct cage_handled *handled)
{
	const uint64_t attributes[] = {handled->fs, handled->net, handled->scopes};

	return (int)syscall(SYS_landlock_create_ruleset, attributes, sizeof attributes, 0);
}

int cage_landlock(const char *description, bool covered, int abi)
{
	char ports[PATH_MAX] = "";
	bool strict = cage_has(description, "strict", NULL);
	bool open = cage_has(description, "network", ports) && strcmp(ports, "all") == 0;
	struct ruleset rules = {.description = description};
	struct cage_handled handled;
	int r;

	if (abi < 1)
		return cage_failed("no Landlock", "", ENOSYS);
	cage_landlock_handles(abi, strict && !open, &handled);
	/* The filter of system calls allows TCP then. */
	if (strict && !open && ports[0] && !handled.net)
		return cage_failed("this kernel has no rules for ports", ports, ENOSYS);
	rules.fs = handled.fs;
	rules.fd = ruleset_make(&handled);
	if (rules.fd < 0)
		return cage_failed("no Landlock", "", errno);
	r = fill(&rules, strict, covered);
	if (r == 0 && handled.net && ports[0])
		r = grant_ports(&rules, ports);
	if (r == 0 && syscall(SYS_landlock_restrict_self, rules.fd, handled.flags) < 0)
		r = cage_failed("no Landlock", "", errno);
	close(rules.fd);
	return r;
}
