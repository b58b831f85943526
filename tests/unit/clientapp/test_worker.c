/*
 * The life of a worker: what it replies, also when its app ends or it is told to give up.
 */
#include "worker_rig.h"

static void app_starts(struct rig *rig)
{
	app_of_kind_starts(rig, false);
}

/* A worker whose app has its task. */
static void run_app(struct rig *rig)
{
	give(good_inputs());
	app_starts(rig);
	kit_loop_until(rig->loop, world.tasks == 1);
}

static void outputs_are(enum outcome outcome, uint64_t bytes)
{
	world.pushed(world.conversation_arg, outcome, "", bytes);
}

static void the_reply_of_an_app_is_pushed(void **state)
{
	struct rig *rig = *state;

	run_app(rig);
	world.said(world.app_arg, APP_HOST_REPLY);
	assert_int_equal(world.pushes, 1);
	assert_false(world.pushed_error);
	assert_int_equal(world.done, 0);
	outputs_are(OUTCOME_OK, 100);
	assert_int_equal(world.done, 1);
	assert_true(worker_succeeded(rig->worker));
}

static void an_app_that_is_quicker_than_the_inputs_waits_for_them(void **state)
{
	struct rig *rig = *state;

	app_starts(rig);
	assert_int_equal(world.tasks, 0);
	give(good_inputs());
	kit_loop_until(rig->loop, world.tasks == 1);
}

static void the_error_of_an_app_is_an_answer(void **state)
{
	struct rig *rig = *state;

	world.app_has_error = true;
	run_app(rig);
	world.said(world.app_arg, APP_HOST_REPLY);
	assert_int_equal(world.code, 2);
	outputs_are(OUTCOME_OK, 100);
	assert_true(worker_succeeded(rig->worker));
}

static void a_reply_that_is_too_large_becomes_an_error_once(void **state)
{
	struct rig *rig = *state;

	run_app(rig);
	world.said(world.app_arg, APP_HOST_REPLY);
	outputs_are(OUTCOME_RESOURCE_EXHAUSTED, 1 << 30);
	assert_int_equal(world.pushes, 2);
	assert_int_equal(world.code, ERROR_CODE_CLIENT_APP_CRASHED);
	assert_non_null(strstr(world.reason, "1073741824 bytes are too large"));
	outputs_are(OUTCOME_RESOURCE_EXHAUSTED, 1 << 30);
	assert_int_equal(world.pushes, 2);
	assert_int_equal(world.done, 1);
	assert_false(worker_succeeded(rig->worker));
}

static void without_inputs_there_is_no_reply(void **state)
{
	struct rig *rig = *state;
	struct conversation_inputs none = {0};

	world.pulled(world.conversation_arg, OUTCOME_NOT_FOUND, &none, "who are you?");
	assert_int_equal(world.done, 1);
	assert_int_equal(world.pushes, 0);
	assert_false(worker_succeeded(rig->worker));
	assert_int_equal(kit_log_count(&rig->log, "gave no inputs: NOT_FOUND: who are you?"), 1);
}

/* There is nobody to give a reply to. */
static void an_app_whose_token_is_gone_is_stopped(void **state)
{
	struct rig *rig = *state;

	run_app(rig);
	world.gone(world.gone_arg);
	agent_hears(rig, CONTROL_APP_STOP);
	assert_int_equal(world.done, 1);
	assert_int_equal(world.pushes, 0);
	assert_false(worker_succeeded(rig->worker));
}

static void inputs_that_cannot_be_run_are_answered(void **state)
{
	struct conversation_inputs inputs = good_inputs();

	slices_done(&inputs.fab);
	give(inputs);
	assert_int_equal(world.code, ERROR_CODE_INVALID_FAB);
	assert_string_equal(world.reason, "the run has no FAB");
}

static void records_over_the_budget_are_answered(void **state)
{
	struct conversation_inputs inputs = good_inputs();
	struct value value = {0};
	char bytes[1000] = "";

	assert_int_equal(value_set_bytes(&value, VALUE_BYTES, bytes, sizeof bytes), 0);
	assert_int_equal(
		value_map_set(&record_dict_add(&inputs.content, "r", RECORD_CONFIGS)->values, "b",
			&value),
		0);
	give(inputs);
	assert_int_equal(world.code, ERROR_CODE_CLIENT_APP_CRASHED);
	assert_string_equal(world.reason,
		"the message takes 1010 bytes when its arrays are written out for the app, and the memory budget is 1000 bytes");
	assert_int_equal(world.installs, 0);
}

