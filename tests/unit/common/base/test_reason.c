#include "common/base/reason.h"
#include "kit/test.h"

static void long_sentences_are_cut(void **state)
{
	struct reason why = {0};
	char text[2 * REASON_BYTES];

	memset(text, 'x', sizeof text);
	text[sizeof text - 1] = '\0';
	reason_set(&why, "%s", text);
	assert_int_equal(strlen(why.text), REASON_BYTES - 1);
}

static void the_code_comes_back(void **state)
{
	struct reason why = {0};

	assert_int_equal(reason_code(&why, -EINVAL, "%d apples", 3), -EINVAL);
	assert_string_equal(why.text, "3 apples");
	assert_int_equal(reason_code(NULL, -EIO, "nobody asks"), -EIO);
	reason_set(NULL, "nobody asks");
}

static void a_number_of_flower(void **state)
{
	struct reason why = {0};

	assert_int_equal(reason_exit(&why, -EINVAL, 600, "%d pears", 3), -EINVAL);
	assert_string_equal(why.text, "3 pears");
	assert_int_equal(why.exit_code, 600);
	reason_set(&why, "something else");
	assert_int_equal(why.exit_code, 0);
	assert_int_equal(reason_exit(NULL, -EIO, 600, "nobody asks"), -EIO);
}

static void cleaned_it_is_one_line(void **state)
{
	struct reason why = {0};

	reason_set(&why, "%s", "caf\xc3\xa9 \x1b[2J a\nb\tc\x7f\xe2\x80\xae!\xff");
	reason_clean(&why);
	assert_string_equal(why.text, "caf\xc3\xa9 ?[2J a?b?c???"
				      "?!?");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(long_sentences_are_cut),
		cmocka_unit_test(the_code_comes_back),
		cmocka_unit_test(a_number_of_flower),
		cmocka_unit_test(cleaned_it_is_one_line),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
