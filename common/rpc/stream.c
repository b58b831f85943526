/*
 * stream: each operation is a batch with a tag of its own. The status comes home once, at any time;
 * the stream has ended when every other tag is home, too.
 */
#include "common/rpc/stream.h"

#include "common/base/cleanup.h"
#include "common/rpc/internal/bytes.h"
#include "common/rpc/internal/outgoing.h"
#include "common/rpc/status.h"

#include <errno.h>
#include <grpc/byte_buffer.h>
#include <stdlib.h>

struct rpc_stream {
	struct outgoing out;
	struct rpc_stream_options on; /* the callbacks */
	struct tag head, send, close, receive, status;
	unsigned tags_out;
	bool sending;        /* send is out */
	bool reading;        /* receive is out */
	bool asked;          /* for what it brings, by the owner */
	bool unsendable;     /* a message could not be sent: the stream ends */
	bool closing;        /* half-closed, or as soon as send is home */
	bool status_known;   /* nothing can be started any more */
	bool quiet;          /* cancelled by its owner: ended only */
	const char *refused; /* why a message was not taken, whatever the status says; NULL: none */
	enum outcome refused_as;
	grpc_byte_buffer *request, *response;
};

static void stream_free(struct rpc_stream *stream)
{
	if (stream->request)
		grpc_byte_buffer_destroy(stream->request);
	if (stream->response)
		grpc_byte_buffer_destroy(stream->response);
	outgoing_free(&stream->out);
	free(stream);
}

static int stream_batch(struct rpc_stream *stream, struct tag *tag, const grpc_op *ops, size_t n)
{
	int r = tag_batch(stream->out.channel->rpc, tag, stream->out.call, ops, n);

	if (r == 0)
		stream->tags_out++;
	return r;
}

static void stream_end(struct rpc_stream *stream)
{
	auto_(free_at_exit) char *details = bytes_text(&stream->out.details);
	auto_(rpc_headers_done) struct rpc_headers trailers = {0};
	struct rpc_end end;

	outgoing_end(&stream->out, details, &trailers, &end);
	if (stream->refused) {
		end.outcome = stream->refused_as;
		end.status = rpc_status_of(end.outcome);
		end.details = stream->refused;
	}
	outgoing_ended(&stream->out, &end);
	stream->on.ended(stream->on.arg, &end);
}

/* A tag is home, and its callback, if any, was called. */
static void stream_settle(struct rpc_stream *stream)
{
	struct rpc_channel *channel = stream->out.channel;

	if (--stream->tags_out > 0)
		return;
	channel->telling++;
	stream_end(stream);
	channel->telling--;
	stream_free(stream);
	channel_maybe_free(channel);
}

/* ---- tags ---- */

static void head_done(struct tag *tag, bool ok)
{
	struct rpc_stream *stream = container_of(tag, struct rpc_stream, head);
	auto_(rpc_headers_done) struct rpc_headers headers = {0};

	if (ok && outgoing_has_many_headers(&stream->out))
		rpc_stream_cancel(stream);
	else if (ok && !stream->quiet && stream->on.opened &&
		 metadata_from_grpc(&stream->out.initial, &headers) == 0)
		stream->on.opened(stream->on.arg, &headers);
	stream_settle(stream);
}

static void start_close(struct rpc_stream *stream)
{
	const grpc_op op = {.op = GRPC_OP_SEND_CLOSE_FROM_CLIENT};

	stream_batch(stream, &stream->close, &op, 1);
}

static void start_read(struct rpc_stream *stream)
{
	const grpc_op op = {
		.op = GRPC_OP_RECV_MESSAGE, .data.recv_message.recv_message = &stream->response};

	if (!stream->reading && !stream->status_known)
		stream->reading = stream_batch(stream, &stream->receive, &op, 1) == 0;
}

static void send_done(struct tag *tag, bool ok)
{
	struct rpc_stream *stream = container_of(tag, struct rpc_stream, send);

	grpc_byte_buffer_destroy(stream->request);
	stream->request = NULL;
	stream->sending = false;
	if (stream->closing && !stream->status_known)
		start_close(stream);
	if (ok && !stream->quiet && stream->on.sent)
		stream->on.sent(stream->on.arg);
	if (!ok) {
		/* gRPC tells no status before all messages were read, and the owner may wait for
		 * sent before it reads. */
		stream->unsendable = true;
		start_read(stream);
	}
	stream_settle(stream);
}

static void close_done(struct tag *tag, bool ok)
{
	(void)ok;
	stream_settle(container_of(tag, struct rpc_stream, close));
}

