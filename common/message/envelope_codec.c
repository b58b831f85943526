/*
 * envelope_codec: Message, Run, Context and Fab as protobuf.
 */
#include "common/message/envelope.h"

#include "common/base/cleanup.h"
#include "common/message/parts.h"
#include "common/message/value_codec.h"
#include "common/wire/message.h"
#include "message.pb-c.h"
#include "numbers.h"

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

/* ---- Message ---- */

/* The four texts of its metadata, at twice their length, so that one that is too long is seen. */
#define MESSAGE_MEMORY_MAX (CALL_MEMORY_MAX + 8 * ENVELOPE_STRING_MAX)

/* from may be NULL: a message without metadata. */
static int metadata_take(Flwr__Metadata *from, struct metadata *out)
{
	Flwr__Metadata none = FLWR__METADATA__INIT;
	int r;

	if (!from)
		from = &none;
	out->run_id = from->run_id;
	out->src_node_id = from->src_node_id;
	out->dst_node_id = from->dst_node_id;
	out->ttl = from->ttl;
	out->created_at = from->created_at;
	out->has_src_task = from->has_src_task_id_case != 0;
	out->has_dst_task = from->has_dst_task_id_case != 0;
	if (out->has_src_task)
		out->src_task_id = from->src_task_id;
	if (out->has_dst_task)
		out->dst_task_id = from->dst_task_id;
	r = wire_take_string(&from->message_id, ENVELOPE_STRING_MAX, &out->message_id);
	if (r == 0)
		r = wire_take_string(
			&from->reply_to_message_id, ENVELOPE_STRING_MAX, &out->reply_to_message_id);
	if (r == 0)
		r = wire_take_string(&from->group_id, ENVELOPE_STRING_MAX, &out->group_id);
	return r ? r
		 : wire_take_string(&from->message_type, ENVELOPE_STRING_MAX, &out->message_type);
}

/* Copies a reason; one that is longer than ENVELOPE_REASON_MAX is cut where no character is
 * split. */
static int reason_take(const struct slices *from, char **out)
{
	size_t len = from->bytes > ENVELOPE_REASON_MAX ? ENVELOPE_REASON_MAX + 1 : from->bytes;
	auto_(free_at_exit) char *text = malloc(len + 1);
	int r = text ? slices_read(from, 0, text, len) : -ENOMEM;

	if (r < 0)
		return r;
	text[len] = '\0';
	if (memchr(text, '\0', len))
		return -EBADMSG;
	text_cut(text, ENVELOPE_REASON_MAX);
	if (!utf8_valid(text, strlen(text)))
		return -EBADMSG;
	*out = take_pointer(&text);
	return 0;
}

static int message_take(Flwr__Message *from, struct envelope *out)
{
	int r = metadata_take(from->metadata, &out->metadata);

	out->has_content = from->n_content > 0;
	out->has_error = from->error != NULL;
	if (r == 0)
		r = part_take(from->content, from->n_content, &out->content);
	if (r < 0 || !from->error)
		return r;
	out->error_code = from->error->code;
	return reason_take(&from->error->reason, &out->error_reason);
}

int envelope_decode_metadata(const struct slices *bytes, struct envelope *out)
{
	auto_(wire_free) Flwr__Metadata *metadata = NULL;
	auto_(envelope_done) struct envelope envelope = {0};
	auto_(slices_done) struct slices part = {0};
	int r = wire_first_bytes(bytes, NUMBER_MESSAGE_METADATA, &part);

	*out = (struct envelope){0};
	if (r == 0)
		r = wire_decode(&flwr__metadata__descriptor, &part, MESSAGE_MEMORY_MAX, &metadata);
	if (r == 0)
		r = metadata_take(metadata, &envelope.metadata);
	if (r < 0)
		return r;
	*out = envelope;
	envelope = (struct envelope){0};
	return 0;
}

int envelope_decode(const struct slices *bytes, struct envelope *out)
{
	auto_(wire_free) Flwr__Message *message = NULL;
	auto_(envelope_done) struct envelope envelope = {0};
	int r = wire_decode(&flwr__message__descriptor, bytes, MESSAGE_MEMORY_MAX, &message);

	*out = (struct envelope){0};
	if (r == 0)
		r = message_take(message, &envelope);
	if (r < 0)
		return r;
	*out = envelope;
	envelope = (struct envelope){0};
	return 0;
}

