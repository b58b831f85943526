#include "kit/dir.h"
#include "kit/test.h"
#include "reaper/letter.h"

#include <fcntl.h>
#include <sys/stat.h>

/* What is read when somebody has written len bytes of text. */
static struct letter read_back(const char *text, size_t len)
{
	struct letter letter;
	int ends[2];

	assert_int_equal(pipe2(ends, O_NONBLOCK), 0);
	assert_int_equal(write(ends[1], text, len), len);
	letter_read(ends[0], &letter);
	close(ends[0]);
	close(ends[1]);
	return letter;
}

static void letters_are_read(void **state)
{
	static const struct {
		const char *text;
		size_t len;
		bool restarts;
		const char *dir, *groups;
	} rows[] = {
		{"", 0, false, "", ""},
		{"r", 1, true, "", ""},
		{"d/tmp/x", 8, false, "/tmp/x", ""},
		{"d/tmp/x\0r", 9, true, "/tmp/x", ""},
		{"rd/tmp/r", 9, true, "/tmp/r", ""},
		{"g/g/x-\0d/d", 11, false, "/d", "/g/x-"},
		{"d/d\0rg/g", 9, true, "/d", "/g"},
		{"d/tmp/x", 7, false, "", ""}, /* cut off */
		{"g/g/x", 5, false, "", ""},
		{"d", 1, false, "", ""},
		{"?\0\xffr", 4, true, "", ""},
	};

	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct letter letter = read_back(rows[i].text, rows[i].len);

		if (letter.restarts != rows[i].restarts || strcmp(letter.dir, rows[i].dir) != 0 ||
			strcmp(letter.groups, rows[i].groups) != 0)
			fail_msg("row %zu: %d '%s' '%s'", i, letter.restarts, letter.dir,
				letter.groups);
	}
}

static void a_path_may_be_too_long(void **state)
{
	char text[PATH_MAX + 8];

	memset(text, 'x', sizeof text);
	text[0] = 'd';
	text[sizeof text - 1] = '\0';
	assert_string_equal(read_back(text, sizeof text).dir, "");
}

static void directories_are_removed(void **state)
{
	auto_(free_at_exit) char *dir = kit_dir_path("private");
	auto_(free_at_exit) char *link = kit_dir_path("link");
	auto_(free_at_exit) char *kept = NULL;

	assert_int_equal(mkdir(dir, 0700), 0);
	free(kit_dir_write_text("private/node", ""));
	free(kit_dir_write_text("private/token", "5"));
	letter_remove(dir);
	assert_int_equal(access(dir, F_OK), -1);
	letter_remove(dir); /* it is gone already */
	/* What is in the way of a link stays. */
	assert_int_equal(mkdir(dir, 0700), 0);
	kept = kit_dir_write_text("private/kept", "");
	assert_int_equal(symlink(dir, link), 0);
	letter_remove(link);
	assert_int_equal(access(kept, F_OK), 0);
}

static const char *group_path(const char *top, const char *name)
{
	static char path[PATH_MAX];

	snprintf(path, sizeof path, "%s/%s", top, name);
	return path;
}

static void groups_are_removed(void **state)
{
	static const struct {
		const char *name;
		bool stays;
	} rows[] = {{"app-5-1", false}, {"app-5-22", false}, {"app-55-1", true}, {"app-5", true}};
	auto_(free_at_exit) char *prefix = kit_dir_path("groups/app-5-");
	auto_(free_at_exit) char *top = kit_dir_path("groups");

	assert_int_equal(mkdir(top, 0700), 0);
	for (size_t i = 0; i < ARRAY_LEN(rows); i++)
		assert_int_equal(mkdir(group_path(top, rows[i].name), 0700), 0);
	letter_remove_groups(prefix);
	for (size_t i = 0; i < ARRAY_LEN(rows); i++)
		if ((access(group_path(top, rows[i].name), F_OK) == 0) != rows[i].stays)
			fail_msg("%s", rows[i].name);
	letter_remove_groups("nowhere");
	letter_remove_groups("/nowhere/app-");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(letters_are_read),
		cmocka_unit_test(a_path_may_be_too_long),
		cmocka_unit_test(directories_are_removed),
		cmocka_unit_test(groups_are_removed),
	};

	return cmocka_run_group_tests(tests, kit_dir_make, kit_dir_remove);
}
