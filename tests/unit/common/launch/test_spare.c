#include "common/base/cleanup.h"
#include "common/launch/agent.h"
#include "common/launch/fork_server.h"
#include "rig.h"

#include <signal.h>
#include <sys/stat.h>
#include <sys/wait.h>

#define IDLE_MS 600000

static const char app_ends[] = "printf hello >&3\n";
static const char app_waits[] = "printf hello >&3\nwhile :; do sleep 0.01; done\n";

/* An agent that keeps a spare worker, and the script of its apps. */
struct keeper {
	char script[64];
	struct agent *agent;
};

static void keeper_init(
	struct keeper *keeper, struct rig *rig, const char *script, int64_t warm_idle_ms)
{
	script_new(keeper->script, script);
	rig->launch = (struct launch_options){
		.python = "/bin/sh", .log_level = LOG_LEVEL_DEBUG, .app_exit_grace_ms = 300};
	rig->paths = (struct launch_paths){.worker = (char *)LAUNCH_HELPER,
		.start = (char *)APP_START,
		.bridge = keeper->script};
	/* What is due later is held, and made due by the test. */
	rig_long_waits = false;
	assert_int_equal(agent_new(rig->loop, rig->log,
				 &(struct agent_options){.launch = &rig->launch,
					 .paths = &rig->paths,
					 .warm_idle_ms = warm_idle_ms},
				 &keeper->agent),
		0);
}

static void keeper_free(struct keeper *keeper)
{
	agent_free(keeper->agent);
	unlink(keeper->script);
}

/* Start the worker of a message: its pid. */
static int begin(struct keeper *keeper, const char *name, uint64_t behaviour, struct seen *seen)
{
	return worker_process_pid(worker_begin(keeper->agent, name, behaviour, seen));
}

static int message(struct rig *rig, struct keeper *keeper, const char *name, uint64_t behaviour)
{
	struct seen seen;
	int pid = begin(keeper, name, behaviour, &seen);

	rig_until(rig, &seen.gone);
	assert_int_equal(seen.end.kind, PROCESS_EXITED);
	assert_int_equal(seen.end.value, 0);
	return pid;
}

/* How many spare workers there were: started, or forked. */
static unsigned spares(struct rig *rig)
{
	return rig_log_count(rig, "spare worker: ");
}

/* The pid of the last of them. */
static int spare_of(struct rig *rig)
{
	const char *at = rig_log(rig), *last = NULL;

	for (; (at = strstr(at, "spare worker: ")); at++)
		last = at;
	assert_non_null(last);
	return atoi(strstr(last, " pid=") + 5);
}

static void the_next_message_goes_to_the_spare(void **state)
{
	struct rig *rig = *state;
	struct keeper keeper;
	struct seen seen;
	int first, spare;

	keeper_init(&keeper, rig, app_ends, IDLE_MS);
	first = message(rig, &keeper, "1", 4);
	spare = spare_of(rig);
	assert_int_not_equal(first, spare);
	assert_int_equal(begin(&keeper, "2", 4, &seen), spare);
	rig_until(rig, &seen.gone);
	assert_int_equal(seen.end.value, 0);
	/* It has the message's name from then on, and the message is its own. */
	assert_int_equal(rig_log_count(rig, " 2 out: start token=4 "), 1);
	assert_int_equal(rig_log_count(rig, " 2 out: app ended "), 1);
	assert_int_equal(rig_log_count(rig, "spare worker out:"), 0);
	assert_int_equal(spares(rig), 2);
	assert_int_not_equal(spare_of(rig), spare);
	keeper_free(&keeper);
}

