#include "common/launch/agent_internal.h"
#include "rig.h"

#include <signal.h>

/* sh stands for python, and is given -u and a script as python would be. */
static const char app_ends[] = "echo oops >&2\nprintf hello >&3\nexit 7\n";
static const char app_stays[] = "trap '' TERM\nsetsid sleep 1000 &\necho member $! .\n"
				"sleep 1000 &\necho member $! .\necho member $$ .\n"
				"printf hello >&3\nwhile :; do sleep 1; done\n";
static const char app_polite[] =
	"printf hello >&3\nexec 3>&-\nread x\nwhile :; do sleep 0.01; done\n";

static struct worker_process *start(struct agent *agent, uint64_t behaviour, struct seen *seen)
{
	return worker_begin(agent, "worker 7", behaviour, seen);
}

/* Run one worker with one script to the end of both. */
static void run(struct rig *rig, uint64_t behaviour, const char *script, struct seen *seen)
{
	char path[64];
	struct agent *agent;

	script_new(path, script);
	agent = agent_of(rig, LAUNCH_HELPER, "/bin/sh", path);
	memset(seen, 0, sizeof *seen);
	start(agent, behaviour, seen);
	rig_until(rig, &seen->gone);
	assert_int_equal(agent_count(agent), 0);
	agent_free(agent);
	unlink(path);
}

static void members_gone(struct rig *rig, size_t n)
{
	int pids[8];

	assert_int_equal(rig_log_numbers(rig, "out: member ", pids, 8), n);
	for (size_t i = 0; i < n; i++)
		assert_false(pid_exists(pids[i]));
}

static void a_worker_gets_its_start_message(void **state)
{
	struct rig *rig = *state;
	struct seen seen;

	run(rig, 1, app_ends, &seen);
	assert_int_equal(seen.end.kind, PROCESS_EXITED);
	assert_int_equal(seen.end.value, 0);
	assert_int_equal(
		rig_log_count(rig,
			"worker 7 out: start token=1 address=unix:/nowhere home=/home/of/it "
			"level=2\n"),
		1);
}

static void a_worker_hears_of_its_app_to_its_end(void **state)
{
	struct rig *rig = *state;
	struct seen seen;

	run(rig, 4, app_ends, &seen);
	assert_int_equal(seen.end.value, 0);
	assert_int_equal(rig_log_count(rig, "worker 7 out: app said hello"), 1);
	assert_int_equal(rig_log_count(rig, "worker 7 app err: oops"), 1);
	assert_int_equal(rig_log_count(rig, "worker 7 out: app ended kind=0 value=7 tail=oops"), 1);
}

static void a_missing_python_is_told_to_the_worker(void **state)
{
	struct rig *rig = *state;
	struct seen seen = {.ended = false};
	struct agent *agent = agent_of(rig, LAUNCH_HELPER, "/nonexistent/python3", "/x");

	start(agent, 4, &seen);
	rig_until(rig, &seen.gone);
	assert_int_equal(rig_log_count(rig, "ERROR test: worker 7 app: could not be started: "
					    "/nonexistent/python3"),
		1);
	assert_int_equal(rig_log_count(rig, "out: app not started: 2 no python3"), 1);
	assert_int_equal(rig_log_count(rig, "/nonexistent/python3"), 1);
	agent_free(agent);
}

/* ---- native apps ---- */

static const char host_script[] = "#!/bin/sh\necho arguments $@ .\necho 'WARN  careful' >&2\n"
				  "printf hello >&3\n";

static void run_named(struct rig *rig, const char *native_app, const char *allow_native)
{
	struct agent *agent = agent_of(rig, LAUNCH_HELPER, "/nonexistent/python3", "/x");
	struct seen seen = {.ended = false};
	char host[64];

	script_new(host, host_script);
	rig->paths.host = host;
	rig->launch.native_app.v[0] = native_app;
	rig->launch.allow_native.v[0] = allow_native;
	start(agent, 9, &seen);
	rig_until(rig, &seen.gone);
	assert_int_equal(seen.end.value, 0);
	agent_free(agent);
	unlink(host);
}

/* The host gets the file, its lines have levels; no Python is needed. */
static void a_native_app_gets_its_file_and_needs_no_python(void **state)
{
	struct rig *rig = *state;

	run_named(rig, "lab/robot=/opt/robot.so:make", NULL);
	assert_int_equal(rig_log_count(rig, "out: apps have names\n"), 1);
	assert_int_equal(rig_log_count(rig, "out: app is native\n"), 1);
	assert_int_equal(rig_log_count(rig, "out: app said hello\n"), 1);
	assert_int_equal(rig_log_count(rig, "app out: arguments -l debug /opt/robot.so make ."), 1);
	assert_int_equal(rig_log_count(rig, "WARN  test: worker 7 app: careful\n"), 1);
}

