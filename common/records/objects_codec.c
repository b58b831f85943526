/*
 * objects_codec: the reader. Each level knows what its children must be, so that there is no depth
 * to bound; struct reading bounds how often things are used.
 */
#include "common/records/objects_codec.h"

#include "common/base/cleanup.h"
#include "common/records/object_ids.h"
#include "common/records/object_json.h"
#include "common/records/record_codec.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>

#define PIECES_MAX     (4 << 20)    /* slices of all arrays: 64 GiB as gRPC hands them out */
#define READ_BYTES_MAX (1ull << 36) /* of all objects, each as often as it is read */

struct reading {
	const struct objects_source *source;
	uint64_t bytes_left; /* that the records may still get */
	uint64_t read_left;
	size_t pieces_left;
	struct record_decoding decoding;
	struct reason *why;
};

/* An object that is looked at. */
struct opened {
	const struct object_id *id;
	struct object_head head;
	struct slices body;
};

static void opened_done(struct opened *object)
{
	object_head_done(&object->head);
	slices_done(&object->body);
}

/* Name the object that a refusal is about. */
static int refuse(
	struct reading *reading, const struct object_id *id, int r, const struct reason *detail)
{
	char text[OBJECT_ID_TEXT_BYTES];

	object_id_format(id, text);
	return reason_code(reading->why, r, "object %s: %s", text,
		r == -ENOMEM ? "out of memory" : detail->text);
}

static int refuse_text(struct reading *reading, const struct object_id *id, const char *sentence)
{
	struct reason detail;

	reason_set(&detail, "%s", sentence);
	return refuse(reading, id, -EBADMSG, &detail);
}

/* The records get bytes more. */
static int take_bytes(struct reading *reading, uint64_t bytes)
{
	if (bytes > reading->bytes_left)
		return reason_code(reading->why, -EDQUOT,
			"the records have more than %" PRIu64 " bytes", reading->source->bytes_max);
	reading->bytes_left -= bytes;
	return 0;
}

static int take_entry(struct reading *reading)
{
	if (record_count(&reading->decoding) < 0)
		return reason_code(reading->why, -EBADMSG, "the records have more than %d entries",
			RECORD_ENTRIES_MAX);
	return 0;
}

static int get_object(struct reading *reading, const struct object_id *id, struct slices *bytes)
{
	struct reason detail;
	int r = reading->source->get(reading->source->arg, id, bytes);

	if (r < 0) {
		reason_set(&detail, "it is not here (%s)", strerror(-r));
		return refuse(reading, id, r, &detail);
	}
	if (bytes->bytes > reading->read_left)
		return reason_code(reading->why, -EBADMSG,
			"the objects of the records are used so often that %llu bytes are too few",
			READ_BYTES_MAX);
	reading->read_left -= bytes->bytes;
	return 0;
}

/* The object, which the caller closes in any case. */
static int open_object(struct reading *reading, const struct object_id *id, struct opened *object)
{
	auto_(slices_done) struct slices bytes = {0};
	struct reason detail = {0};
	int r;

	object->id = id;
	r = get_object(reading, id, &bytes);
	if (r < 0)
		return r;
	r = object_head_parse(&bytes, &object->head, &detail);
	if (r == 0 && slices_append_range(&object->body, &bytes, object->head.body_offset,
			      object->head.body_bytes) < 0)
		r = -ENOMEM;
	return r < 0 ? refuse(reading, id, r, &detail) : 0;
}

static int expect_type(struct reading *reading, const struct opened *object, enum object_type type)
{
	struct reason detail;

	if (object->head.type == type)
		return 0;
	reason_set(&detail, "it is of type %s where a %s must be",
		object_type_name(object->head.type), object_type_name(type));
	return refuse(reading, object->id, -EBADMSG, &detail);
}

static int expect_no_children(struct reading *reading, const struct opened *object)
{
	if (object->head.n_children == 0)
		return 0;
	return refuse_text(reading, object->id, "it has children, but none of its type has any");
}

