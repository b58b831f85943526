#include "common/base/files.h"
#include "kit/dir.h"

#include <fcntl.h>
#include <limits.h>
#include <linux/magic.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/vfs.h>

static bool is_there(const char *path)
{
	struct stat st;

	return lstat(path, &st) == 0;
}

static void whole_files(void **state)
{
	auto_(free_at_exit) char *path = kit_dir_path("file");
	char *text;
	size_t len;

	kit_file_write(path, "0123456789");
	assert_int_equal(file_read(path, 10, &text, &len), 0);
	assert_int_equal(len, 10);
	assert_string_equal(text, "0123456789");
	free(text);
	assert_int_equal(file_read(path, 9, &text, &len), -EFBIG);
	assert_int_equal(file_read("/dev/zero", 100000, &text, &len), -EFBIG);
	assert_int_equal(file_read("/proc/self/status", 100000, &text, &len), 0);
	assert_non_null(strstr(text, "Name:"));
	free(text);
	assert_int_equal(file_read("/dev/null", 0, &text, &len), 0);
	assert_int_equal(len, 0);
	free(text);
	assert_int_equal(file_read(kit_dir, 10, &text, &len), -EISDIR);
	assert_int_equal(file_read("/nonexistent", 10, &text, &len), -ENOENT);
}

static void directories_are_made(void **state)
{
	auto_(free_at_exit) char *deep = kit_dir_path("made/a//b/c/");
	auto_(free_at_exit) char *file = kit_dir_path("made/file");
	auto_(free_at_exit) char *under = kit_dir_path("made/file/x");
	struct stat st;

	assert_int_equal(dir_make(deep, 0700), 0);
	assert_int_equal(stat(deep, &st), 0);
	assert_int_equal(st.st_mode & 0777, 0700);
	assert_int_equal(dir_make(deep, 0700), 0);
	assert_int_equal(dir_make("/", 0700), 0);
	assert_int_equal(dir_make("", 0700), -ENOENT);
	kit_file_write(file, "");
	assert_int_equal(dir_make(file, 0700), -ENOTDIR);
	assert_int_equal(dir_make(under, 0700), -ENOTDIR);
}

static void links_are_removed_not_followed(void **state)
{
	auto_(free_at_exit) char *kept = kit_dir_path("kept");
	auto_(free_at_exit) char *kept_file = kit_dir_path("kept/file");
	auto_(free_at_exit) char *tree = kit_dir_path("tree/a/b");
	auto_(free_at_exit) char *link_in = kit_dir_path("tree/a/link");
	auto_(free_at_exit) char *locked = kit_dir_path("tree/locked/x");
	auto_(free_at_exit) char *locked_dir = kit_dir_path("tree/locked");
	auto_(free_at_exit) char *top = kit_dir_path("tree");
	auto_(free_at_exit) char *link_top = kit_dir_path("link");

	assert_int_equal(dir_make(kept, 0700), 0);
	kit_file_write(kept_file, "precious");
	assert_int_equal(dir_make(tree, 0700), 0);
	assert_int_equal(symlink(kept, link_in), 0);
	assert_int_equal(dir_make(locked, 0700), 0);
	assert_int_equal(chmod(locked, 0000), 0);
	assert_int_equal(chmod(locked_dir, 0500), 0);
	assert_int_equal(dir_remove(top), 0);
	assert_false(is_there(top));
	assert_int_equal(dir_remove(top), 0);
	assert_int_equal(symlink(kept, link_top), 0);
	assert_int_equal(dir_remove(link_top), 0);
	assert_false(is_there(link_top));
	assert_true(is_there(kept_file));
	assert_int_equal(dir_remove(kept_file), 0);
	assert_false(is_there(kept_file));
}

/* Deeper than a path can be named, where the file system can (FUSE's is not one), with more levels
 * than there are descriptors. */
