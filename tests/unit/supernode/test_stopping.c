/*
 * The phases of stopping, and what the node decides.
 */
#include "rig.h"

/* ---- stopping ---- */

static void with_nothing_at_hand_it_leaves_at_once(void **state)
{
	supernode_stop(&rig.node);
	assert_int_equal(rig.node.phase, PHASE_LEAVING);
	assert_int_equal(world.checks_stopped, 1);
	parts_leave();
	assert_int_equal(rig.node.phase, PHASE_LEFT);
	assert_int_equal(rig.node.status, 0);
}

static void a_message_at_work_has_the_grace_to_end(void **state)
{
	come();
	assert_int_equal(world.spares_stopped, 0);
	supernode_stop(&rig.node);
	assert_int_equal(world.spares_stopped, 1);
	assert_int_equal(kit_log_count(&rig.log, "1 message at work, up to 10 s (--grace)"), 1);
	kit_clock_pass(GRACE_MS - 1);
	assert_int_equal(rig.node.phase, PHASE_DRAINING);
	assert_int_equal(world.stops, 0);
	runner_events.ended(&rig.node, world.started, 2, "it raised");
	assert_int_equal(world.pushed_code, 2);
	pushed(OUTCOME_OK);
	assert_int_equal(rig.node.phase, PHASE_DRAINING); /* its processes are not gone */
	gone();
	/* The ServerApp has time to fetch the reply. */
	assert_int_equal(rig.node.phase, PHASE_LINGERING);
	kit_clock_pass(FETCH_MS - 1);
	assert_int_equal(rig.node.phase, PHASE_LINGERING);
	kit_clock_pass(1);
	parts_leave();
	assert_int_equal(rig.node.phase, PHASE_LEFT);
}

static void what_is_at_work_after_the_grace_is_answered_with_an_error(void **state)
{
	come();
	supernode_stop(&rig.node);
	kit_clock_pass(GRACE_MS);
	assert_int_equal(rig.node.phase, PHASE_ANSWERING);
	assert_int_equal(
		kit_log_count(&rig.log, "the grace of 10 s is over: messages at work are ended"),
		1);
	assert_int_equal(world.stops, 1);
	assert_int_equal(world.all_stopped, 1);
	assert_int_equal(world.pushed_code, ERROR_CODE_CLIENT_APP_CRASHED);
	runner_events.ended(&rig.node, world.started, 8, "it was stopped");
	gone();
	assert_int_equal(world.pushes, 1);
	pushed(OUTCOME_OK);
	assert_int_equal(rig.node.phase, PHASE_LINGERING);
}

static void a_superlink_that_is_silent_does_not_hold_it_up(void **state)
{
	come();
	supernode_stop(&rig.node);
	kit_clock_pass(GRACE_MS);
	gone();
	kit_clock_pass(ANSWER_MS - 1);
	assert_int_equal(rig.node.phase, PHASE_ANSWERING);
	kit_clock_pass(1);
	assert_int_equal(kit_log_count(&rig.log, "some replies could not be sent"), 1);
	parts_leave();
	assert_int_equal(rig.node.phase, PHASE_LEFT);
}

static void a_reply_of_a_moment_ago_can_be_fetched_yet(void **state)
{
	come();
	runner_events.ended(&rig.node, world.started, 8, "ended");
	gone();
	pushed(OUTCOME_OK);
	kit_clock_pass(FETCH_MS - 1);
	supernode_stop(&rig.node);
	assert_int_equal(rig.node.phase, PHASE_LINGERING);
	kit_clock_pass(1);
	assert_int_equal(rig.node.phase, PHASE_LEAVING);
}

static void a_reply_of_long_ago_holds_nothing_up(void **state)
{
	come();
	runner_events.ended(&rig.node, world.started, 8, "ended");
	gone();
	pushed(OUTCOME_OK);
	kit_clock_pass(FETCH_MS);
	supernode_stop(&rig.node);
	assert_int_equal(rig.node.phase, PHASE_LEAVING);
}

static void a_second_signal_ends_it_now(void **state)
{
	come();
	supernode_stop(&rig.node);
	assert_false(rig.node.hurried);
	supernode_stop(&rig.node);
	assert_true(rig.node.hurried);
	assert_null(world.fleet_left);
}

