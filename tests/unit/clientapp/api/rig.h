/*
 * rig: a SuperNode that a test plays, over a real connection, in a time that passes when the test
 * says so; and what is seen of whoever calls it. Programs with it are linked as the CMakeLists.txt
 * says.
 */
#ifndef FLWR_TEST_CLIENTAPP_APPIO_RIG_H
#define FLWR_TEST_CLIENTAPP_APPIO_RIG_H

#include "common/base/clock.h"
#include "common/rpc/call.h"
#include "common/rpc/server.h"
#include "kit/clock.h"
#include "kit/log.h"
#include "kit/loop.h"

extern struct rig {
	struct loop *loop;
	struct rpc *rpc;
	struct kit_log log;
	bool begun;          /* rig_setup() has made its own timers */
	bool no_timers;      /* there is no memory for another one */
	struct timer *timer; /* the first that was made after rig_setup(): whoever is tested has
				one */
	int64_t planned_ms;  /* when it is due; 0: it is not set */
	unsigned reconnects; /* that were not left to gRPC */
	/* the SuperNode */
	char dir[32];
	char address[64];
	const struct service *service;
	size_t n_services; /* one; a test may have it more, before the SuperNode comes */
	int listening;     /* -1: it is not there */
	struct watch *accepts;
	struct rpc_server *server;
	bool down;
	int connection; /* the last one; -1: none */
	uint64_t connections;
	struct peer peers[8];
	unsigned questions;   /* counted by the service's handler */
	struct request *kept; /* by rig_keep() */
	unsigned cancelled;   /* of those that were kept */
} rig;

/* Set up a test whose SuperNode offers this service; the SuperNode is not there yet. */
void rig_setup(const struct service *service);
/* After whoever was tested; the SuperNode goes if it is there. */
void rig_teardown(void);

/* ---- time ---- */

/* Run the loop a few times, so that calls on their way arrive. Nothing tells when all have
 * arrived: this sees only quick ones. */
void settle(void);

/* kit_loop_until() for the loop of the test. */
#define run_until(condition) kit_loop_until(rig.loop, condition)

/* ---- the SuperNode ---- */

void supernode_comes(void);
void supernode_goes(void);
/* The last connection; the SuperNode stays. */
void connection_breaks(void);

/* For handlers: not now. One at a time. */
void rig_keep(struct request *request);
/* Take the request that is kept, to answer it. */
struct request *take_kept(void);

/* ---- who asks ---- */

/* The answer has come, and it will ask again in ms, and no sooner. */
void asks_again_in(int64_t ms);
/* That time passes; the SuperNode is asked. */
void asks_again(void);
/* Until a SuperNode that was away has been asked; gRPC takes its time to connect. */
void until_asked(void);

#endif
