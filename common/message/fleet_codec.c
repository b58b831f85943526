/*
 * fleet_codec: most requests are a Node and little else.
 */
#include "common/message/fleet_codec.h"

#include "common/base/cleanup.h"
#include "common/wire/wire.h"

#include <errno.h>
#include <string.h>

static void put_node(struct wire_writer *writer, uint32_t number, uint64_t node_id)
{
	auto_(wire_writer_done) struct wire_writer node = {0};

	if (node_id)
		wire_put_varint(&node, 1, node_id);
	wire_put_message(writer, number, &node);
}

static void put_interval(struct wire_writer *writer, uint32_t number, double seconds)
{
	if (seconds != 0)
		wire_put_double(writer, number, seconds);
}

/* References to what all BYTES fields of this number hold, one after the other: that is how
 * protobuf merges messages. */
static int part_refs(
	const struct slices *bytes, uint32_t number, bool *found_out, struct slices *out)
{
	auto_(slices_done) struct slices part = {0};
	struct wire_reader reader;
	struct wire_field field;
	bool found = false;
	int r;

	wire_reader_init(&reader, bytes);
	while ((r = wire_next(&reader, &field)) > 0) {
		if (field.number != number || field.type != WIRE_BYTES)
			continue;
		found = true;
		r = wire_refs(&reader, &field, &part);
		if (r < 0)
			return r;
	}
	if (r < 0)
		return r;
	*found_out = found;
	*out = part;
	part = (struct slices){0};
	return 0;
}

int fleet_encode_create_node(double ping_interval_s, struct slices *out)
{
	auto_(wire_writer_done) struct wire_writer writer = {0};

	put_interval(&writer, 1, ping_interval_s);
	return wire_writer_take(&writer, out);
}

int fleet_decode_create_node(const struct slices *bytes, uint64_t *node_id_out)
{
	auto_(slices_done) struct slices node = {0};
	bool found;
	int r;

	r = part_refs(bytes, 1, &found, &node);
	if (r < 0)
		return r;
	return found ? wire_find_varint(&node, 1, node_id_out) : -EBADMSG;
}

int fleet_encode_delete_node(uint64_t node_id, struct slices *out)
{
	auto_(wire_writer_done) struct wire_writer writer = {0};

	put_node(&writer, 1, node_id);
	return wire_writer_take(&writer, out);
}

int fleet_encode_ping(uint64_t node_id, double ping_interval_s, struct slices *out)
{
	auto_(wire_writer_done) struct wire_writer writer = {0};

	put_node(&writer, 1, node_id);
	put_interval(&writer, 2, ping_interval_s);
	return wire_writer_take(&writer, out);
}

int fleet_decode_ping(const struct slices *bytes, bool *success_out)
{
	uint64_t success;
	int r = wire_find_varint(bytes, 1, &success);

	if (r < 0)
		return r;
	*success_out = success != 0;
	return 0;
}

int fleet_encode_key(const char *public_key, size_t len, double interval_s, struct slices *out)
{
	auto_(wire_writer_done) struct wire_writer writer = {0};

	wire_put_bytes(&writer, 1, public_key, len);
	put_interval(&writer, 2, interval_s);
	return wire_writer_take(&writer, out);
}

int fleet_encode_node_id(uint64_t node_id, struct slices *out)
{
	auto_(wire_writer_done) struct wire_writer writer = {0};

	if (node_id)
		wire_put_varint(&writer, 1, node_id);
	return wire_writer_take(&writer, out);
}

int fleet_decode_node_id(const struct slices *bytes, uint64_t *node_id_out)
{
	return wire_find_varint(bytes, 1, node_id_out);
}

int fleet_encode_pull_messages(uint64_t node_id, struct slices *out)
{
	auto_(wire_writer_done) struct wire_writer writer = {0};

	put_node(&writer, 1, node_id);
	return wire_writer_take(&writer, out);
}

int fleet_decode_pull_messages(const struct slices *bytes, struct envelope *out,
	struct slices *tree_out, unsigned *more_out)
{
	auto_(slices_done) struct slices first = {0};
	auto_(slices_done) struct slices tree = {0};
	struct wire_reader reader;
	struct wire_field field;
	unsigned n = 0, n_trees = 0;
	int r;

	*out = (struct envelope){0};
	*tree_out = (struct slices){0};
	*more_out = 0;
	wire_reader_init(&reader, bytes);
	while ((r = wire_next(&reader, &field)) > 0) {
		if (field.type != WIRE_BYTES)
			continue;
		if (field.number == 2 && n++ == 0)
			r = wire_refs(&reader, &field, &first);
		if (field.number == 3 && n_trees++ == 0)
			r = wire_refs(&reader, &field, &tree);
		if (r < 0)
			return r;
	}
	if (r < 0)
		return r;
	if (n == 0)
		return 1;
	*more_out = n - 1;
	r = envelope_decode(&first, out);
	return r ? r : slices_move(tree_out, &tree);
}

int fleet_decode_pulled_metadata(const struct slices *bytes, struct envelope *out)
{
	auto_(slices_done) struct slices first = {0};
	struct wire_reader reader;
	struct wire_field field;
	int r;

	*out = (struct envelope){0};
	wire_reader_init(&reader, bytes);
	while (wire_next(&reader, &field) > 0) {
		if (field.number != 2 || field.type != WIRE_BYTES)
			continue;
		r = wire_refs(&reader, &field, &first);
		return r < 0 ? r : envelope_decode_metadata(&first, out);
	}
	return -EBADMSG;
}

