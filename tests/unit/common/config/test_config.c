#include "common/config/config.h"

#include "common/base/files.h"
#include "common/base/text.h"
#include "kit/dir.h"
#include "kit/vectors.h"

#include <ctype.h>
#include <fcntl.h>
#include <sys/stat.h>

/* ---- against the real parser ---- */

/* What the real one said. */
struct verdict {
	char *rule;
	char *text;
	bool accepted;
	struct value_map map;
};

/* "-616263" to "abc", in place; behind the '-' so that nothing is a word, too. */
static char *unhex(char *hex)
{
	size_t n = 0;

	for (hex++; hex[2 * n]; n++) {
		char digits[3] = {hex[2 * n], hex[2 * n + 1], '\0'};

		hex[n] = (char)strtoul(digits, NULL, 16);
	}
	hex[n] = '\0';
	return hex;
}

static void entry_read(char *line, struct value_map *map)
{
	char *save = NULL;
	char *kind = strtok_r(line, " ", &save);
	char *key = unhex(strtok_r(NULL, " ", &save));
	char *text = strtok_r(NULL, " ", &save);
	struct value value = {0};

	if (strcmp(kind, "bool") == 0) {
		value = (struct value){.kind = VALUE_BOOL, .b = *text == '1'};
	} else if (strcmp(kind, "int") == 0) {
		value = (struct value){.kind = VALUE_SINT, .i = strtoll(text, NULL, 10)};
	} else if (strcmp(kind, "float") == 0) {
		value = (struct value){.kind = VALUE_DOUBLE, .d = strtod(text, NULL)};
	} else {
		text = unhex(text);
		assert_int_equal(value_set_bytes(&value, VALUE_STRING, text, strlen(text)), 0);
	}
	assert_int_equal(value_map_set(map, key, &value), 0);
}

/* The next verdict; false at the end. */
static bool verdict_read(struct kit_child *judge, struct verdict *out)
{
	char *line;

	*out = (struct verdict){0};
	while ((line = kit_child_line(judge))) {
		if (strncmp(line, "text ", 5) == 0) {
			char *hex = strchr(line + 5, ' ');

			*hex++ = '\0';
			out->rule = strdup(line + 5);
			out->text = strdup(unhex(hex));
		} else if (strncmp(line, "entry ", 6) == 0) {
			entry_read(line + 6, &out->map);
		} else {
			out->accepted = strcmp(line, "accepted") == 0;
			break;
		}
	}
	return line;
}

static bool has_nan(const struct value_map *map)
{
	for (size_t i = 0; i < map->n; i++) {
		const struct value *value = &map->v[i].value;

		if (value->kind == VALUE_DOUBLE && value->d != value->d)
			return true;
	}
	return false;
}

static void verdict_check(const struct verdict *verdict)
{
	struct value_map map = {0};
	struct reason why = {0};
	int r = config_parse(verdict->text, &map, &why);
	bool same = strcmp(verdict->rule, "same") == 0;

	if (same && (r == 0) != verdict->accepted)
		fail_msg("\"%s\": %d (%s), the real one says %d", verdict->text, r, why.text,
			verdict->accepted);
	if (strcmp(verdict->rule, "stricter") == 0 && (r == 0 || !verdict->accepted))
		fail_msg("\"%s\": %d, the real one says %d", verdict->text, r, verdict->accepted);
	if (r == 0 && !verdict->accepted)
		fail_msg("\"%s\" is taken, but not by the real one", verdict->text);
	if (r == 0 && !has_nan(&map) && !value_map_equal(&map, &verdict->map))
		fail_msg("\"%s\" means something else", verdict->text);
	if (r < 0) {
		assert_true(r == -EINVAL || r == -ENOENT);
		assert_true(strlen(why.text) > 0);
		assert_int_equal(map.n, 0);
	}
	value_map_done(&map);
}

static void as_the_real_parser(void **state)
{
	struct kit_child judge;
	struct verdict verdict;
	size_t n = 0;

	kit_child_start(&judge, KIT_OLDEST, FLWR_TEST_DIR "/gen_config.py", vector_seed());
	while (verdict_read(&judge, &verdict)) {
		verdict_check(&verdict);
		free(verdict.rule);
		free(verdict.text);
		value_map_done(&verdict.map);
		n++;
	}
	kit_child_end(&judge);
	assert_true(n > 3000);
}

