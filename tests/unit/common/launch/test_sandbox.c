#include "common/launch/sandbox.h"

#include "common/launch/sandbox_internal.h"
#include "common/launch/sandbox_options.h"
#include "kit/dir.h"
#include "rig.h"
#include "sandbox_rig.h"

#include <sys/stat.h>

/* ---- options ---- */

static void the_options_together(void **state)
{
	const struct {
		struct launch_options options;
		const char *says; /* NULL: they are fine */
	} rows[] = {
		{{.sandbox = NULL}, NULL},
		{{.sandbox = "off"}, NULL},
		{{.app_dir_writable = true}, NULL},
		{{.sandbox = "off", .app_dir_writable = true}, "--app-dir-writable has no effect"},
		{{.data_dir = {{"/"}}}, "--data-dir has no effect without --sandbox strict"},
		{{.sandbox = "node", .app_network = "all"}, "--app-network has no effect"},
		{{.sandbox = "off", .app_env = {{"A"}}}, "--app-env has no effect"},
		{{.sandbox = "strict", .data_dir = {{"/:ro", "/tmp:rw", "/"}}}, NULL},
		{{.sandbox = "strict", .data_dir = {{"/nowhere:rw"}}},
			"--data-dir /nowhere: No such"},
		{{.sandbox = "strict", .app_network = "all"}, NULL},
		{{.sandbox = "strict", .app_network = "a.example:443,[::1]:80"}, NULL},
		{{.sandbox = "strict", .app_network = "a.example"}, "--app-network "},
		{{.sandbox = "strict", .app_network = "1.2.3.4:0"}, "--app-network "},
		{{.sandbox = "strict", .app_network = ""}, "--app-network needs all, or HOST:PORT"},
		{{.sandbox = "strict", .app_env = {{"A", "B=", "C=d=e", "HF_*"}}}, NULL},
		{{.sandbox = "strict", .app_env = {{"=x"}}}, "--app-env takes the name"},
		{{.sandbox = "strict", .app_env = {{"A,B"}}}, "--app-env takes the name"},
		{{.sandbox = "strict", .app_env = {{"A*=x"}}}, "--app-env takes the name"},
	};

	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct reason why = {.text = ""};
		int r = sandbox_options_check(&rows[i].options, &why);

		if (rows[i].says ? r != -EINVAL || !strstr(why.text, rows[i].says) : r != 0)
			fail_msg("row %zu: %d, %s", i, r, why.text);
	}
}

static void ports_and_names(void **state)
{
	static const char *const rows[][2] = {
		{"1.2.3.4:443", "443"},
		{"1.2.3.4:443,[::1]:8080", "443,8080"},
		{"data.example:443", "443,53"},
		{"1.2.3.4:1,data.example:2", "1,2,53"},
		{"all", NULL},
		{NULL, NULL},
	};

	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		auto_(free_at_exit) char *ports = NULL;
		struct reason why = {.text = ""};

		assert_int_equal(sandbox_ports(rows[i][0], &ports, &why), 0);
		if (rows[i][1])
			assert_string_equal(ports, rows[i][1]);
		else
			assert_null(ports);
	}
}

/* ---- descriptions ---- */

static struct launch_options launch;

/* A sandbox whose kernel can do all. */
static struct sandbox sandbox_of(enum sandbox_kind kind)
{
	return sandbox_rig(kind, &launch, "/dev");
}

static char *app_dir(void)
{
	auto_(free_at_exit) char *apps = kit_dir_path("apps");
	char *own = kit_dir_path("apps/own");

	mkdir(apps, 0755);
	mkdir(own, 0755);
	return own;
}

static int cage_of(struct sandbox *sandbox, const char *dir, struct sandbox_cage *out)
{
	struct reason why = {.text = ""};
	struct sandbox_app app = sandbox_rig_app(dir);
	int r = sandbox_cage(sandbox, &app, out, &why);

	assert_true(r == 0 || why.text[0]);
	return r;
}

