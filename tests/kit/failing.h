/*
 * failing: allocations that fail when a test says so. Any thread; for programs that link all calls
 * of the functions here (flwr_test_allocations() in CMake). What shared libraries allocate never
 * fails.
 */
#ifndef FLWR_TEST_FAILING_H
#define FLWR_TEST_FAILING_H

#include <stdbool.h>
#include <stddef.h>

/* The n-th allocation from now on fails, once; n is 1 or more. */
void failing_at(size_t n);

/* None fails any more. Has one failed since failing_at()? */
bool failing_stop(void);

#endif
