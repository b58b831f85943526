/*
 * Process isolation: messages are offered, workers come for them, and go.
 */
#include "fixture.h"

#define WAIT_MS 5000

static void fixture_offering(struct fixture *f, int64_t offer_ms)
{
	fixture_open(
		f, &(struct node_options){.slots = 1, .workers_come = true, .offer_ms = offer_ms});
}

/* The number of the message that is offered since since_ms. */
static uint64_t offered(struct fixture *f, int64_t since_ms)
{
	int64_t since = -1;
	uint64_t message = node_offered(f->node, MESSAGE_INLINE, &since);

	assert_int_not_equal(message, 0);
	assert_int_equal(since, since_ms);
	return message;
}

static void offered_none(struct fixture *f)
{
	int64_t since = -1;

	assert_int_equal(node_offered(f->node, MESSAGE_INLINE, &since), 0);
	assert_int_equal(since, -1);
}

/* A message of run 1 up to its offer; its number. */
static uint64_t offer_message(struct fixture *f, double ttl)
{
	come_message(f, ttl);
	return offered(f, f->now.ms);
}

static uint64_t get_token(struct fixture *f)
{
	const char *details = NULL;
	uint64_t token = 0;

	assert_int_equal(node_get_token(f->node, f->now, &token, &details), OUTCOME_OK);
	assert_int_not_equal(token, 0);
	return token;
}

static void get_no_token(struct fixture *f, const char *text)
{
	const char *details = NULL;
	uint64_t token = 4;

	assert_int_equal(
		node_get_token(f->node, f->now, &token, &details), OUTCOME_FAILED_PRECONDITION);
	assert_int_equal(token, 4);
	assert_non_null(strstr(details, text));
}

static void test_refusals_say_why(void **state)
{
	struct fixture f;

	fixture_offering(&f, 0);
	get_no_token(&f, "no message");
	give_message(&f, 1, 100);
	expect(&f, NODE_FETCH_RUN);
	/* It is not offered before everything is there. */
	get_no_token(&f, "no message");
	give_run(&f, 1, HASH, NULL);
	expect(&f, NODE_FETCH_FAB);
	get_no_token(&f, "no message");
	give_fab(&f, 1, 100);
	get_token(&f);
	get_no_token(&f, "already");
	assert_int_equal(pull(&f, f.token), OUTCOME_OK);
	get_no_token(&f, "already");
	assert_int_equal(push(&f, f.token, "reply", 5), OUTCOME_OK);
	get_no_token(&f, "no message");
	fixture_done(&f);
}

/* ---- an ordinary life ---- */

static void test_ordinary_life(void **state)
{
	struct fixture f;
	uint64_t message, token, same = 0;

	fixture_offering(&f, 0);
	message = offer_message(&f, 100);
	assert_false(node_wants_message(f.node));
	/* Nobody has been shown the token: it is of no use, even if it is guessed. */
	assert_false(token_live(f.node, f.token, &same));
	assert_false(node_message_live(f.node, message));
	assert_int_equal(pull(&f, f.token), OUTCOME_FAILED_PRECONDITION);
	offered(&f, f.now.ms);

	token = get_token(&f);
	offered_none(&f);
	assert_true(node_message_live(f.node, message));
	assert_true(token_live(f.node, token, &same));
	assert_int_equal(same, message);
	assert_false(node_expects_outputs(f.node));
	assert_int_equal(pull(&f, token), OUTCOME_OK);
	assert_int_equal(pull(&f, token), OUTCOME_OK);
	assert_true(node_expects_outputs(f.node));
	assert_int_equal(push(&f, token, "reply", 5), OUTCOME_OK);
	assert_false(node_message_live(f.node, message));
	expect(&f, NODE_PUSH_REPLY);
	assert_int_equal(f.action.message, message);
	assert_true(f.action.reply->envelope.has_content);
	expect_nothing(&f);
	/* No end of a worker is waited for. */
	assert_int_equal(node_next_ms(f.node), CLOCK_NEVER);
	node_reply_pushed(f.node, f.now, message, NODE_PUSHED, NULL);
	expect(&f, NODE_FINISHED);
	assert_int_equal(f.action.code, 0);
	expect_nothing(&f);
	assert_int_equal(node_count(f.node).messages, 0);
	assert_int_equal(node_count(f.node).tokens, 0);
	assert_true(node_wants_message(f.node));
	fixture_done(&f);
}

