/*
 * agent_internal: what agent.c and worker_process.c share. Private to common/launch.
 */
#ifndef FLWR_LAUNCH_AGENT_INTERNAL_H
#define FLWR_LAUNCH_AGENT_INTERNAL_H

#include "common/launch/agent.h"

#include <sys/queue.h>

struct agent {
	struct loop *loop;
	struct log *log;
	const struct launch_options *options;
	const struct app_bounds *bounds;         /* may be NULL */
	const struct dependencies *dependencies; /* may be NULL */
	const struct launch_paths *paths;
	struct launch_paths installed; /* paths, when none were given */
	struct process_set *set;
	LIST_HEAD(, worker_process) workers; /* linked by worker_process.c */
};

/* Free it, whatever state it is in; its processes are not touched. */
void worker_process_free(struct worker_process *worker);

#endif
