#include "kit/test.h"
#include "libflwr/app/tensor.h"

/* One byte after the other: an element that is moved or swapped is seen. */
static uint8_t *counted(size_t n)
{
	uint8_t *bytes = malloc(n ? n : 1);

	assert_non_null(bytes);
	for (size_t i = 0; i < n; i++)
		bytes[i] = (uint8_t)(i * 7 + i / 256);
	return bytes;
}

/* A tensor that came with a message: head and elements, cut into pieces of piece bytes. */
static struct tensor *received(const char *literal, const void *elements, size_t n, size_t piece)
{
	const size_t len = strlen(literal);
	struct array array = {
		.key = strdup("a"), .stype = strdup("numpy.ndarray"), .dtype = strdup("")};
	auto_(free_at_exit) uint8_t *bytes = calloc(1, 128 + n);
	struct tensor *tensor;

	assert_true(bytes && len < 117);
	memcpy(bytes, "\x93NUMPY\1\0v", 10);
	bytes[9] = 0;
	memset(bytes + 10, ' ', 118);
	memcpy(bytes + 10, literal, len);
	memcpy(bytes + 128, elements, n);
	for (size_t at = 0; at < 128 + n; at += piece)
		assert_int_equal(slices_append_copy(&array.data, bytes + at,
					 at + piece < 128 + n ? piece : 128 + n - at),
			0);
	tensor = tensor_take(&array);
	assert_non_null(tensor);
	return tensor;
}

static void pieces_are_joined_once(void **state)
{
	auto_(free_at_exit) uint8_t *bytes = counted(96);
	struct tensor *tensor = received(
		"{'descr': '<f8', 'fortran_order': False, 'shape': (4, 3), }", bytes, 96, 50);
	const void *data;

	assert_int_equal(tensor->sent.data.n, 5);
	assert_int_equal(tensor_read(tensor, NULL), 0);
	assert_int_equal(tensor->sent.data.n, 1);
	assert_true(tensor_is_plain(tensor));
	data = tensor_data(tensor);
	assert_ptr_equal(data, tensor->view.data);
	assert_memory_equal(data, bytes, 96);
	assert_int_equal(tensor->view.raw_size, 224);
	assert_int_equal(tensor->view.size, 96);
	assert_int_equal(tensor->view.strides[0], 24);
	assert_int_equal(tensor->view.strides[1], 8);
	assert_int_equal((uintptr_t)data % 64, 0);
	tensor_free(tensor);
}

static void bytes_behind_the_elements_are_let_be(void **state)
{
	auto_(free_at_exit) uint8_t *bytes = counted(100);
	struct tensor *tensor = received(
		"{'descr': '<f8', 'fortran_order': False, 'shape': (4, 3), }", bytes, 100, 500);

	assert_int_equal(tensor_read(tensor, NULL), 0);
	assert_int_equal(tensor->view.size, 96);
	assert_int_equal(tensor->view.raw_size, 228);
	tensor_free(tensor);
}

static void fortran_order_is_converted_once(void **state)
{
	const int16_t fortran[] = {11, 21, 12, 22, 13, 23}, c[] = {11, 12, 13, 21, 22, 23};
	struct tensor *tensor =
		received("{'descr': '<i2', 'fortran_order': True, 'shape': (2, 3), }", fortran,
			sizeof fortran, 500);
	const void *data;

	assert_int_equal(tensor_read(tensor, NULL), 0);
	assert_int_equal(tensor->view.flags & (FLWR_C_ORDER | FLWR_F_ORDER), FLWR_F_ORDER);
	assert_int_equal(tensor->view.strides[0], 2);
	assert_int_equal(tensor->view.strides[1], 4);
	assert_false(tensor_is_plain(tensor));
	data = tensor_data(tensor);
	assert_ptr_equal(tensor_data(tensor), data);
	assert_memory_equal(data, c, sizeof c);
	tensor_free(tensor);
}

