/*
 * The life of a launcher, with stand-ins for its agent, the SuperNode and the reply in a worker's
 * place. Time passes when a test says so.
 */
#include "clientapp/api/attendance.h"
#include "clientapp/api/work_poll.h"
#include "clientapp/failure_reply.h"
#include "clientapp/launcher.h"
#include "common/launch/agent.h"
#include "common/loop/loop.h"
#include "common/message/envelope.h"
#include "kit/clock.h"
#include "kit/log.h"

#define GRACE_MS    10000
#define ANSWER_MS   5000
#define PATIENCE_MS 600000

/* The arguments that the stand-ins were called with, and the results that they give. */
static struct {
	work_poll_fn *got;
	void (*channel)(void *arg, bool there);
	attendance_unwanted_fn *unwanted;
	void *attendant;
	const struct worker_process_ops *worker; /* of the last one, as what follows */
	void *worker_arg;
	uint64_t started; /* token of the last worker */
	uint64_t replied_for;
	int start_result;
	unsigned polls, polls_stopped, attended, attended_no_more, starts, give_ups, stops;
	void (*replied)(void *arg); /* NULL: no reply is on its way */
	void *reply_arg;
	unsigned replies;
	int64_t code;
	char reason[256];
	bool patient;
	bool loop_stopped;
} world;

/* ---- the stand-ins ---- */

void __wrap_loop_stop(struct loop *loop);
void __wrap_loop_stop(struct loop *loop)
{
	world.loop_stopped = true;
}

int agent_new(
	struct loop *loop, struct log *log, const struct agent_options *options, struct agent **out)
{
	*out = NULL;
	return 0;
}

void agent_free(struct agent *agent)
{
}

void agent_stop_spare(struct agent *agent)
{
}

void agent_tell_apps(const struct agent *agent)
{
}

int agent_start_worker(struct agent *agent, const struct worker_process_spec *spec,
	struct worker_process **out, struct reason *why)
{
	world.starts++;
	if (world.start_result)
		return reason_code(why, world.start_result, "no processes are left");
	assert_string_equal(spec->start->address, "127.0.0.1:9094");
	world.started = spec->start->token;
	world.worker = spec->ops;
	world.worker_arg = spec->arg;
	*out = (void *)&world;
	return 0;
}

pid_t worker_process_pid(const struct worker_process *worker)
{
	return 17;
}

void worker_process_give_up(struct worker_process *worker)
{
	world.give_ups++;
}

void worker_process_stop(struct worker_process *worker, int64_t grace_ms)
{
	assert_int_equal(grace_ms, WORKER_GRACE_MS);
	world.stops++;
}

int work_poll_new(struct loop *loop, struct rpc *rpc, struct log *log,
	const struct work_poll_options *options, struct work_poll **out)
{
	world.got = options->got;
	world.channel = options->channel;
	*out = NULL;
	return 0;
}

void work_poll_ask(struct work_poll *poll)
{
	world.polls++;
}

void work_poll_stop(struct work_poll *poll)
{
	world.polls_stopped++;
}

struct rpc_channel *work_poll_channel(const struct work_poll *poll)
{
	return (void *)&world;
}

void work_poll_free(struct work_poll *poll)
{
}

struct attendance *attendance_new(
	struct loop *loop, struct log *log, const struct attendance_options *options)
{
	world.unwanted = options->unwanted;
	world.attendant = options->arg;
	world.attended++;
	return (void *)&world;
}

void attendance_free(struct attendance *attendance)
{
	world.attended_no_more += attendance != NULL;
}

int failure_reply_new(struct loop *loop, struct rpc *rpc, struct log *log,
	const struct failure_reply_options *options, struct failure_reply **out)
{
	world.replies++;
	world.replied = options->done;
	world.reply_arg = options->arg;
	world.replied_for = options->token;
	world.code = options->code;
	world.patient = options->patient;
	snprintf(world.reason, sizeof world.reason, "%s", options->reason);
	*out = (void *)&world;
	return 0;
}

