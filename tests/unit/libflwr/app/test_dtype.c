#include "kit/test.h"
#include "libflwr/app/dtype.h"

static void every_type_has_a_row(void **state)
{
	for (int i = FLWR_BOOL; i <= FLWR_CLONGDOUBLE; i++) {
		const struct dtype *row = dtype_row((enum flwr_dtype)i);

		assert_true(row->size > 0 && row->size <= DTYPE_SIZE_MAX);
		assert_true(row->size % row->part == 0 && row->part % row->align == 0);
		assert_int_equal(flwr_dtype_size((enum flwr_dtype)i), row->size);
		assert_string_equal(flwr_dtype_name((enum flwr_dtype)i), row->name);
	}
	assert_int_equal(flwr_dtype_size(FLWR_OTHER), 0);
	assert_string_equal(flwr_dtype_name(FLWR_OTHER), "other");
	assert_string_equal(flwr_dtype_name((enum flwr_dtype)17), "other");
	assert_int_equal(flwr_dtype_size((enum flwr_dtype) - 1), 0);
	assert_int_equal(flwr_dtype_size(FLWR_FLOAT16), 2);
	assert_int_equal(flwr_dtype_size(FLWR_CLONGDOUBLE), 2 * sizeof(long double));
}

static void types_are_found_by_their_text(void **state)
{
	const bool little = __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__;
	bool swapped;

	for (int i = FLWR_BOOL; i <= FLWR_CLONGDOUBLE; i++) {
		const struct dtype *row = dtype_row((enum flwr_dtype)i);
		char text[8];

		for (const char *order = "<>=|"; *order; order++) {
			snprintf(text, sizeof text, "%c%s", *order, row->code);
			if (sizeof(long double) > 8)
				assert_int_equal(dtype_of(text, &swapped), i);
			assert_int_equal(swapped, row->part > 1 && *order == (little ? '>' : '<'));
		}
		if (sizeof(long double) > 8)
			assert_int_equal(dtype_of(row->code, &swapped), i);
		assert_false(swapped);
	}
}

static void other_texts_are_other_types(void **state)
{
	static const char *const texts[] = {"", "<", "<U5", "|S3", "<M8[ns]", "|V2", "|O", "<f3",
		"<f44", "f", "<<f4", "<i16", "<c4", "float32", ">f17"};
	bool swapped = true;

	for (size_t i = 0; i < ARRAY_LEN(texts); i++) {
		assert_int_equal(dtype_of(texts[i], &swapped), FLWR_OTHER);
		assert_false(swapped);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_type_has_a_row),
		cmocka_unit_test(types_are_found_by_their_text),
		cmocka_unit_test(other_texts_are_other_types),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
