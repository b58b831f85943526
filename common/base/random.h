/*
 * random: unpredictable numbers, in the form in which code that can be tested takes them. Any
 * thread, after sodium_init(); arg is not used.
 */
#ifndef FLWR_BASE_RANDOM_H
#define FLWR_BASE_RANDOM_H

#include <stdint.h>

/* Any number. */
uint64_t random_u64(void *arg);

/* A number in [0, 1). */
double random_01(void *arg);

#endif
