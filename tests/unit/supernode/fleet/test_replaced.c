/* A SuperLink that is replaced by another one, or by something else. */
#include "rig.h"

static void test_a_node_that_was_up_does_not_give_up(void **state)
{
	for (int how = 0; how < 2; how++) {
		struct rig *rig = rig_begin(rig_lacks_c, NULL, NULL);

		rig_answer_node(rig, RIG_NODE_ID);
		rig_answer_node(rig, RIG_NODE_ID);
		rig_pass(rig, JOIN_STABLE_MS);
		rig_answer_ping(rig, false);
		assert_int_equal(rig->lost, 1);
		if (how == 0)
			rig->found = PROBE_WRONG;
		else
			rig->lacks = rig_lacks_all;
		rig_pass(rig, 30000);
		assert_int_equal(rig->over, 0);
		assert_in_range(rig->probes, 4, 10);
		rig->found = PROBE_GRPC;
		rig->lacks = rig_lacks_c;
		rig_pass(rig, 20000);
		rig_answer_node(rig, RIG_NODE_ID + 1);
		rig_answer_node(rig, RIG_NODE_ID + 1);
		assert_int_equal(rig->registered, 2);
		assert_int_equal(rig_lines(rig, "answers now"), 1);
		rig_free(rig);
	}
}

/* It is taken again when the SuperLink has its keys back. */
static void test_a_superlink_that_has_lost_its_keys(void **state)
{
	struct rig *rig = rig_begin(rig_lacks_c, rig_key(), NULL);

	rig_answer_node(rig, RIG_NODE_ID);
	assert_int_equal(rig->registered, 1);
	rig_pass(rig, JOIN_STABLE_MS);
	rig_fail(rig, "SendNodeHeartbeat", OUTCOME_UNAUTHENTICATED);
	for (int minute = 0; minute < 10; minute++) {
		rig_pass(rig, 70000);
		assert_non_null(rig_sent(rig, "ActivateNode"));
		rig_fail(rig, "ActivateNode", OUTCOME_UNAUTHENTICATED);
		rig_pass(rig, 0);
		assert_null(rig_sent(rig, "ActivateNode"));
	}
	assert_int_equal(rig->over, 0);
	assert_int_equal(rig_lines(rig, "trying again each minute"), 1);
	rig_pass(rig, 70000);
	rig_answer_node(rig, RIG_NODE_ID);
	assert_int_equal(rig->registered, 2);
	rig_free(rig);
}

/* The numbers in a sentence may differ from try to try: it is the same one all the same. */
static void test_what_flickers_is_said_once_an_hour(void **state)
{
	struct rig *rig = rig_begin(rig_lacks_c, rig_key(), NULL);

	rig_answer_node(rig, RIG_NODE_ID);
	rig_pass(rig, JOIN_STABLE_MS);
	rig_fail(rig, "SendNodeHeartbeat", OUTCOME_UNAUTHENTICATED);
	for (int i = 0; i < 65; i++) {
		rig_pass(rig, 70000);
		rig->date_s = clock_wall_s() + 400 + i % 2;
		rig_fail(rig, "ActivateNode", OUTCOME_UNAUTHENTICATED);
		rig_pass(rig, 0);
	}
	assert_int_equal(rig_lines(rig, "this machine's clock is 40"), 2);
	/* Another sentence is told at once. */
	rig->date_s = 0;
	rig_pass(rig, 70000);
	rig_fail(rig, "ActivateNode", OUTCOME_UNAUTHENTICATED);
	assert_int_equal(rig_lines(rig, "trying again each minute"), 3);
	rig_free(rig);
}

