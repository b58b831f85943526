/*
 * launcher_process: another launcher program (--clientapp-command without a token): it asks the
 * worker API for messages and starts their workers itself. It runs as long as the node does:
 * whenever it ends it is started again, after a wait. Main thread. Knows no messages.
 */
#ifndef FLWR_RUN_LAUNCHER_PROCESS_H
#define FLWR_RUN_LAUNCHER_PROCESS_H

#include "common/launch/agent.h"

/* Waits before it is started again: doubled from the first to the last, until a worker has come. */
#define LAUNCHER_AGAIN_MS     1000
#define LAUNCHER_AGAIN_MAX_MS 60000

struct launcher_process;

/* Borrowed for as long as it is there. */
struct launcher_process_options {
	struct loop *loop;
	struct log *log;
	struct agent *agent;
	const char *address; /* of the worker API */
	const char *flwr_home;
	const char *command; /* template (launch/command.h) */
	enum log_level log_level;
	void (*gone)(void *arg); /* every process of it is gone, perhaps for now */
	void *arg;
};

/* Start it, from the loop. NULL on no memory. */
struct launcher_process *launcher_process_new(const struct launcher_process_options *options);
/* The launcher must be gone, or killed right after. NULL is fine. */
void launcher_process_free(struct launcher_process *launcher);

/* A worker has come: the launcher does its work. */
void launcher_process_ready(struct launcher_process *launcher);
/* TERM, grace, KILL; it is not started again. */
void launcher_process_stop(struct launcher_process *launcher, int64_t grace_ms);

#endif
