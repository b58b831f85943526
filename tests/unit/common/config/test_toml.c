#include "common/config/toml.h"

#include "common/base/text.h"
#include "kit/vectors.h"

#include <inttypes.h>
#include <math.h>

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

	assert_int_equal(toml_parse("a = 1\nb = \n", 11, &doc, &why), -EINVAL);
	assert_memory_equal(why.text, "line 2: ", 8);
	assert_int_equal(toml_parse("a = \"\xff\"\n", 8, &doc, &why), -EINVAL);
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
	struct value_map map = {0};
	struct toml *doc = NULL;
	int r;

	assert_int_equal(text_printf(&text, "%s", first), 0);
	for (size_t i = 0; i < n; i++)
		assert_int_equal(text_add(&text, part, strlen(part)), 0);
	assert_int_equal(text_printf(&text, "%s", last), 0);
	r = toml_parse(text.data, text.len, &doc, NULL);
	if (r == 0)
		r = toml_flatten(doc, "", &map, NULL);
	value_map_done(&map);
	toml_free(doc);
	text_done(&text);
	return r;
}

/* A document is freed whatever its depth, also when it is refused; a configuration is not so deep.
 */
static void depth_is_limited(void **state)
{
	static const size_t many = 100000;

	assert_int_equal(parse_repeated("a", ".a", 63, " = 1\n"), 0);
	assert_int_equal(parse_repeated("a", ".a", 64, " = 1\n"), -EINVAL);
	assert_int_equal(parse_repeated("a", ".a", many, " = 1\n"), -EINVAL);
	assert_int_equal(parse_repeated("a", ".a", many, " = 1\n?\n"), -EINVAL);
	assert_int_equal(parse_repeated("\xef\xbb\xbf[a", ".a", many, "]\n"), -EINVAL);
	assert_int_equal(parse_repeated("[a", ".a", many, "]\n"), -EINVAL);
	assert_int_equal(parse_repeated("[[a", ".a", many, "]]\n"), -EINVAL);
	assert_int_equal(parse_repeated("[[a", ".a", many, "]]\n?\n"), -EINVAL);
	assert_int_equal(parse_repeated("x = { b", ".a", many, " = 1 }\n"), -EINVAL);
	assert_int_equal(parse_repeated("x = [ { b", ".a", many, " = 1 }\n"), -EINVAL);
	assert_int_equal(parse_repeated("x = ", "{ a = ", many, ""), -EINVAL);
	assert_int_equal(parse_repeated("x = ", "[", many, ""), -EINVAL);
	assert_int_equal(parse_repeated("a = \"", ".a", 1000, "\"\n"), 0);
	assert_int_equal(parse_repeated("[a.b.c]\n", "# x\n", 1000, "d.e = 1.5\n"), 0);
}

/* The document can be read, and is too much to be kept. */
static void expect_too_much(const struct text *text)
{
	struct reason why = {0};
	struct value_map map = {0};
	struct toml *doc = NULL;

	assert_int_equal(toml_parse(text->data, text->len, &doc, &why), 0);
	assert_int_equal(toml_flatten(doc, "", &map, &why), -EINVAL);
	assert_non_null(strstr(why.text, "too much"));
	value_map_done(&map);
	toml_free(doc);
}

/* Names are stored with all names above them. */
static void names_are_limited(void **state)
{
	struct text text = {0};

	assert_int_equal(text_printf(&text, "[%065536d]\n", 1), 0);
	for (int i = 0; i < 16; i++)
		assert_int_equal(text_printf(&text, "k%d = 1\n", i), 0);
	expect_too_much(&text);
	text.len = 0;
	for (int i = 0; i < 20000; i++)
		assert_int_equal(text_printf(&text, "k%d = 1\n", i), 0);
	expect_too_much(&text);
	text_done(&text);
}

/* Integers of any size are good where nobody asks for them. */
static void large_integers_are_named(void **state)
{
	struct toml *doc =
		parsed("[sweeps]\nseed = 15390646978706312628 # one\n"
		       "more = [18446744073709551615, 1, -9223372036854775809]\n"
		       "[config]\nlr = 1e999\nbefore = 1\nseed = 0xffff_ffff_ffff_ffff\n");
	struct value_map map = {0};
	struct reason why = {0};

	assert_int_equal(toml_flatten(doc, "config", &map, &why), -EINVAL);
	assert_non_null(strstr(why.text, "value of seed is an integer"));
	assert_int_equal(map.n, 2);
	value_map_done(&map);
	toml_free(doc);
}