/* The names of a body; the ids behind them must be the children. */
static int read_refs(struct reading *reading, const struct opened *object, struct object_refs *out)
{
	auto_(free_at_exit) struct object_id *ids = NULL;
	struct reason detail = {0};
	int r = object_refs_read(&object->body, out, &detail);

	if (r < 0)
		return refuse(reading, object->id, r, &detail);
	ids = calloc(out->n + 1, sizeof *ids);
	if (!ids)
		return refuse(reading, object->id, -ENOMEM, NULL);
	for (size_t i = 0; i < out->n; i++)
		ids[i] = out->v[i].id;
	r = object_ids_cover(ids, out->n, object->head.children, object->head.n_children);
	if (r < 0)
		return refuse(reading, object->id, r, NULL);
	return r ? 0 : refuse_text(reading, object->id, "its children are not those of its body");
}

/* The pieces of an array, each once. */
struct chunks {
	struct slices *v;
	bool *used;
	size_t n;
};

static void chunks_done(struct chunks *chunks)
{
	for (size_t i = 0; chunks->v && i < chunks->n; i++)
		slices_done(&chunks->v[i]);
	free(chunks->v);
	free(chunks->used);
	*chunks = (struct chunks){0};
}

static int read_chunk(struct reading *reading, const struct object_id *id, struct slices *out)
{
	auto_(opened_done) struct opened chunk = {0};
	int r = open_object(reading, id, &chunk);

	if (r == 0)
		r = expect_type(reading, &chunk, OBJECT_ARRAY_CHUNK);
	if (r == 0)
		r = expect_no_children(reading, &chunk);
	if (r == 0 && slices_move(out, &chunk.body) < 0)
		r = refuse(reading, id, -ENOMEM, NULL);
	return r;
}

/* Append child number of the array. */
static int append_chunk(struct reading *reading, const struct opened *object, size_t number,
	struct chunks *chunks, struct slices *data)
{
	struct slices *chunk;
	int r;

	if (number >= chunks->n)
		return refuse_text(reading, object->id, "its body names a child that it has not");
	chunk = &chunks->v[number];
	r = chunks->used[number] ? 0 : read_chunk(reading, &object->head.children[number], chunk);
	if (r == 0)
		r = take_bytes(reading, chunk->bytes);
	if (r < 0)
		return r;
	chunks->used[number] = true;
	if (chunk->n > reading->pieces_left)
		return refuse_text(reading, object->id, "it is in too many pieces");
	reading->pieces_left -= chunk->n;
	return slices_append_refs(data, chunk) < 0 ? refuse(reading, object->id, -ENOMEM, NULL) : 0;
}

static int read_chunks(struct reading *reading, const struct opened *object, const size_t *numbers,
	size_t n, struct slices *data)
{
	auto_(chunks_done) struct chunks chunks = {.n = object->head.n_children};

	if (chunks.n > 0) {
		chunks.v = calloc(chunks.n, sizeof *chunks.v);
		chunks.used = calloc(chunks.n, sizeof *chunks.used);
		if (!chunks.v || !chunks.used)
			return refuse(reading, object->id, -ENOMEM, NULL);
	}
	for (size_t i = 0; i < n; i++) {
		int r = take_entry(reading);

		if (r == 0)
			r = append_chunk(reading, object, numbers[i], &chunks, data);
		if (r < 0)
			return r;
	}
	for (size_t i = 0; i < chunks.n; i++) {
		if (!chunks.used[i])
			return refuse_text(
				reading, object->id, "it has a child that its body does not name");
	}
	return 0;
}

