#include "common/base/value.h"
#include "kit/test.h"

static struct value bytes_value(enum value_kind kind, const char *text)
{
	struct value value;

	assert_int_equal(value_set_bytes(&value, kind, text, strlen(text)), 0);
	return value;
}

static void *memory_of(const void *data, size_t len)
{
	void *memory = malloc(len);

	assert_non_null(memory);
	memcpy(memory, data, len);
	return memory;
}

static struct value_bytes *strings_of(const char *first, const char *second)
{
	struct value_bytes *list = calloc(2, sizeof *list);

	assert_non_null(list);
	list[0] = (struct value_bytes){.data = strdup(first), .len = strlen(first)};
	list[1] = (struct value_bytes){.data = strdup(second), .len = strlen(second)};
	return list;
}

/* A value of each kind; variant 1 differs from variant 0. */
static struct value make(enum value_kind kind, int variant)
{
	double d[] = {1.5, -0.0 + variant};
	int64_t i[] = {INT64_MIN, variant};
	uint64_t u[] = {UINT64_MAX, (uint64_t)variant};
	bool b[] = {true, variant};

	switch (kind) {
	case VALUE_DOUBLE:
		return (struct value){.kind = kind, .d = d[1]};
	case VALUE_SINT:
		return (struct value){.kind = kind, .i = i[1]};
	case VALUE_UINT:
		return (struct value){.kind = kind, .u = u[1]};
	case VALUE_BOOL:
		return (struct value){.kind = kind, .b = variant};
	case VALUE_STRING:
	case VALUE_BYTES:
		return bytes_value(kind, variant ? "b" : "");
	case VALUE_DOUBLE_LIST:
		return (struct value){.kind = kind, .n = 2, .ds = memory_of(d, sizeof d)};
	case VALUE_SINT_LIST:
		return (struct value){.kind = kind, .n = 2, .is = memory_of(i, sizeof i)};
	case VALUE_UINT_LIST:
		return (struct value){.kind = kind, .n = 2, .us = memory_of(u, sizeof u)};
	case VALUE_BOOL_LIST:
		return (struct value){.kind = kind, .n = 2, .bs = memory_of(b, sizeof b)};
	case VALUE_STRING_LIST:
	case VALUE_BYTES_LIST:
		return (struct value){
			.kind = kind, .n = 2, .ss = strings_of("a", variant ? "x" : "y")};
	case VALUE_NONE:
	case VALUE_N:
		break;
	}
	return (struct value){0};
}

static void every_kind_is_copied_and_compared(void **state)
{
	for (int kind = VALUE_NONE; kind < VALUE_N; kind++) {
		struct value a = make((enum value_kind)kind, 0);
		struct value b = make((enum value_kind)kind, 1);
		struct value copy;

		assert_int_equal(value_copy(&a, &copy), 0);
		assert_true(value_equal(&a, &copy));
		assert_int_equal(value_equal(&a, &b), kind == VALUE_NONE);
		value_done(&a);
		assert_int_equal(a.kind, VALUE_NONE);
		value_done(&a);
		value_done(&b);
		value_done(&copy);
	}
}

static void kinds_are_never_equal(void **state)
{
	struct value sint = {.kind = VALUE_SINT, .i = 5};
	struct value uint = {.kind = VALUE_UINT, .u = 5};
	struct value plus = {.kind = VALUE_DOUBLE, .d = 0.0};
	struct value minus = {.kind = VALUE_DOUBLE, .d = -0.0};
	struct value empty = {.kind = VALUE_STRING_LIST};
	struct value copy;

	assert_false(value_equal(&sint, &uint));
	assert_false(value_equal(&plus, &minus));
	assert_int_equal(value_copy(&empty, &copy), 0);
	assert_true(value_equal(&empty, &copy));
	assert_null(copy.ss);
}

static void a_map_keeps_its_order(void **state)
{
	struct value_map map = {0}, copy = {0};
	struct value value;
	char key[16];

	for (int i = 0; i < 100; i++) {
		snprintf(key, sizeof key, "k%d", i);
		value = (struct value){.kind = VALUE_SINT, .i = i};
		assert_int_equal(value_map_set(&map, key, &value), 0);
		assert_int_equal(value.kind, VALUE_NONE);
	}
	value = bytes_value(VALUE_STRING, "old");
	assert_int_equal(value_map_set(&map, "k7", &value), 0);
	value = bytes_value(VALUE_STRING, "new");
	assert_int_equal(value_map_set(&map, "k7", &value), 0);
	assert_int_equal(map.n, 100);
	assert_string_equal(map.v[7].key, "k7");
	assert_string_equal(value_map_get(&map, "k7")->s.data, "new");
	assert_null(value_map_get(&map, "k100"));
	assert_int_equal(value_map_copy(&map, &copy), 0);
	assert_true(value_map_equal(&map, &copy));
	value_map_done(&map);
	assert_int_equal(map.n, 0);
	value_map_done(&copy);
}

static void maps_are_equal_in_any_order(void **state)
{
	static const char *const orders[] = {"abc", "cab", "abb", "ab", "abd"};
	struct value_map maps[ARRAY_LEN(orders)] = {0};

	for (size_t i = 0; i < ARRAY_LEN(orders); i++) {
		for (const char *key = orders[i]; *key; key++) {
			struct value value = {.kind = VALUE_SINT, .i = *key};

			assert_int_equal(value_map_append(&maps[i], key, 1, &value), 0);
		}
	}
	assert_true(value_map_equal(&maps[0], &maps[1]));
	for (size_t i = 2; i < ARRAY_LEN(orders); i++) {
		assert_false(value_map_equal(&maps[0], &maps[i]));
		assert_false(value_map_equal(&maps[i], &maps[0]));
	}
	for (size_t i = 0; i < ARRAY_LEN(orders); i++)
		value_map_done(&maps[i]);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_kind_is_copied_and_compared),
		cmocka_unit_test(kinds_are_never_equal),
		cmocka_unit_test(a_map_keeps_its_order),
		cmocka_unit_test(maps_are_equal_in_any_order),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
