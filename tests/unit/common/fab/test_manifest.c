#include "common/fab/manifest.h"
#include "common/fab/manifest_form.h"
#include "kit/test.h"

#define PROJECT(name, version)        "[project]\nname = " name "\nversion = " version "\n"
#define PUBLISHER(publisher)          "[tool.flwr.app]\npublisher = " publisher "\n"
#define COMPONENTS                    "[tool.flwr.app.components]\nclientapp = \"a.b:app\"\n"
#define APP(publisher, name, version) PROJECT(name, version) PUBLISHER(publisher) COMPONENTS

static void test_good(void **state)
{
	static const char text[] = APP(
		"\"org\"", "\"app\"", "\"1.0+x!1\"") "[tool.flwr.app.config]\na = 1\nb.c = "
						     "\"x\"\n[tool.flwr.app.config.d]\ne = 0.5\n";
	struct manifest manifest = {0};
	struct reason why = {0};

	assert_int_equal(manifest_parse(text, strlen(text), &manifest, &why), 0);
	assert_string_equal(manifest.publisher, "org");
	assert_string_equal(manifest.name, "app");
	assert_string_equal(manifest.version, "1.0+x!1");
	assert_string_equal(manifest.fab_id, "org/app");
	assert_string_equal(manifest.clientapp, "a.b:app");
	assert_int_equal(manifest.config.n, 3);
	assert_int_equal(value_map_get(&manifest.config, "a")->i, 1);
	assert_string_equal(value_map_get(&manifest.config, "b.c")->s.data, "x");
	assert_true(value_map_get(&manifest.config, "d.e")->d == 0.5);
	char *name = manifest_directory(&manifest, "0123456789abcdef", 8);

	assert_string_equal(name, "org.app.1.0+x!1.01234567");
	free(name);
	manifest_done(&manifest);
}

/* Flower takes any text as a publisher; so what a directory can be called is taken. */
static void test_wide_names(void **state)
{
	static const char text[] = APP("\"Some Örg, Inc. (x)\"", "\"a..b\"", "\"~1\"");
	struct manifest manifest = {0};
	struct reason why = {0};

	assert_int_equal(manifest_parse(text, strlen(text), &manifest, &why), 0);
	assert_int_equal(manifest.config.n, 0);
	manifest_done(&manifest);
}

#define TEN     "aaaaaaaaaa"
#define HUNDRED TEN TEN TEN TEN TEN TEN TEN TEN TEN TEN

static void test_bad(void **state)
{
	static const struct {
		const char *text;
		const char *why;
	} rows[] = {
		{"", "tool.flwr.app.publisher"},
		{"x = ", "pyproject.toml"},
		{"x = \"\xff\"", "UTF-8"},
		{PROJECT("\"a\"", "\"1\"") COMPONENTS, "tool.flwr.app.publisher"},
		{"[project]\nversion = \"1\"\n" PUBLISHER("\"p\"") COMPONENTS, "project.name"},
		{"[project]\nname = \"1\"\n" PUBLISHER("\"p\"") COMPONENTS, "project.version"},
		{PROJECT("\"a\"", "\"1\"") PUBLISHER("\"p\""), "components.clientapp"},
		{APP("\"p\"", "\"a\"", "1.0"), "project.version"},
		{APP("\"\"", "\"a\"", "\"1\""), "empty"},
		{APP("\"..\"", "\"a\"", "\"1\""), "dot"},
		{APP("\".p\"", "\"a\"", "\"1\""), "dot"},
		{APP("\"p/q\"", "\"a\"", "\"1\""), "slash"},
		{APP("\"p\"", "\"../a\"", "\"1\""), "project.name"},
		{APP("\"p\"", "\"a/../../b\"", "\"1\""), "slash"},
		{APP("\"p\"", "\"a\"", "\"1/2\""), "project.version"},
		{APP("\"p\"", "\"a\\\\b\"", "\"1\""), "backslash"},
		{APP("\"p\\n\"", "\"a\"", "\"1\""), "control"},
		{APP("\"p\\u0085\"", "\"a\"", "\"1\""), "control"},
		{APP("\"" HUNDRED "\"", "\"" HUNDRED "\"", "\"" HUNDRED "\""), "too long"},
		{APP("\"p\"", "\"a\"", "\"1\"") "[tool.flwr.app.config]\nkey = [1]\n", "key"},
		{APP("\"p\"", "\"a\"", "\"1\"") "[tool.flwr.app.config]\nk = 1979-05-27\n", "k"},
	};

	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct manifest manifest = {0};
		struct reason why = {0};
		int r = manifest_parse(rows[i].text, strlen(rows[i].text), &manifest, &why);

		if (r != -EBADMSG || !strstr(why.text, rows[i].why))
			fail_msg("row %zu: %d %s", i, r, why.text);
		assert_null(manifest.publisher);
	}
}

/* From one process to another and back; whatever is not whole or changed is refused or another
 * manifest, never read beyond. */
static void test_form(void **state)
{
	static const char text[] =
		APP("\"org\"", "\"app\"", "\"1\"") "[tool.flwr.app.config]\na = -1\nb = "
						   "\"x\\u0000\"\nc = 0.5\nd = true\n";
	auto_(text_done) struct text form = {0};
	auto_(manifest_done) struct manifest manifest = {0};
	struct reason why = {0};

	assert_int_equal(manifest_parse(text, strlen(text), &manifest, &why), 0);
	assert_int_equal(manifest_form_write(&manifest, NULL, &form), 0);
	for (size_t len = 0; len <= form.len; len++) {
		struct manifest copy = {0};
		auto_(free_at_exit) char *bytes = malloc(len + 1);
		int r;

		assert_non_null(bytes);
		memcpy(bytes, form.data, len);
		r = manifest_form_read(bytes, len, &copy, &why);
		assert_int_equal(r, len == form.len ? 0 : -EBADMSG);
		if (r < 0)
			continue;
		assert_string_equal(copy.fab_id, "org/app");
		assert_string_equal(copy.clientapp, manifest.clientapp);
		assert_true(value_map_equal(&copy.config, &manifest.config));
		manifest_done(&copy);
	}
	for (size_t at = 0; at < form.len * 8; at++) {
		struct manifest copy = {0};

		form.data[at / 8] = (char)(form.data[at / 8] ^ 1 << at % 8);
		if (manifest_form_read(form.data, form.len, &copy, &why) == 0)
			assert_null(strchr(copy.name, '/'));
		manifest_done(&copy);
		form.data[at / 8] = (char)(form.data[at / 8] ^ 1 << at % 8);
	}
	form.len = 0;
	assert_int_equal(manifest_form_write(&manifest, "because", &form), 0);
	assert_int_equal(manifest_form_read(form.data, form.len, &manifest, &why), -EBADMSG);
	assert_string_equal(why.text, "because");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_good),
		cmocka_unit_test(test_wide_names),
		cmocka_unit_test(test_bad),
		cmocka_unit_test(test_form),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