/* ---- sentences ---- */

static bool printable(const char *text)
{
	while (isprint((unsigned char)*text))
		text++;
	return !*text;
}

static void sentences_name_key_and_remedy(void **state)
{
	static const struct {
		const char *text, *key, *remedy;
	} rows[] = {
		{"partition-id", "\"partition-id\"", "key=value"},
		{"a=1 b=", "\"b\"", "has no value"},
		{"name=alice", "\"name\"", "name=\"alice\""},
		{"on=True", "\"on\"", "true or false"},
		{"k='x", "\"k\"", "closing quote"},
		{"k='x'y", "\"k\"", "space between"},
		{"a=1 k=2 k=3", "\"k\"", "twice"},
		{"a=1 k=[1]", "\"k\"", "bool, integer, float or string"},
		{"k=2024-01-01", "\"k\"", "bool, integer, float or string"},
		{"=1", "no key", "key=value"},
		{"conf.json", "\"conf.json\"", ".toml file"},
		{"name=alice", "\"name\"", "the shell"},
		{"a=1 k.b=2 k=3", "\"k\"", "contradicts one before it"},
		{"k={a=1} b=2 k.c=3", "\"k.c\"", "contradicts one before it"},
		/* The value is good, the key is not. */
		{"a b=1", "\"a\"", "has no value"},
		{"k..l=1", "\"k..l\"", "is not one: a key is made of"},
		{"[k]=1", "\"[k]\"", "is not one: a key is made of"},
		{"\xc3\xa4=1", "\"\\xc3\\xa4\"", "is not one: a key is made of"},
		{"#k=1", "\"#k\"", "is not one: a key is made of"},
		/* The other way round. */
		{"k={}", "\"k\"", "the value \"{}\", which is no bool"},
		{"k=99999999999999999999", "\"k\"", "64 bits"},
		{"k=-99999999999999999999", "\"k\"", "64 bits"},
		{"k=01", "\"k\"", "no 0 in front"},
		{"k=.5", "\"k\"", "both sides of its dot"},
		{"k=\"\\q\"", "\"k\"", "backslash"},
		{"k='a\nb'", "\"k\"", "control character"},
		{"k='\xff'", "\"k\"", "not UTF-8"},
		/* A text that is shown does nothing to a terminal. */
		{"\x1b[31m=x", "\\x1b[31m", "key=\"alice\""},
		{"a\x1b\nb.toml", "a\\x1b\\x0ab.toml", "No such file"},
		{"name=x.toml", "\"name=x.toml\"", "a string needs quotes"},
		{"/", "\"/\"", "has no value"},
		{"/dev/null/x.toml", "\"/dev/null/x.toml\"", "Not a directory"},
		{"nonexistent.toml", "nonexistent.toml", "No such file"},
	};

	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct value_map map = {0};
		struct reason why = {0};

		assert_true(config_parse(rows[i].text, &map, &why) < 0);
		if (!strstr(why.text, rows[i].key) || !strstr(why.text, rows[i].remedy))
			fail_msg("%s: %s", rows[i].text, why.text);
		assert_true(strlen(why.text) < REASON_BYTES - 1);
		assert_true(printable(why.text));
	}
}

static void a_file(void **state)
{
	auto_(free_at_exit) char *path = kit_dir_write_text("node.toml", "a = 1\n[t]\nb = \"x\"\n");
	auto_(close_at_exit) int fd = open(path, O_RDWR | O_APPEND | O_CLOEXEC);
	struct value_map map = {0};
	struct reason why = {0};

	assert_int_equal(config_parse(path, &map, &why), 0);
	assert_int_equal(map.n, 2);
	assert_string_equal(value_map_get(&map, "t.b")->s.data, "x");
	value_map_done(&map);
	assert_int_equal(fd_write_all(fd, "c = [1]\n", 8), 0);
	assert_int_equal(config_parse(path, &map, &why), -EINVAL);
	assert_non_null(strstr(why.text, "t.c"));
	assert_non_null(strstr(why.text, path));
	assert_int_equal(ftruncate(fd, 2 << 20), 0);
	assert_int_equal(config_parse(path, &map, &why), -EFBIG);
}

