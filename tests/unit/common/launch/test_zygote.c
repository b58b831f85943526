#include "common/launch/agent_internal.h"
#include "common/launch/app_user.h"
#include "common/launch/memory_pressure.h"
#include "common/launch/zygote.h"
#include "rig.h"

#include <signal.h>
#include <sys/stat.h>
#include <sys/wait.h>

#define IDLE_MS 600000

/* The bridge, with an app that says which process it is in, below whom, and what it has. */
static const char bridge[] =
	"import importlib.util, os, socket, sys\n"
	"spec = importlib.util.spec_from_file_location('zygote', '" BRIDGE "/zygote.py')\n"
	"zygote = importlib.util.module_from_spec(spec)\n"
	"spec.loader.exec_module(zygote)\n"
	"start = os.environ.pop('FLWR_APP_ZYGOTE', None)\n"
	"sock = socket.socket(fileno=int(os.environ.pop('FLWR_APP_FD')))\n"
	"fork = zygote.serve(sock, start, load) if start else None\n"
	"sock = fork.socket if fork else sock\n"
	"with open(f'/proc/{os.getppid()}/comm') as file:\n"
	"    parent = file.read().strip()\n"
	"has = 'fractions' in sys.modules\n"
	"user = os.getresuid()[2]\n"
	"sock.send(f'pid={os.getpid()} parent={parent} fractions={has} fork={bool(fork)} user={user}.'.encode())\n"
	"import fractions\n"
	"if fork:\n"
	"    fork.tell_imports()\n";

static const char loads[] = "def load(): pass\n";
static const char loads_all[] = "def load(): import fractions\n"; /* there is nothing to learn */
static const char dies[] = "def load(): os._exit(3)\n";
static const char has_thread[] =
	"import threading\n"
	"def load(): threading.Thread(target=threading.Event().wait, daemon=True).start()\n";
static const char waits[] = "def load(): os.read(os.pipe()[0], 1)\n";

/* ---- memory ---- */

static void (*short_fn)(void *arg);
static void *short_arg;
static unsigned watched;

struct memory_pressure *__wrap_memory_pressure_new(
	struct loop *loop, void (*fn)(void *arg), void *arg);
void __wrap_memory_pressure_free(struct memory_pressure *pressure);

struct memory_pressure *__wrap_memory_pressure_new(
	struct loop *loop, void (*fn)(void *arg), void *arg)
{
	assert_non_null(loop);
	short_fn = fn;
	short_arg = arg;
	watched++;
	return (struct memory_pressure *)&watched;
}

void __wrap_memory_pressure_free(struct memory_pressure *pressure)
{
	if (pressure)
		watched--;
}

/* ---- messages ---- */

struct keeper {
	char script[64];
	struct agent *agent;
};

static void keeper_init(struct keeper *keeper, struct rig *rig, const char *load)
{
	char text[4096];

	snprintf(text, sizeof text, "import os, socket\n%s%s", load, bridge);
	script_new(keeper->script, text);
	rig->launch = (struct launch_options){.python = "/usr/bin/python3",
		.log_level = LOG_LEVEL_DEBUG,
		.app_exit_grace_ms = 300};
	rig->paths = (struct launch_paths){.worker = (char *)LAUNCH_HELPER,
		.start = (char *)APP_START,
		.bridge = keeper->script};
	watched = 0;
	/* What is due later is held, and made due by the test. */
	rig_long_waits = false;
	assert_int_equal(agent_new(rig->loop, rig->log,
				 &(struct agent_options){.launch = &rig->launch,
					 .paths = &rig->paths,
					 .warm_idle_ms = IDLE_MS,
					 .warm_python = true},
				 &keeper->agent),
		0);
}

static void keeper_free(struct keeper *keeper)
{
	agent_free(keeper->agent);
	unlink(keeper->script);
	assert_int_equal(watched, 0);
}

static void on_ended(void *arg, struct worker_process *worker, const struct process_end *end)
{
	struct seen *seen = arg;

	assert_non_null(worker);
	seen->ended = true;
	seen->end = *end;
}

static void on_gone(void *arg, struct worker_process *worker)
{
	struct seen *seen = arg;

	assert_non_null(worker);
	assert_true(seen->ended);
	seen->gone = true;
}

