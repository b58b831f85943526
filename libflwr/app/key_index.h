/*
 * key_index: finds a key among many in order, without comparing it with each. One thread each;
 * knows nothing about what the keys belong to.
 */
#ifndef FLWR_APP_KEY_INDEX_H
#define FLWR_APP_KEY_INDEX_H

#include <stddef.h>
#include <stdint.h>

/* The keys to search: at() gives the key at place i, which is below n. */
struct keys {
	const void *owner;
	size_t n;
	const char *(*at)(const void *owner, size_t i);
};

/* Hash table of places. Zero-initialised is empty. It learns of new keys by itself. */
struct key_index {
	uint32_t *slots; /* place + 1; 0: free */
	size_t cap;      /* a power of two */
	size_t n;        /* the first n keys are in it */
};

#define KEY_NOT_FOUND SIZE_MAX

/* The place of key, or KEY_NOT_FOUND. On no memory the keys are compared one by one. */
size_t key_index_find(struct key_index *index, const struct keys *keys, const char *key);

/* Forget all: a key was removed or has moved. */
void key_index_clear(struct key_index *index);

/* Free; empty and usable afterwards. */
void key_index_done(struct key_index *index);

#endif
