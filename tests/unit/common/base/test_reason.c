#include "common/base/reason.h"

#include "harness.h"

static void long_sentences_are_cut(void **state)
{
	struct reason why = {0};
	char text[2 * REASON_BYTES];

	(void)state;
	memset(text, 'x', sizeof(text));
	text[sizeof(text) - 1] = '\0';
	reason_set(&why, "%s", text);
	assert_int_equal(strlen(why.text), REASON_BYTES - 1);
}

static void the_code_comes_back(void **state)
{
	struct reason why = {0};

	(void)state;
	assert_int_equal(reason_code(&why, -EINVAL, "%d apples", 3), -EINVAL);
	assert_string_equal(why.text, "3 apples");
	assert_int_equal(reason_code(NULL, -EIO, "nobody asks"), -EIO);
	reason_set(NULL, "nobody asks");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(long_sentences_are_cut),
		cmocka_unit_test(the_code_comes_back),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
