/*
 * All tests of FABs as a whole. Longer than most: they share what the real package makes, which
 * takes seconds.
 */
#include "common/base/files.h"
#include "common/base/sha256.h"
#include "common/base/text.h"
#include "common/fab/install.h"
#include "kit/vectors.h"

#include <dirent.h>
#include <fcntl.h>
#include <ftw.h>
#include <pthread.h>
#include <signal.h>
#include <sys/file.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>

#define HOME_BYTES 128
#define FLIPS      1000
#define RACERS     8
#define STALE      ".01234567.0123456789abcdef.new"

/* Made once for all tests; read-only for them. */
static struct {
	char dir[64];   /* where the FABs lie */
	char name[256]; /* of the directory that the real package made */
	unsigned homes;
} fixture;

struct fab {
	struct slices content;
	char hash[SHA256_HEX_BYTES];
};

/* A Flower home, fresh for each install. */
static void new_home(char home[HOME_BYTES])
{
	snprintf(home, HOME_BYTES, "%s/home-%u", fixture.dir, fixture.homes++);
}

static void fab_of(const void *bytes, size_t len, size_t piece, struct fab *out)
{
	*out = (struct fab){0};
	for (size_t at = 0; at < len; at += piece) {
		size_t n = len - at < piece ? len - at : piece;

		assert_int_equal(slices_append_copy(&out->content, (const char *)bytes + at, n), 0);
	}
	assert_int_equal(sha256_slices(&out->content, out->hash), 0);
}

static char *load(const char *file, size_t *len_out)
{
	auto_(free_at_exit) char *path = path_join(fixture.dir, file);
	char *bytes;

	assert_int_equal(file_read(path, 64 << 20, &bytes, len_out), 0);
	return bytes;
}

static void fab_load(const char *file, size_t piece, struct fab *out)
{
	size_t len;
	auto_(free_at_exit) char *bytes = load(file, &len);

	fab_of(bytes, len, piece, out);
}

static int install_with(const struct fab *fab, const struct fab_install_options *options,
	char **dir_out, struct reason *why)
{
	struct fab_install_options whole = *options;
	struct manifest manifest = {0};
	int r;

	whole.hash = fab->hash;
	whole.limits = fab_limits_default();
	r = fab_install(&fab->content, &whole, &manifest, dir_out, why);
	manifest_done(&manifest);
	return r;
}

static int install(const struct fab *fab, const char *home, char **dir_out, struct reason *why)
{
	return install_with(fab, &(struct fab_install_options){.flwr_home = home}, dir_out, why);
}

static unsigned count_entries(const char *home, const char *below)
{
	auto_(free_at_exit) char *path = path_join(home, below);
	DIR *dir = opendir(path);
	unsigned n = 0;
	struct dirent *item;

	while (dir && (item = readdir(dir)))
		n += strcmp(item->d_name, ".") != 0 && strcmp(item->d_name, "..") != 0;
	if (dir)
		closedir(dir);
	return n;
}

/* Same files with the same bytes in both directories? */
static bool same_trees(const char *a, const char *b)
{
	auto_(free_at_exit) char *command = NULL;

	assert_true(asprintf(&command, "diff -r '%s' '%s'", a, b) > 0);
	return system(command) == 0;
}

