#include "rig.h"

#include <signal.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>

static struct process_set *set_new(struct rig *rig)
{
	struct process_set *set;

	assert_int_equal(process_set_new(rig->loop, rig->log, &set), 0);
	return set;
}

static struct process *start(
	struct process_set *set, const char *const *argv, int fd, struct seen *seen)
{
	struct process_spec spec = {
		.name = "app 1", .argv = argv, .fd = fd, .ops = &seen_ops, .arg = seen};
	struct process *process = NULL;
	struct reason why = {.text = ""};
	int r = process_start(set, &spec, &process, &why);

	if (r < 0)
		fail_msg("%s", why.text);
	return process;
}

#define SHELL(script) ((const char *const[]){"/bin/sh", "-c", script, NULL})

static void test_ends(void **state)
{
	static const struct {
		const char *script;
		enum process_end_kind kind;
		int value;
		const char *tail;
	} cases[] = {
		{"exit 0", PROCESS_EXITED, 0, ""},
		{"echo one; echo two >&2; printf three >&2; exit 3", PROCESS_EXITED, 3,
			"two\nthree"},
		{"kill -KILL $$", PROCESS_KILLED, SIGKILL, ""},
		{"echo oops >&2; kill -SEGV $$", PROCESS_KILLED, SIGSEGV, "oops"},
	};
	struct rig *rig = *state;
	struct process_set *set = set_new(rig);

	/* The output ends with the process: nobody waits for it. */
	rig_long_waits = false;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct seen seen = {.ended = false};

		start(set, SHELL(cases[i].script), -1, &seen);
		assert_int_equal(process_set_count(set), 1);
		rig_until(rig, &seen.gone);
		assert_int_equal(seen.end.kind, cases[i].kind);
		assert_int_equal(seen.end.value, cases[i].value);
		assert_int_equal(seen.end.stop, PROCESS_NOT_STOPPED);
		assert_false(seen.end.out_of_memory);
		assert_string_equal(seen.end.tail, cases[i].tail);
		assert_int_equal(process_set_count(set), 0);
	}
	assert_non_null(strstr(rig_log(rig), "app 1 out: one\n"));
	assert_non_null(strstr(rig_log(rig), "app 1 err: two\n"));
	process_set_free(set);
}

static void test_missing_program(void **state)
{
	struct rig *rig = *state;
	struct process_set *set = set_new(rig);
	const char *const argv[] = {"/nonexistent/program", NULL};
	struct process_spec spec = {.name = "app 1", .argv = argv, .fd = -1, .ops = &seen_ops};
	struct process *process;
	struct seen seen = {.ended = false};
	struct reason why;

	assert_int_equal(process_start(set, &spec, &process, &why), -ENOENT);
	assert_non_null(strstr(why.text, "/nonexistent/program"));
	assert_int_equal(process_set_count(set), 0);
	loop_step(rig->loop, 0);
	assert_false(seen.ended);
	process_set_free(set);
}

static void test_inherits_nothing(void **state)
{
	struct rig *rig = *state;
	struct process_set *set = set_new(rig);
	const char *const argv[] = {LAUNCH_HELPER, "fds", NULL};
	struct seen without = {.ended = false}, with = {.ended = false};
	int leak = dup(rig->log_fd); /* not CLOEXEC, as a foreign library's might be */

	assert_true(leak > PROCESS_FD);
	start(set, argv, -1, &without);
	rig_until(rig, &without.gone);
	assert_int_equal(rig_log_count(rig, "out: fd "), 3);
	start(set, argv, leak, &with);
	rig_until(rig, &with.gone);
	assert_int_equal(rig_log_count(rig, "out: fd "), 3 + 4);
	assert_int_equal(rig_log_count(rig, "out: fd 3\n"), 1);
	close(leak);
	process_set_free(set);
}