/* When there is time the machine is left to the message at work. */
static void a_spare_after_a_pause_has_none_beside_it(void **state)
{
	struct rig *rig = *state;
	struct keeper keeper;
	struct seen seen;

	keeper_init(&keeper, rig, app_ends, IDLE_MS);
	message(rig, &keeper, "1", 1);
	rig_ahead_ms = 1000;
	begin(&keeper, "2", 4, &seen);
	assert_int_equal(rig_log_count(rig, "takes 2"), 1);
	assert_int_equal(spares(rig), 1);
	rig_until(rig, &seen.gone);
	assert_int_equal(spares(rig), 2);
	keeper_free(&keeper);
}

static void a_spare_is_not_counted(void **state)
{
	struct rig *rig = *state;
	struct keeper keeper;
	struct seen seen;

	keeper_init(&keeper, rig, app_waits, IDLE_MS);
	message(rig, &keeper, "1", 1);
	begin(&keeper, "2", 7, &seen);
	rig_until_log(rig, "app said hello");
	assert_int_equal(spares(rig), 2);
	assert_int_equal(agent_count(keeper.agent), 2);
	keeper_free(&keeper);
	assert_false(pid_exists(spare_of(rig)));
}

static void before_the_first_message_there_is_none(void **state)
{
	struct rig *rig = *state;
	struct keeper keeper;

	keeper_init(&keeper, rig, app_ends, IDLE_MS);
	loop_step(rig->loop, 0);
	assert_int_equal(rig_log_count(rig, "spare"), 0);
	assert_int_equal(agent_count(keeper.agent), 0);
	keeper_free(&keeper);
}

static void a_message_without_an_app_has_a_spare_follow(void **state)
{
	struct rig *rig = *state;
	struct keeper keeper;

	keeper_init(&keeper, rig, app_ends, IDLE_MS);
	message(rig, &keeper, "1", 1);
	assert_int_equal(spares(rig), 1);
	/* The slot is free, and nothing is left to wait for when the program ends. */
	assert_int_equal(agent_count(keeper.agent), 0);
	keeper_free(&keeper);
	assert_false(pid_exists(spare_of(rig)));
}

static void without_warm_idle_there_is_none(void **state)
{
	struct rig *rig = *state;
	struct keeper keeper;

	keeper_init(&keeper, rig, app_ends, 0);
	message(rig, &keeper, "1", 4);
	assert_int_equal(rig_log_count(rig, "spare"), 0);
	keeper_free(&keeper);
}

/* One debug line; the next message is served by a worker of its own. */
static void a_spare_that_dies_is_missed_by_nobody(void **state)
{
	struct rig *rig = *state;
	struct keeper keeper;
	int spare;

	keeper_init(&keeper, rig, app_ends, IDLE_MS);
	message(rig, &keeper, "1", 1);
	spare = spare_of(rig);
	assert_int_equal(kill(spare, SIGKILL), 0);
	rig_until_log(rig, "killed by signal 9");
	assert_int_equal(rig_log_count(rig, "DEBUG test: spare worker pid="), 1);
	assert_int_not_equal(message(rig, &keeper, "2", 4), spare);
	assert_int_equal(rig_log_count(rig, "WARN"), 0);
	assert_int_equal(rig_log_count(rig, "takes 2"), 0);
	keeper_free(&keeper);
}

/* The message comes before its end is known. */
static void a_spare_that_has_just_died_gets_no_message(void **state)
{
	struct rig *rig = *state;
	struct keeper keeper;
	siginfo_t info = {.si_pid = 0};
	int spare;

	keeper_init(&keeper, rig, app_ends, IDLE_MS);
	message(rig, &keeper, "1", 1);
	spare = spare_of(rig);
	assert_int_equal(kill(spare, SIGKILL), 0);
	/* Dead, but not reaped. */
	assert_int_equal(waitid(P_PID, (id_t)spare, &info, WEXITED | WNOWAIT), 0);
	assert_int_not_equal(message(rig, &keeper, "2", 4), spare);
	assert_int_equal(rig_log_count(rig, "cannot take 2"), 1);
	keeper_free(&keeper);
}