static void test_one_after_the_other(void **state)
{
	struct fixture f;
	uint64_t first, token;

	fixture_offering(&f, 0);
	first = offer_message(&f, 100);
	give_message(&f, 1, 100);
	expect_nothing(&f);
	assert_int_equal(offered(&f, f.now.ms), first);
	token = get_token(&f);
	offered_none(&f);
	pull(&f, token);
	push(&f, token, "reply", 5);
	expect(&f, NODE_PUSH_REPLY);
	offered_none(&f);
	f.now.ms += 17;
	node_reply_pushed(f.node, f.now, first, NODE_PUSHED, NULL);
	assert_int_equal(offered(&f, f.now.ms), first + 1);
	assert_int_not_equal(get_token(&f), token);
	fixture_done(&f);
}

/* With two slots both are offered, the older one first. */
static void test_two_offers(void **state)
{
	struct fixture f;
	uint64_t first, message = 0;

	fixture_open(&f,
		&(struct node_options){.slots = 2, .parallel_in_run = true, .workers_come = true});
	first = offer_message(&f, 100);
	give_message(&f, 1, 100);
	assert_int_equal(offered(&f, f.now.ms), first);
	assert_true(token_live(f.node, get_token(&f), &message));
	assert_int_equal(message, first);
	assert_int_equal(offered(&f, f.now.ms), first + 1);
	assert_true(token_live(f.node, get_token(&f), &message));
	assert_int_equal(message, first + 1);
	get_no_token(&f, "already");
	fixture_done(&f);
}

/* ---- workers that go ---- */

static void test_lost_before_the_pull(void **state)
{
	struct fixture f;
	uint64_t message, first, second;

	fixture_offering(&f, 0);
	message = offer_message(&f, 100);
	first = get_token(&f);
	f.now.ms += 300;
	node_worker_lost(f.node, f.now, message, "it has gone");
	expect_nothing(&f);
	assert_int_equal(offered(&f, f.now.ms), message);
	assert_false(node_message_live(f.node, message));
	assert_int_equal(pull(&f, first), OUTCOME_FAILED_PRECONDITION);
	second = get_token(&f);
	assert_int_not_equal(second, first);
	/* The first worker has lost nothing, and can take nothing any more. */
	assert_int_equal(pull(&f, first), OUTCOME_INVALID_ARGUMENT);
	assert_int_equal(pull(&f, second), OUTCOME_OK);
	assert_int_equal(push(&f, first, "reply", 5), OUTCOME_INVALID_ARGUMENT);
	assert_int_equal(push(&f, second, "reply", 5), OUTCOME_OK);
	expect(&f, NODE_PUSH_REPLY);
	assert_true(f.action.reply->envelope.has_content);
	fixture_done(&f);
}

static void test_lost_after_the_pull(void **state)
{
	struct fixture f;
	uint64_t message, token;

	fixture_offering(&f, 0);
	message = offer_message(&f, 100);
	give_message(&f, 1, 100);
	token = get_token(&f);
	pull(&f, token);
	node_worker_lost(f.node, f.now, message, "it has gone \xff");
	assert_false(node_message_live(f.node, message));
	offered_none(&f);
	assert_int_equal(push(&f, token, "late", 5), OUTCOME_FAILED_PRECONDITION);
	/* There is no worker of ours to be stopped; the next one may come as soon as that is
	 * settled. */
	expect_error(&f, 8, "it has gone ?");
	expect_nothing(&f);
	assert_int_equal(offered(&f, f.now.ms), message + 1);
	assert_int_equal(node_count(f.node).messages, 1);
	fixture_done(&f);
}

