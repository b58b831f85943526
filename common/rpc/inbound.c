/*
 * inbound: a call, from its arrival to the last of its tags. Three own it: gRPC (tags_out), the
 * services (until finished), and the peer (until answered or gone); the first two must have let go
 * before it is freed.
 */
#include "common/rpc/internal/inbound.h"

#include "common/base/cleanup.h"
#include "common/rpc/internal/bytes.h"

#include <assert.h>
#include <errno.h>
#include <grpc/byte_buffer.h>
#include <grpc/support/alloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- life ---- */

void inbound_free(struct inbound *call)
{
	struct rpc_server *server = call->server;

	timer_free(call->body_timer);
	if (call->body)
		grpc_byte_buffer_destroy(call->body);
	if (call->message)
		grpc_byte_buffer_destroy(call->message);
	if (call->reply)
		grpc_byte_buffer_destroy(call->reply);
	rpc_headers_done(&call->headers);
	metadata_out_done(&call->initial);
	metadata_out_done(&call->trailing);
	free(call->path);
	gpr_free(call->peer);
	grpc_slice_unref(call->details);
	grpc_metadata_array_destroy(&call->metadata);
	grpc_call_details_destroy(&call->about);
	if (call->call)
		grpc_call_unref(call->call);
	free(call);
	server_changed(server);
}

static void call_maybe_free(struct inbound *call)
{
	if (call->tags_out > 0 || call->serving)
		return;
	LIST_REMOVE(call, link);
	call->server->live--;
	inbound_free(call);
}

/* End a tag's function: call may be gone afterwards. */
static void call_tag_done(struct inbound *call)
{
	call->tags_out--;
	call_maybe_free(call);
}

void inbound_batch(struct inbound *call, struct tag *tag, const grpc_op *ops, size_t n)
{
	int r = tag_batch(call->server->rpc, tag, call->call, ops, n);

	/* gRPC checks at the start of these batches only what is of our making. */
	assert(r == 0);
	(void)r;
	call->tags_out++;
}

/* Tell the services that their answer is not wanted any more. May free call unless one of its tags
 * is out. */
static void call_withdraw(struct inbound *call, enum outcome outcome, const char *details)
{
	if (!call->serving || call->withdrawn)
		return;
	call->withdrawn = true;
	request_ended(&call->request, outcome, details);
}

/* Tell the owner of the server that it answers in the services' place. */
static void call_tell_refused(struct inbound *call, enum outcome outcome, const char *details)
{
	const struct rpc_server_options *options = &call->server->options;
	const struct request *request = &call->request;

	if (options->refused && request->peer && !call->answered && !call->gone)
		options->refused(options->refused_arg, request->peer,
			request->method ? request->method->name : "a call", outcome, details);
}

void inbound_refuse(struct inbound *call, enum outcome outcome, const char *details)
{
	call_tell_refused(call, outcome, details);
	if (!call->answered)
		call->status_chosen = false;
	inbound_answer(call, outcome, details);
	call_withdraw(call, outcome, details);
}

/* Can the services hear of what the peer does? */
static bool call_heard(const struct inbound *call)
{
	return call->serving && !call->withdrawn && !call->answered;
}

/* ---- what a request asks of its front-end ---- */

static void receive(struct request *request)
{
	struct inbound *call = container_of(request, struct inbound, request);
	grpc_op op = {.op = GRPC_OP_RECV_MESSAGE};

	body_watch_start(call);
	op.data.recv_message.recv_message = &call->body;
	call->receiving = true;
	inbound_batch(call, &call->received, &op, 1);
}

static void inbound_finish(
	struct request *request, enum outcome outcome, const char *details, struct slices *body)
{
	struct inbound *call = container_of(request, struct inbound, request);

	call->serving = false;
	LIST_REMOVE(call, served);
	call->server->serving--;
	/* No service knows the method. */
	if (!request->method && !call->withdrawn)
		call_tell_refused(call, outcome, details);
	if (outcome == OUTCOME_OK)
		inbound_reply(call, body);
	else
		inbound_answer(call, outcome, details);
	slices_done(body);
	call_maybe_free(call);
}

static int inbound_send(struct request *request, const struct slices *body)
{
	struct inbound *call = container_of(request, struct inbound, request);
	grpc_op ops[2] = {0};
	size_t n = 0;
	int r = body->bytes > INT32_MAX ? -EMSGSIZE : bytes_to_grpc(body, &call->message);

	if (r < 0)
		return r;
	if (!call->begun)
		ops[n++] = inbound_head(call);
	ops[n++] = inbound_message(call, call->message);
	call->sending = true;
	inbound_batch(call, &call->sent, ops, n);
	return 0;
}

