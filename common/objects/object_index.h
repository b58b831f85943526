/*
 * object_index: finds the node of an id in an array of nodes. The ids are a peer's choice: they are
 * hashed with a key that it cannot know, so that none of its choices is slow. One thread each.
 * Private to this folder.
 */
#ifndef FLWR_OBJECTS_OBJECT_INDEX_H
#define FLWR_OBJECTS_OBJECT_INDEX_H

#include "common/objects/object.h"

struct object_node;

/* Zero-initialised is empty. */
struct object_index {
	uint32_t *slots; /* 1 + the place in the array; 0 is free */
	size_t n_slots;  /* a power of two, at least twice what is in it */
	uint64_t key[OBJECT_ID_BYTES / sizeof(uint32_t)];
};

/* The place of the node of that id in v (the array whose nodes were added), or -1. */
ptrdiff_t object_index_find(
	const struct object_index *index, const struct object_node *v, const struct object_id *id);

/* Add v[at], which is not in it; v[0] .. v[at - 1] are. 0 or -ENOMEM. */
int object_index_add(struct object_index *index, const struct object_node *v, uint32_t at);

void object_index_done(struct object_index *index);

#endif
