/*
 * A good FAB is installed with all its files, and others are refused.
 */
#include "common/base/files.h"
#include "install_rig.h"

#include <ftw.h>
#include <sys/stat.h>

#define FLIPS 1000

static void a_hash_must_be_that_of_the_content(void **state)
{
	struct fab_limits limits = fab_limits_default();
	struct reason why = {0};
	struct fab fab;

	fab_load("real.fab", 1000, &fab);
	assert_int_equal(fab_check_hash(&fab.content, fab.hash, &limits, &why), 0);
	fab.hash[63] = fab.hash[63] == '0' ? '1' : '0';
	assert_int_equal(fab_check_hash(&fab.content, fab.hash, &limits, &why), -EBADMSG);
	assert_non_null(strstr(why.text, fab.hash));
	assert_int_equal(fab_check_hash(&fab.content, "../..", &limits, &why), -EBADMSG);
	limits.received_max_bytes = fab.content.bytes - 1;
	assert_int_equal(fab_check_hash(&fab.content, fab.hash, &limits, &why), -EFBIG);
	slices_done(&fab.content);
}

static void the_manifest_is_that_of_the_package(void **state)
{
	struct manifest manifest;
	struct reason why = {0};
	struct fab fab;

	fab_load("real.fab", 7, &fab);
	assert_int_equal(fab_read_manifest(&fab.content, &manifest, &why), 0);
	assert_string_equal(manifest.fab_id, "Some Org/demo-app");
	assert_string_equal(manifest.version, "1.0.0");
	assert_string_equal(manifest.clientapp, "demo_app.client_app:app");
	assert_int_equal(manifest.config.n, 4);
	assert_int_equal(value_map_get(&manifest.config, "num-server-rounds")->i, 3);
	assert_true(value_map_get(&manifest.config, "train.deep.flag")->b);
	manifest_done(&manifest);
	slices_done(&fab.content);
}

/* However the bytes are cut, the result is what the real package made. */
static void an_installed_app_is_as_the_package_makes_it(void **state)
{
	static const size_t pieces[] = {1, 13, 1000, 1 << 20};
	auto_(free_at_exit) char *theirs = NULL;

	assert_true(asprintf(&theirs, "%s/real-home/apps/%s", fixture.dir, fixture.name) > 0);
	for (size_t i = 0; i < ARRAY_LEN(pieces); i++) {
		auto_(free_at_exit) char *dir = NULL;
		char home[HOME_BYTES];
		struct reason why = {0};
		struct stat st;
		struct fab fab;

		new_home(home);
		fab_load("real.fab", pieces[i], &fab);
		if (install(&fab, home, &dir, &why) != 0)
			fail_msg("%s", why.text);
		/* Flower has 8 digits of the hash, which is whole here. */
		assert_memory_equal(strrchr(dir, '/') + 1, fixture.name, strlen(fixture.name) - 8);
		assert_string_equal(strrchr(dir, '.') + 1, fab.hash);
		assert_int_equal(strncmp(dir, home, strlen(home)), 0);
		assert_true(same_trees(dir, theirs));
		assert_int_equal(stat(dir, &st), 0);
		assert_int_equal(st.st_mode & 07777, 0755);
		assert_int_equal(count_entries(home, "apps"), 1);
		slices_done(&fab.content);
	}
}

static ino_t synced[4096]; /* directories, in this process */
static size_t n_synced;

int __real_fsync(int fd);
int __wrap_fsync(int fd);
int __wrap_fsync(int fd)
{
	struct stat st;

	if (fstat(fd, &st) == 0 && S_ISDIR(st.st_mode) && n_synced < ARRAY_LEN(synced))
		synced[n_synced++] = st.st_ino;
	return __real_fsync(fd);
}

static int is_synced(const char *path, const struct stat *st, int type, struct FTW *at)
{
	bool found = false;

	if (type != FTW_D)
		return 0;
	for (size_t i = 0; i < n_synced; i++)
		found = found || synced[i] == st->st_ino;
	if (!found)
		fail_msg("%s was not synced", path);
	return 0;
}

/* A power cut leaves no app without some of its directories. */
static void all_directories_are_synced(void **state)
{
	auto_(free_at_exit) char *dir = NULL;
	char home[HOME_BYTES];
	struct reason why = {0};
	struct fab fab;

	/* A directory in it holds nothing but another one. */
	new_home(home);
	n_synced = 0;
	fab_load("real.fab", 1000, &fab);
	assert_int_equal(install(&fab, home, &dir, &why), 0);
	assert_true(n_synced < ARRAY_LEN(synced));
	assert_int_equal(nftw(dir, is_synced, 16, FTW_PHYS), 0);
	slices_done(&fab.content);
}

