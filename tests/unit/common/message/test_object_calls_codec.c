/*
 * Calls about objects against the real package.
 */
#include "again.h"

#include "common/message/object_calls_codec.h"

#define NODE 0x8000000000000001u
#define RUN  0xfffffffffffffffeu

static int request_again(const struct slices *bytes, struct slices *again)
{
	auto_(object_request_done) struct object_request request;
	int r = object_request_decode(bytes, &request);

	return r ? r : object_request_encode(&request, again);
}

static int pulled_again(const struct slices *bytes, struct slices *again)
{
	auto_(object_pulled_done) struct object_pulled pulled;
	int r = object_pulled_decode(bytes, &pulled);

	return r ? r : object_pulled_encode(&pulled, again);
}

static int stored_again(const struct slices *bytes, struct slices *again)
{
	bool stored;
	int r = object_stored_decode(bytes, &stored);

	return r ? r : object_stored_encode(stored, again);
}

static const struct codec codecs[] = {
	{"request", request_again}, {"pulled", pulled_again}, {"stored", stored_again}};

static void assert_hello(const struct slices *content)
{
	char text[5];

	assert_int_equal(content->bytes, 5);
	assert_int_equal(slices_read(content, 0, text, 5), 0);
	assert_memory_equal(text, "hello", 5);
}

static void check_one(const char *name, const struct slices *bytes)
{
	auto_(object_request_done) struct object_request request = {0};
	auto_(object_pulled_done) struct object_pulled pulled = {0};
	char id[OBJECT_ID_TEXT_BYTES];

	if (strcmp(name, "bad_id") == 0) {
		assert_int_equal(object_request_decode(bytes, &request), -EBADMSG);
	} else if (strcmp(name, "one_pulled") == 0) {
		assert_int_equal(object_pulled_decode(bytes, &pulled), 0);
		assert_true(pulled.found && pulled.available);
		assert_hello(&pulled.content);
	} else {
		assert_string_equal(name, "one_request");
		assert_int_equal(object_request_decode(bytes, &request), 0);
		assert_true(request.node_id == NODE && request.run_id == RUN);
		object_id_format(&request.id, id);
		assert_string_equal(
			id, "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef");
		assert_string_equal(request.session_id, "session");
		assert_hello(&request.content);
	}
}

static void real_bytes_are_written_again(void **state)
{
	assert_true(again_script(FLWR_TEST_DIR "/gen_object_calls.py", codecs, ARRAY_LEN(codecs),
			    check_one) > 240);
}

/* The last one of a field counts, a content too: it does not grow. */
static void the_last_of_a_repeated_field_counts(void **state)
{
	static const uint8_t bytes[] = {0x1a, 0x02, 'n', 'o', 0x08, 0x01, 0x1a, 0x05, 'h', 'e', 'l',
		'l', 'o', 0x10, 0x01, 0xa2, 0x06, 0x01, 'x'};
	auto_(slices_done) struct slices list = vector_whole(bytes, sizeof bytes);
	auto_(object_pulled_done) struct object_pulled pulled = {0};

	assert_int_equal(object_pulled_decode(&list, &pulled), 0);
	assert_true(pulled.found && pulled.available);
	assert_hello(&pulled.content);
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(real_bytes_are_written_again),
		cmocka_unit_test(the_last_of_a_repeated_field_counts)};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
