/*
 * Refusals in the words of SuperLinks of 1.39 (gRPC) and 1.41 (HTTP), and texts that are no
 * refusals.
 */
#include "common/http/flower_error.h"
#include "kit/test.h"

static void test_refusals(void **state)
{
	static const struct {
		const char *json;
		int code;
		const char *words;
	} table[] = {
		{"{\"code\": 2004, \"detail\": \"SuperNode activation failed.\"}", 2004,
			"SuperNode activation failed."},
		{"{\"detail\":\"Invalid SuperNode authentication\"}", 0,
			"Invalid SuperNode authentication"},
		{"{\"code\": 23, \"public_message\": \"Public key in use.\", \"public_details\": "
		 "null}",
			23, "Public key in use."},
		{"{\"code\": 2007, \"public_message\": \"Run status\", \"public_details\": "
		 "\"finished\"}",
			2007, "Run status: finished"},
		{"{\"code\": -5, \"detail\": \"\"}", 0, ""},
		{"{\"code\": 99999999999, \"detail\": 7}", 0, ""},
		{"{\"code\": \"2004\"}", 0, ""},
		{"{\"detail\": [{\"msg\": \"x\"}]}", 0, ""},
		{"{", 0, ""},
		{"[1]", 0, ""},
		{"Invalid node ID", 0, ""},
		{"", 0, ""},
	};

	for (size_t i = 0; i < ARRAY_LEN(table); i++) {
		auto_(text_done) struct text words = {0};
		int code = 0;

		flower_error_read(table[i].json, strlen(table[i].json), &code, &words);
		assert_int_equal(code, table[i].code);
		assert_string_equal(words.data ? words.data : "", table[i].words);
	}
}

static void test_too_long_is_not_looked_at(void **state)
{
	auto_(text_done) struct text words = {0};
	static char json[FLOWER_ERROR_MAX_BYTES + 1];
	int code = 0;

	memset(json, ' ', sizeof json);
	memcpy(json, "{\"code\":7}", 10);
	flower_error_read(json, sizeof json, &code, &words);
	assert_int_equal(code, 0);
	flower_error_read(json, sizeof json - 1, &code, &words);
	assert_int_equal(code, 7);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_refusals),
		cmocka_unit_test(test_too_long_is_not_looked_at),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
