/*
 * stream: calls of any kind, message by message: also those on which both ends, or only one, send
 * many. Main thread; callbacks come from the loop, never from inside a function of this header.
 */
#ifndef FLWR_RPC_STREAM_H
#define FLWR_RPC_STREAM_H

#include "common/base/slice.h"
#include "common/rpc/channel.h"

struct rpc_stream;

struct rpc_stream_options {
	const char *path; /* "/flwr.proto.FlowerService/Join" */
	const struct rpc_header *headers;
	size_t n_headers;
	int64_t timeout_ms;                      /* for all of it; 0: none */
	bool wait_for_ready;                     /* needs a timeout */
	const enum rpc_compression *compression; /* NULL: the channel's */
	/* Callbacks, each but ended may be NULL. The stream may be cancelled inside. */
	/* The headers of the answer are here. */
	void (*opened)(void *arg, const struct rpc_headers *headers);
	/* The message that was sent last has gone to the network, as far as the peer's window lets
	 * it: the next one may be given. One that cannot be sent ends the stream; messages that
	 * were not asked for are dropped then. */
	void (*sent)(void *arg);
	/* The message that was asked for; may be taken (slices_move). One that is marked as
	 * compressed, by an algorithm that gRPC does not know or by none, comes as it is: gRPC does
	 * not tell. */
	void (*received)(void *arg, struct slices *message);
	/* The last callback, always: the stream is gone when it returns. All messages that came
	 * before a status OK were given. */
	void (*ended)(void *arg, const struct rpc_end *end);
	void *arg;
};

/*
 * Start a stream, on which nothing is sent but headers. 0; -ENOMEM; -EINVAL (headers, timeout);
 * what an interceptor has returned: no callback comes then. *out is valid until ended.
 */
int rpc_stream_start(struct rpc_channel *channel, const struct rpc_stream_options *options,
	struct rpc_stream **out);

enum {
	RPC_SEND_LAST = 1, /* half-close with it: no other message follows */
	RPC_SEND_PLAIN = 2 /* not compressed */
};

/*
 * Send a message, one at a time: sent tells when. body is taken over (empty afterwards, on failure
 * too); by reference, never copied. 0; -EBUSY: another is on its way; -EPIPE: half-closed, or the
 * stream has ended, of which ended will tell; -EINVAL (2 GiB or more); -ENOMEM.
 */
int rpc_stream_send(struct rpc_stream *stream, struct slices *body, unsigned flags);

/* Half-close: nothing more is sent, after what is on its way. Again: no effect. */
void rpc_stream_close(struct rpc_stream *stream);

/*
 * Ask for one message: received or, when none comes any more, ended tells. What is not asked for
 * stays in the peer, but for the window of HTTP/2; the end of the stream is told when all messages
 * were asked for. Again before it has come: no effect.
 */
void rpc_stream_read(struct rpc_stream *stream);

/* End it: only ended comes, soon, with OUTCOME_CANCELLED (or what came first). */
void rpc_stream_cancel(struct rpc_stream *stream);

/* The peer's address as gRPC writes it ("ipv4:127.0.0.1:9092"), as far as there is room; before
 * there is one gRPC gives the channel's target, or "unknown". */
void rpc_stream_peer(const struct rpc_stream *stream, char *text, size_t size);

#endif
