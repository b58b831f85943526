/*
 * dict: dicts and their records: making, finding, removing, copying.
 */
#include "libflwr/app/dict.h"

#include "common/base/array.h"
#include "common/base/cleanup.h"
#include "common/base/text.h"

#include <errno.h>
#include <string.h>

#define NAMES_BYTES 256 /* of the names that a sentence lists */

const char library_mark = 0;

static int known(const void *object, const void *mark, const char *what)
{
	if (!object)
		return error_set(FLWR_E_ARGUMENT, "the %s is NULL", what);
	if (mark != &library_mark)
		return error_set(FLWR_E_VERSION,
			"the %s was made by another copy of libflwr-app in this process, or is freed",
			what);
	return 0;
}

int dict_known(const struct flwr_dict *dict)
{
	return known(dict, dict ? dict->mark : NULL, "flwr_dict");
}

int record_known(const struct flwr_record *record)
{
	return known(record, record ? record->mark : NULL, "flwr_record");
}

int dict_spoil(struct flwr_dict *dict, int code)
{
	if (!dict->spoilt[0])
		snprintf(dict->spoilt, sizeof dict->spoilt, "%s", flwr_error());
	return code;
}

int record_spoil(struct flwr_record *record, int code)
{
	return dict_spoil(record->dict, code);
}

const char *dict_spoilt(const struct flwr_dict *dict)
{
	return dict->spoilt[0] ? dict->spoilt : NULL;
}

void dict_set_memory(struct flwr_dict *dict, array_memory_fn *memory, void *arg)
{
	dict->memory = memory;
	dict->memory_arg = arg;
}

const char *kind_name(enum flwr_kind kind)
{
	return kind == FLWR_ARRAYS ? "arrays" : kind == FLWR_METRICS ? "metrics" : "configs";
}

static const char *key_at(const void *owner, size_t i)
{
	const struct flwr_record *record = owner;

	if (record->kind == FLWR_ARRAYS)
		return record->tensors[i]->sent.key;
	return record->values.v[i].key;
}

static const char *name_at(const void *owner, size_t i)
{
	const struct flwr_dict *dict = owner;

	return dict->v[i]->name;
}

static struct keys keys_of(const struct flwr_record *record)
{
	const size_t n = record->kind == FLWR_ARRAYS ? record->n_tensors : record->values.n;

	return (struct keys){.owner = record, .n = n, .at = key_at};
}

size_t record_find(const struct flwr_record *record, const char *key)
{
	const struct keys keys = keys_of(record);

	return key_index_find(record->index, &keys, key);
}

/* `"a", "b"` or `none`: some of the keys, in a buffer. */
static const char *list_keys(const struct keys *keys, char *out, size_t out_bytes)
{
	size_t len = 0;

	snprintf(out, out_bytes, "none");
	for (size_t i = 0; i < keys->n; i++) {
		const char *key = keys->at(keys->owner, i);

		if (len + strlen(key) + sizeof ", \"\", ..." > out_bytes) {
			snprintf(out + len, out_bytes - len, "%s", len ? ", ..." : "...");
			break;
		}
		len += (size_t)snprintf(out + len, out_bytes - len, "%s\"%s\"", i ? ", " : "", key);
	}
	return out;
}

const char *record_label(const struct flwr_record *record)
{
	return record->name[0] ? record->name : "record";
}

int record_lacks(const struct flwr_record *record, const char *key)
{
	const struct keys keys = keys_of(record);
	char names[NAMES_BYTES];

	return error_set(FLWR_ABSENT, "%s has no \"%s\"; there is %s", record_label(record), key,
		list_keys(&keys, names, sizeof names));
}

int record_readable(const struct flwr_record *record, const char *key)
{
	int r;

	if (!record) {
		if (!flwr_error()[0])
			error_set(FLWR_ABSENT, "the flwr_record is NULL");
		return FLWR_ABSENT;
	}
	r = record_known(record);
	if (r == 0 && !key)
		r = error_set(FLWR_E_ARGUMENT, "the key is NULL");
	return r;
}

