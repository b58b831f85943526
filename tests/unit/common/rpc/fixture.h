/*
 * fixture: a loop, a server with the service test.Service, connections to it, and calls whose
 * answers are kept.
 */
#ifndef FLWR_TEST_RPC_FIXTURE_H
#define FLWR_TEST_RPC_FIXTURE_H

#include "common/base/clock.h"
#include "common/rpc/call.h"
#include "common/rpc/rpc.h"
#include "common/rpc/server.h"
#include "kit/loop.h"

#define MIB          ((size_t)1 << 20)
#define WORLD_MEMORY (32 * MIB)

enum { WORLD_PEERS = 4, SMALL_MAX = 10, BODY_MS = 50, CALLS_MAX = 5, CONNECTION_CALLS_MAX = 2 };

/* The last refusal that rpc_server_options.refused was told, and how many there were. */
struct refusal {
	unsigned n;
	const struct peer *peer;
	char method[32];
	enum outcome outcome;
	char details[128];
};

struct world {
	struct loop *loop;
	struct rpc *rpc;
	struct rpc_server *server; /* NULL once shut down */
	struct service service;
	struct peer peers[WORLD_PEERS];
	unsigned ended;           /* servers that have called done */
	struct request *waiting;  /* at Gate's admit() or Later's handle() */
	struct peer waiting_peer; /* as it was when the request came */
	unsigned handled;
	unsigned cancelled;
	unsigned left; /* messages of the stream */
	unsigned streams_begun;
	unsigned streams_gone; /* streams whose callers went */
	bool answer_cancelled; /* inside on_cancel() */
	struct refusal refusal;
};

struct answer {
	bool done;
	enum outcome outcome;
	int status;
	char details[4096];
	struct slices body;
};

int world_setup(void **state);
/* With a server that holds WORLD_MEMORY at most. */
int world_setup_tight(void **state);
/* With a server that takes CONNECTION_CALLS_MAX of a connection, and tells whom it refuses. */
int world_setup_limited(void **state);
/* The same with one that takes as many of a connection as of all. */
int world_setup_shared(void **state);
int world_teardown(void **state);

/* Start the shutdown of the server. */
void world_shutdown(struct world *world, int64_t grace_ms);

/* A connected pair, one end of it the server's, as peer's connection; the other one is returned. */
int world_connect(struct world *world, unsigned peer);
struct rpc_channel *world_channel(struct world *world, unsigned peer);

/* kit_loop_until() for the loop of the test. */
void world_wait(struct world *world, const bool *flag);
void world_wait_count(struct world *world, const unsigned *count, unsigned value);
void world_wait_waiting(struct world *world);

/* The request that waits, which is the caller's then. */
struct request *world_take_waiting(struct world *world);

struct slices text_body(const char *text);
/* len bytes that depend on their place, in pieces of uneven lengths. */
struct slices body_of(size_t len);
void reply_text(struct request *request, const char *text);

/* Start a call of /test.Service/<method>; *answer is filled later. */
struct rpc_call *call_start(struct rpc_channel *channel, const char *method, struct slices body,
	int64_t timeout_ms, struct answer *answer);
void call_finish(void *answer, struct rpc_result *result);
/* rpc_call_start() with call_finish() for its end. */
int call_begin(struct rpc_channel *channel, const struct rpc_call_options *options,
	struct slices *body, struct answer *answer);

/* The same, and wait for the answer. */
void call_run(struct world *world, struct rpc_channel *channel, const char *method,
	struct slices body, struct answer *answer);

/* Free what *answer holds and forget it. */
void answer_done(struct answer *answer);

/* Does the answer's body say text? */
void assert_answer(const struct answer *answer, const char *text);

#endif
