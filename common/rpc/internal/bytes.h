/*
 * bytes: our slices as gRPC's byte buffers and back, by reference, and small conversions between
 * the two worlds. Any thread. Private to common/rpc.
 */
#ifndef FLWR_RPC_BYTES_H
#define FLWR_RPC_BYTES_H

#include "common/base/slice.h"

struct grpc_byte_buffer;
struct grpc_slice;

/*
 * A byte buffer that refers to the bytes of list (no more than 23 of a slice are copied). 0 or
 * -ENOMEM. The caller owns *out; list stays as it is. The references are dropped by any thread,
 * when gRPC needs them no longer.
 */
int bytes_to_grpc(const struct slices *list, struct grpc_byte_buffer **out);

/* Append references to the bytes of buffer, which stays the caller's; small pieces of it are copied
 * together. 0, or -ENOMEM and list is as before. */
int bytes_from_grpc(struct grpc_byte_buffer *buffer, struct slices *list);

/* A NUL-terminated copy of slice, which may hold anything. NULL on no memory. */
char *bytes_text(const struct grpc_slice *slice);

#endif
