/*
 * call: a unary call is one batch with one tag.
 */
#include "common/rpc/call.h"

#include "common/base/cleanup.h"
#include "common/rpc/bytes.h"
#include "common/rpc/outgoing.h"
#include "common/rpc/status.h"

#include <errno.h>
#include <grpc/byte_buffer.h>
#include <stdlib.h>

struct rpc_call {
	struct outgoing out;
	struct tag tag;
	rpc_done_fn *done;
	void *arg;
	grpc_byte_buffer *request;
	grpc_byte_buffer *response;
	uint64_t answer_max_bytes; /* 0: any */
};

/* Free a call that is in no list any more, or not yet; half-built ones too. */
static void call_free(struct rpc_call *call)
{
	if (!call)
		return;
	if (call->request)
		grpc_byte_buffer_destroy(call->request);
	if (call->response)
		grpc_byte_buffer_destroy(call->response);
	outgoing_free(&call->out);
	free(call);
}

static void call_free_at_exit(struct rpc_call **call)
{
	call_free(*call);
}

static void result_fail(struct rpc_result *result, enum outcome outcome, const char *details)
{
	result->outcome = outcome;
	result->status = rpc_status_of(outcome);
	result->details = details;
}

static void result_take(struct rpc_result *result, const struct rpc_call *call)
{
	enum outcome outcome;
	const char *why;

	if (!call->response) {
		result_fail(result, OUTCOME_INTERNAL, "answer without a message");
		return;
	}
	result->too_large = call->answer_max_bytes &&
			    grpc_byte_buffer_length(call->response) > call->answer_max_bytes;
	if (result->too_large) {
		result_fail(result, OUTCOME_RESOURCE_EXHAUSTED, "the answer is too large");
		return;
	}
	why = outgoing_unpack(call->response, &result->body, &outcome);
	if (why)
		result_fail(result, outcome, why);
}

/* Put what the batch brought into result. details is kept by the caller until result is done with.
 */
static void call_result(struct rpc_call *call, const char *details, struct rpc_result *result)
{
	struct rpc_end end;

	outgoing_end(&call->out, details, &result->trailers, &end);
	result->outcome = end.outcome;
	result->status = end.status;
	result->details = end.details;
	if (!outgoing_has_many_headers(&call->out) &&
		metadata_from_grpc(&call->out.initial, &result->headers) < 0)
		result_fail(result, OUTCOME_RESOURCE_EXHAUSTED, "no memory for the answer");
	if (result->outcome == OUTCOME_OK)
		result_take(result, call);
	call->out.traffic.received = result->outcome == OUTCOME_OK;
	call->out.traffic.received_bytes = result->body.bytes;
	end.outcome = result->outcome;
	end.status = result->status;
	end.details = result->details;
	outgoing_ended(&call->out, &end);
}

static void call_done(struct tag *tag, bool ok)
{
	struct rpc_call *call = container_of(tag, struct rpc_call, tag);
	struct rpc_channel *channel = call->out.channel;
	auto_(free_at_exit) char *details = bytes_text(&call->out.details);
	struct rpc_result result = {0};
	rpc_done_fn *done = call->done;
	void *arg = call->arg;

	(void)ok; /* a batch that receives the status always succeeds */
	/* An interceptor, as done(), may free the channel. */
	channel->telling++;
	call_result(call, details, &result);
	/* The call is freed before done(), so that result alone holds what was sent and received.
	 */
	call_free(call);
	done(arg, &result);
	channel->telling--;
	slices_done(&result.body);
	rpc_headers_done(&result.headers);
	rpc_headers_done(&result.trailers);
	channel_maybe_free(channel);
}

static int call_send(struct rpc_call *call, bool wait_for_ready)
{
	grpc_op ops[] = {
		outgoing_send_headers(&call->out, wait_for_ready),
		{.op = GRPC_OP_SEND_MESSAGE},
		{.op = GRPC_OP_SEND_CLOSE_FROM_CLIENT},
		{.op = GRPC_OP_RECV_INITIAL_METADATA},
		{.op = GRPC_OP_RECV_MESSAGE},
		outgoing_receive_status(&call->out),
	};

	ops[1].data.send_message.send_message = call->request;
	ops[3].data.recv_initial_metadata.recv_initial_metadata = &call->out.initial;
	ops[4].data.recv_message.recv_message = &call->response;
	return tag_batch(call->out.channel->rpc, &call->tag, call->out.call, ops, ARRAY_LEN(ops));
}

static int call_start(struct rpc_channel *channel, const struct rpc_call_options *options,
	const struct slices *body, struct rpc_call **out)
{
	const struct outgoing_head head = {.path = options->path,
		.headers = options->headers,
		.n_headers = options->n_headers,
		.timeout_ms = options->timeout_ms,
		.wait_for_ready = options->wait_for_ready,
		.compression = options->compression ? *options->compression : channel->compression};
	auto_(call_free_at_exit) struct rpc_call *call = NULL;
	int r;

	if (body->bytes > INT32_MAX)
		return -EINVAL;
	call = calloc(1, sizeof *call);
	if (!call)
		return -ENOMEM;
	call->tag.done = call_done;
	call->done = options->done;
	call->arg = options->arg;
	call->answer_max_bytes = options->answer_max_bytes;
	call->out.traffic = (struct rpc_call_traffic){.sent = 1, .sent_bytes = body->bytes};
	r = outgoing_init(&call->out, channel, &head);
	if (r == 0)
		r = bytes_to_grpc(body, &call->request);
	if (r == 0)
		r = call_send(call, options->wait_for_ready);
	if (r < 0)
		return r;
	outgoing_started(&call->out);
	progress_begin(&call->out.progress, options->what, body->bytes);
	if (options->what)
		channel_watch_progress(channel);
	if (out)
		*out = call;
	take_pointer(&call); /* the tag's until done() */
	return 0;
}

int rpc_call_start(struct rpc_channel *channel, const struct rpc_call_options *options,
	struct slices *body, struct rpc_call **out)
{
	int r = call_start(channel, options, body, out);

	slices_done(body);
	return r;
}

void rpc_call_cancel(struct rpc_call *call)
{
	grpc_call_cancel(call->out.call, NULL);
}