static void a_fab_may_bring_its_native_app(void **state)
{
	struct rig *rig = *state;

	run_named(rig, NULL, "lab/robot");
	assert_int_equal(
		rig_log_count(rig, "app out: arguments -l debug /apps/robot/robot.so ."), 1);
}

/* The worker, which decides nothing, is told why. */
static void a_native_app_that_is_not_allowed_is_not_started(void **state)
{
	struct rig *rig = *state;

	run_named(rig, NULL, "lab/arm");
	assert_int_equal(
		rig_log_count(rig, "out: app not started: 13 the app brings native code"), 1);
	assert_int_equal(rig_log_count(rig, "ERROR test: worker 7 app: could not be started"), 1);
}

static void the_log_says_which_apps_can_run(void **state)
{
	struct rig *rig = *state;
	struct agent *agent = agent_of(rig, LAUNCH_HELPER, "/bin/sh", "/x");

	agent_tell_apps(agent);
	assert_int_equal(rig_log_count(rig, "INFO  test: apps run with /bin/sh"), 1);
	rig->launch.python = "/nonexistent/python3";
	agent_tell_apps(agent);
	assert_int_equal(rig_log_count(rig, "WARN  test: no app can run yet: /nonexistent"), 1);
	rig->launch.native_app.v[0] = "lab/robot=/bin/sh";
	agent_tell_apps(agent);
	assert_int_equal(rig_log_count(rig, "INFO  test: app lab/robot runs from /bin/sh"), 1);
	assert_int_equal(rig_log_count(rig, "INFO  test: only native apps can run: /nonexist"), 1);
	assert_int_equal(rig_log_count(rig, "WARN"), 1);
	agent_free(agent);
}

static void a_worker_program_that_is_missing_is_an_error(void **state)
{
	struct rig *rig = *state;
	struct agent *agent = agent_of(rig, "/nonexistent/worker", "/bin/sh", "/x");
	const struct control_start message = {
		.address = (char *)"unix:/nowhere", .flwr_home = (char *)"/home/of/it"};
	struct worker_process *worker;
	struct reason why;

	assert_int_equal(
		agent_start_worker(agent,
			&(struct worker_process_spec){
				.name = "worker 7", .start = &message, .ops = &worker_seen_ops},
			&worker, &why),
		-ENOENT);
	assert_non_null(strstr(why.text, "/nonexistent/worker"));
	assert_int_equal(agent_count(agent), 0);
	agent_free(agent);
}

/* A worker that behaves like this is killed, with a line in the log. */
static void assert_killed(struct rig *rig, uint64_t behaviour, const char *app)
{
	struct seen seen;

	run(rig, behaviour, app, &seen);
	assert_int_equal(seen.end.value, SIGKILL);
	assert_int_equal(rig_log_count(rig, "WARN  test: worker 7: "), 1);
}

static void a_worker_that_talks_nonsense_is_killed(void **state)
{
	assert_killed(*state, 2, app_ends);
}

static void a_worker_that_asks_twice_is_killed(void **state)
{
	assert_killed(*state, 3, app_stays);
}

static void an_app_that_outlives_its_worker_is_cut_off(void **state)
{
	struct rig *rig = *state;
	struct seen seen;

	run(rig, 5, app_polite, &seen);
	assert_int_equal(seen.end.value, 0);
	assert_true(seen.gone_ms - seen.ended_ms >= 300);
	assert_int_equal(
		rig_log_count(rig, "WARN  test: worker 7 app: cut off at its end, 0.3 s after its "
				   "reply (--app-exit-grace): killed by signal 15 (SIGTERM)"),
		1);
}

static void a_crashed_worker_takes_its_app_along(void **state)
{
	struct rig *rig = *state;
	struct seen seen;

	rig_long_waits = false;
	run(rig, 6, app_stays, &seen);
	assert_int_equal(seen.end.kind, PROCESS_KILLED);
	assert_int_equal(seen.end.value, SIGABRT);
	assert_int_equal(seen.end.stop, PROCESS_NOT_STOPPED);
	members_gone(rig, 3);
}

/* A worker whose app, which does not want to end, has begun. */
struct stayer {
	char path[64];
	struct agent *agent;
	struct worker_process *worker;
	struct seen seen;
};

static void stayer_start(struct stayer *stayer, struct rig *rig, uint64_t behaviour)
{
	*stayer = (struct stayer){0};
	script_new(stayer->path, app_stays);
	stayer->agent = agent_of(rig, LAUNCH_HELPER, "/bin/sh", stayer->path);
	stayer->worker = start(stayer->agent, behaviour, &stayer->seen);
}

/* Stop both, which leaves nothing. */
static void stayer_stop(struct stayer *stayer, struct rig *rig)
{
	worker_process_stop(stayer->worker, 200);
	rig_until(rig, &stayer->seen.gone);
	members_gone(rig, 3);
	agent_free(stayer->agent);
	unlink(stayer->path);
}

