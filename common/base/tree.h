/*
 * tree: everything below this process, which has one thread, is a subreaper and has SIGCHLD
 * blocked: what its descendants leave comes to it. Links nothing but libc, takes no memory.
 */
#ifndef FLWR_BASE_TREE_H
#define FLWR_BASE_TREE_H

#include <stdint.h>

struct tree {
	uint64_t spared_ticks; /* children that are older are another's; 0: there are none */
	unsigned ended;        /* processes that tree_empty() has reaped */
};

/* Before this process starts anything: children that it has already, by an exec, are not its own.
 */
void tree_begin(struct tree *tree);

/*
 * KILL all children, reap them, and again, since their children come to this process, until there
 * are none; at most until bound_ms are over. This looks again at once while there is anybody new,
 * and waits for SIGCHLD otherwise. Processes that start others faster than they are killed are all
 * stopped before (below.h).
 * Returns how many are left: 0, or some that cannot be killed (of another user, in the kernel).
 */
unsigned tree_empty(struct tree *tree, int64_t bound_ms);

#endif
