/*
 * rpc: the gRPC library's life in one program: initialisation, the completion queue, and the one
 * thread that hands finished tags to the main loop and does nothing else. Main thread, but for that
 * thread. No type of gRPC appears in the headers of this folder; those of internal/, which have
 * some, are for common/rpc alone.
 */
#ifndef FLWR_RPC_RPC_H
#define FLWR_RPC_RPC_H

#include "common/loop/loop.h"

#include <stdint.h>

struct rpc;

/*
 * Initialise gRPC and start the thread. Signals that the program reads itself must be blocked
 * before. 0 or -errno. The caller owns *out; loop must outlive it.
 */
int rpc_new(struct loop *loop, struct rpc **out);

/*
 * End: waits (running the loop's hand-over, at most about a second after the last call was
 * cancelled) until every tag is done, joins the thread, shuts gRPC down. All channels must
 * have been freed, and the shutdown of all servers begun (what is left of it happens inside, done()
 * too). Not from a callback of the loop. NULL is fine.
 */
void rpc_free(struct rpc *rpc);

/*
 * Let gRPC itself print nothing, in the whole process, now and later: its lines carry peers' bytes
 * as they came, and may block. For a program's main.c, before rpc_new(); not for a library in
 * somebody else's program.
 */
void rpc_silence(void);

/* The same for a library: no effect when the program that it is in uses gRPC by itself. */
void rpc_silence_unless_used(void);

#endif
