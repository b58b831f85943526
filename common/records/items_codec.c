/*
 * items_codec: RecordDict as a list of items, each of one kind.
 */
#include "common/records/items_codec.h"

#include "common/base/cleanup.h"
#include "common/records/record_codec.h"
#include "numbers.h"

#include <errno.h>

/* The field of each kind. */
static const uint32_t kind_numbers[RECORD_KIND_N] = {
	[RECORD_ARRAYS] = NUMBER_RECORD_ITEM_ARRAY_RECORD,
	[RECORD_METRICS] = NUMBER_RECORD_ITEM_METRIC_RECORD,
	[RECORD_CONFIGS] = NUMBER_RECORD_ITEM_CONFIG_RECORD,
};

/* RECORD_KIND_N: none. */
static enum record_kind kind_of(uint32_t number)
{
	int kind = 0;

	while (kind < RECORD_KIND_N && kind_numbers[kind] != number)
		kind++;
	return (enum record_kind)kind;
}

static int read_array_item(const struct wire_reader *outer, const struct wire_field *item,
	struct record_decoding *decoding, struct array *array)
{
	struct wire_reader reader;
	struct wire_field field;
	int r;

	wire_reader_enter(&reader, outer, item);
	while ((r = wire_next(&reader, &field)) > 0) {
		if (field.type != WIRE_BYTES)
			continue;
		if (field.number == NUMBER_ARRAY_ITEM_KEY)
			r = record_read_text(&reader, &field, &array->key);
		else if (field.number == NUMBER_ARRAY_ITEM_VALUE)
			r = record_read_array(&reader, &field, decoding, array);
		if (r < 0)
			return r;
	}
	return r;
}

static int read_arrays(
	struct wire_reader *reader, struct record_decoding *decoding, struct record *record)
{
	struct wire_field field;
	struct array *array;
	int r;

	while ((r = wire_next(reader, &field)) > 0) {
		if (field.number != NUMBER_ARRAY_RECORD_ITEMS || field.type != WIRE_BYTES)
			continue;
		r = record_next_array(decoding, record, &array);
		if (r == 0)
			r = read_array_item(reader, &field, decoding, array);
		if (r < 0)
			return r;
	}
	return r;
}

/* Make the contents those of this kind: the last member of a oneof counts, and two of the same kind
 * are one in two pieces. */
static int read_contents(const struct wire_reader *outer, const struct wire_field *field,
	enum record_kind kind, struct record_decoding *decoding, struct record *record)
{
	struct wire_reader reader;

	if (record->kind != kind) {
		char *name = record->name;

		record->name = NULL;
		if (decoding->check)
			record->n_arrays = 0;
		record_done(record);
		*record = (struct record){.name = name, .kind = kind};
	}
	wire_reader_enter(&reader, outer, field);
	return kind == RECORD_ARRAYS ? read_arrays(&reader, decoding, record)
				     : record_read_values(&reader, decoding, record);
}

static int read_record(const struct wire_reader *outer, const struct wire_field *item,
	struct record_decoding *decoding, struct record_dict *dict)
{
	struct wire_reader reader;
	struct wire_field field;
	struct record *record;
	int r;

	r = record_next(decoding, dict, RECORD_KIND_N, &record);
	if (r < 0)
		return r;
	wire_reader_enter(&reader, outer, item);
	while ((r = wire_next(&reader, &field)) > 0) {
		enum record_kind kind = kind_of(field.number);

		if (field.type != WIRE_BYTES)
			continue;
		if (field.number == NUMBER_RECORD_ITEM_KEY)
			r = record_read_text(&reader, &field, &record->name);
		else if (kind < RECORD_KIND_N)
			r = read_contents(&reader, &field, kind, decoding, record);
		if (r < 0)
			return r;
	}
	if (r < 0)
		return r;
	if (record->kind == RECORD_KIND_N)
		return reason_code(&decoding->detail, -EBADMSG, "a record without a kind");
	return decoding->check ? 0 : record_unique(record);
}

static int read_dict(
	const struct slices *bytes, struct record_decoding *decoding, struct record_dict *dict)
{
	struct wire_reader reader;
	struct wire_field field;
	int r;

	wire_reader_init(&reader, bytes);
	while ((r = wire_next(&reader, &field)) > 0) {
		if (field.number != NUMBER_RECORD_DICT_ITEMS || field.type != WIRE_BYTES)
			continue;
		r = read_record(&reader, &field, decoding, dict);
		if (r < 0)
			return r;
	}
	return r < 0 ? r : record_dict_unique(dict);
}

int items_decode(const struct slices *bytes, struct record_dict *out, struct reason *why)
{
	auto_(record_dict_done) struct record_dict dict = {0};
	struct record_decoding decoding = {.left = RECORD_ENTRIES_MAX};
	int r;

	*out = (struct record_dict){0};
	r = read_dict(bytes, &decoding, &dict);
	if (r < 0)
		return record_refused(&decoding, "record dict", r, why);
	*out = dict;
	dict = (struct record_dict){0};
	return 0;
}

int items_check(const struct slices *bytes, struct reason *why)
{
	auto_(record_decoding_done) struct record_decoding decoding = {
		.left = RECORD_ENTRIES_MAX, .check = true};
	struct record_dict none = {0};
	int r = read_dict(bytes, &decoding, &none);

	return r < 0 ? record_refused(&decoding, "record dict", r, why) : 0;
}

static void put_items(struct wire_writer *writer, const struct record *record)
{
	for (size_t i = 0; i < record->n_arrays; i++) {
		auto_(wire_writer_done) struct wire_writer item = {0};
		const struct array *array = &record->arrays[i];

		if (*array->key)
			wire_put_string(&item, NUMBER_ARRAY_ITEM_KEY, array->key);
		record_put_array(&item, NUMBER_ARRAY_ITEM_VALUE, array);
		wire_put_message(writer, NUMBER_ARRAY_RECORD_ITEMS, &item);
	}
	if (record->kind != RECORD_ARRAYS)
		record_put_values(writer, record);
}

int items_encode(const struct record_dict *dict, struct slices *out)
{
	auto_(wire_writer_done) struct wire_writer writer = {0};

	for (size_t i = 0; i < dict->n; i++) {
		auto_(wire_writer_done) struct wire_writer item = {0};
		auto_(wire_writer_done) struct wire_writer contents = {0};
		const struct record *record = &dict->v[i];

		if (*record->name)
			wire_put_string(&item, NUMBER_RECORD_ITEM_KEY, record->name);
		put_items(&contents, record);
		wire_put_message(&item, kind_numbers[record->kind], &contents);
		wire_put_message(&writer, NUMBER_RECORD_DICT_ITEMS, &item);
	}
	return wire_writer_take(&writer, out);
}
