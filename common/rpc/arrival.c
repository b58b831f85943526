/*
 * arrival: a call is waited for, looked at, and given to the services or refused.
 */
#include "common/base/cleanup.h"
#include "common/base/clock.h"
#include "common/rpc/internal/bytes.h"
#include "common/rpc/internal/inbound.h"

#include <assert.h>
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define HEADER_BYTES 32 /* that HTTP/2 counts for a header beside its name and value */
/* A connection has so many times as many calls at most as there are places left: so some are left
 * for others, whatever few connections do. */
#define SHARE_TIMES 2

/* The bytes of a call's head, counted as HTTP/2 counts them. */
static size_t head_bytes(const struct inbound *call)
{
	size_t bytes = GRPC_SLICE_LENGTH(call->about.method) + GRPC_SLICE_LENGTH(call->about.host);

	for (size_t i = 0; i < call->metadata.count; i++) {
		const grpc_metadata *metadata = &call->metadata.metadata[i];

		bytes += GRPC_SLICE_LENGTH(metadata->key) + GRPC_SLICE_LENGTH(metadata->value) +
			 HEADER_BYTES;
	}
	return bytes;
}

/* The peer of a call: the one that was given with the connection, or a stand-in of the call for a
 * port of gRPC's. NULL: the given connection has ended. */
static const struct peer *call_peer(struct inbound *call)
{
	call->peer = grpc_call_get_peer(call->call);
	if (strncmp(call->peer, "fd:", 3) == 0)
		return peers_find(&call->server->peers, call->peer);
	snprintf(call->stand_in.text, sizeof call->stand_in.text, "%s", call->peer);
	return &call->stand_in;
}

/* The deadline in our time; 0: none. */
static int64_t call_deadline_ms(const struct inbound *call)
{
	gpr_timespec deadline = gpr_convert_clock_type(call->about.deadline, GPR_CLOCK_MONOTONIC);
	gpr_timespec left = gpr_time_sub(deadline, gpr_now(GPR_CLOCK_MONOTONIC));

	if (gpr_time_cmp(deadline, gpr_inf_future(GPR_CLOCK_MONOTONIC)) == 0)
		return 0;
	return clock_after(clock_now_ms(), gpr_time_to_millis(left));
}

/* gRPC names the address of a port's caller; a caller at a unix socket has none. */
static bool same_connection(const struct inbound *a, const struct inbound *b)
{
	if (a->request.peer == &a->stand_in && strncmp(a->peer, "ip", 2) == 0)
		return strcmp(a->peer, b->peer) == 0;
	return a->request.peer == b->request.peer;
}

/* The number of this connection's calls that the services have. */
static unsigned connection_serving(const struct inbound *call)
{
	const struct inbound *at;
	unsigned n = 0;

	LIST_FOREACH(at, &call->server->served, served)
	n += same_connection(call, at);
	return n;
}

/* Are there too many calls? *details says where. */
static bool is_too_many(const struct inbound *call, const char **details)
{
	const struct rpc_server_options *options = &call->server->options;
	unsigned serving, left = UINT_MAX / SHARE_TIMES;

	*details = "too many calls at once";
	if (options->calls_max && call->server->serving >= options->calls_max)
		return true;
	if (!options->connection_calls_max)
		return false;
	if (options->calls_max)
		left = options->calls_max - call->server->serving;
	serving = connection_serving(call);
	/* gRPC holds a peer to its limit only once that has confirmed it. */
	*details = "too many calls at once on this connection";
	return serving >= options->connection_calls_max || serving >= SHARE_TIMES * left;
}

/* Prepare the request for the services. 0, or the outcome to refuse the call with. */
static enum outcome call_prepare(struct inbound *call, const char **details)
{
	const struct rpc_server_options *options = &call->server->options;
	struct request *request = &call->request;

	request->ops = &inbound_ops;
	request->interceptors = options->interceptors;
	request->n_interceptors = options->n_interceptors;
	request->deadline_ms = call_deadline_ms(call);
	request->peer = call_peer(call);
	call->compression = options->compression;
	*details = "the server is ending, or the connection has ended";
	if (call->server->stopping || !request->peer)
		return OUTCOME_UNAVAILABLE;
	*details = "no memory for the call";
	call->path = bytes_text(&call->about.method);
	if (!call->path)
		return OUTCOME_RESOURCE_EXHAUSTED;
	request->path = call->path;
	if (is_too_many(call, details))
		return OUTCOME_RESOURCE_EXHAUSTED;
	/* A peer that has not acknowledged gRPC's limit may send up to 16 MiB. */
	*details = "the headers are too large";
	if (head_bytes(call) > RPC_HEAD_MAX_BYTES)
		return OUTCOME_RESOURCE_EXHAUSTED;
	*details = "no memory for the call";
	if (metadata_from_grpc(&call->metadata, &call->headers) < 0)
		return OUTCOME_RESOURCE_EXHAUSTED;
	request->method = service_method(
		options->services, options->n_services, call->path, &request->service);
	if (request->method && request->method->body_ms > 0 && !request->method->reads &&
		body_watch_new(call) < 0)
		return OUTCOME_RESOURCE_EXHAUSTED;
	return OUTCOME_OK;
}

static void call_arrived(struct tag *tag, bool ok)
{
	struct inbound *call = container_of(tag, struct inbound, arrived);
	struct rpc_server *server = call->server;
	grpc_op op = {.op = GRPC_OP_RECV_CLOSE_ON_SERVER};
	enum outcome outcome;
	const char *details;

	server->posted--;
	if (!ok) {
		/* The server is ending. */
		inbound_free(call);
		return;
	}
	LIST_INSERT_HEAD(&server->calls, call, link);
	server->live++;
	server_changed(server);
	/* This batch is out until the call ends, so that the end is seen in every state. */
	op.data.recv_close_on_server.cancelled = &call->cancelled;
	inbound_batch(call, &call->closed, &op, 1);
	outcome = call_prepare(call, &details);
	if (outcome != OUTCOME_OK) {
		if (call->request.peer)
			request_refused(&call->request, outcome, details);
		inbound_refuse(call, outcome, details);
		return;
	}
	call->serving = true;
	LIST_INSERT_HEAD(&server->served, call, served);
	server->serving++;
	request_arrived(&call->request);
}

int inbound_post(struct rpc_server *server)
{
	struct inbound *call = calloc(1, sizeof *call);
	grpc_call_error error;

	if (!call)
		return -ENOMEM;
	call->server = server;
	call->details = grpc_empty_slice();
	call->arrived.done = call_arrived;
	inbound_init(call);
	grpc_call_details_init(&call->about);
	grpc_metadata_array_init(&call->metadata);
	tag_expect(server->rpc, &call->arrived);
	error = grpc_server_request_call(server->server, &call->call, &call->about, &call->metadata,
		rpc_queue(server->rpc), rpc_queue(server->rpc), &call->arrived);
	assert(error == GRPC_CALL_OK);
	(void)error;
	server->posted++;
	return 0;
}
