/*
 * carrier_ops: what gRPC and HTTP have to offer to be a carrier. Private to this folder.
 */
#ifndef FLWR_API_CARRIER_OPS_H
#define FLWR_API_CARRIER_OPS_H

#include "clientapp/api/carrier.h"

struct carrier_ops {
	/* body may be left: it is freed afterwards. */
	int (*call)(struct carrier *carrier, const struct carrier_call *call, struct slices *body,
		struct carrier_handle **out);
	void (*cancel)(struct carrier_handle *handle);
	void (*free)(struct carrier *carrier);
};

/* First member of a carrier's own struct. */
struct carrier {
	const struct carrier_ops *ops;
	struct rpc_channel *channel; /* NULL: it is not gRPC */
};

/* First member of the struct of a call that is out. */
struct carrier_handle {
	const struct carrier_ops *ops;
	carrier_done_fn *done;
	void *arg;
};

int carrier_grpc_new(const struct carrier_options *options, struct carrier **out);
int carrier_http_new(const struct carrier_options *options, struct carrier **out);

#endif
