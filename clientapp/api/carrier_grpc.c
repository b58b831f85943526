/*
 * carrier_grpc: a channel, and unary calls.
 */
#include "clientapp/api/api_channel.h"
#include "clientapp/api/carrier_ops.h"

#include "common/base/cleanup.h"
#include "common/rpc/call.h"

#include <errno.h>
#include <stdlib.h>

struct grpc_handle {
	struct carrier_handle handle;
	struct rpc_call *call;
};

static void grpc_done(void *arg, struct rpc_result *from)
{
	auto_(free_at_exit) struct grpc_handle *out = arg;
	struct carrier_result result = {from->outcome, from->details, slices_take(&from->body)};

	out->handle.done(out->handle.arg, &result);
	slices_done(&result.body);
}

static int grpc_call_start(struct carrier *carrier, const struct carrier_call *call,
	struct slices *body, struct carrier_handle **out)
{
	auto_(free_at_exit) struct grpc_handle *made = calloc(1, sizeof *made);
	const struct rpc_call_options options = {.path = call->path,
		.headers = call->headers,
		.n_headers = call->n_headers,
		.timeout_ms = call->timeout_ms,
		.what = call->what,
		.done = grpc_done,
		.arg = made};
	int r;

	if (!made)
		return -ENOMEM;
	made->handle = (struct carrier_handle){carrier->ops, call->done, call->arg};
	r = rpc_call_start(carrier->channel, &options, body, &made->call);
	if (r)
		return r;
	*out = &((struct grpc_handle *)take_pointer(&made))->handle;
	return 0;
}

static void grpc_cancel(struct carrier_handle *handle)
{
	rpc_call_cancel(container_of(handle, struct grpc_handle, handle)->call);
}

static void grpc_free(struct carrier *carrier)
{
	rpc_channel_free(carrier->channel);
	free(carrier);
}

static const struct carrier_ops grpc_ops = {
	.call = grpc_call_start, .cancel = grpc_cancel, .free = grpc_free};

int carrier_grpc_new(const struct carrier_options *options, struct carrier **out)
{
	auto_(free_at_exit) struct carrier *made = calloc(1, sizeof *made);
	int r;

	if (!made)
		return -ENOMEM;
	made->ops = &grpc_ops;
	r = api_channel_new(options->rpc,
		&(struct api_channel_options){.address = options->address,
			.tls = options->tls,
			.receive_max_bytes = options->receive_max_bytes,
			.log = options->log,
			.token = options->token,
			.own_connection = options->own_connection},
		&made->channel);
	if (r)
		return r;
	*out = take_pointer(&made);
	return 0;
}
