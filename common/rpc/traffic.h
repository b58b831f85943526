/*
 * traffic: the bytes that have passed over this program's TCP connections to a peer. Main thread;
 * traffic_with() looks at all descriptors of the program, so it is for a question once a second.
 */
#ifndef FLWR_RPC_TRAFFIC_H
#define FLWR_RPC_TRAFFIC_H

#include <stdbool.h>
#include <stdint.h>

struct traffic {
	uint64_t sent; /* and acknowledged */
	uint64_t received;
};

/* peer as gRPC names it: "ipv4:127.0.0.1:9092", "ipv6:%5B::1%5D:9092". false: no TCP connection to
 * it. */
bool traffic_with(const char *peer, struct traffic *out);

#endif
