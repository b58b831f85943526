#include "common/base/toml.h"

#include "common/base/text.h"
#include "harness.h"

static struct toml *parsed(const char *text)
{
	struct reason why = {0};
	struct toml *doc = NULL;

	if (toml_parse(text, strlen(text), &doc, &why) != 0)
		fail_msg("%s", why.text);
	return doc;
}

static void a_manifest(void **state)
{
	struct toml *doc = parsed("[project]\nname = \"app\"\nversion = '1.0'\ncount = 3\n"
				  "nul = \"a\\u0000b\"\n"
				  "[tool.flwr.app]\npublisher = \"me\"\n"
				  "[tool.flwr.app.config]\nz = 1\ny = 2.5\nx = true\n"
				  "b.c = \"text\"\na = -7\n"
				  "[tool.flwr.app.config.inner]\nk = 1\nd = { e = 2, f.g = 3 }\n");
	static const char *const keys[] = {
		"z", "y", "x", "b.c", "a", "inner.k", "inner.d.e", "inner.d.f.g"};
	struct value_map map = {0};
	struct reason why = {0};

	(void)state;
	assert_string_equal(toml_string(doc, "project.name"), "app");
	assert_string_equal(toml_string(doc, "tool.flwr.app.publisher"), "me");
	assert_null(toml_string(doc, "project.count"));
	assert_null(toml_string(doc, "project.nul"));
	assert_null(toml_string(doc, "project"));
	assert_null(toml_string(doc, "project.name.x"));
	assert_null(toml_string(doc, "project."));
	assert_null(toml_string(doc, "nothing.there"));
	assert_int_equal(toml_flatten(doc, "tool.flwr.app.config", &map, &why), 0);
	assert_int_equal(map.n, ARRAY_LEN(keys));
	for (size_t i = 0; i < map.n; i++)
		assert_string_equal(map.v[i].key, keys[i]);
	assert_true(value_map_get(&map, "y")->d == 2.5);
	assert_int_equal(value_map_get(&map, "a")->i, -7);
	assert_true(value_map_get(&map, "x")->b);
	assert_string_equal(value_map_get(&map, "b.c")->s.data, "text");
	assert_int_equal(toml_flatten(doc, "tool.nothing", &map, &why), 0);
	assert_int_equal(map.n, ARRAY_LEN(keys));
	assert_int_equal(toml_flatten(doc, "project.name", &map, &why), -EINVAL);
	value_map_done(&map);
	toml_free(doc);
	toml_free(NULL);
}

static void what_is_no_scalar_is_named(void **state)
{
	static const char *const rows[] = {
		"[a]\nlist.here = [1, 2]\n",
		"[a]\nlist.here = 2024-01-01\n",
		"[a]\nlist.here = 07:32:00\n",
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct toml *doc = parsed(rows[i]);
		struct value_map map = {0};
		struct reason why = {0};

		assert_int_equal(toml_flatten(doc, "a", &map, &why), -EINVAL);
		assert_non_null(strstr(why.text, "list.here"));
		value_map_done(&map);
		toml_free(doc);
	}
}

static void one_key_written_in_two_ways(void **state)
{
	struct toml *doc = parsed("\"a.b\" = 1\nc = 2\na.b = 3\n");
	struct value_map map = {0};

	(void)state;
	assert_int_equal(toml_flatten(doc, "", &map, NULL), 0);
	assert_int_equal(map.n, 2);
	assert_int_equal(value_map_get(&map, "a.b")->i, 3);
	value_map_done(&map);
	toml_free(doc);
}

static void errors_name_the_line(void **state)
{
	struct reason why = {0};
	struct toml *doc = NULL;

	(void)state;
	assert_int_equal(toml_parse("a = 1\nb = \n", 11, &doc, &why), -EINVAL);
	assert_memory_equal(why.text, "line 2: ", 8);
	assert_int_equal(toml_parse("a = \"\xff\"\n", 8, &doc, &why), -EINVAL);
	assert_int_equal(toml_parse("a = 99999999999999999999\n", 25, &doc, NULL), -EINVAL);
	assert_int_equal(toml_parse("a = 1\na = 2\n", 12, &doc, NULL), -EINVAL);
	assert_null(doc);
	assert_int_equal(toml_parse("\"a\\u0000\" = 1\n", 14, &doc, NULL), 0);
	assert_int_equal(toml_flatten(doc, "", &(struct value_map){0}, &why), -EINVAL);
	toml_free(doc);
}

/* first, then part n times, then last. */
static int parse_repeated(const char *first, const char *part, size_t n, const char *last)
{
	struct text text = {0};
	struct toml *doc = NULL;
	int r;

	assert_int_equal(text_printf(&text, "%s", first), 0);
	for (size_t i = 0; i < n; i++)
		assert_int_equal(text_add(&text, part, strlen(part)), 0);
	assert_int_equal(text_printf(&text, "%s", last), 0);
	r = toml_parse(text.data, text.len, &doc, NULL);
	toml_free(doc);
	text_done(&text);
	return r;
}

static void depth_is_limited(void **state)
{
	static const size_t many = 100000;

	(void)state;
	assert_int_equal(parse_repeated("a", ".a", 63, " = 1\n"), 0);
	assert_int_equal(parse_repeated("a", ".a", 64, " = 1\n"), -EINVAL);
	assert_int_equal(parse_repeated("a", ".a", many, " = 1\n"), -EINVAL);
	assert_int_equal(parse_repeated("x = \"\"\"\\\"\"\"\"\na", ".a", many, " = 1\n"), -EINVAL);
	assert_int_equal(parse_repeated("# '\na", ".\"a\"", many, " = 1\n"), -EINVAL);
	assert_int_equal(parse_repeated("[a", ".a", many, "]\n"), -EINVAL);
	assert_int_equal(parse_repeated("[[a", ".a", many, "]]\n"), -EINVAL);
	assert_int_equal(parse_repeated("x = [1.5, '[']\n[a", ".a", many, "]\n"), -EINVAL);
	assert_int_equal(parse_repeated("x = { b", ".a", many, " = 1 }\n"), -EINVAL);
	assert_int_equal(parse_repeated("x = ", "{ a = ", many, ""), -EINVAL);
	assert_int_equal(parse_repeated("x = ", "[", many, ""), -EINVAL);
	/* A line of many dots is none when they are within a string or a comment. */
	assert_int_equal(parse_repeated("a = \"", ".a", 1000, "\"\n"), 0);
	assert_int_equal(parse_repeated("# ", ".[{", 1000, "\n"), 0);
	assert_int_equal(parse_repeated("a = [", "1.5, ", 1000, "]\n"), 0);
	assert_int_equal(parse_repeated("a = '''", ".[\n", 1000, "'''\n"), 0);
	assert_int_equal(parse_repeated("[a.b.c]\n", "# x\n", 1000, "d.e = 1.5\n"), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_manifest),
		cmocka_unit_test(what_is_no_scalar_is_named),
		cmocka_unit_test(one_key_written_in_two_ways),
		cmocka_unit_test(errors_name_the_line),
		cmocka_unit_test(depth_is_limited),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
