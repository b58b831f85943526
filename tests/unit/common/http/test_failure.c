/*
 * Every way to fail has an outcome, and only none is a success.
 */
#include "common/http/failure.h"
#include "kit/test.h"

static void each_failure_has_an_outcome(void **state)
{
	assert_int_equal(http_failure_outcome(HTTP_FAILURE_NONE), OUTCOME_OK);
	assert_null(http_failure_text(HTTP_FAILURE_NONE));
	for (int i = HTTP_FAILURE_NONE + 1; i < HTTP_FAILURE_N; i++) {
		enum outcome expected = OUTCOME_UNAVAILABLE;

		if (i == HTTP_FAILURE_TIMEOUT)
			expected = OUTCOME_DEADLINE_EXCEEDED;
		if (i == HTTP_FAILURE_TOO_LARGE || i == HTTP_FAILURE_MEMORY)
			expected = OUTCOME_RESOURCE_EXHAUSTED;
		if (i == HTTP_FAILURE_CANCELLED)
			expected = OUTCOME_CANCELLED;
		assert_int_equal(http_failure_outcome((enum http_failure)i), expected);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(each_failure_has_an_outcome)};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
