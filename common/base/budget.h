/*
 * budget: the memory that peers may make us hold. A user reserves it before it is taken, and
 * releases what it has reserved. Main thread. Knows nothing about what the bytes are for.
 */
#ifndef FLWR_BASE_BUDGET_H
#define FLWR_BASE_BUDGET_H

#include <stddef.h>
#include <stdint.h>

/* Embedded by value. */
struct budget {
	uint64_t limit_bytes;
	uint64_t used_bytes;
	uint64_t peak_bytes;
};

/* Half of the memory limit that applies: cgroup (v1 or v2) or machine. */
uint64_t budget_default_limit(void);

void budget_init(struct budget *budget, uint64_t limit_bytes);

/* Reserve bytes. 0 or -EDQUOT (nothing reserved). */
int budget_reserve(struct budget *budget, uint64_t bytes);

/* Give bytes back; giving back more than was reserved is a bug (assert). */
void budget_release(struct budget *budget, uint64_t bytes);

/* Note peaks anew from here on. */
void budget_peak_reset(struct budget *budget);

#endif
