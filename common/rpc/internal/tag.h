/*
 * tag: a started batch (or another request to the completion queue), which keeps the queue alive
 * until it is finished. Main thread. Private to common/rpc.
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
 * Embedded in the object of the batch. done is set by the owner. The main thread calls it once for
 * each batch, never inside the function that has started the batch.
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

/* Start a batch that ends in tag->done(). 0, or -EINVAL when gRPC refuses it (done is not called
 * then). */
int tag_batch(struct rpc *rpc, struct tag *tag, struct grpc_call *call, const struct grpc_op *ops,
	size_t n);

struct loop *rpc_loop(struct rpc *rpc);
struct grpc_completion_queue *rpc_queue(struct rpc *rpc);

/* Keep rpc_free() waiting for an object that will start no batch of its own accord, but has not
 * ended. */
void rpc_hold(struct rpc *rpc);
void rpc_release(struct rpc *rpc);

/* A channel or server that its owner has not given back: rpc_free() must not find one. */
void rpc_opened(struct rpc *rpc);
void rpc_closed(struct rpc *rpc);

#endif
