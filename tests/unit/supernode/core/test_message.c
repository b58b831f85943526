/*
 * A message's life and its one answer, whatever races for it.
 */
#include "fixture.h"

static void test_ordinary_life(void **state)
{
	struct fixture f;
	uint64_t message, token;
	char text[128];

	fixture_new(&f, 1, 0);
	assert_true(node_wants_message(f.node));
	start_message(&f, 100);
	assert_false(node_wants_message(f.node));
	message = f.action.message;
	token = f.action.token;
	node_describe(f.node, message, text, sizeof text);
	assert_string_equal(text, "run_id=1 message_id=id-1 type=train group=3");
	assert_false(node_expects_outputs(f.node));
	assert_int_equal(pull(&f, token), OUTCOME_OK);
	assert_int_equal(pull(&f, token), OUTCOME_OK);
	assert_true(node_expects_outputs(f.node));
	assert_int_equal(push(&f, token, "reply", 12), OUTCOME_OK);
	assert_int_equal(push(&f, token, "again", 12), OUTCOME_FAILED_PRECONDITION);
	expect(&f, NODE_PUSH_REPLY);
	expect_nothing(&f);
	assert_true(f.action.kind == NODE_PUSH_REPLY);
	assert_int_equal(f.action.message, message);
	assert_true(f.action.reply->envelope.has_content);
	assert_int_equal(f.action.reply->envelope.content.bytes, 5);
	assert_int_equal(f.action.reply->envelope.metadata.run_id, 1);
	assert_int_equal(f.action.reply->envelope.metadata.src_node_id, NODE_ID);
	assert_int_equal(f.action.reply->envelope.metadata.dst_node_id, 1);
	assert_string_equal(f.action.reply->envelope.metadata.reply_to_message_id, "id-1");
	assert_string_equal(f.action.reply->envelope.metadata.message_id, "");
	assert_string_equal(f.action.reply->envelope.metadata.message_type, "train");
	assert_string_equal(f.action.reply->envelope.metadata.group_id, "3");
	assert_true(f.action.reply->envelope.metadata.ttl == 12);
	node_reply_pushed(f.node, f.now, message, NODE_PUSHED, NULL);
	expect(&f, NODE_FINISHED);
	assert_int_equal(f.action.code, 0);
	expect_nothing(&f);
	/* The next one may come while the processes of this one end; it has to wait for the slot.
	 */
	assert_true(node_wants_message(f.node));
	give_message(&f, 1, 12);
	expect_nothing(&f);
	assert_false(node_wants_message(f.node));
	node_worker_ended(f.node, f.now, message, 8, "exited with status 0");
	node_worker_gone(f.node, f.now, message);
	expect(&f, NODE_START_WORKER);
	assert_true(f.action.message != message);
	message = f.action.message;
	node_worker_ended(f.node, f.now, message, 8, "exited with status 3");
	expect_error(&f, 8, "exited with status 3");
	node_worker_gone(f.node, f.now, message);
	expect_nothing(&f);
	assert_int_equal(node_count(f.node).messages, 0);
	assert_int_equal(node_count(f.node).tokens, 0);
	assert_int_equal(node_count(f.node).contexts, 1);
	assert_int_equal(pull(&f, token), OUTCOME_FAILED_PRECONDITION);
	fixture_done(&f);
}

/* The worker's ttl counts only when it is a number within what is left (90 s of 100). */
static void test_ttl_of_a_reply(void **state)
{
	static const struct {
		double said, want;
	} rows[] = {{12, 12}, {90, 90}, {91, 90}, {0, 90}, {-4, 90}, {NAN, 90}, {INFINITY, 90}};

	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct fixture f;

		fixture_new(&f, 1, 0);
		start_message(&f, 100);
		assert_int_equal(pull(&f, f.action.token ? f.action.token : f.token), OUTCOME_OK);
		assert_int_equal(push(&f, f.token, "reply", rows[i].said), OUTCOME_OK);
		expect(&f, NODE_PUSH_REPLY);
		assert_true(f.action.reply->envelope.metadata.ttl == rows[i].want);
		fixture_done(&f);
	}
}