static void a_second_signal_does_not_wait_for_the_reply_to_be_fetched(void **state)
{
	come();
	runner_events.ended(&rig.node, world.started, 8, "ended");
	gone();
	pushed(OUTCOME_OK);
	supernode_stop(&rig.node);
	assert_int_equal(rig.node.phase, PHASE_LINGERING);
	supernode_stop(&rig.node);
	assert_int_equal(rig.node.phase, PHASE_LEAVING);
	assert_false(rig.node.hurried);
	parts_leave();
	assert_int_equal(rig.node.phase, PHASE_LEFT);
	assert_int_equal(rig.node.status, 0);
}

static void a_third_signal_does_not_wait_for_the_superlink(void **state)
{
	come();
	runner_events.ended(&rig.node, world.started, 8, "ended");
	gone();
	pushed(OUTCOME_OK);
	supernode_stop(&rig.node);
	supernode_stop(&rig.node);
	assert_false(rig.node.hurried);
	supernode_stop(&rig.node);
	assert_true(rig.node.hurried);
}

static void cut_short_it_answers_and_does_not_leave(void **state)
{
	come();
	supernode_cut_short(&rig.node, 300);
	assert_int_equal(world.all_stopped, 1);
	assert_int_equal(world.pushed_code, ERROR_CODE_CLIENT_APP_CRASHED);
	assert_false(rig.node.hurried);
	pushed(OUTCOME_OK);
	gone();
	assert_true(rig.node.hurried);
	assert_null(world.fleet_left);
}

static void cut_short_it_waits_for_so_long(void **state)
{
	come();
	supernode_stop(&rig.node);
	supernode_cut_short(&rig.node, 300);
	kit_clock_pass(299);
	assert_false(rig.node.hurried);
	kit_clock_pass(1);
	assert_true(rig.node.hurried);
	assert_int_equal(kit_log_count(&rig.log, "stopping: some replies could not be sent"), 1);
}

static void cut_short_with_nothing_at_hand_it_ends_now(void **state)
{
	supernode_cut_short(&rig.node, 300);
	assert_true(rig.node.hurried);
}

static void cut_short_it_waits_for_nobody_who_fetches(void **state)
{
	come();
	runner_events.ended(&rig.node, world.started, 8, "ended");
	gone();
	pushed(OUTCOME_OK);
	supernode_stop(&rig.node);
	assert_int_equal(rig.node.phase, PHASE_LINGERING);
	supernode_cut_short(&rig.node, 300);
	assert_true(rig.node.hurried);
}

static void a_lost_superlink_ends_what_is_at_work(void **state)
{
	come();
	uplink_events.over(&rig.node.uplink, FLEET_OVER_LOST, "the SuperLink is gone");
	assert_int_equal(kit_log_count(&rig.log, "the SuperLink is gone (Exit Code: "), 1);
	assert_int_equal(rig.node.phase, PHASE_ANSWERING);
	assert_int_equal(world.stops, 1);
	gone();
	pushed(OUTCOME_OK);
	/* The reply was delivered all the same: somebody may fetch it. */
	assert_int_equal(rig.node.phase, PHASE_LINGERING);
	kit_clock_pass(FETCH_MS);
	parts_leave();
	assert_int_equal(rig.node.status, 1);
}

static void a_superlink_that_sends_it_away_is_no_failure(void **state)
{
	uplink_events.over(&rig.node.uplink, FLEET_OVER_TOLD, "told to shut down");
	assert_int_equal(rig.node.phase, PHASE_LEAVING);
	parts_leave();
	assert_int_equal(rig.node.status, 0);
	/* Said again, it changes nothing. */
	uplink_events.over(&rig.node.uplink, FLEET_OVER_LOST, "lost");
	assert_int_equal(rig.node.phase, PHASE_LEFT);
}

/* As by a signal: messages at work have their grace. What it says again is no second signal. */
static void a_superlink_that_tells_it_to_end_waits_for_the_messages(void **state)
{
	come();
	uplink_events.told_to_end(&rig.node.uplink);
	assert_int_equal(rig.node.phase, PHASE_DRAINING);
	assert_int_equal(kit_log_count(&rig.log, "stopping: 1 message at work"), 1);
	uplink_events.told_to_end(&rig.node.uplink);
	assert_int_equal(rig.node.phase, PHASE_DRAINING);
	/* The first signal of an operator is no second one either. */
	supernode_stop(&rig.node);
	assert_int_equal(rig.node.phase, PHASE_DRAINING);
	assert_false(rig.node.hurried);
	gone();
	pushed(OUTCOME_OK);
	kit_clock_pass(FETCH_MS);
	parts_leave();
	assert_int_equal(rig.node.status, 0);
}

