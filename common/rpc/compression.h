/*
 * compression: how messages of calls may be compressed. Any thread.
 */
#ifndef FLWR_RPC_COMPRESSION_H
#define FLWR_RPC_COMPRESSION_H

/* gRPC's own numbers. */
enum rpc_compression {
	RPC_COMPRESSION_NONE,
	RPC_COMPRESSION_DEFLATE,
	RPC_COMPRESSION_GZIP,
	RPC_COMPRESSION_N
};

/*
 * A set of them, as one bit each: RPC_ACCEPT(RPC_COMPRESSION_GZIP) | ... NONE is always in it. Who
 * accepts compressed messages from a peer lets it make him hold far more than it sends: see where
 * such a set is given.
 */
#define RPC_ACCEPT(compression) (1u << (compression))
#define RPC_ACCEPT_ALL          (RPC_ACCEPT(RPC_COMPRESSION_DEFLATE) | RPC_ACCEPT(RPC_COMPRESSION_GZIP))

#endif
