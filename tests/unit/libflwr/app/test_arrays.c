#include "expect.h"
#include "libflwr/app/dict.h"

#include <flwr/records.h>

#include <pthread.h>

struct rig {
	struct flwr_dict *dict;
	struct flwr_record *arrays, *config;
	int released;
};

static int setup(void **state)
{
	struct rig *rig = calloc(1, sizeof *rig);

	assert_non_null(rig);
	rig->dict = flwr_dict_new();
	rig->arrays = flwr_dict_add(rig->dict, "arrays", FLWR_ARRAYS);
	rig->config = flwr_dict_add(rig->dict, "config", FLWR_CONFIGS);
	*state = rig;
	return 0;
}

static int teardown(void **state)
{
	struct rig *rig = *state;

	flwr_dict_free(rig->dict);
	free(rig);
	return 0;
}

static void release(void *user)
{
	((struct rig *)user)->released++;
}

static const int64_t shape_2x3[] = {2, 3};

static void new_arrays_are_zero_and_aligned(void **state)
{
	struct rig *rig = *state;
	const struct flwr_array *array;
	size_t count = 0;
	float *w;

	flwr_fail("as before");
	w = flwr_new_array(rig->arrays, "w", FLWR_FLOAT32, 2, shape_2x3);
	assert_non_null(w);
	assert_int_equal((uintptr_t)w % 64, 0);
	for (int i = 0; i < 6; i++)
		assert_true(w[i] == 0);
	w[5] = 2.5F;
	assert_ptr_equal(flwr_get_data(rig->arrays, "w", FLWR_FLOAT32, &count), w);
	assert_int_equal(count, 6);
	assert_ptr_equal(flwr_edit_data(rig->arrays, "w", FLWR_FLOAT32, NULL), w);
	array = flwr_get_array(rig->arrays, "w");
	assert_int_equal(array->dtype, FLWR_FLOAT32);
	assert_int_equal(array->flags, FLWR_C_ORDER);
	assert_int_equal(array->ndim, 2);
	assert_int_equal(array->strides[0], 12);
	assert_int_equal(array->size, 24);
	assert_string_equal(array->stype, "numpy.ndarray");
	assert_int_equal(array->raw_size, 128 + 24);
	assert_memory_equal(array->raw, "\x93NUMPY", 6);
	assert_string_equal(flwr_error(), "as before");
	/* Others may be added: it stays. */
	for (int i = 0; i < 100; i++) {
		char key[8];

		snprintf(key, sizeof key, "k%d", i);
		assert_non_null(flwr_new_array(rig->arrays, key, FLWR_BOOL, 0, NULL));
	}
	assert_ptr_equal(flwr_get_array(rig->arrays, "w"), array);
	assert_true(w[5] == 2.5F);
}

static void empty_and_single_arrays(void **state)
{
	struct rig *rig = *state;
	const int64_t empty[] = {0, 4};
	const double one = 1.5;
	size_t count = 9;

	assert_non_null(flwr_new_array(rig->arrays, "e", FLWR_COMPLEX64, 2, empty));
	assert_non_null(flwr_get_data(rig->arrays, "e", FLWR_COMPLEX64, &count));
	assert_int_equal(count, 0);
	assert_non_null(flwr_edit_data(rig->arrays, "e", FLWR_COMPLEX64, &count));
	assert_succeeds(flwr_set_array(rig->arrays, "n", FLWR_INT8, 2, empty, NULL));
	assert_succeeds(flwr_set_array(rig->arrays, "one", FLWR_FLOAT64, 0, NULL, &one));
	assert_true(
		*(const double *)flwr_get_data(rig->arrays, "one", FLWR_FLOAT64, &count) == 1.5);
	assert_int_equal(count, 1);
	assert_int_equal(flwr_get_array(rig->arrays, "one")->ndim, 0);
	assert_succeeds(flwr_set_array_ref(
		rig->arrays, "r", FLWR_INT8, 2, empty, NULL, NULL, release, rig));
	assert_int_equal(rig->released, 1);
	assert_non_null(flwr_get_data(rig->arrays, "r", FLWR_INT8, &count));
}

