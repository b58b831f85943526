/*
 * outgoing: the headers of a call are those of its caller, then those of the interceptors, then
 * one by which gRPC is told of the compression, and which it takes out.
 */
#include "common/rpc/internal/outgoing.h"

#include "common/base/cleanup.h"
#include "common/base/clock.h"
#include "common/rpc/internal/bytes.h"
#include "common/rpc/status.h"

#include <errno.h>
#include <grpc/byte_buffer.h>
#include <grpc/support/alloc.h>
#include <stdlib.h>

#define OUTGOING_END_MS 200 /* between the message of an answer and its status, at most */

static const char *const compression_names[RPC_COMPRESSION_N] = {
	[RPC_COMPRESSION_NONE] = "identity",
	[RPC_COMPRESSION_DEFLATE] = "deflate",
	[RPC_COMPRESSION_GZIP] = "gzip",
};

static int ask_interceptors(struct outgoing *out, struct rpc_headers *headers)
{
	const struct rpc_channel *channel = out->channel;
	int r = 0;

	while (out->begun < channel->n_interceptors) {
		const struct rpc_interceptor *interceptor = &channel->interceptors[out->begun];

		if (interceptor->starting)
			r = interceptor->starting(interceptor->arg, &out->info, headers);
		if (r < 0)
			break;
		out->begun++;
	}
	return r;
}

static void tell_interceptors(struct outgoing *out, const struct rpc_end *end)
{
	if (out->info.path)
		out->traffic.took_ms = clock_now_ms() - out->start_ms;
	while (out->begun > 0) {
		const struct rpc_interceptor *interceptor =
			&out->channel->interceptors[--out->begun];

		if (interceptor->ended)
			interceptor->ended(interceptor->arg, &out->info, end, &out->traffic);
	}
}

static int set_headers(
	struct outgoing *out, const struct outgoing_head *head, const struct rpc_headers *added)
{
	size_t n = 0;
	auto_(free_at_exit) struct rpc_header *v =
		calloc(head->n_headers + added->n + 1, sizeof *v);

	if (!v)
		return -ENOMEM;
	for (size_t i = 0; i < head->n_headers; i++)
		v[n++] = head->headers[i];
	for (size_t i = 0; i < added->n; i++)
		v[n++] = added->v[i];
	if (head->compression != RPC_COMPRESSION_NONE) {
		const char *name = compression_names[head->compression];

		v[n++] = (struct rpc_header){
			GRPC_COMPRESSION_REQUEST_ALGORITHM_MD_KEY, name, strlen(name)};
	}
	return metadata_to_grpc(v, n, &out->headers);
}

static gpr_timespec deadline_of(int64_t timeout_ms)
{
	if (timeout_ms == 0)
		return gpr_inf_future(GPR_CLOCK_MONOTONIC);
	return gpr_time_add(
		gpr_now(GPR_CLOCK_MONOTONIC), gpr_time_from_millis(timeout_ms, GPR_TIMESPAN));
}

int outgoing_init(
	struct outgoing *out, struct rpc_channel *channel, const struct outgoing_head *head)
{
	auto_(rpc_headers_done) struct rpc_headers added = {0};
	grpc_slice path;
	int r = 0;

	out->details = grpc_empty_slice();
	if (head->timeout_ms < 0 || (head->wait_for_ready && head->timeout_ms == 0) ||
		(unsigned)head->compression >= RPC_COMPRESSION_N)
		return -EINVAL;
	out->channel = channel;
	if (channel->n_interceptors > 0) {
		out->info = (struct rpc_call_info){.path = strdup(head->path),
			.timeout_ms = head->timeout_ms,
			.streams = head->streams};
		out->start_ms = clock_now_ms();
		r = out->info.path ? ask_interceptors(out, &added) : -ENOMEM;
	}
	if (r == 0 && head->n_headers + added.n + head->compression > 0)
		r = set_headers(out, head, &added);
	if (r < 0)
		return r;
	path = grpc_slice_from_copied_string(head->path);
	out->call = grpc_channel_create_call(channel->channel, NULL, GRPC_PROPAGATE_DEFAULTS,
		rpc_queue(channel->rpc), path, NULL, deadline_of(head->timeout_ms), NULL);
	grpc_slice_unref(path);
	return out->call ? 0 : -EINVAL;
}

grpc_op outgoing_send_headers(struct outgoing *out, bool wait_for_ready)
{
	grpc_op op = {.op = GRPC_OP_SEND_INITIAL_METADATA};

	if (wait_for_ready)
		op.flags = GRPC_INITIAL_METADATA_WAIT_FOR_READY |
			   GRPC_INITIAL_METADATA_WAIT_FOR_READY_EXPLICITLY_SET;
	op.data.send_initial_metadata.count = out->headers.n;
	op.data.send_initial_metadata.metadata = out->headers.v;
	return op;
}

grpc_op outgoing_receive_status(struct outgoing *out)
{
	grpc_op op = {.op = GRPC_OP_RECV_STATUS_ON_CLIENT};

	op.data.recv_status_on_client.trailing_metadata = &out->trailing;
	op.data.recv_status_on_client.status = &out->status;
	op.data.recv_status_on_client.status_details = &out->details;
	return op;
}