static void apps_at_their_end_have_the_rest_of_the_grace(void **state)
{
	world.apps = 1;
	supernode_stop(&rig.node);
	parts_leave();
	assert_int_equal(rig.node.phase, PHASE_ENDING);
	kit_clock_pass(GRACE_MS - 1);
	assert_int_equal(world.all_stopped, 0);
	kit_clock_pass(1);
	assert_int_equal(world.all_stopped, 1);
	assert_int_equal(rig.node.phase, PHASE_ENDING);
	/* A worker that cannot be killed does not hold up the end. */
	kit_clock_pass(2 * WORKER_GRACE_MS);
	assert_int_equal(rig.node.phase, PHASE_LEFT);
}

static void the_last_app_that_ends_ends_it(void **state)
{
	world.apps = 1;
	supernode_stop(&rig.node);
	parts_leave();
	world.apps = 0;
	gone();
	assert_int_equal(rig.node.phase, PHASE_LEFT);
}

static void a_fab_under_check_is_waited_for(void **state)
{
	world.checks = 1;
	supernode_stop(&rig.node);
	parts_leave();
	assert_int_equal(rig.node.phase, PHASE_LEAVING);
	world.checks = 0;
	supernode_pump(&rig.node);
	assert_int_equal(rig.node.phase, PHASE_LEFT);
}

static void a_message_that_comes_late_is_given_up(void **state)
{
	supernode_stop(&rig.node);
	rig.f.now = supernode_now();
	give_message(&rig.f, 1, TTL_S);
	supernode_pump(&rig.node);
	assert_int_equal(world.pushed_code, ERROR_CODE_CLIENT_APP_CRASHED);
	assert_int_equal(world.starts, 0);
}

/* ---- what the node decides ---- */

static void a_worker_that_cannot_be_started_is_an_error_reply(void **state)
{
	world.start_result = -EAGAIN;
	come();
	assert_int_equal(kit_log_count(&rig.log, "cannot start a worker: no process"), 1);
	assert_int_equal(world.pushed_code, ERROR_CODE_CLIENT_APP_CRASHED);
	pushed(OUTCOME_OK);
	assert_int_equal(node_count(rig.f.node).messages, 0);
	/* The next one has its slot. */
	world.start_result = 0;
	give_message(&rig.f, 1, TTL_S);
	supernode_pump(&rig.node);
	assert_int_equal(world.starts, 2);
}

static void the_end_of_a_worker_is_told_once(void **state)
{
	come();
	runner_events.ended(&rig.node, world.started, 8, "killed by signal 9");
	assert_int_equal(world.pushes, 1);
	gone();
	assert_int_equal(world.pushes, 1);
	pushed(OUTCOME_OK);
	assert_int_equal(kit_log_count(&rig.log, "message failed: "), 1);
	assert_int_equal(kit_log_count(&rig.log, "code=8: killed by signal 9"), 1);
}

static void each_event_asks_for_the_next_message(void **state)
{
	unsigned pokes = world.pokes;

	uplink_events.registered(&rig.node.uplink, NODE_ID);
	assert_int_equal(world.pokes, pokes + 1);
	assert_true(uplink_events.wants_message(&rig.node.uplink));
	come();
	assert_false(uplink_events.wants_message(&rig.node.uplink));
}

static void outcomes_of_a_push_are_told_apart(void **state)
{
	static const struct {
		enum outcome outcome;
		const char *says;
		bool again; /* an error reply takes its place */
	} cases[] = {
		{OUTCOME_OK, "reply sent: ", false},
		{OUTCOME_NOT_FOUND, "reply dropped, its run is over: ", false},
		{OUTCOME_PERMISSION_DENIED, "reply dropped, its run is over: ", false},
		{OUTCOME_RESOURCE_EXHAUSTED,
			"reply too large for the SuperLink, an error is sent instead: ", true},
		{OUTCOME_INTERNAL,
			"reply not understood by the SuperLink, an error is sent instead: ", true},
		{OUTCOME_UNAVAILABLE, "reply lost: ", false},
	};

	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		unsigned pushes = world.pushes;

		kit_log_clear(&rig.log);
		come();
		runner_events.ended(&rig.node, world.started, 8, "ended");
		gone();
		pushed(cases[i].outcome);
		assert_int_equal(kit_log_count(&rig.log, cases[i].says), 1);
		assert_int_equal(world.pushes, pushes + 1 + cases[i].again);
		if (cases[i].again)
			pushed(OUTCOME_OK);
		assert_int_equal(node_count(rig.f.node).messages, 0);
	}
}

