#include "rig.h"

static void a_node_registers_and_begins(void **state)
{
	struct rig *rig = rig_new(NULL);
	struct rig_call *handle;

	rig_pass(rig, 100000);
	assert_int_equal(rig->sent, 0);
	fleet_start(rig->fleet);
	assert_int_equal(rig->sent, 0);
	rig_pass(rig, 0);
	handle = rig_sent(rig, "CreateNode");
	assert_non_null(handle);
	assert_int_equal(handle->timeout_ms, 30000);
	assert_true(handle->proven);
	assert_int_equal(handle->answer_max_bytes, CALL_ANSWER_BYTES);
	rig_answer_node(rig, RIG_NODE_ID);
	assert_int_equal(rig->registered, 1);
	assert_int_equal(rig->node_id, RIG_NODE_ID);
	rig_pass(rig, 0);
	/* Both at once. */
	handle = rig_sent(rig, "Ping");
	assert_non_null(handle);
	assert_int_equal(handle->timeout_ms, 5000);
	assert_int_equal(handle->answer_max_bytes, CALL_ANSWER_BYTES);
	handle = rig_sent(rig, "PullMessages");
	assert_non_null(handle);
	assert_int_equal(handle->timeout_ms, 0);
	assert_int_equal(handle->answer_max_bytes, UINT64_MAX);
	assert_true(handle->proven);
	assert_int_equal(rig_warnings(rig), 0);
	rig_answer_ping(rig, true);
	rig_answer_pull_empty(rig);
	rig_free(rig);
}

static void each_registration_has_a_fresh_key(void **state)
{
	struct rig *rig = rig_new(NULL);
	char *last = NULL;

	fleet_start(rig->fleet);
	rig_pass(rig, 0);
	for (int i = 0; i < 4; i++) {
		struct rig_call *handle = rig_sent(rig, "CreateNode");

		assert_non_null(handle);
		if (last)
			assert_string_not_equal(handle->pem, last);
		free(last);
		last = strdup(handle->pem);
		rig_fail(rig, "CreateNode",
			i % 2 ? OUTCOME_UNAUTHENTICATED : OUTCOME_DEADLINE_EXCEEDED);
		assert_null(rig_sent(rig, "CreateNode"));
		rig_pass(rig, 20000);
	}
	free(last);
	rig_answer_node(rig, RIG_NODE_ID);
	rig_free(rig);
}

static void every_outcome_of_create_node_is_retried_or_final(void **state)
{
	for (int outcome = OUTCOME_OK + 1; outcome < OUTCOME_N; outcome++) {
		bool again = outcome == OUTCOME_UNAUTHENTICATED ||
			     retry_again((enum outcome)outcome, false);
		struct rig *rig = rig_new(NULL);

		fleet_start(rig->fleet);
		rig_pass(rig, 0);
		rig_fail(rig, "CreateNode", (enum outcome)outcome);
		rig_pass(rig, 1000);
		assert_int_equal(rig_sent(rig, "CreateNode") != NULL, again);
		/* Something else may be there by and by. */
		assert_int_equal(rig->over, !again && outcome != OUTCOME_UNIMPLEMENTED);
		assert_int_equal(rig_warnings(rig), again || outcome == OUTCOME_UNIMPLEMENTED);
		if (outcome == OUTCOME_UNIMPLEMENTED)
			assert_int_equal(
				rig_lines(rig, "is no SuperLink of Flower 1.15 or later"), 1);
		if (again)
			assert_int_equal(
				rig_lines(rig, "SuperLink superlink.test:9092: CreateNode failed"),
				1);
		rig_free(rig);
	}
}

static void an_answer_without_a_node_is_no_registration(void **state)
{
	struct rig *rig = rig_new(NULL);
	struct slices junk = {0};

	fleet_start(rig->fleet);
	rig_pass(rig, 0);
	rig_answer_node(rig, 0);
	rig_pass(rig, 1000);
	/* The node is cut off. */
	assert_int_equal(slices_append_copy(&junk, "\x0a\xff", 2), 0);
	rig_answer(rig, rig_sent(rig, "CreateNode"), OUTCOME_OK, "", &junk);
	rig_pass(rig, 2000);
	assert_int_equal(rig->registered, 0);
	rig_answer_node(rig, RIG_NODE_ID);
	assert_int_equal(rig->registered, 1);
	rig_free(rig);
}

