#include "expect.h"
#include "libflwr/app/dict.h"

#include <flwr/records.h>

static void add_array(struct record *record, const char *key, const char *stype, const char *bytes)
{
	struct array *array = record_add_array(record, key);

	assert_non_null(array);
	free(array->stype);
	free(array->dtype);
	array->stype = strdup(stype);
	array->dtype = strdup("float32");
	array->shape = calloc(1, sizeof *array->shape);
	array->shape[0] = 3;
	array->n_shape = 1;
	assert_int_equal(slices_append_copy(&array->data, bytes, strlen(bytes)), 0);
	assert_int_equal(slices_append_copy(&array->data, "more", 4), 0);
}

static void fill(struct record_dict *records)
{
	struct record *record = record_dict_add(records, "arrays", RECORD_ARRAYS);
	struct value value = {.kind = VALUE_SINT, .i = 5};

	add_array(record, "w", "numpy.ndarray", "no .npy");
	add_array(record, "t", "torch", "tensor");
	record = record_dict_add(records, "metrics", RECORD_METRICS);
	assert_int_equal(value_map_set(&record->values, "n", &value), 0);
	record = record_dict_add(records, "config", RECORD_CONFIGS);
	value = (struct value){.kind = VALUE_BOOL, .b = true};
	assert_int_equal(value_map_set(&record->values, "b", &value), 0);
}

static void records_pass_through_untouched(void **state)
{
	struct flwr_dict *dict = flwr_dict_new();
	struct record_dict in = {0}, out = {0};
	const uint8_t *bytes;
	int64_t n = 0;

	fill(&in);
	bytes = in.v[0].arrays[0].data.v[0].data;
	assert_succeeds(dict_take_records(dict, &in));
	assert_int_equal(in.n, 0);
	assert_int_equal(flwr_dict_count(dict), 3);
	assert_int_equal(flwr_record_kind(flwr_dict_at(dict, 0)), FLWR_ARRAYS);
	assert_int_equal(flwr_record_kind(flwr_dict_at(dict, 1)), FLWR_METRICS);
	assert_int_equal(flwr_record_kind(flwr_dict_at(dict, 2)), FLWR_CONFIGS);
	assert_succeeds(flwr_get_int(flwr_dict_get(dict, "metrics"), "n", &n));
	assert_int_equal(n, 5);

	assert_succeeds(dict_give_records(dict, &out));
	flwr_dict_free(dict);
	assert_int_equal(out.n, 3);
	assert_string_equal(out.v[0].name, "arrays");
	assert_int_equal(out.v[0].kind, RECORD_ARRAYS);
	assert_string_equal(out.v[0].arrays[1].key, "t");
	assert_string_equal(out.v[0].arrays[1].stype, "torch");
	assert_string_equal(out.v[0].arrays[0].dtype, "float32");
	assert_int_equal(out.v[0].arrays[0].n_shape, 1);
	assert_int_equal(out.v[0].arrays[0].shape[0], 3);
	assert_int_equal(
		out.v[0].arrays[0].data.n, 2); /* nobody has looked: the pieces are as they came */
	assert_ptr_equal(out.v[0].arrays[0].data.v[0].data, bytes);
	assert_int_equal(out.v[1].kind, RECORD_METRICS);
	assert_true(value_map_get(&out.v[2].values, "b")->b);
	record_dict_done(&out);
}

static void broken_arrays_are_found_when_they_are_read(void **state)
{
	struct flwr_dict *dict = flwr_dict_new();
	struct record_dict in = {0};

	fill(&in);
	assert_int_equal(dict_take_records(dict, &in), 0);
	assert_null_because(flwr_get_array(flwr_dict_get(dict, "arrays"), "w"),
		"array \"w\" of arrays: it does not begin as a .npy does");
	assert_fails(record_check_numbers(flwr_dict_get(dict, "arrays")), FLWR_E_DATA,
		"it does not begin as a .npy does");
	assert_memory_equal(
		flwr_get_array(flwr_dict_get(dict, "arrays"), "t")->raw, "tensormore", 10);
	assert_null(dict_spoilt(dict));
	flwr_dict_free(dict);
}