static const char *inbound_header(const struct request *request, const char *key)
{
	const struct inbound *call = container_of(request, struct inbound, request);
	const struct rpc_header *header = rpc_headers_find(&call->headers, key);

	return header ? header->value : NULL;
}

const struct request_ops inbound_ops = {.admit = receive,
	.finish = inbound_finish,
	.header = inbound_header,
	.send = inbound_send,
	.read = receive};

/* ---- tags that are done ---- */

static void inbound_closed(struct tag *tag, bool ok)
{
	struct inbound *call = container_of(tag, struct inbound, closed);

	if (!ok || call->cancelled) {
		call->gone = true;
		call_withdraw(call, OUTCOME_CANCELLED, "the caller is gone");
	}
	call_tag_done(call);
}

static void inbound_sent(struct tag *tag, bool ok)
{
	struct inbound *call = container_of(tag, struct inbound, sent);

	call->sending = false;
	grpc_byte_buffer_destroy(call->message);
	call->message = NULL;
	if (!ok)
		/* The peer gets nothing more; closed follows and says so. */
		grpc_call_cancel(call->call, NULL);
	else if (call->answered && !call->gone && !call->heading)
		inbound_answer_now(call);
	else if (call_heard(call))
		request_sent(&call->request);
	call_tag_done(call);
}

static void inbound_headed(struct tag *tag, bool ok)
{
	struct inbound *call = container_of(tag, struct inbound, headed);

	call->heading = false;
	if (!ok)
		grpc_call_cancel(call->call, NULL);
	else if (call->answered && !call->gone && !call->sending)
		inbound_answer_now(call);
	call_tag_done(call);
}

static void inbound_replied(struct tag *tag, bool ok)
{
	struct inbound *call = container_of(tag, struct inbound, replied);

	(void)ok; /* whether it reached the peer is what closed says */
	call_tag_done(call);
}

/* Move what was received to list. false: it was refused. */
static bool call_take_bytes(struct inbound *call, struct slices *list)
{
	size_t max = call->request.method->body_max;
	size_t len = grpc_byte_buffer_length(call->body);
	char text[96];
	int r;

	if (len > max) {
		snprintf(
			text, sizeof text, "message of %zu bytes, at most %zu are taken", len, max);
		inbound_refuse(call, OUTCOME_RESOURCE_EXHAUSTED, text);
		return false;
	}
	r = bytes_from_grpc(call->body, list);
	grpc_byte_buffer_destroy(call->body);
	call->body = NULL;
	if (r < 0)
		inbound_refuse(call, OUTCOME_RESOURCE_EXHAUSTED, "no memory for the message");
	return r == 0;
}

/* The body is there, and wanted. */
static void call_take_body(struct inbound *call)
{
	if (!call->body)
		inbound_refuse(call, OUTCOME_INVALID_ARGUMENT, "call without a message");
	else if (call_take_bytes(call, &call->request.body))
		request_received(&call->request);
}

/* One message of several, or their end. */
static void call_take_message(struct inbound *call)
{
	auto_(slices_done) struct slices message = {0};

	if (!call->body)
		request_read_done(&call->request, NULL);
	else if (call_take_bytes(call, &message))
		request_read_done(&call->request, &message);
}

static void inbound_received(struct tag *tag, bool ok)
{
	struct inbound *call = container_of(tag, struct inbound, received);

	call->receiving = false;
	body_watch_stop(call);
	/* No message is the end, unless the peer has gone or has reset the call. */
	if (!call->body && grpc_call_failed_before_recv_message(call->call))
		ok = false;
	if (!ok && !call->answered)
		/* The body is broken off; closed follows and says why. */
		grpc_call_cancel(call->call, NULL);
	else if (ok && call_heard(call) && call->request.method->reads)
		call_take_message(call);
	else if (ok && call_heard(call))
		call_take_body(call);
	call_tag_done(call);
}

void inbound_init(struct inbound *call)
{
	call->closed.done = inbound_closed;
	call->received.done = inbound_received;
	call->headed.done = inbound_headed;
	call->sent.done = inbound_sent;
	call->replied.done = inbound_replied;
}

void inbound_orphan(struct rpc_server *server, const struct peer *peer)
{
	struct inbound *call;

	LIST_FOREACH(call, &server->calls, link)
	{
		if (call->request.peer != peer)
			continue;
		call->stand_in = *peer;
		call->stand_in.received = NULL;
		call->request.peer = &call->stand_in;
		grpc_call_cancel(call->call, NULL);
	}
}
