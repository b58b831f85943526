/*
 * maps_codec: RecordSet as three proto maps: parameters = 1, metrics = 2, configs = 3.
 */
#include "common/records/maps_codec.h"

#include "common/base/cleanup.h"
#include "common/message/envelope.h"
#include "common/message/value_codec.h"
#include "common/message/wire.h"

#include <errno.h>
#include <limits.h>
#include <string.h>

/* What a decode carries through all levels. */
struct decoding {
	size_t left; /* entries that may still come */
	struct reason *why;
};

static int count_entry(struct decoding *decoding)
{
	if (decoding->left == 0)
		return -EMSGSIZE;
	decoding->left--;
	return 0;
}

static int read_text(const struct wire_reader *reader, const struct wire_field *field, char **text)
{
	char *fresh;
	int r;

	r = wire_string(reader, field, ENVELOPE_STRING_MAX, &fresh);
	if (r < 0)
		return r;
	free(*text);
	*text = fresh;
	return 0;
}

static int shape_push(struct array *array, uint64_t dimension)
{
	size_t n = array->n_shape;

	if ((n & (n - 1)) == 0) {
		void *room = reallocarray(array->shape, n ? 2 * n : 1, sizeof(*array->shape));

		if (!room)
			return -ENOMEM;
		array->shape = room;
	}
	array->shape[array->n_shape++] = (int32_t)(uint32_t)dimension;
	return 0;
}

static int read_shape(
	const struct wire_reader *outer, const struct wire_field *field, struct array *array)
{
	struct wire_reader reader;
	uint64_t dimension;
	int r;

	if (field->type == WIRE_VARINT)
		return shape_push(array, field->number_value);
	if (field->type != WIRE_BYTES)
		return 0;
	wire_reader_enter(&reader, outer, field);
	while ((r = wire_next_varint(&reader, &dimension)) > 0) {
		r = shape_push(array, dimension);
		if (r < 0)
			return r;
	}
	return r;
}

static int read_array(
	const struct wire_reader *outer, const struct wire_field *value, struct array *array)
{
	struct wire_reader reader;
	struct wire_field field;
	int r;

	wire_reader_enter(&reader, outer, value);
	while ((r = wire_next(&reader, &field)) > 0) {
		bool bytes = field.type == WIRE_BYTES;

		if (field.number == 1 && bytes) {
			r = read_text(&reader, &field, &array->dtype);
		} else if (field.number == 2) {
			r = read_shape(&reader, &field, array);
		} else if (field.number == 3 && bytes) {
			r = read_text(&reader, &field, &array->stype);
		} else if (field.number == 4 && bytes) {
			slices_done(&array->data); /* of bytes the last counts */
			r = wire_refs(&reader, &field, &array->data);
		}
		if (r < 0)
			return r;
	}
	return r;
}

/* The array at index, which is at most one behind the last. Keys and values come in two lists of
 * their own. */
static int array_at(
	struct record *record, size_t index, struct decoding *decoding, struct array **out)
{
	int r;

	if (index == record->n_arrays) {
		r = count_entry(decoding);
		if (r < 0)
			return r;
		if (!record_add_array(record, ""))
			return -ENOMEM;
	}
	*out = &record->arrays[index];
	return 0;
}

/* Keys and values seen so far of an array record, over all pieces in which it came. */
struct array_counts {
	size_t keys;
	size_t values;
};

static int read_arrays(const struct wire_reader *outer, const struct wire_field *value,
	struct decoding *decoding, struct array_counts *counts, struct record *record)
{
	struct wire_reader reader;
	struct wire_field field;
	struct array *array;
	int r;

	wire_reader_enter(&reader, outer, value);
	while ((r = wire_next(&reader, &field)) > 0) {
		bool key = field.number == 1;

		if (field.type != WIRE_BYTES || (!key && field.number != 2))
			continue;
		r = array_at(record, key ? counts->keys++ : counts->values++, decoding, &array);
		if (r == 0)
			r = key ? read_text(&reader, &field, &array->key)
				: read_array(&reader, &field, array);
		if (r < 0)
			return r;
	}
	return r;
}

static int read_values(const struct wire_reader *outer, const struct wire_field *value,
	struct decoding *decoding, struct record *record)
{
	const struct value_fields *fields =
		record->kind == RECORD_METRICS ? &value_fields_metric : &value_fields_config;
	struct wire_reader reader;
	struct wire_field field;
	int r;

	wire_reader_enter(&reader, outer, value);
	while ((r = wire_next(&reader, &field)) > 0) {
		if (field.number != 1 || field.type != WIRE_BYTES)
			continue;
		r = value_entry_decode(&reader, &field, fields, &decoding->left, &record->values);
		if (r < 0)
			return r;
	}
	return r;
}

static void array_entry_done(void *entry)
{
	array_done(entry);
}

static void record_entry_done(void *entry)
{
	record_done(entry);
}

static int check_record(
	struct decoding *decoding, const struct array_counts *counts, struct record *record)
{
	if (counts->keys != counts->values)
		return reason_code(decoding->why, -EBADMSG,
			"record set: %zu array keys but %zu arrays", counts->keys, counts->values);
	if (record->kind != RECORD_ARRAYS)
		return value_map_unique(&record->values);
	return entries_unique(
		record->arrays, &record->n_arrays, sizeof(*record->arrays), array_entry_done);
}

