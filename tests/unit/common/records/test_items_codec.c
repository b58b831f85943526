/*
 * RecordDict against the newest release of the real package: what it writes is decoded and encoded
 * again to the same bytes, as a message's content and as a Context's state.
 */
#include "common/message/value_codec.h"
#include "common/records/items_codec.h"
#include "common/wire/wire.h"
#include "kit/vectors.h"
#include "numbers.h"

static int again(const struct slices *bytes, struct slices *out)
{
	auto_(record_dict_done) struct record_dict dict;
	struct reason why = {0};
	int r = items_decode(bytes, &dict, &why);

	assert_int_equal(items_check(bytes, NULL), r);
	if (r < 0) {
		assert_true(why.text[0] != '\0');
		assert_int_equal(dict.n, 0);
		return r;
	}
	return items_encode(&dict, out);
}

/* The state of a Context is written as it came. */
static void check_context(const struct slices *bytes)
{
	auto_(slices_done) struct slices records = {0}, made = {0};
	struct wire_reader reader;
	struct wire_field field;

	wire_reader_init(&reader, bytes);
	while (wire_next(&reader, &field) > 0) {
		if (field.number == NUMBER_CONTEXT_STATE)
			assert_int_equal(wire_refs(&reader, &field, &records), 0);
	}
	assert_int_equal(again(&records, &made), 0);
	assert_true(slices_equal(&made, &records));
}

static void real_bytes_are_written_again(void **state)
{
	auto_(slices_done) struct slices once = {0};
	struct vectors vectors;
	size_t n = 0;

	vectors_start(&vectors, KIT_NEWEST, FLWR_TEST_DIR "/gen_items.py");
	while (vectors_next(&vectors)) {
		const char *name = vectors.name;

		if (strcmp(name, "dict") == 0 || strcmp(name, "same") == 0) {
			vector_check(again, name, vectors.data, vectors.len);
		} else if (strcmp(name, "context") == 0) {
			check_context(&vectors.bytes);
		} else if (strcmp(name, "twice") == 0) {
			slices_done(&once);
			assert_int_equal(again(&vectors.bytes, &once), 0);
		} else if (strcmp(name, "once") == 0) {
			assert_true(slices_equal(&once, &vectors.bytes));
		} else {
			continue;
		}
		n++;
	}
	assert_true(n > 180);
}

static void what_is_no_record_dict_is_refused(void **state)
{
	static const struct {
		uint8_t bytes[24];
		size_t len;
		const char *why;
	} rows[] = {{{0x0a, 0x03, 0x0a, 0x01, 'k'}, 5, "record dict: a record without a kind"},
		{{0x0a, 0x00}, 2, "record dict: a record without a kind"},
		/* a value without kind */
		{{0x0a, 0x07, 0x22, 0x05, 0x0a, 0x03, 0x0a, 0x01, 'k'}, 9,
			"record dict: broken bytes"},
		/* a metric that is a bool has no kind that a metric can have */
		{{0x0a, 0x08, 0x1a, 0x06, 0x0a, 0x04, 0x12, 0x02, 0x20, 0x01}, 10,
			"record dict: broken bytes"},
		{{0x0a, 0x05, 0x0a, 0x01, 0xff, 0x12, 0x00}, 7, "record dict: broken bytes"},
		{{0x0a, 0x05, 0x0a, 0x01, 0x00, 0x12, 0x00}, 7, "record dict: broken bytes"}};

	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		auto_(slices_done) struct slices list = vector_whole(rows[i].bytes, rows[i].len);
		struct record_dict dict;
		struct reason why = {0};

		assert_int_equal(items_decode(&list, &dict, &why), -EBADMSG);
		assert_int_equal(items_check(&list, NULL), -EBADMSG);
		assert_string_equal(why.text, rows[i].why);
	}
}

static void array_bytes_are_references(void **state)
{
	static const uint8_t payload[100000];
	auto_(record_dict_done) struct record_dict dict = {0}, decoded = {0};
	auto_(slices_done) struct slices bytes = {0};
	struct array *array;
	struct reason why;

	array = record_add_array(record_dict_add(&dict, "r", RECORD_ARRAYS), "w");
	assert_int_equal(slices_append(&array->data, slice_static(payload, sizeof payload)), 0);
	assert_int_equal(items_encode(&dict, &bytes), 0);
	assert_int_equal(items_decode(&bytes, &decoded, &why), 0);
	array = &decoded.v[0].arrays[0];
	assert_int_equal(array->data.bytes, sizeof payload);
	assert_ptr_equal(array->data.v[0].data, payload);
}