static void editing_copies_what_is_shared(void **state)
{
	struct rig *rig = *state;
	struct flwr_record *copy = flwr_dict_add(rig->dict, "copy", FLWR_ARRAYS);
	const int32_t data[] = {1, 2, 3, 4, 5, 6};
	const int32_t *before;
	int32_t *mine;

	assert_succeeds(flwr_set_array(rig->arrays, "w", FLWR_INT32, 2, shape_2x3, data));
	assert_succeeds(flwr_record_copy(copy, rig->arrays));
	before = flwr_get_data(rig->arrays, "w", FLWR_INT32, NULL);
	assert_ptr_equal(flwr_get_data(copy, "w", FLWR_INT32, NULL), before);
	mine = flwr_edit_data(copy, "w", FLWR_INT32, NULL);
	assert_ptr_not_equal(mine, before);
	mine[0] = 100;
	assert_int_equal(before[0], 1);
	assert_memory_equal(mine + 1, data + 1, 20);
	assert_ptr_equal(flwr_edit_data(copy, "w", FLWR_INT32, NULL), mine);
	/* The other one is alone again. */
	assert_ptr_equal(flwr_edit_data(rig->arrays, "w", FLWR_INT32, NULL), before);
	assert_int_equal(flwr_get_array(copy, "w")->shape[1], 3);
	assert_string_equal(flwr_record_key(copy, 0), "w");
}

static void references_are_not_copied(void **state)
{
	struct rig *rig = *state;
	struct flwr_record *copy = flwr_dict_add(rig->dict, "copy", FLWR_ARRAYS);
	double data[6] = {1, 2, 3, 4, 5, 6};
	const int64_t fortran[] = {8, 16};
	const double c_order[] = {1, 3, 5, 2, 4, 6};

	assert_succeeds(flwr_set_array_ref(
		rig->arrays, "c", FLWR_FLOAT64, 2, shape_2x3, NULL, data, release, rig));
	assert_succeeds(flwr_set_array_ref(
		rig->arrays, "f", FLWR_FLOAT64, 2, shape_2x3, fortran, data, release, rig));
	assert_ptr_equal(flwr_get_data(rig->arrays, "c", FLWR_FLOAT64, NULL), data);
	assert_null(flwr_get_array(rig->arrays, "c")->raw);
	assert_ptr_equal(flwr_get_array(rig->arrays, "f")->data, data);
	assert_int_equal(flwr_get_array(rig->arrays, "f")->flags, FLWR_F_ORDER);
	assert_memory_equal(
		flwr_get_data(rig->arrays, "f", FLWR_FLOAT64, NULL), c_order, sizeof data);
	assert_succeeds(flwr_record_copy(copy, rig->arrays));
	assert_ptr_equal(flwr_get_data(copy, "c", FLWR_FLOAT64, NULL), data);
	assert_int_equal(rig->released, 0);
	assert_ptr_not_equal(flwr_edit_data(rig->arrays, "c", FLWR_FLOAT64, NULL), data);
	assert_int_equal(rig->released, 0);
	flwr_dict_remove(rig->dict, "copy");
	assert_int_equal(rig->released, 1);
	assert_succeeds(flwr_record_remove(rig->arrays, "f"));
	assert_int_equal(rig->released, 2);
	/* Memory that outlives all has no release(). */
	assert_succeeds(flwr_set_array_ref(
		rig->arrays, "s", FLWR_FLOAT64, 2, shape_2x3, NULL, c_order, NULL, NULL));
	assert_ptr_equal(flwr_get_data(rig->arrays, "s", FLWR_FLOAT64, NULL), c_order);
}