static void order_without_meaning_is_both(void **state)
{
	static const char *const shapes[] = {"()", "(1,)", "(6,)", "(1, 6, 1)", "(0, 7)"};
	auto_(free_at_exit) uint8_t *bytes = counted(24);

	for (size_t i = 0; i < ARRAY_LEN(shapes); i++) {
		char literal[100];
		struct tensor *tensor;

		snprintf(literal, sizeof literal,
			"{'descr': '<i4', 'fortran_order': %s, 'shape': %s, }",
			i % 2 ? "True" : "False", shapes[i]);
		tensor = received(literal, bytes, 24, 500);
		assert_int_equal(tensor_read(tensor, NULL), 0);
		assert_int_equal(tensor->view.flags & (FLWR_C_ORDER | FLWR_F_ORDER),
			FLWR_C_ORDER | FLWR_F_ORDER);
		assert_non_null(tensor_data(tensor));
		tensor_free(tensor);
	}
}

static void bools_become_bools(void **state)
{
	const uint8_t odd[] = {0, 1, 2, 255}, even[] = {0, 1, 1, 1};
	struct tensor *tensor =
		received("{'descr': '|b1', 'fortran_order': False, 'shape': (4,), }", odd, 4, 500);
	const bool *data;

	assert_int_equal(tensor_read(tensor, NULL), 0);
	data = tensor_data(tensor);
	assert_ptr_not_equal(data, tensor->view.data);
	assert_memory_equal(data, even, 4);
	tensor_free(tensor);
	tensor =
		received("{'descr': '|b1', 'fortran_order': False, 'shape': (4,), }", even, 4, 500);
	assert_int_equal(tensor_read(tensor, NULL), 0);
	assert_ptr_equal(tensor_data(tensor), tensor->view.data);
	tensor_free(tensor);
}

static void other_tensors_are_raw(void **state)
{
	struct array array = {.key = strdup("a"),
		.stype = strdup("torch"),
		.dtype = strdup("x"),
		.shape = calloc(2, sizeof(int32_t)),
		.n_shape = 2};
	struct tensor *tensor, *empty;

	array.shape[0] = 2;
	array.shape[1] = 3;
	assert_int_equal(slices_append_copy(&array.data, "by", 2), 0);
	assert_int_equal(slices_append_copy(&array.data, "tes", 3), 0);
	tensor = tensor_take(&array);
	assert_int_equal(tensor_read(tensor, NULL), 0);
	assert_int_equal(tensor->view.dtype, FLWR_OTHER);
	assert_null(tensor->view.data);
	assert_null(tensor->view.strides);
	assert_int_equal(tensor->view.ndim, 2);
	assert_int_equal(tensor->view.shape[1], 3);
	assert_string_equal(tensor->view.stype, "torch");
	assert_int_equal(tensor->view.raw_size, 5);
	assert_memory_equal(tensor->view.raw, "bytes", 5);
	tensor_free(tensor);
	empty = tensor_new("e", "mine", "");
	assert_int_equal(tensor_read(empty, NULL), 0);
	assert_int_equal(empty->view.raw_size, 0);
	assert_non_null(empty->view.raw);
	tensor_free(empty);
	tensor_free(NULL);
}

static void copies_share_bytes_until_one_is_alone(void **state)
{
	const int64_t lengths[] = {4, 2};
	const struct tensor_shape shape = {FLWR_INT32, 2, lengths, false};
	const struct tensor_memory memory = {NULL, NULL};
	struct tensor *tensor, *copy;

	assert_int_equal(tensor_make("a", &shape, &memory, &tensor, NULL), 0);
	assert_true(tensor_is_own(tensor));
	copy = tensor_copy(tensor);
	assert_ptr_equal(copy->view.data, tensor->view.data);
	assert_ptr_not_equal(copy->view.shape, tensor->view.shape);
	assert_memory_equal(copy->view.strides, tensor->view.strides, 16);
	assert_false(tensor_is_own(tensor) || tensor_is_own(copy));
	tensor_free(tensor);
	assert_true(tensor_is_own(copy));
	assert_int_equal(copy->view.shape[0], 4);
	assert_int_equal(copy->sent.shape[0], 4);
	tensor_free(copy);
}

