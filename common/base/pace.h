/*
 * pace: when to ask again for something to do: the interval follows the time since something last
 * happened. Pure.
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

#endif
