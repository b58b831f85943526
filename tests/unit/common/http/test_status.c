/*
 * Every status has an outcome; those that Flower and proxies use have the one that is told.
 */
#include "common/http/status.h"
#include "kit/test.h"

#include <limits.h>

static const struct row {
	int status;
	int code;
	enum outcome outcome;
} rows[] = {
	{200, 0, OUTCOME_OK},
	{400, 1003, OUTCOME_INVALID_ARGUMENT},
	{400, 2003, OUTCOME_INVALID_ARGUMENT},
	{401, 0, OUTCOME_UNAUTHENTICATED},
	{401, 1008, OUTCOME_UNAUTHENTICATED},
	{403, 2007, OUTCOME_PERMISSION_DENIED},
	{403, 2009, OUTCOME_PERMISSION_DENIED},
	{404, 0, OUTCOME_UNIMPLEMENTED},
	{404, 16, OUTCOME_NOT_FOUND},
	{404, 3011, OUTCOME_NOT_FOUND},
	{405, 0, OUTCOME_UNIMPLEMENTED},
	{408, 0, OUTCOME_UNAVAILABLE},
	{409, 0, OUTCOME_FAILED_PRECONDITION},
	{411, 0, OUTCOME_INVALID_ARGUMENT},
	{412, 23, OUTCOME_FAILED_PRECONDITION},
	{412, 2004, OUTCOME_FAILED_PRECONDITION},
	{413, 0, OUTCOME_RESOURCE_EXHAUSTED},
	{414, 0, OUTCOME_INVALID_ARGUMENT},
	{415, 1002, OUTCOME_INVALID_ARGUMENT},
	{422, 0, OUTCOME_INVALID_ARGUMENT},
	{425, 0, OUTCOME_UNAVAILABLE},
	{429, 0, OUTCOME_UNAVAILABLE},
	{431, 0, OUTCOME_INVALID_ARGUMENT},
	{500, 0, OUTCOME_INTERNAL},
	{501, 0, OUTCOME_UNIMPLEMENTED},
	{502, 0, OUTCOME_UNAVAILABLE},
	{503, 0, OUTCOME_UNAVAILABLE},
	{504, 0, OUTCOME_UNAVAILABLE},
	{520, 0, OUTCOME_UNAVAILABLE},
	{599, 0, OUTCOME_UNAVAILABLE},
	{INT_MIN, 0, OUTCOME_UNKNOWN},
	{0, 0, OUTCOME_UNKNOWN},
	{600, 0, OUTCOME_UNKNOWN},
	{INT_MAX, 0, OUTCOME_UNKNOWN},
};

static bool has_row(int status)
{
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
		if (rows[i].status == status)
			return true;
	return false;
}

static void statuses_have_the_outcome_of_flowers_errors(void **state)
{
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
		assert_int_equal(http_outcome_of(rows[i].status, rows[i].code), rows[i].outcome);
}

/* Nothing else is a success, and nothing else is final. */
static void no_other_status_is_a_success_or_final(void **state)
{
	for (int status = 100; status < 500; status++)
		if (!has_row(status))
			assert_int_equal(http_outcome_of(status, 0), OUTCOME_UNKNOWN);
	for (int status = 502; status < 600; status++)
		assert_int_equal(http_outcome_of(status, 0), OUTCOME_UNAVAILABLE);
}

/* A caller of ours hears what its server has said. */
static void an_outcome_comes_back_from_its_status(void **state)
{
	for (enum outcome outcome = 0; outcome < OUTCOME_N; outcome++) {
		int status = http_status_of(outcome);

		if (outcome == OUTCOME_CANCELLED || outcome == OUTCOME_DEADLINE_EXCEEDED)
			assert_int_equal(http_outcome_of(status, 0), OUTCOME_UNAVAILABLE);
		else if (outcome == OUTCOME_UNKNOWN)
			assert_int_equal(status, 500);
		else
			assert_int_equal(http_outcome_of(status, http_code_of(outcome)), outcome);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(statuses_have_the_outcome_of_flowers_errors),
		cmocka_unit_test(no_other_status_is_a_success_or_final),
		cmocka_unit_test(an_outcome_comes_back_from_its_status),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
