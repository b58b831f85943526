/*
 * Trusted entities: keys and signatures made by ssh-keygen and Flower 1.41, whose own functions are
 * the judge: the same verdict for each file and each FAB.
 */
#include "common/base/text.h"
#include "common/fab/trusted.h"
#include "common/message/envelope.h"
#include "kit/dir.h"
#include "kit/vectors.h"

#include <fcntl.h>

#define KEY "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"

/* Files that Flower takes and we refuse, on purpose: see gen_trusted.py. */
static const char *const stricter[] = {"nobody.yaml", "twice.yaml"};

static bool is_stricter(const char *name)
{
	for (size_t i = 0; i < ARRAY_LEN(stricter); i++)
		if (strcmp(stricter[i], name) == 0)
			return true;
	return false;
}

static void check_file(const char *name, bool good)
{
	auto_(free_at_exit) char *path = kit_dir_path(name);
	struct trusted *trusted = NULL;
	struct reason why = {0};
	int r = trusted_load(path, &trusted, &why);

	if (is_stricter(name)) {
		assert_true(good);
		good = false;
	}
	if ((r == 0) != good)
		fail_msg("%s: %d %s", name, r, why.text);
	if (r < 0 && ((r != -EBADMSG && r != -ENOTSUP) || !strstr(why.text, path)))
		fail_msg("%s: %d %s", name, r, why.text);
	assert_int_equal(r == 0, trusted != NULL);
	trusted_free(trusted);
}

static void bytes_of(const char *hex, struct slices *out)
{
	size_t len = strlen(hex) / 2;
	auto_(free_at_exit) unsigned char *bytes = malloc(len + 1);

	*out = (struct slices){0};
	for (size_t i = 0; i < len; i++)
		sscanf(hex + 2 * i, "%2hhx", &bytes[i]);
	assert_int_equal(slices_append_copy(out, bytes, len), 0);
}

static void check_fab(const struct trusted *trusted, const char *name, bool good, const char *hex)
{
	auto_(slices_done) struct slices bytes, content = {0};
	auto_(value_map_done) struct value_map verifications = {0};
	auto_(free_at_exit) char *hash = NULL;
	unsigned char sha256[SHA256_BYTES];
	char digits[SHA256_HEX_BYTES];
	struct reason why = {0};
	int r;

	bytes_of(hex, &bytes);
	assert_int_equal(fab_decode(&bytes, &hash, &content, &verifications), 0);
	assert_int_equal(sha256_slices(&content, digits), 0);
	assert_string_equal(digits, hash);
	assert_int_equal(sha256_from_hex(digits, sha256), 0);
	r = trusted_check(trusted, sha256, &verifications, &why);
	if (r != (good ? 0 : -EACCES) || !why.text[0] != good)
		fail_msg("%s: %d %s", name, r, why.text);
	if (strcmp(name, "no-license") == 0)
		assert_non_null(strstr(why.text, "does not support"));
	if (strcmp(name, "stranger") == 0)
		assert_non_null(strstr(why.text, "no trusted entity"));
	if (strcmp(name, "false-name") == 0)
		assert_non_null(strstr(why.text, "fpk_a"));
}

static void files_and_fabs_are_judged_as_flower_judges(void **state)
{
	auto_(free_at_exit) char *path = kit_dir_path("entities.yaml");
	struct trusted *trusted = NULL;
	struct reason why = {0};
	unsigned n = 0, good = 0;
	struct kit_child judge;
	char *line;

	kit_child_start(&judge, KIT_NEWEST, FLWR_TEST_DIR "/gen_trusted.py", kit_dir);
	for (; (line = kit_child_line(&judge)); n++) {
		char kind[8], name[32], verdict[8];
		bool yes;
		int at;

		if (sscanf(line, "%7s %31s %7s%n", kind, name, verdict, &at) != 3)
			fail_msg("%s", line);
		yes = strcmp(verdict, "yes") == 0;
		good += yes;
		if (strcmp(kind, "file") == 0) {
			check_file(name, yes);
			continue;
		}
		if (!trusted && trusted_load(path, &trusted, &why) != 0)
			fail_msg("%s", why.text);
		check_fab(trusted, name, yes, line + at + (line[at] == ' '));
	}
	kit_child_end(&judge);
	print_message("%u verdicts, %u of them good\n", n, good);
	assert_true(n > 140 && good > 30);
	trusted_free(trusted);
}

