/*
 * clock: the time. Programs count in CLOCK_BOOTTIME milliseconds; wall time is used only where
 * the protocol asks for it. Any thread.
 */
#ifndef FLWR_BASE_CLOCK_H
#define FLWR_BASE_CLOCK_H

#include <stdint.h>

#define CLOCK_NEVER INT64_MAX /* an absolute time that does not come */

/* CLOCK_BOOTTIME in milliseconds. */
int64_t clock_now_ms(void);

/* CLOCK_REALTIME as seconds since 1970 with microseconds. */
double clock_wall_s(void);

/* now_ms + after_ms, CLOCK_NEVER instead of an overflow; a negative after_ms counts as 0. */
int64_t clock_after(int64_t now_ms, int64_t after_ms);

/* Seconds to milliseconds, rounded up; CLOCK_NEVER for what does not fit, infinity and NaN. */
int64_t clock_ms_of_s(double seconds);

#define CLOCK_ISO8601_BYTES 33

/* wall_s as 2026-11-20T12:00:00.123456+00:00 into text. */
void clock_iso8601(double wall_s, char text[CLOCK_ISO8601_BYTES]);

#endif
