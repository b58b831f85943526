#include "clientapp/api/carrier_ops.h"

int carrier_new(const struct carrier_options *options, struct carrier **out)
{
	static int (*const makers[])(const struct carrier_options *, struct carrier **) = {
		[CARRIER_GRPC] = carrier_grpc_new, [CARRIER_HTTP] = carrier_http_new};

	return makers[options->kind](options, out);
}

int carrier_call(struct carrier *carrier, const struct carrier_call *call, struct slices *body,
	struct carrier_handle **out)
{
	int r = carrier->ops->call(carrier, call, body, out);

	slices_done(body);
	return r;
}

void carrier_cancel(struct carrier_handle *handle)
{
	handle->ops->cancel(handle);
}

void carrier_reconnect(struct carrier *carrier)
{
	if (carrier_channel(carrier))
		rpc_channel_reconnect_now(carrier_channel(carrier));
}

struct rpc_channel *carrier_channel(const struct carrier *carrier)
{
	return carrier->channel;
}

void carrier_free(struct carrier *carrier)
{
	if (carrier)
		carrier->ops->free(carrier);
}