static void a_deep_tree_is_removed(void **state)
{
	auto_(free_at_exit) char *top = kit_dir_path("deep");
	struct statfs about;
	int levels;
	int dir;

	assert_int_equal(mkdir(top, 0700), 0);
	assert_int_equal(statfs(top, &about), 0);
	levels = about.f_type == FUSE_SUPER_MAGIC || about.f_type == OVERLAYFS_SUPER_MAGIC ? 1500
											   : 3000;
	dir = open(top, O_PATH | O_DIRECTORY | O_CLOEXEC);
	for (int i = 0; i < levels; i++) {
		int next;

		assert_int_equal(mkdirat(dir, "d", 0700), 0);
		next = openat(dir, "d", O_PATH | O_DIRECTORY | O_CLOEXEC);
		assert_true(next >= 0);
		close(dir);
		dir = next;
	}
	close(dir);
	/* In short goes that would be a walk to its end for each. */
	assert_int_equal(dir_remove_some(top, 200), -ELOOP);
	assert_int_equal(dir_remove(top), 0);
	assert_false(is_there(top));
}

/* Several goes remove what one leaves. */
static void a_wide_tree_is_removed_in_goes(void **state)
{
	auto_(free_at_exit) char *top = kit_dir_path("wide");
	char name[16];
	int dir;

	assert_int_equal(mkdir(top, 0700), 0);
	dir = open(top, O_PATH | O_DIRECTORY | O_CLOEXEC);
	for (int i = 0; i < 25; i++) {
		snprintf(name, sizeof name, "%d", i);
		assert_int_equal(mkdirat(dir, name, 0700), 0);
	}
	close(dir);
	assert_int_equal(dir_remove_some(top, 10), 1);
	assert_int_equal(dir_remove_some(top, 10), 1);
	assert_int_equal(dir_remove_some(top, 10), 0);
	assert_false(is_there(top));
}

/* Set the variable or, for NULL, take it away. */
static void variable(const char *name, const char *value)
{
	if (value)
		assert_int_equal(setenv(name, value, 1), 0);
	else
		assert_int_equal(unsetenv(name), 0);
}

static void where_the_home_is(void **state)
{
	static const struct {
		const char *dir, *flwr_home, *data_home, *home, *runtime, *tmp, *expected, *older;
	} rows[] = {
		{"/opt/x", "/f", "/d", "/h", "/r", "/t", "/opt/x", NULL},
		{NULL, "/f", "/d", "/h", "/r", "/t", "/f", NULL},
		{NULL, "", "/d", "/h", "/r", "/t", "/h/.flwr", "/d/.flwr"},
		{"/opt/x", NULL, "/d", "/h", "/r", "/t", "/opt/x", NULL},
		{NULL, NULL, "/h", "/h", "/r", "/t", "/h/.flwr", NULL},
		{NULL, NULL, "/d", NULL, "/r", "/t", "/d/.flwr", NULL},
		{NULL, NULL, NULL, "/h", "/r", "/t", "/h/.flwr", NULL},
		{NULL, NULL, NULL, NULL, "/r", "/t", "", NULL},
		{NULL, NULL, NULL, "", NULL, "", "", NULL},
	};

	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		auto_(free_at_exit) char *path = NULL;
		auto_(free_at_exit) char *older = NULL;

		variable("FLWR_HOME", rows[i].flwr_home);
		variable("XDG_DATA_HOME", rows[i].data_home);
		variable("HOME", rows[i].home);
		variable("XDG_RUNTIME_DIR", rows[i].runtime);
		variable("TMPDIR", rows[i].tmp);
		path = path_flwr_home(rows[i].dir);
		assert_string_equal(path, rows[i].expected);
		assert_int_equal(path_flwr_home_older(path, &older), 0);
		assert_int_equal(!older, !rows[i].older);
		if (older)
			assert_string_equal(older, rows[i].older);
	}
}