/* Is it a line of text? */
static bool has_line(const char *text, const char *line)
{
	size_t len = strlen(line);

	for (const char *at = text; (at = strstr(at, line)); at += len)
		if ((at == text || at[-1] == '\n') && at[len] == '\n')
			return true;
	return false;
}

static void assert_line(const char *text, bool there, const char *word, const char *path)
{
	auto_(free_at_exit) char *line = NULL;

	assert_true(asprintf(&line, "%s%s%s", word, *path ? " " : "", path) > 0);
	if (has_line(text, line) != there)
		fail_msg("%s: %s", line, text);
}

static void what_is_hidden(void **state)
{
	auto_(free_at_exit) char *own = app_dir();
	auto_(free_at_exit) char *apps = kit_dir_path("apps");
	auto_(free_at_exit) char *key = kit_dir_write_text("key", "k");
	auto_(free_at_exit) char *link = kit_dir_path("link");
	auto_(free_at_exit) char *socket = kit_dir_write_text("socket", "");
	auto_(free_at_exit) char *address = NULL;
	auto_(sandbox_cage_done) struct sandbox_cage cage = {0};
	struct sandbox sandbox = sandbox_of(SANDBOX_NODE);
	char self[32];

	if (symlink(key, link) < 0)
		assert_int_equal(errno, EEXIST);
	assert_int_equal(sandbox_hide(&sandbox, link), 0);
	assert_int_equal(sandbox_hide(&sandbox, NULL), 0);
	assert_int_equal(sandbox_hide(&sandbox, "fd:4"), 0);
	assert_int_equal(sandbox_hide(&sandbox, "/not/there"), 0);
	assert_true(asprintf(&address, "unix:%s", socket) > 0);
	assert_int_equal(sandbox_hide_socket(&sandbox, address), 0);
	assert_int_equal(sandbox_hide_socket(&sandbox, "127.0.0.1:9094"), 0);
	assert_int_equal(sandbox_hide_socket(&sandbox, NULL), 0);
	assert_int_equal(cage_of(&sandbox, own, &cage), 0);
	snprintf(self, sizeof self, "/proc/%d", (int)getpid());
	assert_line(cage.description, true, "mounts", "");
	assert_line(cage.description, true, "hide", key);
	assert_line(cage.description, true, "hide", self);
	snprintf(self, sizeof self, "/proc/%d", (int)getppid());
	assert_line(cage.description, getppid() != 1, "hide", self);
	assert_line(cage.description, true, "hide", socket);
	assert_line(cage.description, true, "apps", apps);
	assert_line(cage.description, true, "app", own);
	assert_line(cage.description, false, "strict", "");
	assert_null(strstr(cage.description, "not/there"));
	assert_string_equal(cage.env[0], "FLWR_APP_SANDBOX=node:first");
	assert_null(cage.env_keep);
	sandbox_cage_done(&cage);
	launch.app_dir_writable = true;
	assert_int_equal(cage_of(&sandbox, own, &cage), 0);
	assert_line(cage.description, true, "app-rw", own);
	assert_string_equal(cage.env[0], "FLWR_APP_SANDBOX=node");
	for (size_t i = 0; i < sandbox.n_hidden; i++)
		free(sandbox.hidden[i]);
}

/* A worker names the app; it may name no other directory. */
static void only_what_is_installed(void **state)
{
	auto_(free_at_exit) char *own = app_dir();
	static const char *const names[] = {
		"apps", "apps/", "apps/..", "apps/own/..", "apps/own/inside", "", "apps/none"};
	auto_(free_at_exit) char *inside = kit_dir_path("apps/own/inside");
	struct sandbox sandbox = sandbox_of(SANDBOX_NODE);
	struct sandbox_cage cage;

	mkdir(inside, 0755);
	for (size_t i = 0; i < ARRAY_LEN(names); i++) {
		auto_(free_at_exit) char *path = kit_dir_path(names[i]);

		if (cage_of(&sandbox, path, &cage) != -EPERM)
			fail_msg("%s", names[i]);
		assert_null(cage.description);
	}
	assert_int_equal(cage_of(&sandbox, "/", &cage), -EPERM);
}

