/*
 * call: unary calls: one message out, one back; an answer with none, or with more than one, becomes
 * INTERNAL. Main thread; done comes from the loop, never from inside the function that started the
 * call.
 */
#ifndef FLWR_RPC_CALL_H
#define FLWR_RPC_CALL_H

#include "common/base/slice.h"
#include "common/rpc/channel.h"

struct rpc_call;

struct rpc_result {
	enum outcome outcome;
	int status;          /* gRPC's number */
	const char *details; /* the peer's or gRPC's words, never NULL; a peer's bytes: quote them
				in log lines */
	struct slices body; /* with OUTCOME_OK; may be taken (slices_move). A message that is marked
			       as compressed, by an algorithm that gRPC does not know or by none,
			       comes as it is: gRPC does not tell */
	bool too_large;     /* more than answer_max_bytes came */
	struct rpc_headers headers, trailers; /* of the answer, if there was one: also of a failure;
						 may be taken */
};

typedef void rpc_done_fn(void *arg, struct rpc_result *result);

struct rpc_call_options {
	const char *path; /* "/flwr.proto.Fleet/Ping" */
	const struct rpc_header *headers;
	size_t n_headers;
	int64_t timeout_ms; /* 0: none (calls that carry content; the channel's keepalive ends dead
			       ones). A server that sends a message and does not end the call
			       is as one that is silent */
	uint64_t answer_max_bytes; /* a larger answer becomes RESOURCE_EXHAUSTED, too_large; 0: the
				      channel's receive_max_bytes. It is looked at when all of it
				      is here: memory_max_bytes bounds what it takes until then */
	bool keeps_head;           /* of a larger answer result->body has the first 64 KiB */
	bool wait_for_ready;       /* needs a timeout */
	const enum rpc_compression *compression; /* NULL: the channel's */
	const char
		*what; /* static: what passes, "a reply": its progress is told; NULL: it is not */
	rpc_done_fn *done;
	void *arg;
};

/*
 * Start a call. body is taken over (empty afterwards, on failure too); by reference, never copied.
 * done is called exactly once, later, unless this fails. 0; -ENOMEM; -EINVAL (headers); what an
 * interceptor has returned. *out (may be NULL) is valid until done.
 */
int rpc_call_start(struct rpc_channel *channel, const struct rpc_call_options *options,
	struct slices *body, struct rpc_call **out);

/* End it early: done comes with OUTCOME_CANCELLED (or what came first). */
void rpc_call_cancel(struct rpc_call *call);

#endif
