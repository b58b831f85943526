/*
 * key_index: a hash table with open addressing, at most half full. A few keys need none.
 */
#include "libflwr/app/key_index.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#define FEW_KEYS 16

static size_t key_hash(const char *key)
{
	uint64_t hash = 0xcbf29ce484222325; /* FNV-1a */

	for (; *key; key++)
		hash = (hash ^ (unsigned char)*key) * 0x100000001b3;
	return (size_t)(hash ^ (hash >> 32));
}

static void put(struct key_index *index, const struct keys *keys, size_t place)
{
	size_t at = key_hash(keys->at(keys->owner, place));

	while (index->slots[at & (index->cap - 1)])
		at++;
	index->slots[at & (index->cap - 1)] = (uint32_t)place + 1;
}

/* All keys into the table, which grows for them. false: no memory, or more than places can count.
 */
static bool learn(struct key_index *index, const struct keys *keys)
{
	if (keys->n >= UINT32_MAX / 4)
		return false;
	if (index->cap < 2 * keys->n) {
		size_t cap = 4 * FEW_KEYS;
		uint32_t *slots;

		while (cap < 4 * keys->n)
			cap *= 2;
		slots = calloc(cap, sizeof *slots);
		if (!slots)
			return false;
		free(index->slots);
		*index = (struct key_index){.slots = slots, .cap = cap};
	}
	for (; index->n < keys->n; index->n++)
		put(index, keys, index->n);
	return true;
}

static size_t compare_all(const struct keys *keys, const char *key)
{
	for (size_t i = 0; i < keys->n; i++) {
		if (strcmp(keys->at(keys->owner, i), key) == 0)
			return i;
	}
	return KEY_NOT_FOUND;
}

size_t key_index_find(struct key_index *index, const struct keys *keys, const char *key)
{
	if (keys->n <= FEW_KEYS || !learn(index, keys))
		return compare_all(keys, key);
	for (size_t at = key_hash(key);; at++) {
		uint32_t slot = index->slots[at & (index->cap - 1)];

		if (slot == 0)
			return KEY_NOT_FOUND;
		if (strcmp(keys->at(keys->owner, slot - 1), key) == 0)
			return slot - 1;
	}
}

void key_index_clear(struct key_index *index)
{
	if (index->n)
		memset(index->slots, 0, index->cap * sizeof *index->slots);
	index->n = 0;
}

void key_index_done(struct key_index *index)
{
	free(index->slots);
	*index = (struct key_index){0};
}