static void a_worker_can_be_stopped(void **state)
{
	struct rig *rig = *state;
	struct stayer stayer;

	stayer_start(&stayer, rig, 7);
	rig_until_log(rig, "app said hello");
	assert_int_equal(agent_count(stayer.agent), 2);
	stayer_stop(&stayer, rig);
	assert_int_equal(stayer.seen.end.value, SIGTERM);
	assert_int_equal(stayer.seen.end.stop, PROCESS_STOPPED);
}

static void a_worker_can_stop_its_app(void **state)
{
	struct rig *rig = *state;
	struct seen seen;

	run(rig, 8, app_polite, &seen);
	assert_int_equal(rig_log_count(rig, "worker 7 out: app ended kind=1 value=15"), 1);
}

/* The error reply has been given: the app had no end of its own that could be cut off. */
static void a_stopped_app_is_not_called_cut_off(void **state)
{
	struct rig *rig = *state;
	struct stayer stayer;

	stayer_start(&stayer, rig, 11);
	rig_until(rig, &stayer.seen.ended);
	assert_false(stayer.seen.gone);
	stayer_stop(&stayer, rig);
	assert_int_equal(rig_log_count(rig, "cut off"), 0);
}

/* ---- GPUs ---- */

static const char app_leaves[] = "sleep 1000 &\necho member $! .\nprintf hello >&3\n";

static struct rig *lessor;  /* the rig whose apps may leave nothing behind; NULL: none */
static unsigned given_back; /* leases */

void __real_lease_give_back(struct leases *leases, int lease);
void __wrap_lease_give_back(struct leases *leases, int lease);

/* The next owner of the lease finds nobody else on the GPU. */
void __wrap_lease_give_back(struct leases *leases, int lease)
{
	if (lessor)
		members_gone(lessor, ++given_back);
	__real_lease_give_back(leases, lease);
}

/* The script's child stays in the app's group when the app has ended. */
static void a_gpu_is_free_when_all_of_its_app_is_gone(void **state)
{
	struct app_bounds bounds = {.mask = 022};
	struct rig *rig = *state;
	struct agent *agent;
	struct reason why = {.text = ""};
	struct seen seen;
	char path[64];

	assert_int_equal(leases_new("7", LEASES_DRIVER_DIR, &bounds.leases, &why), 0);
	script_new(path, app_leaves);
	agent = agent_of(rig, LAUNCH_HELPER, "/bin/sh", path);
	agent->bounds = &bounds;
	lessor = rig;
	given_back = 0;
	for (unsigned i = 1; i <= 2; i++) {
		start(agent, 4, &seen);
		assert_int_equal(lease_take(bounds.leases), LEASE_NONE);
		rig_until(rig, &seen.gone);
		assert_int_equal(given_back, i);
	}
	lessor = NULL;
	agent_free(agent);
	leases_free(bounds.leases);
	unlink(path);
}

static void an_agent_that_is_freed_ends_all_that_run(void **state)
{
	struct rig *rig = *state;
	struct seen seen[4];
	char path[64];

	memset(seen, 0, sizeof seen);
	script_new(path, app_stays);
	struct agent *agent = agent_of(rig, LAUNCH_HELPER, "/bin/sh", path);
	for (size_t i = 0; i < 2; i++) {
		start(agent, 7, &seen[i]);
		kit_loop_until(rig->loop, rig_log_count(rig, "app said hello") > i);
	}
	agent_free(agent);
	assert_false(seen[0].ended);
	members_gone(rig, 6);
	unlink(path);
}

#define TEST(function) cmocka_unit_test_setup_teardown(function, rig_setup, rig_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(a_worker_gets_its_start_message),
		TEST(a_worker_hears_of_its_app_to_its_end),
		TEST(a_missing_python_is_told_to_the_worker),
		TEST(a_native_app_gets_its_file_and_needs_no_python),
		TEST(a_fab_may_bring_its_native_app),
		TEST(a_native_app_that_is_not_allowed_is_not_started),
		TEST(the_log_says_which_apps_can_run),
		TEST(a_worker_program_that_is_missing_is_an_error),
		TEST(a_worker_that_talks_nonsense_is_killed),
		TEST(a_worker_that_asks_twice_is_killed),
		TEST(an_app_that_outlives_its_worker_is_cut_off),
		TEST(a_crashed_worker_takes_its_app_along),
		TEST(a_worker_can_be_stopped),
		TEST(a_worker_can_stop_its_app),
		TEST(a_stopped_app_is_not_called_cut_off),
		TEST(a_gpu_is_free_when_all_of_its_app_is_gone),
		TEST(an_agent_that_is_freed_ends_all_that_run),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
