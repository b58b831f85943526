/*
 * slots: which message runs where: a worker for each message that is at work. Main thread. Knows
 * processes, and of messages only their numbers.
 */
#ifndef FLWR_SUPERVISOR_SLOTS_H
#define FLWR_SUPERVISOR_SLOTS_H

#include "common/launch/agent.h"

struct slots;

struct slots_ops {
	/* The worker of message ended without being asked to know more: error code and sentence for
	 * a reply. */
	void (*ended)(void *arg, uint64_t message, int64_t code, const char *reason);
	/* All its processes are gone. */
	void (*gone)(void *arg, uint64_t message);
};

/* agent is borrowed. NULL on no memory. */
struct slots *slots_new(struct log *log, struct agent *agent, bool stderr_in_replies,
	const struct slots_ops *ops, void *arg);
/* The workers must be gone, or killed right after. */
void slots_free(struct slots *slots);

/* Start a worker for message. 0; -errno with a sentence: no event comes. */
int slots_start(struct slots *slots, uint64_t message, const struct control_start *start,
	struct reason *why);
/* Its first sign of life has come. */
void slots_ready(struct slots *slots, uint64_t message);
/* TERM, grace, KILL; unknown numbers are ignored. */
void slots_stop(struct slots *slots, uint64_t message, int64_t grace_ms);
void slots_stop_all(struct slots *slots, int64_t grace_ms);

#endif
