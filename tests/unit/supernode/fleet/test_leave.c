#include "rig.h"

static void test_leaves(void **state)
{
	for (int operators = 0; operators < 2; operators++) {
		struct rig *rig = rig_begin(rig_lacks_c, operators ? rig_key() : NULL, NULL);

		rig_answer_node(rig, RIG_NODE_ID);
		if (!operators)
			rig_answer_node(rig, RIG_NODE_ID);
		fleet_stop(rig->fleet, rig_stopped, rig);
		rig_pass(rig, 0);
		assert_int_equal(rig_sent(rig, "DeactivateNode")->timeout_ms, 2000);
		assert_null(rig_sent(rig, "UnregisterNode"));
		rig_fail(rig, "DeactivateNode", OUTCOME_OK);
		assert_int_equal(rig->stopped, operators);
		if (!operators)
			rig_fail(rig, "UnregisterNode", OUTCOME_OK);
		assert_int_equal(rig->stopped, 1);
		assert_int_equal(rig_warnings(rig), 0);
		rig_free(rig);
	}
}

static void test_leaves_one_that_does_not_listen(void **state)
{
	for (int answers = 0; answers < 2; answers++) {
		struct rig *rig = rig_begin(rig_lacks_c, NULL, NULL);

		rig_answer_node(rig, RIG_NODE_ID);
		rig_answer_node(rig, RIG_NODE_ID);
		fleet_stop(rig->fleet, rig_stopped, rig);
		rig_pass(rig, 0);
		rig_fail(rig, "DeactivateNode",
			answers ? OUTCOME_FAILED_PRECONDITION : OUTCOME_UNAVAILABLE);
		assert_int_equal(rig->stopped, !answers);
		if (answers)
			rig_fail(rig, "UnregisterNode", OUTCOME_DEADLINE_EXCEEDED);
		assert_int_equal(rig->stopped, 1);
		rig_free(rig);
	}
}

/* At once, whatever it is doing: no call follows. */
static void test_is_abandoned(void **state)
{
	for (int answers = 0; answers < 4; answers++) {
		struct rig *rig = rig_begin(rig_lacks_c, NULL, NULL);
		unsigned sent;

		for (int i = 0; i < answers && i < 2; i++)
			rig_answer_node(rig, RIG_NODE_ID);
		if (answers == 3) {
			fleet_stop(rig->fleet, rig_stopped, rig);
			rig_pass(rig, 0);
			assert_non_null(rig_sent(rig, "DeactivateNode"));
		}
		sent = rig->sent;
		fleet_abandon(rig->fleet, rig_stopped, rig);
		assert_int_equal(rig->stopped, 0);
		rig_answer_cancelled(rig);
		rig_pass(rig, 0);
		assert_int_equal(rig->stopped, 1);
		assert_int_equal(rig->sent, sent);
		rig_free(rig);
	}
}

/* Leaving takes back all that the steps so far have made. */
static void test_stops_half_way(void **state)
{
	struct rig *rig = rig_begin(rig_lacks_c, NULL, NULL);

	fleet_stop(rig->fleet, rig_stopped, rig);
	rig_answer_node(rig, RIG_NODE_ID);
	rig_pass(rig, 0);
	rig_fail(rig, "UnregisterNode", OUTCOME_OK);
	assert_int_equal(rig->stopped, 1);
	assert_int_equal(rig->sent, 2);
	rig_free(rig);

	rig = rig_begin(rig_lacks_c, NULL, NULL);
	rig_answer_node(rig, RIG_NODE_ID);
	fleet_stop(rig->fleet, rig_stopped, rig);
	rig_pass(rig, FLEET_CLOSE_PULL_MS);
	rig_answer_cancelled(rig);
	rig_pass(rig, 0);
	rig_fail(rig, "DeactivateNode", OUTCOME_FAILED_PRECONDITION);
	rig_fail(rig, "UnregisterNode", OUTCOME_OK);
	assert_int_equal(rig->stopped, 1);
	rig_free(rig);

	rig = rig_begin(rig_lacks_b, NULL, NULL);
	rig_answer_node(rig, RIG_NODE_ID);
	fleet_stop(rig->fleet, rig_stopped, rig);
	rig_answer_ping(rig, true);
	assert_int_equal(rig->registered, 0);
	rig_pass(rig, 0);
	rig_fail(rig, "DeleteNode", OUTCOME_OK);
	assert_int_equal(rig->stopped, 1);
	rig_free(rig);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_leaves),
		cmocka_unit_test(test_is_abandoned),
		cmocka_unit_test(test_leaves_one_that_does_not_listen),
		cmocka_unit_test(test_stops_half_way),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
