/*
 * envelope_codec: Message, Run, Context and Fab as protobuf.
 */
#include "common/message/envelope.h"

#include "common/base/cleanup.h"
#include "common/message/parts.h"
#include "common/message/scalar_map.h"
#include "common/wire/message.h"
#include "message.pb-c.h"
#include "numbers.h"

#include <errno.h>
#include <string.h>

/* Memory for the structs and texts of a Run, a Context or a Fab: 100,000 entries of a
 * configuration. */
#define ENTRIES_MEMORY_MAX (64 << 20)

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
		 : object_make(&(struct object_parts){OBJECT_MESSAGE, record_dict,
				       record_dict ? 1 : 0, &body},
			   out, id_out);
}

/* ---- Run and Context ---- */

static int run_take(Flwr__Run *from, struct run *out)
{
	int r = wire_take_string(&from->fab_id, ENVELOPE_STRING_MAX, &out->fab_id);

	out->run_id = from->run_id;
	out->series_id = from->series_id;
	if (r == 0)
		r = wire_take_string(&from->fab_version, ENVELOPE_STRING_MAX, &out->fab_version);
	if (r == 0)
		r = wire_take_string(&from->fab_hash, ENVELOPE_STRING_MAX, &out->fab_hash);
	return r ? r
		 : scalar_map_take(
			   from->override_config, from->n_override_config, &out->override_config);
}

int run_decode(const struct slices *bytes, struct run *out)
{
	auto_(wire_free) Flwr__Run *message = NULL;
	auto_(run_done) struct run run = {0};
	int r = wire_decode(&flwr__run__descriptor, bytes, ENTRIES_MEMORY_MAX, &message);

	*out = (struct run){0};
	if (r == 0)
		r = run_take(message, &run);
	if (r < 0)
		return r;
	*out = run;
	run = (struct run){0};
	return 0;
}

int run_encode(const struct run *run, struct slices *out)
{
	auto_(scalar_entries_done) struct scalar_entries overrides = {0};
	Flwr__Run message = FLWR__RUN__INIT;
	int r = scalar_entries_make(&run->override_config, &overrides);

	if (r < 0)
		return r;
	message.run_id = run->run_id;
	message.fab_id = run->fab_id;
	message.fab_version = run->fab_version;
	message.override_config = overrides.v;
	message.n_override_config = overrides.n;
	message.fab_hash = run->fab_hash;
	message.series_id = run->series_id;
	return wire_encode(&message, out);
}

int context_decode(const struct slices *bytes, struct context *out)
{
	auto_(wire_free) Flwr__Context *message = NULL;
	auto_(context_done) struct context context = {0};
	int r = wire_decode(&flwr__context__descriptor, bytes, ENTRIES_MEMORY_MAX, &message);

	*out = (struct context){0};
	if (r == 0)
		r = scalar_map_take(
			message->node_config, message->n_node_config, &context.node_config);
	if (r == 0)
		r = scalar_map_take(
			message->run_config, message->n_run_config, &context.run_config);
	if (r == 0)
		r = part_take(message->state, message->n_state, &context.state);
	if (r < 0)
		return r;
	context.run_id = message->run_id;
	context.node_id = message->node_id;
	context.series_id = message->series_id;
	*out = context;
	context = (struct context){0};
	return 0;
}

int context_outline(const struct slices *bytes, struct context_outline *out)
{
	auto_(wire_free) Flwr__Context *message = NULL;
	auto_(slices_done) struct slices state = {0};
	int r = wire_decode(&flwr__context__descriptor, bytes, ENTRIES_MEMORY_MAX, &message);

	*out = (struct context_outline){0};
	if (r == 0)
		r = scalar_map_check(message->node_config, message->n_node_config);
	if (r == 0)
		r = scalar_map_check(message->run_config, message->n_run_config);
	if (r == 0)
		r = part_take(message->state, message->n_state, &state);
	if (r < 0)
		return r;
	*out = (struct context_outline){.run_id = message->run_id,
		.node_id = message->node_id,
		.state = slices_take(&state)};
	return 0;
}

int given_context_look(struct given_context *context)
{
	if (!context->looked)
		context->result = context_outline(&context->bytes, &context->outline);
	context->looked = true;
	return context->result;
}

int context_encode(const struct context *context, struct slices *out)
{
	auto_(scalar_entries_done) struct scalar_entries node_config = {0};
	auto_(scalar_entries_done) struct scalar_entries run_config = {0};
	Flwr__Context message = FLWR__CONTEXT__INIT;
	int r = scalar_entries_make(&context->node_config, &node_config);

	if (r == 0)
		r = scalar_entries_make(&context->run_config, &run_config);
	if (r < 0)
		return r;
	message.run_id = context->run_id;
	message.node_id = context->node_id;
	message.node_config = node_config.v;
	message.n_node_config = node_config.n;
	part_set(&message, state, &context->state);
	message.run_config = run_config.v;
	message.n_run_config = run_config.n;
	message.series_id = context->series_id;
	return wire_encode(&message, out);
}

/* ---- Fab ---- */

static int verifications_take(Flwr__TextEntry *const *entries, size_t n, struct value_map *out)
{
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
	int r = wire_decode(&flwr__fab__descriptor, bytes, ENTRIES_MEMORY_MAX, &fab);

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