static struct worker_process *begin(
	struct keeper *keeper, const char *name, uint64_t behaviour, struct seen *seen)
{
	static const struct worker_process_ops ops = {.ended = on_ended, .gone = on_gone};
	const struct control_start start = {.token = behaviour,
		.address = (char *)"unix:/nowhere",
		.flwr_home = (char *)"/home/of/it",
		.log_level = LOG_LEVEL_WARN};
	struct worker_process *worker = NULL;
	struct reason why = {.text = ""};

	*seen = (struct seen){0};
	if (agent_start_worker(keeper->agent,
		    &(struct worker_process_spec){
			    .name = name, .start = &start, .ops = &ops, .arg = seen},
		    &worker, &why) < 0)
		fail_msg("%s", why.text);
	return worker;
}

/* A message whose app says what it is, and ends with 0. */
static void message(struct rig *rig, struct keeper *keeper, const char *name)
{
	struct seen seen;
	char ended[64];

	begin(keeper, name, 4, &seen);
	rig_until(rig, &seen.gone);
	assert_int_equal(seen.end.kind, PROCESS_EXITED);
	assert_int_equal(seen.end.value, 0);
	snprintf(ended, sizeof ended, " %s out: app ended kind=0 value=0", name);
	assert_int_equal(rig_log_count(rig, ended), 1);
}

/* Did that message's app say so? */
static bool said(struct rig *rig, const char *name, const char *what)
{
	char start[64];
	const char *line, *end, *found;

	snprintf(start, sizeof start, " %s out: app said ", name);
	line = strstr(rig_log(rig), start);
	assert_non_null(line);
	end = strchr(line, '\n');
	found = strstr(line, what);
	return found && found < end;
}

static bool was_forked(struct rig *rig, const char *name)
{
	assert_true(said(rig, name, "parent=flwr-app-start"));
	return said(rig, name, "fork=True");
}

static int last_of(struct rig *rig, const char *text)
{
	int pids[32];
	size_t n = rig_log_numbers(rig, text, pids, 32);

	assert_true(n > 0);
	return pids[n - 1];
}

static int zygote_of(struct rig *rig)
{
	return last_of(rig, "zygote: started pid=");
}

/* Wait until so many forks have been made. */
static void until_forks(struct rig *rig, unsigned n)
{
	kit_loop_until(rig->loop, rig_log_count(rig, "fork of the zygote: forked pid=") >= n);
}

/* From the last place of what in text on. */
static const char *from_last(const char *text, const char *what)
{
	const char *found = strstr(text, what), *next;

	assert_non_null(found);
	while ((next = strstr(found + 1, what)))
		found = next;
	return found;
}

/* Wait until it has been ready so often, and has forked then. */
static void until_ready(struct rig *rig, unsigned n)
{
	static const char ready[] = ": ready";

	kit_loop_until(rig->loop, rig_log_count(rig, ready) == n);
	kit_loop_until(
		rig->loop, strstr(from_last(rig_log(rig), ready), "fork of the zygote: forked"));
}

/* The first message, after which the zygote is ready and has forked. */
static void warm_up(struct rig *rig, struct keeper *keeper, const char *load)
{
	keeper_init(keeper, rig, load);
	message(rig, keeper, "1");
	assert_false(was_forked(rig, "1"));
	until_forks(rig, 1);
}

/* Its pid. It is in its own session when it has become flwr-app-start. */
static int stop_fork_ahead(struct rig *rig)
{
	int child = last_of(rig, "fork of the zygote: forked pid=");

	kit_loop_until(rig->loop, getsid(child) == child);
	assert_int_equal(kill(-child, SIGSTOP), 0);
	return child;
}

/* ---- tests ---- */

static void the_next_app_is_forked(void **state)
{
	struct rig *rig = *state;
	struct keeper keeper;

	keeper_init(&keeper, rig, loads);
	loop_step(rig->loop, 0);
	assert_int_equal(rig_log_count(rig, "zygote: started"), 0);
	message(rig, &keeper, "1");
	assert_int_equal(rig_log_count(rig, "1 app: started plainly: there is no zygote yet"), 1);
	until_forks(rig, 1);
	message(rig, &keeper, "2");
	assert_true(was_forked(rig, "2"));
	until_forks(rig, 2);
	message(rig, &keeper, "3");
	assert_true(was_forked(rig, "3"));
	assert_int_equal(rig_log_count(rig, "zygote: started"), 1);
	assert_int_equal(rig_log_count(rig, "WARN"), 0);
	/* The slot is free: what waits for messages is not counted. */
	assert_int_equal(agent_count(keeper.agent), 0);
	keeper_free(&keeper);
	assert_false(pid_exists(zygote_of(rig)));
	assert_false(pid_exists(last_of(rig, "fork of the zygote: forked pid=")));
}

