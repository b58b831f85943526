/*
 * object_index: a table with open addressing and a universal hash: the upper half of the sum of the
 * id's words, each multiplied by a random number.
 */
#include "common/objects/object_index.h"

#include "common/base/number.h"
#include "common/objects/object_tree.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#define FIRST_SLOTS 64

/* The slot at which the search for id begins. */
static size_t first_slot(const struct object_index *index, const struct object_id *id)
{
	uint64_t sum = 0;

	for (size_t i = 0; i < sizeof index->key / sizeof *index->key; i++) {
		uint32_t word;

		memcpy(&word, id->v + i * sizeof word, sizeof word);
		sum += index->key[i] * word;
	}
	return (size_t)(sum >> 32) & (index->n_slots - 1);
}

/* The slot of id, or the free one where it belongs. There are slots, not all taken. */
static uint32_t *find_slot(
	const struct object_index *index, const struct object_node *v, const struct object_id *id)
{
	size_t i = first_slot(index, id);

	while (index->slots[i] && !object_id_equal(&v[index->slots[i] - 1].id, id))
		i = (i + 1) & (index->n_slots - 1);
	return &index->slots[i];
}

ptrdiff_t object_index_find(
	const struct object_index *index, const struct object_node *v, const struct object_id *id)
{
	return index->slots ? (ptrdiff_t)*find_slot(index, v, id) - 1 : -1;
}

/* Twice as many slots, or the first ones, for the first n of v. */
static int index_grow(struct object_index *index, const struct object_node *v, uint32_t n)
{
	struct object_index grown = *index;

	if (!index->slots && getrandom(grown.key, sizeof grown.key, 0) != sizeof grown.key)
		return -ENOMEM;
	if (!index->slots)
		grown.n_slots = FIRST_SLOTS;
	else if (!size_mul(index->n_slots, 2, &grown.n_slots))
		return -ENOMEM;
	grown.slots = calloc(grown.n_slots, sizeof *grown.slots);
	if (!grown.slots)
		return -ENOMEM;
	for (uint32_t i = 0; i < n; i++)
		*find_slot(&grown, v, &v[i].id) = i + 1;
	free(index->slots);
	*index = grown;
	return 0;
}

int object_index_add(struct object_index *index, const struct object_node *v, uint32_t at)
{
	if (at >= index->n_slots / 2) {
		int r = index_grow(index, v, at);

		if (r < 0)
			return r;
	}
	*find_slot(index, v, &v[at].id) = at + 1;
	return 0;
}

void object_index_done(struct object_index *index)
{
	free(index->slots);
	*index = (struct object_index){0};
}
