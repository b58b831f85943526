/*
 * The messages of the legacy stream and their records, against Flower's own client.
 */
#include "common/records/bidi_records.h"
#include "common/records/maps_codec.h"
#include "kit/vectors.h"

#include <errno.h>

static int to_records(const struct slices *bytes, struct slices *out)
{
	auto_(record_dict_done) struct record_dict dict = {0};
	struct reason why = {0};
	enum bidi_kind kind, seen;
	int64_t seconds;
	int r = bidi_records_decode(bytes, &kind, &dict, &why);

	if (r == -EBADMSG || r == -EMSGSIZE) {
		assert_true(why.text[0] != '\0');
		return r;
	}
	assert_int_equal(r, 0);
	assert_int_equal(bidi_look(bytes, &seen, &seconds), 0);
	assert_int_equal(seen, kind);
	return maps_encode(&dict, out);
}

static int only_decode(const struct slices *bytes)
{
	auto_(slices_done) struct slices out = {0};

	return to_records(bytes, &out);
}

static enum bidi_kind kind_of(const char *name)
{
	const char *type = strchr(name, '_');

	for (unsigned i = BIDI_RECONNECT; type && i < BIDI_N; i++)
		if (strcmp(type + 1, bidi_message_type((enum bidi_kind)i)) == 0)
			return (enum bidi_kind)i;
	fail_msg("no kind: %s", name);
	return BIDI_NONE;
}

static void to_message(const char *name, const struct slices *records, struct slices *out)
{
	auto_(record_dict_done) struct record_dict dict = {0};
	struct reason why = {0};

	assert_int_equal(maps_decode(records, &dict, &why), 0);
	if (bidi_records_encode(kind_of(name), &dict, out, &why) < 0)
		fail_msg("%s: %s", name, why.text);
}

/* The records that Flower makes of the same. */
static void next_is(struct vectors *vectors, const struct slices *made)
{
	assert_true(vectors_next(vectors));
	if (!slices_equal(made, &vectors->bytes))
		fail_msg("not as Flower has it: %s", vectors->name);
}

static void as_flower_reads_and_makes_them(void **state)
{
	struct vectors vectors;
	size_t n = 0;

	vectors_start(&vectors, KIT_OLDEST, FLWR_TEST_DIR "/gen_bidi.py");
	for (; vectors_next(&vectors); n++) {
		auto_(slices_done) struct slices made = {0};

		if (strcmp(vectors.name, "ins") == 0) {
			auto_(slices_done) struct slices cut = {0};
			struct slices pieces = vector_cut(vectors.data, vectors.len, 20);

			assert_int_equal(to_records(&vectors.bytes, &made), 0);
			assert_int_equal(to_records(&pieces, &cut), 0);
			assert_true(slices_equal(&cut, &made));
			slices_done(&pieces);
			vector_abuse(only_decode, vectors.data, vectors.len);
		} else {
			to_message(vectors.name, &vectors.bytes, &made);
		}
		next_is(&vectors, &made);
	}
	assert_int_equal(n, 7 * 8 + 6);
}

static void tensors_are_references(void **state)
{
	/* fit_ins.parameters.tensors, of 512 bytes; then its tensor_type "x" follows. */
	static const uint8_t head[] = {0x22, 0x89, 0x04, 0x0a, 0x86, 0x04, 0x0a, 0x80, 0x04};
	static uint8_t tensor[512];
	auto_(slices_done) struct slices bytes = {0};
	auto_(record_dict_done) struct record_dict dict = {0};
	enum bidi_kind kind;

	assert_int_equal(slices_append(&bytes, slice_static(head, sizeof head)), 0);
	assert_int_equal(slices_append(&bytes, slice_static(tensor, sizeof tensor)), 0);
	assert_int_equal(slices_append(&bytes, slice_static("\x12\x01x", 3)), 0);
	assert_int_equal(bidi_records_decode(&bytes, &kind, &dict, NULL), 0);
	assert_int_equal(kind, BIDI_TRAIN);
	assert_string_equal(dict.v[0].name, "fitins.parameters");
	assert_ptr_equal(dict.v[0].arrays[0].data.v[0].data, tensor);
	assert_string_equal(dict.v[0].arrays[0].stype, "x");
}

static void refused_instructions(void **state)
{
	static const struct {
		const char *bytes;
		size_t len;
		int r;
	} rows[] = {{"", 0, -EBADMSG},         /* nothing */
		{"\x32\x00", 2, -EBADMSG},     /* nothing that is known */
		{"\x22\x05\x0a", 3, -EBADMSG}, /* cut off */
		/* a value without kind, a key that is no UTF-8 */
		{"\x12\x07\x0a\x05\x0a\x01k\x12\x00", 9, -EBADMSG},
		{"\x12\x09\x0a\x07\x0a\x01\xff\x12\x02\x68\x01", 11, -EBADMSG}};

	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		auto_(slices_done) struct slices bytes = vector_whole(rows[i].bytes, rows[i].len);

		assert_int_equal(only_decode(&bytes), rows[i].r);
	}
}

/* A reply without one of its records, and with one that is not as it should be. */
static void refused_replies(void **state)
{
	struct vectors vectors;
	size_t n = 0;

	vectors_start(&vectors, KIT_OLDEST, FLWR_TEST_DIR "/gen_bidi.py");
	while (vectors_next(&vectors)) {
		auto_(record_dict_done) struct record_dict dict = {0};
		struct reason why = {0};

		if (strncmp(vectors.name, "reply_", 6) != 0)
			continue;
		assert_int_equal(maps_decode(&vectors.bytes, &dict, &why), 0);
		for (size_t i = 0; i < dict.n; i++) {
			auto_(slices_done) struct slices out = {0};
			struct record *record = &dict.v[i];
			char first = record->name[0];

			record->name[0] = '?';
			why.text[0] = '\0';
			assert_int_equal(
				bidi_records_encode(kind_of(vectors.name), &dict, &out, &why),
				-EINVAL);
			assert_int_equal(out.bytes, 0);
			assert_true(why.text[0] != '\0');
			record->name[0] = first;
			if (record->kind == RECORD_ARRAYS || record->values.n == 0)
				continue;
			for (size_t k = 0; k < record->values.n; k++) {
				struct value *value = &record->values.v[k].value;
				enum value_kind kind = value->kind;

				value->kind = VALUE_BOOL_LIST;
				assert_int_equal(bidi_records_encode(
							 kind_of(vectors.name), &dict, &out, &why),
					-EINVAL);
				value->kind = kind;
				n++;
			}
		}
	}
	assert_true(n > 50);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(as_flower_reads_and_makes_them),
		cmocka_unit_test(tensors_are_references),
		cmocka_unit_test(refused_instructions),
		cmocka_unit_test(refused_replies),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
