/*
 * retry: which outcomes of a call are tried again, and when: exponential with full jitter, capped,
 * bounded by --max-retries and --max-wait-time. Pure: time and randomness are arguments.
 */
#ifndef FLWR_LINK_RETRY_H
#define FLWR_LINK_RETRY_H

#include "common/base/outcome.h"

#include <stdbool.h>
#include <stdint.h>

#define RETRY_FIRST_MS 1000
#define RETRY_MAX_MS   20000

struct retry_policy {
	int64_t max_retries; /* further tries of one call; -1: no end */
	int64_t max_wait_ms; /* from a call's first try; -1: no end */
};

/* The tries of one call so far; embedded by value. */
struct retry {
	int64_t first_ms; /* of its first try; -1 before */
	int64_t tries;
};

void retry_init(struct retry *retry);

/* Is this outcome tried again? (content: the call carries a message, a FAB: then too large is
 * final) */
bool retry_again(enum outcome outcome, bool content);

/*
 * A try that began and failed; random01 is in [0, 1). The time of the next try, or CLOCK_NEVER:
 * give up. Without jitter the waits are 1, 2, 4 ... 20 s; with it a uniform share of them, at least
 * 50 ms.
 */
int64_t retry_next(
	struct retry *retry, const struct retry_policy *policy, int64_t now_ms, double random01);

#endif
