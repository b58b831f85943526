/*
 * instruction_codec: dialect 1 is a token and parts that are handed on as they are.
 */
#include "common/message/instruction_codec.h"

#include "common/base/cleanup.h"
#include "common/wire/wire.h"

#include <errno.h>
#include <limits.h>
#include <string.h>

void instruction_inputs_done(struct instruction_inputs *inputs)
{
	slices_done(&inputs->message);
	slices_done(&inputs->context);
	slices_done(&inputs->run);
	slices_done(&inputs->fab);
}

void instruction_outputs_done(struct instruction_outputs *outputs)
{
	slices_done(&outputs->message);
	slices_done(&outputs->context);
	envelope_done(&outputs->reply);
	*outputs = (struct instruction_outputs){0};
}

int instruction_encode_token(uint64_t token, struct slices *out)
{
	auto_(wire_writer_done) struct wire_writer writer = {0};

	if (token)
		wire_put_varint(&writer, 1, token);
	return wire_writer_take(&writer, out);
}

int instruction_decode_token(const struct slices *bytes, uint64_t *token_out)
{
	return wire_find_varint(bytes, 1, token_out);
}

uint64_t instruction_first_token(const struct slices *bytes)
{
	struct wire_reader reader;
	struct wire_field field;

	wire_reader_init(&reader, bytes);
	if (wire_next(&reader, &field) <= 0 || field.number != 1 || field.type != WIRE_VARINT)
		return 0;
	return field.number_value;
}

int instruction_decode_reply(struct instruction_outputs *outputs)
{
	if (!outputs->decoded)
		outputs->reply_result = envelope_decode(&outputs->message, &outputs->reply);
	outputs->decoded = true;
	return outputs->reply_result;
}

int instruction_encode_inputs(const struct instruction_inputs *inputs, struct slices *out)
{
	auto_(wire_writer_done) struct wire_writer writer = {0};

	wire_put_refs(&writer, 1, &inputs->message);
	wire_put_refs(&writer, 2, &inputs->context);
	wire_put_refs(&writer, 3, &inputs->run);
	if (inputs->fab.bytes)
		wire_put_refs(&writer, 4, &inputs->fab);
	return wire_writer_take(&writer, out);
}

/* Appends the BYTES fields numbered 1 .. n to parts[number], where there is one: repeated messages
 * merge. */
static int split_parts(const struct slices *bytes, struct slices *const *parts, size_t n)
{
	struct wire_reader reader;
	struct wire_field field;
	int r;

	wire_reader_init(&reader, bytes);
	while ((r = wire_next(&reader, &field)) > 0) {
		if (field.type != WIRE_BYTES || field.number >= n || !parts[field.number])
			continue;
		r = wire_refs(&reader, &field, parts[field.number]);
		if (r < 0)
			return r;
	}
	return r;
}

int instruction_decode_inputs(const struct slices *bytes, struct instruction_inputs *out)
{
	auto_(instruction_inputs_done) struct instruction_inputs inputs = {0};
	struct slices *const parts[] = {
		[1] = &inputs.message, [2] = &inputs.context, [3] = &inputs.run, [4] = &inputs.fab};
	int r;

	*out = (struct instruction_inputs){0};
	r = split_parts(bytes, parts, ARRAY_LEN(parts));
	if (r < 0)
		return r;
	*out = inputs;
	inputs = (struct instruction_inputs){0};
	return 0;
}

int instruction_encode_outputs(const struct instruction_outputs *outputs, struct slices *out)
{
	auto_(wire_writer_done) struct wire_writer writer = {0};

	if (outputs->token)
		wire_put_varint(&writer, 1, outputs->token);
	wire_put_refs(&writer, 2, &outputs->message);
	wire_put_refs(&writer, 3, &outputs->context);
	return wire_writer_take(&writer, out);
}

int instruction_decode_outputs(const struct slices *bytes, struct instruction_outputs *out)
{
	auto_(instruction_outputs_done) struct instruction_outputs outputs = {0};
	struct slices *const parts[] = {[2] = &outputs.message, [3] = &outputs.context};
	int r;

	*out = (struct instruction_outputs){0};
	r = instruction_decode_token(bytes, &outputs.token);
	if (r == 0)
		r = split_parts(bytes, parts, ARRAY_LEN(parts));
	if (r < 0)
		return r;
	*out = outputs;
	outputs = (struct instruction_outputs){0};
	return 0;
}

int instruction_encode_status(int code, const char *text, struct slices *out)
{
	auto_(wire_writer_done) struct wire_writer writer = {0};
	auto_(wire_writer_done) struct wire_writer status = {0};

	if (code)
		wire_put_varint(&status, 1, (uint64_t)code);
	if (*text)
		wire_put_string(&status, 2, text);
	wire_put_message(&writer, 1, &status);
	return wire_writer_take(&writer, out);
}

static int status_read(
	const struct wire_reader *outer, const struct wire_field *status, int *code, char **text)
{
	struct wire_reader reader;
	struct wire_field field;
	int r;

	wire_reader_enter(&reader, outer, status);
	while ((r = wire_next(&reader, &field)) > 0) {
		if (field.number == 1 && field.type == WIRE_VARINT)
			*code = (int32_t)(uint32_t)field.number_value;
		if (field.number != 2 || field.type != WIRE_BYTES)
			continue;
		free_at_exit(text);
		r = wire_string(&reader, &field, ENVELOPE_STRING_MAX, text);
		if (r < 0)
			return r;
	}
	return r;
}

int instruction_decode_status(const struct slices *bytes, int *code_out, char **text_out)
{
	auto_(free_at_exit) char *text = NULL;
	struct wire_reader reader;
	struct wire_field field;
	int code = 0;
	int r;

	*text_out = NULL;
	wire_reader_init(&reader, bytes);
	while ((r = wire_next(&reader, &field)) > 0) {
		if (field.number != 1 || field.type != WIRE_BYTES)
			continue;
		r = status_read(&reader, &field, &code, &text);
		if (r < 0)
			return r;
	}
	if (r < 0)
		return r;
	if (!text)
		text = strdup("");
	if (!text)
		return -ENOMEM;
	*code_out = code;
	*text_out = take_pointer(&text);
	return 0;
}
