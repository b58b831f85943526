/*
 * Every outcome has a status of its own; every number has an outcome.
 */
#include "common/rpc/status.h"
#include "kit/test.h"

#include <limits.h>

/* gRPC's numbers by name, as its documents list them. */
static const struct row {
	enum outcome outcome;
	int status;
} rows[] = {
	{OUTCOME_OK, 0},
	{OUTCOME_CANCELLED, 1},
	{OUTCOME_UNKNOWN, 2},
	{OUTCOME_INVALID_ARGUMENT, 3},
	{OUTCOME_DEADLINE_EXCEEDED, 4},
	{OUTCOME_NOT_FOUND, 5},
	{OUTCOME_PERMISSION_DENIED, 7},
	{OUTCOME_RESOURCE_EXHAUSTED, 8},
	{OUTCOME_FAILED_PRECONDITION, 9},
	{OUTCOME_UNIMPLEMENTED, 12},
	{OUTCOME_INTERNAL, 13},
	{OUTCOME_UNAVAILABLE, 14},
	{OUTCOME_UNAUTHENTICATED, 16},
};

static void test_both_ways(void **state)
{
	bool seen[OUTCOME_N] = {false};

	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		assert_int_equal(rpc_status_of(rows[i].outcome), rows[i].status);
		assert_int_equal(rpc_outcome_of(rows[i].status), rows[i].outcome);
		seen[rows[i].outcome] = true;
	}
	for (int i = 0; i < OUTCOME_N; i++) {
		assert_true(seen[i]);
		assert_int_equal(rpc_outcome_of(rpc_status_of((enum outcome)i)), i);
	}
}

static void test_nameless(void **state)
{
	/* ALREADY_EXISTS, ABORTED, OUT_OF_RANGE, DATA_LOSS, and none at all */
	static const int nameless[] = {6, 10, 11, 15, 17, -1, 999, INT_MIN, INT_MAX};

	for (size_t i = 0; i < sizeof nameless / sizeof nameless[0]; i++)
		assert_int_equal(rpc_outcome_of(nameless[i]), OUTCOME_UNKNOWN);
	assert_int_equal(rpc_status_of(OUTCOME_N), 2);
	assert_int_equal(rpc_status_of((enum outcome)1000), 2);
}

static void names_of_numbers(void **state)
{
	assert_string_equal(rpc_status_name(0), "OK");
	assert_string_equal(rpc_status_name(10), "ABORTED");
	assert_string_equal(rpc_status_name(16), "UNAUTHENTICATED");
	assert_string_equal(rpc_status_name(17), "UNKNOWN");
	assert_string_equal(rpc_status_name(-1), "UNKNOWN");
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
		assert_string_equal(rpc_status_name(rows[i].status), outcome_name(rows[i].outcome));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_both_ways),
		cmocka_unit_test(test_nameless),
		cmocka_unit_test(names_of_numbers),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