/* Also while a message is at work for long; its end is the beginning of another one. */
static void a_spare_is_given_back_when_no_message_comes(void **state)
{
	struct rig *rig = *state;
	struct keeper keeper;
	struct seen seen;
	int worker, spare;

	keeper_init(&keeper, rig, app_waits, IDLE_MS);
	message(rig, &keeper, "1", 1);
	worker = begin(&keeper, "2", 7, &seen);
	rig_until_log(rig, "app said hello");
	spare = spare_of(rig);
	assert_int_not_equal(worker, spare);
	assert_in_range(rig_wait_over(), IDLE_MS - 10000, IDLE_MS);
	rig_until_log(rig, "no message for a while, not kept");
	kit_loop_until(rig->loop, !pid_exists(spare));
	assert_int_equal(spares(rig), 2);
	assert_int_equal(kill(worker, SIGKILL), 0);
	rig_until(rig, &seen.ended);
	assert_int_equal(spares(rig), 3);
	keeper_free(&keeper);
}

static void a_program_that_stops_has_no_spare(void **state)
{
	struct rig *rig = *state;
	struct keeper keeper;
	int spare;

	keeper_init(&keeper, rig, app_ends, IDLE_MS);
	message(rig, &keeper, "1", 1);
	spare = spare_of(rig);
	agent_stop_spare(keeper.agent);
	assert_int_equal(agent_count(keeper.agent), 0);
	kit_loop_until(rig->loop, !pid_exists(spare));
	message(rig, &keeper, "2", 4);
	assert_int_equal(spares(rig), 1);
	keeper_free(&keeper);
}

static void a_missing_program_is_said_when_it_is_needed(void **state)
{
	struct rig *rig = *state;
	struct keeper keeper;
	struct seen seen;

	keeper_init(&keeper, rig, app_ends, IDLE_MS);
	begin(&keeper, "1", 1, &seen);
	rig->paths.worker = (char *)"/nonexistent/worker";
	rig_until(rig, &seen.gone);
	assert_int_equal(rig_log_count(rig, "DEBUG test: no spare worker: "), 1);
	assert_int_equal(rig_log_count(rig, "ERROR"), 0);
	keeper_free(&keeper);
}

/* ---- the fork server ---- */

/* Two messages, and the pid of the fork server; the spare worker that there is then is its fork. */
static int fork_server_of(struct rig *rig, struct keeper *keeper)
{
	int servers[4];

	keeper_init(keeper, rig, app_ends, IDLE_MS);
	message(rig, keeper, "1", 4);
	/* It says that it is ready while another message is at work. */
	for (int i = 0; i < 20 && !rig_log_count(rig, "spare worker: forked"); i++)
		message(rig, keeper, "again", 4);
	assert_int_equal(rig_log_numbers(rig, "fork server: started pid=", servers, 4), 1);
	return servers[0];
}

static int parent_of(int pid)
{
	char path[32], line[128];
	int parent = 0;

	snprintf(path, sizeof path, "/proc/%d/status", pid);
	auto_(fclose_at_exit) FILE *status = fopen(path, "re");
	assert_non_null(status);
	while (!parent && fgets(line, sizeof line, status))
		sscanf(line, "PPid: %d", &parent);
	return parent;
}

/* It is as if it was started: our child, in a session of its own. */
static void the_next_spares_are_forked(void **state)
{
	struct rig *rig = *state;
	struct keeper keeper;
	struct seen seen;
	int spare;

	fork_server_of(rig, &keeper);
	spare = spare_of(rig);
	assert_int_equal(parent_of(spare), getpid());
	kit_loop_until(rig->loop, getsid(spare) == spare);
	assert_int_equal(begin(&keeper, "last", 4, &seen), spare);
	rig_until(rig, &seen.gone);
	assert_int_equal(seen.end.kind, PROCESS_EXITED);
	assert_int_equal(seen.end.value, 0);
	assert_int_equal(rig_log_count(rig, " last out: app ended "), 1);
	assert_int_equal(agent_count(keeper.agent), 0);
	keeper_free(&keeper);
}