static void test_signals_are_default(void **state)
{
	struct rig *rig = *state;
	struct process_set *set = set_new(rig);
	const char *const argv[] = {LAUNCH_HELPER, "signals", NULL};
	struct seen seen = {.ended = false};
	sigset_t blocked, before;

	sigemptyset(&blocked);
	sigaddset(&blocked, SIGTERM);
	sigaddset(&blocked, SIGCHLD);
	sigprocmask(SIG_BLOCK, &blocked, &before);
	signal(SIGPIPE, SIG_IGN);
	start(set, argv, -1, &seen);
	rig_until(rig, &seen.gone);
	signal(SIGPIPE, SIG_DFL);
	sigprocmask(SIG_SETMASK, &before, NULL);
	assert_int_equal(rig_log_count(rig, "masked"), 0);
	assert_int_equal(rig_log_count(rig, "ignored"), 0);
	assert_int_equal(rig_log_count(rig, "session own"), 1);
	process_set_free(set);
}

static void test_environment(void **state)
{
	struct rig *rig = *state;
	struct process_set *set = set_new(rig);
	const char *const argv[] = {"/usr/bin/env", NULL};
	const char *const env[] = {"FLWR_TEST_A=first", "FLWR_APP_FD=3", "FLWR_TEST_A=new", NULL};
	const char *const drop[] = {"FLWR_TEST_B", NULL};
	const char *const hide[] = {"FLWR_TEST_D,FLWR_TEST_E_*", "FLWR_TEST", "F", NULL};
	struct process_spec spec = {.name = "app 1",
		.argv = argv,
		.env = env,
		.env_drop = drop,
		.env_hide = hide,
		.fd = -1,
		.ops = &seen_ops};
	struct process *process;
	struct seen seen = {.ended = false};

	spec.arg = &seen;

	setenv("FLWR_TEST_A", "old", 1);
	setenv("FLWR_TEST_B", "dropped", 1);
	setenv("FLWR_TEST_C", "kept", 1);
	setenv("FLWR_TEST_D", "hidden", 1);
	setenv("FLWR_TEST_DE", "kept, too", 1);
	setenv("FLWR_TEST_E_", "hidden", 1);
	setenv("FLWR_TEST_E_NUMBER", "hidden", 1);
	setenv("NOTIFY_SOCKET", "/x", 1);
	setenv("WATCHDOG_USEC", "1", 1);
	setenv("CREDENTIALS_DIRECTORY", "/x", 1);
	setenv("LISTEN_FDS", "1", 1);
	setenv("FLWR_APP_FD", "77", 1);
	assert_int_equal(process_start(set, &spec, &process, NULL), 0);
	rig_until(rig, &seen.gone);
	assert_int_equal(rig_log_count(rig, "out: FLWR_TEST_A="), 1);
	assert_int_equal(rig_log_count(rig, "out: FLWR_TEST_A=new\n"), 1);
	assert_int_equal(rig_log_count(rig, "FLWR_TEST_B"), 0);
	assert_int_equal(rig_log_count(rig, "out: FLWR_TEST_C=kept\n"), 1);
	assert_int_equal(rig_log_count(rig, "out: FLWR_TEST_DE=kept, too\n"), 1);
	assert_int_equal(rig_log_count(rig, "=hidden"), 0);
	assert_int_equal(rig_log_count(rig, "NOTIFY_SOCKET"), 0);
	assert_int_equal(rig_log_count(rig, "WATCHDOG_USEC"), 0);
	assert_int_equal(rig_log_count(rig, "CREDENTIALS_DIRECTORY"), 0);
	assert_int_equal(rig_log_count(rig, "LISTEN_"), 0);
	assert_int_equal(rig_log_count(rig, "out: FLWR_APP_FD=3\n"), 1);
	assert_int_equal(rig_log_count(rig, "FLWR_APP_FD="), 1);
	process_set_free(set);
}

static void test_stop_of_stopped(void **state)
{
	struct rig *rig = *state;
	struct process_set *set = set_new(rig);
	struct seen seen = {.ended = false}, deaf = {.ended = false};
	struct process *process = start(set, SHELL("echo ready; kill -STOP $$; exit 5"), -1, &seen);

	rig_until_log(rig, "ready");
	process_stop(process, RIG_WAIT_MS);
	rig_until(rig, &seen.gone);
	assert_int_equal(seen.end.stop, PROCESS_STOPPED);
	/* The process had time to stop itself, or not. */
	assert_int_equal(seen.end.kind, PROCESS_KILLED);
	assert_int_equal(seen.end.value, SIGTERM);

	/* The shorter time counts. */
	rig_long_waits = false;
	process = start(
		set, SHELL("trap '' TERM; echo deaf; while :; do kill -STOP $$; done"), -1, &deaf);
	rig_until_log(rig, "out: deaf");
	process_stop(process, RIG_WAIT_MS);
	int64_t now_ms = clock_now_ms();
	process_stop(process, 50);
	rig_until(rig, &deaf.gone);
	assert_true(deaf.ended_ms - now_ms >= 50);
	assert_int_equal(deaf.end.kind, PROCESS_KILLED);
	assert_int_equal(deaf.end.value, SIGKILL);
	process_set_free(set);
}

