/*
 * envelope_codec: Message, Run, Context and Fab as protobuf. A field of a wrong wire type counts as
 * unknown and is skipped, repeated messages merge, as in any protobuf decoder.
 */
#include "common/message/envelope.h"

#include "common/base/cleanup.h"
#include "common/message/value_codec.h"
#include "common/wire/wire.h"

#include <errno.h>
#include <string.h>

/* Decodes one field of a message into its struct; fields it does not know are 0. */
typedef int field_fn(const struct wire_reader *reader, const struct wire_field *field, void *into);

static int each_field(struct wire_reader *reader, field_fn *fn, void *into)
{
	struct wire_field field;
	int r;

	while ((r = wire_next(reader, &field)) > 0) {
		r = fn(reader, &field, into);
		if (r < 0)
			return r;
	}
	return r;
}

static int inner_fields(
	const struct wire_reader *outer, const struct wire_field *field, field_fn *fn, void *into)
{
	struct wire_reader reader;

	wire_reader_enter(&reader, outer, field);
	return each_field(&reader, fn, into);
}

/* A string field instead of what *out was. */
static int string_field(
	const struct wire_reader *reader, const struct wire_field *field, size_t max, char **out)
{
	char *text;
	int r;

	if (field->type != WIRE_BYTES)
		return 0;
	r = wire_string(reader, field, max, &text);
	if (r < 0)
		return r;
	free(*out);
	*out = text;
	return 0;
}

/* Strings that were not there are "". */
static int fill_string(char **text)
{
	if (!*text)
		*text = strdup("");
	return *text ? 0 : -ENOMEM;
}

static void varint_field(const struct wire_field *field, uint64_t *out)
{
	if (field->type == WIRE_VARINT)
		*out = field->number_value;
}

static void double_field(const struct wire_field *field, double *out)
{
	if (field->type == WIRE_FIXED64)
		*out = wire_double(field->number_value);
}

/* proto3 leaves a double out only when all of its bits are 0 (-0.0 is written). */
static void put_double(struct wire_writer *writer, uint32_t number, double value)
{
	uint64_t bits;

	memcpy(&bits, &value, sizeof(bits));
	if (bits)
		wire_put_double(writer, number, value);
}

static void put_varint(struct wire_writer *writer, uint32_t number, uint64_t value)
{
	if (value)
		wire_put_varint(writer, number, value);
}

static void put_string(struct wire_writer *writer, uint32_t number, const char *text)
{
	if (text && *text)
		wire_put_string(writer, number, text);
}

static int metadata_field(
	const struct wire_reader *reader, const struct wire_field *field, void *into)
{
	struct metadata *metadata = into;

	switch (field->number) {
	case 1:
		varint_field(field, &metadata->run_id);
		return 0;
	case 2:
		return string_field(reader, field, ENVELOPE_STRING_MAX, &metadata->message_id);
	case 3:
		varint_field(field, &metadata->src_node_id);
		return 0;
	case 4:
		varint_field(field, &metadata->dst_node_id);
		return 0;
	case 5:
		return string_field(
			reader, field, ENVELOPE_STRING_MAX, &metadata->reply_to_message_id);
	case 6:
		return string_field(reader, field, ENVELOPE_STRING_MAX, &metadata->group_id);
	case 7:
		double_field(field, &metadata->ttl);
		return 0;
	case 8:
		return string_field(reader, field, ENVELOPE_STRING_MAX, &metadata->message_type);
	case 9:
		double_field(field, &metadata->created_at);
		return 0;
	case 10:
		metadata->has_src_task = field->type == WIRE_VARINT;
		varint_field(field, &metadata->src_task_id);
		return 0;
	case 11:
		metadata->has_dst_task = field->type == WIRE_VARINT;
		varint_field(field, &metadata->dst_task_id);
		return 0;
	default:
		return 0;
	}
}

/* As string_field(); what is longer than max is cut where no character is split. */
static int cut_string_field(
	const struct wire_reader *reader, const struct wire_field *field, size_t max, char **out)
{
	struct wire_field part = *field;
	char *text;
	size_t len;
	int r;

	if (field->type != WIRE_BYTES || field->len <= max)
		return string_field(reader, field, max, out);
	part.len = max + 1;
	r = wire_bytes(reader, &part, max + 1, &text, &len);
	if (r < 0)
		return r;
	text_cut(text, max);
	if (!utf8_valid(text, strlen(text))) {
		free(text);
		return -EBADMSG;
	}
	free(*out);
	*out = text;
	return 0;
}

