/*
 * answer: what a call sends: its head, messages, and the status at the end.
 */
#include "common/rpc/internal/bytes.h"
#include "common/rpc/internal/inbound.h"
#include "common/rpc/status.h"

#include <grpc/byte_buffer.h>
#include <string.h>

#define DETAILS_MAX_BYTES                                                                          \
	2048 /* a peer refuses more than 8 KiB of metadata, in which a byte may take three */

static grpc_slice details_slice(const char *details)
{
	size_t len = strnlen(details, DETAILS_MAX_BYTES);

	grpc_slice slice;

	/* A character is not cut. */
	while (details[len] != '\0' && len > 0 && ((unsigned char)details[len] & 0xc0) == 0x80)
		len--;
	/* A NUL follows, for those that ask for the details. */
	slice = grpc_slice_malloc(len + 1);
	memcpy(GRPC_SLICE_START_PTR(slice), details, len);
	GRPC_SLICE_START_PTR(slice)[len] = '\0';
	GRPC_SLICE_SET_LENGTH(slice, len);
	return slice;
}

grpc_op inbound_head(struct inbound *call)
{
	/* gRPC takes what the peer accepts: to its levels, gzip is the lowest and deflate the
	 * highest algorithm. */
	static const grpc_compression_level levels[RPC_COMPRESSION_N] = {
		[RPC_COMPRESSION_NONE] = GRPC_COMPRESS_LEVEL_NONE,
		[RPC_COMPRESSION_GZIP] = GRPC_COMPRESS_LEVEL_LOW,
		[RPC_COMPRESSION_DEFLATE] = GRPC_COMPRESS_LEVEL_HIGH,
	};
	grpc_op op = {.op = GRPC_OP_SEND_INITIAL_METADATA};

	op.data.send_initial_metadata.count = call->initial.n;
	op.data.send_initial_metadata.metadata = call->initial.v;
	op.data.send_initial_metadata.maybe_compression_level.is_set = 1;
	op.data.send_initial_metadata.maybe_compression_level.level = levels[call->compression];
	call->begun = true;
	return op;
}

grpc_op inbound_message(struct inbound *call, grpc_byte_buffer *buffer)
{
	grpc_op op = {
		.op = GRPC_OP_SEND_MESSAGE, .flags = call->plain ? GRPC_WRITE_NO_COMPRESS : 0};

	op.data.send_message.send_message = buffer;
	call->plain = false;
	return op;
}

void inbound_answer_now(struct inbound *call)
{
	grpc_op ops[3] = {0};
	size_t n = 0;

	if (!call->begun)
		ops[n++] = inbound_head(call);
	if (call->reply)
		ops[n++] = inbound_message(call, call->reply);
	ops[n].op = GRPC_OP_SEND_STATUS_FROM_SERVER;
	ops[n].data.send_status_from_server.trailing_metadata_count = call->trailing.n;
	ops[n].data.send_status_from_server.trailing_metadata = call->trailing.v;
	ops[n].data.send_status_from_server.status = call->status;
	ops[n++].data.send_status_from_server.status_details = &call->details;
	inbound_batch(call, &call->replied, ops, n);
}

void inbound_choose_status(struct inbound *call, grpc_status_code status, const char *details)
{
	grpc_slice_unref(call->details);
	call->details = details_slice(details);
	call->status = status;
	call->status_chosen = true;
}

void inbound_answer(struct inbound *call, enum outcome outcome, const char *details)
{
	if (call->answered || call->gone)
		return;
	call->answered = true;
	if (!call->status_chosen)
		inbound_choose_status(call, (grpc_status_code)rpc_status_of(outcome), details);
	/* A receive may be out: gRPC gives up what is left of the request. */
	if (!call->sending && !call->heading)
		inbound_answer_now(call);
}

void inbound_reply(struct inbound *call, const struct slices *body)
{
	if (call->answered || call->gone)
		return;
	if (body->bytes > INT32_MAX) {
		call->status_chosen = false;
		inbound_answer(
			call, OUTCOME_RESOURCE_EXHAUSTED, "the answer is too large to be sent");
	} else if (bytes_to_grpc(body, &call->reply) < 0) {
		call->status_chosen = false;
		inbound_answer(call, OUTCOME_RESOURCE_EXHAUSTED, "no memory for the answer");
	} else {
		inbound_answer(call, OUTCOME_OK, "");
	}
}
