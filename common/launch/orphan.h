/*
 * orphan: children of this program that it did not start: they came to it, as subreaper or PID 1,
 * when their parents died. Main thread. Private to common/launch.
 */
#ifndef FLWR_LAUNCH_ORPHAN_H
#define FLWR_LAUNCH_ORPHAN_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

/* Now, on the scale of the start times of processes. */
uint64_t orphan_ticks_now(void);

/* Is pid in the table of the caller? Its children are no orphans. */
typedef bool orphan_known_fn(void *arg, pid_t pid);

enum orphan_kill {
	ORPHAN_LEAVE,
	ORPHAN_KILL,
	ORPHAN_KILL_BELOW /* with all that is below them, stopped before: it forks on and on */
};

/*
 * Reap every unknown child that has ended; first KILL them all, if so told. Those that are older
 * than born_ticks are another's business (they were inherited by an exec) and never killed; as PID
 * 1 they are reaped too. Never waits. Returns how many of ours are still there, with one of them in
 * *left_out; -errno when the children could not be listed to the end.
 */
int orphan_sweep(uint64_t born_ticks, enum orphan_kill how, orphan_known_fn *known, void *arg,
	pid_t *left_out);

#endif
