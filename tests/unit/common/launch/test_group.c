/*
 * Control groups as plain files: what is written where. A directory stands for the kernel's; it has
 * the files already that the kernel would make.
 */
#include "common/launch/group.h"
#include "common/launch/limits.h"
#include "rig.h"

#include "common/base/files.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

static const char *const files[] = {"cgroup.procs", "cgroup.subtree_control", "cgroup.kill",
	"memory.max", "memory.swap.max", "memory.oom.group", "memory.events", "cpu.max", "pids.max",
	"pids.events"};

static void put(const char *dir, const char *name, const char *text)
{
	char path[256];
	FILE *file;

	snprintf(path, sizeof path, "%s/%s", dir, name);
	file = fopen(path, "w");
	assert_non_null(file);
	fputs(text, file);
	fclose(file);
}

static void holds(const char *dir, const char *name, const char *text)
{
	char path[256];
	char *found = NULL;
	size_t len;

	snprintf(path, sizeof path, "%s/%s", dir, name);
	assert_int_equal(file_read(path, 4096, &found, &len), 0);
	assert_string_equal(found, text);
	free(found);
}

static void make_group(char path[256], const char *parent, const char *name)
{
	snprintf(path, 256, "%s%s%s", parent, name ? "/" : "", name ? name : "");
	mkdir(path, 0755);
	for (size_t i = 0; i < sizeof files / sizeof files[0]; i++)
		put(path, files[i], "");
}

/* ---- which group is ours ---- */

static int refusal; /* what access() says of directories that are to be written to; 0: nothing */

int __real_access(const char *path, int mode);
int __wrap_access(const char *path, int mode);

int __wrap_access(const char *path, int mode)
{
	if (!refusal || mode != W_OK)
		return __real_access(path, mode);
	errno = refusal;
	return -1;
}

static void group_refused(const char *dir, bool whole, int error, const char *sentence)
{
	char text[256];
	struct reason why = {.text = ""};

	refusal = error;
	assert_int_equal(group_check(dir, whole, &why), -error);
	refusal = 0;
	snprintf(text, sizeof text, "%s %s", dir, sentence);
	assert_string_equal(why.text, text);
}

/* A delegated group cannot be written to either, in a unit with ProtectControlGroups=yes. */
static void a_group_that_is_refused_says_what_the_unit_needs(void **state)
{
	char dir[] = "/tmp/group-XXXXXX";
	struct reason why = {.text = ""};

	assert_non_null(mkdtemp(dir));
	put(dir, "cgroup.type", "domain\n");
	group_refused(dir, false, EROFS,
		"is read-only (systemd: ProtectControlGroups=no beside Delegate=yes)");
	group_refused(dir, true, EROFS, "is read-only in this container");
	group_refused(dir, false, EACCES,
		"is not delegated (systemd: Delegate=yes beside ProtectControlGroups=no)");
	group_refused(dir, true, EACCES, "cannot be written: Permission denied");
	assert_int_equal(group_check(dir, true, &why), 0);
	dir_remove(dir);
}

static void a_group_that_is_not_ours_says_why(void **state)
{
	char dir[] = "/tmp/group-XXXXXX";
	struct reason why = {.text = ""};

	assert_non_null(mkdtemp(dir));
	assert_int_equal(group_check(dir, false, &why), -EPERM);
	assert_non_null(strstr(why.text, "in the control group of the whole machine"));
	put(dir, "cgroup.type", "domain\n");
	if (geteuid() != 0) {
		assert_int_equal(group_check(dir, false, &why), 0);
	} else {
		assert_int_equal(group_check(dir, false, &why), -EPERM);
		assert_non_null(strstr(why.text, "is not delegated (systemd: Delegate=yes"));
		if (setxattr(dir, "trusted.delegate", "1", 1, 0) == 0)
			assert_int_equal(group_check(dir, false, &why), 0);
	}
	dir_remove(dir);
}

/* ---- dividing it ---- */