static void new_arrays_are_npy_in_one_piece(void **state)
{
	struct flwr_dict *dict = flwr_dict_new();
	struct flwr_record *arrays = flwr_dict_add(dict, "arrays", FLWR_ARRAYS);
	const int64_t shape[] = {2, 2};
	const float lent[] = {1, 2, 3, 4};
	struct record_dict out = {0};
	struct array *array;

	flwr_new_array(arrays, "n", FLWR_LONGDOUBLE, 2, shape);
	flwr_set_array_ref(arrays, "r", FLWR_FLOAT32, 2, shape, NULL, lent, NULL, NULL);
	assert_succeeds(dict_give_records(dict, &out));
	array = out.v[0].arrays;
	assert_string_equal(array[0].stype, "numpy.ndarray");
	assert_string_equal(array[0].dtype, flwr_dtype_name(FLWR_LONGDOUBLE));
	assert_int_equal(array[0].n_shape, 2);
	assert_int_equal(array[0].shape[1], 2);
	assert_int_equal(array[0].data.n, 1);
	assert_int_equal(array[0].data.bytes, 128 + 4 * sizeof(long double));
	assert_int_equal(array[1].data.n, 2);
	assert_ptr_equal(array[1].data.v[1].data, lent);
	assert_int_equal(array[1].data.v[0].len, 128);
	record_dict_done(&out);
	flwr_dict_free(dict);
}

static void references_in_fortran_order_say_so(void **state)
{
	struct flwr_dict *dict = flwr_dict_new();
	struct flwr_record *arrays = flwr_dict_add(dict, "arrays", FLWR_ARRAYS);
	const int64_t shape[] = {2, 3}, strides[] = {4, 8};
	const float lent[] = {11, 21, 12, 22, 13, 23}, c_order[] = {11, 12, 13, 21, 22, 23};
	struct record_dict out = {0};
	struct npy npy;

	assert_succeeds(
		flwr_set_array_ref(arrays, "f", FLWR_FLOAT32, 2, shape, strides, lent, NULL, NULL));
	assert_succeeds(dict_give_records(dict, &out));
	assert_int_equal(npy_read(&out.v[0].arrays[0].data, &npy, NULL, NULL), 0);
	assert_true(npy.fortran);
	assert_ptr_equal(out.v[0].arrays[0].data.v[1].data, lent);
	flwr_dict_clear(dict);
	assert_succeeds(dict_take_records(dict, &out));
	assert_memory_equal(flwr_get_data(flwr_dict_get(dict, "arrays"), "f", FLWR_FLOAT32, NULL),
		c_order, sizeof lent);
	flwr_dict_free(dict);
}

static void spoilt_dicts_give_nothing(void **state)
{
	struct flwr_dict *dict = flwr_dict_new();
	struct record_dict out = {0};

	flwr_set_bool(flwr_dict_add(dict, "m", FLWR_METRICS), "b", true);
	assert_fails(dict_give_records(dict, &out), -EINVAL, "it cannot hold a bool");
	assert_int_equal(out.n, 0);
	flwr_dict_free(dict);
}

static void values_are_moved_and_copied(void **state)
{
	struct flwr_dict *dict = flwr_dict_new();
	struct flwr_record *config = flwr_dict_add(dict, "node_config", FLWR_CONFIGS);
	struct value value = {.kind = VALUE_DOUBLE, .d = 0.5};
	struct value_map map = {0}, out = {0};
	double d = 0;

	assert_int_equal(value_map_set(&map, "lr", &value), 0);
	flwr_set_int(config, "old", 1);
	assert_succeeds(record_take_values(config, &map));
	assert_int_equal(map.n, 0);
	assert_int_equal(flwr_record_count(config), 1);
	assert_succeeds(flwr_get_double(config, "lr", &d));
	assert_true(d == 0.5);
	assert_succeeds(record_give_values(config, &out));
	assert_int_equal(out.n, 1);
	assert_true(value_map_get(&out, "lr")->d == 0.5);
	value_map_done(&out);
	flwr_dict_free(dict);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(records_pass_through_untouched),
		cmocka_unit_test(broken_arrays_are_found_when_they_are_read),
		cmocka_unit_test(new_arrays_are_npy_in_one_piece),
		cmocka_unit_test(references_in_fortran_order_say_so),
		cmocka_unit_test(spoilt_dicts_give_nothing),
		cmocka_unit_test(values_are_moved_and_copied),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
