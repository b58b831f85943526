#include "kit/test.h"
#include "supernode/fleet/heartbeat.h"

static void test_heartbeats_vary_by_a_tenth(void **state)
{
	/* (30 - 5) s x (0.8 - 0.1 ... 0.8 + 0.1) */
	assert_int_equal(heartbeat_next(1000, 0.0), 1000 + 17500);
	assert_int_equal(heartbeat_next(1000, 0.5), 1000 + 20000);
	assert_in_range(heartbeat_next(1000, 0.999999), 1000 + 22499, 1000 + 22500);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_heartbeats_vary_by_a_tenth),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