static void heartbeats_go_on(void **state)
{
	struct rig *rig = rig_new(NULL);

	rig->wants = false;
	rig_register(rig);
	for (int i = 0; i < 3; i++) {
		rig_pass(rig, 19999);
		assert_null(rig_sent(rig, "Ping"));
		rig_pass(rig, 1);
		rig_answer_ping(rig, true);
	}
	/* A heartbeat that fails is tried again soon; the node gives up nothing. */
	rig_pass(rig, 20000);
	rig_fail(rig, "Ping", OUTCOME_UNAVAILABLE);
	rig_pass(rig, 500);
	assert_int_equal(rig->reconnects, 1);
	rig_fail(rig, "Ping", OUTCOME_INVALID_ARGUMENT);
	rig_pass(rig, 1000);
	assert_int_equal(rig_warnings(rig), 1);
	assert_int_equal(rig_lines(rig, "answers now"), 0);
	rig_answer_ping(rig, true);
	assert_int_equal(rig_lines(rig, "answers now, after 1.5 s"), 1);
	assert_null(rig_sent(rig, "PullMessages"));
	rig_free(rig);
}

static void a_timed_out_heartbeat_has_waited(void **state)
{
	struct rig *rig = rig_new(NULL);

	rig->wants = false;
	fleet_start(rig->fleet);
	rig_pass(rig, 0);
	rig_answer_node(rig, RIG_NODE_ID);
	rig_pass(rig, 5000);
	rig_fail(rig, "Ping", OUTCOME_DEADLINE_EXCEEDED);
	rig_pass(rig, 50);
	assert_non_null(rig_sent(rig, "Ping"));
	rig_answer_ping(rig, true);
	rig_free(rig);
}

/* However the SuperLink says it: forgotten, registered again with another key, told once. */
static void forgotten(const char *method, bool success_false)
{
	struct rig *rig = rig_new(NULL);
	char *key;

	fleet_start(rig->fleet);
	rig_pass(rig, 0);
	key = strdup(rig_sent(rig, "CreateNode")->pem);
	rig_answer_node(rig, RIG_NODE_ID);
	rig_pass(rig, 0);
	assert_int_equal(fleet_get_run(rig->fleet, 7, rig_run_done, rig), 0);
	rig_pass(rig, 0);
	rig_pass(rig, JOIN_STABLE_MS);
	if (success_false)
		rig_answer_ping(rig, false);
	else
		rig_answer(rig, rig_sent(rig, method), OUTCOME_UNAUTHENTICATED, "Invalid node ID",
			NULL);
	assert_int_equal(rig->lost, 1);
	assert_int_equal(rig->ends, 0);
	rig_pass(rig, 0);
	/* Not before all have come home. */
	assert_null(rig_sent(rig, "CreateNode"));
	rig_answer_cancelled(rig);
	rig_pass(rig, 0);
	assert_int_equal(rig->ends, 1);
	assert_int_equal(rig->outcome, OUTCOME_CANCELLED);
	assert_non_null(rig_sent(rig, "CreateNode"));
	assert_string_not_equal(rig_sent(rig, "CreateNode")->pem, key);
	rig_answer_node(rig, RIG_NODE_ID + 1);
	assert_int_equal(rig->registered, 2);
	assert_int_equal(rig->node_id, RIG_NODE_ID + 1);
	assert_int_equal(rig_warnings(rig), 1);
	assert_int_equal(rig_lines(rig, success_false ? "success=false" : "Invalid node ID"), 1);
	assert_int_equal(rig->over, 0);
	free(key);
	rig_free(rig);
}

static void a_forgotten_node_registers_again(void **state)
{
	forgotten("Ping", false);
	forgotten("Ping", true);
	forgotten("PullMessages", false);
	forgotten("GetRun", false);
}

