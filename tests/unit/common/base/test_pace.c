#include "common/base/pace.h"

#include "common/base/clock.h"
#include "kit/test.h"

static void a_tenth_of_the_idle_time(void **state)
{
	static const struct {
		int64_t idle_ms, wait_ms;
	} table[] = {
		{-500, 100}, /* a clock that went back */
		{0, 100},
		{999, 100},
		{1000, 100},
		{1010, 101},
		{5000, 500},
		{29990, 2999},
		{30000, 3000},
		{86400000, 3000},
	};
	struct pace pace = {.min_ms = 100, .max_ms = 3000, .active_ms = 1000000};

	for (size_t i = 0; i < ARRAY_LEN(table); i++) {
		int64_t now_ms = pace.active_ms + table[i].idle_ms;

		assert_int_equal(pace_next(&pace, now_ms), now_ms + table[i].wait_ms);
	}
}

static void equal_bounds_are_a_fixed_interval(void **state)
{
	struct pace pace = {.min_ms = 700, .max_ms = 700};

	assert_int_equal(pace_next(&pace, 0), 700);
	assert_int_equal(pace_next(&pace, 90000), 90700);
	assert_int_equal(pace_next(&pace, CLOCK_NEVER - 1), CLOCK_NEVER);
}

static void twice_as_long_each_time(void **state)
{
	static const int64_t waits[] = {50, 100, 200, 400, 500, 500};
	int64_t wait_ms = 0;

	for (size_t i = 0; i < sizeof waits / sizeof waits[0]; i++) {
		assert_int_equal(pace_double(&wait_ms, 50, 500), waits[i]);
		assert_int_equal(wait_ms, waits[i]);
	}
	wait_ms = 0;
	assert_int_equal(pace_double(&wait_ms, 50, 500), 50);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_tenth_of_the_idle_time),
		cmocka_unit_test(equal_bounds_are_a_fixed_interval),
		cmocka_unit_test(twice_as_long_each_time),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