/* Without mounts, and without a word of the operator, nothing is hidden that would keep apps from
 * making files where they could before. */
static void what_is_hidden_without_mounts(void **state)
{
	auto_(free_at_exit) char *own = app_dir();
	auto_(sandbox_cage_done) struct sandbox_cage cage = {0};
	struct sandbox sandbox = sandbox_of(SANDBOX_NODE);

	sandbox.mounts = false;
	assert_true(sandbox_hides(&sandbox, own));
	sandbox.asked = false;
	assert_false(sandbox_hides(&sandbox, own));
	/* Another user may write to none of these. */
	sandbox.uid = 4000000;
	sandbox.gid = 4000000;
	assert_true(sandbox_hides(&sandbox, "/usr/lib/x"));
	assert_false(sandbox_hides(&sandbox, "/tmp/x"));
	sandbox.uid = 0;
	assert_false(sandbox_hides(&sandbox, "/usr/lib/x"));
	assert_int_equal(cage_of(&sandbox, own, &cage), 0);
	assert_null(strstr(cage.description, "mounts"));
	assert_null(strstr(cage.description, "hide /proc"));
	assert_null(strstr(cage.description, "apps "));
	assert_line(cage.description, true, "app", own);
}

/* ---- strict ---- */

static const char *env_of(const struct sandbox_cage *cage, const char *name)
{
	size_t len = strlen(name);

	for (char **each = cage->env; *each; each++)
		if (strncmp(*each, name, len) == 0 && (*each)[len] == '=')
			return *each + len + 1;
	return NULL;
}

static void what_strict_grants(void **state)
{
	auto_(free_at_exit) char *own = app_dir();
	auto_(free_at_exit) char *data = kit_dir_write_text("data", "d");
	auto_(free_at_exit) char *writable = NULL;
	auto_(sandbox_cage_done) struct sandbox_cage cage = {0};
	struct sandbox sandbox = sandbox_of(SANDBOX_STRICT);
	struct reason why = {.text = ""};
	struct stat st;

	assert_true(asprintf(&writable, "%s:rw", kit_dir) > 0);
	launch.data_dir.v[0] = data;
	launch.data_dir.v[1] = writable;
	launch.app_network = "1.2.3.4:443";
	launch.app_env.v[0] = "A_NAME";
	launch.app_env.v[1] = "A_SETTING=x";
	assert_int_equal(sandbox_strict_new(&sandbox, &why), 0);
	assert_int_equal(cage_of(&sandbox, own, &cage), 0);
	assert_line(cage.description, true, "strict", "");
	assert_line(cage.description, true, "read", data);
	assert_line(cage.description, true, "write", kit_dir);
	assert_line(cage.description, true, "network", "443");
	assert_line(cage.description, true, "read", "/usr");
	assert_line(cage.description, true, "write", "/dev/null");
	assert_line(cage.description, true, "fresh", "/dev/shm");
	assert_line(cage.description, false, "read", "/etc");
	assert_line(cage.description, true, "write", env_of(&cage, "HOME"));
	assert_line(cage.description, true, "write", env_of(&cage, "TMPDIR"));
	assert_line(cage.description, true, "write", cage.directory);
	assert_string_equal(env_of(&cage, "PYTHONNOUSERSITE"), "1");
	assert_string_equal(env_of(&cage, "A_SETTING"), "x");
	assert_string_equal(cage.env[0], "FLWR_APP_SANDBOX=strict:first");
	assert_non_null(cage.env_keep);
	assert_int_equal(stat(cage.directory, &st), 0);
	assert_int_equal(st.st_mode & 07777, 0700);
	sandbox_strict_done(&sandbox);
	assert_int_equal(stat(cage.directory, &st), -1);
}

