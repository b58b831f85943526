/*
 * args: gRPC's channel arguments, as channels and servers of ours have them in common. Private to
 * common/rpc.
 */
#ifndef FLWR_RPC_ARGS_H
#define FLWR_RPC_ARGS_H

#include "common/rpc/compression.h"
#include "common/rpc/option.h"

#include <grpc/grpc.h>
#include <limits.h>
#include <stdint.h>

static inline grpc_arg arg_int(const char *key, int64_t value)
{
	grpc_arg arg = {.type = GRPC_ARG_INTEGER, .key = (char *)(uintptr_t)key};

	arg.value.integer = value > INT_MAX ? INT_MAX : (int)value;
	return arg;
}

static inline grpc_arg arg_text(const char *key, const char *value)
{
	grpc_arg arg = {.type = GRPC_ARG_STRING, .key = (char *)(uintptr_t)key};

	arg.value.string = (char *)(uintptr_t)value;
	return arg;
}

/*
 * A quota of memory for arriving and kept messages: gRPC looks at the size limit of a message only
 * when it has all of it. The caller drops its reference to *quota_out once the arguments were used.
 */
static inline grpc_arg arg_quota(uint64_t max_bytes, grpc_resource_quota **quota_out)
{
	grpc_arg arg = {
		.type = GRPC_ARG_POINTER, .key = (char *)(uintptr_t)GRPC_ARG_RESOURCE_QUOTA};
	grpc_resource_quota *quota = grpc_resource_quota_create(NULL);

	grpc_resource_quota_resize(quota, max_bytes > SIZE_MAX / 2 ? SIZE_MAX / 2 : max_bytes);
	arg.value.pointer.p = quota;
	arg.value.pointer.vtable = grpc_resource_quota_arg_vtable();
	*quota_out = quota;
	return arg;
}

enum { ARGS_COMMON = 12 };

/* The settings that clients and servers have in common. */
struct args_common {
	uint64_t receive_max_bytes;
	int64_t keepalive_ms; /* 0: no pings */
	int64_t keepalive_timeout_ms;
	unsigned accept; /* compressions of received messages; 0: none */
};

/* Put the arguments of both ends into ARGS_COMMON places from args on. */
static inline void args_common(grpc_arg *args, const struct args_common *common)
{
	int64_t max =
		common->receive_max_bytes > INT_MAX ? INT_MAX : (int64_t)common->receive_max_bytes;
	int64_t timeout_ms = common->keepalive_timeout_ms;

	args[0] = arg_int(GRPC_ARG_MAX_RECEIVE_MESSAGE_LENGTH, max);
	args[1] = arg_int(GRPC_ARG_MAX_SEND_MESSAGE_LENGTH, -1);
	args[2] = arg_int(GRPC_ARG_KEEPALIVE_TIME_MS,
		common->keepalive_ms > 0 ? common->keepalive_ms : INT_MAX);
	args[3] = arg_int(GRPC_ARG_KEEPALIVE_TIMEOUT_MS, timeout_ms > 0 ? timeout_ms : 20000);
	/* A side that only waits must go on pinging, or it never learns that the other one is gone.
	 */
	args[4] = arg_int(GRPC_ARG_HTTP2_MAX_PINGS_WITHOUT_DATA, 0);
	args[5] = arg_int(GRPC_ARG_TCP_READ_CHUNK_SIZE, 1 << 20);
	args[6] = arg_int(GRPC_ARG_TCP_MAX_READ_CHUNK_SIZE, 4 << 20);
	/* Identity only, unless asked otherwise: gRPC looks at the size of a message when it has
	 * unpacked all of it, and it unpacks what was not accepted, too. */
	args[7] = arg_int(GRPC_COMPRESSION_CHANNEL_ENABLED_ALGORITHMS_BITSET,
		RPC_ACCEPT(RPC_COMPRESSION_NONE) | common->accept);
	/* Channelz is of no use here, and keeps memory for each connection. */
	args[8] = arg_int(GRPC_ARG_ENABLE_CHANNELZ, 0);
	args[9] = arg_int(GRPC_ARG_MAX_CHANNEL_TRACE_EVENT_MEMORY_PER_NODE, 0);
	/* A content in pieces of 16 KiB costs 2 % more memory. */
	args[10] = arg_int(GRPC_ARG_HTTP2_MAX_FRAME_SIZE, 1 << 20);
	args[11] = arg_int(GRPC_ARG_ENABLE_PER_MESSAGE_DECOMPRESSION, common->accept != 0);
}

/* The argument that a user names. */
static inline grpc_arg arg_option(const struct rpc_option *option)
{
	return option->text ? arg_text(option->name, option->text)
			    : arg_int(option->name, option->number);
}

#endif
