/*
 * instruction_codec: requests and responses of the worker API's dialect 1 (ClientAppIo of
 * Flower 1.15 - 1.18), for both ends. One thread each; knows no transport.
 */
#ifndef FLWR_MESSAGE_INSTRUCTION_CODEC_H
#define FLWR_MESSAGE_INSTRUCTION_CODEC_H

#include "common/message/envelope.h"

/* The inputs of a worker. Parts are bytes, by reference. */
struct instruction_inputs {
	struct slices message;
	struct slices context;
	struct slices run;
	struct slices fab; /* empty: none */
};

void instruction_inputs_done(struct instruction_inputs *inputs);

/* The outputs of a worker. */
struct instruction_outputs {
	uint64_t token;
	struct slices message;
	struct given_context context;
	bool decoded; /* by instruction_decode_reply() */
	int reply_result;
	struct envelope reply; /* what message is, if reply_result is 0 */
};

void instruction_outputs_done(struct instruction_outputs *outputs);

/* Encoders append to *out: 0 or -ENOMEM. Decoders: 0, -EBADMSG, -EMSGSIZE, -ENOMEM. */
int instruction_encode_token(uint64_t token,
	struct slices *out); /* GetTokenResponse, PullClientAppInputsRequest: both are {1: token} */
int instruction_decode_token(const struct slices *bytes, uint64_t *token_out); /* 0 when absent */
/* The token of outputs, if it is their first field, as all encoders write it; else 0: a look that
 * costs the same however many bytes there are. */
uint64_t instruction_first_token(const struct slices *bytes);
/* Decode the message of outputs into their reply, unless it was; once that is taken (0) it is
 * empty. reply_result. */
int instruction_decode_reply(struct instruction_outputs *outputs);
int instruction_encode_inputs(const struct instruction_inputs *inputs, struct slices *out);
int instruction_decode_inputs(const struct slices *bytes, struct instruction_inputs *out);
int instruction_encode_outputs(const struct instruction_outputs *outputs, struct slices *out);
int instruction_decode_outputs(const struct slices *bytes, struct instruction_outputs *out);
/* PushClientAppOutputsResponse: status code (0 success, 1 deadline exceeded, 2 unknown error) and a
 * text. */
int instruction_encode_status(int code, const char *text, struct slices *out);
int instruction_decode_status(const struct slices *bytes, int *code_out, char **text_out);

#endif
