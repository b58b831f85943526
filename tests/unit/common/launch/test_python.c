#include "common/launch/python.h"
#include "kit/dir.h"
#include "rig.h"

#include <sys/stat.h>

/* kit_dir has bin/python3 (executable), plain/python3 (not) and folder/python3/ in it. */
static void make(const char *name, mode_t mode)
{
	auto_(free_at_exit) char *path = NULL;

	if (S_ISDIR(mode)) {
		path = kit_dir_path(name);
		assert_return_code(mkdir(path, mode & 0777), errno);
		return;
	}
	path = kit_dir_write_text(name, "");
	assert_return_code(chmod(path, mode), errno);
}

static const char *const made[] = {"bin", "plain", "folder", "folder/python3"};

static int group_setup(void **state)
{
	if (kit_dir_make(state) < 0)
		return -1;
	for (size_t i = 0; i < ARRAY_LEN(made); i++)
		make(made[i], S_IFDIR | 0755);
	make("bin/python3", 0755);
	make("plain/python3", 0644);
	return chdir(kit_dir);
}

static int find(const char *given, char *found, struct reason *why)
{
	char *path = NULL;
	int r = python_find(given, &path, why);

	snprintf(found, 256, "%s", path ? path : "");
	free(path);
	return r;
}

static void a_python_that_is_given_must_run(void **state)
{
	char expected[256], given[256], found[256];
	struct reason why;

	snprintf(expected, sizeof expected, "%s/bin/python3", kit_dir);
	assert_int_equal(find(expected, found, &why), 0);
	assert_string_equal(found, expected);
	assert_int_equal(find("bin/python3", found, &why), 0);
	assert_string_equal(found, expected);
	assert_int_equal(find("/nonexistent/python3", found, &why), -ENOENT);
	assert_non_null(strstr(why.text, "/nonexistent/python3"));
	assert_non_null(strstr(why.text, "--python"));
	snprintf(given, sizeof given, "%s/plain/python3", kit_dir);
	assert_int_equal(find(given, found, &why), -EACCES);
	snprintf(given, sizeof given, "%s/folder/python3", kit_dir);
	assert_int_equal(find(given, found, &why), -EACCES);
}

static void a_python_is_searched_in_the_path(void **state)
{
	char expected[256], path[1024], found[256];
	struct reason why;

	snprintf(expected, sizeof expected, "%s/bin/python3", kit_dir);
	snprintf(path, sizeof path, "/nonexistent:%s/folder:%s/plain:%s/bin", kit_dir, kit_dir,
		kit_dir);
	unsetenv("VIRTUAL_ENV");
	setenv("PATH", path, 1);
	assert_int_equal(find(NULL, found, &why), 0);
	assert_string_equal(found, expected);
	assert_int_equal(find("python3", found, &why), 0);
	assert_string_equal(found, expected);
	assert_int_equal(find("python3.99", found, &why), -ENOENT);

	setenv("PATH", "/nonexistent:", 1);
	assert_int_equal(find(NULL, found, &why), -ENOENT);
	assert_non_null(strstr(why.text, "--python"));
	setenv("PATH", "", 1);
	assert_int_equal(find(NULL, found, &why), -ENOENT);
	unsetenv("PATH");
	assert_int_equal(find(NULL, found, &why), -ENOENT);
	snprintf(path, sizeof path, "%s/plain", kit_dir);
	setenv("PATH", path, 1);
	assert_int_equal(find(NULL, found, &why), -EACCES);

	setenv("VIRTUAL_ENV", kit_dir, 1);
	assert_int_equal(find(NULL, found, &why), 0);
	assert_string_equal(found, expected);
	setenv("VIRTUAL_ENV", "/nonexistent", 1);
	snprintf(path, sizeof path, "%s/bin", kit_dir);
	setenv("PATH", path, 1);
	assert_int_equal(find(NULL, found, &why), 0);
	assert_string_equal(found, expected);
	setenv("PATH", "/usr/bin:/bin", 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_python_that_is_given_must_run),
		cmocka_unit_test(a_python_is_searched_in_the_path),
	};

	return cmocka_run_group_tests(tests, group_setup, kit_dir_remove);
}