static void strided_references_are_copied_at_once(void **state)
{
	struct rig *rig = *state;
	int16_t data[12] = {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11};
	const int64_t gaps[] = {12, 4}, backwards[] = {-6, -2}, repeated[] = {0, 2},
		      dense_c[] = {6, 2};
	const int16_t with_gaps[] = {0, 2, 4, 6, 8, 10}, from_the_end[] = {5, 4, 3, 2, 1, 0};
	const int16_t repeats[] = {0, 1, 2, 0, 1, 2};

	assert_succeeds(flwr_set_array_ref(
		rig->arrays, "g", FLWR_INT16, 2, shape_2x3, gaps, data, release, rig));
	assert_int_equal(rig->released, 1);
	assert_memory_equal(
		flwr_get_data(rig->arrays, "g", FLWR_INT16, NULL), with_gaps, sizeof with_gaps);
	assert_succeeds(flwr_set_array_ref(
		rig->arrays, "b", FLWR_INT16, 2, shape_2x3, backwards, data + 5, release, rig));
	assert_memory_equal(flwr_get_data(rig->arrays, "b", FLWR_INT16, NULL), from_the_end,
		sizeof from_the_end);
	assert_succeeds(flwr_set_array_ref(
		rig->arrays, "r", FLWR_INT16, 2, shape_2x3, repeated, data, NULL, NULL));
	assert_memory_equal(
		flwr_get_data(rig->arrays, "r", FLWR_INT16, NULL), repeats, sizeof repeats);
	assert_int_equal(rig->released, 2);
	assert_succeeds(flwr_set_array_ref(
		rig->arrays, "c", FLWR_INT16, 2, shape_2x3, dense_c, data, release, rig));
	assert_ptr_equal(flwr_get_data(rig->arrays, "c", FLWR_INT16, NULL), data);
	assert_int_equal(rig->released, 2);
}

static void other_dtypes_are_named(void **state)
{
	struct rig *rig = *state;
	size_t count = 9;

	flwr_new_array(rig->arrays, "w", FLWR_FLOAT64, 2, shape_2x3);
	flwr_set_tensor(rig->arrays, "t", "torch", "xyz", 3);
	assert_null_because(flwr_get_data(rig->arrays, "w", FLWR_FLOAT32, &count),
		"array \"w\" of arrays is float64, not float32");
	assert_int_equal(count, 0);
	assert_null_because(flwr_get_data(rig->arrays, "t", FLWR_FLOAT32, &count),
		"array \"t\" of arrays is a tensor of the form \"torch\", not float32");
	assert_null_because(
		flwr_get_data(rig->arrays, "w", FLWR_OTHER, NULL), "0 is no type of numbers");
	assert_null_because(flwr_get_data(rig->arrays, "x", FLWR_FLOAT32, NULL),
		"arrays has no \"x\"; there is \"w\"");
	assert_null_because(flwr_get_data(rig->config, "x", FLWR_FLOAT32, NULL),
		"config holds configs, not arrays");
	assert_null_because(flwr_get_array(rig->config, "x"), "config holds configs, not arrays");
	assert_null_because(flwr_get_array(rig->arrays, NULL), "the key is NULL");
	assert_null(dict_spoilt(rig->dict));
	flwr_fail("why it is NULL");
	assert_null(flwr_get_data(NULL, "w", FLWR_FLOAT32, &count));
	assert_string_equal(flwr_error(), "why it is NULL");
	assert_null(flwr_get_array(NULL, "w"));
	assert_string_equal(flwr_error(), "why it is NULL");
}

/* Setters that fail spoil the dict, whose sentence is theirs. */
static void expect_spoilt(struct rig *rig, const char *part)
{
	expect_sentence(part, 0);
	assert_non_null(dict_spoilt(rig->dict));
	assert_string_equal(dict_spoilt(rig->dict), flwr_error());
	rig->dict->spoilt[0] = '\0';
	forget_error();
}

