#include "common/launch/dependencies.h"

#include "kit/dir.h"
#include "rig.h"

#include <sys/stat.h>

#define OPTION "--allow-runtime-dependency-installation"

static int check(bool on, const char *index, int64_t timeout_ms, struct launch_options *out,
	struct reason *why)
{
	*out = (struct launch_options){.installs_dependencies = on,
		.dependency_index = index,
		.dependency_timeout_ms = timeout_ms};
	*why = (struct reason){.text = ""};
	return dependencies_check(out, why);
}

static void the_options_together(void **state)
{
	auto_(free_at_exit) char *file = kit_dir_write_text("file", "");
	const struct {
		bool on;
		const char *index;
		int64_t timeout_ms;
		int result;
		const char *says;
	} rows[] = {
		{false, NULL, -1, 0, ""},
		{true, NULL, -1, 0, ""},
		{true, "none", 1000, 0, ""},
		{true, "https://h/simple", -1, 0, ""},
		{true, kit_dir, -1, 0, ""},
		{false, "none", -1, -EINVAL, "--dependency-index has no effect without " OPTION},
		{false, NULL, 1000, -EINVAL, "--dependency-timeout has no effect without " OPTION},
		{true, "", -1, -EINVAL, "--dependency-index needs"},
		{true, "/nonexistent/wheels", -1, -ENOENT, "/nonexistent/wheels: No such"},
		{true, file, -1, -ENOTDIR, "is no directory of wheels"},
	};
	struct launch_options options;
	struct reason why;

	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		int r = check(rows[i].on, rows[i].index, rows[i].timeout_ms, &options, &why);

		if (r != rows[i].result || !strstr(why.text, rows[i].says))
			fail_msg("row %zu: %d, %s", i, r, why.text);
		if (r == 0 && rows[i].timeout_ms < 0)
			assert_int_equal(options.dependency_timeout_ms, 600000);
	}
}

static void one_warning_says_what_apps_can_do(void **state)
{
	static const struct {
		bool on;
		const char *index;
		const char *says; /* NULL: nothing */
	} rows[] = {
		{false, NULL, NULL},
		{true, NULL, "code of these packages runs as the user of the apps"},
		{true, "https://user:word@h/simple", "code of these packages"},
		{true, "/wheels", "apps choose what is installed for them out of /wheels"},
		{true, "none", "installs nothing"},
	};

	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		const struct launch_options options = {
			.installs_dependencies = rows[i].on, .dependency_index = rows[i].index};
		struct kit_log lines;

		kit_log_init(&lines, "test", LOG_LEVEL_INFO);
		dependencies_warn(&options, lines.log);
		assert_int_equal(kit_log_count(&lines, "WARN"), rows[i].says != NULL);
		if (rows[i].says)
			assert_int_equal(kit_log_count(&lines, rows[i].says), 1);
		assert_int_equal(kit_log_count(&lines, "word"), 0);
		kit_log_done(&lines);
	}
}

static void nothing_is_made_when_it_is_off(void **state)
{
	auto_(free_at_exit) char *home = kit_dir_path("off");
	const struct launch_options options = {.installs_dependencies = false};
	struct dependencies dependencies;

	assert_int_equal(dependencies_init(&dependencies, &options, home, NULL, NULL), 0);
	assert_null(dependencies.env[0]);
	assert_int_equal(access(home, F_OK), -1);
}

/* Its mode and owner, or a failure of the test. */
static struct stat folder(const char *home, unsigned uid)
{
	auto_(free_at_exit) char *path = NULL;
	struct stat file;

	assert_true(asprintf(&path, "%s/dependencies/%u", home, uid) > 0);
	assert_int_equal(lstat(path, &file), 0);
	assert_true(S_ISDIR(file.st_mode));
	assert_int_equal(file.st_mode & 07777, 0700);
	assert_int_equal(file.st_uid, uid);
	return file;
}

