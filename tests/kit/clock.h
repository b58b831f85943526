/*
 * clock: a time that passes when the test says so, for all of its program: that is linked with
 * flwr_test_clock(). Main thread.
 */
#ifndef FLWR_KIT_CLOCK_H
#define FLWR_KIT_CLOCK_H

#include "kit/test.h"

struct loop;

/* Stop clock_now_ms() so far ahead of the machine's time that no timer is due by itself. Timers of
 * loop (NULL: none) see what passes. */
void kit_clock_start(struct loop *loop);

/* The same, but time also passes by itself, as fast as the machine's. */
void kit_clock_run(struct loop *loop);

/* Before loop_free(). */
void kit_clock_done(void);

/* Let time pass, and the loop run all timers that are due then. */
void kit_clock_pass(int64_t ms);

#endif
