/*
 * zygote_rig: a rig's agent with a zygote, whose apps say what they are. With it
 * memory_pressure_new() and memory_pressure_free() are wrapped.
 */
#ifndef FLWR_TESTS_ZYGOTE_RIG_H
#define FLWR_TESTS_ZYGOTE_RIG_H

#include "common/launch/agent.h"
#include "common/launch/zygote.h"
#include "rig.h"

#define IDLE_MS 600000

/* The arguments of the last memory_pressure_new(); how many there are. */
extern const char *short_group;
extern void (*short_fn)(void *arg);
extern void *short_arg;
extern unsigned watched;
extern unsigned
	n_taken; /* messages that a zygote has taken: its fork has to answer within a time */

struct keeper {
	char script[64];
	struct agent *agent;
};

/* load: lines of Python that define load(), and come before the bridge's; waits: an app that is
 * started plainly ends when its socket does. */
void keeper_init(struct keeper *keeper, struct rig *rig, const char *load);
/* installs: apps may install dependencies. */
void keeper_init_with(struct keeper *keeper, struct rig *rig, const char *load, bool installs);
void keeper_free(struct keeper *keeper);

/* Start the worker of a message. */
struct worker_process *begin(
	struct keeper *keeper, const char *name, uint64_t behaviour, struct seen *seen);
/* A message whose app says what it is, and ends with 0. */
void message(struct rig *rig, struct keeper *keeper, const char *name);
/* The same with another behaviour. */
void message_of(struct rig *rig, struct keeper *keeper, const char *name, uint64_t behaviour);
/* Did that message's app say so? */
bool said(struct rig *rig, const char *name, const char *what);
bool was_forked(struct rig *rig, const char *name);

/* The last number that follows text in the log. */
int last_of(struct rig *rig, const char *text);
int zygote_of(struct rig *rig);

/* Wait until so many forks have been made. */
void until_forks(struct rig *rig, unsigned n);
/* Wait until it has been ready so often, and has forked then. */
void until_ready(struct rig *rig, unsigned n);
/* The first message, after which the zygote is ready and has forked. */
void warm_up(struct rig *rig, struct keeper *keeper, const char *load);
/* Its pid. It is in its own session when it has become flwr-app-start. */
int stop_fork_ahead(struct rig *rig);

#endif
