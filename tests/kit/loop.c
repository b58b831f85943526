#include "kit/loop.h"

#include "common/loop/loop.h"

#include <time.h>

#define STEP_MS 20 /* conditions may depend on more than the loop */

int64_t kit_now_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

void kit_loop_step(
	struct loop *loop, int64_t end_ms, const char *condition, const char *file, int line)
{
	if (kit_now_ms() >= end_ms) {
		print_error("this did not become true: %s\n", condition);
		_fail(file, line);
	}
	loop_step(loop, STEP_MS);
}
