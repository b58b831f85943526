/*
 * heap: what malloc() has kept of freed memory. For a program's main.c; knows nothing of who freed
 * it.
 */
#ifndef FLWR_BASE_HEAP_H
#define FLWR_BASE_HEAP_H

#include <stdint.h>

/* Bytes of this process that are resident, but free. 0 when that is not known. */
uint64_t heap_free_bytes(void);

#endif
