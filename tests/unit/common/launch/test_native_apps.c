#include "common/launch/native_apps.h"
#include "kit/dir.h"
#include "kit/log.h"

#include <sys/stat.h>

static struct launch_options options;

static int group_setup(void **state)
{
	auto_(free_at_exit) char *folder = NULL;
	auto_(free_at_exit) char *below = NULL;

	if (kit_dir_make(state) < 0)
		return -1;
	folder = kit_dir_path("apps");
	below = kit_dir_path("apps/lab");
	if (mkdir(folder, 0700) < 0 || mkdir(below, 0700) < 0)
		return -1;
	free(kit_dir_write_text("apps/lab/robot.so", ""));
	free(kit_dir_write_text("apps/lab.so", ""));
	return chdir(kit_dir);
}

static int setup(void **state)
{
	options = (struct launch_options){.python = NULL};
	return 0;
}

/* ---- the options ---- */

static void wrong_values_are_named(void **state)
{
	static const struct {
		const char *native_app, *allow_native;
		int r;
		const char *says;
	} rows[] = {
		{"lab/robot=x.so", NULL, 0, ""},
		{"lab/robot=/a:b/x.so", NULL, 0, ""},
		{"lab/robot=x.so:make_app", NULL, 0, ""},
		{"apps", NULL, 0, ""},
		{NULL, "lab/robot", 0, ""},
		{"robot=x.so", NULL, -EINVAL, "--native-app \"robot=x.so\": what is before the ="},
		{"/robot=x.so", NULL, -EINVAL, "must be PUBLISHER/NAME"},
		{"lab/=x.so", NULL, -EINVAL, "must be PUBLISHER/NAME"},
		{"a/b/c=x.so", NULL, -EINVAL, "must be PUBLISHER/NAME"},
		{"=x.so", NULL, -EINVAL, "must be PUBLISHER/NAME"},
		{"lab/robot=", NULL, -EINVAL, "no file is behind the ="},
		{"lab/robot=:f", NULL, -EINVAL, "no file is behind the ="},
		{"lab/robot=x.so:", NULL, -EINVAL, "must be the name of a function"},
		{"lab/robot=x.so:a-b", NULL, -EINVAL, "must be the name of a function"},
		{"lab/robot=x.so:1", NULL, -EINVAL, "must be the name of a function"},
		{"nowhere", NULL, -ENOENT, "neither PUBLISHER/NAME=FILE.so nor a directory"},
		{"apps/lab.so", NULL, -ENOTDIR, "neither PUBLISHER/NAME=FILE.so nor a directory"},
		{"", NULL, -ENOENT, "neither"},
		{NULL, "robot", -EINVAL, "--allow-native \"robot\" must be PUBLISHER/NAME"},
		{NULL, "", -EINVAL, "--allow-native"},
		{NULL, "lab/robot=x.so/y", -EINVAL, "--allow-native"},
	};

	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct reason why = {.text = ""};
		int r;

		options.native_app.v[0] = rows[i].native_app;
		options.allow_native.v[0] = rows[i].allow_native;
		r = native_apps_check(&options, &why);
		if (r != rows[i].r || !strstr(why.text, rows[i].says))
			fail_msg("%s %s: %d, %s", rows[i].native_app, rows[i].allow_native, r,
				why.text);
		assert_true(native_apps_any(&options));
	}
	options = (struct launch_options){.python = NULL};
	assert_false(native_apps_any(&options));
}

static void the_log_says_what_runs_natively(void **state)
{
	struct kit_log log;

	kit_log_init(&log, "test", LOG_LEVEL_INFO);
	options.native_app.v[0] = "lab/robot=apps/lab/robot.so:f";
	options.native_app.v[1] = "lab/arm=/nonexistent/arm.so";
	options.native_app.v[2] = "apps";
	options.allow_native.v[0] = "lab/other";
	native_apps_tell(&options, log.log);
	assert_int_equal(kit_log_count(&log, "INFO  test: app lab/robot runs from /"), 1);
	assert_int_equal(kit_log_count(&log, "/apps/lab/robot.so\n"), 1);
	assert_int_equal(kit_log_count(&log,
				 "WARN  test: app lab/arm cannot run yet: /nonexistent/arm.so: No "
				 "such file or directory\n"),
		1);
	assert_int_equal(kit_log_count(&log, "PUBLISHER/NAME.so below apps run from it"), 1);
	assert_int_equal(kit_log_count(&log, "app lab/other may bring native code"), 1);
	kit_log_done(&log);
}

/* ---- an app ---- */

