/*
 * records: the memory of records and arrays.
 */
#include "common/records/records.h"

#include "common/base/array.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

void array_done(struct array *array)
{
	free(array->key);
	free(array->dtype);
	free(array->stype);
	free(array->shape);
	slices_done(&array->data);
	*array = (struct array){0};
}

void record_done(struct record *record)
{
	for (size_t i = 0; i < record->n_arrays; i++)
		array_done(&record->arrays[i]);
	free(record->arrays);
	value_map_done(&record->values);
	free(record->name);
	*record = (struct record){0};
}

void record_dict_done(struct record_dict *dict)
{
	for (size_t i = 0; i < dict->n; i++)
		record_done(&dict->v[i]);
	free(dict->v);
	*dict = (struct record_dict){0};
}

struct record *record_dict_add(struct record_dict *dict, const char *name, enum record_kind kind)
{
	char *copy;

	if (array_grow(&dict->v, dict->n, sizeof *dict->v) < 0)
		return NULL;
	copy = strdup(name);
	if (!copy)
		return NULL;
	dict->v[dict->n] = (struct record){.name = copy, .kind = kind};
	return &dict->v[dict->n++];
}

struct array *record_add_array(struct record *record, const char *key)
{
	struct array array = {0};

	if (array_grow(&record->arrays, record->n_arrays, sizeof array) < 0)
		return NULL;
	array.key = strdup(key);
	array.dtype = strdup("");
	array.stype = strdup("");
	if (!array.key || !array.dtype || !array.stype) {
		array_done(&array);
		return NULL;
	}
	record->arrays[record->n_arrays] = array;
	return &record->arrays[record->n_arrays++];
}

int record_dict_move(struct record_dict *dict, struct record_dict *from)
{
	int r = array_grow_by(&dict->v, dict->n, from->n, sizeof *dict->v);

	if (r < 0 || from->n == 0)
		return r;
	memcpy(dict->v + dict->n, from->v, from->n * sizeof *dict->v);
	dict->n += from->n;
	free(from->v);
	*from = (struct record_dict){0};
	return 0;
}

static void array_entry_done(void *entry)
{
	array_done(entry);
}

static void record_entry_done(void *entry)
{
	record_done(entry);
}

int record_unique(struct record *record)
{
	if (record->kind != RECORD_ARRAYS)
		return value_map_unique(&record->values);
	return array_unique(
		record->arrays, &record->n_arrays, sizeof *record->arrays, array_entry_done);
}

int record_dict_unique(struct record_dict *dict)
{
	return array_unique(dict->v, &dict->n, sizeof *dict->v, record_entry_done);
}

static uint64_t value_bytes(const struct value *value)
{
	uint64_t bytes = sizeof(uint64_t);

	if (value->kind == VALUE_STRING || value->kind == VALUE_BYTES)
		return bytes + value->s.len;
	if (value->kind < VALUE_DOUBLE_LIST)
		return bytes;
	if (value->kind == VALUE_BOOL_LIST)
		return bytes + value->n;
	bytes += value->n * sizeof(uint64_t);
	if (value->kind == VALUE_STRING_LIST || value->kind == VALUE_BYTES_LIST) {
		for (size_t i = 0; i < value->n; i++)
			bytes += value->ss[i].len;
	}
	return bytes;
}

uint64_t record_values_bytes(const struct value_map *values)
{
	uint64_t bytes = 0;

	for (size_t i = 0; i < values->n; i++)
		bytes += strlen(values->v[i].key) + value_bytes(&values->v[i].value);
	return bytes;
}

uint64_t record_dict_bytes(const struct record_dict *dict)
{
	uint64_t bytes = 0;

	for (size_t i = 0; i < dict->n; i++) {
		const struct record *record = &dict->v[i];

		bytes += strlen(record->name) + record_values_bytes(&record->values);
		for (size_t j = 0; j < record->n_arrays; j++)
			bytes += strlen(record->arrays[j].key) + record->arrays[j].data.bytes;
	}
	return bytes;
}

bool record_metric_kind(enum value_kind kind)
{
	return kind == VALUE_DOUBLE || kind == VALUE_SINT || kind == VALUE_UINT ||
	       kind == VALUE_DOUBLE_LIST || kind == VALUE_SINT_LIST || kind == VALUE_UINT_LIST;
}
