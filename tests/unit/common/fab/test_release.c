/*
 * FABs as the oldest and the newest release build them, and where those install them: ours are the
 * same files in a directory of the same name.
 */
#include "common/base/files.h"
#include "common/base/sha256.h"
#include "common/fab/install.h"
#include "kit/child.h"
#include "kit/dir.h"

#include <fcntl.h>
#include <sys/stat.h>

#define FAB_MAX_BYTES (64U << 20)

static void load(const char *file, struct slices *out)
{
	auto_(free_at_exit) char *path = kit_dir_path(file);
	auto_(free_at_exit) char *bytes = NULL;
	size_t len;

	*out = (struct slices){0};
	assert_int_equal(file_read(path, FAB_MAX_BYTES, &bytes, &len), 0);
	assert_int_equal(slices_append_copy(out, bytes, len), 0);
}

static char *install(const struct slices *content, const char *home, const char *older)
{
	auto_(manifest_done) struct manifest manifest = {0};
	struct fab_limits limits = fab_limits_default();
	char hash[SHA256_HEX_BYTES];
	struct reason why = {0};
	char *dir = NULL;

	assert_int_equal(sha256_slices(content, hash), 0);
	assert_int_equal(fab_check_hash(content, hash, &limits, &why), 0);
	const struct fab_install_options options = {
		.hash = hash, .flwr_home = home, .older_home = older, .limits = limits};

	if (fab_install(content, &options, &manifest, &dir, &why) != 0)
		fail_msg("%s", why.text);
	assert_string_equal(manifest.fab_id, "some-org/demo-app");
	assert_int_equal(manifest.config.n, 1);
	return dir;
}

static char *new_home(void)
{
	static unsigned homes;
	char *home;

	assert_true(asprintf(&home, "%s/home-%u", kit_dir, homes++) > 0);
	return home;
}

/* Installed anew, in place of what the release has installed, and beside what it has. */
static void check_fab(const char *file, const char *name)
{
	auto_(free_at_exit) char *home = new_home();
	auto_(free_at_exit) char *another = new_home();
	auto_(free_at_exit) char *theirs = kit_dir_path("home");
	auto_(free_at_exit) char *command = NULL;
	auto_(slices_done) struct slices content;

	load(file, &content);
	auto_(free_at_exit) char *dir = install(&content, home, NULL);
	auto_(free_at_exit) char *same = install(&content, theirs, home);
	auto_(free_at_exit) char *older = install(&content, another, theirs);
	auto_(free_at_exit) char *fresh = install(&content, another, kit_dir);

	/* 8 digits of the hash, which is whole here. */
	assert_memory_equal(strrchr(dir, '/') + 1, name, strlen(name));
	assert_int_equal(strncmp(dir, home, strlen(home)), 0);
	assert_int_equal(strncmp(same, theirs, strlen(theirs)), 0);
	/* Nothing was made in the newer home when the older one had the app. */
	assert_string_equal(older, same);
	assert_int_equal(strncmp(fresh, another, strlen(another)), 0);
	assert_true(asprintf(&command, "diff -r '%s' '%s' && diff -r '%s' '%s'", dir, same, dir,
			    fresh) > 0);
	assert_int_equal(system(command), 0);
}

static void variable(const char *name, const char *value)
{
	if (strcmp(value, "-") == 0)
		unsetenv(name);
	else
		setenv(name, value, 1);
}

/* Ours looks where the release does: first, or for what it finds there. */
static void check_home(
	const char *flwr_home, const char *data_home, const char *home, const char *theirs)
{
	auto_(free_at_exit) char *path = NULL;
	auto_(free_at_exit) char *older = NULL;

	variable("FLWR_HOME", flwr_home);
	variable("XDG_DATA_HOME", data_home);
	variable("HOME", home);
	path = path_flwr_home(NULL);
	assert_int_equal(path_flwr_home_older(path, &older), 0);
	if (strcmp(path, theirs) != 0 && (!older || strcmp(older, theirs) != 0))
		fail_msg("%s, not %s", path, theirs);
}

static void check_release(enum kit_python python, unsigned fabs)
{
	unsigned homes = 0, n = 0;
	struct kit_child judge;
	const char *line;

	umask(022);
	kit_child_start(&judge, python, FLWR_TEST_DIR "/gen_release.py", kit_dir);
	while ((line = kit_child_line(&judge))) {
		char a[64], b[64], c[64], d[64];

		if (sscanf(line, "fab %63s %63s", a, b) == 2) {
			check_fab(a, b);
			n++;
		} else if (sscanf(line, "home %63s %63s %63s %63s", a, b, c, d) == 4) {
			check_home(a, b, c, d);
			homes++;
		} else {
			fail_msg("%s", line);
		}
	}
	kit_child_end(&judge);
	assert_int_equal(n, fabs);
	assert_int_equal(homes, 4);
}

static void fabs_of_the_oldest_release_are_installed_as_it_does(void **state)
{
	check_release(KIT_OLDEST, 2);
}

static void fabs_of_the_newest_release_are_installed_as_it_does(void **state)
{
	check_release(KIT_NEWEST, 12);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(fabs_of_the_oldest_release_are_installed_as_it_does,
			kit_dir_make, kit_dir_remove),
		cmocka_unit_test_setup_teardown(fabs_of_the_newest_release_are_installed_as_it_does,
			kit_dir_make, kit_dir_remove),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