void failure_reply_free(struct failure_reply *reply)
{
	if (reply)
		world.replied = NULL;
}

/* ---- a launcher ---- */

struct rig {
	struct loop *loop;
	struct kit_log log;
	struct clientapp_options given;
	struct app_bounds bounds;
	struct launcher *launcher;
};

static int setup(void **state)
{
	static struct rig rig;

	memset(&world, 0, sizeof world);
	memset(&rig, 0, sizeof rig);
	kit_log_init(&rig.log, "clientapp", LOG_LEVEL_INFO);
	assert_int_equal(loop_new(&rig.loop), 0);
	kit_clock_start(rig.loop);
	rig.given = (struct clientapp_options){
		.address = "127.0.0.1:9094", .launch = {.grace_ms = GRACE_MS}};
	rig.bounds.workers = 1;
	*state = &rig;
	return 0;
}

static int teardown(void **state)
{
	struct rig *rig = *state;

	launcher_free(rig->launcher);
	kit_clock_done();
	loop_free(rig->loop);
	kit_log_done(&rig->log);
	return 0;
}

static void start(struct rig *rig)
{
	const struct launcher_options options = {
		.given = &rig->given, .flwr_home = "/home", .bounds = &rig->bounds};

	assert_int_equal(launcher_new(rig->loop, NULL, rig->log.log, &options, &rig->launcher), 0);
	launcher_start(rig->launcher);
}

/* Start the launcher and give it a message, which is then at work. */
static void start_with_message(struct rig *rig)
{
	start(rig);
	assert_int_equal(world.polls, 1);
	world.got(rig->launcher, &(struct work){.token = 41});
	assert_int_equal(world.started, 41);
}

static void worker_ends(enum process_end_kind kind, int value)
{
	const struct process_end end = {.kind = kind, .value = value};

	world.worker->ended(world.worker_arg, NULL, &end);
}

static void worker_is_gone(void)
{
	world.worker->gone(world.worker_arg, NULL);
	kit_clock_pass(0);
}

static void reply_is_taken(void)
{
	assert_non_null(world.replied);
	world.replied(world.reply_arg);
	kit_clock_pass(0);
}

/* ---- messages ---- */

static void after_a_message_the_next_is_asked_for(void **state)
{
	struct rig *rig = *state;

	start_with_message(rig);
	assert_int_equal(world.attended, 1);
	worker_ends(PROCESS_EXITED, 0);
	kit_clock_pass(0);
	/* The app is still at its end. */
	assert_int_equal(world.polls, 1);
	worker_is_gone();
	assert_int_equal(world.polls, 2);
	assert_int_equal(world.replies, 0);
	assert_int_equal(kit_log_count(&rig->log, "message 1 is answered"), 1);
}

static void a_worker_that_crashed_is_answered_for(void **state)
{
	struct rig *rig = *state;

	start_with_message(rig);
	worker_ends(PROCESS_KILLED, 11);
	worker_is_gone();
	assert_int_equal(world.replies, 1);
	assert_int_equal(world.code, ERROR_CODE_CLIENT_APP_CRASHED);
	assert_non_null(strstr(world.reason, "SIGSEGV"));
	assert_true(world.patient);
	assert_int_equal(world.polls, 1);
	reply_is_taken();
	assert_int_equal(world.polls, 2);
}

static void a_worker_that_cannot_be_started_is_answered_for(void **state)
{
	struct rig *rig = *state;

	world.start_result = -EAGAIN;
	start(rig);
	world.got(rig->launcher, &(struct work){.token = 41});
	assert_string_equal(world.reason, "no worker could be started");
	reply_is_taken();
	assert_int_equal(world.polls, 2);
	assert_int_equal(kit_log_count(&rig->log, "no processes are left"), 1);
}

