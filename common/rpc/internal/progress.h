/*
 * progress: the progress of a call by the bytes that have passed over the connections to its peer,
 * since gRPC does not tell. Main thread. Private to common/rpc.
 */
#ifndef FLWR_RPC_PROGRESS_H
#define FLWR_RPC_PROGRESS_H

#include "common/base/progress.h"
#include "common/rpc/traffic.h"

/* A look at the connections: all descriptors of the program are gone through for it, once for each
 * peer. Zero-initialised at each look. */
struct progress_look {
	char peer[128];
	bool found;
	struct traffic traffic;
};

/* Tell the progress if it is time, at most once a second. peer as gRPC names it. */
void progress_tick(
	struct progress *progress, struct progress_look *look, struct log *log, const char *peer);

#endif