static void messages_at_once_have_forks_of_their_own(void **state)
{
	struct rig *rig = *state;
	struct keeper keeper;
	struct seen seen[3];

	warm_up(rig, &keeper, loads);
	begin(&keeper, "2", 4, &seen[0]);
	begin(&keeper, "3", 4, &seen[1]);
	begin(&keeper, "4", 4, &seen[2]);
	for (int i = 0; i < 3; i++) {
		rig_until(rig, &seen[i].gone);
		assert_true(was_forked(rig, (const char *[]){"2", "3", "4"}[i]));
	}
	keeper_free(&keeper);
}

/* What apps import is imported for the next ones. */
static void it_learns(void **state)
{
	struct rig *rig = *state;
	struct keeper keeper;

	warm_up(rig, &keeper, loads);
	message(rig, &keeper, "2");
	assert_true(said(rig, "2", "fractions=False"));
	until_ready(rig, 2);
	message(rig, &keeper, "3");
	assert_true(was_forked(rig, "3"));
	assert_true(said(rig, "3", "fractions=True"));
	/* A fresh one is told. */
	assert_int_equal(kill(zygote_of(rig), SIGKILL), 0);
	rig_until_log(rig, "the app of the next message starts without it");
	message(rig, &keeper, "4");
	until_ready(rig, 3);
	message(rig, &keeper, "5");
	assert_true(was_forked(rig, "5"));
	assert_true(said(rig, "5", "fractions=True"));
	keeper_free(&keeper);
}

/* One line says so; no message is lost. */
static void one_that_dies_is_missed_by_nobody(void **state)
{
	struct rig *rig = *state;
	struct keeper keeper;
	int zygote;

	warm_up(rig, &keeper, loads);
	zygote = zygote_of(rig);
	assert_int_equal(kill(zygote, SIGKILL), 0);
	rig_until_log(rig, "WARN  test: zygote: killed by signal 9");
	message(rig, &keeper, "2");
	assert_false(was_forked(rig, "2"));
	until_forks(rig, 2);
	assert_int_not_equal(zygote_of(rig), zygote);
	message(rig, &keeper, "3");
	assert_true(was_forked(rig, "3"));
	assert_int_equal(rig_log_count(rig, "WARN"), 1);
	keeper_free(&keeper);
}

/* Also when it has not even been noticed. */
static void one_that_has_just_died_gets_no_app(void **state)
{
	struct rig *rig = *state;
	struct keeper keeper;
	siginfo_t info;
	int zygote, child;

	warm_up(rig, &keeper, loads);
	zygote = zygote_of(rig);
	child = stop_fork_ahead(rig);
	assert_int_equal(kill(zygote, SIGKILL), 0);
	assert_int_equal(waitid(P_PID, (id_t)zygote, &info, WEXITED | WNOWAIT), 0);
	assert_int_equal(kill(-child, SIGKILL), 0);
	assert_int_equal(waitid(P_PID, (id_t)child, &info, WEXITED | WNOWAIT), 0);
	message(rig, &keeper, "2");
	assert_false(was_forked(rig, "2"));
	keeper_free(&keeper);
}

/* A hanging one costs ZYGOTE_ANSWER_MS, once. */
static void one_that_hangs_is_given_up(void **state)
{
	struct rig *rig = *state;
	struct keeper keeper;
	struct seen seen;
	int zygote;

	warm_up(rig, &keeper, loads_all);
	zygote = zygote_of(rig);
	assert_int_equal(kill(zygote, SIGSTOP), 0);
	message(rig, &keeper, "2");
	/* The fork ahead served the second message; the third waits for one. */
	assert_true(was_forked(rig, "2"));
	rig_ahead_ms = 1000;
	begin(&keeper, "3", 4, &seen);
	rig_until_log(rig, " 3 out: start token");
	rig_wait_over_within(ZYGOTE_ANSWER_MS - 1000, ZYGOTE_ANSWER_MS);
	rig_until(rig, &seen.gone);
	assert_false(was_forked(rig, "3"));
	assert_int_equal(rig_log_count(rig, "WARN  test: zygote: it does not fork"), 1);
	kit_loop_until(rig->loop, !pid_exists(zygote));
	keeper_free(&keeper);
}