static int error_field(const struct wire_reader *reader, const struct wire_field *field, void *into)
{
	struct envelope *envelope = into;

	if (field->number == 1 && field->type == WIRE_VARINT)
		envelope->error_code = wire_zigzag(field->number_value);
	if (field->number == 2)
		return cut_string_field(
			reader, field, ENVELOPE_REASON_MAX, &envelope->error_reason);
	return 0;
}

static int envelope_field(
	const struct wire_reader *reader, const struct wire_field *field, void *into)
{
	struct envelope *envelope = into;

	if (field->type != WIRE_BYTES)
		return 0;
	switch (field->number) {
	case 1:
		return inner_fields(reader, field, metadata_field, &envelope->metadata);
	case 2:
		envelope->has_content = true;
		return wire_refs(reader, field, &envelope->content);
	case 3:
		envelope->has_error = true;
		return inner_fields(reader, field, error_field, envelope);
	default:
		return 0;
	}
}

static int fill_metadata(struct metadata *metadata)
{
	if (fill_string(&metadata->message_id) < 0 ||
		fill_string(&metadata->reply_to_message_id) < 0 ||
		fill_string(&metadata->group_id) < 0 || fill_string(&metadata->message_type) < 0)
		return -ENOMEM;
	return 0;
}

int envelope_decode_metadata(const struct slices *bytes, struct envelope *out)
{
	auto_(envelope_done) struct envelope envelope = {0};
	struct wire_reader reader;
	struct wire_field field;
	bool found = false;
	int r;

	*out = (struct envelope){0};
	wire_reader_init(&reader, bytes);
	/* Up to where the bytes are broken. */
	while (!found && wire_next(&reader, &field) > 0) {
		if (field.number != 1 || field.type != WIRE_BYTES)
			continue;
		r = inner_fields(&reader, &field, metadata_field, &envelope.metadata);
		if (r < 0)
			return r;
		found = true;
	}
	r = found ? fill_metadata(&envelope.metadata) : -EBADMSG;
	if (r < 0)
		return r;
	*out = envelope;
	envelope = (struct envelope){0};
	return 0;
}

int envelope_decode(const struct slices *bytes, struct envelope *out)
{
	auto_(envelope_done) struct envelope envelope = {0};
	struct wire_reader reader;
	int r;

	*out = (struct envelope){0};
	wire_reader_init(&reader, bytes);
	r = each_field(&reader, envelope_field, &envelope);
	if (r < 0)
		return r;
	if (fill_metadata(&envelope.metadata) < 0)
		return -ENOMEM;
	if (envelope.has_error && fill_string(&envelope.error_reason) < 0)
		return -ENOMEM;
	*out = envelope;
	envelope = (struct envelope){0};
	return 0;
}

static void metadata_encode(struct wire_writer *writer, const struct metadata *metadata)
{
	put_varint(writer, 1, metadata->run_id);
	put_string(writer, 2, metadata->message_id);
	put_varint(writer, 3, metadata->src_node_id);
	put_varint(writer, 4, metadata->dst_node_id);
	put_string(writer, 5, metadata->reply_to_message_id);
	put_string(writer, 6, metadata->group_id);
	put_double(writer, 7, metadata->ttl);
	put_string(writer, 8, metadata->message_type);
	put_double(writer, 9, metadata->created_at);
	if (metadata->has_src_task)
		wire_put_varint(writer, 10, metadata->src_task_id);
	if (metadata->has_dst_task)
		wire_put_varint(writer, 11, metadata->dst_task_id);
}

static void error_encode(struct wire_writer *writer, const struct envelope *envelope)
{
	auto_(wire_writer_done) struct wire_writer inner = {0};

	if (!envelope->has_error)
		return;
	if (envelope->error_code)
		wire_put_sint(&inner, 1, envelope->error_code);
	put_string(&inner, 2, envelope->error_reason);
	wire_put_message(writer, 3, &inner);
}

int envelope_encode(const struct envelope *envelope, struct slices *out)
{
	auto_(wire_writer_done) struct wire_writer writer = {0};
	auto_(wire_writer_done) struct wire_writer inner = {0};

	metadata_encode(&inner, &envelope->metadata);
	wire_put_message(&writer, 1, &inner);
	if (envelope->has_content)
		wire_put_refs(&writer, 2, &envelope->content);
	error_encode(&writer, envelope);
	return wire_writer_take(&writer, out);
}

int envelope_message_object(const struct envelope *envelope, const struct object_id *record_dict,
	struct slices *out, struct object_id *id_out)
{
	auto_(wire_writer_done) struct wire_writer writer = {0};
	auto_(wire_writer_done) struct wire_writer inner = {0};
	auto_(slices_done) struct slices body = {0};
	struct metadata metadata = envelope->metadata;
	int r;

