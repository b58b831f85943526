/*
 * progress: how far a call is, by what has passed over the connections to its peer, since gRPC does
 * not tell. Main thread. Private to this folder.
 */
#ifndef FLWR_RPC_PROGRESS_H
#define FLWR_RPC_PROGRESS_H

#include "common/base/progress.h"

/* At most once a second: look, and say it if it is time. peer as gRPC names it. */
void progress_tick(struct progress *progress, struct log *log, const char *peer);

#endif
