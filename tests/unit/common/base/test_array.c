#include "common/base/array.h"
#include "kit/test.h"

static void room_is_made_by_doubling(void **state)
{
	auto_(free_at_exit) uint32_t *v = NULL;
	size_t cap = 0;

	for (uint32_t i = 0; i < 1000; i++) {
		assert_int_equal(array_reserve(&v, &cap, i, 1, sizeof *v), 0);
		v[i] = i;
	}
	assert_int_equal(cap, 1024);
	assert_int_equal(array_reserve(&v, &cap, 1000, 1050, sizeof *v), 0);
	assert_int_equal(cap, 4096);
	for (uint32_t i = 0; i < 1000; i++)
		assert_int_equal(v[i], i);
}

static void an_array_grows_without_a_capacity(void **state)
{
	auto_(free_at_exit) uint64_t *v = NULL;

	for (uint64_t i = 0; i < 1000; i++) {
		assert_int_equal(array_grow(&v, i, sizeof *v), 0);
		v[i] = i;
	}
	for (uint64_t i = 0; i < 1000; i++)
		assert_int_equal(v[i], i);
}

static void sizes_that_wrap_are_refused(void **state)
{
	auto_(free_at_exit) uint64_t *v = NULL;
	size_t cap = 0;

	assert_int_equal(array_reserve(&v, &cap, 1, SIZE_MAX, sizeof *v), -ENOMEM);
	assert_int_equal(array_reserve(&v, &cap, 0, SIZE_MAX, sizeof *v), -ENOMEM);
	assert_int_equal(array_reserve(&v, &cap, 0, SIZE_MAX / 4, sizeof *v), -ENOMEM);
	assert_int_equal(array_grow(&v, SIZE_MAX / 2 + 1, sizeof *v), -ENOMEM);
	assert_null(v);
	assert_int_equal(cap, 0);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(room_is_made_by_doubling),
		cmocka_unit_test(an_array_grows_without_a_capacity),
		cmocka_unit_test(sizes_that_wrap_are_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
