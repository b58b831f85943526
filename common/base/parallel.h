/*
 * parallel: the same work on many things, on several cores. Any thread; blocks.
 */
#ifndef FLWR_BASE_PARALLEL_H
#define FLWR_BASE_PARALLEL_H

#include <stddef.h>

/*
 * Call one(arg, i) for each i < n, once, in no order, on as many threads as this process may use
 * cores, but at most threads_max; the caller's is one of them, and does it all when no other can be
 * had. Returns when all is done. The others block all signals.
 */
void parallel_each(size_t n, unsigned threads_max, void (*one)(void *arg, size_t i), void *arg);

#endif
