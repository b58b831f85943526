/*
 * dict: dicts and records as libflwr-app has them. For this folder only. One thread each.
 */
#ifndef FLWR_APP_DICT_H
#define FLWR_APP_DICT_H

#include "libflwr/app/dict_internal.h"
#include "libflwr/app/key_index.h"
#include "libflwr/app/tensor.h"

/* The address by which a library knows the objects that it has made itself: another copy in the
 * same process (linked statically into an app) has another one. */
extern const char library_mark;

struct flwr_dict {
	const void *mark; /* &library_mark */
	struct flwr_record **v;
	size_t n;
	struct key_index index;
	char spoilt[REASON_BYTES]; /* "" when it is not */
	array_memory_fn *memory;   /* NULL: the heap */
	void *memory_arg;
};

struct flwr_record {
	const void *mark;
	struct flwr_dict *dict;
	char *name;
	enum flwr_kind kind;
	struct value_map values; /* FLWR_METRICS, FLWR_CONFIGS */
	struct tensor **tensors; /* FLWR_ARRAYS */
	size_t n_tensors;
	struct key_index *index; /* of the keys; readers make it, too */
};

/*
 * Is it an object of this library? 0; FLWR_E_ARGUMENT (NULL) or FLWR_E_VERSION (another copy's),
 * with flwr_error().
 */
int dict_known(const struct flwr_dict *dict);
int record_known(const struct flwr_record *record);

/* record_known() for getters: FLWR_ABSENT for NULL, and flwr_error() stays as it was. key is not
 * NULL (FLWR_E_ARGUMENT). */
int record_readable(const struct flwr_record *record, const char *key);

/* record_known() for setters: for NULL flwr_error() stays as it was if it says anything. key is
 * valid; the record is of arrays, or of values. Else its dict is spoilt. */
int record_writable(struct flwr_record *record, const char *key, bool arrays);

/* Keep flwr_error() as what has spoilt the dict, unless there is one already; code is returned. */
int dict_spoil(struct flwr_dict *dict, int code);
int record_spoil(struct flwr_record *record, int code);

/* The place of key in record, or KEY_NOT_FOUND. */
size_t record_find(const struct flwr_record *record, const char *key);

/* Set flwr_error() to that there is no such key and return FLWR_ABSENT. */
int record_lacks(const struct flwr_record *record, const char *key);

/* The record's name in sentences; "record" when it has none. */
const char *record_label(const struct flwr_record *record);

/* "arrays", "metrics", "configs". */
const char *kind_name(enum flwr_kind kind);

/* Remove all entries. */
void record_empty(struct flwr_record *record);

/* Put a tensor (moved) at the place of the one of the same key, or at the end. 0 or -ENOMEM (freed
 * then). */
int record_put_tensor(struct flwr_record *record, struct tensor *tensor);

/* Append a record without looking for one of the same name; NULL on no memory. */
struct flwr_record *dict_append(struct flwr_dict *dict, const char *name, enum flwr_kind kind);

#endif