static void health_is_true_while_it_works_and_is_online(void **state)
{
	assert_false(world.serving);
	world.online = true;
	kit_clock_pass(5000);
	assert_true(world.serving);
	world.online = false;
	kit_clock_pass(5000);
	assert_false(world.serving);
	world.online = true;
	kit_clock_pass(5000);
	come();
	supernode_stop(&rig.node);
	assert_false(world.serving);
}

static void memory_goes_back_after_a_large_message(void **state)
{
	come();
	runner_events.ended(&rig.node, world.started, 8, "ended");
	gone();
	pushed(OUTCOME_OK);
	kit_clock_pass(500);
	assert_int_equal(world.trims, 0); /* it was small */
	come();
	world.spooled_bytes = 9 << 20;
	runner_events.ended(&rig.node, world.started, 8, "ended");
	gone();
	pushed(OUTCOME_OK);
	kit_clock_pass(499);
	assert_int_equal(world.trims, 0);
	kit_clock_pass(1);
	assert_int_equal(world.trims, 1);
}

static void a_message_that_no_worker_asks_for_is_said(void **state)
{
	static const char line[] = "no worker has asked for a message";

	come();
	assert_int_equal(world.starts, 0);
	kit_clock_pass(9999);
	assert_int_equal(kit_log_count(&rig.log, line), 0);
	kit_clock_pass(1);
	assert_int_equal(kit_log_count(&rig.log, line), 1);
	assert_int_equal(kit_log_count(&rig.log, "--clientappio-api-address 127.0.0.1:9094"), 1);
	kit_clock_pass(59999);
	assert_int_equal(kit_log_count(&rig.log, line), 1);
	kit_clock_pass(1);
	assert_int_equal(kit_log_count(&rig.log, line), 2);
}

#define RIG_TEST(test)        cmocka_unit_test_setup_teardown(test, rig_setup, rig_teardown)
#define RIG_TEST_COMING(test) cmocka_unit_test_setup_teardown(test, rig_setup_coming, rig_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		RIG_TEST(with_nothing_at_hand_it_leaves_at_once),
		RIG_TEST(a_message_at_work_has_the_grace_to_end),
		RIG_TEST(what_is_at_work_after_the_grace_is_answered_with_an_error),
		RIG_TEST(a_superlink_that_is_silent_does_not_hold_it_up),
		RIG_TEST(a_reply_of_a_moment_ago_can_be_fetched_yet),
		RIG_TEST(a_reply_of_long_ago_holds_nothing_up),
		RIG_TEST(a_second_signal_ends_it_now),
		RIG_TEST(a_second_signal_does_not_wait_for_the_reply_to_be_fetched),
		RIG_TEST(a_third_signal_does_not_wait_for_the_superlink),
		RIG_TEST(cut_short_it_answers_and_does_not_leave),
		RIG_TEST(cut_short_it_waits_for_so_long),
		RIG_TEST(cut_short_with_nothing_at_hand_it_ends_now),
		RIG_TEST(cut_short_it_waits_for_nobody_who_fetches),
		RIG_TEST(a_lost_superlink_ends_what_is_at_work),
		RIG_TEST(a_superlink_that_sends_it_away_is_no_failure),
		RIG_TEST(a_superlink_that_tells_it_to_end_waits_for_the_messages),
		RIG_TEST(apps_at_their_end_have_the_rest_of_the_grace),
		RIG_TEST(the_last_app_that_ends_ends_it),
		RIG_TEST(a_fab_under_check_is_waited_for),
		RIG_TEST(a_message_that_comes_late_is_given_up),
		RIG_TEST(a_worker_that_cannot_be_started_is_an_error_reply),
		RIG_TEST(the_end_of_a_worker_is_told_once),
		RIG_TEST(each_event_asks_for_the_next_message),
		RIG_TEST(outcomes_of_a_push_are_told_apart),
		RIG_TEST(health_is_true_while_it_works_and_is_online),
		RIG_TEST(memory_goes_back_after_a_large_message),
		RIG_TEST_COMING(a_message_that_no_worker_asks_for_is_said),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