/* The app process itself may hang before it has begun. */
static void a_fork_that_hangs_is_given_up(void **state)
{
	struct rig *rig = *state;
	struct keeper keeper;
	struct seen seen;
	int child;

	warm_up(rig, &keeper, loads);
	child = stop_fork_ahead(rig);
	begin(&keeper, "2", 4, &seen);
	kit_loop_until(rig->loop, strstr(rig_log(rig), " 2 out: start token"));
	loop_step(rig->loop, 50);
	rig_wait_over_within(ZYGOTE_ANSWER_MS - 1000, ZYGOTE_ANSWER_MS);
	rig_until(rig, &seen.gone);
	assert_false(was_forked(rig, "2"));
	kit_loop_until(rig->loop, !pid_exists(child));
	keeper_free(&keeper);
}

static void one_that_always_dies_is_not_tried_for_ever(void **state)
{
	struct rig *rig = *state;
	struct keeper keeper;

	keeper_init(&keeper, rig, dies);
	for (unsigned i = 1; i <= 3; i++) {
		message(rig, &keeper, (const char *[]){"1", "2", "3"}[i - 1]);
		kit_loop_until(rig->loop, rig_log_count(rig, "WARN  test: zygote: ") == i);
	}
	assert_int_equal(rig_log_count(rig, "from now on"), 1);
	message(rig, &keeper, "4");
	assert_int_equal(rig_log_count(rig, "zygote: started"), 3);
	assert_int_equal(rig_log_count(rig, "WARN"), 3);
	keeper_free(&keeper);
}

static void with_a_thread_in_it_there_is_none(void **state)
{
	struct rig *rig = *state;
	struct keeper keeper;

	keeper_init(&keeper, rig, has_thread);
	message(rig, &keeper, "1");
	rig_until_log(rig,
		"WARN  test: zygote: flwr cannot be imported ahead: it starts a thread; each app starts a Python of its own from now on");
	message(rig, &keeper, "2");
	assert_false(was_forked(rig, "2"));
	assert_int_equal(rig_log_count(rig, "zygote: started"), 1);
	keeper_free(&keeper);
}

static void imports_that_do_not_end_are_given_up(void **state)
{
	struct rig *rig = *state;
	struct keeper keeper;

	keeper_init(&keeper, rig, waits);
	message(rig, &keeper, "1");
	message(rig, &keeper, "2");
	assert_int_equal(
		rig_log_count(rig, "2 app: started plainly: the zygote is at its imports"), 1);
	rig_wait_over_within(ZYGOTE_IMPORT_MS - 10000, ZYGOTE_IMPORT_MS);
	rig_until_log(rig, "WARN  test: zygote: it does not come to an end with its imports");
	message(rig, &keeper, "3");
	keeper_free(&keeper);
}

/* Also while a message is at work for long. */
static void one_is_given_back_when_no_message_comes(void **state)
{
	struct rig *rig = *state;
	struct keeper keeper;
	struct seen seen;
	int zygote, worker;

	warm_up(rig, &keeper, loads_all);
	zygote = zygote_of(rig);
	rig_ahead_ms = 1000;
	worker = worker_process_pid(begin(&keeper, "2", 7, &seen));
	rig_until_log(rig, " 2 out: app said");
	/* The spare worker's is the same time. */
	rig_wait_over_within(IDLE_MS - 10000, IDLE_MS);
	rig_wait_over_within(IDLE_MS - 10000, IDLE_MS);
	rig_until_log(rig, "zygote: no message for a while, not kept");
	kit_loop_until(rig->loop, !pid_exists(zygote));
	assert_int_equal(watched, 0);
	assert_int_equal(kill(worker, SIGKILL), 0);
	rig_until(rig, &seen.gone);
	message(rig, &keeper, "3");
	assert_true(was_forked(rig, "2"));
	assert_int_equal(rig_log_count(rig, "WARN"), 0);
	keeper_free(&keeper);
}

static void one_is_given_back_when_memory_is_short(void **state)
{
	struct rig *rig = *state;
	struct keeper keeper;
	int zygote, child;

	warm_up(rig, &keeper, loads);
	zygote = zygote_of(rig);
	child = last_of(rig, "fork of the zygote: forked pid=");
	assert_int_equal(watched, 1);
	short_fn(short_arg);
	assert_int_equal(watched, 0);
	kit_loop_until(rig->loop, !pid_exists(zygote) && !pid_exists(child));
	message(rig, &keeper, "2");
	assert_false(was_forked(rig, "2"));
	until_forks(rig, 2);
	assert_int_equal(rig_log_count(rig, "WARN"), 0);
	keeper_free(&keeper);
}