static void test_worker_dies(void **state)
{
	struct fixture f;
	uint64_t token, message;

	fixture_new(&f, 1, 0);
	start_message(&f, 100);
	token = f.action.token;
	message = f.action.message;
	pull(&f, token);
	node_worker_ended(f.node, f.now, message, 8, "killed by signal 9 \xff");
	assert_false(node_message_live(f.node, message));
	/* Outputs that the worker had sent before come late. */
	assert_int_equal(push(&f, token, "late", 5), OUTCOME_FAILED_PRECONDITION);
	node_give_up(f.node, f.now, "stopped");
	expect_error(&f, 8, "killed by signal 9 ?");
	expect_nothing(&f);
	node_worker_gone(f.node, f.now, message);
	expect_nothing(&f);
	assert_int_equal(node_count(f.node).messages, 0);
	fixture_done(&f);
}

static void test_deadlines(void **state)
{
	struct fixture f;

	/* Waiting for the SuperLink. */
	fixture_new(&f, 1, 0);
	give_message(&f, 1, 30);
	expect(&f, NODE_FETCH_RUN);
	/* 10 of its 30 s have passed, and a second is for the reply, which must have a ttl. */
	assert_int_equal(node_next_ms(f.node), f.now.ms + 19000);
	later(&f, 18999);
	expect_nothing(&f);
	later(&f, 1);
	expect_error(&f, 8, "its ttl of 30 s");
	fixture_done(&f);
	/* The first pull. */
	fixture_new(&f, 1, 0);
	start_message(&f, 1000);
	later(&f, NODE_WORKER_READY_MS);
	expect(&f, NODE_STOP_WORKER);
	expect_error(&f, 8, "within 120 s of its start");
	fixture_done(&f);
	/* The reply. */
	fixture_new(&f, 1, 20000);
	start_message(&f, 1000);
	pull(&f, f.token);
	later(&f, 20000);
	expect(&f, NODE_STOP_WORKER);
	expect_error(&f, 8, "--worker-timeout (20 s)");
	fixture_done(&f);
	/* A worker that stays after its reply holds the slot. */
	fixture_new(&f, 1, 0);
	start_message(&f, 1000);
	pull(&f, f.token);
	push(&f, f.token, "reply", 5);
	expect(&f, NODE_PUSH_REPLY);
	later(&f, NODE_WORKER_LEAVE_MS);
	expect(&f, NODE_STOP_WORKER);
	later(&f, NODE_WORKER_LEAVE_MS);
	expect_nothing(&f);
	fixture_done(&f);
}

static void test_odd_ttls(void **state)
{
	static const double over[] = {0, -1, -INFINITY};
	static const double unbounded[] = {NAN, INFINITY, 1e300};

	for (size_t i = 0; i < ARRAY_LEN(over); i++) {
		struct fixture f;

		fixture_new(&f, 1, 0);
		give_message(&f, 1, over[i]);
		expect_error(&f, 8, "ttl");
		fixture_done(&f);
	}
	for (size_t i = 0; i < ARRAY_LEN(unbounded); i++) {
		struct fixture f;

		fixture_new(&f, 1, 0);
		give_message(&f, 1, unbounded[i]);
		expect(&f, NODE_FETCH_RUN);
		assert_int_equal(node_next_ms(f.node), CLOCK_NEVER);
		fixture_done(&f);
	}
}

static void test_what_is_not_taken(void **state)
{
	struct held_message given = {0};
	struct fixture f;

	fixture_new(&f, 1, 0);
	envelope_make(&f, 1, 30, &given.envelope);
	slices_done(&given.envelope.content);
	given.envelope.has_content = false;
	assert_int_equal(node_message(f.node, f.now, &given, NULL, NULL), 0);
	expect_error(&f, 8, "no content");
	envelope_make(&f, 1, 30, &given.envelope);
	given.envelope.metadata.dst_node_id = 5;
	assert_int_equal(node_message(f.node, f.now, &given, NULL, NULL), 0);
	expect_error(&f, 8, "for node 5, this is node 7777");
	f.budget.limit_bytes = 6;
	give_message(&f, 1, 30);
	expect_error(
		&f, 8, "content of 7 bytes do not fit into the SuperNode's memory budget of 6");
	node_give_up(f.node, f.now, "the SuperNode was stopped");
	give_message(&f, 1, 30);
	expect_error(&f, 8, "the SuperNode was stopped");
	expect_nothing(&f);
	assert_int_equal(node_count(f.node).messages, 0);
	assert_int_equal(node_count(f.node).runs, 0);
	fixture_done(&f);
}

