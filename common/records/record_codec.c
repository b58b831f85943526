/*
 * record_codec: arrays and values on the wire, which both forms have in common.
 */
#include "common/records/record_codec.h"

#include "common/base/array.h"
#include "common/base/cleanup.h"
#include "common/message/envelope.h"
#include "common/message/value_codec.h"
#include "numbers.h"

#include <errno.h>
#include <string.h>

#define SHAPE_UNCOUNTED 64 /* dimensions of one array, which has an entry of its own */

/* Free the rest of the last record that was only checked. */
static void forget_record(struct record_decoding *decoding)
{
	decoding->record.n_arrays = 0; /* they were counted only */
	record_done(&decoding->record);
	array_done(&decoding->array);
}

void record_decoding_done(struct record_decoding *decoding)
{
	forget_record(decoding);
}

int record_count(struct record_decoding *decoding)
{
	if (decoding->left == 0)
		return -EMSGSIZE;
	decoding->left--;
	return 0;
}

int record_next(struct record_decoding *decoding, struct record_dict *dict, enum record_kind kind,
	struct record **out)
{
	int r = record_count(decoding);

	if (r < 0)
		return r;
	if (decoding->check) {
		forget_record(decoding);
		decoding->record.kind = kind;
		*out = &decoding->record;
		return 0;
	}
	*out = record_dict_add(dict, "", kind);
	return *out ? 0 : -ENOMEM;
}

int record_next_array(struct record_decoding *decoding, struct record *record, struct array **out)
{
	int r = record_count(decoding);

	if (r < 0)
		return r;
	if (decoding->check) {
		array_done(&decoding->array);
		record->n_arrays++;
		*out = &decoding->array;
		return 0;
	}
	*out = record_add_array(record, "");
	return *out ? 0 : -ENOMEM;
}

int record_read_text(const struct wire_reader *reader, const struct wire_field *field, char **text)
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

static int shape_push(struct record_decoding *decoding, struct array *array, uint64_t dimension)
{
	size_t n = array->n_shape;

	if (n >= SHAPE_UNCOUNTED && record_count(decoding) < 0)
		return -EMSGSIZE;
	if (decoding->check) {
		array->n_shape++;
		return 0;
	}
	if (array_grow(&array->shape, n, sizeof *array->shape) < 0)
		return -ENOMEM;
	array->shape[array->n_shape++] = (int32_t)(uint32_t)dimension;
	return 0;
}

static int read_shape(const struct wire_reader *outer, const struct wire_field *field,
	struct record_decoding *decoding, struct array *array)
{
	struct wire_reader reader;
	uint64_t dimension;
	int r;

	if (field->type == WIRE_VARINT)
		return shape_push(decoding, array, field->number_value);
	if (field->type != WIRE_BYTES)
		return 0;
	wire_reader_enter(&reader, outer, field);
	while ((r = wire_next_varint(&reader, &dimension)) > 0) {
		r = shape_push(decoding, array, dimension);
		if (r < 0)
			return r;
	}
	return r;
}

int record_read_array(const struct wire_reader *outer, const struct wire_field *value,
	struct record_decoding *decoding, struct array *array)
{
	struct wire_reader reader;
	struct wire_field field;
	int r;

	wire_reader_enter(&reader, outer, value);
	while ((r = wire_next(&reader, &field)) > 0) {
		bool bytes = field.type == WIRE_BYTES;

		if (field.number == NUMBER_ARRAY_DTYPE && bytes) {
			r = record_read_text(&reader, &field, &array->dtype);
		} else if (field.number == NUMBER_ARRAY_SHAPE) {
			r = read_shape(&reader, &field, decoding, array);
		} else if (field.number == NUMBER_ARRAY_STYPE && bytes) {
			r = record_read_text(&reader, &field, &array->stype);
		} else if (field.number == NUMBER_ARRAY_DATA && bytes && !decoding->check) {
			slices_done(&array->data); /* of bytes the last counts */
			r = wire_refs(&reader, &field, &array->data);
		}
		if (r < 0)
			return r;
	}
	return r;
}

/* The entries of a metric or config record, in both forms. */
enum { VALUES = NUMBER_VALUES_RECORD_DATA };
_Static_assert((int)NUMBER_VALUE_RECORD_ITEMS == (int)VALUES, "both forms are alike");

static const struct value_fields *value_fields_of(enum record_kind kind)
{
	return kind == RECORD_METRICS ? &value_fields_metric : &value_fields_config;
}

int record_read_values(
	struct wire_reader *reader, struct record_decoding *decoding, struct record *record)
{
	const struct value_fields *fields = value_fields_of(record->kind);
	struct wire_field field;
	int r;

	while ((r = wire_next(reader, &field)) > 0) {
		if (field.number != VALUES || field.type != WIRE_BYTES)
			continue;
		r = value_entry_decode(reader, &field, fields, &decoding->left,
			decoding->check ? NULL : &record->values);
		if (r < 0)
			return r;
	}
	return r;
}

int record_refused(
	const struct record_decoding *decoding, const char *what, int r, struct reason *why)
{
	const char *detail = decoding->detail.text;

	if (r == -EMSGSIZE)
		return reason_code(why, -EBADMSG,
			"%s: too large (over %d entries, or a name of over %d bytes)", what,
			RECORD_ENTRIES_MAX, ENVELOPE_STRING_MAX);
	if (r == -EBADMSG)
		return reason_code(why, r, "%s: %s", what, *detail ? detail : "broken bytes");
	return reason_code(why, r, "%s: out of memory", what);
}

void record_put_array(struct wire_writer *writer, uint32_t number, const struct array *array)
{
	auto_(wire_writer_done) struct wire_writer inner = {0};
	auto_(wire_writer_done) struct wire_writer shape = {0};

	if (*array->dtype)
		wire_put_string(&inner, NUMBER_ARRAY_DTYPE, array->dtype);
	for (size_t i = 0; i < array->n_shape; i++)
		wire_put_raw_varint(&shape, (uint64_t)(int64_t)array->shape[i]);
	if (array->n_shape)
		wire_put_message(&inner, NUMBER_ARRAY_SHAPE, &shape);
	if (*array->stype)
		wire_put_string(&inner, NUMBER_ARRAY_STYPE, array->stype);
	if (array->data.bytes)
		wire_put_refs(&inner, NUMBER_ARRAY_DATA, &array->data);
	wire_put_message(writer, number, &inner);
}

void record_put_values(struct wire_writer *writer, const struct record *record)
{
	value_items_encode(writer, VALUES, value_fields_of(record->kind), &record->values);
}
