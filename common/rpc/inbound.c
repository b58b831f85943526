/*
 * inbound: a call, from its arrival to the last of its tags. Three own it: gRPC (tags_out), the
 * services (until finished), and the peer (until answered or gone); the first two must have let go
 * before it is freed.
 */
#include "common/rpc/inbound.h"

#include "common/base/cleanup.h"
#include "common/base/clock.h"
#include "common/base/number.h"
#include "common/rpc/bytes.h"
#include "common/rpc/status.h"
#include "common/rpc/traffic.h"

#include <assert.h>
#include <errno.h>
#include <grpc/byte_buffer.h>
#include <grpc/grpc.h>
#include <grpc/support/alloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define DETAILS_MAX_BYTES                                                                          \
	2048 /* a peer refuses more than 8 KiB of metadata, in which a byte may take three */

#define HEADER_BYTES 32 /* that HTTP/2 counts for a header beside its name and value */

#define BODY_LOOK_MS     20        /* between looks at how much of a small body has come */
#define BODY_SPARE_BYTES (1 << 20) /* that may come beside it */

struct inbound {
	struct request request;
	struct rpc_server *server;
	LIST_ENTRY(inbound) link;
	grpc_call *call;
	grpc_call_details about;
	grpc_metadata_array metadata;
	char *headers[RPC_HEADERS_MAX]; /* values of those that the services read; NULL: not there
					 */
	grpc_byte_buffer *body;
	grpc_byte_buffer *message; /* of a stream, on its way */
	grpc_byte_buffer *reply;
	grpc_slice details; /* with status: what the peer is told at the end */
	grpc_status_code status;
	struct timer *body_timer; /* NULL when the method has no such limit */
	int64_t body_end_ms;
	uint64_t body_from; /* bytes that the connection had received when the body was admitted */
	struct peer stand_in;
	struct tag arrived, closed, received, sent, replied;
	unsigned tags_out;
	int cancelled;  /* gRPC's word, with closed */
	bool receiving; /* received is out */
	bool begun;     /* the peer has the head of the answer */
	bool sending;   /* sent is out */
	bool answered;  /* the peer has been told, or will be when sent is done */
	bool gone;      /* no answer reaches the peer */
	bool withdrawn; /* the services have been told */
	bool serving;   /* the services have the request */
};

/* ---- life ---- */

static void call_link(struct inbound *call)
{
	struct rpc_server *server = call->server;

	LIST_INSERT_HEAD(&server->calls, call, link);
	server->live++;
}

static void call_unlink(struct inbound *call)
{
	LIST_REMOVE(call, link);
	call->server->live--;
}

/* Free a call that is in no list. */
static void call_free(struct inbound *call)
{
	struct rpc_server *server = call->server;

	timer_free(call->body_timer);
	if (call->body)
		grpc_byte_buffer_destroy(call->body);
	if (call->message)
		grpc_byte_buffer_destroy(call->message);
	if (call->reply)
		grpc_byte_buffer_destroy(call->reply);
	for (size_t i = 0; i < ARRAY_LEN(call->headers); i++) {
		/* A token may be among them. */
		if (call->headers[i])
			explicit_bzero(call->headers[i], strlen(call->headers[i]));
		free(call->headers[i]);
	}
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
	call_unlink(call);
	call_free(call);
}

/* End a tag's function: call may be gone afterwards. */
static void call_tag_done(struct inbound *call)
{
	call->tags_out--;
	call_maybe_free(call);
}

static void call_batch(struct inbound *call, struct tag *tag, const grpc_op *ops, size_t n)
{
	int r = tag_batch(call->server->rpc, tag, call->call, ops, n);

	/* gRPC checks at the start of these batches only what is of our making. */
	assert(r == 0);
	(void)r;
	call->tags_out++;
}

/* ---- answers ---- */

static grpc_slice details_slice(const char *details)
{
	size_t len = strnlen(details, DETAILS_MAX_BYTES);

	/* A character is not cut. */
	while (details[len] != '\0' && len > 0 && ((unsigned char)details[len] & 0xc0) == 0x80)
		len--;
	return grpc_slice_from_copied_buffer(details, len);
}

