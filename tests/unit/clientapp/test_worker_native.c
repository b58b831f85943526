/*
 * Native apps: an agent that runs some is told which app a process is for.
 */
#include "worker_rig.h"

static void run_named(struct rig *rig, bool native)
{
	struct control_message message;

	give(good_inputs());
	kit_loop_until(rig->loop, control_receive(rig->agent, &message) == 1);
	assert_int_equal(message.kind, CONTROL_APP_START);
	assert_string_equal(message.app.fab_id, "lab/robot");
	assert_string_equal(message.app.component, world.component);
	assert_string_equal(message.app.dir, "/home/apps/x");
	control_message_done(&message);
	app_of_kind_starts(rig, native);
	kit_loop_until(rig->loop, world.tasks == 1);
}

static void an_app_is_named_when_it_is_installed(void **state)
{
	struct rig *rig = *state;

	world.component = "native:robot.so";
	run_named(rig, true);
	world.said(world.app_arg, APP_HOST_REPLY);
	assert_int_equal(world.pushes, 1);
	assert_false(world.pushed_error);
}

static void what_a_native_app_cannot_do_is_no_matter_of_python(void **state)
{
	struct rig *rig = *state;

	world.refused = world.app_has_error = true;
	run_named(rig, true);
	world.said(world.app_arg, APP_HOST_REPLY);
	assert_int_equal(world.pushes, 1);
	assert_int_equal(kit_log_count(&rig->log, "install the flwr package"), 0);
}

static void a_python_without_flwr_is_told_of(void **state)
{
	struct rig *rig = *state;

	world.refused = world.app_has_error = true;
	run_named(rig, false);
	world.said(world.app_arg, APP_HOST_REPLY);
	assert_int_equal(kit_log_count(&rig->log, "install the flwr package"), 1);
}

static void a_native_app_that_does_not_load_in_time_is_answered_for(void **state)
{
	struct rig *rig = *state;

	run_named(rig, true);
	world.said(world.app_arg, APP_HOST_SILENT);
	assert_int_equal(world.code, ERROR_CODE_CLIENT_APP_CRASHED);
	assert_non_null(strstr(world.reason, "the native app was not loaded within 120 s"));
}

static void a_fab_with_native_code_is_refused_where_no_app_is_native(void **state)
{
	struct rig *rig = *state;

	world.component = "native:robot.so";
	give(good_inputs());
	kit_loop_until(rig->loop, world.pushes == 1);
	assert_int_equal(world.code, ERROR_CODE_LOAD_CLIENT_APP);
	assert_non_null(strstr(world.reason, "--allow-native lab/robot"));
	agent_hears(rig, CONTROL_APP_STOP);
}

/* The agent has told why: there is no process. */
static void an_app_that_the_agent_refuses_is_answered_for(void **state)
{
	struct rig *rig = *state;
	struct control_message message = {.kind = CONTROL_APP_ENDED,
		.fd = -1,
		.end = {.kind = PROCESS_NOT_STARTED,
			.value = EACCES,
			.why = {.text = "the app brings native code"}}};
	struct control_message asked;

	give(good_inputs());
	kit_loop_until(rig->loop, control_receive(rig->agent, &asked) == 1);
	control_message_done(&asked);
	agent_says(rig, &message);
	assert_int_equal(world.code, ERROR_CODE_LOAD_CLIENT_APP);
	assert_string_equal(world.reason,
		"An exception was raised when attempting to load `ClientApp`: the app brings "
		"native code");
}

int main(void)
{
#define TEST(function)        cmocka_unit_test_setup_teardown(function, setup, teardown)
#define NAMING_TEST(function) cmocka_unit_test_setup_teardown(function, setup_naming, teardown)
	const struct CMUnitTest tests[] = {
		NAMING_TEST(an_app_is_named_when_it_is_installed),
		NAMING_TEST(what_a_native_app_cannot_do_is_no_matter_of_python),
		NAMING_TEST(a_python_without_flwr_is_told_of),
		NAMING_TEST(a_native_app_that_does_not_load_in_time_is_answered_for),
		NAMING_TEST(an_app_that_the_agent_refuses_is_answered_for),
		TEST(a_fab_with_native_code_is_refused_where_no_app_is_native),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
