/*
 * run: a small program of ours that is asked something at the start, and answers by its exit
 * status. Private to common/launch.
 */
#ifndef FLWR_LAUNCH_RUN_H
#define FLWR_LAUNCH_RUN_H

/* Run argv (which ends in NULL, with an absolute path first) to its end. Its exit status, or
 * -errno. Blocks. Before there is a set of processes, which would take it for an orphan. */
int run_to_end(const char *const *argv);

#endif