void outgoing_started(struct outgoing *out)
{
	LIST_INSERT_HEAD(&out->channel->calls, out, link);
}

/* The time is over for those that are expected to end. */
static void outgoing_late(void *arg)
{
	struct rpc_channel *channel = arg;
	struct outgoing *out;

	channel->expected = 0;
	LIST_FOREACH(out, &channel->calls, link)
	{
		outgoing_late_fn *late = out->late;

		out->late = NULL;
		if (late)
			late(out);
	}
}

void outgoing_expect_end(struct outgoing *out, outgoing_late_fn *late)
{
	struct rpc_channel *channel = out->channel;

	if (!channel->late)
		channel->late = timer_new(rpc_loop(channel->rpc), outgoing_late, channel);
	if (!channel->late) {
		late(out);
		return;
	}
	out->late = late;
	if (channel->expected++ == 0)
		timer_set(channel->late, clock_after(clock_now_ms(), OUTGOING_END_MS));
}

static void count_headers(const grpc_metadata_array *array, size_t *n, size_t *bytes)
{
	*n += array->count;
	for (size_t i = 0; i < array->count; i++)
		*bytes += GRPC_SLICE_LENGTH(array->metadata[i].key) +
			  GRPC_SLICE_LENGTH(array->metadata[i].value);
}

/* gRPC's own limit holds only from when the peer has acknowledged it. */
bool outgoing_has_many_headers(const struct outgoing *out)
{
	size_t n = 0, bytes = GRPC_SLICE_LENGTH(out->details);

	count_headers(&out->initial, &n, &bytes);
	count_headers(&out->trailing, &n, &bytes);
	return n > RPC_ANSWER_HEADERS_MAX || bytes > RPC_ANSWER_HEADER_BYTES_MAX;
}

const char *outgoing_unpack(grpc_byte_buffer *buffer, struct slices *message, enum outcome *outcome)
{
	/* gRPC unpacks what the channel accepts. */
	if (buffer->data.raw.compression != GRPC_COMPRESS_NONE) {
		*outcome = OUTCOME_UNIMPLEMENTED;
		return "a message is compressed, which the channel does not accept";
	}
	*outcome = OUTCOME_RESOURCE_EXHAUSTED;
	return bytes_from_grpc(buffer, message) < 0 ? "no memory for a message" : NULL;
}

/* gRPC's sentences, but for those that say nothing to a person. */
static const char *plain_details(const char *details)
{
	if (!details)
		return "";
	if (strncmp(details, "DNS resolution failed", 21) == 0)
		return "its host name cannot be resolved: is it right, and does DNS work?";
	return details;
}

void outgoing_end(const struct outgoing *out, const char *details, struct rpc_headers *trailers,
	struct rpc_end *end)
{
	int status = (unsigned)out->status < RPC_STATUS_N ? (int)out->status : RPC_STATUS_UNKNOWN;

	*end = (struct rpc_end){.outcome = rpc_outcome_of(status),
		.status = status,
		.details = plain_details(details),
		.trailers = trailers};
	if (outgoing_has_many_headers(out)) {
		end->outcome = OUTCOME_INTERNAL;
		end->details = "the answer has too many or too long headers";
	} else if (metadata_from_grpc(&out->trailing, trailers) < 0) {
		end->outcome = OUTCOME_RESOURCE_EXHAUSTED;
		end->details = "no memory for the answer";
	} else {
		return;
	}
	end->status = rpc_status_of(end->outcome);
}

void outgoing_ended(struct outgoing *out, const struct rpc_end *end)
{
	struct rpc_channel *channel = out->channel;

	LIST_REMOVE(out, link);
	if (out->late && --channel->expected == 0)
		timer_set(channel->late, CLOCK_NEVER);
	if (channel->progress && LIST_EMPTY(&channel->calls))
		timer_set(channel->progress, CLOCK_NEVER);
	tell_interceptors(out, end);
}

void outgoing_free(struct outgoing *out)
{
	static const struct rpc_headers none;
	const struct rpc_end end = {.outcome = OUTCOME_CANCELLED,
		.status = RPC_STATUS_CANCELLED,
		.details = "the call was not started",
		.trailers = &none};

	if (out->begun > 0) {
		struct rpc_channel *channel = out->channel;

		out->traffic = (struct rpc_call_traffic){0};
		channel->telling++;
		tell_interceptors(out, &end);
		channel->telling--;
		channel_maybe_free(channel);
	}
	metadata_out_done(&out->headers);
	grpc_metadata_array_destroy(&out->initial);
	grpc_metadata_array_destroy(&out->trailing);
	grpc_slice_unref(out->details);
	if (out->call)
		grpc_call_unref(out->call);
	free((char *)(uintptr_t)out->info.path);
}

void outgoing_peer(const struct outgoing *out, char *text, size_t size)
{
	char *peer = grpc_call_get_peer(out->call);

	snprintf(text, size, "%s", peer ? peer : "");
	gpr_free(peer);
}
