/*
 * The wire format, field by field, over lists cut anywhere.
 */
#include "common/wire/wire.h"
#include "kit/vectors.h"

static struct slices build(void)
{
	auto_(slices_done) struct slices large = {0};
	struct wire_writer writer = {0}, inner = {0};
	struct slices list = {0};
	uint8_t bytes[1000];

	memset(bytes, 'L', sizeof bytes);
	large = vector_whole(bytes, sizeof bytes);
	wire_put_varint(&inner, 1, UINT64_MAX);
	wire_put_refs(&inner, 2, &large);
	wire_put_sint(&writer, 1, INT64_MIN);
	wire_put_double(&writer, 2, -0.5);
	wire_put_message(&writer, 3, &inner);
	wire_put_string(&writer, 536870911, "end");
	assert_int_equal(wire_writer_take(&writer, &list), 0);
	return list;
}

static void check(const struct slices *list)
{
	auto_(slices_done) struct slices refs = {0};
	auto_(free_at_exit) char *text = NULL;
	struct wire_reader reader, inner;
	struct wire_field field;

	wire_reader_init(&reader, list);
	assert_int_equal(wire_next(&reader, &field), 1);
	assert_true(wire_zigzag(field.number_value) == INT64_MIN);
	assert_int_equal(wire_next(&reader, &field), 1);
	assert_true(wire_double(field.number_value) == -0.5);
	assert_int_equal(wire_next(&reader, &field), 1);
	assert_int_equal(field.type, WIRE_BYTES);
	wire_reader_enter(&inner, &reader, &field);
	assert_int_equal(wire_next(&reader, &field), 1);
	assert_int_equal(field.number, 536870911);
	assert_int_equal(wire_string(&reader, &field, 2, &text), -EMSGSIZE);
	assert_int_equal(wire_string(&reader, &field, 3, &text), 0);
	assert_string_equal(text, "end");
	assert_int_equal(wire_next(&reader, &field), 0);
	assert_int_equal(wire_next(&inner, &field), 1);
	assert_true(field.number_value == UINT64_MAX);
	assert_int_equal(wire_next(&inner, &field), 1);
	assert_int_equal(wire_refs(&inner, &field, &refs), 0);
	assert_int_equal(refs.bytes, 1000);
	assert_int_equal(wire_next(&inner, &field), 0);
}

static void test_round(void **state)
{
	auto_(slices_done) struct slices list = build();
	struct slice flat;

	check(&list);
	assert_int_equal(slices_flatten(&list, &flat), 0);
	for (size_t most = 1; most < 40; most++) {
		auto_(slices_done) struct slices cut = vector_cut(flat.data, flat.len, most);

		check(&cut);
	}
	slice_unref(&flat);
}

static void test_broken(void **state)
{
	static const struct {
		uint8_t bytes[16];
		size_t len;
	} rows[] = {{{0x08}, 1},        /* no value */
		{{0x0a, 0x02, 'a'}, 3}, /* too short */
		{{0x0a, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01}, 11},
		{{0x08, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01}, 12},
		{{0x0b}, 1}, {{0x0c}, 1}, {{0x0e}, 1}, {{0x0f}, 1}, /* groups and no types */
		{{0x00, 0x00}, 2},                                  /* field 0 */
		{{0xf8, 0xff, 0xff, 0xff, 0x1f, 0x00}, 6},          /* number above 32 bits */
		{{0x09, 1, 2, 3, 4, 5, 6, 7}, 8}, {{0x0d, 1, 2, 3}, 4}};

	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		auto_(slices_done) struct slices list = vector_whole(rows[i].bytes, rows[i].len);
		struct wire_reader reader;
		struct wire_field field;

		wire_reader_init(&reader, &list);
		assert_int_equal(wire_next(&reader, &field), -EBADMSG);
	}
}

/* Fields of one byte, as many as a peer likes: they cost about their bytes. */
static void test_small_pieces(void **state)
{
	enum { PIECES = 100000 };
	auto_(slices_done) struct slices refs = {0}, others = {0};
	auto_(slices_done) struct slices list = {0};
	struct wire_writer writer = {0};
	struct wire_reader reader;
	struct wire_field field;
	uint8_t large[1000];
	struct slice flat;

	memset(large, 'L', sizeof large);
	for (unsigned i = 0; i < PIECES; i++)
		wire_put_bytes(&writer, 2, &(uint8_t){(uint8_t)(i * 7)}, 1);
	wire_put_bytes(&writer, 2, large, sizeof large);
	wire_put_bytes(&writer, 2, "end", 3);
	assert_int_equal(wire_writer_take(&writer, &list), 0);
	wire_reader_init(&reader, &list);
	for (unsigned i = 0; i < PIECES + 2; i++) {
		assert_int_equal(wire_next(&reader, &field), 1);
		assert_int_equal(wire_refs(&reader, &field, &refs), 0);
		/* The owner of a reference sees the bytes as they were when it was taken. */
		if (i == PIECES / 2)
			assert_int_equal(slices_append_refs(&others, &refs), 0);
	}
	assert_int_equal(refs.bytes, PIECES + sizeof large + 3);
	assert_true(refs.n < PIECES / 1000);
	assert_int_equal(slices_flatten(&refs, &flat), 0);
	for (unsigned i = 0; i < PIECES; i++)
		assert_int_equal(flat.data[i], (uint8_t)(i * 7));
	assert_memory_equal(flat.data + PIECES, large, sizeof large);
	assert_memory_equal(flat.data + PIECES + sizeof large, "end", 3);
	slice_unref(&flat);
	assert_int_equal(others.bytes, PIECES / 2 + 1);
	assert_int_equal(slices_flatten(&others, &flat), 0);
	assert_int_equal(flat.data[PIECES / 2], (uint8_t)(PIECES / 2 * 7));
	slice_unref(&flat);
}

/* Of a message that breaks off what is there of the field is given. */
static void test_cut(void **state)
{
	static const uint8_t bytes[] = {0x12, 8, 'a', 'b', 'c'};

	for (size_t len = 0; len <= sizeof bytes; len++) {
		auto_(slices_done) struct slices list = {0}, out = {0}, strict = {0};
		int r;

		assert_int_equal(slices_append_copy(&list, bytes, len), 0);
		assert_int_equal(wire_first_bytes(&list, 2, &strict), -EBADMSG);
		r = wire_first_bytes_cut(&list, 2, &out);
		assert_int_equal(r, len < 2 ? -EBADMSG : 0);
		assert_int_equal(out.bytes, len < 2 ? 0 : len - 2);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(test_round),
		cmocka_unit_test(test_broken), cmocka_unit_test(test_small_pieces),
		cmocka_unit_test(test_cut)};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
