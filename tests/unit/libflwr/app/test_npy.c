#include "kit/test.h"
#include "libflwr/app/npy.h"

/* A .npy with this head, of format major.minor; elements are zeros. */
static struct slices npy_of(int major, int minor, const char *literal, size_t elements)
{
	const size_t len = strlen(literal);
	const size_t prefix = major == 1 ? 10 : 12;
	uint8_t *bytes = calloc(1, prefix + len + elements);
	struct slices list = {0};
	struct slice slice;

	assert_non_null(bytes);
	memcpy(bytes, "\x93NUMPY", 6);
	bytes[6] = (uint8_t)major;
	bytes[7] = (uint8_t)minor;
	bytes[8] = (uint8_t)len;
	bytes[9] = (uint8_t)(len >> 8);
	memcpy(bytes + prefix, literal, len);
	assert_int_equal(slice_take(bytes, prefix + len + elements, &slice), 0);
	assert_int_equal(slices_append(&list, slice), 0);
	return list;
}

static int read_literal(const char *literal, size_t elements, struct npy *out, struct reason *why)
{
	auto_(slices_done) struct slices bytes = npy_of(1, 0, literal, elements);

	return npy_read(&bytes, out, NULL, why);
}

static void heads_are_read(void **state)
{
	static const struct {
		const char *literal;
		enum flwr_dtype dtype;
		bool fortran;
		size_t ndim, count;
	} rows[] = {
		{"{'descr': '<f4', 'fortran_order': False, 'shape': (2, 3), }", FLWR_FLOAT32, false,
			2, 6},
		{"{'descr':'<f4','fortran_order':True,'shape':(2,3)}\n", FLWR_FLOAT32, true, 2, 6},
		{"{\"shape\": (), \"fortran_order\": False, \"descr\": \"|u1\"}   \n", FLWR_UINT8,
			false, 0, 1},
		{"{'descr': '|b1', 'fortran_order': False, 'shape': (5L,), }", FLWR_BOOL, false, 1,
			5},
		{"{ 'descr' : '<c8' , 'fortran_order' : False , 'shape' : ( 0 , 7 , ) , }",
			FLWR_COMPLEX64, false, 2, 0},
		{"{'descr': '<U5', 'fortran_order': False, 'shape': (9,), }", FLWR_OTHER, false, 1,
			9},
		{"{'descr': [('a', '<f4'), ('O', '<i8', (2, 3))], 'fortran_order': False, 'shape': (9,), }",
			FLWR_OTHER, false, 1, 9},
		{"{'descr': '|V2', 'fortran_order': False, 'shape': (2147483647, 2147483647), }",
			FLWR_OTHER, false, 2, 4611686014132420609},
	};

	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct reason why = {0};
		struct npy npy;

		if (read_literal(rows[i].literal, 64, &npy, &why) != 0)
			fail_msg("%s: %s", rows[i].literal, why.text);
		assert_int_equal(npy.dtype, rows[i].dtype);
		assert_int_equal(npy.fortran, rows[i].fortran);
		assert_int_equal(npy.ndim, rows[i].ndim);
		assert_int_equal(npy.count, rows[i].count);
		assert_int_equal(npy.head_bytes, 10 + strlen(rows[i].literal));
	}
}

static void broken_heads_are_refused(void **state)
{
	static const struct {
		const char *literal, *why;
	} rows[] = {
		{"", "no dict"},
		{"[]", "no dict"},
		{"{}", "does not say all"},
		{"{'descr': '<f4'}", "does not say all"},
		{"{'descr': '<f4', 'fortran_order': False, 'shape': (2,), 'more': 1}",
			"another key"},
		{"{'descr': '<f4', 'descr': '<f4', 'fortran_order': False, 'shape': (2,)}",
			"another key"},
		{"{'descr': '<f4', 'fortran_order': False, 'shape': (2,)", "no end"},
		{"{'descr': '<f4', 'fortran_order': False, 'shape': (2,)} x", "does not say all"},
		{"{'descr': '<f4' 'fortran_order': False}", "no end"},
		{"{'descr' '<f4'}", "no dict"},
		{"{'descr': '<f4}", "no text after"},
		{"{'descr': 4}", "no text after"},
		{"{'descr': [('a', '<f4')", "without an end"},
		{"{'descr': [('a", "without an end"},
		{"{'descr': '|O', 'fortran_order': False, 'shape': (2,)}", "never unpickled"},
		{"{'descr': 'O'", "never unpickled"},
		{"{'fortran_order': 0}", "neither True nor False"},
		{"{'shape': [2]}", "no tuple"},
		{"{'shape': (2)}", "is no tuple"},
		{"{'shape': (2 3)}", "is no tuple"},
		{"{'shape': (-1,)}", "a length that is none"},
		{"{'shape': (99999999999999999999,)}", "a length that is none"},
		{"{'shape': (2.5,)}", "is no tuple"},
		{"{'shape': (0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,)}",
			"more than 64"},
		{"{'descr': '<f4', 'fortran_order': False, 'shape': (2147483648,)}",
			"not 0 to 2147483647"},
		{"{'descr': '<f4', 'fortran_order': False, 'shape': (2147483647, 2147483647, 2147483647)}",
			"larger than any memory"},
		{"{'descr': '<f4', 'fortran_order': False, 'shape': (0, 2147483647, 2147483647, 2147483647)}",
			"larger than any memory"},
		{"{'descr': '<f4', 'fortran_order': False, 'shape': (17,)}",
			"has 64 bytes of elements, and should have 68"},
	};

	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct reason why = {0};
		struct npy npy;

		assert_int_equal(read_literal(rows[i].literal, 64, &npy, &why), -EBADMSG);
		if (!strstr(why.text, rows[i].why))
			fail_msg("%s: %s", rows[i].literal, why.text);
	}
}

