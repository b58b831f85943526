/*
 * api_channel: how workers and launchers call a SuperNode: the channel's settings, the task token
 * in a call. Main thread.
 */
#ifndef FLWR_API_API_CHANNEL_H
#define FLWR_API_API_CHANNEL_H

#include "common/rpc/call.h"

/*
 * A channel to address, as gRPC takes it (copied). Answers have receive_max_bytes at most; the
 * progress of contents is written to log; NULL: it is not. 0, -EINVAL, -ENOMEM.
 */
int api_channel_new(struct rpc *rpc, const char *address, uint64_t receive_max_bytes,
	struct log *log, struct rpc_channel **out);

/* Show task_token (borrowed; NULL: none) in a call, by header, which must live until the call has
 * been started. */
void api_call_show_token(
	struct rpc_call_options *call, const char *task_token, struct rpc_header *header);

#endif
