/*
 * Record sets against the real package: what it writes is decoded and encoded again to the same
 * bytes.
 */
#include "common/records/maps_codec.h"
#include "common/wire/wire.h"
#include "kit/vectors.h"

static int again(const struct slices *bytes, struct slices *out)
{
	auto_(record_dict_done) struct record_dict dict;
	struct reason why = {0};
	int r = maps_decode(bytes, &dict, &why);

	assert_int_equal(maps_check(bytes, NULL), r);
	if (r < 0) {
		assert_true(why.text[0] != '\0');
		assert_int_equal(dict.n, 0);
		return r;
	}
	return maps_encode(&dict, out);
}

static void real_bytes_are_written_again(void **state)
{
	auto_(slices_done) struct slices unpacked = {0};
	struct vectors vectors;
	size_t n = 0;

	vectors_start(&vectors, KIT_OLDEST, FLWR_TEST_DIR "/gen_records.py");
	for (; vectors_next(&vectors); n++) {
		if (strcmp(vectors.name, "unpacked") == 0) {
			assert_int_equal(again(&vectors.bytes, &unpacked), 0);
			continue;
		}
		vector_check(again, vectors.name, vectors.data, vectors.len);
		if (strcmp(vectors.name, "packed") == 0) {
			assert_true(slices_equal(&unpacked, &vectors.bytes));
			slices_done(&unpacked);
		}
	}
	assert_true(n > 80);
}

static void array_bytes_are_references(void **state)
{
	const size_t size = 100u << 20, piece = 51200;
	auto_(free_at_exit) uint8_t *payload = calloc(1, size);
	auto_(record_dict_done) struct record_dict dict = {0}, decoded = {0};
	auto_(slices_done) struct slices bytes = {0};
	struct array *array;
	struct reason why;

	assert_non_null(payload);
	array = record_add_array(record_dict_add(&dict, "r", RECORD_ARRAYS), "w");
	for (size_t at = 0; at < size; at += piece) {
		size_t part = size - at < piece ? size - at : piece;

		assert_int_equal(slices_append(&array->data, slice_static(payload + at, part)), 0);
	}
	assert_int_equal(maps_encode(&dict, &bytes), 0);
	assert_int_equal(maps_decode(&bytes, &decoded, &why), 0);
	assert_int_equal(decoded.n, 1);
	assert_int_equal(decoded.v[0].n_arrays, 1);
	array = &decoded.v[0].arrays[0];
	assert_int_equal(array->data.bytes, size);
	for (size_t i = 0; i < array->data.n; i++)
		assert_ptr_equal(array->data.v[i].data, payload + i * piece);
}

static void what_is_no_record_set_is_refused(void **state)
{
	static const struct {
		uint8_t bytes[24];
		size_t len;
		const char *why;
	} rows[] = {{{0x0a, 0x05, 0x12, 0x03, 0x0a, 0x01, 'k'}, 7,
			    "record set: 1 array keys but 0 arrays"},
		{{0x0a, 0x04, 0x12, 0x02, 0x12, 0x00}, 6, "record set: 0 array keys but 1 arrays"},
		/* a metric that is a bool has no kind that a metric can have */
		{{0x12, 0x08, 0x12, 0x06, 0x0a, 0x04, 0x12, 0x02, 0x20, 0x01}, 10,
			"record set: broken bytes"},
		{{0x1a, 0x03, 0x0a, 0x01, 0xff}, 5, "record set: broken bytes"}};

	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		auto_(slices_done) struct slices list = vector_whole(rows[i].bytes, rows[i].len);
		struct record_dict dict;
		struct reason why = {0};

		assert_int_equal(maps_decode(&list, &dict, &why), -EBADMSG);
		assert_int_equal(maps_check(&list, NULL), -EBADMSG);
		assert_string_equal(why.text, rows[i].why);
	}
}

/* Two records of one name in one map: the last one counts; in two maps: both do. */
static void equal_names_count_once_in_a_map(void **state)
{
	auto_(record_dict_done) struct record_dict dict = {0}, decoded = {0};
	auto_(slices_done) struct slices bytes = {0};
	struct value value = {.kind = VALUE_SINT, .i = 1};
	struct reason why;

	assert_int_equal(
		value_map_set(&record_dict_add(&dict, "r", RECORD_METRICS)->values, "k", &value),
		0);
	value = (struct value){.kind = VALUE_SINT, .i = 2};
	assert_int_equal(
		value_map_set(&record_dict_add(&dict, "r", RECORD_METRICS)->values, "k", &value),
		0);
	assert_non_null(record_dict_add(&dict, "r", RECORD_CONFIGS));
	assert_int_equal(maps_encode(&dict, &bytes), 0);
	assert_int_equal(maps_decode(&bytes, &decoded, &why), 0);
	assert_int_equal(decoded.n, 2);
	assert_int_equal(decoded.v[0].values.v[0].value.i, 2);
	assert_int_equal(decoded.v[1].kind, RECORD_CONFIGS);
}

static void too_many_entries_are_refused(void **state)
{
	struct slices list = {0};
	struct record_dict dict;
	struct reason why;
	size_t bytes = 2 * (RECORD_ENTRIES_MAX + 1);
	uint8_t *many = malloc(bytes);
	struct slice slice;

	assert_non_null(many);
	for (size_t i = 0; i < bytes; i += 2) {
		many[i] = 0x0a;
		many[i + 1] = 0;
	}
	assert_int_equal(slice_take(many, bytes, &slice), 0);
	assert_int_equal(slices_append(&list, slice), 0);
	assert_int_equal(maps_decode(&list, &dict, &why), -EBADMSG);
	assert_int_equal(maps_check(&list, NULL), -EBADMSG);
	slices_done(&list);
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(real_bytes_are_written_again),
		cmocka_unit_test(array_bytes_are_references),
		cmocka_unit_test(what_is_no_record_set_is_refused),
		cmocka_unit_test(equal_names_count_once_in_a_map),
		cmocka_unit_test(too_many_entries_are_refused)};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
