/*
 * tag: what one started batch (or other request to the completion queue) comes home as, and what
 * keeps the queue alive. Main thread. Private to this folder.
 */
#ifndef FLWR_RPC_TAG_H
#define FLWR_RPC_TAG_H

#include "common/rpc/rpc.h"

#include <stdbool.h>
#include <stddef.h>

struct grpc_call;
struct grpc_op;
struct grpc_completion_queue;

/*
 * Embedded in what the batch is about. done is set by the owner. Once started, it comes home
 * exactly once, on the main thread, never inside the function that started it.
 */
struct tag {
	struct loop_work work; /* private, and so are those below */
	struct rpc *rpc;
	bool ok;
	void (*done)(struct tag *tag, bool ok);
};

/* Announce that tag is about to be given to gRPC. */
void tag_expect(struct rpc *rpc, struct tag *tag);

/*
 * Take the announcement back: gRPC did not accept it.
 */
void tag_forget(struct tag *tag);

/* Start a batch that comes home as tag. 0, or -EINVAL when gRPC refuses it (done is not called
 * then). */
int tag_batch(struct rpc *rpc, struct tag *tag, struct grpc_call *call, const struct grpc_op *ops,
	size_t n);

struct loop *rpc_loop(struct rpc *rpc);
struct grpc_completion_queue *rpc_queue(struct rpc *rpc);

/* Something that will start no batch of its own accord, but has not ended: rpc_free() waits for it,
 * too. */
void rpc_hold(struct rpc *rpc);
void rpc_release(struct rpc *rpc);

/* A channel or server that its owner has not given back: rpc_free() must not find one. */
void rpc_opened(struct rpc *rpc);
void rpc_closed(struct rpc *rpc);

#endif