static void what_is_wanted_no_more_is_stopped_and_not_answered(void **state)
{
	struct rig *rig = *state;

	start_with_message(rig);
	world.unwanted(world.attendant);
	assert_int_equal(world.stops, 1);
	assert_int_equal(world.give_ups, 0);
	worker_ends(PROCESS_EXITED, 1);
	worker_is_gone();
	assert_int_equal(world.replies, 0);
	assert_int_equal(world.polls, 2);
}

/* Nothing asks for a second one while the first is at work; one may be given all the same. */
static void each_message_at_work_has_its_own_end(void **state)
{
	struct rig *rig = *state;
	void *first, *first_attendant;

	start_with_message(rig);
	first = world.worker_arg;
	first_attendant = world.attendant;
	world.got(rig->launcher, &(struct work){.token = 42});
	assert_int_equal(world.started, 42);
	assert_int_equal(world.attended, 2);
	assert_ptr_not_equal(first, world.worker_arg);
	/* The second one crashes; the first one goes on. */
	worker_ends(PROCESS_KILLED, 11);
	worker_is_gone();
	assert_int_equal(world.replied_for, 42);
	assert_int_equal(world.stops, 0);
	reply_is_taken();
	assert_int_equal(world.attended_no_more, 1);
	assert_int_equal(world.polls, 1);
	/* The log says it of the first message only. */
	world.unwanted(first_attendant);
	assert_int_equal(world.stops, 1);
	assert_int_equal(kit_log_count(&rig->log, "message 1 is wanted from here no more"), 1);
	world.worker_arg = first;
	worker_ends(PROCESS_EXITED, 1);
	worker_is_gone();
	assert_int_equal(world.replies, 1);
	assert_int_equal(world.attended_no_more, 2);
	assert_int_equal(world.polls, 2);
}

static void each_message_at_work_gets_the_grace(void **state)
{
	struct rig *rig = *state;
	void *first;

	start_with_message(rig);
	first = world.worker_arg;
	world.got(rig->launcher, &(struct work){.token = 42});
	launcher_stop(rig->launcher);
	kit_clock_pass(GRACE_MS);
	assert_int_equal(world.give_ups, 2);
	worker_ends(PROCESS_EXITED, 0);
	/* The app of the first is stopped at once, the other worker is not. */
	kit_clock_pass(0);
	assert_int_equal(world.stops, 1);
	worker_is_gone();
	assert_false(world.loop_stopped);
	world.worker_arg = first;
	worker_ends(PROCESS_EXITED, 0);
	worker_is_gone();
	assert_true(world.loop_stopped);
}

static void several_messages_are_asked_for_as_long_as_there_is_room(void **state)
{
	struct rig *rig = *state;
	void *first;

	rig->bounds.workers = 2;
	start_with_message(rig);
	first = world.worker_arg;
	kit_clock_pass(0);
	assert_int_equal(world.polls, 2);
	world.got(rig->launcher, &(struct work){.token = 42});
	kit_clock_pass(0);
	assert_int_equal(world.starts, 2);
	assert_int_equal(world.polls, 2);
	/* The second one ends first. */
	worker_ends(PROCESS_EXITED, 0);
	worker_is_gone();
	assert_int_equal(world.polls, 3);
	world.worker_arg = first;
	worker_ends(PROCESS_EXITED, 0);
	worker_is_gone();
	/* That question is still out. */
	assert_int_equal(world.polls, 3);
	assert_int_equal(world.replies, 0);
}

static void with_messages_at_work_it_stops_asking_and_waits_for_them(void **state)
{
	struct rig *rig = *state;

	rig->bounds.workers = 2;
	start_with_message(rig);
	kit_clock_pass(0);
	launcher_stop(rig->launcher);
	assert_int_equal(world.polls_stopped, 1);
	assert_int_equal(kit_log_count(&rig->log, "stopping: the message at work gets"), 1);
	world.got(rig->launcher, &(struct work){.token = 0});
	kit_clock_pass(0);
	assert_false(world.loop_stopped);
	worker_ends(PROCESS_EXITED, 0);
	worker_is_gone();
	assert_true(world.loop_stopped);
	assert_int_equal(world.polls, 2);
}

