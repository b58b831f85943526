/*
 * heap: freed memory that malloc() has kept. For a program's main.c.
 */
#ifndef FLWR_BASE_HEAP_H
#define FLWR_BASE_HEAP_H

#include <stdbool.h>
#include <stdint.h>

/* Bytes of this process that are resident, but free. 0 when that is not known. */
uint64_t heap_free_bytes(void);

#define HEAP_SPARE_BYTES (2ull << 20) /* not worth giving back */

/* When to give memory back: zero-initialised. */
struct heap_watch {
	bool much;           /* was free at the last look */
	uint64_t kept_bytes; /* that malloc_trim() has left, or fewer since */
};

/* At a look from time to time, when so many bytes are free: is more free than is worth keeping, at
 * two looks in a row? Then call malloc_trim(), and heap_watch_given() with what is free afterwards.
 */
bool heap_watch_look(struct heap_watch *watch, uint64_t free_bytes);
void heap_watch_given(struct heap_watch *watch, uint64_t free_bytes);

#endif
