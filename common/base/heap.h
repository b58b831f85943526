/*
 * heap: freed memory that malloc() has kept. For a program's main.c.
 */
#ifndef FLWR_BASE_HEAP_H
#define FLWR_BASE_HEAP_H

#include <stdint.h>

/* Bytes of this process that are resident, but free. 0 when that is not known. */
uint64_t heap_free_bytes(void);

#endif
