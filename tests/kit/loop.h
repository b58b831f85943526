/*
 * loop: run an event loop until something has happened. Main thread. A test that waits for more
 * than KIT_WAIT_MS fails; the time is the machine's, whatever the test does to clock_now_ms().
 */
#ifndef FLWR_KIT_LOOP_H
#define FLWR_KIT_LOOP_H

#include "kit/test.h"

struct loop;

#define KIT_WAIT_MS                                                                                \
	30000 /* nothing takes that long, on the slowest machine and under sanitizers              \
	       */

/* Run the loop until condition, which is evaluated after each step, holds. */
#define kit_loop_until(loop, condition)                                                            \
	do {                                                                                       \
		int64_t kit_end_ms_ = kit_now_ms() + KIT_WAIT_MS;                                  \
		while (!(condition))                                                               \
			kit_loop_step((loop), kit_end_ms_, #condition, __FILE__, __LINE__);        \
	} while (0)

/* The machine's time (CLOCK_MONOTONIC, milliseconds). */
int64_t kit_now_ms(void);

/* One step of kit_loop_until(). */
void kit_loop_step(
	struct loop *loop, int64_t end_ms, const char *condition, const char *file, int line);

#endif
