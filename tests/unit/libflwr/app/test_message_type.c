#include "kit/test.h"
#include "libflwr/app/message_type.h"

static void types_are_parsed(void **state)
{
	static const char *const good[] = {"train", "evaluate", "query", "train.default",
		"train.custom", "query._x1", "evaluate.gr\xc3\xb6\xc3\x9f"};
	static const char *const bad[] = {"", "trai", "trainx", "Train", "train.", "train.1x",
		"train.a.b", "train.a b", "train.a-b", ".custom", "system", "train.\xff"};
	struct message_type parts;

	for (size_t i = 0; i < ARRAY_LEN(good); i++) {
		if (!message_type_parse(good[i], &parts))
			fail_msg("%s is refused", good[i]);
	}
	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		if (message_type_parse(bad[i], &parts))
			fail_msg("%s is taken", bad[i]);
	}
	assert_true(message_type_parse("evaluate.mine", &parts));
	assert_int_equal(parts.category_len, 8);
	assert_string_equal(parts.action, "mine");
	assert_true(message_type_parse("query", &parts));
	assert_string_equal(parts.action, "default");
}

static void default_may_be_left_out(void **state)
{
	assert_true(message_type_equal("train", "train"));
	assert_true(message_type_equal("train", "train.default"));
	assert_true(message_type_equal("train.default", "train"));
	assert_true(message_type_equal("train.a", "train.a"));
	assert_false(message_type_equal("train", "train.a"));
	assert_false(message_type_equal("train.a", "train.ab"));
	assert_false(message_type_equal("train", "query"));
	assert_false(message_type_equal("train", "trai"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(types_are_parsed),
		cmocka_unit_test(default_may_be_left_out),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
