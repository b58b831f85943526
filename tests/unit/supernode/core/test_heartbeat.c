/*
 * Workers that come for messages in the form of objects say that they live: what happens when they
 * do not.
 */
#define OBJECTS_TTL_S 36000

#include "task_rig.h"

static void beat(struct rig *rig)
{
	struct message *message = node_message_of(rig->f.node, rig->token);

	assert_non_null(message);
	node_heartbeat(rig->f.node, rig->f.now, message);
}

static bool lives(const struct rig *rig)
{
	return node_message_of(rig->f.node, rig->token) != NULL;
}

/* The message is offered again, the old token is of no use. */
static void expect_offered_again(struct rig *rig)
{
	uint64_t old = rig->token;

	assert_false(lives(rig));
	assert_int_equal(claim(rig, rig->message), OUTCOME_OK);
	assert_int_not_equal(rig->token, old);
	assert_int_equal(pull_task(rig, old), OUTCOME_INVALID_ARGUMENT);
	assert_int_equal(pull_task(rig, rig->token), OUTCOME_OK);
}

static void test_claimed_and_never_pulled(void **state)
{
	struct rig rig;

	rig_open(&rig);
	offer(&rig);
	assert_int_equal(claim(&rig, rig.message), OUTCOME_OK);
	assert_int_equal(node_next_ms(rig.f.node), rig.f.now.ms + NODE_CLAIM_MS);
	later(&rig.f, NODE_CLAIM_MS - 1);
	assert_true(lives(&rig));
	later(&rig.f, 1);
	expect_offered_again(&rig);
	rig_done(&rig);
}

static void test_heartbeats_before_the_pull(void **state)
{
	struct rig rig;

	rig_open(&rig);
	offer(&rig);
	assert_int_equal(claim(&rig, rig.message), OUTCOME_OK);
	later(&rig.f, NODE_CLAIM_MS - 1);
	beat(&rig);
	later(&rig.f, NODE_HEARTBEAT_MS - 1);
	assert_true(lives(&rig));
	later(&rig.f, 1);
	expect_offered_again(&rig);
	/* The next worker's heartbeats are its own: it need not send any. */
	later(&rig.f, 10 * NODE_HEARTBEAT_MS);
	assert_true(lives(&rig));
	rig_done(&rig);
}

static void test_without_heartbeats_the_pull_is_all(void **state)
{
	struct rig rig;

	rig_open(&rig);
	work(&rig);
	later(&rig.f, 20 * NODE_HEARTBEAT_MS);
	assert_true(lives(&rig));
	rig_done(&rig);
}

static void test_the_last_heartbeat(void **state)
{
	struct rig rig;

	rig_open(&rig);
	work(&rig);
	for (int i = 0; i < 5; i++) {
		beat(&rig);
		later(&rig.f, NODE_HEARTBEAT_MS - 1);
		assert_true(lives(&rig));
	}
	later(&rig.f, 1);
	assert_false(lives(&rig));
	expect_error(&rig.f, 8, "the worker has not said for 60 s that it lives");
	rig_done(&rig);
}

/* A heartbeat before the pull counts after it, too. */
static void test_pulled_after_a_heartbeat(void **state)
{
	struct rig rig;

	rig_open(&rig);
	offer(&rig);
	assert_int_equal(claim(&rig, rig.message), OUTCOME_OK);
	beat(&rig);
	assert_int_equal(pull_task(&rig, rig.token), OUTCOME_OK);
	later(&rig.f, NODE_HEARTBEAT_MS);
	expect_error(&rig.f, 8, "the worker has not said for 60 s that it lives");
	rig_done(&rig);
}

/* An answered message is nobody's. */
static void test_answered(void **state)
{
	struct rig rig;

	rig_open(&rig);
	work(&rig);
	beat(&rig);
	assert_int_equal(begin_error(&rig), OUTCOME_OK);
	assert_int_equal(end(&rig, 1), OUTCOME_OK);
	later(&rig.f, 2 * NODE_HEARTBEAT_MS);
	expect(&rig.f, NODE_PUSH_REPLY);
	assert_int_equal(rig.f.action.reply->envelope.error_code, 2);
	rig_done(&rig);
}

/* The end of a worker that was started here is seen. */
static void test_started_here(void **state)
{
	struct rig rig;

	rig_open(&rig);
	fixture_done(&rig.f);
	fixture_new(&rig.f, 1, 0);
	offer(&rig);
	expect(&rig.f, NODE_START_WORKER);
	rig.token = rig.f.action.token;
	beat(&rig);
	assert_int_equal(pull_task(&rig, rig.token), OUTCOME_OK);
	beat(&rig);
	later(&rig.f, 10 * NODE_HEARTBEAT_MS);
	assert_true(lives(&rig));
	rig_done(&rig);
}

static void test_the_offer_of_a_run(void **state)
{
	struct rig rig;

	rig_open(&rig);
	assert_int_equal(node_offered_of_run(rig.f.node, 1), 0);
	offer(&rig);
	assert_int_equal(node_offered_of_run(rig.f.node, 1), rig.message);
	assert_int_equal(node_offered_of_run(rig.f.node, 2), 0);
	assert_int_equal(claim(&rig, rig.message), OUTCOME_OK);
	assert_int_equal(node_offered_of_run(rig.f.node, 1), 0);
	rig_done(&rig);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_claimed_and_never_pulled),
		cmocka_unit_test(test_heartbeats_before_the_pull),
		cmocka_unit_test(test_without_heartbeats_the_pull_is_all),
		cmocka_unit_test(test_the_last_heartbeat),
		cmocka_unit_test(test_pulled_after_a_heartbeat),
		cmocka_unit_test(test_answered),
		cmocka_unit_test(test_started_here),
		cmocka_unit_test(test_the_offer_of_a_run),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