static void unusual_archives_are_installed(void **state)
{
	static const char *const files[] = {"listed.fab", "deflated.fab", "folders.fab",
		"carriage.fab", "comma.fab", "signed.fab", "zeros.fab", "comment.fab",
		"longest.fab"};

	for (size_t i = 0; i < ARRAY_LEN(files); i++) {
		auto_(free_at_exit) char *dir = NULL;
		char home[HOME_BYTES];
		struct reason why = {0};
		struct fab fab;

		new_home(home);
		fab_load(files[i], 100, &fab);
		if (install(&fab, home, &dir, &why) != 0)
			fail_msg("%s: %s", files[i], why.text);
		assert_int_equal(count_entries(dir, ".info"), 0);
		assert_int_equal(count_entries(dir, "demo_app"), 5);
		slices_done(&fab.content);
	}
}

static void each_bad_archive_is_refused_with_a_reason(void **state)
{
	static const struct {
		const char *file;
		const char *why;
	} rows[] = {
		{"path-dotdot.fab", "leave"},
		{"path-inner.fab", "leave"},
		{"path-absolute.fab", "leave"},
		{"path-dot.fab", "leave"},
		{"path-double.fab", "leave"},
		{"path-backslash.fab", "backslash"},
		{"path-control.fab", "control"},
		{"path-newline.fab", "control"},
		{"path-long.fab", "leave"},
		{"path-longer.fab", "too long"},
		{"nul.fab", "UTF-8"},
		{"latin.fab", "UTF-8"},
		{"symlink.fab", "link"},
		{"fifo.fab", "link"},
		{"clash.fab", "at once"},
		{"clash2.fab", "at once"},
		{"hash.fab", "hash"},
		{"size.fab", "size"},
		{"bits.fab", "size"},
		{"unlisted.fab", "not listed"},
		{"missing.fab", "missing"},
		{"twice-listed.fab", "twice"},
		{"pyproject-hash.fab", "size"},
		{"pyproject-same.fab", "hash"},
		{"form.fab", "form"},
		{"nolist.fab", ".info/CONTENT"},
		{"nopyproject.fab", "pyproject.toml"},
		{"twice.fab", "twice"},
		{"twice-folder.fab", "twice"},
		{"twice-pyproject.fab", "twice"},
		{"bomb.fab", "far more"},
		{"liar.fab", "bomb.md"},
		{"many.fab", "30007 files"},
		{"pyproject-big.fab", "pyproject.toml"},
		{"deep.fab", "directories"},
		{"trailing.fab", "cut off"},
		{"ends.fab", "should be"},
		{"leading.fab", "should be"},
		{"text.fab", "no zip"},
		{"empty.fab", "no zip"},
		{"cut-0.fab", "cut off"},
		{"cut-1.fab", "cut off"},
		{"cut-2.fab", "cut off"},
		{"cut-3.fab", "cut off"},
		{"cut-4.fab", "cut off"},
		{"cut-5.fab", "cut off"},
		{"cut-6.fab", "cut off"},
		{"cut-7.fab", "cut off"},
		{"cut-8.fab", "cut off"},
		{"cut-9.fab", "cut off"},
		{"overlap.fab", "overlaps"},
		{"local.fab", "damaged"},
		{"encrypted.fab", "encrypted"},
		{"method.fab", "deflated"},
		{"zip64.fab", "zip64"},
	};

	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		auto_(free_at_exit) char *dir = NULL;
		char home[HOME_BYTES];
		struct reason why = {0};
		struct fab fab;
		int r;

		new_home(home);
		fab_load(rows[i].file, 4096, &fab);
		r = install(&fab, home, &dir, &why);
		if (r != -EBADMSG || !strstr(why.text, rows[i].why))
			fail_msg("%s: %d %s", rows[i].file, r, why.text);
		assert_null(dir);
		assert_int_equal(count_entries(home, "apps"), 0);
		slices_done(&fab.content);
	}
}

