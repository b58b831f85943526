/*
 * task_codec: small fields, and parts that are handed on as they are.
 */
#include "common/message/task_codec.h"

#include "common/base/cleanup.h"
#include "common/message/envelope.h"
#include "common/wire/wire.h"

#include <errno.h>
#include <string.h>

#define WANTED_MAX 200000 /* as many as a tree may have */

bool task_token_valid(const char *text)
{
	return strlen(text) == TASK_TOKEN_DIGITS &&
	       strspn(text, "0123456789abcdefABCDEF") == TASK_TOKEN_DIGITS;
}

/* ---- what several of them need ---- */

static void put_number(struct wire_writer *writer, uint32_t number, uint64_t value)
{
	if (value)
		wire_put_varint(writer, number, value);
}

static void put_text(struct wire_writer *writer, uint32_t number, const char *text)
{
	if (text && *text)
		wire_put_string(writer, number, text);
}

static int read_text(
	const struct wire_reader *reader, const struct wire_field *field, size_t max, char **text)
{
	free_at_exit(text);
	return wire_string(reader, field, max, text);
}

static int encode_number(uint64_t value, struct slices *out)
{
	auto_(wire_writer_done) struct wire_writer writer = {0};

	put_number(&writer, 1, value);
	return wire_writer_take(&writer, out);
}

static int decode_bool(const struct slices *bytes, bool *out)
{
	uint64_t value;
	int r = wire_find_varint(bytes, 1, &value);

	if (r < 0)
		return r;
	*out = value != 0;
	return 0;
}

/* Texts that are absent are "". */
static int not_null(char **text)
{
	if (!*text)
		*text = strdup("");
	return *text ? 0 : -ENOMEM;
}

/* ---- the launcher's ---- */

enum { TASK_ID = 1, TASK_TYPE_FIELD = 2, TASK_RUN_ID = 3 };

int task_encode_pending(uint64_t task_id, uint64_t run_id, struct slices *out)
{
	auto_(wire_writer_done) struct wire_writer writer = {0}, task = {0};

	if (task_id) {
		put_number(&task, TASK_ID, task_id);
		put_text(&task, TASK_TYPE_FIELD, TASK_TYPE);
		put_number(&task, TASK_RUN_ID, run_id);
		wire_put_message(&writer, 1, &task);
	}
	return wire_writer_take(&writer, out);
}

/* The id of one task; 0 when it is of another type. */
static int task_read(
	const struct wire_reader *outer, const struct wire_field *task, uint64_t *task_id_out)
{
	auto_(free_at_exit) char *type = NULL;
	struct wire_reader reader;
	struct wire_field field;
	uint64_t id = 0;
	int r;

	wire_reader_enter(&reader, outer, task);
	while ((r = wire_next(&reader, &field)) > 0) {
		if (field.number == TASK_ID && field.type == WIRE_VARINT)
			id = field.number_value;
		if (field.number != TASK_TYPE_FIELD || field.type != WIRE_BYTES)
			continue;
		r = read_text(&reader, &field, TASK_TEXT_MAX, &type);
		if (r < 0)
			return r;
	}
	if (r < 0)
		return r;
	*task_id_out = type && strcmp(type, TASK_TYPE) == 0 ? id : 0;
	return 0;
}

int task_decode_pending(const struct slices *bytes, uint64_t *task_id_out)
{
	struct wire_reader reader;
	struct wire_field field;
	uint64_t found = 0;
	int r;

	wire_reader_init(&reader, bytes);
	while ((r = wire_next(&reader, &field)) > 0) {
		if (found || field.number != 1 || field.type != WIRE_BYTES)
			continue;
		r = task_read(&reader, &field, &found);
		if (r < 0)
			return r;
	}
	if (r < 0)
		return r;
	*task_id_out = found;
	return 0;
}

int task_encode_claim(uint64_t task_id, struct slices *out)
{
	return encode_number(task_id, out);
}

int task_decode_claim(const struct slices *bytes, uint64_t *task_id_out)
{
	return wire_find_varint(bytes, 1, task_id_out);
}

int task_encode_claimed(const char *token, struct slices *out)
{
	auto_(wire_writer_done) struct wire_writer writer = {0};

	if (token)
		wire_put_string(&writer, 1, token);
	return wire_writer_take(&writer, out);
}

int task_decode_claimed(const struct slices *bytes, char **token_out)
{
	auto_(free_at_exit) char *token = NULL;
	struct wire_reader reader;
	struct wire_field field;
	int r;

	*token_out = NULL;
	wire_reader_init(&reader, bytes);
	while ((r = wire_next(&reader, &field)) > 0) {
		if (field.number != 1 || field.type != WIRE_BYTES)
			continue;
		r = read_text(&reader, &field, TASK_TOKEN_MAX, &token);
		if (r < 0)
			return r;
	}
	if (r < 0)
		return r;
	if (token && *token)
		*token_out = take_pointer(&token);
	return 0;
}

int task_encode_heartbeat(bool success, struct slices *out)
{
	return encode_number(success, out);
}