static void a_node_forgotten_again_and_again_backs_off(void **state)
{
	struct rig *rig = rig_new(NULL);
	unsigned sent;

	rig->random01 = 0.999;
	fleet_start(rig->fleet);
	for (int i = 0; i < 600; i++) {
		rig_pass(rig, 100);
		if (rig_sent(rig, "CreateNode"))
			rig_answer_node(rig, RIG_NODE_ID);
		rig_pass(rig, 0);
		if (rig_sent(rig, "Ping"))
			rig_answer(rig, rig_sent(rig, "Ping"), OUTCOME_UNAUTHENTICATED,
				"Invalid node ID", NULL);
		rig_answer_cancelled(rig);
	}
	sent = rig->registered;
	assert_in_range(sent, 4, 8); /* in a minute */
	rig_free(rig);
}

static void an_outage_is_told_every_ten_seconds(void **state)
{
	struct rig *rig = rig_new(NULL);

	rig->random01 = 0.0;
	rig_register(rig);
	for (int i = 0; i < 600; i++) {
		if (rig_sent(rig, "PullMessages"))
			rig_answer(rig, rig_sent(rig, "PullMessages"), OUTCOME_UNAVAILABLE,
				"Connection \n refused", NULL);
		if (rig_sent(rig, "Ping"))
			rig_answer(rig, rig_sent(rig, "Ping"), OUTCOME_UNAVAILABLE, "gone", NULL);
		rig_pass(rig, 50);
	}
	assert_int_equal(rig_warnings(rig), 3); /* in 30 s */
	assert_int_equal(rig_lines(rig, "PullMessages failed: UNAVAILABLE \"Connection "), 3);
	assert_int_equal(rig_lines(rig, "failures since the last line"), 2);
	assert_int_equal(rig_lines(rig, "answers now"), 0);
	/* Only when nothing fails any more. */
	rig_answer_pull_empty(rig);
	assert_int_equal(rig_lines(rig, "answers now"), 0);
	rig_answer_ping(rig, true);
	assert_int_equal(rig_lines(rig, "answers now, after 30.0 s"), 1);
	rig_free(rig);
}

static void a_node_gives_up_registering(void **state)
{
	struct retry_policy retries = {.max_retries = 2, .max_wait_ms = -1};
	struct retry_policy wait = {.max_retries = -1, .max_wait_ms = 2000};
	struct rig *rig = rig_new(&retries);

	fleet_start(rig->fleet);
	for (int i = 0; i < 3; i++) {
		assert_int_equal(rig->over, 0);
		rig_pass(rig, 20000);
		rig_fail(rig, "CreateNode", OUTCOME_UNAVAILABLE);
	}
	assert_int_equal(rig->over, 1);
	assert_int_equal(rig->over_what, FLEET_OVER_LOST);
	assert_non_null(strstr(rig->over_sentence, "3 tries of CreateNode: UNAVAILABLE"));
	rig_pass(rig, 100000);
	assert_int_equal(rig->sent, 3);
	rig_free(rig);

	rig = rig_new(&wait);
	fleet_start(rig->fleet);
	rig_pass(rig, 0);
	while (!rig->over) {
		rig_fail(rig, "CreateNode", OUTCOME_UNAVAILABLE);
		rig_pass(rig, rig->over ? 0 : 1000);
	}
	assert_in_range(rig->sent, 2, 4);
	rig_free(rig);
}

static void a_node_stops_with_delete_node(void **state)
{
	struct rig *rig = rig_new(NULL);

	rig_register(rig);
	rig_answer_pull_empty(rig);
	fleet_stop(rig->fleet, rig_stopped, rig);
	rig_pass(rig, 0);
	assert_non_null(rig_sent(rig, "DeleteNode"));
	assert_int_equal(rig_sent(rig, "DeleteNode")->timeout_ms, 2000);
	assert_int_equal(rig->stopped, 0);
	rig_fail(rig, "DeleteNode", OUTCOME_DEADLINE_EXCEEDED);
	assert_int_equal(rig->stopped, 1);
	assert_int_equal(rig_warnings(rig), 0);
	rig_free(rig);
}

static void a_node_stops_before_its_start_and_between_tries(void **state)
{
	struct rig *rig = rig_new(NULL);

	fleet_stop(rig->fleet, rig_stopped, rig);
	assert_int_equal(rig->stopped, 0);
	rig_pass(rig, 0);
	assert_int_equal(rig->stopped, 1);
	assert_int_equal(rig->sent, 0);
	rig_free(rig);

	rig = rig_new(NULL);
	fleet_start(rig->fleet);
	rig_pass(rig, 0);
	rig_fail(rig, "CreateNode", OUTCOME_UNAVAILABLE);
	fleet_stop(rig->fleet, rig_stopped, rig);
	rig_pass(rig, 0);
	assert_int_equal(rig->stopped, 1);
	assert_int_equal(rig->sent, 1);
	rig_free(rig);
}

