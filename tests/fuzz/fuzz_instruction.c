/*
 * Fuzz target: the worker API's dialect 1, both ends: what a worker is given and gives back.
 */
#include "fuzz.h"

#include "common/message/instruction_codec.h"

FUZZ_MEMORY(64, 160);

static int again_token(const struct slices *bytes, struct slices *again)
{
	uint64_t token;
	int r = instruction_decode_token(bytes, &token);

	if (r == 0)
		CHECK(instruction_encode_token(token, again) == 0);
	return r;
}

static int again_inputs(const struct slices *bytes, struct slices *again)
{
	struct instruction_inputs inputs;
	int r = instruction_decode_inputs(bytes, &inputs);

	if (r)
		return r;
	CHECK(inputs.message.bytes + inputs.context.bytes + inputs.run.bytes + inputs.fab.bytes <=
		bytes->bytes);
	CHECK(instruction_encode_inputs(&inputs, again) == 0);
	instruction_inputs_done(&inputs);
	return 0;
}

static int again_outputs(const struct slices *bytes, struct slices *again)
{
	struct instruction_outputs outputs;
	int r = instruction_decode_outputs(bytes, &outputs);

	if (r)
		return r;
	CHECK(outputs.message.bytes + outputs.context.bytes.bytes <= bytes->bytes);
	CHECK(instruction_encode_outputs(&outputs, again) == 0);
	CHECK(instruction_first_token(again) == outputs.token);
	r = instruction_decode_reply(&outputs);
	CHECK(instruction_decode_reply(&outputs) == r);
	CHECK(r == 0 || !outputs.reply.metadata.message_id);
	instruction_outputs_done(&outputs);
	return 0;
}

static int again_status(const struct slices *bytes, struct slices *again)
{
	auto_(free_at_exit) char *text = NULL;
	int code;
	int r = instruction_decode_status(bytes, &code, &text);

	if (r == 0)
		CHECK(instruction_encode_status(code, text, again) == 0);
	return r;
}

void fuzz(const uint8_t *data, size_t len)
{
	static const struct fuzz_codec codecs[] = {{.again = again_token}, {.again = again_inputs},
		{.again = again_outputs}, {.again = again_status}};

	for (size_t i = 0; i < ARRAY_LEN(codecs); i++)
		fuzz_codec(&codecs[i], data, len);
}