static void an_app_gets_its_limits(void **state)
{
	const bool wanted[] = {true, true, true};
	const uint64_t values[] = {1048576, 2, 7};
	char top[] = "/tmp/group-XXXXXX", dir[256], leaf[256], app[256];
	struct groups *groups = NULL;
	struct group *group = NULL;
	struct reason why = {.text = ""};

	assert_non_null(mkdtemp(top));
	make_group(dir, top, NULL);
	make_group(leaf, top, "flwr-node");
	make_group(app, top, "app-1");
	put(dir, "cgroup.controllers", "cpuset cpu memory pids\n");
	assert_int_equal(groups_new(dir, wanted, &groups, &why), 0);
	for (size_t i = 0; i < GROUP_LIMIT_N; i++)
		assert_true(groups_limit(groups, (enum group_limit)i));
	assert_int_equal(group_new(groups, "app-1", values, &group, &why), 0);
	holds(app, "memory.max", "1048576");
	holds(app, "memory.swap.max", "0");
	holds(app, "memory.oom.group", "1");
	holds(app, "cpu.max", "200000 100000");
	holds(app, "pids.max", "7");
	assert_int_equal(group_add(group, 4711), 0);
	holds(app, "cgroup.procs", "4711");
	assert_non_null(strstr(group_procs(group), "/app-1/cgroup.procs"));
	assert_int_equal(group_shortage(group), GROUP_NO_SHORTAGE);
	put(app, "memory.events", "low 0\nhigh 0\nmax 12\noom 0\noom_kill 2\noom_group_kill 1\n");
	assert_int_equal(group_shortage(group), GROUP_SHORT);
	put(app, "memory.events", "low 0\nhigh 0\nmax 12\noom 3\noom_kill 2\noom_group_kill 1\n");
	put(app, "pids.events", "max 5\n");
	assert_int_equal(group_shortage(group), GROUP_OVER_LIMIT);
	assert_int_equal(group_pid_refusals(group), 5);
	group_free(group);
	groups_free(groups);
	dir_remove(top);
}

static void controllers_that_are_missing_are_done_without(void **state)
{
	const bool wanted[] = {true, true, false};
	const uint64_t values[] = {1048576, 2, 0};
	char top[] = "/tmp/group-XXXXXX", dir[256], leaf[256], app[256];
	struct groups *groups = NULL;
	struct group *group = NULL;
	struct reason why = {.text = ""};

	assert_non_null(mkdtemp(top));
	make_group(dir, top, NULL);
	make_group(leaf, top, "flwr-node");
	make_group(app, top, "app-1");
	put(dir, "cgroup.controllers", "memory pids\n");
	assert_int_equal(groups_new(dir, wanted, &groups, &why), 0);
	holds(dir, "cgroup.subtree_control", "+memory");
	assert_true(groups_limit(groups, GROUP_MEMORY));
	assert_false(groups_limit(groups, GROUP_CPUS));
	assert_false(groups_limit(groups, GROUP_PIDS));
	assert_int_equal(group_new(groups, "app-1", values, &group, &why), 0);
	holds(app, "cpu.max", "");
	group_free(group);
	groups_free(groups);
	/* None of those that are needed. */
	put(dir, "cgroup.controllers", "hugetlb\n");
	assert_int_equal(groups_new(dir, wanted, &groups, &why), -EOPNOTSUPP);
	assert_non_null(strstr(why.text, "none of the controllers"));
	dir_remove(top);
}

static void what_cannot_be_divided_stays_as_it_was(void **state)
{
	const bool wanted[] = {true, false, false};
	char top[] = "/tmp/group-XXXXXX", dir[256];
	struct groups *groups = NULL;
	struct reason why = {.text = ""};

	assert_non_null(mkdtemp(top));
	make_group(dir, top, NULL);
	put(dir, "cgroup.controllers", "memory\n");
	put(dir, "cgroup.procs", "4711\n");
	/* The leaf has no file of members. */
	assert_int_equal(groups_new(dir, wanted, &groups, &why), -ENOENT);
	assert_non_null(strstr(why.text, "cannot be divided"));
	assert_int_equal(access(dir, F_OK), 0);
	snprintf(dir, sizeof dir, "%s/flwr-node", top);
	assert_int_equal(access(dir, F_OK), -1);
	dir_remove(top);
}

