/*
 * engine: the one thread of the library in a process, for all its nodes: event loop, gRPC, libcurl,
 * and what nodes share. engine_hold(), engine_release() are for any thread but the engine's; the
 * members of struct engine belong to the engine's thread, but for loop_post(). Knows no node.
 */
#ifndef FLWR_NODE_ENGINE_H
#define FLWR_NODE_ENGINE_H

#include "common/base/budget.h"
#include "common/base/reason.h"
#include "common/http/http.h"
#include "common/loop/loop.h"
#include "common/rpc/rpc.h"
#include "supernode/store/spool.h"

struct engine {
	struct loop *loop;
	struct rpc *rpc;
	struct http *http;    /* NULL before engine_need_http() */
	struct spool *spool;  /* of all nodes */
	struct budget budget; /* the same */
};

/* The engine, which is started for the first that holds it. Blocks until it runs. 0; -errno with a
 * sentence. */
int engine_hold(struct engine **out, struct reason *why);

/* On the engine's thread: have http. 0 or -errno, which why explains when libcurl cannot be loaded.
 */
int engine_need_http(struct engine *engine, struct reason *why);

/* Its end, for the last one; everything of that holder's in the engine has ended. Blocks until the
 * thread is gone. */
void engine_release(struct engine *engine);

#endif
