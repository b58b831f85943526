/*
 * call: a unary call is two batches: one sends and receives the status, one receives the message.
 * gRPC tells no status before all messages were read, so a call whose status lags behind its
 * message asks for another message: the end of the answer, or one too many.
 */
#include "common/rpc/call.h"

#include "common/base/cleanup.h"
#include "common/rpc/internal/bytes.h"
#include "common/rpc/internal/outgoing.h"
#include "common/rpc/status.h"

#include <assert.h>
#include <errno.h>
#include <grpc/byte_buffer.h>
#include <stdlib.h>

#define KEPT_HEAD_BYTES ((size_t)64 << 10)

struct rpc_call {
	struct outgoing out;
	struct tag status, message, second;
	unsigned tags_out;
	bool status_known;
	bool many; /* a second message came */
	rpc_done_fn *done;
	void *arg;
	grpc_byte_buffer *request;
	grpc_byte_buffer *response, *surplus; /* the message, and another one */
	uint64_t answer_max_bytes;            /* 0: any */
	bool keeps_head;
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
	if (call->surplus)
		grpc_byte_buffer_destroy(call->surplus);
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

/* The first bytes of an answer that is too large. Without memory for them there are none. */
static void result_keep_head(struct rpc_result *result, const struct rpc_call *call)
{
	auto_(slices_done) struct slices body = {0};
	enum outcome outcome;

	if (outgoing_unpack(call->response, &body, &outcome))
		return;
	(void)slices_append_range(&result->body, &body, 0,
		body.bytes < KEPT_HEAD_BYTES ? body.bytes : KEPT_HEAD_BYTES);
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
		if (call->keeps_head)
			result_keep_head(result, call);
		return;
	}
	why = outgoing_unpack(call->response, &result->body, &outcome);
	if (why)
		result_fail(result, outcome, why);
}

/* Put what the batches brought into result, for which the caller keeps details. */
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
	if (call->many)
		result_fail(result, OUTCOME_INTERNAL, "answer with more than one message");
	if (result->outcome == OUTCOME_OK)
		result_take(result, call);
	call->out.traffic.received = result->outcome == OUTCOME_OK;
	call->out.traffic.received_bytes = result->body.bytes;
	end.outcome = result->outcome;
	end.status = result->status;
	end.details = result->details;
	outgoing_ended(&call->out, &end);
}

static void call_done(struct rpc_call *call)
{
	struct rpc_channel *channel = call->out.channel;
	auto_(free_at_exit) char *details = bytes_text(&call->out.details);
	struct rpc_result result = {0};
	rpc_done_fn *done = call->done;
	void *arg = call->arg;

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

static int call_batch(struct rpc_call *call, struct tag *tag, const grpc_op *ops, size_t n)
{
	int r = tag_batch(call->out.channel->rpc, tag, call->out.call, ops, n);

	if (r == 0)
		call->tags_out++;
	return r;
}

/* A tag is home. */
static void call_settle(struct rpc_call *call)
{
	if (--call->tags_out == 0)
		call_done(call);
}

static void status_done(struct tag *tag, bool ok)
{
	struct rpc_call *call = container_of(tag, struct rpc_call, status);

	(void)ok; /* a batch that receives the status always succeeds */
	call->status_known = true;
	call_settle(call);
}

/* The message is here, and the status is not: ask for what follows the message. */
static void call_is_late(struct outgoing *out)
{
	struct rpc_call *call = container_of(out, struct rpc_call, out);
	const grpc_op op = {
		.op = GRPC_OP_RECV_MESSAGE, .data.recv_message.recv_message = &call->surplus};

	if (!call->status_known)
		call_batch(call, &call->second, &op, 1);
}

static void message_done(struct tag *tag, bool ok)
{
	struct rpc_call *call = container_of(tag, struct rpc_call, message);

	/* Without a message the status follows by itself. */
	if (ok && call->response && !call->status_known)
		outgoing_expect_end(&call->out, call_is_late);
	call_settle(call);
}

static void second_done(struct tag *tag, bool ok)
{
	struct rpc_call *call = container_of(tag, struct rpc_call, second);

	if (ok && call->surplus) {
		call->many = true;
		/* There may be any number of them. */
		grpc_call_cancel(call->out.call, NULL);
	}
	call_settle(call);
}

static int call_send(struct rpc_call *call, bool wait_for_ready)
{
	grpc_op whole[] = {
		outgoing_send_headers(&call->out, wait_for_ready),
		{.op = GRPC_OP_SEND_MESSAGE},
		{.op = GRPC_OP_SEND_CLOSE_FROM_CLIENT},
		outgoing_receive_status(&call->out),
	};
	grpc_op answer[] = {
		{.op = GRPC_OP_RECV_INITIAL_METADATA},
		{.op = GRPC_OP_RECV_MESSAGE},
	};
	int r;

	whole[1].data.send_message.send_message = call->request;
	answer[0].data.recv_initial_metadata.recv_initial_metadata = &call->out.initial;
	answer[1].data.recv_message.recv_message = &call->response;
	r = call_batch(call, &call->status, whole, ARRAY_LEN(whole));
	if (r < 0)
		return r;
	/* gRPC has taken the call: it refuses no other operation. */
	r = call_batch(call, &call->message, answer, ARRAY_LEN(answer));
	assert(r == 0);
	(void)r;
	return 0;
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
	call->status.done = status_done;
	call->message.done = message_done;
	call->second.done = second_done;
	call->done = options->done;
	call->arg = options->arg;
	call->answer_max_bytes = options->answer_max_bytes;
	call->keeps_head = options->keeps_head;
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
	take_pointer(&call); /* the tags' until done() */
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
