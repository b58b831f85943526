/*
 * sim_world: a node with all that surrounds it made up: SuperLink, workers, clock; and what must
 * hold after every step, whatever happened. One schedule is one world; all of it follows from its
 * seed.
 */
#ifndef FLWR_SIM_SIM_WORLD_H
#define FLWR_SIM_SIM_WORLD_H

#include "supernode/node/node_internal.h"

#include <stdio.h>
#include <stdlib.h>

#define SIM_RUNS     4
#define SIM_MESSAGES 256
#define SIM_WORKERS  256

/* What the world knows of a message; its index is the node's number of it. */
struct sim_message {
	bool known;
	uint64_t run;
	uint64_t token;
	bool started, stopped, ended, gone;
	unsigned pulls;
	bool pushing;
	const struct envelope *reply;
	unsigned pushes; /* told by NODE_PUSH_REPLY */
	bool too_large;  /* the last one was refused: one more may come */
	bool delivered;  /* NODE_PUSHED was reported */
	bool accepted;   /* a worker's outputs were */
	unsigned finished;
	int64_t code;
};

struct sim_run {
	bool info_asked, fab_asked;
	bool any_context; /* a worker's Context was accepted */
	struct slices context;
};

struct sim_world {
	uint64_t seed;
	uint64_t random;
	unsigned step;
	struct node *node;
	struct budget budget;
	struct node_now now;
	uint64_t node_id; /* 0: not registered */
	uint64_t next_id;
	unsigned slots;
	bool workers_come; /* process isolation: no worker is started, they ask for tokens */
	bool quiet;        /* no allocation fails */
	uint64_t last;
	struct sim_message messages[SIM_MESSAGES];
	struct sim_run runs[SIM_RUNS];
	unsigned long accepted, delivered, failed, dropped; /* for the summary */
};

/* Abort with the seed, unless condition holds. */
#define sim_check(world, condition)                                                                \
	do {                                                                                       \
		if (!(condition))                                                                  \
			sim_fail(world, #condition, __FILE__, __LINE__);                           \
	} while (0)

void sim_fail(const struct sim_world *world, const char *what, const char *file, int line)
	__attribute__((noreturn));

/* ---- sim_alloc.c ---- */

/* From now on one allocation in so many fails (0: none); from seed. */
void sim_alloc_set(unsigned one_in, uint64_t seed);

/* ---- sim_parts.c: made without failing allocations ---- */

uint64_t sim_random(uint64_t *state);
uint64_t sim_below(struct sim_world *world, uint64_t n);
bool sim_one_in(struct sim_world *world, unsigned n);
void sim_make_message(struct sim_world *world, struct envelope *out);
void sim_make_run(struct sim_world *world, uint64_t run_id, struct run *out);
void sim_make_fab(struct sim_world *world, struct slices *content, struct manifest *manifest);
/* Of a worker of message; *valid_out: the node has to take it, unless it is over the budget or out
 * of memory. */
void sim_make_outputs(struct sim_world *world, uint64_t message, struct instruction_outputs *out,
	bool *valid_out);

/* ---- sim_world.c ---- */

void sim_init(struct sim_world *world, uint64_t seed);
/* Do what the node wants, until it wants no more, and check it. */
void sim_pump(struct sim_world *world);
/* What must hold between any two events. */
void sim_invariants(struct sim_world *world);
void sim_done(struct sim_world *world);

#endif