static void answer_send(struct inbound *call)
{
	grpc_op ops[3] = {0};
	size_t n = 0;

	if (!call->begun)
		ops[n++].op = GRPC_OP_SEND_INITIAL_METADATA;
	if (call->reply) {
		ops[n].op = GRPC_OP_SEND_MESSAGE;
		ops[n++].data.send_message.send_message = call->reply;
	}
	ops[n].op = GRPC_OP_SEND_STATUS_FROM_SERVER;
	ops[n].data.send_status_from_server.status = call->status;
	ops[n++].data.send_status_from_server.status_details = &call->details;
	call_batch(call, &call->replied, ops, n);
}

/* Tell the peer, if it was not told and is there. */
static void call_answer(struct inbound *call, enum outcome outcome, const char *details)
{
	if (call->answered || call->gone)
		return;
	call->answered = true;
	call->status = (grpc_status_code)rpc_status_of(outcome);
	call->details = details_slice(details);
	if (call->receiving) {
		/* Gives up the body, too. */
		auto_(free_at_exit) char *text = bytes_text(&call->details);

		grpc_call_cancel_with_status(call->call, call->status, text ? text : "", NULL);
		return;
	}
	if (!call->sending)
		answer_send(call);
}

static void call_reply(struct inbound *call, const struct slices *body)
{
	if (call->answered || call->gone)
		return;
	if (body->bytes > INT32_MAX)
		call_answer(call, OUTCOME_RESOURCE_EXHAUSTED, "the answer is too large to be sent");
	else if (bytes_to_grpc(body, &call->reply) < 0)
		call_answer(call, OUTCOME_RESOURCE_EXHAUSTED, "no memory for the answer");
	else
		call_answer(call, OUTCOME_OK, "");
}

/* Tell the services that their answer is not wanted any more. May free call unless one of its tags
 * is out. */
static void call_withdraw(struct inbound *call)
{
	if (!call->serving || call->withdrawn)
		return;
	call->withdrawn = true;
	request_cancelled(&call->request);
}

static void call_complain(struct inbound *call, enum outcome outcome, const char *details)
{
	const struct rpc_server_options *options = &call->server->options;
	const struct request *request = &call->request;

	if (options->refused && request->peer && !call->answered && !call->gone)
		options->refused(options->refused_arg, request->peer,
			request->method ? request->method->name : "a call", outcome, details);
}

/* Answer in the services' place. One of call's tags must be out. */
static void call_refuse(struct inbound *call, enum outcome outcome, const char *details)
{
	call_complain(call, outcome, details);
	call_answer(call, outcome, details);
	call_withdraw(call);
}

/* ---- what a request asks of its front-end ---- */

static uint64_t connection_received(const struct inbound *call)
{
	struct traffic traffic;

	return traffic_of(peers_fd(&call->server->peers, call->request.peer), &traffic)
		       ? traffic.received
		       : 0;
}

static void inbound_admit(struct request *request)
{
	struct inbound *call = container_of(request, struct inbound, request);
	grpc_op op = {.op = GRPC_OP_RECV_MESSAGE};

	if (call->body_timer) {
		call->body_end_ms = clock_after(clock_now_ms(), request->method->body_ms);
		call->body_from = connection_received(call);
		timer_set(call->body_timer, clock_after(clock_now_ms(), BODY_LOOK_MS));
	}
	op.data.recv_message.recv_message = &call->body;
	call->receiving = true;
	call_batch(call, &call->received, &op, 1);
}

static void inbound_finish(
	struct request *request, enum outcome outcome, const char *details, struct slices *body)
{
	struct inbound *call = container_of(request, struct inbound, request);

	call->serving = false;
	call->server->serving--;
	if (outcome == OUTCOME_OK)
		call_reply(call, body);
	else
		call_answer(call, outcome, details);
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
		ops[n++].op = GRPC_OP_SEND_INITIAL_METADATA;
	ops[n].op = GRPC_OP_SEND_MESSAGE;
	ops[n++].data.send_message.send_message = call->message;
	call->begun = true;
	call->sending = true;
	call_batch(call, &call->sent, ops, n);
	return 0;
}

