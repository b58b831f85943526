/*
 * Bodies that are told apart by their first field.
 */
#include "common/message/app_codec.h"

#include "common/base/cleanup.h"
#include "common/message/instruction_codec.h"
#include "kit/test.h"

#include <stdio.h>
#include <string.h>

static const char token[] = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"
			    "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"
			    "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"
			    "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";

static void a_text_is_told_from_a_number(void **state)
{
	auto_(slices_done) struct slices number = {0}, nothing = {0}, text = {0}, other = {0},
					 task = {0}, more = {0}, cut = {0};
	char out[TASK_TOKEN_DIGITS + 1], longer[TASK_TOKEN_DIGITS + 2];

	assert_int_equal(instruction_encode_token(4711, &number), 0);
	assert_false(app_first_token(&number, out));
	assert_false(app_first_token(&nothing, out));
	assert_int_equal(task_encode_push(&(struct task_messages){0}, &task), 0);
	assert_false(app_first_token(&task, out));
	assert_int_equal(app_encode_token(token, &text), 0);
	assert_true(app_first_token(&text, out));
	assert_string_equal(out, token);
	assert_int_equal(app_encode_token("4711", &other), 0);
	assert_true(app_first_token(&other, out));
	assert_string_equal(out, "4711");
	snprintf(longer, sizeof longer, "%s0", token);
	assert_int_equal(app_encode_token(longer, &more), 0);
	assert_true(app_first_token(&more, out));
	assert_string_equal(out, "");
	/* The text's head, and less of it than that says. */
	assert_int_equal(slices_append_copy(&cut,
				 "\x0a\x80\x02"
				 "abc",
				 6),
		0);
	assert_false(app_first_token(&cut, out));
}

static void the_first_run_is_taken(void **state)
{
	auto_(slices_done) struct slices none = {0}, one = {0}, several = {0};
	uint64_t run_id = 1;

	assert_int_equal(app_encode_runs(0, &none), 0);
	assert_int_equal(none.bytes, 0);
	assert_int_equal(app_decode_runs(&none, &run_id), 0);
	assert_int_equal(run_id, 0);
	assert_int_equal(app_encode_runs(UINT64_MAX, &one), 0);
	assert_int_equal(app_decode_runs(&one, &run_id), 0);
	assert_true(run_id == UINT64_MAX);
	/* Packed. */
	assert_int_equal(slices_append_copy(&several, "\x0a\x03\x05\x06\x07", 5), 0);
	assert_int_equal(app_decode_runs(&several, &run_id), 0);
	assert_int_equal(run_id, 5);
}

static void no_token_is_none(void **state)
{
	auto_(slices_done) struct slices none = {0}, one = {0};
	auto_(free_at_exit) char *got = NULL;

	assert_int_equal(app_encode_requested(NULL, &none), 0);
	assert_int_equal(app_decode_requested(&none, &got), 0);
	assert_null(got);
	assert_int_equal(app_encode_requested(token, &one), 0);
	assert_int_equal(app_decode_requested(&one, &got), 0);
	assert_string_equal(got, token);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_text_is_told_from_a_number),
		cmocka_unit_test(the_first_run_is_taken),
		cmocka_unit_test(no_token_is_none),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
