#include "common/base/text.h"
#include "common/fab/content.h"
#include "kit/test.h"

#define HASH  "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
#define SHORT "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b85"

static int parse(const char *bytes, size_t len, struct content_list *out, struct reason *why)
{
	char *text = text_dup(bytes, len);

	assert_non_null(text);
	return content_parse(text, len, 3, out, why);
}

static void test_good(void **state)
{
	static const char *const texts[] = {
		"b.py," HASH ",64\na,a.py," HASH ",0\n",
		"b.py," HASH ",64\na,a.py," HASH ",0",
		"\nb.py," HASH ",64\r\n\r\na,a.py," HASH ",0\r\n",
	};

	for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
		struct content_list list = {0};
		const struct content_line *line;

		assert_int_equal(parse(texts[i], strlen(texts[i]), &list, NULL), 0);
		assert_int_equal(list.n, 2);
		line = content_find(&list, "b.py", 4);
		assert_non_null(line);
		assert_int_equal(line->bytes, 8);
		assert_string_equal(line->hash, HASH);
		assert_non_null(content_find(&list, "a,a.py", 6));
		assert_null(content_find(&list, "b.p", 3));
		assert_null(content_find(&list, "b.pyc", 5));
		content_done(&list);
	}
}

static void test_empty(void **state)
{
	struct content_list list = {0};

	assert_int_equal(parse("", 0, &list, NULL), 0);
	assert_int_equal(list.n, 0);
	assert_null(content_find(&list, "a", 1));
	content_done(&list);
}

#define BAD(text, why)                                                                             \
	{                                                                                          \
		text, sizeof(text) - 1, why                                                        \
	}

static void test_bad(void **state)
{
	static const struct {
		const char *text;
		size_t len;
		const char *why;
	} rows[] = {
		BAD("a.py", "form"),
		BAD("a.py," HASH, "form"),
		BAD("," HASH ",8", "form"),
		BAD("a.py," SHORT ",8", "form"),
		BAD("a.py," SHORT "g,8", "hash"),
		BAD("a.py," SHORT "A,8", "hash"),
		BAD("a.py," SHORT "\0,8", "hash"),
		BAD("a.py," HASH ",", "size"),
		BAD("a.py," HASH ",-8", "size"),
		BAD("a.py," HASH ",8 ", "size"),
		BAD("a.py," HASH ",8\0", "size"),
		BAD("a.py," HASH ",12", "size"),
		BAD("a.py," HASH ",18446744073709551616", "size"),
		BAD("a.py," HASH ",000000000000000000000000000008", "size"),
		BAD("a.py," HASH ",8\nb.py," HASH ",8\na.py," HASH ",8\n", "twice"),
		BAD("a," HASH ",8\nb," HASH ",8\nc," HASH ",8\nd," HASH ",8\n", "at most 3"),
	};

	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		struct content_list list = {0};
		struct reason why = {0};

		assert_int_equal(parse(rows[i].text, rows[i].len, &list, &why), -EBADMSG);
		if (!strstr(why.text, rows[i].why))
			fail_msg("row %zu: %s", i, why.text);
		assert_null(list.v);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_good),
		cmocka_unit_test(test_empty),
		cmocka_unit_test(test_bad),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