/* Records over the budget are not built, so that nobody knows how large they are. */
static void a_message_that_was_not_read_to_its_end_is_answered(void **state)
{
	struct rig *rig = *state;
	struct conversation_inputs inputs = good_inputs();

	inputs.too_large = true;
	reason_set(&inputs.broken, "the records have more than 1000 bytes");
	give(inputs);
	assert_int_equal(world.code, ERROR_CODE_CLIENT_APP_CRASHED);
	assert_string_equal(world.reason,
		"the message takes more than 1000 bytes when its arrays are written out for the app, and the memory budget is 1000 bytes");
	assert_true(kit_log_count(&rig->log, "takes more than 1000 bytes") > 0);
	assert_int_equal(world.installs, 0);
}

static void a_fab_that_is_refused_is_answered(void **state)
{
	struct rig *rig = *state;

	world.install_result = -EBADMSG;
	give(good_inputs());
	kit_loop_until(rig->loop, world.pushes == 1);
	assert_int_equal(world.code, ERROR_CODE_INVALID_FAB);
	assert_string_equal(world.reason, "the FAB is of no use");
}

/* ---- the end of the app ---- */

static void app_ends(struct rig *rig)
{
	const struct control_message message = {
		.kind = CONTROL_APP_ENDED, .fd = -1, .end = {.kind = PROCESS_KILLED, .value = 11}};

	agent_says(rig, &message);
}

static void an_app_that_crashes_is_answered_for(void **state)
{
	struct rig *rig = *state;

	run_app(rig);
	app_ends(rig);
	assert_int_equal(world.pushes, 1);
	assert_int_equal(world.code, ERROR_CODE_CLIENT_APP_CRASHED);
	assert_non_null(strstr(world.reason, "SIGSEGV"));
}

static void an_app_that_crashes_before_the_inputs_are_there_is_answered_with_them(void **state)
{
	struct rig *rig = *state;

	app_ends(rig);
	assert_int_equal(world.pushes, 0);
	give(good_inputs());
	assert_int_equal(world.pushes, 1);
	assert_non_null(strstr(world.reason, "SIGSEGV"));
	assert_int_equal(world.installs, 0);
}

static void an_app_that_hangs_up_and_lives_on_is_stopped(void **state)
{
	struct rig *rig = *state;

	run_app(rig);
	world.said(world.app_arg, APP_HOST_HUNG_UP);
	kit_clock_pass(WORKER_GRACE_MS - 1);
	assert_int_equal(world.pushes, 0);
	kit_clock_pass(1);
	assert_int_equal(world.pushes, 1);
	assert_non_null(strstr(world.reason, "closed its connection without a reply"));
	agent_hears(rig, CONTROL_APP_STOP);
}

/* ---- giving up ---- */

static const struct control_message give_up = {.kind = CONTROL_GIVE_UP, .fd = -1};

static void told_to_give_up_it_stops_the_app_and_answers(void **state)
{
	struct rig *rig = *state;

	run_app(rig);
	agent_says(rig, &give_up);
	agent_hears(rig, CONTROL_APP_STOP);
	assert_int_equal(world.code, ERROR_CODE_CLIENT_APP_CRASHED);
	assert_string_equal(world.reason, "the worker was stopped");
	outputs_are(OUTCOME_OK, 10);
	assert_true(worker_succeeded(rig->worker));
}

static void told_to_give_up_before_the_inputs_are_there_it_ends_without_a_reply(void **state)
{
	struct rig *rig = *state;

	agent_says(rig, &give_up);
	assert_int_equal(world.done, 1);
	assert_int_equal(world.pushes, 0);
	assert_false(worker_succeeded(rig->worker));
}

int main(void)
{
#define TEST(function) cmocka_unit_test_setup_teardown(function, setup, teardown)
	const struct CMUnitTest tests[] = {
		TEST(the_reply_of_an_app_is_pushed),
		TEST(an_app_that_is_quicker_than_the_inputs_waits_for_them),
		TEST(the_error_of_an_app_is_an_answer),
		TEST(a_reply_that_is_too_large_becomes_an_error_once),
		TEST(without_inputs_there_is_no_reply),
		TEST(an_app_whose_token_is_gone_is_stopped),
		TEST(inputs_that_cannot_be_run_are_answered),
		TEST(records_over_the_budget_are_answered),
		TEST(a_message_that_was_not_read_to_its_end_is_answered),
		TEST(a_fab_that_is_refused_is_answered),
		TEST(an_app_that_crashes_is_answered_for),
		TEST(an_app_that_crashes_before_the_inputs_are_there_is_answered_with_them),
		TEST(an_app_that_hangs_up_and_lives_on_is_stopped),
		TEST(told_to_give_up_it_stops_the_app_and_answers),
		TEST(told_to_give_up_before_the_inputs_are_there_it_ends_without_a_reply),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