static void receive_done(struct tag *tag, bool ok)
{
	struct rpc_stream *stream = container_of(tag, struct rpc_stream, receive);
	auto_(slices_done) struct slices message = {0};
	bool came = ok && stream->response, asked = stream->asked;
	const char *why =
		came ? outgoing_unpack(stream->response, &message, &stream->refused_as) : NULL;

	if (stream->response)
		grpc_byte_buffer_destroy(stream->response);
	stream->response = NULL;
	stream->reading = false;
	stream->asked = false;
	if (why) {
		stream->refused = why;
		rpc_stream_cancel(stream);
	} else if (came) {
		stream->out.traffic.received++;
		stream->out.traffic.received_bytes += message.bytes;
		if (asked && !stream->quiet && stream->on.received)
			stream->on.received(stream->on.arg, &message);
		if (stream->unsendable)
			start_read(stream);
	} else {
		/* The peer has ended its side. gRPC tells the status at once if it came with that,
		 * else when this side has ended, too. */
		rpc_stream_close(stream);
	}
	stream_settle(stream);
}

static void status_done(struct tag *tag, bool ok)
{
	struct rpc_stream *stream = container_of(tag, struct rpc_stream, status);

	(void)ok; /* the status is always received */
	stream->status_known = true;
	stream_settle(stream);
}

/* ---- the owner's side ---- */

static int start_tags(struct rpc_stream *stream, bool wait_for_ready)
{
	const grpc_op whole[] = {outgoing_send_headers(&stream->out, wait_for_ready),
		outgoing_receive_status(&stream->out)};
	const grpc_op head = {.op = GRPC_OP_RECV_INITIAL_METADATA,
		.data.recv_initial_metadata.recv_initial_metadata = &stream->out.initial};
	int r = stream_batch(stream, &stream->status, whole, ARRAY_LEN(whole));

	/* gRPC has taken the call: it refuses no other operation. */
	return r < 0 ? r : stream_batch(stream, &stream->head, &head, 1);
}

int rpc_stream_start(struct rpc_channel *channel, const struct rpc_stream_options *options,
	struct rpc_stream **out)
{
	const struct outgoing_head head = {.path = options->path,
		.headers = options->headers,
		.n_headers = options->n_headers,
		.timeout_ms = options->timeout_ms,
		.wait_for_ready = options->wait_for_ready,
		.streams = true,
		.compression = options->compression ? *options->compression : channel->compression};
	struct rpc_stream *stream = calloc(1, sizeof *stream);
	int r;

	if (!stream)
		return -ENOMEM;
	stream->on = *options;
	stream->head.done = head_done;
	stream->send.done = send_done;
	stream->close.done = close_done;
	stream->receive.done = receive_done;
	stream->status.done = status_done;
	r = outgoing_init(&stream->out, channel, &head);
	if (r == 0)
		r = start_tags(stream, options->wait_for_ready);
	if (r == 0) {
		outgoing_started(&stream->out);
		*out = stream;
	} else {
		stream_free(stream);
	}
	return r;
}

static int start_send(struct rpc_stream *stream, const struct slices *body, unsigned flags)
{
	grpc_op op = {.op = GRPC_OP_SEND_MESSAGE};
	int r;

	if (stream->status_known || stream->closing)
		return -EPIPE;
	if (stream->sending)
		return -EBUSY;
	if (body->bytes > INT32_MAX)
		return -EINVAL;
	r = bytes_to_grpc(body, &stream->request);
	if (r < 0)
		return r;
	op.flags = flags & RPC_SEND_PLAIN ? GRPC_WRITE_NO_COMPRESS : 0;
	op.data.send_message.send_message = stream->request;
	r = stream_batch(stream, &stream->send, &op, 1);
	if (r < 0) {
		grpc_byte_buffer_destroy(stream->request);
		stream->request = NULL;
		return r;
	}
	stream->sending = true;
	stream->closing = flags & RPC_SEND_LAST;
	stream->out.traffic.sent++;
	stream->out.traffic.sent_bytes += body->bytes;
	return 0;
}

int rpc_stream_send(struct rpc_stream *stream, struct slices *body, unsigned flags)
{
	int r = start_send(stream, body, flags);

	slices_done(body);
	return r;
}

void rpc_stream_close(struct rpc_stream *stream)
{
	if (stream->closing || stream->status_known)
		return;
	stream->closing = true;
	if (!stream->sending)
		start_close(stream);
}

void rpc_stream_read(struct rpc_stream *stream)
{
	stream->asked = true;
	start_read(stream);
}

void rpc_stream_cancel(struct rpc_stream *stream)
{
	stream->quiet = true;
	grpc_call_cancel(stream->out.call, NULL);
}

void rpc_stream_peer(const struct rpc_stream *stream, char *text, size_t size)
{
	outgoing_peer(&stream->out, text, size);
}