/* Where none is named it is made, with a name that nobody knows before, and removed. */
static void a_home_of_its_own(void **state)
{
	auto_(free_at_exit) char *first = NULL;
	struct flwr_home home = {0};
	struct reason why = {0};
	struct stat st;

	variable("FLWR_HOME", NULL);
	variable("XDG_DATA_HOME", NULL);
	variable("HOME", NULL);
	variable("XDG_RUNTIME_DIR", NULL);
	variable("TMPDIR", NULL);
	assert_int_equal(flwr_home_open(NULL, &home, &why), 0);
	assert_int_equal(lstat(home.path, &st), 0);
	assert_int_equal(st.st_mode, S_IFDIR | 0700);
	first = path_join(home.path, "apps");
	assert_int_equal(mkdir(first, 0755), 0);
	flwr_home_done(&home);
	assert_int_equal(access(first, F_OK), -1);
	*strrchr(first, '/') = '\0';
	assert_int_equal(access(first, F_OK), -1);
	assert_int_equal(flwr_home_open(NULL, &home, &why), 0);
	assert_string_not_equal(home.path, first);
	flwr_home_done(&home);
	/* A home that the environment names is never removed. */
	variable("HOME", "/tmp");
	assert_int_equal(flwr_home_open(NULL, &home, &why), 0);
	assert_string_equal(home.path, "/tmp/.flwr");
	assert_false(home.is_made);
	flwr_home_done(&home);
}

static void private_directories(void **state)
{
	auto_(free_at_exit) char *dir = kit_dir_path("private/sub");
	auto_(free_at_exit) char *first = NULL;
	auto_(free_at_exit) char *second = NULL;
	auto_(free_at_exit) char *fallen_back = NULL;
	struct reason why = {0};
	char longer[160];
	char *none;
	struct stat st;

	assert_int_equal(dir_make_private(dir, &first, &why), 0);
	assert_int_equal(dir_make_private(dir, &second, &why), 0);
	assert_string_not_equal(first, second);
	assert_memory_equal(first, dir, strlen(dir));
	assert_int_equal(stat(first, &st), 0);
	assert_int_equal(st.st_mode & 0777, 0700);
	variable("XDG_RUNTIME_DIR", "/nonexistent");
	variable("TMPDIR", kit_dir);
	assert_int_equal(dir_make_private(NULL, &fallen_back, &why), 0);
	assert_memory_equal(fallen_back, kit_dir, strlen(kit_dir));
	snprintf(longer, sizeof longer, "%s/%080d", kit_dir, 0);
	assert_int_equal(dir_make_private(longer, &none, &why), -ENAMETOOLONG);
	assert_non_null(strstr(why.text, longer));
	assert_int_equal(dir_make_private("/proc/x", &none, &why), -ENOENT);
	assert_non_null(strstr(why.text, "/proc/x"));
}

/* The program that name stands for, or NULL and why. */
static char *program(const char *name, int *r)
{
	char *path = NULL;

	*r = path_find_program(name, &path);
	assert_int_equal(*r == 0, path != NULL);
	return path;
}

static void found_at(const char *name, const char *expected)
{
	int r;
	auto_(free_at_exit) char *path = program(name, &r);

	assert_int_equal(r, 0);
	assert_string_equal(path, expected);
}

static void not_found(const char *name, int expected)
{
	int r;

	assert_null(program(name, &r));
	assert_int_equal(r, expected);
}