/* Files with something else in them: one line that names the file. */
static void a_broken_file(void **state)
{
	static const struct {
		const char *content, *says;
	} rows[] = {
		{"a = \n", "line 1"},
		{"a = 1\nb = [\n", "line 2"},
		{"a = 1\na = 2\n", "line 2"},
		{"a = alice\n", "line 1"},
		{"{\"a\": 1}\n", "line 1"},
		{"a: 1\n", "line 1"},
		{"\xff\xfe", "line 1"},
		{"a = 99999999999999999999\n", "64 bits"},
		{"a = 2024-01-01\n", "a date or a time"},
		{"\"a\\n\\u001bb\" = [1]\n", "an array"},
	};

	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		auto_(free_at_exit) char *path = kit_dir_write_text("node.toml", rows[i].content);
		struct value_map map = {0};
		struct reason why = {0};

		assert_int_equal(config_parse(path, &map, &why), -EINVAL);
		if (!strstr(why.text, path) || !strstr(why.text, rows[i].says) ||
			!printable(why.text))
			fail_msg("%s: %s", rows[i].content, why.text);
		assert_int_equal(map.n, 0);
	}
}

/* The reader does not wait for something that is no regular file. */
static void no_file(void **state)
{
	auto_(free_at_exit) char *directory = kit_dir_path("dir.toml");
	auto_(free_at_exit) char *loop = kit_dir_path("loop.toml");
	auto_(free_at_exit) char *pipe = kit_dir_path("pipe.toml");
	struct value_map map = {0};
	struct reason why = {0};

	assert_int_equal(mkdir(directory, 0700), 0);
	assert_int_equal(symlink("loop.toml", loop), 0);
	assert_int_equal(mkfifo(pipe, 0600), 0);
	assert_int_equal(config_parse(directory, &map, &why), -EISDIR);
	assert_non_null(strstr(why.text, "dir.toml"));
	assert_int_equal(config_parse(loop, &map, &why), -ELOOP);
	assert_non_null(strstr(why.text, "loop.toml"));
	assert_int_equal(config_parse(pipe, &map, &why), -EINVAL);
	assert_non_null(strstr(why.text, "no regular file"));
}

/* ---- fusing ---- */

static void overrides_override(void **state)
{
	struct value_map defaults = {0}, overrides = {0}, fused = {0}, none = {0};
	struct reason why = {0};

	assert_int_equal(config_parse("z=1 b='x' a.c=2.5", &defaults, &why), 0);
	assert_int_equal(config_parse("a.c='text' z=7", &overrides, &why), 0);
	assert_int_equal(config_fuse(&defaults, &overrides, &fused, &why), 0);
	assert_int_equal(fused.n, 3);
	assert_string_equal(fused.v[0].key, "z");
	assert_int_equal(value_map_get(&fused, "z")->i, 7);
	assert_string_equal(value_map_get(&fused, "b")->s.data, "x");
	assert_string_equal(value_map_get(&fused, "a.c")->s.data, "text");
	assert_int_equal(value_map_get(&defaults, "z")->i, 1);
	value_map_done(&fused);
	value_map_done(&overrides);
	assert_int_equal(config_parse("z=1 strange=2", &overrides, &why), 0);
	assert_int_equal(config_fuse(&defaults, &overrides, &fused, &why), -EINVAL);
	assert_non_null(strstr(why.text, "\"strange\""));
	assert_int_equal(fused.n, 0);
	assert_int_equal(config_fuse(&none, &overrides, &fused, &why), -EINVAL);
	assert_int_equal(config_fuse(&none, &none, &fused, &why), 0);
	assert_int_equal(fused.n, 0);
	value_map_done(&overrides);
	value_map_done(&defaults);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(as_the_real_parser),
		cmocka_unit_test(sentences_name_key_and_remedy),
		cmocka_unit_test(a_file),
		cmocka_unit_test(a_broken_file),
		cmocka_unit_test(no_file),
		cmocka_unit_test(overrides_override),
	};

	return cmocka_run_group_tests(tests, kit_dir_make, kit_dir_remove);
}