static Flwr__Metadata metadata_form(const struct metadata *metadata)
{
	Flwr__Metadata form = FLWR__METADATA__INIT;

	form.run_id = metadata->run_id;
	form.message_id = metadata->message_id;
	form.src_node_id = metadata->src_node_id;
	form.dst_node_id = metadata->dst_node_id;
	form.reply_to_message_id = metadata->reply_to_message_id;
	form.group_id = metadata->group_id;
	form.ttl = metadata->ttl;
	form.message_type = metadata->message_type;
	form.created_at = metadata->created_at;
	if (metadata->has_src_task)
		form.has_src_task_id_case = FLWR__METADATA__HAS_SRC_TASK_ID_SRC_TASK_ID;
	form.src_task_id = metadata->src_task_id;
	if (metadata->has_dst_task)
		form.has_dst_task_id_case = FLWR__METADATA__HAS_DST_TASK_ID_DST_TASK_ID;
	form.dst_task_id = metadata->dst_task_id;
	return form;
}

/* A Message with this metadata and content (NULL: none). */
static int message_encode(const struct envelope *envelope, const struct metadata *metadata,
	const struct slices *content, struct slices *out)
{
	const char *text = envelope->error_reason ? envelope->error_reason : "";
	Flwr__Message message = FLWR__MESSAGE__INIT;
	Flwr__Metadata form = metadata_form(metadata);
	Flwr__Error error = FLWR__ERROR__INIT;
	auto_(slices_done) struct slices reason = {0};
	int r = envelope->has_error ? slices_append_copy(&reason, text, strlen(text)) : 0;

	if (r < 0)
		return r;
	message.metadata = &form;
	if (content)
		part_set(&message, content, content);
	error.code = envelope->error_code;
	error.reason = reason;
	message.error = envelope->has_error ? &error : NULL;
	return wire_encode(&message, out);
}

int envelope_encode(const struct envelope *envelope, struct slices *out)
{
	return message_encode(envelope, &envelope->metadata,
		envelope->has_content ? &envelope->content : NULL, out);
}

int envelope_message_object(const struct envelope *envelope, const struct object_id *record_dict,
	struct slices *out, struct object_id *id_out)
{
	auto_(slices_done) struct slices body = {0};
	struct metadata metadata = envelope->metadata;
	int r;

	metadata.message_id = NULL;
	r = message_encode(envelope, &metadata, NULL, &body);
	return r ? r
		 : object_make(
			   OBJECT_MESSAGE, record_dict, record_dict ? 1 : 0, &body, out, id_out);
}

/* ---- Run ---- */

struct run_decoding {
	struct run run;
	size_t left;
};