static void search(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* Let PATH be that. */
static void search(const char *format, ...)
{
	char dirs[512];
	va_list args;

	va_start(args, format);
	vsnprintf(dirs, sizeof dirs, format, args);
	va_end(args);
	variable("PATH", dirs);
}

/* one/tool and two/tool are programs, two/text is none, two/folder is a directory. */
static void programs_are_found(void **state)
{
	auto_(free_at_exit) char *old_path = getenv("PATH") ? strdup(getenv("PATH")) : NULL;
	auto_(free_at_exit) char *here = getcwd(NULL, 0);
	auto_(free_at_exit) char *one = kit_dir_path("find/one");
	auto_(free_at_exit) char *two = kit_dir_path("find/two");
	auto_(free_at_exit) char *folder = kit_dir_path("find/two/folder");
	auto_(free_at_exit) char *text = kit_dir_path("find/one/text");
	auto_(free_at_exit) char *first = kit_dir_path("find/one/tool");
	auto_(free_at_exit) char *second = kit_dir_path("find/two/tool");
	auto_(free_at_exit) char *text_program = kit_dir_path("find/two/text");
	auto_(free_at_exit) char *link = kit_dir_path("find/two/link");
	auto_(free_at_exit) char *dotted = kit_dir_path("find/one/./tool");
	auto_(free_at_exit) char *sideways = kit_dir_path("find/one/../two/tool");

	assert_int_equal(dir_make(one, 0700), 0);
	assert_int_equal(dir_make(folder, 0700), 0);
	kit_file_write(text, "");
	kit_file_write(first, "");
	kit_file_write(second, "");
	kit_file_write(text_program, "");
	assert_int_equal(chmod(first, 0700), 0);
	assert_int_equal(chmod(second, 0700), 0);
	assert_int_equal(symlink(first, link), 0);

	/* A path needs no PATH, and a link is left as it is. */
	variable("PATH", NULL);
	found_at(first, first);
	found_at(link, link);
	not_found(text, -EACCES);
	not_found(folder, -EACCES);
	not_found("/nonexistent/tool", -ENOENT);
	not_found("tool", -ENOENT);
	search("/nonexistent:%s:%s", two, one);
	found_at("tool", second);
	not_found("no-such-tool", -ENOENT);
	not_found("folder", -EACCES);
	not_found("text", -EACCES);
	/* A file that cannot be executed does not hide a later one on the path. */
	assert_int_equal(chmod(text_program, 0700), 0);
	search("%s:%s", one, two);
	found_at("text", text_program);

	/* Always an absolute path, also from where we are, which an empty part of PATH stands for.
	 */
	assert_int_equal(chdir(one), 0);
	found_at("./tool", dotted);
	found_at("../two/tool", sideways);
	search("/nonexistent:");
	found_at("tool", dotted);
	search("/nonexistent::%s", two);
	found_at("tool", dotted);
	search("../two");
	found_at("tool", sideways);
	assert_int_equal(chdir(here), 0);
	variable("PATH", old_path);
}

static void directories_are_checked(void **state)
{
	static const struct {
		const char *path;
		int r;
	} rows[] = {
		{"/tmp", 0},
		{"/tmp/flwr-test-none/a/b", 0},
		{"none/of/these", 0},
		{"", -EINVAL},
		{"/dev/null", -ENOTDIR},
		{"/dev/null/a/b", -ENOTDIR},
	};

	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct reason why = {0};

		assert_int_equal(dir_check(rows[i].path, &why), rows[i].r);
		assert_int_equal(why.text[0] == '\0', rows[i].r == 0);
		if (rows[i].r && rows[i].path[0])
			assert_non_null(strstr(why.text, rows[i].path));
	}
	assert_false(is_there("/tmp/flwr-test-none"));
}

static void expect_checked(const char *path, int expected)
{
	struct reason why = {0};

	assert_int_equal(dir_check(path, &why), expected);
	assert_int_equal(why.text[0] == '\0', expected == 0);
}