/* ---- the zygote ---- */

static void cage_of_the_zygote(void **state)
{
	auto_(free_at_exit) char *own = app_dir();
	auto_(free_at_exit) char *apps = kit_dir_path("apps");
	auto_(free_at_exit) char *key = kit_dir_write_text("key", "k");
	auto_(sandbox_cage_done) struct sandbox_cage cage = {0};
	struct sandbox sandbox = sandbox_of(SANDBOX_NODE);
	struct reason why = {.text = ""};

	sandbox.mounts_again = true;
	assert_int_equal(sandbox_hide(&sandbox, key), 0);
	assert_int_equal(sandbox_zygote(&sandbox, "/usr/bin/python3", &cage, &why), 0);
	assert_line(cage.description, true, "mounts", "");
	assert_line(cage.description, true, "warm", "");
	assert_line(cage.description, true, "hide", key);
	assert_line(cage.description, true, "keep", apps);
	assert_string_equal(cage.env[0], "FLWR_APP_SANDBOX=node");
	assert_null(cage.env_keep);
	sandbox_cage_done(&cage);
	launch.app_dir_writable = true;
	assert_int_equal(sandbox_zygote(&sandbox, "/usr/bin/python3", &cage, &why), 0);
	assert_line(cage.description, false, "keep", apps);
	free(sandbox.hidden[0]);
}

/* Its environment is that of its forks, as far as it is the same for all of them. */
static void zygote_of_strict(void **state)
{
	auto_(free_at_exit) char *own = app_dir();
	auto_(sandbox_cage_done) struct sandbox_cage cage = {0};
	struct sandbox sandbox = sandbox_of(SANDBOX_STRICT);
	struct reason why = {.text = ""};

	sandbox.mounts_again = true;
	launch.app_env.v[0] = "A_SETTING=x";
	assert_int_equal(sandbox_strict_new(&sandbox, &why), 0);
	assert_int_equal(sandbox_zygote(&sandbox, "/usr/bin/python3", &cage, &why), 0);
	assert_line(cage.description, true, "warm", "");
	assert_line(cage.description, false, "strict", "");
	assert_string_equal(env_of(&cage, "A_SETTING"), "x");
	assert_string_equal(env_of(&cage, "PYTHONNOUSERSITE"), "1");
	assert_null(env_of(&cage, "HOME"));
	assert_non_null(cage.env_keep);
	sandbox_strict_done(&sandbox);
}

static void no_zygote(void **state)
{
	struct sandbox sandbox = sandbox_of(SANDBOX_NODE);
	struct sandbox_cage cage;
	struct reason why = {.text = ""};

	/* Its forks could have no mounts. */
	assert_int_equal(sandbox_zygote(&sandbox, "/usr/bin/python3", &cage, &why), -EPERM);
	assert_non_null(strstr(why.text, "no user namespace"));
	/* Nor could it, and its Python lies where its apps may write. */
	auto_(free_at_exit) char *python = kit_dir_write_text("python3", "");

	sandbox.mounts = false;
	sandbox.uid = 4000000;
	assert_int_equal(sandbox_zygote(&sandbox, "/nowhere/python3", &cage, &why), -EPERM);
	assert_non_null(strstr(why.text, "may change the Python"));
	chmod(kit_dir, 0777);
	assert_int_equal(sandbox_zygote(&sandbox, python, &cage, &why), -EPERM);
	/* None is asked for. */
	sandbox.kind = SANDBOX_OFF;
	assert_int_equal(sandbox_zygote(&sandbox, python, &cage, &why), 0);
	assert_null(cage.env);
}