static int run_field(const struct wire_reader *reader, const struct wire_field *field, void *into)
{
	struct run_decoding *decoding = into;
	struct run *run = &decoding->run;

	switch (field->number) {
	case NUMBER_RUN_RUN_ID:
		varint_field(field, &run->run_id);
		return 0;
	case NUMBER_RUN_FAB_ID:
		return string_field(reader, field, ENVELOPE_STRING_MAX, &run->fab_id);
	case NUMBER_RUN_FAB_VERSION:
		return string_field(reader, field, ENVELOPE_STRING_MAX, &run->fab_version);
	case NUMBER_RUN_OVERRIDE_CONFIG:
		if (field->type != WIRE_BYTES)
			return 0;
		return value_entry_decode(reader, field, &value_fields_scalar, &decoding->left,
			&run->override_config);
	case NUMBER_RUN_FAB_HASH:
		return string_field(reader, field, ENVELOPE_STRING_MAX, &run->fab_hash);
	case NUMBER_RUN_SERIES_ID:
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

	put_varint(&writer, NUMBER_RUN_RUN_ID, run->run_id);
	put_string(&writer, NUMBER_RUN_FAB_ID, run->fab_id);
	put_string(&writer, NUMBER_RUN_FAB_VERSION, run->fab_version);
	value_map_encode(
		&writer, NUMBER_RUN_OVERRIDE_CONFIG, &value_fields_scalar, &run->override_config);
	put_string(&writer, NUMBER_RUN_FAB_HASH, run->fab_hash);
	put_varint(&writer, NUMBER_RUN_SERIES_ID, run->series_id);
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

	if (field->number == NUMBER_CONTEXT_RUN_ID)
		varint_field(field, &context->run_id);
	else if (field->number == NUMBER_CONTEXT_NODE_ID)
		varint_field(field, &context->node_id);
	else if (field->number == NUMBER_CONTEXT_SERIES_ID)
		varint_field(field, &context->series_id);
	if (field->type != WIRE_BYTES)
		return 0;
	switch (field->number) {
	case NUMBER_CONTEXT_NODE_CONFIG:
		return value_entry_decode(
			reader, field, &value_fields_scalar, &decoding->left, node_config);
	case NUMBER_CONTEXT_STATE:
		return wire_refs(reader, field, &context->state);
	case NUMBER_CONTEXT_RUN_CONFIG:
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

	put_varint(&writer, NUMBER_CONTEXT_RUN_ID, context->run_id);
	put_varint(&writer, NUMBER_CONTEXT_NODE_ID, context->node_id);
	value_map_encode(
		&writer, NUMBER_CONTEXT_NODE_CONFIG, &value_fields_scalar, &context->node_config);
	wire_put_refs(&writer, NUMBER_CONTEXT_STATE, &context->state);
	value_map_encode(
		&writer, NUMBER_CONTEXT_RUN_CONFIG, &value_fields_scalar, &context->run_config);
	put_varint(&writer, NUMBER_CONTEXT_SERIES_ID, context->series_id);
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
		if (field.number == NUMBER_CONTEXT_RUN_ID)
			varint_field(&field, &run_id);
		else if (field.number == NUMBER_CONTEXT_NODE_ID)
			varint_field(&field, &node_id);
	}
	if (r < 0)
		return r;
	*run_id_out = run_id;
	*node_id_out = node_id;
	return 0;
}

/* ---- Fab ---- */

/* A Fab has room for ENVELOPE_ENTRIES_MAX verifications of a kilobyte each. */
#define FAB_MEMORY_MAX (64 << 20)

static int verifications_take(Flwr__TextEntry *const *entries, size_t n, struct value_map *out)
{
	if (n > ENVELOPE_ENTRIES_MAX)
		return -EMSGSIZE;
	for (size_t i = 0; i < n; i++) {
		const char *key = entries[i]->has_key_case ? entries[i]->key : "";
		const char *text = entries[i]->has_value_case ? entries[i]->value : "";
		struct value value = {0};
		int r;

		if (strlen(key) > ENVELOPE_STRING_MAX || strlen(text) > ENVELOPE_STRING_MAX)
			return -EMSGSIZE;
		r = value_set_bytes(&value, VALUE_STRING, text, strlen(text));
		if (r == 0)
			r = value_map_append(out, key, strlen(key), &value);
		if (r < 0)
			return r;
	}
	return value_map_unique(out);
}

int fab_decode(const struct slices *bytes, char **hash_out, struct slices *content_out,
	struct value_map *verifications_out)
{
	auto_(wire_free) Flwr__Fab *fab = NULL;
	auto_(value_map_done) struct value_map verifications = {0};
	int r = wire_decode(&flwr__fab__descriptor, bytes, FAB_MEMORY_MAX, &fab);

	*hash_out = NULL;
	*content_out = (struct slices){0};
	if (verifications_out)
		*verifications_out = (struct value_map){0};
	if (r == 0 && verifications_out)
		r = verifications_take(fab->verifications, fab->n_verifications, &verifications);
	if (r == 0)
		r = wire_take_string(&fab->hash_str, ENVELOPE_STRING_MAX, hash_out);
	if (r < 0)
		return r;
	*content_out = slices_take(&fab->content);
	if (verifications_out) {
		*verifications_out = verifications;
		verifications = (struct value_map){0};
	}
	return 0;
}

int fab_encode(const char *hash, const struct slices *content, struct slices *out)
{
	Flwr__Fab fab = FLWR__FAB__INIT;

	fab.hash_str = (char *)hash;
	fab.content = *content;
	return wire_encode(&fab, out);
}