static void a_broken_file_is_refused_with_a_sentence(void **state)
{
	static const struct {
		const char *text;
		int r;
		const char *why;
	} rows[] = {
		{"fpk_a: " KEY "\n", 0, ""},
		{"fpk_a: ssh-rsa AAAAB3NzaC1yc2E=\n", -ENOTSUP, "ssh-keygen -t ed25519"},
		{"fpk_a: " KEY "\nfpk_a: " KEY "\n", -EBADMSG, "twice"},
		{"valid_license: " KEY "\n", -EBADMSG, "valid_license"},
		{"'': " KEY "\n", -EBADMSG, "no id"},
		{"\"a\\0b\": " KEY "\n", -EBADMSG, "NUL"},
		{"a: \"" KEY "\\0\"\n", 0, ""},
		{"{}", -EBADMSG, "no entity"},
		{"", -EBADMSG, "one map"},
		{"a: {b: c}\n", -EBADMSG, "line 1"},
		{"a: " KEY "\nb:\n  - c\n", -EBADMSG, "line 3"},
		{"a: 'b\n", -EBADMSG, "no YAML: line 2"},
	};
	struct trusted *trusted = NULL;
	struct reason why = {0};

	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		auto_(free_at_exit) char *path = kit_dir_write_text("file.yaml", rows[i].text);
		int r;

		why = (struct reason){0};
		r = trusted_load(path, &trusted, &why);
		if (r != rows[i].r || !strstr(why.text, rows[i].why))
			fail_msg("row %zu: %d %s", i, r, why.text);
		trusted_free(trusted);
		trusted = NULL;
	}
	assert_int_equal(trusted_load("/nonexistent/x.yaml", &trusted, &why), -ENOENT);
	assert_non_null(strstr(why.text, "/nonexistent/x.yaml"));
	assert_int_equal(trusted_load(kit_dir, &trusted, &why), -EISDIR);
	trusted_free(NULL);
}

static void a_file_that_is_too_large_is_refused(void **state)
{
	size_t len = TRUSTED_FILE_MAX_BYTES + 1;
	auto_(free_at_exit) char *text = calloc(1, len);
	struct trusted *trusted = NULL;
	struct reason why = {0};

	memset(text, '[', len);
	auto_(free_at_exit) char *path = kit_dir_write("large.yaml", text, len);

	assert_int_equal(trusted_load(path, &trusted, &why), -EFBIG);
	free(path);
	path = kit_dir_write("large.yaml", text, len - 1);
	assert_int_equal(trusted_load(path, &trusted, &why), -EBADMSG);
}

/* Any change leads to a sentence or to a file of another meaning; never to a crash. */
static void a_changed_file_never_crashes(void **state)
{
	char text[] = "---\n# all\nfpk_a: " KEY "\nfpk_b: '" KEY " me'\n\"fpk_c\": >-\n  " KEY "\n";

	for (int i = 0; i < 4000; i++) {
		size_t where = vector_random() % (sizeof text - 1);
		char was = text[where];
		struct trusted *trusted = NULL;
		struct reason why = {0};
		int r;

		text[where] = (char)((unsigned)was ^ 1u << vector_random() % 8);
		auto_(free_at_exit) char *path =
			kit_dir_write("changed.yaml", text, i % 4 ? sizeof text - 1 : where);

		r = trusted_load(path, &trusted, &why);
		if (r != 0 && r != -EBADMSG && r != -ENOTSUP)
			fail_msg("%d %s", r, why.text);
		assert_int_equal(r == 0, !why.text[0]);
		trusted_free(trusted);
		text[where] = was;
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(files_and_fabs_are_judged_as_flower_judges),
		cmocka_unit_test(a_broken_file_is_refused_with_a_sentence),
		cmocka_unit_test(a_file_that_is_too_large_is_refused),
		cmocka_unit_test(a_changed_file_never_crashes),
	};

	return cmocka_run_group_tests(tests, kit_dir_make, kit_dir_remove);
}
