#include "common/rpc/context.h"

#include "common/base/cleanup.h"
#include "common/rpc/internal/inbound.h"

#include <assert.h>
#include <errno.h>
#include <grpc/grpc_security.h>

/* The call of a request; NULL: another front-end's. */
static struct inbound *call_of(const struct request *request)
{
	struct request *mine = (struct request *)(uintptr_t)request;

	return request->ops == &inbound_ops ? container_of(mine, struct inbound, request) : NULL;
}

const struct rpc_headers *rpc_request_headers(const struct request *request)
{
	const struct inbound *call = call_of(request);

	return call ? &call->headers : NULL;
}

const char *rpc_request_peer(const struct request *request)
{
	const struct inbound *call = call_of(request);

	return call ? call->peer : NULL;
}

int rpc_request_add_header(struct request *request, struct rpc_header header)
{
	struct inbound *call = call_of(request);

	if (!call)
		return -ENOTSUP;
	if (call->begun)
		return -EALREADY;
	return metadata_reserved(header.key) ? -EINVAL : metadata_out_add(&call->initial, header);
}

int rpc_request_send_head(struct request *request)
{
	struct inbound *call = call_of(request);
	grpc_op op;

	if (!call)
		return -ENOTSUP;
	if (call->begun)
		return -EALREADY;
	if (call->gone || call->answered)
		return 0;
	op = inbound_head(call);
	call->heading = true;
	inbound_batch(call, &call->headed, &op, 1);
	return 0;
}

int rpc_request_add_trailer(struct request *request, struct rpc_header header)
{
	struct inbound *call = call_of(request);

	if (!call)
		return -ENOTSUP;
	/* gRPC may be sending them. */
	if (call->answered)
		return 0;
	return metadata_reserved(header.key) ? -EINVAL : metadata_out_add(&call->trailing, header);
}

int rpc_request_set_status(struct request *request, enum rpc_status status, const char *details)
{
	struct inbound *call = call_of(request);

	if (!call)
		return -ENOTSUP;
	if ((unsigned)status >= RPC_STATUS_N)
		return -EINVAL;
	if (!details)
		details = "";
	if (!call->answered) {
		inbound_choose_status(call, (grpc_status_code)status, details);
		request_tell(request, rpc_outcome_of((int)status),
			status == RPC_STATUS_OK ? "" : details);
	}
	return 0;
}

void rpc_request_abort(struct request *request, enum rpc_status status, const char *details)
{
	assert(status != RPC_STATUS_OK);
	(void)rpc_request_set_status(request, status, details);
	request_fail(request, rpc_outcome_of((int)status), details);
}

enum rpc_status rpc_request_status(const struct request *request)
{
	const struct inbound *call = call_of(request);

	return call && call->status_chosen ? (enum rpc_status)call->status : RPC_STATUS_OK;
}

const char *rpc_request_details(const struct request *request)
{
	const struct inbound *call = call_of(request);

	if (!call)
		return NULL;
	return call->status_chosen ? (const char *)GRPC_SLICE_START_PTR(call->details) : "";
}

int rpc_request_trailers(const struct request *request, struct rpc_headers *out)
{
	const struct inbound *call = call_of(request);

	if (!call)
		return -ENOTSUP;
	return metadata_from_grpc(
		&(grpc_metadata_array){.count = call->trailing.n, .metadata = call->trailing.v},
		out);
}

int rpc_request_compress(struct request *request, enum rpc_compression compression)
{
	struct inbound *call = call_of(request);

	if (!call)
		return -ENOTSUP;
	if ((unsigned)compression >= RPC_COMPRESSION_N)
		return -EINVAL;
	if (call->begun)
		return -EALREADY;
	call->compression = compression;
	return 0;
}

int rpc_request_plain_next(struct request *request)
{
	struct inbound *call = call_of(request);

	if (!call)
		return -ENOTSUP;
	call->plain = true;
	return 0;
}

static int read_properties(const grpc_auth_context *context, struct rpc_auth *out)
{
	grpc_auth_property_iterator at = grpc_auth_context_property_iterator(context);
	const char *key = grpc_auth_context_peer_is_authenticated(context)
				  ? grpc_auth_context_peer_identity_property_name(context)
				  : NULL;
	const grpc_auth_property *property;
	int r = 0;

	while (r == 0 && (property = grpc_auth_property_iterator_next(&at)) != NULL)
		r = headers_append(
			&out->properties, (struct rpc_header){property->name, property->value,
						  property->value_length});
	for (size_t i = 0; key && !out->identity_key && i < out->properties.n; i++)
		if (strcmp(out->properties.v[i].key, key) == 0)
			out->identity_key = out->properties.v[i].key;
	return r;
}

int rpc_request_auth(const struct request *request, struct rpc_auth *out)
{
	const struct inbound *call = call_of(request);
	auto_(rpc_auth_done) struct rpc_auth auth = {0};
	grpc_auth_context *context;
	int r = 0;

	if (!call)
		return -ENOTSUP;
	context = grpc_call_auth_context(call->call);
	if (context) {
		r = read_properties(context, &auth);
		grpc_auth_context_release(context);
	}
	if (r == 0) {
		*out = auth;
		auth = (struct rpc_auth){0};
	}
	return r;
}

void rpc_auth_done(struct rpc_auth *auth)
{
	rpc_headers_done(&auth->properties);
	auth->identity_key = NULL;
}
