#include "common/base/home.h"
#include "kit/test.h"

#include <pwd.h>

static void expands(const char *path, const char *expected)
{
	char *expanded = path_expand(path);

	assert_string_equal(expanded, expected);
	free(expanded);
}

/* Expected values are those of Python's os.path.expanduser(). */
static void homes_are_put_in_front(void **state)
{
	static const char *const same[] = {"", "a/~/b", "./~", "/~root", "fd:3", "unix:/a", "a~",
		"~no.such.user/x", "unix:~no.such.user/x", "ssh:~/x"};

	setenv("HOME", "/home/me", 1);
	expands("~", "/home/me");
	expands("~/", "/home/me/");
	expands("~/a b/c", "/home/me/a b/c");
	expands("~//c", "/home/me//c");
	expands("unix:~/s.sock", "unix:/home/me/s.sock");
	expands("~root", getpwnam("root")->pw_dir);
	for (size_t i = 0; i < ARRAY_LEN(same); i++)
		expands(same[i], same[i]);
	setenv("HOME", "/home/me//", 1);
	expands("~/a", "/home/me/a");
	setenv("HOME", "/", 1);
	expands("~", "/");
	expands("~/a", "/a");
	setenv("HOME", "", 1);
	expands("~/a", "/a");
}

static void without_HOME_it_is_the_entry_of_the_user(void **state)
{
	const struct passwd *entry = getpwuid(getuid());
	char expected[4096];

	unsetenv("HOME");
	snprintf(expected, sizeof expected, "%s/x", entry ? entry->pw_dir : "~");
	expands("~/x", expected);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(homes_are_put_in_front),
		cmocka_unit_test(without_HOME_it_is_the_entry_of_the_user),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