static void limits_are_kept_to_the_byte(void **state)
{
	struct manifest manifest = {0};
	struct reason why = {0};
	char home[HOME_BYTES];
	char *dir = NULL;
	struct fab fab;

	new_home(home);
	fab_load("real.fab", 4096, &fab);
	struct fab_install_options options = {
		.hash = fab.hash, .flwr_home = home, .limits = fab_limits_default()};
	options.limits.files_max = 6;
	assert_int_equal(fab_install(&fab.content, &options, &manifest, &dir, &why), -EBADMSG);
	assert_non_null(strstr(why.text, "7 files"));
	options.limits.files_max = 7;
	options.limits.unpacked_max_bytes = 7900;
	assert_int_equal(fab_install(&fab.content, &options, &manifest, &dir, &why), -EBADMSG);
	assert_non_null(strstr(why.text, "bytes"));
	options.limits.unpacked_max_bytes = 8000;
	assert_int_equal(fab_install(&fab.content, &options, &manifest, &dir, &why), 0);
	assert_string_equal(manifest.publisher, "Some Org");
	manifest_done(&manifest);
	free(dir);
	slices_done(&fab.content);
}

/* A hash that does not belong: it is part of a path, so its form is looked at. */
static void a_hash_that_is_no_hash_is_refused(void **state)
{
	struct reason why = {0};
	char home[HOME_BYTES];
	char *dir = NULL;
	struct fab fab;

	new_home(home);
	fab_load("real.fab", 4096, &fab);
	memcpy(fab.hash, "../../..", 8);
	assert_int_equal(install(&fab, home, &dir, &why), -EBADMSG);
	assert_null(dir);
	slices_done(&fab.content);
}

static void a_relative_home_gives_an_absolute_path(void **state)
{
	auto_(free_at_exit) char *dir = NULL;
	struct reason why = {0};
	struct fab fab;

	fab_load("real.fab", 4096, &fab);
	assert_int_equal(chdir(fixture.dir), 0);
	assert_int_equal(install(&fab, "relative", &dir, &why), 0);
	assert_int_equal(strncmp(dir, fixture.dir, strlen(fixture.dir)), 0);
	slices_done(&fab.content);
}

/*
 * Flipped bytes: never a crash. Taken only where the flip does not matter (times, pyproject.toml's
 * own text, which is not listed), and then all files but that are as they should be.
 */
static void flipped_bytes_never_change_an_installed_file(void **state)
{
	unsigned seed = (unsigned)getpid(), taken = 0;
	auto_(free_at_exit) char *theirs = NULL;
	size_t len;
	auto_(free_at_exit) char *bytes = load("deflated.fab", &len);
	char home[HOME_BYTES];

	print_message("seed %u\n", seed);
	assert_true(
		asprintf(&theirs, "%s/real-home/apps/%s/demo_app", fixture.dir, fixture.name) > 0);
	new_home(home);
	for (int i = 0; i < FLIPS; i++) {
		size_t at = (size_t)rand_r(&seed) % len;
		unsigned char flip = (unsigned char)(1u << (unsigned)rand_r(&seed) % 8);
		auto_(free_at_exit) char *dir = NULL;
		struct reason why = {0};
		struct fab fab;
		int r;

		bytes[at] = (char)((unsigned char)bytes[at] ^ flip);
		fab_of(bytes, len, 500, &fab);
		r = install(&fab, home, &dir, &why);
		if (r != 0 && (r != -EBADMSG || !why.text[0]))
			fail_msg("byte %zu ^ %u: %d %s", at, flip, r, why.text);
		if (r == 0) {
			auto_(free_at_exit) char *app = path_join(dir, "demo_app");

			taken++;
			if (!same_trees(app, theirs))
				fail_msg("byte %zu ^ %u changed a file", at, flip);
			assert_int_equal(dir_remove(dir), 0);
		}
		bytes[at] = (char)((unsigned char)bytes[at] ^ flip);
		slices_done(&fab.content);
	}
	print_message("%u of %u flips did not matter\n", taken, FLIPS);
	assert_int_equal(count_entries(home, "apps"), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_hash_must_be_that_of_the_content),
		cmocka_unit_test(the_manifest_is_that_of_the_package),
		cmocka_unit_test(an_installed_app_is_as_the_package_makes_it),
		cmocka_unit_test(all_directories_are_synced),
		cmocka_unit_test(unusual_archives_are_installed),
		cmocka_unit_test(each_bad_archive_is_refused_with_a_reason),
		cmocka_unit_test(limits_are_kept_to_the_byte),
		cmocka_unit_test(a_hash_that_is_no_hash_is_refused),
		cmocka_unit_test(a_relative_home_gives_an_absolute_path),
		cmocka_unit_test(flipped_bytes_never_change_an_installed_file),
	};

	return cmocka_run_group_tests(tests, group_setup, group_teardown);
}
