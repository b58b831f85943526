/*
 * Calls about tasks against the real package.
 */
#include "again.h"

#include "common/message/task_codec.h"
#include "common/wire/wire.h"

#define RUN 0xfffffffffffffffeu

static int input_again(const struct slices *bytes, struct slices *again)
{
	auto_(task_input_done) struct task_input input;
	int r = task_decode_input(bytes, &input);

	return r ? r : task_encode_input(&input, again);
}

static int pulled_again(const struct slices *bytes, struct slices *again)
{
	auto_(task_messages_done) struct task_messages messages;
	int r = task_decode_pulled(bytes, &messages);

	return r ? r : task_encode_pulled(&messages, again);
}

static int push_again(const struct slices *bytes, struct slices *again)
{
	auto_(task_messages_done) struct task_messages messages;
	int r = task_decode_push(bytes, &messages);

	return r ? r : task_encode_push(&messages, again);
}

static int pushed_again(const struct slices *bytes, struct slices *again)
{
	auto_(task_pushed_done) struct task_pushed pushed;
	int r = task_decode_pushed(bytes, &pushed);

	return r ? r : task_encode_pushed(&pushed, again);
}

static int output_again(const struct slices *bytes, struct slices *again)
{
	auto_(task_output_done) struct task_output output;
	int r = task_decode_output(bytes, &output);

	return r ? r : task_encode_output(&output, again);
}

static int heartbeat_again(const struct slices *bytes, struct slices *again)
{
	bool success;
	int r = task_decode_heartbeat(bytes, &success);

	return r ? r : task_encode_heartbeat(success, again);
}

static const struct codec codecs[] = {{"input", input_again}, {"pulled", pulled_again},
	{"push", push_again}, {"pushed", pushed_again}, {"output", output_again},
	{"heartbeat", heartbeat_again}};

/* A message whose first field is inner. */
static void assert_message(const struct slices *made, const struct slices *inner)
{
	auto_(slices_done) struct slices expected = {0};
	struct wire_writer writer = {0};

	wire_put_refs(&writer, 1, inner);
	assert_int_equal(wire_writer_take(&writer, &expected), 0);
	assert_true(slices_equal(made, &expected));
}

static void check_one(const char *name, const struct slices *bytes)
{
	auto_(task_messages_done) struct task_messages messages = {0};
	auto_(slices_done) struct slices made = {0};
	uint64_t id = 1;

	if (strcmp(name, "get_run") == 0) {
		assert_int_equal(task_decode_get_run(bytes, &id), 0);
		assert_true(id == RUN);
	} else if (strncmp(name, "pending_", 8) == 0) {
		assert_int_equal(task_decode_pending(bytes, &id), 0);
		assert_true(id == (strcmp(name, "pending_one") == 0 ? RUN : 0));
	} else if (strcmp(name, "ours_pending") == 0) {
		assert_int_equal(task_encode_pending(RUN, 5, &made), 0);
		assert_message(&made, bytes);
	} else if (strcmp(name, "get_run_response") == 0) {
		static const uint8_t run[] = {0x08, 0x05, 0x2a, 0x03, 'a', 'b', 'c'};
		auto_(slices_done) struct slices inner = vector_whole(run, sizeof run);

		assert_int_equal(task_encode_get_run(&inner, &made), 0);
		assert_true(slices_equal(&made, bytes));
	} else {
		assert_int_equal(task_decode_pulled(bytes, &messages), 0);
		assert_int_equal(messages.n_messages, strcmp(name, "pulled_two") == 0 ? 2 : 0);
		assert_int_equal(messages.n_trees, strcmp(name, "pulled_two") == 0 ? 1 : 0);
	}
}

static void real_bytes_are_written_again(void **state)
{
	assert_true(again_script(FLWR_TEST_DIR "/gen_task_calls.py", codecs, ARRAY_LEN(codecs),
			    check_one) > 200);
}

static void a_claim_has_a_token_or_none(void **state)
{
	static const uint8_t none[] = {0x0a, 0x00};
	auto_(slices_done) struct slices request = {0}, answer = {0}, no_answer = {0};
	auto_(slices_done) struct slices empty = vector_whole(none, sizeof none);
	auto_(free_at_exit) char *token = NULL, *no_token = NULL;
	uint64_t id = 0;

	assert_int_equal(task_encode_claim(RUN, &request), 0);
	assert_int_equal(task_decode_claim(&request, &id), 0);
	assert_true(id == RUN);
	assert_int_equal(task_encode_claimed("abc", &answer), 0);
	assert_int_equal(task_decode_claimed(&answer, &token), 0);
	assert_string_equal(token, "abc");
	assert_int_equal(task_encode_claimed(NULL, &no_answer), 0);
	assert_int_equal(no_answer.bytes, 0);
	assert_int_equal(task_decode_claimed(&no_answer, &no_token), 0);
	assert_null(no_token);
	assert_int_equal(task_decode_claimed(&empty, &no_token), 0);
	assert_null(no_token);
}

/* As task_encode_acquire() asks, and what answers it. */
static void an_acquired_task_has_its_token(void **state)
{
	static const uint8_t others[] = {0x0a, 1, 'x', 0x0a, 1, 'y'};
	auto_(slices_done) struct slices request = {0}, answer = {0}, no_answer = {0};
	auto_(slices_done) struct slices other = vector_whole(others, sizeof others);
	auto_(free_at_exit) char *token = NULL, *no_token = NULL;
	bool wanted = false;

	assert_int_equal(task_encode_acquire(&request), 0);
	assert_int_equal(task_decode_acquire(&request, &wanted), 0);
	assert_true(wanted);
	assert_int_equal(task_decode_acquire(&other, &wanted), 0);
	assert_false(wanted);
	assert_int_equal(slices_append_refs(&other, &request), 0);
	assert_int_equal(task_decode_acquire(&other, &wanted), 0);
	assert_true(wanted);
	assert_int_equal(task_encode_acquired(7, RUN, "abc", &answer), 0);
	assert_int_equal(task_decode_acquired(&answer, &token), 0);
	assert_string_equal(token, "abc");
	assert_int_equal(task_encode_acquired(7, RUN, NULL, &no_answer), 0);
	assert_int_equal(no_answer.bytes, 0);
	assert_int_equal(task_decode_acquired(&no_answer, &no_token), 0);
	assert_null(no_token);
}

/* An id that is none, a text that is none. */
static void ids_and_texts_that_are_none_are_refused(void **state)
{
	static const uint8_t bad_id[] = {0x12, 0x02, 'a', 'b'};
	static const uint8_t no_text[] = {0x12, 0x01, 0xff};
	auto_(slices_done) struct slices a = vector_whole(bad_id, sizeof bad_id);
	auto_(slices_done) struct slices b = vector_whole(no_text, sizeof no_text);
	auto_(task_pushed_done) struct task_pushed pushed;
	auto_(task_output_done) struct task_output output;

	assert_int_equal(task_decode_pushed(&a, &pushed), -EBADMSG);
	assert_int_equal(task_decode_output(&b, &output), -EBADMSG);
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(real_bytes_are_written_again),
		cmocka_unit_test(a_claim_has_a_token_or_none),
		cmocka_unit_test(an_acquired_task_has_its_token),
		cmocka_unit_test(ids_and_texts_that_are_none_are_refused)};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
