/*
 * rig: a node of flower-supernode with stand-ins for all that surrounds it: SuperLink, workers,
 * processes, health. Time passes when a test says so. Programs with it are linked as the
 * CMakeLists.txt says.
 */
#ifndef FLWR_TEST_SUPERNODE_RIG_H
#define FLWR_TEST_SUPERNODE_RIG_H

#include "core/fixture.h"
#include "kit/clock.h"
#include "kit/log.h"
#include "kit/loop.h"
#include "supernode/run/fab_check.h"
#include "supernode/supernode_internal.h"

#define GRACE_MS  10000
#define ANSWER_MS (WORKER_GRACE_MS + 5000)
#define FETCH_MS  4000
#define TTL_S     3600

/* The arguments that the stand-ins were called with, and the results that they give. */
extern struct world {
	void (*fleet_left)(void *arg);
	void (*workers_left)(void *arg);
	void (*health_left)(void *arg);
	void *arg;
	fleet_push_fn *pushed;
	uint64_t pushed_message;
	int64_t pushed_code; /* of its error; 0: content */
	fleet_run_fn *run_done;
	fleet_fab_fn *fab_done;
	void *fab_arg; /* taken over by fab_done; NULL: no FAB is asked for */
	fab_check_fn *check_done;
	char checked_hash[128]; /* that the FAB should have */
	int check_result;
	unsigned pushes, pokes, offers, trims, starts, stops, all_stopped, checks_stopped;
	unsigned spares_stopped;
	uint64_t started;
	unsigned apps, checks; /* that are at work */
	bool online, serving;
	int start_result;
	uint64_t spooled_bytes;
} world;

/* The node. */
extern struct rig {
	struct fixture f;
	struct kit_log log;
	struct supernode node;
} rig;

int rig_setup(void **state);
/* Workers come for the messages. */
int rig_setup_coming(void **state);
int rig_teardown(void **state);

/* A message comes; nothing more is known of its run. */
void message_comes(void);
/* A message, and all that it needs: its worker is started. */
void come(void);
/* The last reply that was pushed has this outcome. */
void pushed(enum outcome outcome);
/* The last worker that was started is gone. */
void gone(void);
/* All parts have stopped. */
void parts_leave(void);

#endif