int record_writable(struct flwr_record *record, const char *key, bool arrays)
{
	int r;

	if (!record) {
		if (!flwr_error()[0])
			error_set(FLWR_E_ARGUMENT, "the flwr_record is NULL");
		return FLWR_E_ARGUMENT;
	}
	r = record_known(record);
	if (r < 0)
		return r;
	if (!key)
		r = error_set(FLWR_E_ARGUMENT, "a key of %s is NULL", record_label(record));
	else if (!utf8_valid(key, strlen(key)))
		r = error_set(FLWR_E_DATA, "a key of %s is not UTF-8", record_label(record));
	else if (arrays != (record->kind == FLWR_ARRAYS))
		r = error_set(FLWR_E_TYPE, "%s holds %s, not %s (\"%s\")", record_label(record),
			kind_name(record->kind), arrays ? "arrays" : "values", key);
	return r < 0 ? record_spoil(record, r) : 0;
}

void record_empty(struct flwr_record *record)
{
	for (size_t i = 0; i < record->n_tensors; i++)
		tensor_free(record->tensors[i]);
	free(record->tensors);
	record->tensors = NULL;
	record->n_tensors = 0;
	value_map_done(&record->values);
	key_index_clear(record->index);
}

static void record_free(struct flwr_record *record)
{
	if (!record)
		return;
	if (record->index) {
		record_empty(record);
		key_index_done(record->index);
	}
	free(record->index);
	free(record->name);
	record->mark = NULL;
	free(record);
}

struct flwr_record *dict_append(struct flwr_dict *dict, const char *name, enum flwr_kind kind)
{
	struct flwr_record *record = calloc(1, sizeof *record);

	if (!record)
		return NULL;
	record->mark = &library_mark;
	record->dict = dict;
	record->kind = kind;
	record->name = strdup(name);
	record->index = calloc(1, sizeof *record->index);
	if (!record->name || !record->index || array_grow(&dict->v, dict->n, sizeof *dict->v) < 0) {
		record_free(record);
		return NULL;
	}
	dict->v[dict->n++] = record;
	return record;
}

struct flwr_dict *flwr_dict_new(void)
{
	struct flwr_dict *dict = calloc(1, sizeof *dict);

	if (dict)
		dict->mark = &library_mark;
	else
		error_set(FLWR_E_MEMORY, "out of memory");
	return dict;
}

static void dict_empty(struct flwr_dict *dict)
{
	for (size_t i = 0; i < dict->n; i++)
		record_free(dict->v[i]);
	free(dict->v);
	dict->v = NULL;
	dict->n = 0;
	key_index_clear(&dict->index);
	dict->spoilt[0] = '\0';
}

void flwr_dict_free(struct flwr_dict *dict)
{
	if (!dict || dict_known(dict) < 0)
		return;
	dict_empty(dict);
	key_index_done(&dict->index);
	dict->mark = NULL;
	free(dict);
}

void flwr_dict_clear(struct flwr_dict *dict)
{
	if (dict_known(dict) == 0)
		dict_empty(dict);
}

size_t flwr_dict_count(const struct flwr_dict *dict)
{
	return dict_known(dict) == 0 ? dict->n : 0;
}

const struct flwr_record *flwr_dict_at(const struct flwr_dict *dict, size_t i)
{
	if (dict_known(dict) < 0)
		return NULL;
	if (i < dict->n)
		return dict->v[i];
	error_set(FLWR_ABSENT, "there is no record %zu; there are %zu", i, dict->n);
	return NULL;
}

static struct keys names_of(const struct flwr_dict *dict)
{
	return (struct keys){.owner = dict, .n = dict->n, .at = name_at};
}

