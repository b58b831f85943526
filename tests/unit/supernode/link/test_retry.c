#include "common/base/clock.h"
#include "kit/test.h"
#include "supernode/link/retry.h"

#define LAST (1.0 - 1e-12) /* the largest chance there is */

static void test_waits_double_to_a_cap(void **state)
{
	static const int64_t waits[] = {1000, 2000, 4000, 8000, 16000, 20000, 20000, 20000};
	struct retry_policy endless = {-1, -1};
	struct retry retry;
	int64_t now_ms = 5000;

	retry_init(&retry);
	for (size_t i = 0; i < ARRAY_LEN(waits); i++) {
		int64_t next_ms = retry_next(&retry, &endless, now_ms, LAST);

		assert_in_range(next_ms, now_ms + waits[i] - 1, now_ms + waits[i]);
		assert_int_equal(retry.tries, i + 1);
		now_ms = next_ms;
	}
	assert_int_equal(retry.first_ms, 5000);
}

static void test_jitter_is_a_share_with_a_floor(void **state)
{
	static const struct {
		int64_t failures;
		double random01;
		int64_t wait_ms;
	} table[] = {
		{1, 0.0, 50},
		{1, 0.04, 50},
		{1, 0.5, 500},
		{3, 0.25, 1000},
		{9, 0.5, 10000},
		{9, 0.0, 50},
	};
	struct retry_policy endless = {-1, -1};

	for (size_t i = 0; i < ARRAY_LEN(table); i++) {
		struct retry retry = {.first_ms = 0, .tries = table[i].failures - 1};

		assert_int_equal(retry_next(&retry, &endless, 70000, table[i].random01),
			70000 + table[i].wait_ms);
	}
}

static void test_it_never_overflows(void **state)
{
	struct retry_policy endless = {-1, -1};
	struct retry retry = {.first_ms = 0, .tries = INT64_MAX};

	assert_int_equal(retry_next(&retry, &endless, CLOCK_NEVER - 10, 0.9), CLOCK_NEVER);
	assert_int_equal(retry.tries, INT64_MAX);
}

static void test_max_retries_are_further_tries(void **state)
{
	struct retry_policy policy = {.max_retries = 2, .max_wait_ms = -1};
	struct retry_policy none = {.max_retries = 0, .max_wait_ms = -1};
	struct retry retry;

	retry_init(&retry);
	assert_int_not_equal(retry_next(&retry, &policy, 0, 0.5), CLOCK_NEVER);
	assert_int_not_equal(retry_next(&retry, &policy, 0, 0.5), CLOCK_NEVER);
	assert_int_equal(retry_next(&retry, &policy, 0, 0.5), CLOCK_NEVER);
	retry_init(&retry);
	assert_int_equal(retry_next(&retry, &none, 0, 0.5), CLOCK_NEVER);
}

static void test_max_wait_counts_from_the_first_try(void **state)
{
	struct retry_policy policy = {.max_retries = -1, .max_wait_ms = 3000};
	struct retry_policy none = {.max_retries = -1, .max_wait_ms = 0};
	struct retry retry;

	retry_init(&retry);
	retry.first_ms = 1000;
	assert_int_equal(retry_next(&retry, &policy, 1000, 0.5), 1500);
	assert_int_equal(retry_next(&retry, &policy, 2500, 0.5), 3500);
	/* The last wait is cut so that the time allowed is used. */
	assert_int_equal(retry_next(&retry, &policy, 3500, 0.9), 4000);
	assert_int_equal(retry_next(&retry, &policy, 4000, 0.0), CLOCK_NEVER);
	retry_init(&retry);
	assert_int_equal(retry_next(&retry, &none, 7, 0.5), CLOCK_NEVER);
}

static void test_which_outcomes_are_tried_again(void **state)
{
	/* without content, with content */
	static const bool again[OUTCOME_N][2] = {
		[OUTCOME_OK] = {false, false},
		[OUTCOME_CANCELLED] = {true, true},
		[OUTCOME_UNKNOWN] = {true, true},
		[OUTCOME_INVALID_ARGUMENT] = {false, false},
		[OUTCOME_DEADLINE_EXCEEDED] = {true, true},
		[OUTCOME_NOT_FOUND] = {false, false},
		[OUTCOME_PERMISSION_DENIED] = {false, false},
		[OUTCOME_UNAUTHENTICATED] = {false, false},
		[OUTCOME_RESOURCE_EXHAUSTED] = {true, false},
		[OUTCOME_FAILED_PRECONDITION] = {false, false},
		[OUTCOME_UNIMPLEMENTED] = {false, false},
		[OUTCOME_INTERNAL] = {true, true},
		[OUTCOME_UNAVAILABLE] = {true, true},
	};

	for (int outcome = 0; outcome < OUTCOME_N; outcome++)
		for (int content = 0; content < 2; content++)
			assert_int_equal(retry_again((enum outcome)outcome, content),
				again[outcome][content]);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_waits_double_to_a_cap),
		cmocka_unit_test(test_jitter_is_a_share_with_a_floor),
		cmocka_unit_test(test_it_never_overflows),
		cmocka_unit_test(test_max_retries_are_further_tries),
		cmocka_unit_test(test_max_wait_counts_from_the_first_try),
		cmocka_unit_test(test_which_outcomes_are_tried_again),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