static void wrong_arrays_spoil(void **state)
{
	struct rig *rig = *state;
	const int64_t negative[] = {-1}, large[] = {1LL << 31};
	const int64_t strides[] = {100, 7};

	assert_null(flwr_new_array(rig->arrays, "a", FLWR_OTHER, 2, shape_2x3));
	expect_spoilt(rig, "array \"a\" of arrays: 0 is no type of numbers");
	assert_null(flwr_new_array(rig->arrays, "a", FLWR_INT8, 1, NULL));
	expect_spoilt(rig, "its shape is NULL");
	assert_null(flwr_new_array(rig->config, "a", FLWR_INT8, 2, shape_2x3));
	expect_spoilt(rig, "config holds configs, not arrays (\"a\")");
	assert_null(flwr_new_array(rig->arrays, NULL, FLWR_INT8, 2, shape_2x3));
	expect_spoilt(rig, "a key of arrays is NULL");
	assert_int_equal(
		flwr_set_array(rig->arrays, "a", FLWR_INT8, 1, negative, "x"), FLWR_E_RANGE);
	expect_spoilt(rig, "dimension 0 is -1 long");
	assert_int_equal(flwr_set_array(rig->arrays, "a", FLWR_INT8, 1, large, "x"), FLWR_E_RANGE);
	expect_spoilt(rig, "dimension 0 is 2147483648 long");
	assert_int_equal(
		flwr_set_array(rig->arrays, "a", FLWR_INT8, 2, shape_2x3, NULL), FLWR_E_ARGUMENT);
	expect_spoilt(rig, "its data are NULL");
	assert_int_equal(flwr_set_array(rig->arrays, "\xff", FLWR_INT8, 2, shape_2x3, "abcdef"),
		FLWR_E_DATA);
	expect_spoilt(rig, "not UTF-8");
	assert_int_equal(flwr_set_array_ref(rig->arrays, "a", FLWR_INT8, 2, shape_2x3, NULL, NULL,
				 release, rig),
		FLWR_E_ARGUMENT);
	expect_spoilt(rig, "its data are NULL");
	assert_int_equal(flwr_set_array_ref(rig->arrays, "a", FLWR_INT8, 2, shape_2x3, strides,
				 NULL, release, rig),
		FLWR_E_ARGUMENT);
	expect_spoilt(rig, "its data are NULL");
	assert_int_equal(flwr_set_array_ref(
				 rig->arrays, "a", FLWR_INT8, 1, negative, NULL, "x", release, rig),
		FLWR_E_RANGE);
	expect_spoilt(rig, "dimension 0 is -1 long");
	assert_int_equal(flwr_set_array_ref(
				 rig->arrays, "a", FLWR_INT8, 1, NULL, strides, "x", release, rig),
		FLWR_E_ARGUMENT);
	expect_spoilt(rig, "its shape is NULL");
	assert_int_equal(flwr_set_array_ref(rig->arrays, "a", FLWR_OTHER, 2, shape_2x3, strides,
				 "x", release, rig),
		FLWR_E_ARGUMENT);
	expect_spoilt(rig, "is no type of numbers");
	assert_int_equal(flwr_set_array_ref(rig->config, "a", FLWR_INT8, 2, shape_2x3, NULL,
				 "abcdef", release, rig),
		FLWR_E_TYPE);
	expect_spoilt(rig, "config holds configs");
	assert_int_equal(rig->released, 6); /* each time */
	assert_int_equal(flwr_set_tensor(rig->arrays, "a", NULL, "x", 1), FLWR_E_ARGUMENT);
	expect_spoilt(rig, "its stype is no UTF-8 text");
	assert_int_equal(flwr_set_tensor(rig->arrays, "a", "t", NULL, 1), FLWR_E_ARGUMENT);
	expect_spoilt(rig, "its data are NULL");
	assert_int_equal(flwr_set_tensor(rig->arrays, "a", "numpy.ndarray", "x", 1), FLWR_E_DATA);
	expect_spoilt(rig, "it does not begin as a .npy does");
	assert_int_equal(flwr_set_tensor(rig->config, "a", "t", "x", 1), FLWR_E_TYPE);
	expect_spoilt(rig, "config holds configs");
	assert_null(flwr_edit_data(rig->arrays, "a", FLWR_INT8, NULL));
	expect_spoilt(rig, "arrays has no \"a\"; there is none");
	assert_int_equal(flwr_record_count(rig->arrays), 0);

	assert_int_equal(
		flwr_set_array_ref(NULL, "a", FLWR_INT8, 2, shape_2x3, NULL, "x", release, rig),
		FLWR_E_ARGUMENT);
	assert_int_equal(rig->released, 7);
	assert_string_equal(flwr_error(), "the flwr_record is NULL");
	flwr_fail("what made it NULL");
	assert_null(flwr_new_array(NULL, "a", FLWR_INT8, 2, shape_2x3));
	assert_null(flwr_edit_data(NULL, "a", FLWR_INT8, NULL));
	assert_int_equal(flwr_set_tensor(NULL, "a", "t", "x", 1), FLWR_E_ARGUMENT);
	assert_int_equal(flwr_set_array(NULL, "a", FLWR_INT8, 2, shape_2x3, "x"), FLWR_E_ARGUMENT);
	assert_string_equal(flwr_error(), "what made it NULL");
}

