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

/* Room for one more, or several, behind n elements of an array that only these two have grown: it
 * needs no capacity, because its memory is array_room(n) elements. */
int array_grow(void *array, size_t n, size_t size);
int array_grow_by(void *array, size_t n, size_t more, size_t size);

/* The power of two that is n or more (at most half of what size_t holds); 0 for 0. */
size_t array_room(size_t n);

/*
 * Entries with equal keys become one: the last one, at the place of the first. Entries are structs
 * of at most 128 bytes that begin with their key (char *); done() frees what one of them owns, its
 * key too. 0 or -ENOMEM.
 */
int array_unique(void *entries, size_t *n, size_t size, void (*done)(void *entry));

#endif