static void a_fork_server_that_dies_is_replaced(void **state)
{
	struct rig *rig = *state;
	struct keeper keeper;
	int server = fork_server_of(rig, &keeper);

	assert_int_equal(kill(server, SIGKILL), 0);
	rig_until_log(rig, "fork server: killed by signal 9");
	for (int i = 0; i < 20 && rig_log_count(rig, "fork server: started") < 2; i++)
		message(rig, &keeper, "again", 4);
	assert_int_equal(rig_log_count(rig, "fork server: started"), 2);
	assert_int_equal(rig_log_count(rig, "WARN"), 0);
	keeper_free(&keeper);
}

/* The loop waits for its answer, but not for long. */
static void a_fork_server_that_hangs_is_killed(void **state)
{
	struct rig *rig = *state;
	struct keeper keeper;
	int server = fork_server_of(rig, &keeper);

	assert_int_equal(kill(server, SIGSTOP), 0);
	for (int i = 0; i < 20 && !rig_log_count(rig, "fork server: Resource temp"); i++)
		message(rig, &keeper, "again", 4);
	kit_loop_until(rig->loop, !pid_exists(server));
	message(rig, &keeper, "last", 4);
	keeper_free(&keeper);
}

static void a_fork_server_that_always_fails_is_given_up(void **state)
{
	static const char worker[] = "#!/bin/sh\n[ $1 = " FORK_SERVER_OPTION
				     " ] && exit 3\nexec " LAUNCH_HELPER " \"$@\"\n";
	struct rig *rig = *state;
	struct keeper keeper;
	char path[64];

	keeper_init(&keeper, rig, app_ends, IDLE_MS);
	script_new(path, worker);
	assert_int_equal(chmod(path, 0700), 0);
	rig->paths.worker = path;
	for (int i = 0; i < 20 && !rig_log_count(rig, "there is none any more"); i++)
		message(rig, &keeper, "again", 4);
	assert_int_equal(rig_log_count(rig, "there is none any more"), 1);
	message(rig, &keeper, "last", 4);
	message(rig, &keeper, "after", 4);
	assert_int_equal(rig_log_count(rig, "fork server: started"), 3);
	assert_int_equal(rig_log_count(rig, "WARN"), 0);
	keeper_free(&keeper);
	unlink(path);
}

static void a_fork_server_is_given_back_when_no_message_comes(void **state)
{
	struct rig *rig = *state;
	struct keeper keeper;
	int server = fork_server_of(rig, &keeper);

	assert_in_range(rig_wait_over(), IDLE_MS - 10000, IDLE_MS);
	kit_loop_until(rig->loop, !pid_exists(server));
	assert_int_equal(agent_count(keeper.agent), 0);
	keeper_free(&keeper);
}

#define TEST(function) cmocka_unit_test_setup_teardown(function, rig_setup, rig_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(the_next_message_goes_to_the_spare),
		TEST(a_spare_after_a_pause_has_none_beside_it),
		TEST(a_spare_is_not_counted),
		TEST(before_the_first_message_there_is_none),
		TEST(a_message_without_an_app_has_a_spare_follow),
		TEST(without_warm_idle_there_is_none),
		TEST(a_spare_that_dies_is_missed_by_nobody),
		TEST(a_spare_that_has_just_died_gets_no_message),
		TEST(a_spare_is_given_back_when_no_message_comes),
		TEST(a_program_that_stops_has_no_spare),
		TEST(a_missing_program_is_said_when_it_is_needed),
		TEST(the_next_spares_are_forked),
		TEST(a_fork_server_that_dies_is_replaced),
		TEST(a_fork_server_that_hangs_is_killed),
		TEST(a_fork_server_that_always_fails_is_given_up),
		TEST(a_fork_server_is_given_back_when_no_message_comes),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