static void what_is_at_work_is_attended_again_when_the_supernode_is_back(void **state)
{
	struct rig *rig = *state;

	rig->bounds.workers = 2;
	start_with_message(rig);
	world.channel(rig->launcher, false);
	assert_int_equal(world.attended_no_more, 1);
	assert_int_equal(world.attended, 1);
	world.channel(rig->launcher, true);
	assert_int_equal(world.attended, 2);
	worker_ends(PROCESS_EXITED, 0);
	world.channel(rig->launcher, false);
	world.channel(rig->launcher, true);
	/* It is answered. */
	assert_int_equal(world.attended, 2);
}

static void a_worker_that_hangs_is_stopped_and_answered_for(void **state)
{
	struct rig *rig = *state;

	rig->given.worker_timeout_ms = 7000;
	start_with_message(rig);
	kit_clock_pass(6999);
	assert_int_equal(world.stops, 0);
	kit_clock_pass(1);
	assert_int_equal(world.stops, 1);
	worker_ends(PROCESS_KILLED, 9);
	worker_is_gone();
	assert_string_equal(world.reason, "the worker took longer than --worker-timeout");
	reply_is_taken();
	assert_int_equal(world.polls, 2);
	assert_int_equal(kit_log_count(&rig->log, "takes longer than --worker-timeout"), 1);
}

/* An app at its own end is no worker that hangs. */
static void a_worker_that_has_answered_is_not_late(void **state)
{
	struct rig *rig = *state;

	rig->given.worker_timeout_ms = 7000;
	start_with_message(rig);
	worker_ends(PROCESS_EXITED, 0);
	kit_clock_pass(8000);
	assert_int_equal(world.stops, 0);
	worker_is_gone();
}

static void run_once_ends_after_one_message(void **state)
{
	struct rig *rig = *state;

	rig->given.run_once = true;
	start_with_message(rig);
	worker_ends(PROCESS_EXITED, 0);
	worker_is_gone();
	assert_true(world.loop_stopped && launcher_succeeded(rig->launcher));
	assert_int_equal(world.polls, 1);
}

/* ---- stopping ---- */

static void stopped_without_a_message_it_ends_when_no_token_can_come(void **state)
{
	struct rig *rig = *state;

	start(rig);
	launcher_stop(rig->launcher);
	assert_int_equal(world.polls_stopped, 1);
	assert_false(world.loop_stopped);
	world.got(rig->launcher, &(struct work){.token = 0});
	assert_true(world.loop_stopped);
}

static void a_token_that_comes_while_stopping_is_answered(void **state)
{
	struct rig *rig = *state;

	start(rig);
	launcher_stop(rig->launcher);
	world.got(rig->launcher, &(struct work){.token = 41});
	assert_int_equal(world.starts, 0);
	assert_string_equal(world.reason, "the worker was stopped");
	reply_is_taken();
	assert_true(world.loop_stopped);
}

static void the_worker_answers_after_the_grace(void **state)
{
	struct rig *rig = *state;

	start_with_message(rig);
	launcher_stop(rig->launcher);
	kit_clock_pass(GRACE_MS - 1);
	assert_int_equal(world.give_ups, 0);
	kit_clock_pass(1);
	assert_int_equal(world.give_ups, 1);
	worker_ends(PROCESS_EXITED, 0);
	worker_is_gone();
	assert_int_equal(world.stops, 0);
	assert_int_equal(world.replies, 0);
	assert_true(world.loop_stopped);
}

