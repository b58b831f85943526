#include "kit/clock.h"

#include "common/loop/loop.h"
#include "kit/loop.h"

#define AHEAD_MS 1000000000

static struct {
	int64_t now_ms;
	bool runs; /* now_ms is what is to be added to the machine's time */
	struct loop *loop;
	struct timer *nudge; /* has the loop look at the time */
	bool nudged;
} time_of_test;

int64_t __wrap_clock_now_ms(void);

int64_t __wrap_clock_now_ms(void)
{
	return time_of_test.now_ms + (time_of_test.runs ? kit_now_ms() : 0);
}

static void on_nudge(void *arg)
{
	*(bool *)arg = true;
}

static void begin(struct loop *loop, bool runs)
{
	time_of_test.now_ms = AHEAD_MS + (runs ? 0 : kit_now_ms());
	time_of_test.runs = runs;
	time_of_test.loop = loop;
	time_of_test.nudge = loop ? timer_new(loop, on_nudge, &time_of_test.nudged) : NULL;
	assert_true(!loop || time_of_test.nudge);
}

void kit_clock_start(struct loop *loop)
{
	begin(loop, false);
}

void kit_clock_run(struct loop *loop)
{
	begin(loop, true);
}

void kit_clock_done(void)
{
	timer_free(time_of_test.nudge);
	time_of_test.nudge = NULL;
}

void kit_clock_pass(int64_t ms)
{
	time_of_test.now_ms += ms;
	if (!time_of_test.nudge)
		return;
	time_of_test.nudged = false;
	timer_set(time_of_test.nudge, 0);
	/* All timers that are due run with it. */
	kit_loop_until(time_of_test.loop, time_of_test.nudged);
}