/* The place of the record of that name in a known dict; KEY_NOT_FOUND with flwr_error(). */
static size_t find_record(const struct flwr_dict *dict, const char *name)
{
	const struct keys keys = names_of(dict);
	/* The dict's owner has made it: only the reader's pointer is const. */
	struct flwr_dict *own = (struct flwr_dict *)(uintptr_t)dict;
	char names[NAMES_BYTES];
	size_t at;

	if (!name) {
		error_set(FLWR_E_ARGUMENT, "the name of a record is NULL");
		return KEY_NOT_FOUND;
	}
	at = key_index_find(&own->index, &keys, name);
	if (at == KEY_NOT_FOUND)
		error_set(FLWR_ABSENT, "there is no record \"%s\"; there is %s", name,
			list_keys(&keys, names, sizeof names));
	return at;
}

const struct flwr_record *flwr_dict_get(const struct flwr_dict *dict, const char *name)
{
	size_t at;

	if (dict_known(dict) < 0)
		return NULL;
	at = find_record(dict, name);
	return at == KEY_NOT_FOUND ? NULL : dict->v[at];
}

/* Can a record be called so? 0 or negative with flwr_error(). */
static int check_record(const char *name, enum flwr_kind kind)
{
	if (!name)
		return error_set(FLWR_E_ARGUMENT, "the name of a record is NULL");
	if (!utf8_valid(name, strlen(name)))
		return error_set(FLWR_E_DATA, "the name of a record is not UTF-8");
	if (kind != FLWR_ARRAYS && kind != FLWR_METRICS && kind != FLWR_CONFIGS)
		return error_set(FLWR_E_ARGUMENT, "record \"%s\": %d is no kind of records", name,
			(int)kind);
	return 0;
}

struct flwr_record *flwr_dict_add(struct flwr_dict *dict, const char *name, enum flwr_kind kind)
{
	struct flwr_record *record;
	struct keys keys;
	size_t at;
	int r;

	if (dict_known(dict) < 0)
		return NULL;
	r = check_record(name, kind);
	if (r < 0) {
		dict_spoil(dict, r);
		return NULL;
	}
	keys = names_of(dict);
	at = key_index_find(&dict->index, &keys, name);
	if (at != KEY_NOT_FOUND) {
		record = dict->v[at];
		if (record->kind == kind)
			return record;
		dict_spoil(dict, error_set(FLWR_E_TYPE, "record \"%s\" holds %s, not %s", name,
					 kind_name(record->kind), kind_name(kind)));
		return NULL;
	}
	record = dict_append(dict, name, kind);
	if (!record)
		dict_spoil(dict, error_set(FLWR_E_MEMORY, "record \"%s\": out of memory", name));
	return record;
}

int flwr_dict_remove(struct flwr_dict *dict, const char *name)
{
	size_t at;
	int r = dict_known(dict);

	if (r < 0)
		return r;
	at = find_record(dict, name);
	if (at == KEY_NOT_FOUND)
		return name ? FLWR_ABSENT : FLWR_E_ARGUMENT;
	record_free(dict->v[at]);
	dict->n--;
	memmove(dict->v + at, dict->v + at + 1, (dict->n - at) * sizeof *dict->v);
	key_index_clear(&dict->index);
	return 0;
}

const char *flwr_record_name(const struct flwr_record *record)
{
	return record_known(record) == 0 ? record->name : "";
}

enum flwr_kind flwr_record_kind(const struct flwr_record *record)
{
	return record_known(record) == 0 ? record->kind : (enum flwr_kind)0;
}

size_t flwr_record_count(const struct flwr_record *record)
{
	return record && record_known(record) == 0 ? keys_of(record).n : 0;
}

const char *flwr_record_key(const struct flwr_record *record, size_t i)
{
	struct keys keys;

	if (record_readable(record, "") != 0)
		return NULL;
	keys = keys_of(record);
	if (i < keys.n)
		return key_at(record, i);
	error_set(FLWR_ABSENT, "%s has no entry %zu; it has %zu", record_label(record), i, keys.n);
	return NULL;
}