static int group_setup(void **state)
{
	struct kit_child maker;

	umask(022);
	/* In memory where that is to be had: every install is synced to the disk. */
	snprintf(fixture.dir, sizeof fixture.dir, "%s/flwr-test-fab-XXXXXX",
		access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp");
	assert_non_null(mkdtemp(fixture.dir));
	kit_child_start(&maker, KIT_OLDEST, FLWR_TEST_DIR "/gen_fab.py", fixture.dir);
	snprintf(fixture.name, sizeof fixture.name, "%s", kit_child_line(&maker));
	kit_child_end(&maker);
	return 0;
}

static int group_teardown(void **state)
{
	return dir_remove(fixture.dir);
}

static void test_hash(void **state)
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

static void test_manifest(void **state)
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
static void test_real(void **state)
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
static void test_directories_are_synced(void **state)
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

static void test_good_variants(void **state)
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

static void test_refused(void **state)
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

static void test_limits(void **state)
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
static void test_hash_form(void **state)
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

static void write_file(const char *dir, const char *name, const char *text)
{
	auto_(free_at_exit) char *path = path_join(dir, name);
	FILE *file = fopen(path, "w");

	assert_non_null(file);
	assert_true(fputs(text, file) >= 0);
	assert_int_equal(fclose(file), 0);
}

/* An app that Flower has installed is used, unless its files differ from the FAB's. */
static void test_flowers(void **state)
{
	char home[HOME_BYTES], theirs[512];
	auto_(free_at_exit) char *command = NULL;
	struct reason why = {0};
	struct fab fab;

	new_home(home);
	fab_load("real.fab", 4096, &fab);
	assert_true(asprintf(&command, "cp -r '%s/real-home' '%s'", fixture.dir, home) > 0);
	assert_int_equal(system(command), 0);
	snprintf(theirs, sizeof theirs, "%s/apps/%s", home, fixture.name);
	for (int i = 0; i < 4; i++) {
		auto_(free_at_exit) char *dir = NULL;

		if (i == 1)
			write_file(theirs, "data.bin", "an app's own");
		if (i == 2)
			write_file(theirs, "demo_app/client_app.py", "app = 3\n");
		assert_int_equal(install(&fab, home, &dir, &why), 0);
		assert_int_equal(strcmp(dir, theirs) == 0, i < 2);
		assert_int_equal(count_entries(home, "apps"), i < 2 ? 1 : 2);
	}
	slices_done(&fab.content);
}

/* The next use restores a listed file, whatever was done to it; other files stay. */
static void test_changed(void **state)
{
	static const char *const changes[] = {"echo 'app = 3' > demo_app/client_app.py",
		"printf 'app = 3\n' > demo_app/client_app.py", "rm demo_app/client_app.py",
		"rm -r demo_app", "rm -r demo_app; ln -s /tmp demo_app",
		"rm -r demo_app; echo > demo_app",
		"rm README.md; mkdir -p README.md/x; echo > README.md/x/y",
		"rm README.md; ln -s demo_app/__init__.py README.md",
		"rm README.md; mkfifo README.md", "echo '# more' >> pyproject.toml",
		"mv demo_app/sub demo_app/gone; ln -s gone demo_app/sub",
		"chmod 000 README.md demo_app; chmod 755 demo_app; rm README.md"};
	auto_(free_at_exit) char *theirs = NULL;
	char home[HOME_BYTES];
	struct fab fab;

	assert_true(asprintf(&theirs, "%s/real-home/apps/%s", fixture.dir, fixture.name) > 0);
	new_home(home);
	fab_load("real.fab", 4096, &fab);
	for (size_t i = 0; i < ARRAY_LEN(changes); i++) {
		auto_(free_at_exit) char *dir = NULL;
		auto_(free_at_exit) char *again = NULL;
		auto_(free_at_exit) char *command = NULL;
		struct reason note = {0}, why = {0};

		assert_int_equal(
			install_with(&fab,
				&(struct fab_install_options){.flwr_home = home, .note = &note},
				&dir, &why),
			0);
		assert_string_equal(note.text, "");
		assert_true(asprintf(&command, "cd '%s' && { %s; } && echo kept > kept.txt", dir,
				    changes[i]) > 0);
		assert_int_equal(system(command), 0);
		assert_int_equal(install_with(&fab,
					 &(struct fab_install_options){
						 .flwr_home = home, .strict = true, .note = &note},
					 &again, &why),
			-EBADMSG);
		assert_non_null(strstr(why.text, "was changed"));
		if (install_with(&fab,
			    &(struct fab_install_options){.flwr_home = home, .note = &note}, &again,
			    &why) != 0)
			fail_msg("%s: %s", changes[i], why.text);
		assert_string_equal(again, dir);
		assert_non_null(strstr(note.text, "was changed"));
		command = (free(command), NULL);
		assert_true(
			asprintf(&command,
				"cd '%s' && rm kept.txt && rm -rf demo_app/gone && diff -r . '%s'",
				dir, theirs) > 0);
		if (system(command) != 0)
			fail_msg("%s", changes[i]);
		assert_int_equal(count_entries(home, "apps"), 1);
	}
	slices_done(&fab.content);
}

/* With strict, no file that Python would import may lie beside the listed files. */
static void test_unlisted(void **state)
{
	static const struct {
		const char *change;
		bool good;
	} rows[] = {
		{"echo > data.csv", true},
		{"mkdir -p checkpoints/1; echo > checkpoints/1/model.pt", true},
		{"mkdir -p demo_app/__pycache__; echo > demo_app/__pycache__/x.cpython-311.pyc",
			true}, /* but see bytecode_is_removed() */
		{"echo > numpy.py", false},
		{"echo > demo_app/more.py", false},
		{"echo > demo_app/client_app.so", false},
		{"echo > torch.cpython-311-x86_64-linux-gnu.so", false},
		{"echo > torch.pyc", false},
		{"mkdir torch; echo > torch/__init__.py", false},
		{"mkdir -p a/b/c; echo > a/b/c/d.py", false},
		{"ln -s /tmp torch", false},
		{"ln -s /etc/passwd torch.py", false},
	};
	char home[HOME_BYTES];
	struct fab fab;

	fab_load("real.fab", 4096, &fab);
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		auto_(free_at_exit) char *dir = NULL;
		auto_(free_at_exit) char *again = NULL;
		auto_(free_at_exit) char *command = NULL;
		struct reason note = {0}, why = {0};
		int r;

		new_home(home);
		assert_int_equal(install_with(&fab,
					 &(struct fab_install_options){
						 .flwr_home = home, .strict = true, .note = &note},
					 &dir, &why),
			0);
		assert_true(asprintf(&command, "cd '%s' && { %s; }", dir, rows[i].change) > 0);
		assert_int_equal(system(command), 0);
		r = install_with(&fab,
			&(struct fab_install_options){
				.flwr_home = home, .strict = true, .note = &note},
			&again, &why);
		if (r != (rows[i].good ? 0 : -EBADMSG))
			fail_msg("%s: %d %s", rows[i].change, r, why.text);
		free(take_pointer(&again));
		assert_int_equal(
			install_with(&fab,
				&(struct fab_install_options){.flwr_home = home, .note = &note},
				&again, &why),
			0);
		assert_string_equal(note.text, "");
	}
	slices_done(&fab.content);
}

