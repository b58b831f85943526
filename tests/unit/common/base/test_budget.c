#include "common/base/budget.h"
#include "kit/test.h"

static void reserve_and_release(void **state)
{
	struct budget budget;

	budget_init(&budget, 100);
	assert_int_equal(budget_reserve(&budget, 60), 0);
	assert_int_equal(budget_reserve(&budget, 41), -EDQUOT);
	assert_int_equal(budget_reserve(&budget, UINT64_MAX), -EDQUOT);
	assert_int_equal(budget.used_bytes, 60);
	assert_int_equal(budget_reserve(&budget, 40), 0);
	assert_int_equal(budget_reserve(&budget, 0), 0);
	assert_int_equal(budget_reserve(&budget, 1), -EDQUOT);
	budget_release(&budget, 100);
	assert_int_equal(budget.used_bytes, 0);
	assert_int_equal(budget.peak_bytes, 100);
	assert_int_equal(budget_reserve(&budget, 80), 0);
	budget.limit_bytes = 50; /* lowered later */
	assert_int_equal(budget_reserve(&budget, 1), -EDQUOT);
}

static void peaks_are_noted_anew(void **state)
{
	struct budget budget;

	budget_init(&budget, 100);
	assert_int_equal(budget_reserve(&budget, 80), 0);
	budget_release(&budget, 50);
	budget_peak_reset(&budget);
	/* The budget still counts bytes that are held. */
	assert_int_equal(budget.used_bytes, 30);
	assert_int_equal(budget.peak_bytes, 30);
	assert_int_equal(budget_reserve(&budget, 10), 0);
	budget_release(&budget, 40);
	assert_int_equal(budget.peak_bytes, 40);
	budget_peak_reset(&budget);
	assert_int_equal(budget.peak_bytes, 0);
	assert_int_equal(budget.limit_bytes, 100);
}

static void the_default_is_half_of_what_there_is(void **state)
{
	uint64_t machine = (uint64_t)sysconf(_SC_PHYS_PAGES) * (uint64_t)sysconf(_SC_PAGESIZE);

	assert_true(budget_default_limit() > 1024 * 1024);
	assert_true(budget_default_limit() <= machine / 2);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(reserve_and_release),
		cmocka_unit_test(peaks_are_noted_anew),
		cmocka_unit_test(the_default_is_half_of_what_there_is),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