/* Nothing happens to a message that no worker has. */
static void test_lost_by_nobody(void **state)
{
	struct fixture f;
	uint64_t message, token;

	fixture_offering(&f, 0);
	message = offer_message(&f, 100);
	token = f.token;
	node_worker_lost(f.node, f.now, message, "gone");
	node_worker_lost(f.node, f.now, message + 1, "gone");
	node_worker_lost(f.node, f.now, 0, "gone");
	expect_nothing(&f);
	assert_int_equal(get_token(&f), token);
	pull(&f, token);
	push(&f, token, "reply", 5);
	node_worker_lost(f.node, f.now, message, "gone");
	expect(&f, NODE_PUSH_REPLY);
	assert_true(f.action.reply->envelope.has_content);
	node_reply_pushed(f.node, f.now, message, NODE_PUSHED, NULL);
	node_worker_lost(f.node, f.now, message, "gone");
	expect(&f, NODE_FINISHED);
	assert_int_equal(f.action.code, 0);
	fixture_done(&f);
}

/* ---- time ---- */

static void test_nobody_comes(void **state)
{
	struct fixture f;
	uint64_t message;

	fixture_offering(&f, WAIT_MS);
	message = offer_message(&f, 100);
	assert_int_equal(node_next_ms(f.node), f.now.ms + WAIT_MS);
	later(&f, WAIT_MS - 1);
	offered(&f, f.now.ms - WAIT_MS + 1);
	expect_nothing(&f);
	/* A worker that asks in time gets the message, and the wait is over. */
	get_token(&f);
	later(&f, 1);
	expect_nothing(&f);
	/* A new offer waits as long as the first. */
	node_worker_lost(f.node, f.now, message, "gone");
	assert_int_equal(node_next_ms(f.node), f.now.ms + WAIT_MS);
	later(&f, WAIT_MS);
	offered_none(&f);
	get_no_token(&f, "no message");
	assert_int_equal(pull(&f, f.token), OUTCOME_FAILED_PRECONDITION);
	assert_int_equal(node_count(f.node).messages, 1);
	assert_int_equal(node_count(f.node).tokens, 0);
	expect_error(&f, 8, "no worker has come for the message within 5 s (--clientapp-wait)");
	expect_nothing(&f);
	assert_int_equal(node_count(f.node).messages, 0);
	fixture_done(&f);
}

/* Without --clientapp-wait: as long as the ttl lets it. */
static void test_nobody_comes_within_the_ttl(void **state)
{
	struct fixture f;

	fixture_offering(&f, 0);
	offer_message(&f, 30);
	assert_int_equal(node_next_ms(f.node), f.now.ms + 19000);
	later(&f, 18999);
	offered(&f, f.now.ms - 18999);
	expect_nothing(&f);
	later(&f, 1);
	offered_none(&f);
	get_no_token(&f, "no message");
	expect_error(&f, 8, "its ttl of 30 s, waiting for a worker to come for it");
	expect_nothing(&f);
	assert_int_equal(node_count(f.node).messages, 0);
	fixture_done(&f);
}

/* A worker that asks, and then does not pull, has its token taken back. */
static void test_no_first_pull(void **state)
{
	struct fixture f;
	uint64_t message, first, second;

	fixture_offering(&f, 0);
	message = offer_message(&f, 1000);
	f.now.ms += 500;
	first = get_token(&f);
	assert_int_equal(node_next_ms(f.node), f.now.ms + NODE_WORKER_READY_MS);
	later(&f, NODE_WORKER_READY_MS - 1);
	offered_none(&f);
	later(&f, 1);
	assert_int_equal(offered(&f, f.now.ms), message);
	expect_nothing(&f);
	assert_int_equal(pull(&f, first), OUTCOME_FAILED_PRECONDITION);
	second = get_token(&f);
	assert_int_not_equal(second, first);
	assert_int_equal(pull(&f, first), OUTCOME_INVALID_ARGUMENT);
	assert_int_equal(pull(&f, second), OUTCOME_OK);
	/* From now on it may take its time. */
	later(&f, 2 * NODE_WORKER_READY_MS);
	offered_none(&f);
	expect_nothing(&f);
	assert_true(node_message_live(f.node, message));
	fixture_done(&f);
}

