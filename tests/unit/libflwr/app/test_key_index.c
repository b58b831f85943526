#include "kit/test.h"
#include "libflwr/app/key_index.h"

#define N 3000

static const char *at(const void *owner, size_t i)
{
	const char(*keys)[24] = owner;

	return keys[i];
}

static void name(char keys[][24], size_t n)
{
	for (size_t i = 0; i < n; i++)
		snprintf(keys[i], sizeof keys[i], "k%zu", i);
}

static void finds_each_key_while_they_grow(void **state)
{
	static char keys[N][24];
	struct key_index index = {0};
	struct keys list = {.owner = keys, .at = at};

	name(keys, N);
	for (size_t n = 0; n < N; n++) {
		list.n = n;
		assert_int_equal(key_index_find(&index, &list, keys[n]), KEY_NOT_FOUND);
		list.n = n + 1;
		assert_int_equal(key_index_find(&index, &list, keys[n]), n);
		assert_int_equal(key_index_find(&index, &list, keys[n / 2]), n / 2);
	}
	key_index_done(&index);
	list.n = N;
	assert_int_equal(key_index_find(&index, &list, "k2999"), 2999);
	key_index_done(&index);
}

static void forgets_keys_that_have_moved(void **state)
{
	static char keys[N][24];
	struct key_index index = {0};
	struct keys list = {.owner = keys, .n = N, .at = at};

	name(keys, N);
	assert_int_equal(key_index_find(&index, &list, "k100"), 100);
	memmove(keys, keys + 1, (N - 1) * sizeof keys[0]);
	key_index_clear(&index);
	list.n = N - 1;
	assert_int_equal(key_index_find(&index, &list, "k100"), 99);
	assert_int_equal(key_index_find(&index, &list, "k0"), KEY_NOT_FOUND);
	key_index_done(&index);
	key_index_clear(&index);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(finds_each_key_while_they_grow),
		cmocka_unit_test(forgets_keys_that_have_moved),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
