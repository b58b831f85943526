/*
 * value: the scalars and lists that Flower's configurations, metrics and contexts are made of, and
 * ordered maps of them. One thread each; knows no encoding.
 */
#ifndef FLWR_BASE_VALUE_H
#define FLWR_BASE_VALUE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* SINT and UINT are both Python's int: UINT is what a peer sent (or needs) as uint64. */
enum value_kind {
	VALUE_NONE, /* a oneof that was not set */
	VALUE_DOUBLE,
	VALUE_SINT,
	VALUE_UINT,
	VALUE_BOOL,
	VALUE_STRING,
	VALUE_BYTES,
	VALUE_DOUBLE_LIST,
	VALUE_SINT_LIST,
	VALUE_UINT_LIST,
	VALUE_BOOL_LIST,
	VALUE_STRING_LIST,
	VALUE_BYTES_LIST,
	VALUE_N
};

/* Bytes with their length; strings are NUL-terminated beside it. Owned by the value. */
struct value_bytes {
	char *data;
	size_t len;
};

struct value {
	enum value_kind kind;
	size_t n; /* of a list */
	union {
		double d;
		int64_t i;
		uint64_t u;
		bool b;
		struct value_bytes s; /* STRING and BYTES */
		double *ds;           /* lists: n elements, malloc()ed, NULL when n is 0 */
		int64_t *is;
		uint64_t *us;
		bool *bs;
		struct value_bytes *ss;
	};
};

struct value_entry {
	char *key; /* UTF-8, NUL-terminated, no NUL inside */
	struct value value;
};

/* Insertion order is kept. Zero-initialised is empty. */
struct value_map {
	struct value_entry *v;
	size_t n;
	size_t cap;
};

/* Set *out to a string or bytes value with a copy. 0 or -ENOMEM. */
int value_set_bytes(struct value *out, enum value_kind kind, const void *data, size_t len);

/* Deep copy. 0 or -ENOMEM (*out is NONE then). */
int value_copy(const struct value *from, struct value *out);

/* Do both have the same kind and contents? (SINT 5 and UINT 5 do not; doubles are compared by
 * bits.) */
bool value_equal(const struct value *a, const struct value *b);

/* Free what it owns; it is NONE afterwards. */
void value_done(struct value *value);

/*
 * Set key (copied) to *value (moved, NONE afterwards, on failure too). An existing key keeps its
 * place. 0 or -ENOMEM.
 */
int value_map_set(struct value_map *map, const char *key, struct value *value);

/* value_map_set() with a key of len bytes, appended without a look for an equal one. */
int value_map_append(struct value_map *map, const char *key, size_t len, struct value *value);

/* Borrowed, or NULL. */
const struct value *value_map_get(const struct value_map *map, const char *key);

/* Deep copy of all entries to the end of out. 0 or -ENOMEM. */
int value_map_copy(const struct value_map *from, struct value_map *out);

/* Do both have the same keys with equal values, whatever the order? */
bool value_map_equal(const struct value_map *a, const struct value_map *b);

/* Entries with equal keys become one: the last one, at the place of the first. 0 or -ENOMEM. */
int value_map_unique(struct value_map *map);

void value_map_done(struct value_map *map);

#endif