int fleet_encode_push_messages(uint64_t node_id, const struct envelope *reply,
	const struct slices *tree, double runtime_s, struct slices *out)
{
	auto_(wire_writer_done) struct wire_writer writer = {0};
	auto_(wire_writer_done) struct wire_writer runtimes = {0};
	auto_(slices_done) struct slices message = {0};
	int r;

	r = envelope_encode(reply, &message);
	if (r < 0)
		return r;
	put_node(&writer, 1, node_id);
	wire_put_refs(&writer, 2, &message);
	if (tree) {
		wire_put_refs(&writer, 3, tree);
		wire_put_raw_double(&runtimes, runtime_s);
		wire_put_message(&writer, 4, &runtimes);
	}
	return wire_writer_take(&writer, out);
}

/* Is the key of this entry of results "None"? 1, 0, or negative. */
static int is_none(const struct wire_reader *outer, const struct wire_field *entry)
{
	static const char none[] = "None";
	auto_(free_at_exit) char *key = NULL;
	struct wire_reader reader;
	struct wire_field field;
	int r;

	wire_reader_enter(&reader, outer, entry);
	while ((r = wire_next(&reader, &field)) > 0) {
		if (field.number != 1 || field.type != WIRE_BYTES)
			continue;
		free_at_exit(&key);
		r = wire_string(&reader, &field, ENVELOPE_STRING_MAX, &key);
		if (r < 0)
			return r;
	}
	if (r < 0)
		return r;
	return key && strcmp(key, none) == 0;
}

void fleet_pushed_done(struct fleet_pushed *pushed)
{
	free(pushed->wanted);
	free(pushed->session_id);
	*pushed = (struct fleet_pushed){0};
}

static int add_wanted(struct fleet_pushed *pushed, const struct wire_reader *reader,
	const struct wire_field *field)
{
	auto_(free_at_exit) char *text = NULL;
	struct object_id *wanted = pushed->wanted;
	int r = wire_string(reader, field, OBJECT_ID_TEXT_BYTES - 1, &text);

	if (r < 0)
		return r;
	/* Doubled whenever n is a power of two. */
	if (!(pushed->n_wanted & (pushed->n_wanted - 1)))
		wanted = reallocarray(
			wanted, pushed->n_wanted ? 2 * pushed->n_wanted : 1, sizeof(*wanted));
	if (!wanted)
		return -ENOMEM;
	pushed->wanted = wanted;
	if (!object_id_parse(text, strlen(text), &wanted[pushed->n_wanted]))
		return -EBADMSG;
	pushed->n_wanted++;
	return 0;
}

static int pushed_field(struct fleet_pushed *pushed, const struct wire_reader *reader,
	const struct wire_field *field)
{
	int r = 0;

	if (field->type != WIRE_BYTES)
		return 0;
	if (field->number == 2) {
		r = is_none(reader, field);
		pushed->dropped = pushed->dropped || r > 0;
	} else if (field->number == 3) {
		r = add_wanted(pushed, reader, field);
	} else if (field->number == 4) {
		free_at_exit(&pushed->session_id);
		pushed->session_id = NULL;
		r = wire_string(reader, field, FLEET_SESSION_MAX, &pushed->session_id);
	}
	return r < 0 ? r : 0;
}

int fleet_decode_push_messages(const struct slices *bytes, struct fleet_pushed *out)
{
	auto_(fleet_pushed_done) struct fleet_pushed pushed = {0};
	struct wire_reader reader;
	struct wire_field field;
	int r;

	*out = (struct fleet_pushed){0};
	wire_reader_init(&reader, bytes);
	while ((r = wire_next(&reader, &field)) > 0) {
		r = pushed_field(&pushed, &reader, &field);
		if (r < 0)
			return r;
	}
	if (r < 0)
		return r;
	if (!pushed.session_id)
		pushed.session_id = strdup("");
	if (!pushed.session_id)
		return -ENOMEM;
	*out = pushed;
	pushed = (struct fleet_pushed){0};
	return 0;
}

int fleet_encode_get_run(uint64_t node_id, uint64_t run_id, struct slices *out)
{
	auto_(wire_writer_done) struct wire_writer writer = {0};

	put_node(&writer, 1, node_id);
	if (run_id)
		wire_put_varint(&writer, 2, run_id);
	return wire_writer_take(&writer, out);
}

int fleet_decode_get_run(const struct slices *bytes, struct run *out)
{
	auto_(slices_done) struct slices run = {0};
	bool found;
	int r;

	*out = (struct run){0};
	if (bytes->bytes > FLEET_RUN_MAX_BYTES)
		return -EMSGSIZE;
	r = part_refs(bytes, 1, &found, &run);
	if (r < 0)
		return r;
	return found ? run_decode(&run, out) : -EBADMSG;
}

int fleet_encode_get_fab(uint64_t node_id, const char *hash, uint64_t run_id, struct slices *out)
{
	auto_(wire_writer_done) struct wire_writer writer = {0};

	put_node(&writer, 1, node_id);
	if (*hash)
		wire_put_string(&writer, 2, hash);
	if (run_id)
		wire_put_varint(&writer, 3, run_id);
	return wire_writer_take(&writer, out);
}

int fleet_decode_get_fab(const struct slices *bytes, char **hash_out, struct slices *content_out,
	struct value_map *verifications_out)
{
	auto_(slices_done) struct slices fab = {0};
	bool found;
	int r;

	*hash_out = NULL;
	*content_out = (struct slices){0};
	if (verifications_out)
		*verifications_out = (struct value_map){0};
	r = part_refs(bytes, 1, &found, &fab);
	if (r < 0)
		return r;
	return found ? fab_decode(&fab, hash_out, content_out, verifications_out) : -EBADMSG;
}
