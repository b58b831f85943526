/*
 * spawn: one posix_spawn as all our processes are started. Main thread. Private to common/launch.
 */
#ifndef FLWR_LAUNCH_SPAWN_H
#define FLWR_LAUNCH_SPAWN_H

#include "common/launch/process.h"

/*
 * Start spec's program; out_fd and err_fd become its stdout and stderr (borrowed). 0 and *pid_out,
 * not yet reaped; -errno with a sentence.
 */
int spawn(const struct process_spec *spec, int out_fd, int err_fd, pid_t *pid_out,
	struct reason *why);

#endif