static void a_worker_that_does_not_give_up_is_stopped_and_answered_for(void **state)
{
	struct rig *rig = *state;

	start_with_message(rig);
	launcher_stop(rig->launcher);
	kit_clock_pass(GRACE_MS);
	kit_clock_pass(WORKER_GRACE_MS);
	assert_int_equal(world.give_ups, 1);
	assert_int_equal(world.stops, 1);
	worker_ends(PROCESS_KILLED, 9);
	worker_is_gone();
	assert_string_equal(world.reason, "the worker was stopped");
	/* The SuperNode is away, too. */
	kit_clock_pass(ANSWER_MS);
	kit_clock_pass(0);
	assert_true(world.loop_stopped);
	assert_int_equal(
		kit_log_count(&rig->log, "is not answered: the SuperNode was not there in time"),
		1);
}

/* One of another release may be there by then. */
static void a_reply_that_cannot_be_given_is_waited_for_only_so_long(void **state)
{
	struct rig *rig = *state;

	start_with_message(rig);
	worker_ends(PROCESS_KILLED, 9);
	worker_is_gone();
	kit_clock_pass(PATIENCE_MS - 1);
	assert_int_equal(world.polls, 1);
	kit_clock_pass(1);
	kit_clock_pass(0);
	assert_int_equal(world.polls, 2);
	assert_false(world.loop_stopped);
}

static void an_app_at_its_end_is_cut_off_after_the_grace(void **state)
{
	struct rig *rig = *state;

	start_with_message(rig);
	worker_ends(PROCESS_EXITED, 0);
	launcher_stop(rig->launcher);
	kit_clock_pass(GRACE_MS);
	assert_int_equal(world.stops, 1);
	assert_int_equal(world.give_ups, 0);
	worker_is_gone();
	assert_true(world.loop_stopped);
}

static void stopped_a_second_time_it_ends_at_once(void **state)
{
	struct rig *rig = *state;

	start_with_message(rig);
	launcher_stop(rig->launcher);
	assert_false(world.loop_stopped);
	launcher_stop(rig->launcher);
	assert_true(world.loop_stopped);
}

/* Its caller ends the loop soon, in any case. */
static void cut_short_it_gives_no_grace(void **state)
{
	struct rig *rig = *state;

	start_with_message(rig);
	launcher_cut_short(rig->launcher);
	kit_clock_pass(0);
	assert_int_equal(world.give_ups, 1);
	/* Also while it stops already. */
	launcher_cut_short(rig->launcher);
	worker_ends(PROCESS_EXITED, 0);
	worker_is_gone();
	assert_true(world.loop_stopped);
}

/* ---- --token ---- */

static void start_with_token(struct rig *rig)
{
	rig->given.token_text = "42";
	rig->given.token = 42;
	start(rig);
	assert_int_equal(world.started, 42);
	assert_int_equal(world.polls + world.attended, 0);
}

/* The launcher is stopped while the message of its token is at work. */
static void stop_with_token(struct rig *rig)
{
	start_with_token(rig);
	launcher_stop(rig->launcher);
	kit_clock_pass(0);
}

static void the_message_of_a_token_is_the_only_one(void **state)
{
	struct rig *rig = *state;

	start_with_token(rig);
	worker_ends(PROCESS_EXITED, 0);
	assert_false(world.loop_stopped);
	worker_is_gone();
	assert_true(world.loop_stopped && launcher_succeeded(rig->launcher));
}

static void a_worker_that_could_not_answer_a_token_has_said_why(void **state)
{
	struct rig *rig = *state;

	start_with_token(rig);
	worker_ends(PROCESS_EXITED, EXIT_FAILURE);
	worker_is_gone();
	assert_int_equal(world.replies, 0);
	assert_true(world.loop_stopped);
	assert_false(launcher_succeeded(rig->launcher));
}

static void a_worker_of_a_token_that_ends_while_it_is_stopped_is_answered_for(void **state)
{
	struct rig *rig = *state;

	stop_with_token(rig);
	worker_ends(PROCESS_EXITED, EXIT_FAILURE);
	worker_is_gone();
	assert_int_equal(world.replies, 1);
	reply_is_taken();
	assert_true(world.loop_stopped);
}