static void too_many_entries_are_refused(void **state)
{
	static const uint8_t item[] = {0x0a, 0x02, 0x12, 0x00};
	auto_(slices_done) struct slices list = {0};
	struct record_dict dict;
	struct reason why;

	for (size_t i = 0; i <= RECORD_ENTRIES_MAX; i++)
		assert_int_equal(slices_append(&list, slice_static(item, sizeof item)), 0);
	assert_int_equal(items_decode(&list, &dict, &why), -EBADMSG);
	assert_int_equal(items_check(&list, NULL), -EBADMSG);
	assert_non_null(strstr(why.text, "too large"));
}

/* A config record with one text. */
static void make_config(size_t len, struct slices *out)
{
	auto_(wire_writer_done) struct wire_writer value = {0}, entry = {0}, record = {0},
						   item = {0}, dict = {0};
	auto_(free_at_exit) char *bytes = malloc(len);

	assert_non_null(bytes);
	memset(bytes, 'x', len);
	wire_put_bytes(&value, NUMBER_RECORD_VALUE_STRING, bytes, len);
	wire_put_string(&entry, NUMBER_VALUE_ITEM_KEY, "k");
	wire_put_message(&entry, NUMBER_VALUE_ITEM_VALUE, &value);
	wire_put_message(&record, NUMBER_VALUE_RECORD_ITEMS, &entry);
	wire_put_message(&item, NUMBER_RECORD_ITEM_CONFIG_RECORD, &record);
	wire_put_message(&dict, NUMBER_RECORD_DICT_ITEMS, &item);
	assert_int_equal(wire_writer_take(&dict, out), 0);
}

/* One byte on the wire, eight in memory. */
static void packed_numbers_are_counted(void **state)
{
	const size_t most = 9 * VALUE_PACKED_PER_ENTRY; /* the entry itself is the tenth */

	for (size_t over = 0; over < 2; over++) {
		auto_(wire_writer_done) struct wire_writer list = {0}, value = {0}, entry = {0},
							   whole = {0};
		auto_(slices_done) struct slices bytes = {0};
		struct wire_reader reader;
		struct wire_field field;

		for (size_t i = 0; i < most + over; i++)
			wire_put_raw_varint(&value, 1);
		wire_put_message(&list, NUMBER_UINT_LIST_VALS, &value);
		wire_put_message(&value, NUMBER_RECORD_VALUE_UINT_LIST, &list);
		wire_put_message(&entry, NUMBER_VALUE_ITEM_VALUE, &value);
		wire_put_message(&whole, NUMBER_VALUE_RECORD_ITEMS, &entry);
		assert_int_equal(wire_writer_take(&whole, &bytes), 0);
		wire_reader_init(&reader, &bytes);
		assert_int_equal(wire_next(&reader, &field), 1);
		for (int build = 0; build < 2; build++) {
			auto_(value_map_done) struct value_map map = {0};
			size_t left = 10;

			assert_int_equal(value_entry_decode(&reader, &field, &value_fields_config,
						 &left, build ? &map : NULL),
				over ? -EMSGSIZE : 0);
			assert_int_equal(left, 0);
			assert_int_equal(map.n, build && !over);
		}
	}
}

/* A check reads it in pieces: the character lies across their border in each way once. */
static void long_strings_are_checked_in_pieces(void **state)
{
	static const char character[] = "\xf0\x9f\x8c\xb1";

	for (size_t len = 4090; len < 4100; len++) {
		for (size_t cut = 0; cut <= 4; cut++) {
			auto_(slices_done) struct slices made = {0}, list = {0}, out = {0};
			auto_(free_at_exit) uint8_t *data = malloc(2 * len);
			size_t bytes;

			make_config(len, &made);
			bytes = made.bytes;
			assert_non_null(data);
			assert_int_equal(slices_read(&made, 0, data, bytes), 0);
			memcpy(data + bytes - 4, character, 4);
			memset(data + bytes - cut, 'x', cut);
			list = vector_whole(data, bytes);
			assert_int_equal(again(&list, &out), cut % 4 == 0 ? 0 : -EBADMSG);
		}
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(real_bytes_are_written_again),
		cmocka_unit_test(what_is_no_record_dict_is_refused),
		cmocka_unit_test(array_bytes_are_references),
		cmocka_unit_test(too_many_entries_are_refused),
		cmocka_unit_test(packed_numbers_are_counted),
		cmocka_unit_test(long_strings_are_checked_in_pieces)};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