/* The file "" is: it is an app of Python. What is relative is below kit_dir. */
static void chosen(const char *fab_id, const char *component, const char *file, const char *symbol)
{
	const struct native_question app = {
		.fab_id = fab_id, .component = component, .app_dir = "/home/apps/x"};
	struct native_app out = {NULL, NULL};
	struct reason why = {.text = ""};
	char expected[256];
	int r = native_apps_choose(&options, &app, &out, &why);

	if (r)
		fail_msg("%s %s: %d, %s", fab_id, component, r, why.text);
	snprintf(expected, sizeof expected, "%s%s%s", file[0] == '/' ? "" : kit_dir,
		file[0] == '/' ? "" : "/", file);
	if (!*file)
		assert_null(out.file);
	else
		assert_string_equal(out.file, expected);
	if (!symbol)
		assert_null(out.symbol);
	else
		assert_string_equal(out.symbol, symbol);
	native_app_done(&out);
}

static void refused(const char *fab_id, const char *component, int code, const char *says)
{
	const struct native_question app = {
		.fab_id = fab_id, .component = component, .app_dir = "/home/apps/x"};
	struct native_app out;
	struct reason why = {.text = ""};
	int r = native_apps_choose(&options, &app, &out, &why);

	if (r != code || !strstr(why.text, says))
		fail_msg("%s %s: %d, %s", fab_id, component, r, why.text);
}

static void without_options_an_app_is_one_of_python(void **state)
{
	chosen("lab/robot", "robot.client_app:app", "", NULL);
	refused("lab/robot", "native:x.so", -EACCES, "--allow-native lab/robot");
}

static void an_app_that_is_mapped_runs_from_its_file(void **state)
{
	options.native_app.v[0] = "lab/robot=x.so";
	options.native_app.v[1] = "lab/arm=/opt/a:b/arm.so:make_arm";
	options.native_app.v[2] = "lab/robot=never.so";
	chosen("lab/robot", "robot.client_app:app", "x.so", NULL);
	/* Whatever the FAB brings. */
	chosen("lab/robot", "native:y.so", "x.so", NULL);
	chosen("lab/arm", "arm:app", "/opt/a:b/arm.so", "make_arm");
	chosen("lab/robo", "robot.client_app:app", "", NULL);
	chosen("lab/robots", "robot.client_app:app", "", NULL);
	setenv("HOME", "/home/me", 1);
	options.native_app.v[0] = "lab/robot=~/x.so";
	chosen("lab/robot", "robot.client_app:app", "/home/me/x.so", NULL);
}

static void an_app_that_has_a_file_in_the_directory_runs_from_it(void **state)
{
	options.native_app.v[0] = "apps";
	chosen("lab/robot", "robot.client_app:app", "apps/lab/robot.so", NULL);
	chosen("lab/arm", "robot.client_app:app", "", NULL);
	/* No name leads out of it. */
	chosen("../apps/lab", "robot.client_app:app", "", NULL);
	chosen("./lab", "robot.client_app:app", "", NULL);
	chosen("lab/../lab", "robot.client_app:app", "", NULL);
	chosen("lab/..", "robot.client_app:app", "", NULL);
}

static void what_a_fab_brings_runs_where_it_is_allowed(void **state)
{
	options.allow_native.v[0] = "lab/robot";
	chosen("lab/robot", "robot.client_app:app", "", NULL);
	chosen("lab/robot", "native:x.so", "/home/apps/x/x.so", NULL);
	chosen("lab/robot", "native:lib/..x/x.so:f", "/home/apps/x/lib/..x/x.so", "f");
	refused("lab/arm", "native:x.so", -EACCES, "--allow-native lab/arm");
	refused("lab/robot", "native:", -EINVAL, "native:");
	refused("lab/robot", "native:/etc/x.so", -EINVAL, "native:/etc/x.so");
	refused("lab/robot", "native:../x.so", -EINVAL, "native:../x.so");
	refused("lab/robot", "native:a/../../x.so", -EINVAL, "native:a/..");
	refused("lab/robot", "native:..", -EINVAL, "native:..");
	refused("lab/robot", "native:x.so:a b", -EINVAL, "function's name");
}

#define TEST(function) cmocka_unit_test_setup(function, setup)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(wrong_values_are_named),
		TEST(the_log_says_what_runs_natively),
		TEST(without_options_an_app_is_one_of_python),
		TEST(an_app_that_is_mapped_runs_from_its_file),
		TEST(an_app_that_has_a_file_in_the_directory_runs_from_it),
		TEST(what_a_fab_brings_runs_where_it_is_allowed),
	};

	return cmocka_run_group_tests(tests, group_setup, kit_dir_remove);
}
