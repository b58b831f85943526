/*
 * outgoing: what unary calls and streams to a server have in common: the call inside its channel,
 * headers both ways, the status, the interceptors. Main thread. Private to common/rpc.
 */
#ifndef FLWR_RPC_OUTGOING_H
#define FLWR_RPC_OUTGOING_H

#include "common/base/slice.h"
#include "common/rpc/channel.h"
#include "common/rpc/interceptor.h"
#include "common/rpc/internal/grpc_metadata.h"
#include "common/rpc/internal/progress.h"
#include "common/rpc/internal/tag.h"

#include <grpc/grpc.h>
#include <sys/queue.h>

struct outgoing;
typedef void outgoing_late_fn(struct outgoing *out);

struct outgoing {
	struct rpc_channel *channel;
	LIST_ENTRY(outgoing) link;
	grpc_call *call;
	struct metadata_out headers;
	grpc_metadata_array initial; /* those of the answer */
	grpc_metadata_array trailing;
	grpc_status_code status;
	grpc_slice details;
	struct progress progress;
	struct rpc_call_info info; /* for interceptors; the path is a copy, NULL without them */
	size_t begun;              /* interceptors that were asked, and will hear the end */
	struct rpc_call_traffic traffic;
	int64_t start_ms;
	outgoing_late_fn *late; /* NULL: it was called, or nothing is expected */
};

struct rpc_channel {
	struct rpc *rpc;
	grpc_channel *channel;       /* NULL once freed by its owner */
	LIST_HEAD(, outgoing) calls; /* all that are out */
	unsigned telling;            /* callbacks that are running */
	struct log *log;
	struct timer *late;     /* for calls that should have ended; NULL: there was none yet */
	size_t expected;        /* so many */
	struct timer *progress; /* looks at the calls that are watched; NULL: none is */
	enum rpc_compression compression;
	struct rpc_interceptor *interceptors;
	size_t n_interceptors;
	struct timer *told; /* tells a new watcher the present state */
	struct tag state;   /* waits for the next change of the connection */
	bool state_out;
	bool ready; /* as it was told last */
	rpc_ready_fn *ready_fn;
	void *ready_arg;
	bool made;   /* its owner has, or had it: interceptors are told when it is gone */
	bool direct; /* over a socket that was given: such a one cannot be watched */
};

/* Free the channel if nothing refers to it any more. */
void channel_maybe_free(struct rpc_channel *channel);

/* Look at the progress of calls that say what they carry, while there are some. */
void channel_watch_progress(struct rpc_channel *channel);

/* The head of a call, out of the public options. */
struct outgoing_head {
	const char *path;
	const struct rpc_header *headers;
	size_t n_headers;
	int64_t timeout_ms;
	bool wait_for_ready;
	bool streams;
	enum rpc_compression compression;
};

/* Make the call, send nothing yet. 0; -EINVAL (headers, timeout), -ENOMEM, or what an interceptor
 * has returned; outgoing_free() afterwards in each case, which tells interceptors of a call that
 * was never started. */
int outgoing_init(
	struct outgoing *out, struct rpc_channel *channel, const struct outgoing_head *head);

/* The operation that sends the headers. */
grpc_op outgoing_send_headers(struct outgoing *out, bool wait_for_ready);
/* The operation that receives the status. */
grpc_op outgoing_receive_status(struct outgoing *out);

/* Enter it among the channel's calls: it has started. */
void outgoing_started(struct outgoing *out);

/* Call late once, unless the call ends soon (OUTGOING_END_MS). late may start batches. */
void outgoing_expect_end(struct outgoing *out, outgoing_late_fn *late);

/* Do the answer's headers go beyond RPC_ANSWER_HEADERS_MAX or RPC_ANSWER_HEADER_BYTES_MAX? */
bool outgoing_has_many_headers(const struct outgoing *out);

/*
 * References to the bytes of a message that has come. The sentence why that is no message for the
 * caller, with its outcome; NULL: it is one.
 */
const char *outgoing_unpack(
	grpc_byte_buffer *buffer, struct slices *message, enum outcome *outcome);

/* The end as gRPC tells it. details is the text of out->details (NULL: no memory for it), trailers
 * an empty list that gets its headers; both are kept by the caller for as long as end. */
void outgoing_end(const struct outgoing *out, const char *details, struct rpc_headers *trailers,
	struct rpc_end *end);

/* Tell the interceptors that have begun, and remove it from the channel's calls. */
void outgoing_ended(struct outgoing *out, const struct rpc_end *end);

/* Free what it holds; half-built ones, too. The channel's list must not have it. */
void outgoing_free(struct outgoing *out);

/* The text of the peer's address into text; before it is known the channel's target, or "unknown".
 */
void outgoing_peer(const struct outgoing *out, char *text, size_t size);

#endif
