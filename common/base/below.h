/*
 * below: processes below this one, however deep, that fork faster than they are killed one by one.
 * Links nothing but libc; reads /proc.
 */
#ifndef FLWR_BASE_BELOW_H
#define FLWR_BASE_BELOW_H

#include <stdbool.h>
#include <sys/types.h>

/* Is it about this child of this process, and all below it? */
typedef bool below_chosen_fn(void *arg, pid_t child);

/*
 * KILL the chosen children and all that is below them. All are stopped first: while they are there,
 * they count for what their user or control group may have, so that none is born for one that has
 * died. Blocks for some tens of milliseconds, or for five readings of /proc where these take
 * longer. Waits for nobody: the caller reaps, and calls again while there is somebody.
 */
void below_end(below_chosen_fn *chosen, void *arg);

#endif
