/*
 * node_rig: a node and its program, which the test is, with a stand-in for the session, which a
 * test plays on the engine's thread.
 */
#ifndef FLWR_TEST_NODE_RIG_H
#define FLWR_TEST_NODE_RIG_H

#include "common/base/cleanup.h"
#include "kit/test.h"
#include "libflwr/node/engine.h"
#include "libflwr/node/session.h"
#include "libflwr/node/task.h"

#include <flwr/client.h>

#include <pthread.h>
#include <stdatomic.h>

/* A session. */
struct play {
	struct session session;
	struct session_options options;
	struct task *task;
	struct slices kept;  /* of the last reply, as a network would */
	struct slices state; /* of the Context, encoded */
	bool keep;
	int stops, skipped;
};

extern struct world {
	struct play *play; /* the engine's thread; read by the test when that is at rest */
	int refuse;        /* what session_bidi_new() returns */
	bool hopeless;     /* a session ends at once */
	atomic_int gone, made;
} world;

/* The arguments of the callbacks of the program, and what these do. */
struct program {
	struct flwr_node *node;
	pthread_t thread; /* of the last callback */
	char lines[2000];
	int calls, releases;
	enum flwr_node_state state_inside;
	int step_inside;
	bool stop_inside, stopping_before, stopping_after;
	void (*inside)(void);
	bool fail;
	bool fail_in_lines;
	bool keep_state; /* as large as travels by reference */
};

extern struct program program;

/* Run a function on the engine's thread, after all that was posted there before. */
void on_engine(void (*run)(void));
/* For on_engine(): nothing; a task comes. */
void nothing(void);
void send_task(void);

/* Options for a node of this program. */
struct flwr_options options_of(void);

int setup(void **state);
int teardown(void **state);

/* Step the node; and step it until it has a session. */
int step(void);
void start(void);
/* Does its descriptor say that it should be stepped? */
bool readable(void);

#define RIG_TEST(test) cmocka_unit_test_setup_teardown(test, setup, teardown)

#endif
