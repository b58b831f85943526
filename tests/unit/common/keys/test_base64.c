#include "common/keys/base64.h"
#include "kit/test.h"

static void test_good(void **state)
{
	static const struct {
		const char *text;
		const char *bytes;
	} rows[] = {
		{"", ""},
		{" \n", ""},
		{"YQ==", "a"},
		{"YQ", "a"},
		{"YWI=", "ab"},
		{"YWI", "ab"},
		{"YWJj", "abc"},
		{"YW\r\nJ j\t", "abc"},
		{"YQ=\n=", "a"},
		{"+/+/", "\xfb\xff\xbf"},
		{"-_-_", "\xfb\xff\xbf"},
	};

	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		auto_(free_at_exit) unsigned char *bytes = NULL;
		size_t len;

		if (base64_decode(rows[i].text, strlen(rows[i].text), &bytes, &len) != 0)
			fail_msg("row %zu", i);
		assert_int_equal(len, strlen(rows[i].bytes));
		assert_memory_equal(bytes, rows[i].bytes, len);
	}
}

static void test_bad(void **state)
{
	static const char *const rows[] = {"=", "Y",
		"YQ=", "YQ===", "YWJj=", "YWJj====", "Y=Q=", "YQ==YQ==", "Y!Q=", "YR==", "YWJ",
		"\xff\xff\xff\xff"};

	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		unsigned char *bytes = NULL;
		size_t len;

		if (base64_decode(rows[i], strlen(rows[i]), &bytes, &len) != -EBADMSG)
			fail_msg("row %zu", i);
		assert_null(bytes);
	}
}

static void test_encode(void **state)
{
	static const struct {
		const char *bytes;
		const char *text;
	} rows[] = {
		{"", ""}, {"a", "YQ=="}, {"ab", "YWI="}, {"abc", "YWJj"}, {"\xfb\xff\xbf", "+/+/"}};

	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		auto_(free_at_exit) char *text = NULL;

		assert_int_equal(base64_encode(rows[i].bytes, strlen(rows[i].bytes), &text), 0);
		assert_string_equal(text, rows[i].text);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_good),
		cmocka_unit_test(test_bad),
		cmocka_unit_test(test_encode),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