/* Any app could have left it, and Python would believe it. */
static void bytecode_is_removed(void **state)
{
	static const char plant[] = "cd '%s' && mkdir -p demo_app/__pycache__ data/__pycache__ && "
				    "touch demo_app/__pycache__/b.pyc data/__pycache__/c.pyc";
	/* Nothing is imported from where no source is listed. */
	static const char look[] =
		"cd '%s' && test ! -e demo_app/__pycache__ -a -e data/__pycache__/c.pyc";
	char home[HOME_BYTES];
	struct fab fab;

	fab_load("real.fab", 4096, &fab);
	for (int strict = 0; strict < 2; strict++) {
		auto_(free_at_exit) char *dir = NULL;
		auto_(free_at_exit) char *again = NULL;
		auto_(free_at_exit) char *command = NULL;
		auto_(free_at_exit) char *check = NULL;
		struct reason note = {0}, why = {0};

		new_home(home);
		assert_int_equal(
			install_with(&fab,
				&(struct fab_install_options){
					.flwr_home = home, .strict = strict, .note = &note},
				&dir, &why),
			0);
		assert_true(asprintf(&command, plant, dir) > 0);
		assert_true(asprintf(&check, look, dir) > 0);
		assert_int_equal(system(command), 0);
		assert_int_equal(
			install_with(&fab,
				&(struct fab_install_options){
					.flwr_home = home, .strict = strict, .note = &note},
				&again, &why),
			0);
		assert_string_equal(note.text, "");
		assert_int_equal(system(check), 0);
	}
	slices_done(&fab.content);
}

/* A directory of the right name says nothing: who could have put it there? */
static void test_owners(void **state)
{
	static const char *const planted[] = {"chmod o+w '%s'", "chmod o+w '%s/apps'",
		"chmod o+w '%s'/apps/*", "chown 65534 '%s'", "chown 65534 '%s/apps'",
		"chown 65534 '%s'/apps/*", "cd '%s' && mv apps real && ln -s real apps"};
	struct fab fab;

	fab_load("real.fab", 4096, &fab);
	for (size_t i = 0; i < ARRAY_LEN(planted); i++) {
		auto_(free_at_exit) char *dir = NULL;
		auto_(free_at_exit) char *again = NULL;
		char home[HOME_BYTES], command[512];
		struct reason note = {0}, why = {0};
		int r;

		if (strstr(planted[i], "chown") && geteuid() != 0)
			continue;
		new_home(home);
		assert_int_equal(install(&fab, home, &dir, &why), 0);
		/* The row's one %s is the home. */
		const char *at = strstr(planted[i], "%s");

		snprintf(command, sizeof command, "%.*s%s%s", (int)(at - planted[i]), planted[i],
			home, at + 2);
		assert_int_equal(system(command), 0);
		r = install_with(&fab,
			&(struct fab_install_options){.flwr_home = home, .note = &note}, &again,
			&why);
		if (r != -EPERM && r != -ENOTDIR)
			fail_msg("%s: %d %s", planted[i], r, why.text);
		assert_non_null(strstr(why.text, home));
		assert_null(again);
	}
	slices_done(&fab.content);
}