static void tree_gone(struct rig *rig, const char *const *argv, bool by_free)
{
	struct process_set *set = set_new(rig);
	struct seen seen = {.ended = false};
	struct process *process = start(set, argv, -1, &seen);
	int pids[8];

	rig_until_log(rig, "tree complete");
	assert_int_equal(rig_log_numbers(rig, "out: member ", pids, 8), 8);
	for (size_t i = 0; i < 8; i++)
		assert_true(pid_exists(pids[i]));
	if (!by_free) {
		rig_long_waits = false;
		process_stop(process, 20);
		rig_until(rig, &seen.gone);
		assert_int_equal(seen.end.value, SIGKILL);
		assert_false(seen.end.out_of_memory);
	}
	if (by_free)
		process_set_free(set);
	for (size_t i = 0; i < 8; i++)
		assert_false(pid_exists(pids[i]));
	if (!by_free)
		process_set_free(set);
}

static void test_tree(void **state)
{
	tree_gone(*state, (const char *const[]){LAUNCH_HELPER, "tree", NULL}, false);
}

static void test_tree_of_subreaper(void **state)
{
	char pid[16];

	snprintf(pid, sizeof pid, "%d", (int)getpid());
	tree_gone(
		*state, (const char *const[]){APP_START, pid, LAUNCH_HELPER, "tree", NULL}, false);
}

static void test_tree_at_free(void **state)
{
	char pid[16];

	snprintf(pid, sizeof pid, "%d", (int)getpid());
	tree_gone(*state, (const char *const[]){APP_START, pid, LAUNCH_HELPER, "tree", NULL}, true);
}

/* No time is enough to kill them one by one. */
static void test_fork_bomb(void **state)
{
	struct rig *rig = *state;
	struct process_set *set = set_new(rig);
	struct seen seen = {.ended = false};
	siginfo_t info;

	if (geteuid() != 0) {
		process_set_free(set);
		skip(); /* another user's processes are counted */
	}
	start(set, (const char *const[]){LAUNCH_HELPER, "bomb", NULL}, -1, &seen);
	rig_until(rig, &seen.gone);
	assert_int_equal(seen.end.kind, PROCESS_EXITED);
	assert_int_equal(seen.end.value, 0);
	kit_loop_until(rig->loop, waitid(P_ALL, 0, &info, WEXITED | WNOHANG | WNOWAIT) < 0);
	process_set_free(set);
}

static void test_daemon_holds_output(void **state)
{
	struct rig *rig = *state;
	struct process_set *set = set_new(rig);
	struct seen seen = {.ended = false};

	/* The daemon is killed; nobody waits for the end of its output. */
	rig_long_waits = false;
	start(set, SHELL("setsid sleep 1000 & echo bye >&2"), -1, &seen);
	rig_until(rig, &seen.gone);
	assert_string_equal(seen.end.tail, "bye");
	process_set_free(set);
}

static void test_foreigner_holds_output(void **state)
{
	struct rig *rig = *state;
	struct process_set *set = set_new(rig);
	const char *const argv[] = {LAUNCH_HELPER, "holder", NULL};
	struct seen seen = {.ended = false};
	int ends[2];

	rig_long_waits = false;
	assert_return_code(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends), errno);
	start(set, argv, ends[1], &seen);
	close(ends[1]);
	/* The descriptor lies in our socket: the pipe has a writer until that is closed. */
	rig_until(rig, &seen.ended);
	assert_string_equal(seen.end.tail, "the last words");
	assert_false(seen.gone);
	assert_in_range(rig_wait_over(), 990, 1000);
	rig_until(rig, &seen.gone);
	close(ends[0]);
	process_set_free(set);
}