/* What a user cannot change below a Python that root has installed is closed to him. */
static void closed_python(void **state)
{
	static const char *const names[] = {"prefix", "prefix/bin", "prefix/lib",
		"prefix/lib/python3.9", "prefix/lib/python3.9/site-packages"};
	struct sandbox sandbox = sandbox_of(SANDBOX_NODE);
	auto_(free_at_exit) char *packages = kit_dir_path(names[ARRAY_LEN(names) - 1]);
	auto_(free_at_exit) char *home = kit_dir_path("home");

	/* Directories that others may write to lie above a test's. */
	if (geteuid() != 0)
		skip();
	sandbox.uid = 4000000;
	sandbox.gid = 4000000;
	unsetenv("PYTHONPATH");
	setenv("HOME", home, 1);
	assert_true(sandbox_python_closed(&sandbox, "/usr/bin/python3"));
	assert_false(sandbox_python_closed(&sandbox, "/nowhere/bin/python3"));
	for (size_t i = 0; i < ARRAY_LEN(names); i++) {
		auto_(free_at_exit) char *path = kit_dir_path(names[i]);

		assert_int_equal(mkdir(path, 0755), 0);
	}
	setenv("PYTHONPATH", packages, 1);
	assert_false(sandbox_python_closed(&sandbox, "/usr/bin/python3"));
	setenv("PYTHONPATH", "/usr/lib", 1);
	assert_true(sandbox_python_closed(&sandbox, "/usr/bin/python3"));
	unsetenv("PYTHONPATH");
}

static unsigned refills; /* goes in which a process makes a file meanwhile */

int __real_dir_remove_some(const char *path, unsigned max);
int __wrap_dir_remove_some(const char *path, unsigned max);
int __wrap_dir_remove_some(const char *path, unsigned max)
{
	if (refills == 0)
		return __real_dir_remove_some(path, max);
	refills--;
	return -ENOTEMPTY;
}

/* A process of the run that is being killed may make a file between the last one that is removed
 * and its directory. One that goes on for ever keeps nobody up. */
static void a_directory_that_is_filled_again(void **state)
{
	static const struct {
		unsigned refills, left;
	} rows[] = {{1, 0}, {20, 0}, {1000, 1}};

	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		auto_(free_at_exit) char *own = app_dir();
		auto_(sandbox_cage_done) struct sandbox_cage cage = {0};
		struct sandbox sandbox = sandbox_of(SANDBOX_STRICT);
		struct reason why = {.text = ""};
		unsigned goes = 1;

		assert_int_equal(sandbox_strict_new(&sandbox, &why), 0);
		assert_int_equal(cage_of(&sandbox, own, &cage), 0);
		refills = rows[i].refills;
		sandbox_run_ended(&sandbox, 7);
		while (sandbox_sweep(&sandbox))
			goes++;
		assert_in_range(goes, 1, 100);
		assert_int_equal(kit_dir_count(sandbox.runs), rows[i].left);
		refills = 0;
		sandbox_strict_done(&sandbox);
	}
}

/* What a run has goes with it, also what an app keeps others from; in steps, as it may be much. */
static void directories_of_a_run_that_is_over(void **state)
{
	auto_(free_at_exit) char *own = app_dir();
	auto_(sandbox_cage_done) struct sandbox_cage cage = {0}, again = {0};
	auto_(free_at_exit) char *folder = NULL;
	struct sandbox sandbox = sandbox_of(SANDBOX_STRICT);
	struct reason why = {.text = ""};
	unsigned steps = 1;
	struct stat st;

	assert_int_equal(sandbox_strict_new(&sandbox, &why), 0);
	assert_int_equal(cage_of(&sandbox, own, &cage), 0);
	assert_true(asprintf(&folder, "%s/full", cage.directory) > 0);
	assert_int_equal(mkdir(folder, 0700), 0);
	for (int i = 0; i < 500; i++) {
		auto_(free_at_exit) char *path = NULL;

		assert_true(asprintf(&path, "%s/%d", folder, i) > 0);
		kit_file_write(path, "");
	}
	assert_int_equal(chmod(folder, 0), 0);
	/* Another run's stay. */
	sandbox_run_ended(&sandbox, 8);
	assert_false(sandbox_sweep(&sandbox));
	assert_int_equal(stat(cage.directory, &st), 0);
	sandbox_run_ended(&sandbox, 7);
	assert_int_equal(stat(cage.directory, &st), -1);
	/* It may come again, before all is removed, as a new one. */
	assert_int_equal(cage_of(&sandbox, own, &again), 0);
	assert_string_equal(again.env[0], "FLWR_APP_SANDBOX=strict:first");
	assert_string_equal(again.directory, cage.directory);
	assert_int_equal(kit_dir_count(sandbox.runs), 2);
	while (sandbox_sweep(&sandbox))
		steps++;
	assert_in_range(steps, 3, 10);
	assert_int_equal(kit_dir_count(sandbox.runs), 1);
	assert_int_equal(stat(again.directory, &st), 0);
	assert_false(sandbox_sweep(&sandbox));
	assert_false(sandbox_sweep(NULL));
	sandbox_run_ended(NULL, 7);
	sandbox_strict_done(&sandbox);
}