static void shapes_that_cannot_be_are_refused(void **state)
{
	static const int64_t negative[] = {2, -1}, large[] = {1LL << 31},
			     huge[] = {INT32_MAX, INT32_MAX, INT32_MAX};
	static int64_t many[65];
	const struct tensor_memory memory = {NULL, NULL};
	const struct {
		struct tensor_shape shape;
		int result;
		const char *why;
	} rows[] = {
		{{FLWR_OTHER, 1, large, false}, -EINVAL, "0 is no type of numbers"},
		{{(enum flwr_dtype)17, 1, large, false}, -EINVAL, "17 is no type of numbers"},
		{{FLWR_INT8, 1, NULL, false}, -EINVAL, "its shape is NULL"},
		{{FLWR_INT8, 2, negative, false}, -ERANGE, "dimension 1 is -1 long"},
		{{FLWR_INT8, 1, large, false}, -ERANGE, "dimension 0 is 2147483648 long"},
		{{FLWR_INT8, 3, huge, false}, -ERANGE, "larger than any memory"},
		{{FLWR_INT8, 65, many, false}, -ERANGE, "65 dimensions, more than 64"},
		{{FLWR_COMPLEX128, 2, huge, false}, -ERANGE, "larger than any memory"},
		{{FLWR_INT8, 2, huge, false}, -ENOMEM, "no memory for 46116860"},
	};

	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct slice nothing = {0};
		struct reason why = {0};
		struct tensor *tensor;

#ifdef __SANITIZE_ADDRESS__ /* it ends the program when somebody asks for that much */
		if (rows[i].result == -ENOMEM)
			continue;
#endif
		assert_int_equal(
			tensor_make("a", &rows[i].shape, &memory, &tensor, &why), rows[i].result);
		if (!strstr(why.text, rows[i].why))
			fail_msg("row %zu: %s", i, why.text);
		if (rows[i].result == -ENOMEM)
			continue;
		assert_int_equal(
			tensor_refer("a", &rows[i].shape, nothing, &tensor, &why), rows[i].result);
	}
}

/* Every place of a three-dimensional array, by any strides. */
static void elements_are_gathered(void **state)
{
	static const int64_t lengths[] = {2, 3, 4};
	const int64_t strides[][3] = {{96, 32, 8}, {8, 16, 48}, {-96, 32, -8}, {0, 8, 0}};
	auto_(free_at_exit) uint8_t *bytes = counted(400);

	for (size_t size = 1; size <= 8; size *= 2) {
		const enum flwr_dtype dtypes[] = {
			0, FLWR_INT8, FLWR_INT16, 0, FLWR_INT32, 0, 0, 0, FLWR_INT64};

		for (size_t s = 0; s < ARRAY_LEN(strides); s++) {
			struct flwr_array from = {.dtype = dtypes[size],
				.ndim = 3,
				.shape = lengths,
				.strides = strides[s],
				.data = bytes + 200,
				.count = 24};
			uint8_t out[192], *at = out;

			tensor_gather(&from, out);
			for (int64_t i = 0; i < 2; i++) {
				for (int64_t j = 0; j < 3; j++) {
					for (int64_t k = 0; k < 4; k++, at += size)
						assert_memory_equal(at,
							bytes + 200 + i * strides[s][0] +
								j * strides[s][1] +
								k * strides[s][2],
							size);
				}
			}
		}
	}
}

static int too_little(void *arg, size_t bytes, struct slice *out)
{
	*(size_t *)arg = bytes;
	return -ENOSPC;
}

static void memory_may_be_refused(void **state)
{
	const int64_t ten = 10;
	const struct tensor_shape shape = {FLWR_INT64, 1, &ten, false};
	size_t wanted = 0;
	const struct tensor_memory memory = {too_little, &wanted};
	struct reason why = {0};
	struct tensor *tensor;

	assert_int_equal(tensor_make("a", &shape, &memory, &tensor, &why), -ENOMEM);
	assert_int_equal(wanted, 128 + 80);
	assert_string_equal(why.text, "no memory for 208 bytes");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(pieces_are_joined_once),
		cmocka_unit_test(bytes_behind_the_elements_are_let_be),
		cmocka_unit_test(fortran_order_is_converted_once),
		cmocka_unit_test(order_without_meaning_is_both),
		cmocka_unit_test(bools_become_bools),
		cmocka_unit_test(other_tensors_are_raw),
		cmocka_unit_test(copies_share_bytes_until_one_is_alone),
		cmocka_unit_test(shapes_that_cannot_be_are_refused),
		cmocka_unit_test(elements_are_gathered),
		cmocka_unit_test(memory_may_be_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