/* ---- against Flower's parser ---- */

static void append_hex(struct text *line, const char *bytes, size_t len)
{
	for (size_t i = 0; i < len; i++)
		assert_int_equal(text_printf(line, "%02x", (unsigned char)bytes[i]), 0);
}

static void append_entry(struct text *line, const struct value_entry *entry)
{
	uint64_t bits;

	append_hex(line, entry->key, strlen(entry->key));
	if (entry->value.kind == VALUE_BOOL) {
		assert_int_equal(text_printf(line, " b %d\n", entry->value.b), 0);
	} else if (entry->value.kind == VALUE_SINT) {
		assert_int_equal(text_printf(line, " i %" PRId64 "\n", entry->value.i), 0);
	} else if (entry->value.kind == VALUE_DOUBLE && isnan(entry->value.d)) {
		assert_int_equal(text_printf(line, " f nan\n"), 0);
	} else if (entry->value.kind == VALUE_DOUBLE) {
		memcpy(&bits, &entry->value.d, sizeof bits);
		assert_int_equal(text_printf(line, " f %016" PRIx64 "\n", bits), 0);
	} else {
		assert_int_equal(text_printf(line, " s "), 0);
		append_hex(line, entry->value.s.data, entry->value.s.len);
		assert_int_equal(text_printf(line, "\n"), 0);
	}
}

static int compare_lines(const void *a, const void *b)
{
	return strcmp(((const struct text *)a)->data, ((const struct text *)b)->data);
}

/* Write a value as gen_toml.py does. */
static void our_answer(const char *document, size_t len, struct text *out, struct reason *why)
{
	struct value_map map = {0};
	struct toml *doc = NULL;
	struct text *lines;

	if (toml_parse(document, len, &doc, why) != 0) {
		assert_int_equal(text_printf(out, "refused"), 0);
		return;
	}
	if (toml_flatten(doc, "", &map, why) != 0) {
		assert_int_equal(text_printf(out, "taken"), 0);
	} else {
		lines = calloc(map.n + 1, sizeof *lines);
		assert_non_null(lines);
		for (size_t i = 0; i < map.n; i++)
			append_entry(&lines[i], &map.v[i]);
		qsort(lines, map.n, sizeof *lines, compare_lines);
		for (size_t i = 0; i < map.n; i++) {
			assert_int_equal(text_add(out, lines[i].data, lines[i].len), 0);
			text_done(&lines[i]);
		}
		free(lines);
	}
	value_map_done(&map);
	toml_free(doc);
}

static void as_flowers_parser(void **state)
{
	size_t document_len, answer_len;
	unsigned n = 0, wrong = 0;
	struct kit_child judge;

	kit_child_start(&judge, KIT_OLDEST, FLWR_TEST_DIR "/gen_toml.py", vector_seed());
	for (; fscanf(judge.from, "%zu %zu%*1[\n]", &document_len, &answer_len) == 2; n++) {
		char *document = malloc(document_len + 1), *theirs = calloc(1, answer_len + 1);
		struct text ours = {0};
		struct reason why = {0};

		assert_true(document && theirs);
		assert_int_equal(fread(document, 1, document_len, judge.from), document_len);
		assert_int_equal(fread(theirs, 1, answer_len, judge.from), answer_len);
		document[document_len] = '\0';
		our_answer(document, document_len, &ours, &why);
		if (strcmp(ours.data ? ours.data : "", theirs) != 0) {
			print_error("%s\n  theirs: %s\n  ours: %s (%s)\n", document, theirs,
				ours.data, why.text);
			wrong++;
		}
		text_done(&ours);
		free(document);
		free(theirs);
	}
	kit_child_end(&judge);
	print_message("%u documents\n", n);
	assert_true(n > 3000);
	assert_int_equal(wrong, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_manifest),
		cmocka_unit_test(what_is_no_scalar_is_named),
		cmocka_unit_test(one_key_written_in_two_ways),
		cmocka_unit_test(errors_name_the_line),
		cmocka_unit_test(depth_is_limited),
		cmocka_unit_test(names_are_limited),
		cmocka_unit_test(large_integers_are_named),
		cmocka_unit_test(as_flowers_parser),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