static void remove_entry(struct flwr_record *record, size_t at)
{
	struct value_map *map = &record->values;

	if (record->kind == FLWR_ARRAYS) {
		tensor_free(record->tensors[at]);
		record->n_tensors--;
		memmove(record->tensors + at, record->tensors + at + 1,
			(record->n_tensors - at) * sizeof(struct tensor *));
	} else {
		free(map->v[at].key);
		value_done(&map->v[at].value);
		map->n--;
		memmove(map->v + at, map->v + at + 1, (map->n - at) * sizeof *map->v);
	}
	key_index_clear(record->index);
}

int flwr_record_remove(struct flwr_record *record, const char *key)
{
	size_t at;
	int r = record_readable(record, key);

	if (r != 0)
		return r;
	at = record_find(record, key);
	if (at == KEY_NOT_FOUND)
		return record_lacks(record, key);
	remove_entry(record, at);
	return 0;
}

int record_put_tensor(struct flwr_record *record, struct tensor *tensor)
{
	size_t at = record_find(record, tensor->sent.key);

	if (at != KEY_NOT_FOUND) {
		tensor_free(record->tensors[at]);
		record->tensors[at] = tensor;
		/* The index knows places only, so the key may be another string of the same
		 * letters. */
		return 0;
	}
	if (array_grow(&record->tensors, record->n_tensors, sizeof tensor) < 0) {
		tensor_free(tensor);
		return -ENOMEM;
	}
	record->tensors[record->n_tensors++] = tensor;
	return 0;
}

/* All entries of from at the end of to, which is empty. 0 or -ENOMEM. */
static int copy_entries(struct flwr_record *to, const struct flwr_record *from)
{
	int r = value_map_copy(&from->values, &to->values);

	for (size_t i = 0; r == 0 && i < from->n_tensors; i++) {
		struct tensor *copy = tensor_copy(from->tensors[i]);

		r = copy ? record_put_tensor(to, copy) : -ENOMEM;
	}
	return r;
}

int flwr_record_copy(struct flwr_record *to, const struct flwr_record *from)
{
	int r;

	if (!to) /* its dict is spoilt already, with the sentence that flwr_error() has */
		return record_writable(to, "", false);
	r = record_known(to);
	if (r < 0)
		return r;
	if (!from) {
		if (!flwr_error()[0])
			error_set(FLWR_E_ARGUMENT, "the record to copy is NULL");
		return record_spoil(to, FLWR_E_ARGUMENT);
	}
	r = record_known(from);
	if (r < 0)
		return record_spoil(to, r);
	if (to == from)
		return 0;
	if (to->kind != from->kind)
		return record_spoil(to,
			error_set(FLWR_E_TYPE, "%s holds %s, %s holds %s", record_label(to),
				kind_name(to->kind), record_label(from), kind_name(from->kind)));
	record_empty(to);
	if (copy_entries(to, from) < 0) {
		record_empty(to);
		return record_spoil(to,
			error_set(FLWR_E_MEMORY, "copy to %s: out of memory", record_label(to)));
	}
	return 0;
}

int dict_copy(struct flwr_dict *to, const struct flwr_dict *from)
{
	dict_empty(to);
	if (from->spoilt[0]) {
		error_set(FLWR_E_ARGUMENT, "%s", from->spoilt);
		return -EINVAL;
	}
	for (size_t i = 0; i < from->n; i++) {
		struct flwr_record *record = dict_append(to, from->v[i]->name, from->v[i]->kind);

		if (!record || copy_entries(record, from->v[i]) < 0) {
			dict_empty(to);
			error_set(FLWR_E_MEMORY, "copy of a dict: out of memory");
			return -ENOMEM;
		}
	}
	return 0;
}

void dict_swap(struct flwr_dict *a, struct flwr_dict *b)
{
	struct flwr_dict old = *a;

	*a = *b;
	a->memory = old.memory;
	a->memory_arg = old.memory_arg;
	old.memory = b->memory;
	old.memory_arg = b->memory_arg;
	*b = old;
	for (size_t i = 0; i < a->n; i++)
		a->v[i]->dict = a;
	for (size_t i = 0; i < b->n; i++)
		b->v[i]->dict = b;
}
