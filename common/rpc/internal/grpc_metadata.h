/*
 * grpc_metadata: headers as gRPC's metadata and back. Any thread. Private to common/rpc.
 */
#ifndef FLWR_RPC_GRPC_METADATA_H
#define FLWR_RPC_GRPC_METADATA_H

#include "common/rpc/metadata.h"

#include <grpc/grpc.h>
#include <stdbool.h>

/* Headers for gRPC to send. Zero-initialised is empty. */
struct metadata_out {
	grpc_metadata *v;
	size_t n;
};

/* Append copies of n headers. 0, -EINVAL (a key or value cannot be sent), -ENOMEM; out may hold
 * some of them then. */
int metadata_to_grpc(const struct rpc_header *headers, size_t n, struct metadata_out *out);
/* Append a copy of one, with the same results. */
int metadata_out_add(struct metadata_out *out, struct rpc_header header);
void metadata_out_done(struct metadata_out *out);

/* Does the key belong to HTTP/2 or to gRPC? */
bool metadata_reserved(const char *key);

/* Append a copy of any header, which will not be sent. 0 or -ENOMEM. */
int headers_append(struct rpc_headers *headers, struct rpc_header header);

/* Append copies of what was received; from stays the caller's. 0 or -ENOMEM. */
int metadata_from_grpc(const grpc_metadata_array *from, struct rpc_headers *headers);

#endif
