/*
 * group: control groups (v2) for the apps of workers: one each, below the group that this program
 * was started in, if that is for this program to divide. Main thread; blocks on files of the kernel
 * only. Private to common/launch.
 */
#ifndef FLWR_LAUNCH_GROUP_H
#define FLWR_LAUNCH_GROUP_H

#include "common/base/reason.h"

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

/* The limits that a group can hold. */
enum group_limit { GROUP_MEMORY, GROUP_CPUS, GROUP_PIDS, GROUP_LIMIT_N };

/* The group of this program, divided. */
struct groups;
/* The group of one app. */
struct group;

/*
 * The directory of the group that this program is in. 0 and a malloc()ed path; -errno with a
 * sentence: there is no such group, or it is not ours to divide. It is ours when a service manager
 * says so (systemd: Delegate=), when it is the whole of a container, or when it belongs to a user
 * that is not root and runs this program.
 */
int group_find_own(char **dir_out, struct reason *why);
/*
 * Is the group whose directory is dir ours to divide? whole: it is all that can be seen of the
 * hierarchy, as in a container. 0; -errno with a sentence that says what to do: -EROFS: it cannot
 * be written to, as in a unit of systemd with ProtectControlGroups=.
 */
int group_check(const char *dir, bool whole, struct reason *why);

/*
 * Divide the group whose directory is dir: all its processes go into a leaf of it, and its children
 * get the controllers that wanted names and that there are. 0; -errno with a sentence, and
 * everything is as before.
 */
int groups_new(
	const char *dir, const bool wanted[GROUP_LIMIT_N], struct groups **out, struct reason *why);
/* Put it together again, as far as that is possible. NULL is fine. */
void groups_free(struct groups *groups);

const char *groups_dir(const struct groups *groups);
/* Can its children hold this limit? */
bool groups_limit(const struct groups *groups, enum group_limit limit);

/*
 * Make the group of an app; name is a file name that no other has. Values of what is not limited
 * are 0: bytes of memory (without swap), CPUs, processes and threads. 0; -errno with a sentence.
 */
int group_new(struct groups *groups, const char *name, const uint64_t values[GROUP_LIMIT_N],
	struct group **out, struct reason *why);
/* The file into which a process writes "0" to become a member. Borrowed. */
const char *group_procs(const struct group *group);
/* Make a process a member, with what it starts from now on. 0 or -errno. */
int group_add(const struct group *group, pid_t pid);
/* Has the kernel killed members for want of memory, and whose limit was met? */
enum group_shortage {
	GROUP_NO_SHORTAGE,
	GROUP_OVER_LIMIT, /* the group's own */
	GROUP_SHORT,      /* that of a group above it, or all that the machine has */
};
enum group_shortage group_shortage(const struct group *group);
/* How many forks it has refused because of the limit. */
uint64_t group_pid_refusals(const struct group *group);
/* Kill what is left in it, and remove it; now, or when the next one is made. NULL is fine. */
void group_free(struct group *group);

#endif
