#include "supernode/link/transports.h"

const struct transport_kind *const transports[] = {
	&transport_http,
	&transport_rest,
	&transport_grpc,
	&transport_adapter,
	NULL,
};
