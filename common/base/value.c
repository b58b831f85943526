/*
 * value: copying, comparing and freeing by kind, and the map.
 */
#include "common/base/value.h"

#include "common/base/array.h"
#include "common/base/cleanup.h"
#include "common/base/text.h"

#include <assert.h>
#include <errno.h>
#include <string.h>

/* Sizes of the elements of lists; 0: the kind is no list. */
static const size_t element_bytes[] = {
	[VALUE_NONE] = 0,
	[VALUE_DOUBLE_LIST] = sizeof(double),
	[VALUE_SINT_LIST] = sizeof(int64_t),
	[VALUE_UINT_LIST] = sizeof(uint64_t),
	[VALUE_BOOL_LIST] = sizeof(bool),
	[VALUE_STRING_LIST] = sizeof(struct value_bytes),
	[VALUE_BYTES_LIST] = sizeof(struct value_bytes),
};

_Static_assert(ARRAY_LEN(element_bytes) == VALUE_N, "each kind has its row");

static bool is_bytes(enum value_kind kind)
{
	return kind == VALUE_STRING || kind == VALUE_BYTES;
}

static bool is_bytes_list(enum value_kind kind)
{
	return kind == VALUE_STRING_LIST || kind == VALUE_BYTES_LIST;
}

static int bytes_copy(const void *data, size_t len, struct value_bytes *out)
{
	char *copy = text_dup(data, len);

	if (!copy)
		return -ENOMEM;
	*out = (struct value_bytes){.data = copy, .len = len};
	return 0;
}

int value_set_bytes(struct value *out, enum value_kind kind, const void *data, size_t len)
{
	struct value_bytes copy;

	assert(is_bytes(kind));
	if (bytes_copy(data, len, &copy) < 0)
		return -ENOMEM;
	*out = (struct value){.kind = kind, .s = copy};
	return 0;
}

static int list_copy(const struct value *from, struct value *out)
{
	size_t element = element_bytes[from->kind];
	struct value copy = {.kind = from->kind};

	if (from->n == 0) {
		*out = copy;
		return 0;
	}
	/* ss stands for each of the lists: they share their place in the union. */
	copy.ss = calloc(from->n, element);
	if (!copy.ss)
		return -ENOMEM;
	if (!is_bytes_list(from->kind)) {
		memcpy(copy.ss, from->ss, from->n * element);
		copy.n = from->n;
	}
	for (; copy.n < from->n; copy.n++) {
		const struct value_bytes *item = &from->ss[copy.n];

		if (bytes_copy(item->data, item->len, &copy.ss[copy.n]) < 0) {
			value_done(&copy);
			return -ENOMEM;
		}
	}
	*out = copy;
	return 0;
}

int value_copy(const struct value *from, struct value *out)
{
	int r = 0;

	if (is_bytes(from->kind))
		r = value_set_bytes(out, from->kind, from->s.data, from->s.len);
	else if (element_bytes[from->kind])
		r = list_copy(from, out);
	else
		*out = *from;
	if (r < 0)
		*out = (struct value){0};
	return r;
}

static bool bytes_equal(const struct value_bytes *a, const struct value_bytes *b)
{
	return a->len == b->len && (a->len == 0 || memcmp(a->data, b->data, a->len) == 0);
}

static bool list_equal(const struct value *a, const struct value *b)
{
	if (a->n != b->n)
		return false;
	if (a->n == 0)
		return true;
	if (!is_bytes_list(a->kind))
		return memcmp(a->ss, b->ss, a->n * element_bytes[a->kind]) == 0;
	for (size_t i = 0; i < a->n; i++) {
		if (!bytes_equal(&a->ss[i], &b->ss[i]))
			return false;
	}
	return true;
}

bool value_equal(const struct value *a, const struct value *b)
{
	if (a->kind != b->kind)
		return false;
	if (is_bytes(a->kind))
		return bytes_equal(&a->s, &b->s);
	if (element_bytes[a->kind])
		return list_equal(a, b);
	if (a->kind == VALUE_NONE)
		return true;
	if (a->kind == VALUE_BOOL)
		return a->b == b->b;
	return memcmp(&a->u, &b->u, sizeof a->u) == 0; /* double, sint, uint: eight bytes each */
}

void value_done(struct value *value)
{
	if (is_bytes(value->kind))
		free(value->s.data);
	if (is_bytes_list(value->kind)) {
		for (size_t i = 0; i < value->n; i++)
			free(value->ss[i].data);
	}
	if (element_bytes[value->kind])
		free(value->ss);
	*value = (struct value){0};
}

static struct value *value_map_find(const struct value_map *map, const char *key)
{
	for (size_t i = 0; i < map->n; i++) {
		if (strcmp(map->v[i].key, key) == 0)
			return &map->v[i].value;
	}
	return NULL;
}

int value_map_set(struct value_map *map, const char *key, struct value *value)
{
	struct value *found = value_map_find(map, key);

	if (!found)
		return value_map_append(map, key, strlen(key), value);
	value_done(found);
	*found = *value;
	*value = (struct value){0};
	return 0;
}

int value_map_append(struct value_map *map, const char *key, size_t len, struct value *value)
{
	char *copy = text_dup(key, len);

	if (!copy || array_reserve(&map->v, &map->cap, map->n, 1, sizeof *map->v) < 0) {
		free(copy);
		value_done(value);
		return -ENOMEM;
	}
	map->v[map->n++] = (struct value_entry){.key = copy, .value = *value};
	*value = (struct value){0};
	return 0;
}

const struct value *value_map_get(const struct value_map *map, const char *key)
{
	return value_map_find(map, key);
}

int value_map_copy(const struct value_map *from, struct value_map *out)
{
	struct value value;

	for (size_t i = 0; i < from->n; i++) {
		const char *key = from->v[i].key;

		if (value_copy(&from->v[i].value, &value) < 0)
			return -ENOMEM;
		if (value_map_append(out, key, strlen(key), &value) < 0)
			return -ENOMEM;
	}
	return 0;
}

/* Is each entry of a in b? Most maps have the same order, so the same place is tried first. */
static bool value_map_within(const struct value_map *a, const struct value_map *b)
{
	for (size_t i = 0; i < a->n; i++) {
		const struct value *other = NULL;

		if (i < b->n && strcmp(a->v[i].key, b->v[i].key) == 0)
			other = &b->v[i].value;
		else
			other = value_map_find(b, a->v[i].key);
		if (!other || !value_equal(&a->v[i].value, other))
			return false;
	}
	return true;
}

bool value_map_equal(const struct value_map *a, const struct value_map *b)
{
	return a->n == b->n && value_map_within(a, b) && value_map_within(b, a);
}

void value_map_done(struct value_map *map)
{
	for (size_t i = 0; i < map->n; i++) {
		free(map->v[i].key);
		value_done(&map->v[i].value);
	}
	free(map->v);
	*map = (struct value_map){0};
}

static void map_entry_done(void *entry)
{
	struct value_entry *dead = entry;

	free(dead->key);
	value_done(&dead->value);
}

int value_map_unique(struct value_map *map)
{
	return array_unique(map->v, &map->n, sizeof *map->v, map_entry_done);
}