static void all_formats_are_known(void **state)
{
	static const char literal[] = "{'descr': '>i2', 'fortran_order': False, 'shape': (2,), }";
	struct reason why = {0};
	struct npy npy;

	for (int major = 0; major <= 4; major++) {
		for (int minor = 0; minor <= 1; minor++) {
			auto_(slices_done) struct slices bytes = npy_of(major, minor, literal, 4);
			const bool known = major >= 1 && major <= 3 && minor == 0;

			assert_int_equal(npy_read(&bytes, &npy, NULL, &why), known ? 0 : -EBADMSG);
			if (known)
				assert_true(npy.swapped && npy.dtype == FLWR_INT16);
			else
				assert_non_null(strstr(why.text, "which is not known"));
		}
	}
}

/* Bytes that are cut anywhere are read no further than they go. */
static void cut_bytes_are_refused(void **state)
{
	static const char literal[] = "{'descr': '<f4', 'fortran_order': False, 'shape': (2,), }";

	for (int major = 1; major <= 2; major++) {
		auto_(slices_done) struct slices whole = npy_of(major, 0, literal, 8);

		for (size_t n = 0; n < whole.bytes; n++) {
			auto_(free_at_exit) void *copy = malloc(n + 1);
			struct slices cut = {0};
			struct reason why = {0};
			struct slice slice;
			struct npy npy;

			assert_non_null(copy);
			memcpy(copy, whole.v[0].data, n);
			assert_int_equal(slice_copy(copy, n, &slice), 0);
			assert_int_equal(slices_append(&cut, slice), 0);
			assert_int_equal(npy_read(&cut, &npy, NULL, &why), -EBADMSG);
			assert_true(why.text[0]);
			slices_done(&cut);
		}
	}
}

static void heads_have_a_limit_and_no_nul(void **state)
{
	auto_(slices_done) struct slices bytes = npy_of(2, 0, "{'descr'", 0);
	auto_(slices_done) struct slices nul = npy_of(1, 0, "{'descr': ", 0);
	struct reason why = {0};
	struct npy npy;

	((uint8_t *)(uintptr_t)bytes.v[0].data)[10] = 2;
	assert_int_equal(npy_read(&bytes, &npy, NULL, &why), -EBADMSG);
	assert_non_null(strstr(why.text, "more than 65536"));
	((uint8_t *)(uintptr_t)nul.v[0].data)[12] = 0;
	assert_int_equal(npy_read(&nul, &npy, NULL, &why), -EBADMSG);
}

static void the_text_of_a_type_is_given(void **state)
{
	static const struct {
		const char *literal, *descr;
	} rows[] = {
		{"{'descr': '<M8[ns]', 'fortran_order': False, 'shape': (1,)}", "<M8[ns]"},
		{"{'descr': [('a', '<f4')], 'fortran_order': False, 'shape': (1,)}",
			"[('a', '<f4')]"},
	};

	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		auto_(slices_done) struct slices bytes = npy_of(1, 0, rows[i].literal, 8);
		auto_(text_done) struct text descr = {0};
		struct npy npy;

		assert_int_equal(npy_read(&bytes, &npy, &descr, NULL), 0);
		assert_string_equal(descr.data, rows[i].descr);
	}
}

/* tests/system/test_library_arrays.py shows that it is NumPy's own head, byte for byte. */
static void heads_that_are_written_are_read(void **state)
{
	struct npy npy = {.ndim = 3, .shape = {4, 0, 2147483647}}, again;

	for (int dtype = FLWR_BOOL; dtype <= FLWR_COMPLEX128; dtype++) {
		for (int fortran = 0; fortran < 2; fortran++) {
			auto_(text_done) struct text head = {0};
			auto_(slices_done) struct slices bytes = {0};

			if (dtype == FLWR_LONGDOUBLE && sizeof(long double) == 8)
				continue;
			npy.dtype = (enum flwr_dtype)dtype;
			npy.fortran = fortran;
			assert_int_equal(npy_write(&head, &npy), 0);
			assert_int_equal(head.len % NPY_ALIGN, 0);
			assert_int_equal(slices_append_copy(&bytes, head.data, head.len), 0);
			assert_int_equal(npy_read(&bytes, &again, NULL, NULL), 0);
			assert_int_equal(again.dtype, dtype);
			assert_int_equal(again.fortran, fortran);
			assert_int_equal(again.ndim, 3);
			assert_memory_equal(again.shape, npy.shape, 3 * sizeof npy.shape[0]);
			assert_int_equal(again.head_bytes, head.len);
			assert_false(again.swapped);
		}
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(heads_are_read),
		cmocka_unit_test(broken_heads_are_refused),
		cmocka_unit_test(all_formats_are_known),
		cmocka_unit_test(cut_bytes_are_refused),
		cmocka_unit_test(heads_have_a_limit_and_no_nul),
		cmocka_unit_test(the_text_of_a_type_is_given),
		cmocka_unit_test(heads_that_are_written_are_read),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
