#include "common/base/number.h"
#include "kit/test.h"

static void unsigned_rows(void **state)
{
	static const struct {
		const char *text;
		int r;
		uint64_t value;
	} rows[] = {
		{"0", 0, 0},
		{"007", 0, 7},
		{"18446744073709551615", 0, UINT64_MAX},
		{"18446744073709551616", -ERANGE, 0},
		{"99999999999999999999999", -ERANGE, 0},
		{"99999999999999999999999x", -EINVAL, 0},
		{"", -EINVAL, 0},
		{"-1", -EINVAL, 0},
		{"+1", -EINVAL, 0},
		{" 1", -EINVAL, 0},
		{"1 ", -EINVAL, 0},
		{"0x10", -EINVAL, 0},
	};

	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		uint64_t value = 42;

		assert_int_equal(number_u64(rows[i].text, &value), rows[i].r);
		assert_true(value == (rows[i].r == 0 ? rows[i].value : 42));
	}
}

static void signed_rows(void **state)
{
	static const struct {
		const char *text;
		int r;
		int64_t value;
	} rows[] = {
		{"0", 0, 0},
		{"-0", 0, 0},
		{"-12", 0, -12},
		{"9223372036854775807", 0, INT64_MAX},
		{"9223372036854775808", -ERANGE, 0},
		{"-9223372036854775808", 0, INT64_MIN},
		{"-9223372036854775809", -ERANGE, 0},
		{"--1", -EINVAL, 0},
		{"-", -EINVAL, 0},
		{"", -EINVAL, 0},
	};

	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		int64_t value = 42;

		assert_int_equal(number_i64(rows[i].text, &value), rows[i].r);
		assert_true(value == (rows[i].r == 0 ? rows[i].value : 42));
	}
}

static void double_rows(void **state)
{
	static const struct {
		const char *text;
		int r;
		double value;
	} rows[] = {
		{"0", 0, 0},
		{"-2.5", 0, -2.5},
		{"1e3", 0, 1000},
		{"1e-320", 0, 1e-320},
		{"1e400", -ERANGE, 0},
		{"-1e400", -ERANGE, 0},
		{"inf", -EINVAL, 0},
		{"nan", -EINVAL, 0},
		{"", -EINVAL, 0},
		{" 1", -EINVAL, 0},
		{"1 ", -EINVAL, 0},
		{"1,5", -EINVAL, 0},
	};

	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		double value = 42;

		assert_int_equal(number_double(rows[i].text, &value), rows[i].r);
		assert_true(value == (rows[i].r == 0 ? rows[i].value : 42));
	}
}

static void bytes_rows(void **state)
{
	static const struct {
		const char *text;
		int r;
		uint64_t value;
	} rows[] = {
		{"0", 0, 0},
		{"1023", 0, 1023},
		{"1K", 0, 1024},
		{"64M", 0, UINT64_C(64) << 20},
		{"64MiB", 0, UINT64_C(64) << 20},
		{"2g", 0, UINT64_C(2) << 30},
		{"3TiB", 0, UINT64_C(3) << 40},
		{"16777216T", -ERANGE, 0},
		{"18446744073709551616", -ERANGE, 0},
		{"64MB", -EINVAL, 0},
		{"64 M", -EINVAL, 0},
		{"M", -EINVAL, 0},
		{"-1", -EINVAL, 0},
		{"1.5G", -EINVAL, 0},
		{"1MiBx", -EINVAL, 0},
		{"", -EINVAL, 0},
	};

	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		uint64_t value = 42;

		assert_int_equal(number_bytes(rows[i].text, &value), rows[i].r);
		assert_true(value == (rows[i].r == 0 ? rows[i].value : 42));
	}
}

static void sizes_do_not_wrap(void **state)
{
	size_t out = 42;

	assert_true(size_add(1, 2, &out));
	assert_int_equal(out, 3);
	assert_false(size_add(SIZE_MAX, 1, &out));
	assert_true(size_mul(6, 7, &out));
	assert_int_equal(out, 42);
	assert_false(size_mul(SIZE_MAX / 2, 3, &out));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(unsigned_rows),
		cmocka_unit_test(signed_rows),
		cmocka_unit_test(double_rows),
		cmocka_unit_test(bytes_rows),
		cmocka_unit_test(sizes_do_not_wrap),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
