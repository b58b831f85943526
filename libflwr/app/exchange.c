/*
 * exchange: between dicts, and the records that the codecs of common/records read and write.
 */
#include "libflwr/app/dict.h"

#include "common/base/array.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

_Static_assert(RECORD_ARRAYS + 1 == (int)FLWR_ARRAYS && RECORD_METRICS + 1 == (int)FLWR_METRICS &&
		       RECORD_CONFIGS + 1 == (int)FLWR_CONFIGS,
	"kinds are numbered in one order");

static int no_memory(const char *what)
{
	error_set(FLWR_E_MEMORY, "%s: out of memory", what);
	return -ENOMEM;
}

/* Move what from holds to a new record of dict. 0 or -ENOMEM. */
static int take_record(struct flwr_dict *dict, struct record *from)
{
	struct flwr_record *record =
		dict_append(dict, from->name, (enum flwr_kind)((int)from->kind + 1));

	if (!record)
		return -ENOMEM;
	record->values = from->values;
	from->values = (struct value_map){0};
	for (size_t i = 0; i < from->n_arrays; i++) {
		struct tensor *tensor = tensor_take(&from->arrays[i]);

		if (!tensor)
			return -ENOMEM;
		if (array_grow(&record->tensors, record->n_tensors, sizeof tensor) < 0) {
			tensor_free(tensor);
			return -ENOMEM;
		}
		record->tensors[record->n_tensors++] = tensor;
	}
	return 0;
}

int dict_take_records(struct flwr_dict *dict, struct record_dict *records)
{
	int r = 0;

	for (size_t i = 0; r == 0 && i < records->n; i++)
		r = take_record(dict, &records->v[i]);
	record_dict_done(records);
	if (r == 0)
		return 0;
	flwr_dict_clear(dict);
	return no_memory("records of a message");
}

/* Replace the text at *to by a copy of from. 0 or -ENOMEM. */
static int set_text(char **to, const char *from)
{
	char *copy = strdup(from);

	if (!copy)
		return -ENOMEM;
	free(*to);
	*to = copy;
	return 0;
}

static int give_array(const struct array *from, struct record *to)
{
	struct array *array = record_add_array(to, from->key);

	if (!array || set_text(&array->dtype, from->dtype) < 0 ||
		set_text(&array->stype, from->stype) < 0)
		return -ENOMEM;
	if (from->n_shape) {
		array->shape = reallocarray(NULL, from->n_shape, sizeof *array->shape);
		if (!array->shape)
			return -ENOMEM;
		memcpy(array->shape, from->shape, from->n_shape * sizeof *array->shape);
		array->n_shape = from->n_shape;
	}
	return slices_append_refs(&array->data, &from->data);
}

static int give_record(const struct flwr_record *from, struct record_dict *out)
{
	struct record *record =
		record_dict_add(out, from->name, (enum record_kind)((int)from->kind - 1));
	int r = record ? value_map_copy(&from->values, &record->values) : -ENOMEM;

	for (size_t i = 0; r == 0 && i < from->n_tensors; i++)
		r = give_array(&from->tensors[i]->sent, record);
	return r;
}

int dict_give_records(const struct flwr_dict *dict, struct record_dict *out)
{
	struct record_dict given = {0};
	int r = 0;

	if (dict->spoilt[0]) {
		error_set(FLWR_E_APP, "%s", dict->spoilt);
		return -EINVAL;
	}
	for (size_t i = 0; r == 0 && i < dict->n; i++)
		r = give_record(dict->v[i], &given);
	if (r == 0)
		r = record_dict_move(out, &given);
	record_dict_done(&given);
	return r == 0 ? 0 : no_memory("records of a reply");
}

int record_take_values(struct flwr_record *record, struct value_map *values)
{
	record_empty(record);
	record->values = *values;
	*values = (struct value_map){0};
	return 0;
}

int record_give_values(const struct flwr_record *record, struct value_map *out)
{
	return value_map_copy(&record->values, out) < 0 ? no_memory("values of a record") : 0;
}