static void test_worker_timeout(void **state)
{
	struct fixture f;
	uint64_t message;

	fixture_open(&f, &(struct node_options){
				 .slots = 1, .workers_come = true, .worker_timeout_ms = 20000});
	message = offer_message(&f, 1000);
	later(&f, 30000);
	get_token(&f);
	later(&f, 30000);
	pull(&f, f.token);
	later(&f, 19999);
	expect_nothing(&f);
	later(&f, 1);
	assert_false(node_message_live(f.node, message));
	expect_error(&f, 8, "--worker-timeout (20 s)");
	expect_nothing(&f);
	assert_int_equal(node_count(f.node).messages, 0);
	fixture_done(&f);
}

/* ---- a message and its reply are never held both ---- */

static void test_outputs_coming(void **state)
{
	struct fixture f;
	uint64_t before;

	fixture_offering(&f, 0);
	offer_message(&f, 100);
	get_token(&f);
	before = f.budget.used_bytes;
	/* Not before the pull, and not of another message. */
	outputs_coming(f.node, f.token);
	assert_int_equal(pull(&f, f.token), OUTCOME_OK);
	outputs_coming(f.node, f.token + 1);
	assert_int_equal(f.budget.used_bytes, before);
	assert_int_equal(pull(&f, f.token), OUTCOME_OK);
	outputs_coming(f.node, f.token);
	outputs_coming(f.node, f.token);
	assert_int_equal(f.budget.used_bytes, before - strlen("content"));
	assert_true(node_expects_outputs(f.node));
	assert_int_equal(push(&f, f.token, "reply", 5), OUTCOME_OK);
	expect(&f, NODE_PUSH_REPLY);
	assert_true(f.action.reply->envelope.has_content);
	assert_int_equal(f.action.reply->envelope.content.bytes, 5);
	fixture_done(&f);
}

/* A push that is refused is no end: the worker has its outputs still. */
static void test_outputs_coming_again(void **state)
{
	struct instruction_outputs outputs;
	const char *details = NULL;
	struct fixture f;

	fixture_offering(&f, 0);
	offer_message(&f, 100);
	get_token(&f);
	pull(&f, f.token);
	outputs_coming(f.node, f.token);
	outputs = outputs_make(&f, f.token, "reply", 5, "state");
	slices_done(&outputs.message);
	assert_int_equal(
		node_push_outputs(f.node, f.now, &outputs, &details), OUTCOME_INVALID_ARGUMENT);
	instruction_outputs_done(&outputs);
	expect_nothing(&f);
	assert_int_equal(push(&f, f.token, "reply", 5), OUTCOME_OK);
	expect(&f, NODE_PUSH_REPLY);
	assert_true(f.action.reply->envelope.has_content);
	fixture_done(&f);
}

/* Its inputs are gone, so one that asks for them once more has failed; come or started, all the
 * same. */
static void test_pull_after_outputs_coming(void **state)
{
	for (int comes = 0; comes < 2; comes++) {
		struct instruction_inputs inputs = {0};
		const char *details = NULL;
		struct fixture f;
		uint64_t message = 0;

		if (comes) {
			fixture_offering(&f, 0);
			message = offer_message(&f, 100);
			get_token(&f);
		} else {
			fixture_new(&f, 1, 0);
			start_message(&f, 100);
			message = f.action.message;
		}
		pull(&f, f.token);
		outputs_coming(f.node, f.token);
		assert_int_equal(pull_inputs(f.node, f.now, f.token, &inputs, &details),
			OUTCOME_FAILED_PRECONDITION);
		assert_int_equal(inputs.message.n, 0);
		assert_non_null(strstr(details, "outputs were on their way"));
		assert_false(node_message_live(f.node, message));
		if (!comes)
			expect(&f, NODE_STOP_WORKER);
		expect_error(&f, 8, "while it sent its outputs");
		expect_nothing(&f);
		assert_int_equal(push(&f, f.token, "late", 5), OUTCOME_FAILED_PRECONDITION);
		fixture_done(&f);
	}
}

