/*
 * work: a task, worked on: its records as the program sees them, the call of its app or client,
 * and what that has answered. On the thread that runs the node.
 */
#ifndef FLWR_NODE_WORK_H
#define FLWR_NODE_WORK_H

#include "libflwr/app/call_internal.h"
#include "libflwr/node/settings.h"
#include "libflwr/node/task.h"

/* flwr_log() and the others call these meanwhile. */
struct work_hooks {
	const struct context_hooks *hooks;
	void *arg;
	int log_level; /* enum flwr_level */
};

/* Call whoever answers; the task has the answer then. */
void work_on(const struct settings *settings, const struct work_hooks *hooks, struct task *task);

#endif