/* Rights bind nobody who is root: then the process is somebody else for the while. */
static void directories_without_rights_are_told(void **state)
{
	auto_(free_at_exit) char *rights = kit_dir_path("rights");
	auto_(free_at_exit) char *open_dir = kit_dir_path("rights/open");
	auto_(free_at_exit) char *open_child = kit_dir_path("rights/open/a");
	auto_(free_at_exit) char *read_only = kit_dir_path("rights/read-only");
	auto_(free_at_exit) char *read_only_child = kit_dir_path("rights/read-only/a/b");
	auto_(free_at_exit) char *no_entry = kit_dir_path("rights/no-entry");
	const uid_t self = getuid();

	assert_int_equal(dir_make(open_dir, 0700), 0);
	assert_int_equal(dir_make(read_only, 0700), 0);
	assert_int_equal(dir_make(no_entry, 0700), 0);
	assert_int_equal(chmod(kit_dir, 0755), 0);
	assert_int_equal(chmod(rights, 0755), 0);
	assert_int_equal(chmod(open_dir, 0777), 0);
	assert_int_equal(chmod(read_only, 0555), 0);
	assert_int_equal(chmod(no_entry, 0666), 0);
	if (self == 0 && setreuid(65534, (uid_t)-1) < 0)
		skip(); /* there is nobody else here */
	expect_checked(open_dir, 0);
	expect_checked(open_child, 0);
	expect_checked(read_only, -EACCES);
	expect_checked(read_only_child, -EACCES);
	expect_checked(no_entry, -EACCES);
	if (self == 0)
		assert_int_equal(setreuid(0, (uid_t)-1), 0);
	/* Nothing was made. */
	assert_false(is_there(open_child));
}

static void small_things(void **state)
{
	int fd = memfd_new("small things");
	struct rlimit limit;

	assert_true(fd >= 0);
	assert_int_equal(fcntl(fd, F_GETFD), FD_CLOEXEC);
	close(fd);
	assert_int_equal(fd_write_all(-1, "x", 1), -EBADF);
	assert_int_equal(getrlimit(RLIMIT_NOFILE, &limit), 0);
	assert_true(fd_limit_raise() == limit.rlim_max);
}

static void reads_to_the_end(void **state)
{
	char buffer[8] = "";
	size_t len = 0;
	int ends[2];

	assert_int_equal(pipe(ends), 0);
	assert_int_equal(write(ends[1], "12345678", 8), 8);
	close(ends[1]);
	assert_int_equal(fd_read_all(ends[0], buffer, sizeof buffer, &len), 0);
	assert_int_equal(len, 8);
	assert_memory_equal(buffer, "12345678", 8);
	assert_int_equal(fd_read_all(ends[0], buffer, sizeof buffer, &len), 0);
	assert_int_equal(len, 0);
	close(ends[0]);
	assert_int_equal(pipe(ends), 0);
	assert_int_equal(write(ends[1], "123456789", 9), 9);
	close(ends[1]);
	assert_int_equal(fd_read_all(ends[0], buffer, sizeof buffer, &len), -EFBIG);
	close(ends[0]);
	assert_int_equal(fd_read_all(-1, buffer, sizeof buffer, &len), -EBADF);
}

static void descriptors_have_names(void **state)
{
	assert_int_equal(fd_named("fd:0"), 0);
	assert_int_equal(fd_named("fd:3"), 3);
	assert_int_equal(fd_named("/etc/fd:3"), -1);
	assert_int_equal(fd_named("fd"), -1);
	assert_int_equal(fd_named("fd:"), -EINVAL);
	assert_int_equal(fd_named("fd:1"), -EINVAL);
	assert_int_equal(fd_named("fd:2"), -EINVAL);
	assert_int_equal(fd_named("fd:-3"), -EINVAL);
	assert_int_equal(fd_named("fd:3x"), -EINVAL);
	assert_int_equal(fd_named("fd:99999999999"), -EINVAL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(reads_to_the_end),
		cmocka_unit_test(descriptors_have_names),
		cmocka_unit_test(whole_files),
		cmocka_unit_test(directories_are_made),
		cmocka_unit_test(links_are_removed_not_followed),
		cmocka_unit_test(a_deep_tree_is_removed),
		cmocka_unit_test(a_wide_tree_is_removed_in_goes),
		cmocka_unit_test(where_the_home_is),
		cmocka_unit_test(a_home_of_its_own),
		cmocka_unit_test(private_directories),
		cmocka_unit_test(programs_are_found),
		cmocka_unit_test(directories_are_checked),
		cmocka_unit_test(directories_without_rights_are_told),
		cmocka_unit_test(small_things),
	};

	return cmocka_run_group_tests(tests, kit_dir_make, kit_dir_remove);
}
