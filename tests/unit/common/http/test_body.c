/*
 * What is sent comes out in order wherever it is cut; what is received is all there, in blocks that
 * are not much larger than it is.
 */
#include "common/http/body.h"
#include "kit/test.h"

static void add(struct slices *list, const char *text)
{
	assert_int_equal(slices_append_copy(list, text, strlen(text)), 0);
}

static void a_body_is_read_out_in_any_pieces(void **state)
{
	struct http_source source = {0};
	char buffer[32];

	add(&source.body, "abc");
	add(&source.body, "d");
	add(&source.body, "efgh");
	for (size_t step = 1; step < 10; step++) {
		char all[32] = "";
		size_t n, total = 0;

		assert_int_equal(http_source_seek(&source, 0), 0);
		while ((n = http_source_read(&source, buffer, step))) {
			memcpy(all + total, buffer, n);
			total += n;
			assert_int_equal(source.sent, total);
		}
		assert_string_equal(all, "abcdefgh");
	}
	for (size_t from = 0; from <= 8; from++) {
		assert_int_equal(http_source_seek(&source, from), 0);
		assert_int_equal(http_source_read(&source, buffer, sizeof buffer), 8 - from);
		assert_memory_equal(buffer, "abcdefgh" + from, 8 - from);
		assert_int_equal(source.sent, 8);
	}
	assert_int_equal(http_source_seek(&source, 9), -EINVAL);
	slices_done(&source.body);
}

/* total bytes, so many at a time, of which expected are announced. */
static void collect(size_t total, size_t at_once, uint64_t expected)
{
	struct http_sink sink = {.max_bytes = total, .expected = expected};
	uint8_t *bytes = malloc(total + 1);
	struct slices out = {0};
	struct slice flat;

	assert_non_null(bytes);
	for (size_t i = 0; i < total; i++)
		bytes[i] = (uint8_t)(i * 31 >> 3);
	for (size_t at = 0; at < total; at += at_once)
		assert_int_equal(http_sink_add(&sink, bytes + at,
					 total - at < at_once ? total - at : at_once),
			0);
	assert_int_equal(http_sink_bytes(&sink), total);
	assert_int_equal(http_sink_add(&sink, bytes, 1), -EMSGSIZE);
	assert_int_equal(http_sink_take(&sink, &out), 0);
	assert_int_equal(out.bytes, total);
	assert_int_equal(http_sink_bytes(&sink), 0);
	assert_int_equal(slices_flatten(&out, &flat), 0);
	assert_memory_equal(flat.data ? flat.data : bytes, bytes, total);
	slice_unref(&flat);
	slices_done(&out);
	free(bytes);
}

static void an_answer_is_taken_in_as_it_comes(void **state)
{
	static const size_t totals[] = {0, 1, 4096, 4097, 100000, 3 << 20};
	static const size_t steps[] = {1000, 4096, 16384, 5 << 20};

	for (size_t i = 0; i < sizeof totals / sizeof totals[0]; i++) {
		for (size_t k = 0; k < sizeof steps / sizeof steps[0]; k++) {
			collect(totals[i], steps[k], 0);
			collect(totals[i], steps[k], totals[i]);
			/* Who announces something else is believed nothing. */
			collect(totals[i], steps[k], 10);
			collect(totals[i], steps[k], (uint64_t)1 << 40);
		}
	}
}

static void a_sink_is_bounded_and_may_be_dropped(void **state)
{
	struct http_sink sink = {.max_bytes = 10};

	assert_int_equal(http_sink_add(&sink, "abc", 3), 0);
	http_sink_done(&sink);
	assert_int_equal(http_sink_bytes(&sink), 0);
	assert_int_equal(http_sink_add(&sink, "0123456789", 10), 0);
	assert_int_equal(http_sink_add(&sink, "0123456789", SIZE_MAX), -EMSGSIZE);
	http_sink_done(&sink);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_body_is_read_out_in_any_pieces),
		cmocka_unit_test(an_answer_is_taken_in_as_it_comes),
		cmocka_unit_test(a_sink_is_bounded_and_may_be_dropped),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