/* What a killed program has left is removed by the next one, what is in use is not. */
static void directories_of_runs(void **state)
{
	struct sandbox one = sandbox_of(SANDBOX_STRICT), two = one;
	auto_(free_at_exit) char *left = kit_dir_path("runs-abcdef");
	auto_(free_at_exit) char *other = kit_dir_path("runs-of-mine");
	struct reason why = {.text = ""};
	struct stat st;

	assert_int_equal(mkdir(left, 0700), 0);
	assert_int_equal(mkdir(other, 0700), 0);
	assert_int_equal(sandbox_strict_new(&one, &why), 0);
	assert_int_equal(stat(left, &st), -1);
	assert_int_equal(stat(other, &st), 0);
	assert_int_equal(sandbox_strict_new(&two, &why), 0);
	assert_int_equal(stat(one.runs, &st), 0);
	assert_string_not_equal(one.runs, two.runs);
	sandbox_strict_done(&two);
	sandbox_strict_done(&one);
}

static void what_this_kernel_cannot(void **state)
{
	struct sandbox sandbox = sandbox_of(SANDBOX_STRICT);
	struct reason why = {.text = ""};

	launch.app_network = "1.2.3.4:443";
	sandbox.abi = 3;
	assert_int_equal(sandbox_strict_new(&sandbox, &why), -EINVAL);
	assert_non_null(strstr(why.text, "needs Landlock's ABI 4"));
}

/* ---- the start ---- */

static void what_there_is_here(void **state)
{
	const struct {
		const char *given;
		enum sandbox_kind kind;
	} rows[] = {{NULL, SANDBOX_NODE}, {"node", SANDBOX_NODE}, {"strict", SANDBOX_STRICT},
		{"off", SANDBOX_OFF}};
	struct rig *rig = *state;

	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct launch_options options = {.sandbox = rows[i].given};
		struct sandbox *sandbox = NULL;
		struct reason why = {.text = ""};
		int r = sandbox_new(
			&(struct sandbox_options){.launch = &options, .flwr_home = kit_dir},
			&sandbox, &why);

		/* A kernel without Landlock has one line, or one sentence. */
		if (r == -EINVAL && strstr(why.text, "needs Landlock"))
			continue;
		assert_int_equal(r, 0);
		if (sandbox_kind(sandbox) != SANDBOX_OFF)
			assert_int_equal(sandbox_kind(sandbox), rows[i].kind);
		sandbox_tell(sandbox, rig->log);
		assert_non_null(strstr(rig_log(rig), sandbox_kind(sandbox) == SANDBOX_OFF
							     ? "apps run without a cage"
							     : "apps run in a cage: sandbox="));
		sandbox_free(sandbox);
	}
	assert_int_equal(sandbox_kind(NULL), SANDBOX_OFF);
}

