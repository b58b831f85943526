#include "clientapp/form/form_writer.h"

#include <endian.h>
#include <errno.h>
#include <string.h>

void form_writer_done(struct form_writer *writer)
{
	text_done(&writer->head);
}

static void put(struct form_writer *writer, const void *data, size_t len)
{
	if (!writer->error)
		writer->error = text_add(&writer->head, data, len);
}

void form_put_u8(struct form_writer *writer, uint8_t number)
{
	put(writer, &number, sizeof number);
}

void form_put_u64(struct form_writer *writer, uint64_t number)
{
	number = htole64(number);
	put(writer, &number, sizeof number);
}

void form_put_double(struct form_writer *writer, double number)
{
	uint64_t bits;

	memcpy(&bits, &number, sizeof bits);
	form_put_u64(writer, bits);
}

/* A number of things or bytes. */
static void put_count(struct form_writer *writer, size_t n)
{
	uint32_t number = htole32((uint32_t)n);

	if (n > UINT32_MAX)
		writer->error = -EMSGSIZE;
	put(writer, &number, sizeof number);
}

static void put_bytes(struct form_writer *writer, const void *data, size_t len)
{
	put_count(writer, len);
	put(writer, data, len);
}

void form_put_string(struct form_writer *writer, const char *text)
{
	put_bytes(writer, text ? text : "", text ? strlen(text) : 0);
}

static void put_list(struct form_writer *writer, const struct value *list)
{
	put_count(writer, list->n);
	for (size_t i = 0; i < list->n; i++) {
		if (list->kind == VALUE_DOUBLE_LIST)
			form_put_double(writer, list->ds[i]);
		else if (list->kind == VALUE_SINT_LIST)
			form_put_u64(writer, (uint64_t)list->is[i]);
		else if (list->kind == VALUE_UINT_LIST)
			form_put_u64(writer, list->us[i]);
		else if (list->kind == VALUE_BOOL_LIST)
			form_put_u8(writer, list->bs[i]);
		else
			put_bytes(writer, list->ss[i].data, list->ss[i].len);
	}
}

static void put_value(struct form_writer *writer, const struct value *value)
{
	form_put_u8(writer, (uint8_t)value->kind);
	switch ((int)value->kind) {
	case VALUE_DOUBLE:
		form_put_double(writer, value->d);
		break;
	case VALUE_SINT:
		form_put_u64(writer, (uint64_t)value->i);
		break;
	case VALUE_UINT:
		form_put_u64(writer, value->u);
		break;
	case VALUE_BOOL:
		form_put_u8(writer, value->b);
		break;
	case VALUE_STRING:
	case VALUE_BYTES:
		put_bytes(writer, value->s.data, value->s.len);
		break;
	default:
		put_list(writer, value);
		break;
	}
}

void form_put_values(struct form_writer *writer, const struct value_map *map)
{
	put_count(writer, map->n);
	for (size_t i = 0; i < map->n; i++) {
		form_put_string(writer, map->v[i].key);
		put_value(writer, &map->v[i].value);
	}
}

static void put_data(struct form_writer *writer, const struct slices *data)
{
	uint64_t offset = 0;

	if (!writer->error)
		writer->error = writer->place(writer->arg, data, &offset);
	form_put_u64(writer, offset);
	form_put_u64(writer, data->bytes);
}

static void put_array(struct form_writer *writer, const struct array *array)
{
	form_put_string(writer, array->key);
	form_put_string(writer, array->dtype);
	form_put_string(writer, array->stype);
	put_count(writer, array->n_shape);
	for (size_t i = 0; i < array->n_shape; i++) {
		uint32_t dimension = htole32((uint32_t)array->shape[i]);

		put(writer, &dimension, sizeof dimension);
	}
	put_data(writer, &array->data);
}

void form_put_records(struct form_writer *writer, const struct record_dict *dict)
{
	put_count(writer, dict->n);
	for (size_t i = 0; i < dict->n; i++) {
		const struct record *record = &dict->v[i];

		form_put_string(writer, record->name);
		form_put_u8(writer, (uint8_t)record->kind);
		if (record->kind != RECORD_ARRAYS) {
			form_put_values(writer, &record->values);
			continue;
		}
		put_count(writer, record->n_arrays);
		for (size_t j = 0; j < record->n_arrays; j++)
			put_array(writer, &record->arrays[j]);
	}
}
