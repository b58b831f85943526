#include "life.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

static void test_a_life_at_the_newest_fleet_api(void **state)
{
	const char *python = getenv("FLWR_TEST_PYTHON_NEW");

	(void)state;
	if (!python) {
		print_message("there is no environment with the newest Flower\n");
		skip();
	}
	life_run(python, "superlink_new.py", "Flower-1.40-and-later");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_a_life_at_the_newest_fleet_api),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