int task_decode_heartbeat(const struct slices *bytes, bool *success_out)
{
	return decode_bool(bytes, success_out);
}

int task_decode_get_run(const struct slices *bytes, uint64_t *run_id_out)
{
	return wire_find_varint(bytes, 2, run_id_out);
}

int task_encode_get_run(const struct slices *run, struct slices *out)
{
	auto_(wire_writer_done) struct wire_writer writer = {0};

	wire_put_refs(&writer, 1, run);
	return wire_writer_take(&writer, out);
}

/* ---- the input ---- */

enum { INPUT_CONTEXT = 1, INPUT_RUN, INPUT_FAB, INPUT_FEDERATION_CONFIG, INPUT_TASK_ID };

void task_input_done(struct task_input *input)
{
	slices_done(&input->context);
	slices_done(&input->run);
	slices_done(&input->fab);
	*input = (struct task_input){0};
}

int task_encode_input(const struct task_input *input, struct slices *out)
{
	auto_(wire_writer_done) struct wire_writer writer = {0};

	wire_put_refs(&writer, INPUT_CONTEXT, &input->context);
	wire_put_refs(&writer, INPUT_RUN, &input->run);
	if (input->fab.bytes)
		wire_put_refs(&writer, INPUT_FAB, &input->fab);
	put_number(&writer, INPUT_TASK_ID, input->task_id);
	return wire_writer_take(&writer, out);
}

int task_decode_input(const struct slices *bytes, struct task_input *out)
{
	auto_(task_input_done) struct task_input input = {0};
	struct slices *const parts[] = {[INPUT_CONTEXT] = &input.context,
		[INPUT_RUN] = &input.run,
		[INPUT_FAB] = &input.fab};
	struct wire_reader reader;
	struct wire_field field;
	int r;

	*out = (struct task_input){0};
	wire_reader_init(&reader, bytes);
	while ((r = wire_next(&reader, &field)) > 0) {
		if (field.number == INPUT_TASK_ID && field.type == WIRE_VARINT)
			input.task_id = field.number_value;
		if (field.type != WIRE_BYTES || field.number >= ARRAY_LEN(parts) ||
			!parts[field.number])
			continue;
		/* Messages that come in pieces merge. */
		r = wire_refs(&reader, &field, parts[field.number]);
		if (r < 0)
			return r;
	}
	if (r < 0)
		return r;
	*out = input;
	input = (struct task_input){0};
	return 0;
}

/* ---- messages ---- */

/* The numbers of the two fields. */
struct messages_form {
	uint32_t message, tree;
};

static const struct messages_form pull_form = {.message = 1, .tree = 2};
static const struct messages_form push_form = {.message = 2, .tree = 3};

void task_messages_done(struct task_messages *messages)
{
	slices_done(&messages->message);
	slices_done(&messages->tree);
	*messages = (struct task_messages){0};
}

static int messages_encode(
	const struct messages_form *form, const struct task_messages *messages, struct slices *out)
{
	auto_(wire_writer_done) struct wire_writer writer = {0};

	if (messages->n_messages)
		wire_put_refs(&writer, form->message, &messages->message);
	if (messages->n_trees)
		wire_put_refs(&writer, form->tree, &messages->tree);
	return wire_writer_take(&writer, out);
}

static int messages_decode(
	const struct messages_form *form, const struct slices *bytes, struct task_messages *out)
{
	auto_(task_messages_done) struct task_messages messages = {0};
	struct wire_reader reader;
	struct wire_field field;
	int r;

	*out = (struct task_messages){0};
	wire_reader_init(&reader, bytes);
	while ((r = wire_next(&reader, &field)) > 0) {
		if (field.type != WIRE_BYTES)
			continue;
		if (field.number == form->message && messages.n_messages++ == 0)
			r = wire_refs(&reader, &field, &messages.message);
		if (field.number == form->tree && messages.n_trees++ == 0)
			r = wire_refs(&reader, &field, &messages.tree);
		if (r < 0)
			return r;
	}
	if (r < 0)
		return r;
	*out = messages;
	messages = (struct task_messages){0};
	return 0;
}

int task_encode_pulled(const struct task_messages *messages, struct slices *out)
{
	return messages_encode(&pull_form, messages, out);
}

int task_decode_pulled(const struct slices *bytes, struct task_messages *out)
{
	return messages_decode(&pull_form, bytes, out);
}

int task_encode_push(const struct task_messages *messages, struct slices *out)
{
	return messages_encode(&push_form, messages, out);
}

int task_decode_push(const struct slices *bytes, struct task_messages *out)
{
	return messages_decode(&push_form, bytes, out);
}

enum { PUSHED_MESSAGE_IDS = 1, PUSHED_WANTED, PUSHED_SESSION_ID };

void task_pushed_done(struct task_pushed *pushed)
{
	free(pushed->message_id);
	free(pushed->session_id);
	free(pushed->wanted);
	*pushed = (struct task_pushed){0};
}