static const char *inbound_header(const struct request *request, const char *key)
{
	const struct inbound *call = container_of(request, struct inbound, request);
	const char *const *names = call->server->options.headers;

	for (size_t i = 0; i < RPC_HEADERS_MAX && names[i]; i++)
		if (strcmp(names[i], key) == 0)
			return call->headers[i];
	return NULL;
}

static const struct request_ops inbound_ops = {.admit = inbound_admit,
	.finish = inbound_finish,
	.header = inbound_header,
	.send = inbound_send};

/* ---- tags that are done ---- */

static void inbound_closed(struct tag *tag, bool ok)
{
	struct inbound *call = container_of(tag, struct inbound, closed);

	if (!ok || call->cancelled) {
		call->gone = true;
		call_withdraw(call);
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
	else if (call->answered && !call->gone)
		answer_send(call);
	else if (call->serving && !call->withdrawn)
		request_sent(&call->request);
	call_tag_done(call);
}

static void inbound_replied(struct tag *tag, bool ok)
{
	struct inbound *call = container_of(tag, struct inbound, replied);

	(void)ok; /* whether it reached the peer is what closed says */
	call_tag_done(call);
}

/* The body is there, and wanted. */
static void call_take_body(struct inbound *call)
{
	size_t max = call->request.method->body_max;
	size_t len;
	char text[96];

	if (!call->body) {
		call_refuse(call, OUTCOME_INVALID_ARGUMENT, "call without a message");
		return;
	}
	len = grpc_byte_buffer_length(call->body);
	if (len > max) {
		snprintf(
			text, sizeof text, "message of %zu bytes, at most %zu are taken", len, max);
		call_refuse(call, OUTCOME_RESOURCE_EXHAUSTED, text);
		return;
	}
	if (bytes_from_grpc(call->body, &call->request.body) < 0) {
		call_refuse(call, OUTCOME_RESOURCE_EXHAUSTED, "no memory for the message");
		return;
	}
	grpc_byte_buffer_destroy(call->body);
	call->body = NULL;
	request_received(&call->request);
}

/* Bytes on the connection up to here were this content's, not those of small calls beside it. */
static void content_over(const struct inbound *call)
{
	struct inbound *at;

	LIST_FOREACH(at, &call->server->calls, link)
	if (at->receiving && at->body_timer && at->request.peer == call->request.peer)
		at->body_from = connection_received(at);
}

static void inbound_received(struct tag *tag, bool ok)
{
	struct inbound *call = container_of(tag, struct inbound, received);

	call->receiving = false;
	if (call->body_timer)
		timer_set(call->body_timer, CLOCK_NEVER);
	else
		content_over(call);
	if (!ok)
		/* The body is broken off; closed follows and says why. */
		grpc_call_cancel(call->call, NULL);
	else if (call->serving && !call->withdrawn && !call->answered)
		call_take_body(call);
	call_tag_done(call);
}

/* Is another call on this connection receiving a content? */
static bool content_comes(const struct inbound *call)
{
	const struct inbound *at;

	LIST_FOREACH(at, &call->server->calls, link)
	if (at->receiving && !at->body_timer && at->request.peer == call->request.peer)
		return true;
	return false;
}

/* See a message become too large while it comes: gRPC looks at its size when all of it is there. */
static void inbound_body_look(void *arg)
{
	struct inbound *call = arg;
	int64_t now_ms = clock_now_ms();

	if (!call->receiving)
		return;
	if (now_ms >= call->body_end_ms)
		call_refuse(call, OUTCOME_DEADLINE_EXCEEDED, "the message did not arrive in time");
	else if (connection_received(call) > call->body_from + BODY_SPARE_BYTES &&
		 !content_comes(call))
		call_refuse(call, OUTCOME_RESOURCE_EXHAUSTED, "the message is too large");
	else
		timer_set(call->body_timer, clock_after(now_ms, BODY_LOOK_MS));
}

/* ---- arrival ---- */

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

/* Keep the headers that the services read, the first of each name. 0 or -ENOMEM. */
static int call_read_headers(struct inbound *call)
{
	const char *const *names = call->server->options.headers;

	for (size_t i = 0; i < RPC_HEADERS_MAX && names[i]; i++) {
		for (size_t j = 0; j < call->metadata.count && !call->headers[i]; j++) {
			const grpc_metadata *metadata = &call->metadata.metadata[j];

			if (grpc_slice_str_cmp(metadata->key, names[i]) != 0)
				continue;
			call->headers[i] = bytes_text(&metadata->value);
			if (!call->headers[i])
				return -ENOMEM;
		}
	}
	return 0;
}

static const struct peer *call_peer(const struct inbound *call)
{
	char *text = grpc_call_get_peer(call->call);
	const struct peer *peer = peers_find(&call->server->peers, text);

	gpr_free(text);
	return peer;
}

/* The number of this connection's calls that the services have. */
static unsigned connection_serving(const struct inbound *call)
{
	const struct inbound *at;
	unsigned n = 0;

	LIST_FOREACH(at, &call->server->calls, link)
	n += at->serving && at->request.peer == call->request.peer;
	return n;
}

/* Prepare the request for the services. 0, or the outcome to refuse the call with. */
static enum outcome call_prepare(struct inbound *call, const char **details)
{
	struct rpc_server *server = call->server;
	struct request *request = &call->request;
	auto_(free_at_exit) char *path = NULL;

	request->ops = &inbound_ops;
	request->peer = call_peer(call);
	*details = "the server is ending, or the connection has ended";
	if (server->stopping || !request->peer)
		return OUTCOME_UNAVAILABLE;
	*details = "too many calls at once";
	if (server->serving >= server->options.calls_max)
		return OUTCOME_RESOURCE_EXHAUSTED;
	/* gRPC holds a peer to its limit only once that has confirmed it. */
	*details = "too many calls at once on this connection";
	if (server->options.connection_calls_max &&
		connection_serving(call) >= server->options.connection_calls_max)
		return OUTCOME_RESOURCE_EXHAUSTED;
	/* A peer that has not acknowledged gRPC's limit may send up to 16 MiB. */
	*details = "the headers are too large";
	if (head_bytes(call) > RPC_HEAD_MAX_BYTES)
		return OUTCOME_RESOURCE_EXHAUSTED;
	*details = "no memory for the call";
	path = bytes_text(&call->about.method);
	if (!path || call_read_headers(call) < 0)
		return OUTCOME_RESOURCE_EXHAUSTED;
	*details = "no such method";
	request->method = service_method(
		server->options.services, server->options.n_services, path, &request->service);
	if (!request->method)
		return OUTCOME_UNIMPLEMENTED;
	if (request->method->body_ms <= 0)
		return OUTCOME_OK;
	*details = "no memory for the call";
	call->body_timer = timer_new(rpc_loop(server->rpc), inbound_body_look, call);
	return call->body_timer ? OUTCOME_OK : OUTCOME_RESOURCE_EXHAUSTED;
}

static void inbound_arrived(struct tag *tag, bool ok)
{
	struct inbound *call = container_of(tag, struct inbound, arrived);
	struct rpc_server *server = call->server;
	grpc_op op = {.op = GRPC_OP_RECV_CLOSE_ON_SERVER};
	enum outcome outcome;
	const char *details;

	server->posted--;
	if (!ok) {
		/* The server is ending. */
		call_free(call);
		return;
	}
	call_link(call);
	server_changed(server);
	/* This batch is out until the call ends, so that the end is seen in every state. */
	op.data.recv_close_on_server.cancelled = &call->cancelled;
	call_batch(call, &call->closed, &op, 1);
	outcome = call_prepare(call, &details);
	if (outcome != OUTCOME_OK) {
		call_complain(call, outcome, details);
		call_answer(call, outcome, details);
		return;
	}
	call->serving = true;
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
	call->arrived.done = inbound_arrived;
	call->closed.done = inbound_closed;
	call->received.done = inbound_received;
	call->sent.done = inbound_sent;
	call->replied.done = inbound_replied;
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

void inbound_orphan(struct rpc_server *server, const struct peer *peer)
{
	struct inbound *call;

	LIST_FOREACH(call, &server->calls, link)
	{
		if (call->request.peer != peer)
			continue;
		call->stand_in = *peer;
		call->request.peer = &call->stand_in;
		grpc_call_cancel(call->call, NULL);
	}
}