/* ---- limits ---- */

static const char *own; /* the directory of this program's group; NULL: what the machine says */

int __real_group_find_own(char **dir_out, struct reason *why);
int __wrap_group_find_own(char **dir_out, struct reason *why);

int __wrap_group_find_own(char **dir_out, struct reason *why)
{
	if (!own)
		return __real_group_find_own(dir_out, why);
	*dir_out = strdup(own);
	return 0;
}

/* The program is in its leaf then, and the apps are beside that. */
static void limits_name_the_group_that_holds_all(void **state)
{
	const struct launch_options options = {.worker_memory_bytes = 1 << 30};
	char top[] = "/tmp/group-XXXXXX", dir[256], leaf[256];
	struct rig *rig = *state;
	struct limits *limits = NULL;
	struct reason why = {.text = ""};

	assert_non_null(mkdtemp(top));
	make_group(dir, top, NULL);
	make_group(leaf, top, "flwr-node");
	put(dir, "cgroup.controllers", "memory\n");
	own = top;
	assert_int_equal(limits_new(&options, &limits, &why), 0);
	assert_string_equal(limits_groups_dir(limits), top);
	limits_tell(limits, 0, rig->log);
	assert_int_equal(rig_log_count(rig, "1073741824 bytes of memory by control group;"), 1);
	limits_free(limits);
	/* No controllers, no groups. */
	put(dir, "cgroup.controllers", "");
	assert_int_equal(limits_new(&options, &limits, &why), 0);
	own = NULL;
	assert_null(limits_groups_dir(limits));
	limits_free(limits);
	dir_remove(top);
}

static void without_groups_an_app_has_limits_of_its_own(void **state)
{
	struct rig *rig = *state;
	const struct launch_options options = {.worker_memory_bytes = 1 << 30, .worker_pids = 9};
	struct limits *limits = NULL;
	struct app_limits app;
	const char *words[APP_LIMITS_WORDS + 1] = {NULL};
	struct reason why = {.text = ""};

	assert_int_equal(limits_new(&(struct launch_options){.worker_pids = 0}, &limits, &why), 0);
	assert_null(limits);
	assert_int_equal(app_limits_init(NULL, 0, &app, &why), 0);
	assert_ptr_equal(app_limits_words(&app, words), words);
	assert_int_equal(limits_new(&options, &limits, &why), 0);
	limits_tell(limits, 0, rig->log);
	assert_int_equal(
		rig_log_count(rig, "limits of each worker's app: 1073741824 bytes of memory"), 1);
	assert_int_equal(app_limits_init(limits, 12345, &app, &why), 0);
	if (!app.group) {
		/* Nobody else runs as that user. */
		assert_string_equal(app.data_bytes, "1073741824");
		assert_string_equal(app.processes, "9");
		assert_ptr_equal(app_limits_words(&app, words), words + 4);
		assert_string_equal(words[0], "-d");
		assert_string_equal(words[2], "-p");
		assert_int_equal(rig_log_count(rig, "--worker-pids has no effect"), 1);
	}
	app_limits_done(&app);
	limits_free(limits);
}

#define TEST(function) cmocka_unit_test_setup_teardown(function, rig_setup, rig_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(a_group_that_is_refused_says_what_the_unit_needs),
		TEST(a_group_that_is_not_ours_says_why),
		TEST(an_app_gets_its_limits),
		TEST(controllers_that_are_missing_are_done_without),
		TEST(what_cannot_be_divided_stays_as_it_was),
		TEST(limits_name_the_group_that_holds_all),
		TEST(without_groups_an_app_has_limits_of_its_own),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