int task_encode_pushed(const struct task_pushed *pushed, struct slices *out)
{
	auto_(wire_writer_done) struct wire_writer writer = {0};
	char id[OBJECT_ID_TEXT_BYTES];

	put_text(&writer, PUSHED_MESSAGE_IDS, pushed->message_id);
	for (size_t i = 0; i < pushed->n_wanted; i++) {
		object_id_format(&pushed->wanted[i], id);
		wire_put_string(&writer, PUSHED_WANTED, id);
	}
	put_text(&writer, PUSHED_SESSION_ID, pushed->session_id);
	return wire_writer_take(&writer, out);
}

static int wanted_read(const struct wire_reader *reader, const struct wire_field *field,
	struct task_pushed *pushed, size_t *room)
{
	auto_(free_at_exit) char *text = NULL;
	struct object_id *grown;
	size_t len;
	int r = wire_bytes(reader, field, OBJECT_ID_TEXT_BYTES - 1, &text, &len);

	if (r < 0)
		return r == -EMSGSIZE ? -EBADMSG : r;
	if (pushed->n_wanted == WANTED_MAX)
		return -EMSGSIZE;
	if (pushed->n_wanted == *room) {
		*room = *room ? *room * 2 : 16;
		grown = reallocarray(pushed->wanted, *room, sizeof(*grown));
		if (!grown)
			return -ENOMEM;
		pushed->wanted = grown;
	}
	if (!object_id_parse(text, len, &pushed->wanted[pushed->n_wanted]))
		return -EBADMSG;
	pushed->n_wanted++;
	return 0;
}

static int pushed_field(const struct wire_reader *reader, const struct wire_field *field,
	struct task_pushed *pushed, size_t *room)
{
	if (field->type != WIRE_BYTES)
		return 0;
	if (field->number == PUSHED_MESSAGE_IDS)
		return read_text(reader, field, TASK_TEXT_MAX, &pushed->message_id);
	if (field->number == PUSHED_SESSION_ID)
		return read_text(reader, field, TASK_TEXT_MAX, &pushed->session_id);
	return field->number == PUSHED_WANTED ? wanted_read(reader, field, pushed, room) : 0;
}

int task_decode_pushed(const struct slices *bytes, struct task_pushed *out)
{
	auto_(task_pushed_done) struct task_pushed pushed = {0};
	struct wire_reader reader;
	struct wire_field field;
	size_t room = 0;
	int r;

	*out = (struct task_pushed){0};
	wire_reader_init(&reader, bytes);
	while ((r = wire_next(&reader, &field)) > 0) {
		r = pushed_field(&reader, &field, &pushed, &room);
		if (r < 0)
			return r;
	}
	if (r == 0)
		r = not_null(&pushed.message_id);
	if (r == 0)
		r = not_null(&pushed.session_id);
	if (r < 0)
		return r;
	*out = pushed;
	pushed = (struct task_pushed){0};
	return 0;
}

/* ---- the output ---- */

enum { OUTPUT_CONTEXT = 1, OUTPUT_SUB_STATUS, OUTPUT_DETAILS, OUTPUT_RUNTIME };

void task_output_done(struct task_output *output)
{
	slices_done(&output->context);
	free(output->sub_status);
	free(output->details);
	*output = (struct task_output){0};
}

int task_encode_output(const struct task_output *output, struct slices *out)
{
	auto_(wire_writer_done) struct wire_writer writer = {0};

	if (output->has_context)
		wire_put_refs(&writer, OUTPUT_CONTEXT, &output->context);
	put_text(&writer, OUTPUT_SUB_STATUS, output->sub_status);
	put_text(&writer, OUTPUT_DETAILS, output->details);
	if (output->has_runtime)
		wire_put_double(&writer, OUTPUT_RUNTIME, output->runtime_s);
	return wire_writer_take(&writer, out);
}

static int output_field(const struct wire_reader *reader, const struct wire_field *field,
	struct task_output *output)
{
	if (field->number == OUTPUT_RUNTIME && field->type == WIRE_FIXED64) {
		output->has_runtime = true;
		output->runtime_s = wire_double(field->number_value);
	}
	if (field->type != WIRE_BYTES)
		return 0;
	switch (field->number) {
	case OUTPUT_CONTEXT:
		output->has_context = true;
		return wire_refs(reader, field, &output->context);
	case OUTPUT_SUB_STATUS:
		return read_text(reader, field, TASK_TEXT_MAX, &output->sub_status);
	case OUTPUT_DETAILS:
		return read_text(reader, field, ENVELOPE_REASON_MAX, &output->details);
	default:
		return 0;
	}
}

int task_decode_output(const struct slices *bytes, struct task_output *out)
{
	auto_(task_output_done) struct task_output output = {0};
	struct wire_reader reader;
	struct wire_field field;
	int r;

	*out = (struct task_output){0};
	wire_reader_init(&reader, bytes);
	while ((r = wire_next(&reader, &field)) > 0) {
		r = output_field(&reader, &field, &output);
		if (r < 0)
			return r;
	}
	if (r == 0)
		r = not_null(&output.sub_status);
	if (r == 0)
		r = not_null(&output.details);
	if (r < 0)
		return r;
	*out = output;
	output = (struct task_output){0};
	return 0;
}