static void what_a_failed_setter_replaces_stays(void **state)
{
	struct rig *rig = *state;
	const int64_t negative[] = {-1};
	int8_t *data = flwr_new_array(rig->arrays, "a", FLWR_INT8, 2, shape_2x3);

	assert_null(flwr_new_array(rig->arrays, "a", FLWR_INT8, 1, negative));
	assert_ptr_equal(flwr_get_data(rig->arrays, "a", FLWR_INT8, NULL), data);
	/* An array may be set to what it holds itself. */
	data[5] = 5;
	assert_int_equal(flwr_set_array(rig->arrays, "a", FLWR_INT8, 2, shape_2x3, data), 0);
	assert_int_equal(((const int8_t *)flwr_get_data(rig->arrays, "a", FLWR_INT8, NULL))[5], 5);
	assert_int_equal(flwr_record_count(rig->arrays), 1);
}

static void a_npy_is_set_as_it_is(void **state)
{
	struct rig *rig = *state;
	static const char npy[] =
		"\x93NUMPY\1\0\x3b\0{'descr': '>i2', 'fortran_order': False, 'shape': (2,), }  \0\1\0\2";
	const int16_t *data;
	size_t count;

	assert_succeeds(flwr_set_tensor(rig->arrays, "a", "numpy.ndarray", npy, sizeof npy - 1));
	data = flwr_get_data(rig->arrays, "a", FLWR_INT16, &count);
	assert_int_equal(count, 2);
	assert_true(data[0] == 1 && data[1] == 2);
	assert_true(flwr_get_array(rig->arrays, "a")->flags & FLWR_SWAPPED);
	assert_string_equal(rig->arrays->tensors[0]->sent.dtype, "int16");
	assert_int_equal(rig->arrays->tensors[0]->sent.n_shape, 1);
	assert_succeeds(record_check_numbers(rig->arrays));
}

static void only_numbers_pass_for_numpy_clients(void **state)
{
	struct rig *rig = *state;

	flwr_new_array(rig->arrays, "0", FLWR_INT8, 2, shape_2x3);
	assert_succeeds(record_check_numbers(rig->arrays));
	flwr_set_tensor(rig->arrays, "1", "torch", "x", 1);
	assert_fails(record_check_numbers(rig->arrays), FLWR_E_DATA,
		"array \"1\" of arrays is a tensor of the form \"torch\", not numbers");
}

/* A dict of its own that shares bytes with those of other threads. */
static void *edit_copy(void *arg)
{
	struct flwr_dict *dict = arg;
	struct flwr_record *record = flwr_dict_add(dict, "copy", FLWR_ARRAYS);

	for (int i = 0; i < 100; i++) {
		struct flwr_dict *more = flwr_dict_new();
		struct flwr_record *again = flwr_dict_add(more, "again", FLWR_ARRAYS);
		int32_t *data;

		flwr_record_copy(again, record);
		data = flwr_edit_data(again, "w", FLWR_INT32, NULL);
		data[i % 6] = -1;
		flwr_dict_free(more);
	}
	((int32_t *)flwr_edit_data(record, "w", FLWR_INT32, NULL))[0] = -1;
	flwr_dict_free(dict);
	return NULL;
}