static void test_relative_home(void **state)
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

static void test_left_over(void **state)
{
	static const char *const kept[] = {
		".hidden", ".01234567.0123456789abcdeg.new", ".01234567.0123456789abcdef.old"};
	auto_(free_at_exit) char *dir = NULL;
	auto_(close_at_exit) int lock = -1;
	char home[HOME_BYTES], path[512];
	struct reason why = {0};
	struct fab fab;

	new_home(home);
	fab_load("real.fab", 4096, &fab);
	for (size_t i = 0; i < ARRAY_LEN(kept); i++) {
		snprintf(path, sizeof path, "%s/apps/%s", home, kept[i]);
		assert_int_equal(dir_make(path, 0755), 0);
	}
	snprintf(path, sizeof path, "%s/apps/" STALE "/half/an/app", home);
	assert_int_equal(dir_make(path, 0755), 0);
	/* Somebody is at work in this one. */
	snprintf(path, sizeof path, "%s/apps/.76543210.0123456789abcdef.new", home);
	assert_int_equal(dir_make(path, 0755), 0);
	lock = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	assert_int_equal(flock(lock, LOCK_EX), 0);

	assert_int_equal(install(&fab, home, &dir, &why), 0);
	assert_int_equal(count_entries(home, "apps"), 1 + ARRAY_LEN(kept) + 1);
	assert_int_equal(access(path, F_OK), 0);
	snprintf(path, sizeof path, "%s/apps/" STALE, home);
	assert_int_equal(access(path, F_OK), -1);
	slices_done(&fab.content);
}

/* Files cannot get larger than 64 KiB: a signal ends the process in the middle, or (ignored)
 * writing fails. */
static void crash(const struct fab *fab, const char *home, bool ignored)
{
	const struct rlimit no_core = {0}, small = {65536, 65536};
	struct reason why = {0};
	char *dir = NULL;
	int r;

	setrlimit(RLIMIT_CORE, &no_core);
	setrlimit(RLIMIT_FSIZE, &small);
	signal(SIGXFSZ, ignored ? SIG_IGN : SIG_DFL);
	r = install(fab, home, &dir, &why);
	free(dir);
	_exit(r == -EFBIG && strstr(why.text, "zeros.md") ? 0 : 1);
}

static void test_crash(void **state)
{
	auto_(free_at_exit) char *dir = NULL;
	char home[HOME_BYTES];
	struct reason why = {0};
	struct fab fab;

	new_home(home);
	fab_load("zeros.fab", 4096, &fab);
	for (int ignored = 1; ignored >= 0; ignored--) {
		int status;
		pid_t pid = fork();

		if (pid == 0)
			crash(&fab, home, ignored);
		assert_int_equal(waitpid(pid, &status, 0), pid);
		if (ignored)
			assert_int_equal(status, 0);
		else
			assert_int_equal(WTERMSIG(status), SIGXFSZ);
		assert_int_equal(count_entries(home, "apps"), ignored ? 0 : 1);
	}
	if (install(&fab, home, &dir, &why) != 0)
		fail_msg("%s", why.text);
	assert_int_equal(count_entries(home, "apps"), 1);
	assert_int_equal(access(dir, F_OK), 0);
	slices_done(&fab.content);
}

/* A user who may not write there gets a reason that says where; nothing is written. */
static int install_unprivileged(const struct fab *fab, const char *home)
{
	struct reason why = {0};
	char *dir = NULL;
	int r;

	if (geteuid() == 0 && setresuid(65534, 65534, 65534) < 0)
		return 2;
	r = install(fab, home, &dir, &why);
	free(dir);
	return r == -EACCES && strstr(why.text, home) ? 0 : 1;
}

static void test_read_only(void **state)
{
	char home[HOME_BYTES], apps[HOME_BYTES + 8];
	struct fab fab;

	fab_load("real.fab", 4096, &fab);
	assert_int_equal(chmod(fixture.dir, 0755), 0);
	for (int i = 0; i < 2; i++) {
		int status;
		pid_t pid;

		new_home(home);
		snprintf(apps, sizeof apps, "%s/apps", home);
		assert_int_equal(dir_make(i ? apps : home, 0755), 0);
		assert_int_equal(chmod(home, 0555) | (i ? chmod(apps, 0555) : 0), 0);
		pid = fork();
		if (pid == 0)
			_exit(install_unprivileged(&fab, home));
		assert_int_equal(waitpid(pid, &status, 0), pid);
		assert_int_equal(status, 0);
		assert_int_equal(chmod(home, 0755) | (i ? chmod(apps, 0755) : 0), 0);
		assert_int_equal(count_entries(home, "apps"), 0);
	}
	slices_done(&fab.content);
}

