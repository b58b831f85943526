#include "common/base/outcome.h"
#include "kit/test.h"

static void every_outcome_has_its_own_name(void **state)
{
	for (int i = 0; i < OUTCOME_N; i++) {
		assert_non_null(outcome_name((enum outcome)i));
		for (int j = 0; j < i; j++)
			assert_string_not_equal(
				outcome_name((enum outcome)i), outcome_name((enum outcome)j));
	}
	assert_string_equal(outcome_name(OUTCOME_OK), "OK");
	assert_string_equal(outcome_name(OUTCOME_UNAVAILABLE), "UNAVAILABLE");
	assert_string_equal(outcome_name((enum outcome)99), "UNKNOWN");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_outcome_has_its_own_name),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