	metadata.message_id = NULL;
	metadata_encode(&inner, &metadata);
	wire_put_message(&writer, 1, &inner);
	error_encode(&writer, envelope);
	r = wire_writer_take(&writer, &body);
	return r ? r
		 : object_make(
			   OBJECT_MESSAGE, record_dict, record_dict ? 1 : 0, &body, out, id_out);
}

struct run_decoding {
	struct run run;
	size_t left;
};

static int run_field(const struct wire_reader *reader, const struct wire_field *field, void *into)
{
	struct run_decoding *decoding = into;
	struct run *run = &decoding->run;

	switch (field->number) {
	case 1:
		varint_field(field, &run->run_id);
		return 0;
	case 2:
		return string_field(reader, field, ENVELOPE_STRING_MAX, &run->fab_id);
	case 3:
		return string_field(reader, field, ENVELOPE_STRING_MAX, &run->fab_version);
	case 4:
		if (field->type != WIRE_BYTES)
			return 0;
		return value_entry_decode(reader, field, &value_fields_scalar, &decoding->left,
			&run->override_config);
	case 5:
		return string_field(reader, field, ENVELOPE_STRING_MAX, &run->fab_hash);
	case 18:
		varint_field(field, &run->series_id);
		return 0;
	default:
		return 0;
	}
}

static void run_decoding_done(struct run_decoding *decoding)
{
	run_done(&decoding->run);
}

int run_decode(const struct slices *bytes, struct run *out)
{
	auto_(run_decoding_done) struct run_decoding decoding = {.left = ENVELOPE_ENTRIES_MAX};
	struct run *run = &decoding.run;
	struct wire_reader reader;
	int r;

	*out = (struct run){0};
	wire_reader_init(&reader, bytes);
	r = each_field(&reader, run_field, &decoding);
	if (r < 0)
		return r;
	if (fill_string(&run->fab_id) < 0 || fill_string(&run->fab_version) < 0 ||
		fill_string(&run->fab_hash) < 0 || value_map_unique(&run->override_config) < 0)
		return -ENOMEM;
	*out = *run;
	*run = (struct run){0};
	return 0;
}

int run_encode(const struct run *run, struct slices *out)
{
	auto_(wire_writer_done) struct wire_writer writer = {0};

	put_varint(&writer, 1, run->run_id);
	put_string(&writer, 2, run->fab_id);
	put_string(&writer, 3, run->fab_version);
	value_map_encode(&writer, 4, &value_fields_scalar, &run->override_config);
	put_string(&writer, 5, run->fab_hash);
	put_varint(&writer, 18, run->series_id);
	return wire_writer_take(&writer, out);
}

struct context_decoding {
	struct context context;
	size_t left;
	bool check; /* no configuration is built */
};

static int context_field(
	const struct wire_reader *reader, const struct wire_field *field, void *into)
{
	struct context_decoding *decoding = into;
	struct context *context = &decoding->context;
	struct value_map *node_config = decoding->check ? NULL : &context->node_config;
	struct value_map *run_config = decoding->check ? NULL : &context->run_config;

	if (field->number == 1)
		varint_field(field, &context->run_id);
	else if (field->number == 2)
		varint_field(field, &context->node_id);
	else if (field->number == 6)
		varint_field(field, &context->series_id);
	if (field->type != WIRE_BYTES)
		return 0;
	switch (field->number) {
	case 3:
		return value_entry_decode(
			reader, field, &value_fields_scalar, &decoding->left, node_config);
	case 4:
		return wire_refs(reader, field, &context->state);
	case 5:
		return value_entry_decode(
			reader, field, &value_fields_scalar, &decoding->left, run_config);
	default:
		return 0;
	}
}

static void context_decoding_done(struct context_decoding *decoding)
{
	context_done(&decoding->context);
}

int context_decode(const struct slices *bytes, struct context *out)
{
	auto_(context_decoding_done) struct context_decoding decoding = {
		.left = ENVELOPE_ENTRIES_MAX};
	struct context *context = &decoding.context;
	struct wire_reader reader;
	int r;

	*out = (struct context){0};
	wire_reader_init(&reader, bytes);
	r = each_field(&reader, context_field, &decoding);
	if (r < 0)
		return r;
	if (value_map_unique(&context->node_config) < 0 ||
		value_map_unique(&context->run_config) < 0)
		return -ENOMEM;
	*out = *context;
	*context = (struct context){0};
	return 0;
}

int context_split(const struct slices *bytes, struct slices *state_out)
{
	auto_(context_decoding_done) struct context_decoding decoding = {
		.left = ENVELOPE_ENTRIES_MAX, .check = true};
	struct wire_reader reader;
	int r;

	wire_reader_init(&reader, bytes);
	r = each_field(&reader, context_field, &decoding);
	return r < 0 ? r : slices_move(state_out, &decoding.context.state);
}