static void test_too_large(void **state)
{
	struct fixture f;
	uint64_t message;

	fixture_new(&f, 1, 0);
	start_message(&f, 100);
	message = f.action.message;
	pull(&f, f.token);
	push(&f, f.token, "reply", 5);
	expect(&f, NODE_PUSH_REPLY);
	node_reply_pushed(f.node, f.now, message, NODE_PUSH_REFUSED, "5 bytes, 4 allowed");
	node_worker_ended(f.node, f.now, message, 8, "late");
	expect(&f, NODE_PUSH_REPLY);
	assert_true(f.action.reply->envelope.has_error);
	assert_non_null(strstr(f.action.reply->envelope.error_reason, "5 bytes, 4 allowed"));
	node_reply_pushed(f.node, f.now, message, NODE_PUSH_REFUSED, "again");
	expect_dropped(&f, "again");
	node_worker_gone(f.node, f.now, message);
	expect_nothing(&f);
	assert_int_equal(node_count(f.node).messages, 0);
	fixture_done(&f);
}

static void test_lost(void **state)
{
	struct fixture f;
	uint64_t message, token;

	fixture_new(&f, 2, 0);
	start_message(&f, 100);
	message = f.action.message;
	token = f.action.token;
	pull(&f, token);
	push(&f, token, "reply", 5);
	expect(&f, NODE_PUSH_REPLY);
	give_message(&f, 1, 100);
	expect(&f, NODE_START_WORKER);
	give_message(&f, 2, 100);
	expect(&f, NODE_FETCH_RUN);
	node_lost(f.node, f.now);
	assert_false(node_wants_message(f.node));
	assert_int_equal(node_count(f.node).runs, 0);
	assert_int_equal(node_count(f.node).fabs, 0);
	assert_int_equal(node_count(f.node).contexts, 0);
	expect(&f, NODE_STOP_WORKER);
	expect(&f, NODE_STOP_WORKER);
	expect_dropped(&f, "forgotten");
	expect_dropped(&f, "forgotten");
	expect_nothing(&f);
	/* The reply is still with its owner. */
	node_reply_pushed(f.node, f.now, message, NODE_PUSH_FAILED, "cancelled");
	expect_dropped(&f, "forgotten");
	node_worker_gone(f.node, f.now, message);
	node_worker_gone(f.node, f.now, message + 1);
	expect_nothing(&f);
	assert_int_equal(node_count(f.node).messages, 0);
	assert_int_equal(f.budget.used_bytes, 0);
	node_registered(f.node, f.now, NODE_ID + 2);
	assert_true(node_wants_message(f.node));
	/* Not for the node that it is now. */
	give_message(&f, 1, 100);
	expect_error(&f, 8, "for node 7777");
	fixture_done(&f);
}

static void test_slots(void **state)
{
	struct fixture f;
	uint64_t first;

	fixture_new(&f, 1, 0);
	start_message(&f, 100);
	first = f.action.message;
	give_message(&f, 1, 100);
	expect_nothing(&f);
	node_worker_ended(f.node, f.now, first, 8, "died");
	expect_error(&f, 8, "died");
	expect_nothing(&f);
	node_worker_gone(f.node, f.now, first);
	expect(&f, NODE_START_WORKER);
	assert_int_equal(f.action.message, first + 1);
	/* Given up before its worker was heard of: it is never started. */
	node_worker_ended(f.node, f.now, first + 1, 8, "died");
	node_worker_gone(f.node, f.now, first + 1);
	give_message(&f, 1, 100);
	node_give_up(f.node, f.now, "stopped");
	expect(&f, NODE_PUSH_REPLY);
	expect(&f, NODE_PUSH_REPLY);
	assert_string_equal(f.action.reply->envelope.error_reason, "stopped");
	expect_nothing(&f);
	fixture_done(&f);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_ordinary_life),
		cmocka_unit_test(test_ttl_of_a_reply),
		cmocka_unit_test(test_worker_dies),
		cmocka_unit_test(test_deadlines),
		cmocka_unit_test(test_odd_ttls),
		cmocka_unit_test(test_what_is_not_taken),
		cmocka_unit_test(test_too_large),
		cmocka_unit_test(test_lost),
		cmocka_unit_test(test_slots),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
