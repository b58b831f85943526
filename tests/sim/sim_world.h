/*
 * sim_world: a node with all that surrounds it made up: SuperLink, workers, clock; and what must
 * hold after every step, whatever happened. One schedule is one world; all of it follows from its
 * seed.
 */
#ifndef FLWR_SIM_SIM_WORLD_H
#define FLWR_SIM_SIM_WORLD_H

#include "kit/by_token.h"
#include "supernode/core/node_internal.h"
#include "supernode/store/object_store.h"

#include <stdio.h>
#include <stdlib.h>

#define SIM_RUNS     4
#define SIM_MESSAGES 256
#define SIM_SERIES   2
#define SIM_SAMPLES  4

/* What the world knows of a message; its index is the node's number of it. */
struct sim_message {
	bool known;
	bool objects;           /* its form */
	unsigned sample;        /* what its objects are */
	struct object_set *set; /* these, while they are coming */
	unsigned reply_sample;  /* what its worker has announced last */
	uint64_t run;
	uint64_t token;
	bool started, stopped, ended, gone;
	unsigned pulls;
	bool pushing;
	const struct held_message *reply;
	unsigned pushes; /* told by NODE_PUSH_REPLY */
	bool too_large;  /* the last one was refused: one more may come */
	bool delivered;  /* NODE_PUSHED was reported */
	bool accepted;   /* a worker's outputs were */
	unsigned finished;
	int64_t code;
};

struct sim_run {
	uint64_t series; /* 0: of none */
	bool info_asked, fab_asked;
	bool overlap_told;
};

/* The last Context of a worker that was accepted, of a run or series. */
struct sim_context {
	bool any;
	uint64_t run; /* of the worker */
	struct slices bytes;
};

struct sim_objects;

struct sim_world {
	uint64_t seed;
	uint64_t random;
	unsigned step;
	struct node *node;
	struct budget budget;
	struct node_now now;
	struct sim_objects *objects; /* for all schedules */
	unsigned object_share;       /* one message in so many has objects; 0: none */
	uint64_t node_id;            /* 0: not registered */
	uint64_t next_id;
	unsigned slots;
	bool parallel; /* messages of one run may be at work at once */
	unsigned passed[SIM_RUNS]
		       [SIM_RUNS]; /* [a][b]: starts of b while a could start, and did not */
	unsigned starts[SIM_RUNS]; /* in this step; actions have not the order of turns */
	bool waited[SIM_RUNS];     /* it could start when the step began */
	bool workers_come; /* process isolation: no worker is started, they ask for tokens */
	bool quiet;        /* no allocation fails */
	bool calm;         /* little goes wrong: more is brought to its end */
	bool tight;        /* the budget is small: what series have left may give way */
	uint64_t last;
	struct sim_message messages[SIM_MESSAGES];
	struct sim_run runs[SIM_RUNS];
	struct sim_context contexts[SIM_RUNS + SIM_SERIES];
	unsigned long accepted, tasks, delivered, failed, dropped; /* for the summary */
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
/* The same for what goes wrong: much less often where it is calm. */
bool sim_mishap(struct sim_world *world, unsigned n);
/* The next one; *message_out: what the world has to know of it. */
void sim_make_message(
	struct sim_world *world, struct held_message *out, struct sim_message *message_out);
void sim_make_run(struct sim_world *world, uint64_t run_id, struct run *out);
#define SIM_HASH_BYTES 65
/* Of the run's FAB; two runs share one. */
void sim_hash(uint64_t run_id, char hash[SIM_HASH_BYTES]);
void sim_make_fab(struct sim_world *world, struct slices *content, struct manifest *manifest);
void sim_make_context(struct sim_world *world, uint64_t run, struct slices *out);
/* Of a worker of message; *valid_out: the node has to take it, unless it is over the budget or out
 * of memory. */
void sim_make_outputs(struct sim_world *world, uint64_t message, struct instruction_outputs *out,
	bool *valid_out);

/* ---- sim_objects.c ---- */

struct sim_objects *sim_objects_new(void);
void sim_objects_free(struct sim_objects *objects);
/* A set of which nothing is there; of SIM_SAMPLES: a Message with nothing below it. */
struct object_set *sim_objects_set(struct sim_world *world, unsigned sample);
/* A random object of sample comes, seldom the wrong one; it is there after sim_objects_wait(). */
void sim_objects_put(struct sim_world *world, struct object_set *set, unsigned sample);
void sim_objects_wait(struct sim_world *world);
bool sim_objects_out(const struct sim_world *world);
/* Of all that there are. */
uint64_t sim_objects_bytes(const struct sim_world *world);

/* ---- sim_task.c: steps ---- */

void sim_step_content(struct sim_world *world);
void sim_step_claim(struct sim_world *world);
void sim_step_pull_task(struct sim_world *world);
void sim_step_instruction(struct sim_world *world);
void sim_step_begin(struct sim_world *world);
void sim_step_reply_object(struct sim_world *world);
void sim_step_push_task(struct sim_world *world);

/* ---- sim_world.c ---- */

/* objects: borrowed. */
void sim_init(struct sim_world *world, struct sim_objects *objects, uint64_t seed);
/* From now on allocations fail, in worlds where they do. */
void sim_faults(struct sim_world *world);
/* A random message for which fits() holds; 0: none. */
uint64_t sim_pick(struct sim_world *world, bool (*fits)(const struct sim_message *message));
/* A run is over: the world forgets what workers left in it, but for its series. */
void sim_forget_run(struct sim_world *world, uint64_t run);
/* Keep what a worker left, to compare the next worker's inputs with it. */
void sim_keep_context(struct sim_world *world, uint64_t run, const struct slices *context);
/* What a worker of run got has to be what the last one left. */
void sim_check_context(struct sim_world *world, uint64_t run, const struct slices *context);
/* Do what the node wants, until it wants no more, and check it. */
void sim_pump(struct sim_world *world);
/* What must hold between any two events. */
void sim_invariants(struct sim_world *world);
void sim_done(struct sim_world *world);

#endif
