#include "common/base/pace.h"

#include "common/base/clock.h"

#define PACE_SHARE_OF_IDLE 10

int64_t pace_next(const struct pace *pace, int64_t now_ms)
{
	int64_t idle_ms = now_ms > pace->active_ms ? now_ms - pace->active_ms : 0;
	int64_t wait_ms = idle_ms / PACE_SHARE_OF_IDLE;

	if (wait_ms > pace->max_ms)
		wait_ms = pace->max_ms;
	if (wait_ms < pace->min_ms)
		wait_ms = pace->min_ms;
	return clock_after(now_ms, wait_ms);
}

int64_t pace_double(int64_t *wait_ms, int64_t first_ms, int64_t max_ms)
{
	*wait_ms = *wait_ms ? 2 * *wait_ms : first_ms;
	if (*wait_ms > max_ms)
		*wait_ms = max_ms;
	return *wait_ms;
}
