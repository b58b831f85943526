/*
 * grpc: the Fleet API to Flower 1.39 ("grpc-rere"): the service flwr.proto.Fleet.
 */
#include "supernode/link/over_grpc.h"
#include "supernode/link/transports.h"

static int grpc_open(const struct transport_options *options, struct transport **out)
{
	static const struct over_grpc_form form = {.path = "/flwr.proto.Fleet/"};

	return over_grpc_new(options, &form, out);
}

const struct transport_kind transport_grpc = {
	.name = "gRPC",
	.option = "grpc-rere",
	.line = PROBE_GRPC,
	.early = true,
	.signed_calls = true,
	.open = grpc_open,
};