/* What the log says that each version of Landlock's interface cannot do. */
static void what_the_log_says(void **state)
{
	static const struct {
		const char *text;
		int abi; /* with this version it is said no more */
		bool node, bare, strict;
	} rows[] = {{"cannot move files", 2, false, true, true},
		{"tracing each other", 2, true, true, true},
		{"cannot truncate files", 3, false, true, true},
		{"but no ports", 4, false, false, true}, {"ioctls", 5, false, false, true},
		{"signalling", 6, true, true, true}, {"abstract sockets", 6, true, true, true},
		{"Landlock is of ABI 1:", 2, true, true, true},
		{"Landlock is of ABI", 6, true, true, true}};

	for (int abi = 1; abi <= 8; abi++)
		for (int kind = 0; kind < 3; kind++) {
			struct sandbox sandbox =
				sandbox_of(kind == 2 ? SANDBOX_STRICT : SANDBOX_NODE);
			struct rig *rig = *state;
			struct log *log = rig->log;
			size_t before = strlen(rig_log(rig));

			sandbox.abi = abi;
			sandbox.mounts = kind != 1;
			sandbox_tell(&sandbox, log);
			const char *said = rig_log(rig) + before;

			for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
				bool should = abi < rows[i].abi && (kind == 2     ? rows[i].strict
									   : kind ? rows[i].bare
										  : rows[i].node);

				if ((strstr(said, rows[i].text) != NULL) != should)
					fail_msg("ABI %d, kind %d: %s: %s", abi, kind, rows[i].text,
						said);
			}
		}
}

/* The directory of apps, too, which the first app makes. */
static void what_stays_in_reach(void **state)
{
	auto_(free_at_exit) char *said = NULL;
	struct sandbox sandbox = sandbox_of(SANDBOX_NODE);
	struct rig *rig = *state;

	sandbox.mounts = sandbox.asked = false;
	assert_true(asprintf(&said, "this stays within their reach: %s/apps;", kit_dir) > 0);
	sandbox_tell(&sandbox, rig->log);
	assert_int_equal(rig_log_count(rig, said), 1);
	free(app_dir());
	sandbox_tell(&sandbox, rig->log);
	assert_int_equal(rig_log_count(rig, said), 2);
}

/* A socket's path has 107 bytes at most, 69 of them below the Flower home. */
static void a_long_home(void **state)
{
	static const char said[] = "whose path has more than 38 bytes";
	char runs[38 + sizeof "/runs-XXXXXX" + 1];
	struct sandbox sandbox = sandbox_of(SANDBOX_STRICT);
	struct rig *rig = *state;

	snprintf(runs, sizeof runs, "/%037d/runs-XXXXXX", 0);
	sandbox.runs = runs;
	sandbox_tell(&sandbox, rig->log);
	assert_null(strstr(rig_log(rig), said));
	snprintf(runs, sizeof runs, "/%038d/runs-XXXXXX", 0);
	sandbox_tell(&sandbox, rig->log);
	assert_non_null(strstr(rig_log(rig), said));
}

static int setup(void **state)
{
	return kit_dir_make(state) ? -1 : rig_setup(state);
}

static int teardown(void **state)
{
	return rig_teardown(state) ? -1 : kit_dir_remove(state);
}

#define TEST(what) cmocka_unit_test_setup_teardown(what, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(the_options_together),
		TEST(ports_and_names),
		TEST(what_is_hidden),
		TEST(only_what_is_installed),
		TEST(what_is_hidden_without_mounts),
		TEST(what_strict_grants),
		TEST(cage_of_the_zygote),
		TEST(zygote_of_strict),
		TEST(no_zygote),
		TEST(closed_python),
		TEST(directories_of_runs),
		TEST(a_directory_that_is_filled_again),
		TEST(directories_of_a_run_that_is_over),
		TEST(what_this_kernel_cannot),
		TEST(what_there_is_here),
		TEST(what_the_log_says),
		TEST(what_stays_in_reach),
		TEST(a_long_home),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