/* A large reply, or a SuperNode that is away for a moment. */
static void a_reply_that_is_on_its_way_is_not_cut_off_at_once(void **state)
{
	struct rig *rig = *state;

	stop_with_token(rig);
	assert_int_equal(world.give_ups, 1);
	kit_clock_pass(29999);
	assert_int_equal(world.stops, 0);
	kit_clock_pass(1);
	assert_int_equal(world.stops, 1);
	worker_ends(PROCESS_KILLED, SIGTERM);
	worker_is_gone();
	reply_is_taken();
}

static void an_app_whose_reply_was_taken_meanwhile_is_stopped_at_once(void **state)
{
	struct rig *rig = *state;

	stop_with_token(rig);
	assert_int_equal(world.give_ups, 1);
	worker_ends(PROCESS_EXITED, 0);
	kit_clock_pass(0);
	assert_int_equal(world.stops, 1);
	worker_is_gone();
	assert_true(world.loop_stopped);
	assert_true(launcher_succeeded(rig->launcher));
}

static void a_crashed_worker_of_a_token_is_answered_for_with_limited_patience(void **state)
{
	struct rig *rig = *state;

	start_with_token(rig);
	worker_ends(PROCESS_KILLED, 11);
	worker_is_gone();
	assert_int_equal(world.replies, 1);
	assert_false(world.patient);
	reply_is_taken();
	assert_true(world.loop_stopped);
	assert_false(launcher_succeeded(rig->launcher));
}

static void the_message_of_a_token_has_no_grace(void **state)
{
	struct rig *rig = *state;

	stop_with_token(rig);
	assert_int_equal(world.give_ups, 1);
	worker_ends(PROCESS_EXITED, 0);
	worker_is_gone();
	assert_true(world.loop_stopped);
}

#define TEST(function) cmocka_unit_test_setup_teardown(function, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(after_a_message_the_next_is_asked_for),
		TEST(a_reply_that_cannot_be_given_is_waited_for_only_so_long),
		TEST(a_worker_that_crashed_is_answered_for),
		TEST(a_worker_that_cannot_be_started_is_answered_for),
		TEST(what_is_wanted_no_more_is_stopped_and_not_answered),
		TEST(each_message_at_work_has_its_own_end),
		TEST(each_message_at_work_gets_the_grace),
		TEST(several_messages_are_asked_for_as_long_as_there_is_room),
		TEST(with_messages_at_work_it_stops_asking_and_waits_for_them),
		TEST(what_is_at_work_is_attended_again_when_the_supernode_is_back),
		TEST(a_worker_that_hangs_is_stopped_and_answered_for),
		TEST(a_worker_that_has_answered_is_not_late),
		TEST(run_once_ends_after_one_message),
		TEST(stopped_without_a_message_it_ends_when_no_token_can_come),
		TEST(a_token_that_comes_while_stopping_is_answered),
		TEST(the_worker_answers_after_the_grace),
		TEST(a_worker_that_does_not_give_up_is_stopped_and_answered_for),
		TEST(an_app_at_its_end_is_cut_off_after_the_grace),
		TEST(stopped_a_second_time_it_ends_at_once),
		TEST(cut_short_it_gives_no_grace),
		TEST(the_message_of_a_token_is_the_only_one),
		TEST(a_worker_that_could_not_answer_a_token_has_said_why),
		TEST(a_worker_of_a_token_that_ends_while_it_is_stopped_is_answered_for),
		TEST(a_reply_that_is_on_its_way_is_not_cut_off_at_once),
		TEST(an_app_whose_reply_was_taken_meanwhile_is_stopped_at_once),
		TEST(a_crashed_worker_of_a_token_is_answered_for_with_limited_patience),
		TEST(the_message_of_a_token_has_no_grace),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
