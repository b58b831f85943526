#include "kit/test.h"
#include "life.h"

static void test_a_life_at_the_newest_fleet_api(void **state)
{
	life_run(KIT_NEWEST, FLWR_TEST_DIR "/superlink_new.py", "Flower-1.40-and-later");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_a_life_at_the_newest_fleet_api),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
