/*
 * pace: intervals between questions for something to do: they follow the time since something last
 * happened, or double each time. Pure.
 */
#ifndef FLWR_BASE_PACE_H
#define FLWR_BASE_PACE_H

#include <stdint.h>

struct pace {
	int64_t min_ms;
	int64_t max_ms;
	int64_t active_ms; /* when something to do last came, or was last done */
};

/* A tenth of the idle time, between min_ms and max_ms, from now_ms on. */
int64_t pace_next(const struct pace *pace, int64_t now_ms);

/* The next wait for what is not there: first_ms when *wait_ms is 0, else twice *wait_ms, at most
 * max_ms. It is also stored in *wait_ms. */
int64_t pace_double(int64_t *wait_ms, int64_t first_ms, int64_t max_ms);

#endif