static void test_replaced_by_one_that_speaks_http(void **state)
{
	struct rig *rig = rig_begin(rig_lacks_a, NULL, NULL);

	rig_answer_node(rig, RIG_NODE_ID);
	rig_pass(rig, 0);
	rig_answer_ping(rig, true);
	assert_int_equal(fleet_get_run(rig->fleet, 7, rig_run_done, rig), 0);
	rig_pass(rig, JOIN_STABLE_MS);
	assert_non_null(rig_sent(rig, "GetRun"));
	rig_pass(rig, 10000);
	/* The same is still there, or nobody yet. */
	rig_fail(rig, "Ping", OUTCOME_UNAVAILABLE);
	assert_int_equal(rig->probes, 2);
	rig->found = PROBE_ABSENT;
	rig_pass(rig, 1000);
	rig_fail(rig, "Ping", OUTCOME_UNAVAILABLE);
	assert_int_equal(rig->probes, 3);
	assert_int_equal(rig->lost, 0);
	/* Another one. */
	rig->found = PROBE_HTTP;
	rig_pass(rig, 2000);
	rig->lacks = rig_lacks_c;
	rig_fail(rig, "Ping", OUTCOME_UNAVAILABLE);
	assert_int_equal(rig->probes, 4);
	/* It is spoken to at once, but does not know the node: its heartbeat is answered so. */
	assert_int_equal(rig->opened, 2);
	assert_int_equal(rig->lost, 1);
	assert_int_equal(rig->ends, 0);
	/* The old transport is not let go of before its calls have ended. */
	assert_int_equal(rig->freed, 0);
	rig_answer_cancelled(rig);
	assert_int_equal(rig->outcome, OUTCOME_CANCELLED);
	rig_pass(rig, 500);
	assert_int_equal(rig->freed, 1);
	rig_answer_node(rig, RIG_NODE_ID + 1);
	rig_answer_node(rig, RIG_NODE_ID + 1);
	assert_int_equal(rig->registered, 2);
	assert_int_equal(
		rig_lines(rig, "has been replaced by another one, which may speak HTTP"), 1);
	rig_free(rig);
}

/* It has kept its data. */
static void test_replaced_by_one_that_knows_the_node(void **state)
{
	struct rig *rig = rig_begin(rig_lacks_c, NULL, NULL);

	rig_answer_node(rig, RIG_NODE_ID);
	rig_answer_node(rig, RIG_NODE_ID);
	rig_pass(rig, 0);
	rig_answer_ping(rig, true);
	assert_int_equal(fleet_get_run(rig->fleet, 7, rig_run_done, rig), 0);
	rig_pass(rig, 25000);
	rig->found = PROBE_HTTP;
	rig_fail(rig, "SendNodeHeartbeat", OUTCOME_UNAVAILABLE);
	rig_answer_cancelled(rig);
	rig_pass(rig, 0);
	rig_answer_ping(rig, true);
	assert_int_equal(rig->lost, 0);
	assert_int_equal(rig->registered, 1);
	assert_int_equal(rig->freed, 1);
	rig_pass(rig, 20000);
	assert_non_null(rig_sent(rig, "GetRun"));
	rig_free(rig);
}

static void test_replaced_by_one_of_another_release(void **state)
{
	struct rig *rig = rig_begin(rig_lacks_c, NULL, NULL);

	rig_answer_node(rig, RIG_NODE_ID);
	rig_answer_node(rig, RIG_NODE_ID);
	rig_pass(rig, JOIN_STABLE_MS);
	rig->lacks = rig_lacks_a;
	rig_pass(rig, 0);
	assert_int_equal(rig->lost, 1);
	rig_pass(rig, 500);
	rig_answer_node(rig, RIG_NODE_ID + 1);
	assert_int_equal(rig->registered, 2);
	assert_string_equal(fleet_speaks(rig->fleet), "Flower-1.15-to-1.18");
	rig_free(rig);
}

/* A node of the last try is none of the next one's. */
static void test_replaced_half_way(void **state)
{
	struct rig *rig = rig_begin(rig_lacks_c, NULL, NULL);

	rig_answer_node(rig, RIG_NODE_ID);
	rig_fail(rig, "ActivateNode", OUTCOME_UNAVAILABLE);
	rig->lacks = rig_lacks_b;
	rig_pass(rig, 500);
	assert_non_null(rig_sent(rig, "CreateNode"));
	rig_answer_node(rig, RIG_NODE_ID + 1);
	rig_answer_ping(rig, true);
	assert_int_equal(rig->node_id, RIG_NODE_ID + 1);
	rig_free(rig);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_a_node_that_was_up_does_not_give_up),
		cmocka_unit_test(test_a_superlink_that_has_lost_its_keys),
		cmocka_unit_test(test_what_flickers_is_said_once_an_hour),
		cmocka_unit_test(test_replaced_by_one_that_speaks_http),
		cmocka_unit_test(test_replaced_by_one_that_knows_the_node),
		cmocka_unit_test(test_replaced_by_one_of_another_release),
		cmocka_unit_test(test_replaced_half_way),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