static void threads_share_bytes(void **state)
{
	struct rig *rig = *state;
	const int32_t data[] = {1, 2, 3, 4, 5, 6};
	pthread_t threads[4];

	flwr_set_array(rig->arrays, "w", FLWR_INT32, 2, shape_2x3, data);
	for (size_t i = 0; i < ARRAY_LEN(threads); i++) {
		struct flwr_dict *dict = flwr_dict_new();

		flwr_record_copy(flwr_dict_add(dict, "copy", FLWR_ARRAYS), rig->arrays);
		assert_int_equal(pthread_create(&threads[i], NULL, edit_copy, dict), 0);
	}
	for (size_t i = 0; i < ARRAY_LEN(threads); i++)
		assert_int_equal(pthread_join(threads[i], NULL), 0);
	assert_memory_equal(flwr_get_data(rig->arrays, "w", FLWR_INT32, NULL), data, sizeof data);
}

/* Memory of the dict's own, as a host gives it. */
struct room {
	_Alignas(64) uint8_t bytes[4096];
	size_t used;
	struct slice_owner owner;
};

static void room_release(struct slice_owner *owner)
{
	(void)owner;
}

static int take_room(void *arg, size_t bytes, struct slice *out)
{
	struct room *room = arg;

	if (bytes > sizeof room->bytes - room->used)
		return -ENOSPC;
	*out = (struct slice){.data = room->bytes + room->used,
		.len = bytes,
		.owner = slice_ref((struct slice){.owner = &room->owner}).owner};
	room->used += (bytes + 63) / 64 * 64;
	return 0;
}

static bool in_room(const struct room *room, const void *data)
{
	return (const uint8_t *)data >= room->bytes &&
	       (const uint8_t *)data < room->bytes + sizeof room->bytes;
}

static void arrays_lie_where_the_dict_says(void **state)
{
	static struct room room;
	struct rig *rig = *state;
	struct flwr_record *copy = flwr_dict_add(rig->dict, "copy", FLWR_ARRAYS);
	const int64_t too_many[] = {4000};
	int8_t data[6] = {0};

	slice_owner_init(&room.owner, room_release);
	flwr_set_array(rig->arrays, "before", FLWR_INT8, 2, shape_2x3, data);
	dict_set_memory(rig->dict, take_room, &room);
	assert_true(in_room(&room, flwr_new_array(rig->arrays, "n", FLWR_INT8, 2, shape_2x3)));
	flwr_set_array(rig->arrays, "s", FLWR_INT8, 2, shape_2x3, data);
	assert_true(in_room(&room, flwr_get_array(rig->arrays, "s")->raw));
	assert_false(in_room(&room, flwr_get_data(rig->arrays, "before", FLWR_INT8, NULL)));
	flwr_record_copy(copy, rig->arrays);
	assert_true(in_room(&room, flwr_edit_data(copy, "before", FLWR_INT8, NULL)));
	assert_null_because(flwr_new_array(rig->arrays, "m", FLWR_INT8, 1, too_many),
		"no memory for 4128 bytes");
	assert_string_equal(dict_spoilt(rig->dict), flwr_error());
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(new_arrays_are_zero_and_aligned, setup, teardown),
		cmocka_unit_test_setup_teardown(empty_and_single_arrays, setup, teardown),
		cmocka_unit_test_setup_teardown(editing_copies_what_is_shared, setup, teardown),
		cmocka_unit_test_setup_teardown(references_are_not_copied, setup, teardown),
		cmocka_unit_test_setup_teardown(
			strided_references_are_copied_at_once, setup, teardown),
		cmocka_unit_test_setup_teardown(other_dtypes_are_named, setup, teardown),
		cmocka_unit_test_setup_teardown(wrong_arrays_spoil, setup, teardown),
		cmocka_unit_test_setup_teardown(
			what_a_failed_setter_replaces_stays, setup, teardown),
		cmocka_unit_test_setup_teardown(a_npy_is_set_as_it_is, setup, teardown),
		cmocka_unit_test_setup_teardown(
			only_numbers_pass_for_numpy_clients, setup, teardown),
		cmocka_unit_test_setup_teardown(threads_share_bytes, setup, teardown),
		cmocka_unit_test_setup_teardown(arrays_lie_where_the_dict_says, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