/* A file where a directory should be. */
static void test_not_a_directory(void **state)
{
	char home[HOME_BYTES], path[512];
	struct reason why = {0};
	char *dir = NULL;
	struct fab fab;

	new_home(home);
	fab_load("real.fab", 4096, &fab);
	snprintf(path, sizeof path, "%s/apps", home);
	assert_int_equal(dir_make(path, 0755), 0);
	snprintf(path, sizeof path, "%s/apps/%.*s%s", home, (int)strlen(fixture.name) - 8,
		fixture.name, fab.hash);
	close(open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0644));
	assert_int_equal(install(&fab, home, &dir, &why), -ENOTDIR);
	assert_non_null(strstr(why.text, path));
	slices_done(&fab.content);
}

struct racer {
	pthread_t thread;
	const struct fab *fab;
	const char *home;
	pthread_barrier_t *start;
	int r;
	struct reason why;
};

static void *race(void *arg)
{
	struct racer *racer = arg;
	char *dir = NULL;

	pthread_barrier_wait(racer->start);
	racer->r = install(racer->fab, racer->home, &dir, &racer->why);
	if (racer->r == 0 && access(dir, F_OK) < 0)
		racer->r = -errno;
	free(dir);
	return NULL;
}

/* All at once: each finds the whole app, and nothing else stays behind. */
static void test_threads(void **state)
{
	struct fab fab;

	fab_load("zeros.fab", 4096, &fab);
	for (int round = 0; round < 8; round++) {
		struct racer racers[RACERS] = {0};
		pthread_barrier_t start;
		char home[HOME_BYTES];

		new_home(home);
		pthread_barrier_init(&start, NULL, RACERS);
		for (int i = 0; i < RACERS; i++) {
			racers[i].fab = &fab;
			racers[i].home = home;
			racers[i].start = &start;
			assert_int_equal(
				pthread_create(&racers[i].thread, NULL, race, &racers[i]), 0);
		}
		for (int i = 0; i < RACERS; i++) {
			pthread_join(racers[i].thread, NULL);
			if (racers[i].r != 0)
				fail_msg("%d %s", racers[i].r, racers[i].why.text);
		}
		pthread_barrier_destroy(&start);
		assert_int_equal(count_entries(home, "apps"), 1);
	}
	slices_done(&fab.content);
}

static void test_processes(void **state)
{
	struct fab fab;
	char home[HOME_BYTES];
	pid_t pids[RACERS];

	new_home(home);
	fab_load("zeros.fab", 4096, &fab);
	for (int i = 0; i < RACERS; i++) {
		pids[i] = fork();
		if (pids[i] == 0) {
			char *dir = NULL;
			int r = install(&fab, home, &dir, NULL);

			free(dir);
			_exit(r != 0);
		}
	}
	for (int i = 0; i < RACERS; i++) {
		int status;

		assert_int_equal(waitpid(pids[i], &status, 0), pids[i]);
		assert_int_equal(status, 0);
	}
	assert_int_equal(count_entries(home, "apps"), 1);
	slices_done(&fab.content);
}

/*
 * Flipped bytes: never a crash. Taken only where the flip does not matter (times, pyproject.toml's
 * own text, which is not listed), and then all files but that are as they should be.
 */
static void test_flips(void **state)
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
		cmocka_unit_test(test_hash),
		cmocka_unit_test(test_manifest),
		cmocka_unit_test(test_real),
		cmocka_unit_test(test_directories_are_synced),
		cmocka_unit_test(test_good_variants),
		cmocka_unit_test(test_refused),
		cmocka_unit_test(test_limits),
		cmocka_unit_test(test_hash_form),
		cmocka_unit_test(test_flowers),
		cmocka_unit_test(test_changed),
		cmocka_unit_test(test_unlisted),
		cmocka_unit_test(bytecode_is_removed),
		cmocka_unit_test(test_owners),
		cmocka_unit_test(test_relative_home),
		cmocka_unit_test(test_left_over),
		cmocka_unit_test(test_crash),
		cmocka_unit_test(test_read_only),
		cmocka_unit_test(test_not_a_directory),
		cmocka_unit_test(test_threads),
		cmocka_unit_test(test_processes),
		cmocka_unit_test(test_flips),
	};

	return cmocka_run_group_tests(tests, group_setup, group_teardown);
}