/* One entry {key = 1, value = 2} of one of the three maps. */
static int read_record(const struct wire_reader *outer, const struct wire_field *entry,
	enum record_kind kind, struct decoding *decoding, struct record_dict *dict)
{
	struct array_counts counts = {0};
	struct wire_reader reader;
	struct wire_field field;
	struct record *record;
	int r;

	r = count_entry(decoding);
	if (r < 0)
		return r;
	record = record_dict_add(dict, "", kind);
	if (!record)
		return -ENOMEM;
	wire_reader_enter(&reader, outer, entry);
	while ((r = wire_next(&reader, &field)) > 0) {
		if (field.type != WIRE_BYTES)
			continue;
		if (field.number == 1)
			r = read_text(&reader, &field, &record->name);
		else if (field.number == 2 && kind == RECORD_ARRAYS)
			r = read_arrays(&reader, &field, decoding, &counts, record);
		else if (field.number == 2)
			r = read_values(&reader, &field, decoding, record);
		if (r < 0)
			return r;
	}
	return r < 0 ? r : check_record(decoding, &counts, record);
}

/* All records of one kind; the three maps are read one after the other so that they come out in
 * this order. */
static int read_map(const struct slices *bytes, enum record_kind kind, struct decoding *decoding,
	struct record_dict *out)
{
	auto_(record_dict_done) struct record_dict dict = {0};
	struct wire_reader reader;
	struct wire_field field;
	int r;

	wire_reader_init(&reader, bytes);
	while ((r = wire_next(&reader, &field)) > 0) {
		if (field.number != (uint32_t)kind + 1 || field.type != WIRE_BYTES)
			continue;
		r = read_record(&reader, &field, kind, decoding, &dict);
		if (r < 0)
			return r;
	}
	if (r < 0)
		return r;
	r = entries_unique(dict.v, &dict.n, sizeof(*dict.v), record_entry_done);
	if (r < 0)
		return r;
	return record_dict_move(out, &dict);
}

int maps_decode(const struct slices *bytes, struct record_dict *out, struct reason *why)
{
	auto_(record_dict_done) struct record_dict dict = {0};
	struct reason detail = {0};
	struct decoding decoding = {.left = MAPS_ENTRIES_MAX, .why = &detail};

	*out = (struct record_dict){0};
	for (int kind = 0; kind < RECORD_KIND_N; kind++) {
		int r = read_map(bytes, (enum record_kind)kind, &decoding, &dict);

		if (r == -EMSGSIZE)
			return reason_code(why, -EBADMSG,
				"record set: too large (over %d entries, or a name of over %d "
				"bytes)",
				MAPS_ENTRIES_MAX, ENVELOPE_STRING_MAX);
		if (r == -EBADMSG)
			return reason_code(why, r, "%s",
				detail.text[0] ? detail.text : "record set: broken bytes");
		if (r < 0)
			return reason_code(why, r, "record set: out of memory");
	}
	*out = dict;
	dict = (struct record_dict){0};
	return 0;
}

static void array_encode(struct wire_writer *writer, const struct array *array)
{
	auto_(wire_writer_done) struct wire_writer inner = {0};
	auto_(wire_writer_done) struct wire_writer shape = {0};

	if (*array->dtype)
		wire_put_string(&inner, 1, array->dtype);
	for (size_t i = 0; i < array->n_shape; i++)
		wire_put_raw_varint(&shape, (uint64_t)(int64_t)array->shape[i]);
	if (array->n_shape)
		wire_put_message(&inner, 2, &shape);
	if (*array->stype)
		wire_put_string(&inner, 3, array->stype);
	if (array->data.bytes)
		wire_put_refs(&inner, 4, &array->data);
	wire_put_message(writer, 2, &inner);
}

static void record_encode(struct wire_writer *writer, const struct record *record)
{
	auto_(wire_writer_done) struct wire_writer entry = {0};
	auto_(wire_writer_done) struct wire_writer inner = {0};

	for (size_t i = 0; i < record->n_arrays; i++)
		wire_put_string(&inner, 1, record->arrays[i].key);
	for (size_t i = 0; i < record->n_arrays; i++)
		array_encode(&inner, &record->arrays[i]);
	if (record->kind == RECORD_METRICS)
		value_map_encode(&inner, 1, &value_fields_metric, &record->values);
	if (record->kind == RECORD_CONFIGS)
		value_map_encode(&inner, 1, &value_fields_config, &record->values);
	wire_put_string(&entry, 1, record->name);
	wire_put_message(&entry, 2, &inner);
	wire_put_message(writer, (uint32_t)record->kind + 1, &entry);
}

int maps_encode(const struct record_dict *dict, struct slices *out)
{
	auto_(wire_writer_done) struct wire_writer writer = {0};

	for (size_t i = 0; i < dict->n; i++)
		record_encode(&writer, &dict->v[i]);
	return wire_writer_take(&writer, out);
}
