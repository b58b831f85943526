/*
 * records: the values of a message or a context: named records of arrays, metrics or configs, in
 * order. Array bytes stay where they are, by reference. One thread each; knows no transport.
 */
#ifndef FLWR_RECORDS_RECORDS_H
#define FLWR_RECORDS_RECORDS_H

#include "common/base/reason.h"
#include "common/base/slice.h"
#include "common/base/value.h"

#include <stdint.h>

/* Records, arrays and values (and texts of lists) of one dict, all together, that a decoder takes
 * at most. */
#define RECORD_ENTRIES_MAX 1000000

enum record_kind { RECORD_ARRAYS, RECORD_METRICS, RECORD_CONFIGS, RECORD_KIND_N };

/* stype "numpy.ndarray": data is NumPy's .npy format; others are passed through. Strings are owned,
 * never NULL. */
struct array {
	char *key;
	char *dtype;
	char *stype;
	int32_t *shape; /* n_shape elements; NULL when 0 */
	size_t n_shape;
	struct slices data;
};

struct record {
	char *name;
	enum record_kind kind;
	struct array *arrays; /* RECORD_ARRAYS */
	size_t n_arrays;
	struct value_map
		values; /* RECORD_METRICS: numbers and lists of them; RECORD_CONFIGS: any */
};

struct record_dict {
	struct record *v;
	size_t n;
};

/* Free what they own; they are empty afterwards. */
void array_done(struct array *array);
void record_done(struct record *record);
void record_dict_done(struct record_dict *dict);

/* Append an empty record or array; borrowed, NULL on no memory. Valid until the next one is
 * appended. */
struct record *record_dict_add(struct record_dict *dict, const char *name, enum record_kind kind);
struct array *record_add_array(struct record *record, const char *key);

/* Move all records of from to the end of dict; from is empty afterwards. 0 or -ENOMEM (both are as
 * before). */
int record_dict_move(struct record_dict *dict, struct record_dict *from);

/* Arrays, values, records with equal names become one: the last one, at the place of the first, as
 * in Python's dict. 0 or -ENOMEM. */
int record_unique(struct record *record);
int record_dict_unique(struct record_dict *dict);

/* Bytes of the dict's names, values and arrays when each is written out: an array's pieces as often
 * as they are used. */
uint64_t record_dict_bytes(const struct record_dict *dict);
/* The same of a record's values. */
uint64_t record_values_bytes(const struct value_map *values);

/* May a metric record hold such a value? (numbers and lists of numbers, no bool) */
bool record_metric_kind(enum value_kind kind);

#endif