static void test_older_child_is_spared(void **state)
{
	struct rig *rig = *state;
	pid_t older = fork();
	struct seen seen = {.ended = false};
	int64_t end_ms;

	if (older == 0) {
		pause();
		_exit(0);
	}
	/* Start times have a resolution of 10 ms. */
	end_ms = clock_now_ms() + 30;
	while (clock_now_ms() < end_ms)
		loop_step(rig->loop, end_ms - clock_now_ms());
	struct process_set *set = set_new(rig);
	start(set, SHELL("exit 0"), -1, &seen);
	rig_until(rig, &seen.gone);
	assert_true(pid_exists(older));
	process_set_free(set);
	assert_true(pid_exists(older));
	kill(older, SIGKILL);
	assert_int_equal(waitpid(older, NULL, 0), older);
}

static void test_many(void **state)
{
	struct rig *rig = *state;
	struct process_set *set = set_new(rig);
	struct seen seen[30];

	memset(seen, 0, sizeof seen);
	for (size_t i = 0; i < ARRAY_LEN(seen); i++)
		start(set, SHELL("(setsid sleep 1000 &); exit 0"), -1, &seen[i]);
	for (size_t i = 0; i < ARRAY_LEN(seen); i++)
		rig_until(rig, &seen[i].gone);
	assert_int_equal(process_set_count(set), 0);
	assert_int_equal(rig_log_count(rig, "does not end"), 0);
	process_set_free(set);
}

static void children_until_none(struct rig *rig)
{
	siginfo_t info;

	kit_loop_until(rig->loop, waitid(P_ALL, 0, &info, WEXITED | WNOHANG | WNOWAIT) < 0);
}

/* With few descriptors left a start fails or not, and leaves nothing behind. */
static void test_few_descriptors(void **state)
{
	struct rig *rig = *state;
	struct process_set *set = set_new(rig);
	const char *const argv[] = {"/bin/true", NULL};
	struct process_spec spec = {.name = "app 1", .argv = argv, .fd = -1, .ops = &seen_ops};
	struct rlimit before, few;
	unsigned started = 0;

	assert_return_code(getrlimit(RLIMIT_NOFILE, &before), errno);
	int next_fd = dup(rig->log_fd);
	close(next_fd);
	for (rlim_t left = 0; left < 12; left++) {
		struct seen seen = {.ended = false};
		struct process *process;
		struct reason why = {.text = ""};

		spec.arg = &seen;
		few = (struct rlimit){
			.rlim_cur = (rlim_t)next_fd + left, .rlim_max = before.rlim_max};
		assert_return_code(setrlimit(RLIMIT_NOFILE, &few), errno);
		int r = process_start(set, &spec, &process, &why);
		assert_return_code(setrlimit(RLIMIT_NOFILE, &before), errno);
		if (r == 0) {
			started++;
			rig_until(rig, &seen.gone);
			assert_int_equal(seen.end.value, 0);
			continue;
		}
		assert_int_equal(r, -EMFILE);
		assert_string_not_equal(why.text, "");
		assert_int_equal(process_set_count(set), 0);
		children_until_none(rig);
		assert_false(seen.ended);
	}
	assert_true(started > 0 && started < 12);
	process_set_free(set);
}

static void test_ignored_sigchld(void **state)
{
	struct rig *rig = *state;
	struct seen seen = {.ended = false};

	signal(SIGCHLD, SIG_IGN);
	struct process_set *set = set_new(rig);
	start(set, SHELL("exit 4"), -1, &seen);
	rig_until(rig, &seen.gone);
	assert_int_equal(seen.end.value, 4);
	process_set_free(set);
}

static void start_status(struct rig *rig, const char *const *argv, int status, const char *tail)
{
	struct process_set *set = set_new(rig);
	struct seen seen = {.ended = false};

	start(set, argv, -1, &seen);
	rig_until(rig, &seen.gone);
	assert_int_equal(seen.end.kind, PROCESS_EXITED);
	assert_int_equal(seen.end.value, status);
	assert_non_null(strstr(seen.end.tail, tail));
	process_set_free(set);
}

