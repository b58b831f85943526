/*
 * Stand-ins around the rig: the loop and the clock, as far as fleet uses them; the log.
 */
#include "rig.h"

#include "common/base/clock.h"
#include "common/loop/loop.h"

#include <math.h>
#include <time.h>

struct timer {
	struct timer *next;
	timer_fn *fn;
	void *arg;
	int64_t at_ms;
};

static struct timer *timers;
static int64_t now_ms = 1000000;

int64_t clock_now_ms(void)
{
	return now_ms;
}

double clock_wall_s(void)
{
	return 1790000000.0 + (double)now_ms / 1000.0;
}

int64_t clock_after(int64_t from_ms, int64_t after_ms)
{
	int64_t at_ms;

	if (after_ms < 0)
		after_ms = 0;
	return __builtin_add_overflow(from_ms, after_ms, &at_ms) ? CLOCK_NEVER : at_ms;
}

int64_t clock_ms_of_s(double seconds)
{
	return isfinite(seconds) ? (int64_t)(seconds * 1000.0) : CLOCK_NEVER;
}

void clock_iso8601(double wall_s, char text[CLOCK_ISO8601_BYTES])
{
	time_t whole = (time_t)wall_s;
	struct tm tm;

	gmtime_r(&whole, &tm);
	strftime(text, CLOCK_ISO8601_BYTES, "%Y-%m-%dT%H:%M:%S+00:00", &tm);
}

struct timer *timer_new(struct loop *loop, timer_fn *fn, void *arg)
{
	struct timer *timer = calloc(1, sizeof *timer);

	assert_non_null(timer);
	*timer = (struct timer){timers, fn, arg, CLOCK_NEVER};
	timers = timer;
	return timer;
}

void timer_set(struct timer *timer, int64_t at_ms)
{
	timer->at_ms = at_ms;
}

void timer_free(struct timer *timer)
{
	struct timer **at = &timers;

	if (!timer)
		return;
	while (*at != timer)
		at = &(*at)->next;
	*at = timer->next;
	free(timer);
}

/* Jobs that were not run yet, the oldest first. */
static struct loop_work *jobs;

int loop_job(struct loop *loop, struct job *job)
{
	struct loop_work **at = &jobs;

	while (*at)
		at = &(*at)->next;
	job->work.next = NULL;
	*at = &job->work;
	return 0;
}

static bool run_job(struct rig *rig)
{
	struct job *job;

	if (!jobs || rig->hold_jobs)
		return false;
	job = container_of(jobs, struct job, work);
	jobs = jobs->next;
	job->run(job);
	job->done(job);
	return true;
}

bool rig_loop_is_empty(void)
{
	return !timers && !jobs;
}

int64_t rig_now(void)
{
	return now_ms;
}

void rig_pass(struct rig *rig, int64_t ms)
{
	int64_t end_ms = now_ms + ms;

	for (unsigned fired = 0;; fired++) {
		struct timer *due;

		if (run_job(rig) || rig_answer_lacking(rig))
			continue;
		due = timers;

		for (struct timer *timer = timers; timer; timer = timer->next)
			if (timer->at_ms <= due->at_ms) /* the oldest first */
				due = timer;
		if (!due || due->at_ms > end_ms)
			break;
		/* Nothing may spin. */
		assert_true(fired < 1000 + (unsigned)ms);
		if (due->at_ms > now_ms)
			now_ms = due->at_ms;
		due->at_ms = CLOCK_NEVER;
		due->fn(due->arg);
	}
	now_ms = end_ms;
}

/* ---- the log ---- */

unsigned rig_lines(struct rig *rig, const char *text)
{
	return kit_log_count(&rig->log, text);
}

unsigned rig_warnings(struct rig *rig)
{
	return kit_log_count(&rig->log, " WARN ") + kit_log_count(&rig->log, " ERROR ");
}