/* It is there again the next time, and as it should be, whatever its mode was. */
static void the_folder_is_of_the_user_of_the_apps(void **state)
{
	auto_(free_at_exit) char *home = kit_dir_path("home");
	auto_(free_at_exit) char *root = NULL;
	const struct launch_options options = {.installs_dependencies = true,
		.dependency_index = "https://h/simple",
		.dependency_timeout_ms = 1500};
	struct dependencies dependencies;
	struct reason why;
	char *setting = NULL;

	for (int i = 0; i < 2; i++) {
		if (dependencies_init(&dependencies, &options, home, NULL, &why))
			fail_msg("%s", why.text);
		folder(home, geteuid());
		root = realpath(home, NULL);
		assert_true(asprintf(&setting, "FLWR_APP_DEPENDENCIES=%s/dependencies/%u", root,
				    geteuid()) > 0);
		assert_string_equal(dependencies.env[0], setting);
		assert_string_equal(dependencies.env[1], "FLWR_APP_DEPENDENCY_TIMEOUT=1.500");
		assert_string_equal(
			dependencies.env[2], "FLWR_APP_DEPENDENCY_INDEX=https://h/simple");
		assert_null(dependencies.env[3]);
		assert_int_equal(chmod(strchr(dependencies.env[0], '=') + 1, 0755), 0);
		dependencies_done(&dependencies);
		free_at_exit(&setting);
		free_at_exit(&root);
	}
}

static void another_user_has_another_folder(void **state)
{
	auto_(free_at_exit) char *home = kit_dir_path("home");
	const struct launch_options options = {.installs_dependencies = true};
	struct dependencies dependencies;
	struct app_user *user = NULL;

	if (geteuid() != 0)
		return;
	assert_int_equal(app_user_new("54321:54322", &user, NULL), 0);
	assert_int_equal(dependencies_init(&dependencies, &options, home, user, NULL), 0);
	assert_int_equal(folder(home, 54321).st_gid, 54322);
	dependencies_done(&dependencies);
	app_user_free(user);
}

static void a_folder_that_others_may_write_to_is_refused(void **state)
{
	auto_(free_at_exit) char *home = kit_dir_path("open");
	auto_(free_at_exit) char *parent = kit_dir_path("open/dependencies");
	const struct launch_options options = {.installs_dependencies = true};
	struct dependencies dependencies;
	struct reason why;

	assert_int_equal(mkdir(home, 0755), 0);
	assert_int_equal(mkdir(parent, 0755), 0);
	assert_int_equal(chmod(parent, 0777), 0);
	assert_int_equal(dependencies_init(&dependencies, &options, home, NULL, &why), -EPERM);
	assert_non_null(strstr(why.text, OPTION));
	assert_non_null(strstr(why.text, "others may write to it"));
	assert_null(dependencies.env[0]);
	assert_int_equal(rmdir(parent), 0);
	assert_int_equal(symlink("/", parent), 0);
	assert_true(dependencies_init(&dependencies, &options, home, NULL, &why) < 0);
}

/* The tools must find the wheels from another working directory, too. */
static void a_directory_of_wheels_is_told_by_its_whole_path(void **state)
{
	auto_(free_at_exit) char *home = kit_dir_path("home");
	auto_(free_at_exit) char *here = getcwd(NULL, 0);
	auto_(free_at_exit) char *whole = realpath(kit_dir, NULL);
	const struct launch_options options = {
		.installs_dependencies = true, .dependency_index = "."};
	struct dependencies dependencies;

	assert_int_equal(chdir(kit_dir), 0);
	assert_int_equal(dependencies_init(&dependencies, &options, home, NULL, NULL), 0);
	assert_string_equal(strchr(dependencies.env[2], '=') + 1, whole);
	dependencies_done(&dependencies);
	assert_int_equal(chdir(here), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_options_together),
		cmocka_unit_test(one_warning_says_what_apps_can_do),
		cmocka_unit_test(nothing_is_made_when_it_is_off),
		cmocka_unit_test(the_folder_is_of_the_user_of_the_apps),
		cmocka_unit_test(another_user_has_another_folder),
		cmocka_unit_test(a_folder_that_others_may_write_to_is_refused),
		cmocka_unit_test(a_directory_of_wheels_is_told_by_its_whole_path),
	};

	return cmocka_run_group_tests(tests, kit_dir_make, kit_dir_remove);
}