/* ---- other ends ---- */

static void test_ends_of_an_offer(void **state)
{
	for (int forgotten = 0; forgotten < 2; forgotten++) {
		struct fixture f;
		uint64_t message;

		fixture_offering(&f, WAIT_MS);
		message = offer_message(&f, 100);
		if (forgotten)
			node_lost(f.node, f.now);
		else
			node_give_up(f.node, f.now, "the SuperNode was stopped");
		offered_none(&f);
		assert_false(node_message_live(f.node, message));
		get_no_token(&f, "no message");
		assert_int_equal(pull(&f, f.token), OUTCOME_FAILED_PRECONDITION);
		if (forgotten)
			expect_dropped(&f, "forgotten");
		else
			expect_error(&f, 8, "the SuperNode was stopped");
		expect_nothing(&f);
		assert_int_equal(node_count(f.node).messages, 0);
		fixture_done(&f);
	}
}

/* The run of one that is offered is over, as the end of another one's reply tells. */
static void test_run_over_while_offered(void **state)
{
	struct fixture f;
	uint64_t first;

	fixture_open(&f,
		&(struct node_options){.slots = 2, .parallel_in_run = true, .workers_come = true});
	first = offer_message(&f, 100);
	give_message(&f, 1, 100);
	get_token(&f);
	pull(&f, f.token - 1000);
	push(&f, f.token - 1000, "reply", 5);
	expect(&f, NODE_PUSH_REPLY);
	assert_int_equal(offered(&f, f.now.ms), first + 1);
	node_reply_pushed(f.node, f.now, first, NODE_PUSH_OVER, NULL);
	offered_none(&f);
	get_no_token(&f, "no message");
	expect_dropped(&f, "its run is over");
	expect_dropped(&f, "its run is over");
	expect_nothing(&f);
	assert_int_equal(node_count(f.node).messages, 0);
	fixture_done(&f);
}

/* A token that a worker has got is of no use after its message was dropped; the node has no
 * worker to stop. */
static void test_ends_of_what_a_worker_has(void **state)
{
	for (int pulled = 0; pulled < 2; pulled++) {
		struct fixture f;
		uint64_t token;

		fixture_offering(&f, 0);
		offer_message(&f, 100);
		token = get_token(&f);
		if (pulled)
			pull(&f, token);
		node_lost(f.node, f.now);
		expect_dropped(&f, "forgotten");
		expect_nothing(&f);
		assert_int_equal(pull(&f, token), OUTCOME_FAILED_PRECONDITION);
		assert_int_equal(push(&f, token, "late", 5), OUTCOME_FAILED_PRECONDITION);
		assert_int_equal(node_count(f.node).messages, 0);
		fixture_done(&f);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_refusals_say_why),
		cmocka_unit_test(test_ordinary_life),
		cmocka_unit_test(test_one_after_the_other),
		cmocka_unit_test(test_two_offers),
		cmocka_unit_test(test_lost_before_the_pull),
		cmocka_unit_test(test_lost_after_the_pull),
		cmocka_unit_test(test_lost_by_nobody),
		cmocka_unit_test(test_nobody_comes),
		cmocka_unit_test(test_nobody_comes_within_the_ttl),
		cmocka_unit_test(test_no_first_pull),
		cmocka_unit_test(test_worker_timeout),
		cmocka_unit_test(test_outputs_coming),
		cmocka_unit_test(test_outputs_coming_again),
		cmocka_unit_test(test_pull_after_outputs_coming),
		cmocka_unit_test(test_ends_of_an_offer),
		cmocka_unit_test(test_run_over_while_offered),
		cmocka_unit_test(test_ends_of_what_a_worker_has),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
