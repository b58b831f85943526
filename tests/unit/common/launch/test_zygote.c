#include "zygote_rig.h"

#include "common/launch/agent_internal.h"
#include "common/launch/app_user.h"
#include "common/launch/spare_app.h"

#include <signal.h>
#include <sys/stat.h>
#include <sys/wait.h>

static const char loads[] = "def load(): pass\n";
static const char loads_all[] = "def load(): import fractions\n"; /* there is nothing to learn */
static const char dies[] = "def load(): os._exit(3)\n";
static const char has_thread[] =
	"import threading\n"
	"def load(): threading.Thread(target=threading.Event().wait, daemon=True).start()\n";
static const char has_thread_and_waits[] =
	"import threading\n"
	"waits = True\n"
	"def load(): threading.Thread(target=threading.Event().wait, daemon=True).start()\n";
static const char waits[] = "def load(): os.read(os.pipe()[0], 1)\n";

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

	warm_up(rig, &keeper, loads_all); /* while it learns it cannot fork */
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
	unsigned taken;
	int zygote;

	warm_up(rig, &keeper, loads_all);
	zygote = zygote_of(rig);
	/* It has closed what it handed to its fork, and waits. */
	kit_loop_until(rig->loop, pid_sleeps(zygote));
	assert_int_equal(kill(zygote, SIGSTOP), 0);
	message(rig, &keeper, "2");
	/* The fork ahead served the second message; the third waits for one. */
	assert_true(was_forked(rig, "2"));
	rig_ahead_ms = 1000;
	taken = n_taken;
	begin(&keeper, "3", 4, &seen);
	kit_loop_until(rig->loop, n_taken == taken + 1);
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
	unsigned taken;
	int child;

	warm_up(rig, &keeper, loads);
	child = stop_fork_ahead(rig);
	taken = n_taken;
	begin(&keeper, "2", 4, &seen);
	kit_loop_until(rig->loop, n_taken == taken + 1);
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

/* A message whose app ends when its worker has ended. */
static void short_message(struct rig *rig, struct keeper *keeper, const char *name)
{
	struct seen seen;

	begin(keeper, name, 5, &seen);
	rig_until(rig, &seen.gone);
}

/* Then a Python waits for the next message, for that one alone. */
static void without_one_there_is_a_spare_python(void **state)
{
	struct rig *rig = *state;
	struct keeper keeper;
	int spare;

	keeper_init(&keeper, rig, has_thread_and_waits);
	short_message(rig, &keeper, "1");
	rig_until_log(rig, "WARN  test: zygote: flwr cannot be imported ahead");
	assert_int_equal(rig_log_count(rig, "spare Python"), 0);
	short_message(rig, &keeper, "2");
	assert_int_equal(
		rig_log_count(rig, "2 app: started plainly: there is no zygote any more"), 1);
	spare = last_of(rig, "spare Python: started pid=");
	assert_int_equal(agent_count(keeper.agent), 0);
	short_message(rig, &keeper, "3");
	assert_int_equal(rig_log_count(rig, "3 app: in a spare Python: there is no zygote"), 1);
	assert_false(pid_exists(spare));
	spare = last_of(rig, "spare Python: started pid=");
	assert_int_equal(rig_log_count(rig, "spare Python: started pid="), 2);
	/* One that dies is missed by nobody. */
	assert_int_equal(kill(-spare, SIGKILL), 0);
	kit_loop_until(rig->loop, !pid_exists(spare));
	short_message(rig, &keeper, "4");
	assert_int_equal(rig_log_count(rig, "4 app: started plainly: "), 1);
	spare = last_of(rig, "spare Python: started pid=");
	assert_int_equal(watched, 1);
	short_fn(short_arg);
	assert_int_equal(watched, 0);
	kit_loop_until(rig->loop, !pid_exists(spare));
	short_message(rig, &keeper, "5");
	spare = last_of(rig, "spare Python: started pid=");
	agent_stop_spare(keeper.agent);
	kit_loop_until(rig->loop, !pid_exists(spare));
	/* An app may take longer to its end than it is given here. */
	assert_int_equal(rig_log_count(rig, "WARN  test: zygote: "), 1);
	keeper_free(&keeper);
}

/* It is in the cage of an app of that run. */
static void the_end_of_a_run_is_that_of_its_spare_python(void **state)
{
	const struct control_app app = {.fab_id = (char *)"lab/robot",
		.component = (char *)"robot:app",
		.dir = (char *)"/apps/robot",
		.run_id = 100};
	struct rig *rig = *state;
	struct spare_apps *apps;
	struct keeper keeper;
	int spare;

	keeper_init(&keeper, rig, has_thread_and_waits);
	short_message(rig, &keeper, "1");
	rig_until_log(rig, "WARN  test: zygote: flwr cannot be imported ahead");
	apps = keeper.agent->spare_apps;
	spare_apps_note(apps, &(struct app_process_spec){.app = &app}, "/usr/bin/python3");
	spare_apps_message_ended(apps);
	spare = last_of(rig, "spare Python: started pid=");
	agent_run_ended(keeper.agent, 101);
	assert_int_equal(watched, 1);
	agent_run_ended(keeper.agent, 100);
	assert_int_equal(watched, 0);
	kit_loop_until(rig->loop, !pid_exists(spare));
	spare_apps_message_ended(apps);
	assert_int_equal(rig_log_count(rig, "spare Python: started pid="), 1);
	keeper_free(&keeper);
}

/* The next message has the same options. */
static void no_spare_python_waits_for_an_app_with_bounds(void **state)
{
	const struct app_limits none = {.data_bytes = ""}, limits = {.data_bytes = "1000"};
	const struct app_process_spec specs[] = {
		{.limits = &none}, {.limits = &limits}, {.setting = "CUDA_VISIBLE_DEVICES=0"}};
	struct rig *rig = *state;
	struct spare_apps *apps;
	struct keeper keeper;
	int spare;

	keeper_init(&keeper, rig, has_thread_and_waits);
	short_message(rig, &keeper, "1");
	rig_until_log(rig, "WARN  test: zygote: flwr cannot be imported ahead");
	apps = keeper.agent->spare_apps;
	for (unsigned i = 1; i <= 2; i++) {
		spare_apps_note(apps, &specs[0], "/usr/bin/python3");
		spare_apps_message_ended(apps);
		spare = last_of(rig, "spare Python: started pid=");
		spare_apps_note(apps, &specs[i], "/usr/bin/python3");
		spare_apps_message_ended(apps);
		kit_loop_until(rig->loop, !pid_exists(spare));
		assert_int_equal(rig_log_count(rig, "spare Python: started pid="), i);
	}
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
		TEST(without_one_there_is_a_spare_python),
		TEST(the_end_of_a_run_is_that_of_its_spare_python),
		TEST(no_spare_python_waits_for_an_app_with_bounds),
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