static void a_program_that_stops_has_none(void **state)
{
	struct rig *rig = *state;
	struct keeper keeper;
	int zygote, child;

	warm_up(rig, &keeper, loads);
	zygote = zygote_of(rig);
	child = last_of(rig, "fork of the zygote: forked pid=");
	agent_stop_spare(keeper.agent);
	assert_int_equal(agent_count(keeper.agent), 0);
	kit_loop_until(rig->loop, !pid_exists(zygote) && !pid_exists(child));
	message(rig, &keeper, "2");
	assert_int_equal(rig_log_count(rig, "zygote: started"), 1);
	keeper_free(&keeper);
}

/* With --app-user the zygote has that user, and so have its forks. */
static void apps_of_another_user_are_forked(void **state)
{
	struct rig *rig = *state;
	struct app_user user = {.ids = (char *)"65534:65534", .env = {(char *)"HOME=/"}};
	const struct app_bounds bounds = {.user = &user, .mask = 022};
	struct keeper keeper;
	struct seen seen;

	if (geteuid() != 0)
		skip();
	keeper_init(&keeper, rig, loads);
	keeper.agent->bounds = &bounds;
	assert_int_equal(chmod(keeper.script, 0755), 0);
	message(rig, &keeper, "1");
	assert_true(said(rig, "1", "user=65534."));
	until_forks(rig, 1);
	message(rig, &keeper, "2");
	assert_true(was_forked(rig, "2"));
	assert_true(said(rig, "2", "user=65534."));
	/* This program can end them. */
	begin(&keeper, "3", 8, &seen);
	rig_until(rig, &seen.gone);
	keeper_free(&keeper);
}

/* A worker that crashes, or does not want its app any more, as with any app process. */
static void a_forked_app_ends_with_its_worker(void **state)
{
	struct rig *rig = *state;
	struct keeper keeper;
	struct seen seen;

	warm_up(rig, &keeper, loads);
	begin(&keeper, "2", 6, &seen);
	rig_until(rig, &seen.gone);
	assert_int_equal(seen.end.kind, PROCESS_KILLED);
	assert_true(was_forked(rig, "2"));
	keeper_free(&keeper);
}

/* Its worker is killed while the fork ahead is stopped, which then gets this signal. */
static void lose_worker(struct rig *rig, int signal, const char *what_follows)
{
	struct keeper keeper;
	struct seen seen;
	int child, worker;

	warm_up(rig, &keeper, loads);
	child = stop_fork_ahead(rig);
	worker = worker_process_pid(begin(&keeper, "2", 4, &seen));
	rig_until_log(rig, " 2 out: start token");
	kit_loop_until(rig->loop, pid_sleeps(worker));
	loop_step(rig->loop, 0);
	assert_int_equal(kill(worker, SIGKILL), 0);
	kit_loop_until(rig->loop, seen.ended && !pid_exists(worker));
	assert_false(seen.gone);
	assert_int_equal(kill(-child, signal), 0);
	rig_until(rig, &seen.gone);
	assert_int_equal(rig_log_count(rig, what_follows), 1);
	keeper_free(&keeper);
}

static void an_app_comes_when_its_worker_has_ended(void **state)
{
	lose_worker(*state, SIGCONT, ": takes 2 app");
}

static void so_does_one_in_the_place_of_its_fork(void **state)
{
	lose_worker(*state, SIGKILL, "2 app: no fork of the zygote");
}

#define TEST(function) cmocka_unit_test_setup_teardown(function, rig_setup, rig_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(the_next_app_is_forked),
		TEST(messages_at_once_have_forks_of_their_own),
		TEST(it_learns),
		TEST(one_that_dies_is_missed_by_nobody),
		TEST(one_that_has_just_died_gets_no_app),
		TEST(one_that_hangs_is_given_up),
		TEST(a_fork_that_hangs_is_given_up),
		TEST(one_that_always_dies_is_not_tried_for_ever),
		TEST(with_a_thread_in_it_there_is_none),
		TEST(imports_that_do_not_end_are_given_up),
		TEST(one_is_given_back_when_no_message_comes),
		TEST(one_is_given_back_when_memory_is_short),
		TEST(a_program_that_stops_has_none),
		TEST(apps_of_another_user_are_forked),
		TEST(a_forked_app_ends_with_its_worker),
		TEST(an_app_comes_when_its_worker_has_ended),
		TEST(so_does_one_in_the_place_of_its_fork),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
