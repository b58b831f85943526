/*
 * maps_codec: RecordSet as three proto maps, one a kind.
 */
#include "common/records/maps_codec.h"

#include "common/base/cleanup.h"
#include "common/message/value_codec.h"
#include "common/records/record_codec.h"
#include "numbers.h"

#include <errno.h>

/* The map of each kind. */
static const uint32_t map_numbers[RECORD_KIND_N] = {
	[RECORD_ARRAYS] = NUMBER_RECORD_SET_ARRAYS,
	[RECORD_METRICS] = NUMBER_RECORD_SET_METRICS,
	[RECORD_CONFIGS] = NUMBER_RECORD_SET_CONFIGS,
};

/* An entry of each of them. */
enum { ENTRY_KEY = NUMBER_PARAMETERS_ENTRY_KEY, ENTRY_VALUE = NUMBER_PARAMETERS_ENTRY_VALUE };
_Static_assert((int)NUMBER_VALUES_ENTRY_KEY == (int)ENTRY_KEY &&
		       (int)NUMBER_VALUES_ENTRY_VALUE == (int)ENTRY_VALUE,
	"entries are alike");

/* The array at index, which is at most one behind the last. Keys and values come in two lists of
 * their own. */
static int array_at(
	struct record *record, size_t index, struct record_decoding *decoding, struct array **out)
{
	if (index == record->n_arrays)
		return record_next_array(decoding, record, out);
	*out = decoding->check ? &decoding->array : &record->arrays[index];
	if (decoding->check)
		array_done(*out);
	return 0;
}

/* Keys and values seen so far of an array record, over all pieces in which it came. */
struct array_counts {
	size_t keys;
	size_t values;
};

static int read_arrays(const struct wire_reader *outer, const struct wire_field *value,
	struct record_decoding *decoding, struct array_counts *counts, struct record *record)
{
	struct wire_reader reader;
	struct wire_field field;
	struct array *array;
	int r;

	wire_reader_enter(&reader, outer, value);
	while ((r = wire_next(&reader, &field)) > 0) {
		bool key = field.number == NUMBER_PARAMETERS_RECORD_DATA_KEYS;

		if (field.type != WIRE_BYTES ||
			(!key && field.number != NUMBER_PARAMETERS_RECORD_DATA_VALUES))
			continue;
		r = array_at(record, key ? counts->keys++ : counts->values++, decoding, &array);
		if (r == 0)
			r = key ? record_read_text(&reader, &field, &array->key)
				: record_read_array(&reader, &field, decoding, array);
		if (r < 0)
			return r;
	}
	return r;
}

static int check_record(
	struct record_decoding *decoding, const struct array_counts *counts, struct record *record)
{
	if (counts->keys != counts->values)
		return reason_code(&decoding->detail, -EBADMSG, "%zu array keys but %zu arrays",
			counts->keys, counts->values);
	return decoding->check ? 0 : record_unique(record);
}

static int read_values(const struct wire_reader *outer, const struct wire_field *value,
	struct record_decoding *decoding, struct record *record)
{
	struct wire_reader reader;

	wire_reader_enter(&reader, outer, value);
	return record_read_values(&reader, decoding, record);
}

/* Read an entry {key, value} of one of the three maps. */
static int read_record(const struct wire_reader *outer, const struct wire_field *entry,
	enum record_kind kind, struct record_decoding *decoding, struct record_dict *dict)
{
	struct array_counts counts = {0};
	struct wire_reader reader;
	struct wire_field field;
	struct record *record;
	int r;

	r = record_next(decoding, dict, kind, &record);
	if (r < 0)
		return r;
	wire_reader_enter(&reader, outer, entry);
	while ((r = wire_next(&reader, &field)) > 0) {
		if (field.type != WIRE_BYTES)
			continue;
		if (field.number == ENTRY_KEY)
			r = record_read_text(&reader, &field, &record->name);
		else if (field.number == ENTRY_VALUE && kind == RECORD_ARRAYS)
			r = read_arrays(&reader, &field, decoding, &counts, record);
		else if (field.number == ENTRY_VALUE)
			r = read_values(&reader, &field, decoding, record);
		if (r < 0)
			return r;
	}
	return r < 0 ? r : check_record(decoding, &counts, record);
}

/* Read all records of a kind. The three maps are read one after the other so that records come out
 * in this order. */
static int read_map(const struct slices *bytes, enum record_kind kind,
	struct record_decoding *decoding, struct record_dict *out)
{
	auto_(record_dict_done) struct record_dict dict = {0};
	struct wire_reader reader;
	struct wire_field field;
	int r;

	wire_reader_init(&reader, bytes);
	while ((r = wire_next(&reader, &field)) > 0) {
		if (field.number != map_numbers[kind] || field.type != WIRE_BYTES)
			continue;
		r = read_record(&reader, &field, kind, decoding, &dict);
		if (r < 0)
			return r;
	}
	if (r < 0)
		return r;
	r = record_dict_unique(&dict);
	if (r < 0)
		return r;
	return record_dict_move(out, &dict);
}

/* dict remains empty when the bytes are only checked. */
static int read_maps(const struct slices *bytes, struct record_decoding *decoding,
	struct record_dict *dict, struct reason *why)
{
	for (int kind = 0; kind < RECORD_KIND_N; kind++) {
		int r = read_map(bytes, (enum record_kind)kind, decoding, dict);

		if (r < 0)
			return record_refused(decoding, "record set", r, why);
	}
	return 0;
}

int maps_decode(const struct slices *bytes, struct record_dict *out, struct reason *why)
{
	auto_(record_dict_done) struct record_dict dict = {0};
	struct record_decoding decoding = {.left = RECORD_ENTRIES_MAX};
	int r = read_maps(bytes, &decoding, &dict, why);

	*out = (struct record_dict){0};
	if (r < 0)
		return r;
	*out = dict;
	dict = (struct record_dict){0};
	return 0;
}

int maps_check(const struct slices *bytes, struct reason *why)
{
	auto_(record_decoding_done) struct record_decoding decoding = {
		.left = RECORD_ENTRIES_MAX, .check = true};
	struct record_dict none = {0};

	return read_maps(bytes, &decoding, &none, why);
}

static void record_encode(struct wire_writer *writer, const struct record *record)
{
	auto_(wire_writer_done) struct wire_writer entry = {0};
	auto_(wire_writer_done) struct wire_writer inner = {0};

	for (size_t i = 0; i < record->n_arrays; i++)
		wire_put_string(&inner, NUMBER_PARAMETERS_RECORD_DATA_KEYS, record->arrays[i].key);
	for (size_t i = 0; i < record->n_arrays; i++)
		record_put_array(&inner, NUMBER_PARAMETERS_RECORD_DATA_VALUES, &record->arrays[i]);
	if (record->kind == RECORD_METRICS)
		value_map_encode(
			&inner, NUMBER_VALUES_RECORD_DATA, &value_fields_metric, &record->values);
	if (record->kind == RECORD_CONFIGS)
		value_map_encode(
			&inner, NUMBER_VALUES_RECORD_DATA, &value_fields_config, &record->values);
	wire_put_string(&entry, ENTRY_KEY, record->name);
	wire_put_message(&entry, ENTRY_VALUE, &inner);
	wire_put_message(writer, map_numbers[record->kind], &entry);
}

int maps_encode(const struct record_dict *dict, struct slices *out)
{
	auto_(wire_writer_done) struct wire_writer writer = {0};

	for (size_t i = 0; i < dict->n; i++)
		record_encode(&writer, &dict->v[i]);
	return wire_writer_take(&writer, out);
}
