#include "common/base/argument.h"
#include "kit/test.h"

static void test_hide(void **state)
{
	static const struct {
		const char *words[5], *hidden[5];
	} rows[] = {
		{{"program", "--token", "12"}, {"program", "--token", "xx"}},
		{{"program", "--token=abc", "--log"}, {"program", "--token=xxx", "--log"}},
		{{"program", "--token=", "a"}, {"program", "--token=", "a"}},
		{{"program", "--token"}, {"program", "--token"}},
		{{"program", "--token", "1", "--token", "23"},
			{"program", "--token", "x", "--token", "xx"}},
		{{"program", "--token-file", "f"}, {"program", "--token-file", "f"}},
		{{"program", "token", "f", "--tok", "g"}, {"program", "token", "f", "--tok", "g"}},
		{{NULL}, {NULL}},
	};

	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		char texts[5][16];
		char *argv[6] = {NULL};

		for (size_t n = 0; n < 5 && rows[i].words[n]; n++) {
			snprintf(texts[n], sizeof texts[n], "%s", rows[i].words[n]);
			argv[n] = texts[n];
		}
		argument_hide(argv, "--token");
		for (size_t n = 0; n < 5 && rows[i].words[n]; n++)
			assert_string_equal(argv[n], rows[i].hidden[n]);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(test_hide)};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