static void a_node_stops_with_create_node_out(void **state)
{
	struct rig *rig = rig_new(NULL);

	fleet_start(rig->fleet);
	rig_pass(rig, 0);
	fleet_stop(rig->fleet, rig_stopped, rig);
	rig_pass(rig, 500);
	/* The registration came through: so the node is deleted. */
	rig_answer_node(rig, RIG_NODE_ID);
	assert_int_equal(rig->registered, 0);
	rig_pass(rig, 0);
	rig_fail(rig, "DeleteNode", OUTCOME_OK);
	assert_int_equal(rig->stopped, 1);
	rig_free(rig);
}

static void a_message_that_comes_while_stopping_is_answered(void **state)
{
	struct rig *rig = rig_new(NULL);

	rig->push_in_message = true;
	rig_register(rig);
	fleet_stop(rig->fleet, rig_stopped, rig);
	rig_pass(rig, 500);
	rig_answer_pull(rig, "train", &(struct slices){0});
	assert_int_equal(rig->messages, 1);
	rig_pass(rig, 0);
	assert_null(rig_sent(rig, "DeleteNode"));
	rig_answer_push(rig, "3c2e");
	assert_int_equal(rig->outcome, OUTCOME_OK);
	assert_int_equal(rig->number, 99);
	rig_pass(rig, 0);
	rig_fail(rig, "DeleteNode", OUTCOME_OK);
	assert_int_equal(rig->stopped, 1);
	assert_int_equal(rig_warnings(rig), 0);
	rig_free(rig);
}

static void a_reply_does_not_hold_up_the_stop(void **state)
{
	struct rig *rig = rig_new(NULL);

	rig->push_in_message = true;
	rig_register(rig);
	fleet_stop(rig->fleet, rig_stopped, rig);
	rig_answer_pull(rig, "train", &(struct slices){0});
	rig_pass(rig, 2000);
	assert_null(rig_sent(rig, "PushMessages"));
	rig_answer_cancelled(rig);
	assert_int_equal(rig->outcome, OUTCOME_CANCELLED);
	rig_pass(rig, 0);
	rig_fail(rig, "DeleteNode", OUTCOME_OK);
	assert_int_equal(rig->stopped, 1);
	rig_free(rig);
}

static void a_call_without_memory_is_tried_again(void **state)
{
	struct rig *rig = rig_new(NULL);

	rig->fail_calls = 2;
	fleet_start(rig->fleet);
	rig_pass(rig, 10000);
	assert_int_equal(rig_lines(rig, "no memory to send it"), 1);
	rig_answer_node(rig, RIG_NODE_ID);
	rig->fail_calls = 2; /* Ping and PullMessages */
	rig_pass(rig, 1000);
	assert_non_null(rig_sent(rig, "Ping"));
	assert_non_null(rig_sent(rig, "PullMessages"));
	rig_free(rig);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_node_registers_and_begins),
		cmocka_unit_test(each_registration_has_a_fresh_key),
		cmocka_unit_test(every_outcome_of_create_node_is_retried_or_final),
		cmocka_unit_test(an_answer_without_a_node_is_no_registration),
		cmocka_unit_test(heartbeats_go_on),
		cmocka_unit_test(a_timed_out_heartbeat_has_waited),
		cmocka_unit_test(a_forgotten_node_registers_again),
		cmocka_unit_test(a_node_forgotten_again_and_again_backs_off),
		cmocka_unit_test(an_outage_is_told_every_ten_seconds),
		cmocka_unit_test(a_node_gives_up_registering),
		cmocka_unit_test(a_node_stops_with_delete_node),
		cmocka_unit_test(a_node_stops_before_its_start_and_between_tries),
		cmocka_unit_test(a_node_stops_with_create_node_out),
		cmocka_unit_test(a_message_that_comes_while_stopping_is_answered),
		cmocka_unit_test(a_reply_does_not_hold_up_the_stop),
		cmocka_unit_test(a_call_without_memory_is_tried_again),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