int context_encode(const struct context *context, struct slices *out)
{
	auto_(wire_writer_done) struct wire_writer writer = {0};

	put_varint(&writer, 1, context->run_id);
	put_varint(&writer, 2, context->node_id);
	value_map_encode(&writer, 3, &value_fields_scalar, &context->node_config);
	wire_put_refs(&writer, 4, &context->state);
	value_map_encode(&writer, 5, &value_fields_scalar, &context->run_config);
	put_varint(&writer, 6, context->series_id);
	return wire_writer_take(&writer, out);
}

int context_decode_ids(const struct slices *bytes, uint64_t *run_id_out, uint64_t *node_id_out)
{
	uint64_t run_id = 0, node_id = 0;
	struct wire_reader reader;
	struct wire_field field;
	int r;

	wire_reader_init(&reader, bytes);
	while ((r = wire_next(&reader, &field)) > 0) {
		if (field.number == 1)
			varint_field(&field, &run_id);
		else if (field.number == 2)
			varint_field(&field, &node_id);
	}
	if (r < 0)
		return r;
	*run_id_out = run_id;
	*node_id_out = node_id;
	return 0;
}

struct fab_decoding {
	char *hash;
	struct slices content;
	bool verifications_wanted;
	size_t left; /* verifications that are still taken */
	struct value_map verifications;
};

/* An entry of a map<string, string>. */
struct string_entry {
	char *key;
	char *value;
};

static int string_entry_field(
	const struct wire_reader *reader, const struct wire_field *field, void *into)
{
	struct string_entry *entry = into;

	if (field->number == 1)
		return string_field(reader, field, ENVELOPE_STRING_MAX, &entry->key);
	if (field->number == 2)
		return string_field(reader, field, ENVELOPE_STRING_MAX, &entry->value);
	return 0;
}

static void string_entry_done(struct string_entry *entry)
{
	free(entry->key);
	free(entry->value);
}

static int verification_field(
	const struct wire_reader *reader, const struct wire_field *field, struct fab_decoding *fab)
{
	auto_(string_entry_done) struct string_entry entry = {0};
	struct value value = {0};
	int r;

	if (fab->left-- == 0)
		return -EMSGSIZE;
	r = inner_fields(reader, field, string_entry_field, &entry);
	if (r < 0)
		return r;
	if (fill_string(&entry.key) < 0 || fill_string(&entry.value) < 0)
		return -ENOMEM;
	r = value_set_bytes(&value, VALUE_STRING, entry.value, strlen(entry.value));
	if (r < 0)
		return r;
	return value_map_append(&fab->verifications, entry.key, strlen(entry.key), &value);
}

static int fab_field(const struct wire_reader *reader, const struct wire_field *field, void *into)
{
	struct fab_decoding *fab = into;

	if (field->number == 1)
		return string_field(reader, field, ENVELOPE_STRING_MAX, &fab->hash);
	if (field->type != WIRE_BYTES)
		return 0;
	if (field->number == 3 && fab->verifications_wanted)
		return verification_field(reader, field, fab);
	if (field->number != 2)
		return 0;
	slices_done(&fab->content); /* of bytes the last counts */
	return wire_refs(reader, field, &fab->content);
}

static void fab_decoding_done(struct fab_decoding *fab)
{
	free(fab->hash);
	slices_done(&fab->content);
	value_map_done(&fab->verifications);
}

int fab_decode(const struct slices *bytes, char **hash_out, struct slices *content_out,
	struct value_map *verifications_out)
{
	auto_(fab_decoding_done) struct fab_decoding fab = {
		.verifications_wanted = verifications_out != NULL,
		.left = ENVELOPE_ENTRIES_MAX,
	};
	struct wire_reader reader;
	int r;

	*hash_out = NULL;
	*content_out = (struct slices){0};
	if (verifications_out)
		*verifications_out = (struct value_map){0};
	wire_reader_init(&reader, bytes);
	r = each_field(&reader, fab_field, &fab);
	if (r < 0)
		return r;
	if (fill_string(&fab.hash) < 0 || value_map_unique(&fab.verifications) < 0)
		return -ENOMEM;
	*hash_out = take_pointer(&fab.hash);
	*content_out = fab.content;
	fab.content = (struct slices){0};
	if (verifications_out) {
		*verifications_out = fab.verifications;
		fab.verifications = (struct value_map){0};
	}
	return 0;
}

int fab_encode(const char *hash, const struct slices *content, struct slices *out)
{
	auto_(wire_writer_done) struct wire_writer writer = {0};

	put_string(&writer, 1, hash);
	if (content->bytes)
		wire_put_refs(&writer, 2, content);
	return wire_writer_take(&writer, out);
}
