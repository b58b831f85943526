#include "common/base/clock.h"
#include "kit/test.h"

#include <math.h>
#include <time.h>

static void arithmetic_does_not_wrap(void **state)
{
	assert_int_equal(clock_after(5, 7), 12);
	assert_int_equal(clock_after(5, -7), 5);
	assert_true(clock_after(5, CLOCK_NEVER) == CLOCK_NEVER);
	assert_true(clock_after(CLOCK_NEVER, 1) == CLOCK_NEVER);
}

static void seconds_are_rounded_up(void **state)
{
	static const struct {
		double seconds;
		int64_t ms;
	} rows[] = {
		{0, 0},
		{0.0001, 1},
		{0.25, 250},
		{1.5, 1500},
		{2.0004, 2001},
		{-1.5, -1500},
		{4e12, INT64_C(4000000000000000)},
		{1e16, CLOCK_NEVER},
		{1e300, CLOCK_NEVER},
		{INFINITY, CLOCK_NEVER},
		{-INFINITY, CLOCK_NEVER},
		{NAN, CLOCK_NEVER},
		{-1e300, INT64_MIN},
	};

	for (size_t i = 0; i < ARRAY_LEN(rows); i++)
		assert_true(clock_ms_of_s(rows[i].seconds) == rows[i].ms);
}

static void wall_time_as_text(void **state)
{
	char text[CLOCK_ISO8601_BYTES];

	clock_iso8601(1795176000.123456, text);
	assert_string_equal(text, "2026-11-20T12:00:00.123456+00:00");
	clock_iso8601(0, text);
	assert_string_equal(text, "1970-01-01T00:00:00.000000+00:00");
	clock_iso8601(NAN, text);
	assert_string_equal(text, "1970-01-01T00:00:00.000000+00:00");
	clock_iso8601(INFINITY, text);
	assert_string_equal(text, "9999-12-31T23:59:59.000000+00:00");
}

static void time_goes_on(void **state)
{
	int64_t before = clock_now_ms();
	struct timespec wait = {.tv_nsec = 2000000};

	assert_true(before > 0);
	nanosleep(&wait, NULL);
	assert_true(clock_now_ms() > before);
	assert_true(fabs(clock_wall_s() - (double)time(NULL)) < 5);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(arithmetic_does_not_wrap),
		cmocka_unit_test(seconds_are_rounded_up),
		cmocka_unit_test(wall_time_as_text),
		cmocka_unit_test(time_goes_on),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
