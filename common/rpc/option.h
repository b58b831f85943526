/*
 * option: any argument of gRPC's for a channel or a server, by its name. Any thread.
 */
#ifndef FLWR_RPC_OPTION_H
#define FLWR_RPC_OPTION_H

/* {"grpc.max_connection_idle_ms", .number = 60000}; it takes the place of what we would set. */
struct rpc_option {
	const char *name;
	const char *text; /* NULL: the value is number */
	int number;
};

#endif
