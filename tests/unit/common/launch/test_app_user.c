#include "common/launch/app_user.h"

#include "kit/dir.h"
#include "rig.h"

#include <grp.h>
#include <pwd.h>
#include <sys/stat.h>
#include <sys/wait.h>

static void refused(const char *text, const char *part)
{
	struct app_user *user = NULL;
	struct reason why = {0};

	assert_int_equal(app_user_new(text, &user, &why), -EINVAL);
	if (!strstr(why.text, part) || !strstr(why.text, "--app-user"))
		fail_msg("%s: %s", text, why.text);
	assert_null(user);
}

static void test_mistakes(void **state)
{
	refused("no-such-account", "no account");
	refused("", "no account");
	refused("-1", "no account");
	refused("1:", "no account");
	refused("1:x", "no account");
	refused("4294967295:1", "no account");
	refused("54321", "give UID:GID");
}

/* A program that runs as the wanted user need not change its user. */
static void test_oneself(void **state)
{
	struct app_user *user = (void *)state;
	const struct passwd *entry = getpwuid(geteuid());
	char text[32];

	snprintf(text, sizeof text, "%u:%u", geteuid(), getegid());
	assert_int_equal(app_user_new(text, &user, NULL), 0);
	assert_null(user);
	if (entry) {
		assert_int_equal(app_user_new(entry->pw_name, &user, NULL), 0);
		assert_null(user);
	}
}

static void test_another(void **state)
{
	struct app_user *user = NULL;

	if (geteuid() != 0) {
		refused("54321:54322", "runs as root");
		return;
	}
	assert_int_equal(app_user_new("54321:54322", &user, NULL), 0);
	assert_string_equal(user->ids, "54321:54322");
	assert_string_equal(user->env[0], "HOME=/");
	assert_null(user->env[1]);
	app_user_free(user);
	assert_int_equal(app_user_new("nobody", &user, NULL), 0);
	assert_non_null(strstr(user->ids, "65534:65534"));
	assert_string_equal(user->env[1], "USER=nobody");
	assert_string_equal(user->env[2], "LOGNAME=nobody");
	app_user_free(user);
}

/* Check, in a child, as a node that cannot change its user. */
static void test_without_rights(void **state)
{
	struct app_user *user = NULL;
	struct reason why = {0};
	int status;
	pid_t child;

	if (geteuid() != 0)
		return;
	child = fork();
	assert_true(child >= 0);
	if (child == 0) {
		if (setgroups(0, NULL) < 0 || setresgid(54321, 54321, 54321) < 0 ||
			setresuid(54321, 54321, 54321) < 0)
			_exit(1);
		if (app_user_new("54321:54321", &user, &why) != 0 || user)
			_exit(2);
		if (app_user_new("nobody", &user, &why) != -EINVAL)
			_exit(3);
		_exit(strstr(why.text, "run it as nobody") ? 0 : 4);
	}
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_int_equal(WEXITSTATUS(status), 0);
}

/* A path that the user cannot pass is named; a home that is not there is made. */
static void test_reach(void **state)
{
	auto_(free_at_exit) char *home = kit_dir_path("home");
	auto_(free_at_exit) char *program = kit_dir_write_text("python3", "");
	struct app_user *user = NULL;
	struct reason why = {0};

	if (geteuid() != 0)
		return;
	assert_int_equal(app_user_new("54321:54321", &user, NULL), 0);
	assert_int_equal(app_user_check(user, home, "/bin/sh", &why), -EACCES);
	assert_non_null(strstr(why.text, home));
	assert_non_null(strstr(why.text, "--flwr-dir"));
	assert_int_equal(chmod(kit_dir, 0711), 0);
	if (app_user_check(user, home, "/bin/sh", &why) != 0)
		fail_msg("%s", why.text);
	assert_int_equal(app_user_check(user, home, "/nonexistent/python", &why), 0);
	assert_int_equal(chmod(program, 0700), 0);
	assert_int_equal(app_user_check(user, home, program, &why), -EACCES);
	assert_non_null(strstr(why.text, program));
	assert_non_null(strstr(why.text, "--python"));
	app_user_free(user);
}

#define TEST(function) cmocka_unit_test(function)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_mistakes),
		TEST(test_oneself),
		TEST(test_another),
		TEST(test_without_rights),
		TEST(test_reach),
	};

	return cmocka_run_group_tests(tests, kit_dir_make, kit_dir_remove);
}
