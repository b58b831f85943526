/*
 * pace: when to ask for the next message: the interval follows the time since something last
 * happened. Pure.
 */
#ifndef FLWR_FLEET_PACE_H
#define FLWR_FLEET_PACE_H

#include <stdint.h>

struct pace {
	int64_t min_ms;    /* --poll-min, default 100 */
	int64_t max_ms;    /* --poll-max, default 3000 */
	int64_t active_ms; /* when a message last came or a reply last went */
};

/* A tenth of the idle time, between min_ms and max_ms, from now_ms on. */
int64_t pace_next(const struct pace *pace, int64_t now_ms);

#endif
