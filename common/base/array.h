/*
 * array: memory that grows with its elements. Any thread; knows nothing about the elements. array
 * is the address of a pointer of any type, NULL at first; size is that of an element. All return 0,
 * or -ENOMEM and the array is as before.
 */
#ifndef FLWR_BASE_ARRAY_H
#define FLWR_BASE_ARRAY_H

#include <stddef.h>

#define ARRAY_FIRST_CAP       8
#define ARRAY_FIRST_CAP_BYTES 64 /* when elements are single bytes */

/* Room for more elements behind the first n; the capacity *cap doubles. */
int array_reserve(void *array, size_t *cap, size_t n, size_t more, size_t size);

/* Room for one more behind n elements of an array that only this function has grown: it needs no
 * capacity, because memory doubles whenever n is a power of two. */
int array_grow(void *array, size_t n, size_t size);

/*
 * Entries with equal keys become one: the last one, at the place of the first. Entries are structs
 * of at most 128 bytes that begin with their key (char *); done() frees what one of them owns, its
 * key too. 0 or -ENOMEM.
 */
int array_unique(void *entries, size_t *n, size_t size, void (*done)(void *entry));

#endif
