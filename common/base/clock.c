/*
 * clock: the two clocks, and arithmetic on milliseconds that does not wrap.
 */
#include "common/base/clock.h"

#include <math.h>
#include <stdio.h>
#include <time.h>

#define WALL_MAX_S 253402300799.0 /* the last second of the year 9999 */

int64_t clock_now_ms(void)
{
	struct timespec ts = {0};

	clock_gettime(CLOCK_BOOTTIME, &ts);
	return (int64_t)ts.tv_sec * 1000 + ts.tv_nsec / 1000000;
}

double clock_wall_s(void)
{
	struct timespec ts = {0};

	clock_gettime(CLOCK_REALTIME, &ts);
	return (double)ts.tv_sec + (double)ts.tv_nsec / 1e9;
}

int64_t clock_after(int64_t now_ms, int64_t after_ms)
{
	int64_t at_ms;

	if (after_ms < 0)
		after_ms = 0;
	if (__builtin_add_overflow(now_ms, after_ms, &at_ms))
		return CLOCK_NEVER;
	return at_ms;
}

int64_t clock_ms_of_s(double seconds)
{
	double ms = seconds * 1000;
	double rounded = (ms >= -9e15 && ms <= 9e15) ? (double)(int64_t)ms : ms;

	if (isnan(ms) || ms >= 9223372036854775808.0)
		return CLOCK_NEVER;
	if (ms < -9223372036854775808.0)
		return isinf(ms) ? CLOCK_NEVER : INT64_MIN;
	if (rounded < ms)
		rounded += 1;
	return (int64_t)rounded;
}

void clock_iso8601(double wall_s, char text[CLOCK_ISO8601_BYTES])
{
	struct tm tm;
	int64_t us;
	time_t s;

	/* A time that cannot be written, NaN too, becomes the nearest one that can. */
	if (!(wall_s >= 0))
		wall_s = 0;
	if (wall_s > WALL_MAX_S)
		wall_s = WALL_MAX_S;
	us = (int64_t)(wall_s * 1e6 + 0.5);
	s = (time_t)(us / 1000000);
	gmtime_r(&s, &tm);
	snprintf(text, CLOCK_ISO8601_BYTES, "%04u-%02u-%02uT%02u:%02u:%02u.%06u+00:00",
		(unsigned int)(tm.tm_year + 1900) % 10000, (unsigned int)(tm.tm_mon + 1) % 100,
		(unsigned int)tm.tm_mday % 100, (unsigned int)tm.tm_hour % 100,
		(unsigned int)tm.tm_min % 100, (unsigned int)tm.tm_sec % 100,
		(unsigned int)(us % 1000000));
}
