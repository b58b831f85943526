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

static void an_array_grows_by_several_elements(void **state)
{
	static const struct {
		size_t n, room;
	} cases[] = {{0, 0}, {1, 1}, {2, 2}, {3, 4}, {4, 4}, {5, 8}, {1000, 1024}};
	auto_(free_at_exit) uint64_t *v = NULL;
	size_t n = 0;

	for (size_t i = 0; i < ARRAY_LEN(cases); i++)
		assert_int_equal(array_room(cases[i].n), cases[i].room);
	assert_int_equal(array_grow_by(&v, 0, 0, sizeof *v), 0);
	assert_null(v);
	for (size_t more = 1; more < 50; more++) {
		assert_int_equal(array_grow_by(&v, n, more, sizeof *v), 0);
		for (size_t i = n; i < n + more; i++)
			v[i] = i;
		n += more;
		/* One more by the other function. */
		assert_int_equal(array_grow(&v, n, sizeof *v), 0);
		v[n] = n;
		n++;
	}
	for (size_t i = 0; i < n; i++)
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
	assert_int_equal(array_grow_by(&v, 1, SIZE_MAX, sizeof *v), -ENOMEM);
	assert_int_equal(array_grow_by(&v, 0, SIZE_MAX / 4, sizeof *v), -ENOMEM);
	assert_null(v);
	assert_int_equal(cap, 0);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(room_is_made_by_doubling),
		cmocka_unit_test(an_array_grows_without_a_capacity),
		cmocka_unit_test(an_array_grows_by_several_elements),
		cmocka_unit_test(sizes_that_wrap_are_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
