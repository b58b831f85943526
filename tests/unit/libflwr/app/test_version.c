#include "kit/test.h"

#include <flwr/flwr.h>

/* The number in the header and the release of the project are one. */
static void the_header_has_the_version_of_the_project(void **state)
{
	char text[64];

	assert_int_equal(flwr_version(), FLWR_VERSION);
	snprintf(text, sizeof text, "%d.%d.%d", FLWR_VERSION / 10000, FLWR_VERSION / 100 % 100,
		FLWR_VERSION % 100);
	assert_string_equal(text, FLWR_RELEASE);
	assert_string_equal(flwr_version_text(), FLWR_RELEASE ", Flower 1.15-1.42");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_header_has_the_version_of_the_project),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
