/*
 * api_channel: how workers and launchers call a SuperNode: the channel's settings, the task token
 * in a call. Main thread.
 */
#ifndef FLWR_API_API_CHANNEL_H
#define FLWR_API_API_CHANNEL_H

#include "common/rpc/call.h"

struct api_channel_options {
	const char *address;       /* as gRPC takes it; copied */
	const struct rpc_tls *tls; /* copied; NULL: plain text */
	uint64_t receive_max_bytes;
	struct log *log; /* for the progress of contents; NULL: it is not told */
	/* Each call shows this header (rpc_show_header()); NULL: none. */
	const struct rpc_header *token;
	bool own_connection; /* of the channel alone: it tells of the peer as it is now */
};

/* 0, -EINVAL, -ENOMEM. */
int api_channel_new(
	struct rpc *rpc, const struct api_channel_options *options, struct rpc_channel **out);

/* Show task_token (borrowed; NULL: none) in a call, by header, which must live until the call has
 * been started. */
void api_call_show_token(
	struct rpc_call_options *call, const char *task_token, struct rpc_header *header);

#endif