static int read_array(struct reading *reading, const struct object_id *id, struct array *array)
{
	auto_(opened_done) struct opened object = {0};
	auto_(free_at_exit) size_t *numbers = NULL;
	struct reason detail = {0};
	size_t n;
	int r;

	r = open_object(reading, id, &object);
	if (r == 0)
		r = expect_type(reading, &object, OBJECT_ARRAY);
	if (r < 0)
		return r;
	r = array_body_read(&object.body, array, &numbers, &n, &detail);
	if (r < 0)
		return refuse(reading, id, r, &detail);
	return read_chunks(reading, &object, numbers, n, &array->data);
}

static int read_arrays(struct reading *reading, const struct opened *object, struct record *record)
{
	auto_(object_refs_done) struct object_refs refs = {0};
	int r = read_refs(reading, object, &refs);

	for (size_t i = 0; r == 0 && i < refs.n; i++) {
		struct array *array;

		r = take_entry(reading);
		if (r == 0)
			r = take_bytes(reading, strlen(refs.v[i].name));
		if (r < 0)
			return r;
		array = record_add_array(record, refs.v[i].name);
		if (!array)
			return refuse(reading, object->id, -ENOMEM, NULL);
		r = read_array(reading, &refs.v[i].id, array);
	}
	return r;
}

static int read_values(struct reading *reading, const struct opened *object, struct record *record)
{
	struct wire_reader reader;
	struct reason detail = {0};
	int r = expect_no_children(reading, object);

	if (r < 0)
		return r;
	wire_reader_init(&reader, &object->body);
	r = record_read_values(&reader, &reading->decoding, record);
	if (r == 0)
		r = record_unique(record);
	if (r == 0)
		return take_bytes(reading, record_values_bytes(&record->values));
	r = record_refused(&reading->decoding, "its body", r, &detail);
	return refuse(reading, object->id, r, &detail);
}

static int read_record(
	struct reading *reading, const struct object_ref *ref, struct record_dict *dict)
{
	auto_(opened_done) struct opened object = {0};
	struct record *record;
	int r;

	r = take_entry(reading);
	if (r == 0)
		r = take_bytes(reading, strlen(ref->name));
	if (r == 0)
		r = open_object(reading, &ref->id, &object);
	if (r < 0)
		return r;
	record = record_dict_add(dict, ref->name, RECORD_ARRAYS);
	if (!record)
		return refuse(reading, &ref->id, -ENOMEM, NULL);
	if (object.head.type == OBJECT_ARRAY_RECORD)
		return read_arrays(reading, &object, record);
	record->kind = RECORD_METRICS;
	if (object.head.type == OBJECT_METRIC_RECORD)
		return read_values(reading, &object, record);
	record->kind = RECORD_CONFIGS;
	if (object.head.type == OBJECT_CONFIG_RECORD)
		return read_values(reading, &object, record);
	return refuse_text(reading, &ref->id, "it is of a type that is no record");
}

static int read_dict(struct reading *reading, const struct object_id *id, struct record_dict *dict)
{
	auto_(opened_done) struct opened object = {0};
	auto_(object_refs_done) struct object_refs refs = {0};
	int r;

	r = open_object(reading, id, &object);
	if (r == 0)
		r = expect_type(reading, &object, OBJECT_RECORD_DICT);
	if (r == 0)
		r = read_refs(reading, &object, &refs);
	for (size_t i = 0; r == 0 && i < refs.n; i++)
		r = read_record(reading, &refs.v[i], dict);
	return r;
}

int objects_decode(const struct objects_source *source, const struct object_id *id,
	struct record_dict *out, struct reason *why)
{
	auto_(record_dict_done) struct record_dict dict = {0};
	struct reading reading = {.source = source,
		.bytes_left = source->bytes_max,
		.read_left = READ_BYTES_MAX,
		.pieces_left = PIECES_MAX,
		.decoding = {.left = RECORD_ENTRIES_MAX},
		.why = why};
	int r;

	*out = (struct record_dict){0};
	r = read_dict(&reading, id, &dict);
	if (r < 0)
		return r;
	*out = dict;
	dict = (struct record_dict){0};
	return 0;
}
