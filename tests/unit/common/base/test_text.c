#include "common/base/text.h"
#include "kit/test.h"

static void text_grows(void **state)
{
	struct text text = {0};
	char *taken;

	for (int i = 0; i < 1000; i++)
		assert_int_equal(text_printf(&text, "%d,", i), 0);
	assert_int_equal(text_add(&text, "\0x", 2), 0);
	assert_int_equal(text.len, 10 * 2 + 90 * 3 + 900 * 4 + 2);
	assert_memory_equal(text.data, "0,1,2,3,", 8);
	assert_memory_equal(text.data + text.len - 2, "\0x", 3);
	taken = text_take(&text);
	assert_null(text.data);
	free(taken);
	taken = text_take(&text);
	assert_string_equal(taken, "");
	free(taken);
	assert_int_equal(text_add(&text, NULL, 0), 0);
	assert_string_equal(text.data, "");
	text_done(&text);
	text_done(&text);
}

static void utf8_rows(void **state)
{
	static const struct {
		const char *bytes;
		size_t len;
		bool valid;
	} rows[] = {
		{"", 0, true},
		{"abc", 3, true},
		{"a\0b", 3, false},
		{"\xc3\xa9", 2, true},
		{"\xc3", 1, false},
		{"\xc0\x80", 2, false},     /* overlong */
		{"\xe0\x9f\xbf", 3, false}, /* overlong */
		{"\xe2\x82\xac", 3, true},
		{"\xed\xa0\x80", 3, false}, /* surrogate */
		{"\xf0\x9f\x98\x80", 4, true},
		{"\xf0\x8f\xbf\xbf", 4, false}, /* overlong */
		{"\xf4\x90\x80\x80", 4, false}, /* above U+10FFFF */
		{"\xf5\x80\x80\x80", 4, false},
		{"\x80", 1, false},
		{"\xe2\x82", 2, false},
		{"\xe2\x28\xa1", 3, false},
	};

	for (size_t i = 0; i < ARRAY_LEN(rows); i++)
		assert_int_equal(utf8_valid(rows[i].bytes, rows[i].len), rows[i].valid);
}

/* Categories of Python's unicodedata: characters of Cc, Cf, Zl and Zp are not shown, their
 * neighbours are. */
static void what_is_shown(void **state)
{
	static const uint32_t rows[] = {0x0, 0x9, 0xa, 0x1b, 0x7f, 0x80, 0x9b, 0xad, 0x61c, 0x200b,
		0x200d, 0x200e, 0x200f, 0x2028, 0x2029, 0x202a, 0x202e, 0x2066, 0x2069, 0xfeff,
		0xfff9, 0x1d173, 0xe0001, 0xe007f};
	static const char *const good[] = {" ", "~", "\xc2\xa0", "\xc3\xa9", "\xe2\x82\xac",
		"\xe2\x80\x90", "\xf0\x9f\x98\x80"};

	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		uint32_t c = rows[i];
		const char four[] = {(char)(0xf0 | c >> 18), (char)(0x80 | (c >> 12 & 0x3f)),
			(char)(0x80 | (c >> 6 & 0x3f)), (char)(0x80 | (c & 0x3f))};
		const char three[] = {(char)(0xe0 | c >> 12), four[2], four[3]};
		const char two[] = {(char)(0xc0 | c >> 6), four[3]};
		const char one[] = {(char)c};

		assert_int_equal(c < 0x80      ? text_shown(one, 1)
				 : c < 0x800   ? text_shown(two, 2)
				 : c < 0x10000 ? text_shown(three, 3)
					       : text_shown(four, 4),
			0);
	}
	for (size_t i = 0; i < ARRAY_LEN(good); i++)
		assert_int_equal(text_shown(good[i], strlen(good[i])), strlen(good[i]));
	assert_int_equal(text_shown("\xff", 1), 0);
	assert_int_equal(text_shown("\xe2\x82\xac", 2), 0);
}

static void quotes_are_printable_and_fit(void **state)
{
	char out[64];
	char bytes[256];

	text_quote("abc", 3, out, sizeof out);
	assert_string_equal(out, "\"abc\"");
	text_quote("a\"\\\n\0\xc3\x1b", 7, out, sizeof out);
	assert_string_equal(out, "\"a\\\"\\\\\\x0a\\x00\\xc3\\x1b\"");
	text_quote("abcdefgh", 8, out, 11);
	assert_string_equal(out, "\"abcdefgh\"");
	text_quote("abcdefghi", 9, out, 11);
	assert_string_equal(out, "\"abcde...\"");
	for (size_t i = 0; i < sizeof bytes; i++)
		bytes[i] = (char)i;
	for (size_t size = 0; size <= sizeof out; size++) {
		memset(out, 'x', sizeof out);
		text_quote(bytes, sizeof bytes, out, size);
		if (size)
			assert_true(strlen(out) < size);
		for (size_t i = size; i < sizeof out; i++)
			assert_int_equal(out[i], 'x');
	}
}

static void the_nearest_word(void **state)
{
	static const char *const names[] = {
		"superlink", "insecure", "isolation", "node-config", NULL};
	char longer[200];

	assert_string_equal(text_nearest("superlnk", names), "superlink");
	assert_string_equal(text_nearest("isolatoin", names), "isolation");
	assert_string_equal(text_nearest("insecure", names), "insecure");
	assert_null(text_nearest("fleet", names));
	assert_null(text_nearest("", names));
	memset(longer, 'a', sizeof longer);
	longer[sizeof longer - 1] = '\0';
	assert_null(text_nearest(longer, names));
}

static void copies_end_in_nul(void **state)
{
	char *copy = text_dup("abcdef", 3);

	assert_string_equal(copy, "abc");
	free(copy);
	assert_null(text_dup("", SIZE_MAX));
}

static void a_cut_splits_no_character(void **state)
{
	char text[] = "gr\xc3\xbc\xc3\x9f";

	text_cut(text, 100);
	assert_string_equal(text, "gr\xc3\xbc\xc3\x9f");
	text_cut(text, 5);
	assert_string_equal(text, "gr\xc3\xbc");
	text_cut(text, 0);
	assert_string_equal(text, "");
}

static void a_word_forges_no_field(void **state)
{
	char word[12];

	text_word("a b=\"c\"\n\xc3\xbc", word, sizeof word);
	assert_string_equal(word, "a?b??c????");
	text_word("abcdefghijklmnop", word, sizeof word);
	assert_string_equal(word, "abcdefghijk");
	text_word(NULL, word, sizeof word);
	assert_string_equal(word, "");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(text_grows),
		cmocka_unit_test(utf8_rows),
		cmocka_unit_test(what_is_shown),
		cmocka_unit_test(quotes_are_printable_and_fit),
		cmocka_unit_test(the_nearest_word),
		cmocka_unit_test(copies_end_in_nul),
		cmocka_unit_test(a_cut_splits_no_character),
		cmocka_unit_test(a_word_forges_no_field),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
