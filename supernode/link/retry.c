#include "supernode/link/retry.h"

#include "common/base/clock.h"

#define RETRY_MIN_MS 50

void retry_init(struct retry *retry)
{
	retry->first_ms = -1;
	retry->tries = 0;
}

bool retry_again(enum outcome outcome, bool content)
{
	switch (outcome) {
	case OUTCOME_OK:
	case OUTCOME_INVALID_ARGUMENT:
	case OUTCOME_NOT_FOUND:
	case OUTCOME_PERMISSION_DENIED:
	case OUTCOME_UNAUTHENTICATED:
	case OUTCOME_FAILED_PRECONDITION:
	case OUTCOME_UNIMPLEMENTED:
		return false;
	case OUTCOME_RESOURCE_EXHAUSTED:
		return !content;
	case OUTCOME_CANCELLED: /* by the other side: our own cancelled calls are not asked about */
	case OUTCOME_UNKNOWN:
	case OUTCOME_DEADLINE_EXCEEDED:
	case OUTCOME_INTERNAL:
	case OUTCOME_UNAVAILABLE:
	case OUTCOME_N:
		break;
	}
	return true;
}

/* 1, 2, 4 ... 20 s after the n-th failure. */
static int64_t full_wait_ms(int64_t failures)
{
	int64_t wait_ms = RETRY_FIRST_MS;

	while (--failures > 0 && wait_ms < RETRY_MAX_MS)
		wait_ms *= 2;
	return wait_ms < RETRY_MAX_MS ? wait_ms : RETRY_MAX_MS;
}

int64_t retry_next(
	struct retry *retry, const struct retry_policy *policy, int64_t now_ms, double random01)
{
	int64_t wait_ms, left_ms;

	if (retry->first_ms < 0)
		retry->first_ms = now_ms;
	if (retry->tries < INT64_MAX)
		retry->tries++;
	if (policy->max_retries >= 0 && retry->tries > policy->max_retries)
		return CLOCK_NEVER;
	wait_ms = (int64_t)((double)full_wait_ms(retry->tries) * random01);
	if (wait_ms < RETRY_MIN_MS)
		wait_ms = RETRY_MIN_MS;
	if (policy->max_wait_ms >= 0) {
		left_ms = policy->max_wait_ms - (now_ms - retry->first_ms);
		if (left_ms <= 0)
			return CLOCK_NEVER;
		/* The last try is made at the very end of the time that was allowed. */
		if (wait_ms > left_ms)
			wait_ms = left_ms;
	}
	return clock_after(now_ms, wait_ms);
}
