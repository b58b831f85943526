/*
 * guests_rig: connections of workers with real sockets and a real gRPC server behind them, which
 * has one method. Time passes when a test says so.
 */
#ifndef FLWR_TEST_GUESTS_RIG_H
#define FLWR_TEST_GUESTS_RIG_H

#include "common/rpc/call.h"
#include "kit/log.h"
#include "kit/loop.h"
#include "supernode/workers/guests.h"

/* The last arguments of cut(), and how often it was called. */
struct cut {
	unsigned times;
	uint64_t token;
	uint64_t before; /* the token of the time before */
	int process;     /* taken over */
	bool idle;
	struct peer peer;
};

struct rig {
	struct loop *loop;
	struct rpc *rpc;
	struct kit_log log;
	struct guests *guests;
	struct rpc_server *server;
	bool down;
	struct peer peer;  /* of the last call */
	uint64_t live;     /* the one token that lives */
	uint64_t live_too; /* 0: no other one does */
	struct cut cut;
	unsigned held; /* so often held() was called */
	int found;     /* the process that was found last; taken over */
};

extern struct rig *rig; /* of the running test */

int setup(void **state);
/* The same for an owner that is told whose connection has ended. */
int setup_cutting(void **state);
int teardown(void **state);

/* kit_loop_until() for the loop of the test. */
#define run_until(condition) kit_loop_until(rig->loop, condition)

/* A socket that has connected. */
int dial(void);

/* A channel of its own connection. */
struct rpc_channel *channel_new(void);

/* The outcome of a call on it. */
enum outcome echo(struct rpc_channel *channel);

#endif