static void test_app_start_status(void **state)
{
	char pid[16];

	snprintf(pid, sizeof pid, "%d", (int)getpid());
	start_status(*state, (const char *const[]){APP_START, NULL}, 125, "usage");
	start_status(*state, (const char *const[]){APP_START, "1x", "/bin/true", NULL}, 125, "1x");
	start_status(
		*state, (const char *const[]){APP_START, "99999999", "/bin/true", NULL}, 125, "");
	start_status(*state, (const char *const[]){APP_START, pid, "/nonexistent", NULL}, 127,
		"/nonexistent");
	start_status(
		*state, (const char *const[]){APP_START, pid, "/etc/passwd", NULL}, 126, "denied");
	start_status(*state, (const char *const[]){APP_START, pid, "/bin/true", NULL}, 0, "");
	start_status(*state, (const char *const[]){APP_START, "-x", pid, "/bin/true", NULL}, 125,
		"usage");
	start_status(*state, (const char *const[]){APP_START, "-c", "1M", pid, "/bin/true", NULL},
		125, "-c");
	start_status(*state, (const char *const[]){APP_START, "-m", "8", pid, "/bin/true", NULL},
		125, "-m");
	start_status(*state, (const char *const[]){APP_START, "-u", "1:", pid, "/bin/true", NULL},
		125, "-u");
	start_status(*state, (const char *const[]){APP_START, "-r", "/", NULL}, 125, "usage");
}

/* Settings of the start stage hold when the program runs. */
static void test_app_start_bounds(void **state)
{
	struct rig *rig = *state;
	struct process_set *set = set_new(rig);
	char pid[16];
	const char *const argv[] = {APP_START, "-n", "-c", "0", "-m", "027", pid, "/bin/sh", "-c",
		"umask; ulimit -c; grep NoNewPrivs: /proc/self/status | tr '\\t' ' '", NULL};
	struct seen seen = {.ended = false};

	snprintf(pid, sizeof pid, "%d", (int)getpid());
	start(set, argv, -1, &seen);
	rig_until(rig, &seen.gone);
	assert_int_equal(rig_log_count(rig, "out: 0027\n"), 1);
	assert_int_equal(rig_log_count(rig, "out: 0\n"), 1);
	assert_int_equal(rig_log_count(rig, "out: NoNewPrivs: 1\n"), 1);
	process_set_free(set);
}

static void test_app_start_user(void **state)
{
	struct rig *rig = *state;
	struct process_set *set = set_new(rig);
	char pid[16];
	const char *const argv[] = {APP_START, "-u", "54321:54322,54323,54324", pid, "/bin/sh",
		"-c", "grep -E '^(Uid|Gid|Groups):' /proc/self/status | tr '\\t' ' '", NULL};
	struct seen seen = {.ended = false};

	snprintf(pid, sizeof pid, "%d", (int)getpid());
	start(set, argv, -1, &seen);
	rig_until(rig, &seen.gone);
	process_set_free(set);
	if (geteuid() != 0) {
		assert_int_equal(seen.end.value, 125);
	} else {
		assert_int_equal(rig_log_count(rig, "Uid: 54321 54321 54321 54321\n"), 1);
		assert_int_equal(rig_log_count(rig, "Gid: 54322 54322 54322 54322\n"), 1);
		assert_int_equal(rig_log_count(rig, "Groups: 54323 54324"), 1);
		start_status(rig,
			(const char *const[]){APP_START, "-u", "54321:54321", "-r", "/", "/bin/sh",
				"/etc/passwd", "/etc/shadow", "/", NULL},
			4, "");
		start_status(rig,
			(const char *const[]){APP_START, "-u", "54321:54321", "-r", "/none", NULL},
			1, "");
		start_status(rig,
			(const char *const[]){APP_START, "-u", "54321:54321", "-r", "/", NULL}, 0,
			"");
	}
}

#define TEST(function) cmocka_unit_test_setup_teardown(function, rig_setup, rig_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_ends),
		TEST(test_missing_program),
		TEST(test_inherits_nothing),
		TEST(test_signals_are_default),
		TEST(test_environment),
		TEST(test_stop_of_stopped),
		TEST(test_tree),
		TEST(test_tree_of_subreaper),
		TEST(test_tree_at_free),
		TEST(test_fork_bomb),
		TEST(test_daemon_holds_output),
		TEST(test_foreigner_holds_output),
		TEST(test_older_child_is_spared),
		TEST(test_many),
		TEST(test_few_descriptors),
		TEST(test_ignored_sigchld),
		TEST(test_app_start_status),
		TEST(test_app_start_bounds),
		TEST(test_app_start_user),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
