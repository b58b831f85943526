/*
 * Tests of the parts that messages of a run share, and of the time when the node asks for them.
 */
#include "fixture.h"

static void a_run_is_fetched_once_for_all_its_messages(void **state)
{
	struct fixture f;

	fixture_open(&f, &(struct node_options){.slots = 3, .parallel_in_run = true});
	give_message(&f, 1, 100);
	give_message(&f, 1, 100);
	expect(&f, NODE_FETCH_RUN);
	give_message(&f, 1, 100);
	expect_nothing(&f);
	give_run(&f, 1, HASH, NULL);
	expect(&f, NODE_FETCH_FAB);
	give_message(&f, 1, 100);
	expect_nothing(&f);
	give_fab(&f, 1, 100);
	for (int i = 0; i < 3; i++)
		expect(&f, NODE_START_WORKER);
	expect(&f, NODE_RUN_OVERLAPS);
	expect_nothing(&f);
	fixture_done(&f);
}

static void runs_share_a_fab(void **state)
{
	struct fixture f;

	fixture_new(&f, 2, 0);
	start_message(&f, 100);
	give_message_of_run(&f, 2, HASH, NULL);
	expect(&f, NODE_START_WORKER);
	assert_int_equal(node_count(f.node).runs, 2);
	assert_int_equal(node_count(f.node).fabs, 1);
	fixture_done(&f);
}

static void messages_of_a_run_that_is_over_are_dropped(void **state)
{
	struct fixture f;

	fixture_new(&f, 1, 0);
	give_message(&f, 1, 100);
	expect(&f, NODE_FETCH_RUN);
	node_run_fetched(f.node, f.now, &(struct node_fetched){1, NODE_RUN_OVER, "over"}, NULL);
	expect_dropped(&f, "run is over");
	expect_nothing(&f);
	assert_int_equal(node_count(f.node).runs, 0);
	give_message_of_run(&f, 1, HASH, NULL);
	expect(&f, NODE_FETCH_FAB);
	node_fab_fetched(f.node, f.now, &(struct node_fetched){1, NODE_RUN_OVER, "over"}, NULL);
	expect_dropped(&f, "run is over");
	start_message(&f, 100);
	pull(&f, f.token);
	push(&f, f.token, "reply", 5);
	expect(&f, NODE_PUSH_REPLY);
	node_reply_pushed(f.node, f.now, f.action.message, NODE_PUSH_OVER, "over");
	expect_dropped(&f, "run is over");
	assert_int_equal(node_count(f.node).runs, 0);
	assert_int_equal(node_count(f.node).contexts, 0);
	fixture_done(&f);
}

/* The owner of what belongs to a run is told once, when no worker can use it any more. */
static void the_end_of_a_run_is_told(void **state)
{
	struct fixture f;
	uint64_t number;

	fixture_open(&f, &(struct node_options){.slots = 1, .tells_ends = true});
	give_message_of_run(&f, 1, HASH, NULL);
	expect(&f, NODE_FETCH_FAB);
	give_fab(&f, 1, 100);
	expect(&f, NODE_START_WORKER);
	f.token = f.action.token;
	number = f.action.message;
	pull(&f, f.token);
	push(&f, f.token, "reply", 5);
	expect(&f, NODE_PUSH_REPLY);
	node_reply_pushed(f.node, f.now, number, NODE_PUSH_OVER, "over");
	expect_dropped(&f, "run is over");
	expect_nothing(&f);
	node_worker_gone(f.node, f.now, number);
	expect(&f, NODE_RUN_ENDED);
	assert_int_equal(f.action.run_id, 1);
	expect_nothing(&f);
	/* Nobody asks for this one. */
	give_message(&f, 2, 100);
	expect(&f, NODE_FETCH_RUN);
	node_run_fetched(f.node, f.now, &(struct node_fetched){2, NODE_RUN_OVER, "over"}, NULL);
	fixture_done(&f);
}

/* A run's own fetch of a FAB that another run has brought meanwhile says nothing. */
static void a_refused_fab_that_is_here_already_changes_nothing(void **state)
{
	struct fixture f;

	(void)state;
	fixture_new(&f, 2, 0);
	give_message_of_run(&f, 1, HASH, NULL);
	expect(&f, NODE_FETCH_FAB);
	give_message_of_run(&f, 2, HASH, "nothing");
	expect(&f, NODE_FETCH_FAB);
	give_fab(&f, 1, 10);
	expect_error(&f, 1, "cannot be fused");
	expect(&f, NODE_START_WORKER);
	node_fab_fetched(
		f.node, f.now, &(struct node_fetched){2, NODE_FETCH_REFUSED, "no FAB"}, NULL);
	give_message(&f, 2, 100);
	expect_error(&f, 1, "cannot be fused");
	fixture_done(&f);
}

static void a_refused_run_or_fab_is_answered_with_an_error(void **state)
{
	struct fixture f;

	fixture_new(&f, 1, 0);
	give_message(&f, 1, 100);
	expect(&f, NODE_FETCH_RUN);
	node_run_fetched(f.node, f.now,
		&(struct node_fetched){1, NODE_FETCH_REFUSED, "no run for you"}, NULL);
	expect_error(&f, 8, "no run for you");
	expect_nothing(&f);
	assert_int_equal(node_count(f.node).runs, 0);
	/* A refused FAB is asked for again for the next message. */
	give_message_of_run(&f, 1, HASH, NULL);
	expect(&f, NODE_FETCH_FAB);
	node_fab_fetched(
		f.node, f.now, &(struct node_fetched){1, NODE_FETCH_REFUSED, "wrong hash"}, NULL);
	expect_error(&f, 7, "wrong hash");
	give_message(&f, 1, 100);
	expect(&f, NODE_FETCH_FAB);
	/* A FAB that was checked for another run of this number is not taken for this run's. */
	f.fab_hash = "ffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff";
	give_fab(&f, 1, 10);
	expect(&f, NODE_FETCH_FAB);
	assert_int_equal(node_count(f.node).fabs, 0);
	f.fab_hash = NULL;
	give_fab(&f, 1, 10);
	expect(&f, NODE_START_WORKER);
	fixture_done(&f);
}

/* The run remembers a failure that can never become a success. */
static void a_broken_run_stays_broken(void **state)
{
	struct fixture f;

	fixture_new(&f, 1, 0);
	give_message_of_run(&f, 1, "", NULL);
	expect_error(&f, 7, "names no FAB");
	give_message(&f, 1, 100);
	expect_error(&f, 7, "names no FAB");
	give_message_of_run(&f, 2, "../etc", NULL);
	expect_error(&f, 7, "no SHA-256");
	give_message_of_run(&f, 3, HASH, "unknown-key");
	expect(&f, NODE_FETCH_FAB);
	give_fab(&f, 3, 10);
	expect_error(&f, 1, "unknown-key");
	give_message(&f, 3, 100);
	expect_error(&f, 1, "unknown-key");
	expect_nothing(&f);
	assert_int_equal(node_count(f.node).fabs, 0);
	fixture_done(&f);
}

static void a_fab_over_the_budget_is_answered_with_an_error(void **state)
{
	struct fixture f;

	fixture_new(&f, 1, 0);
	give_message_of_run(&f, 1, HASH, NULL);
	expect(&f, NODE_FETCH_FAB);
	give_fab(&f, 1, 2 << 20);
	expect_error(&f, 8, "the FAB of 2097152 bytes");
	give_message(&f, 1, 100);
	expect(&f, NODE_FETCH_FAB);
	fixture_done(&f);
}

/* The owner has the app: a run needs no FAB, even if it names none. */
static void a_node_without_fabs(void **state)
{
	struct instruction_inputs inputs = {0};
	struct context context = {0};
	struct run run = {0};
	const char *details = NULL;
	struct fixture f;

	fixture_open(&f, &(struct node_options){.slots = 1, .without_fab = true});
	give_message_of_run(&f, 1, "", "rate");
	expect(&f, NODE_START_WORKER);
	expect_nothing(&f);
	assert_int_equal(pull_inputs(f.node, f.now, f.action.token, &inputs, &details), OUTCOME_OK);
	assert_int_equal(inputs.fab.bytes, 0);
	assert_int_equal(run_decode(&inputs.run, &run), 0);
	assert_string_equal(run.fab_id, "said/superlink");
	assert_int_equal(context_decode(&inputs.context, &context), 0);
	assert_int_equal(context.run_config.n, 1);
	assert_true(value_map_get(&context.run_config, "rate")->d == 0.5);
	run_done(&run);
	context_done(&context);
	instruction_inputs_done(&inputs);
	assert_int_equal(push(&f, f.token, "reply", 100), OUTCOME_OK);
	expect(&f, NODE_PUSH_REPLY);
	fixture_done(&f);
}

static void an_idle_run_is_probed_more_and_more_rarely(void **state)
{
	struct fixture f;
	uint64_t message;
	int64_t gap_ms = NODE_RUN_PROBE_MS;

	fixture_new(&f, 1, 0);
	start_message(&f, 1e9);
	message = f.action.message;
	pull(&f, f.token);
	/* Never while a message of it is at hand. */
	later(&f, 10 * NODE_RUN_PROBE_MAX_MS);
	expect_nothing(&f);
	node_worker_ended(f.node, f.now, message, 8, "died");
	expect_error(&f, 8, "died");
	node_worker_gone(f.node, f.now, message);
	expect_nothing(&f);
	for (int i = 0; i < 8; i++) {
		assert_int_equal(node_next_ms(f.node), f.now.ms + gap_ms);
		later(&f, gap_ms - 1);
		expect_nothing(&f);
		later(&f, 1);
		expect(&f, NODE_FETCH_RUN);
		assert_int_equal(node_next_ms(f.node), CLOCK_NEVER);
		if (i == 3)
			node_run_fetched(f.node, f.now,
				&(struct node_fetched){1, NODE_FETCH_REFUSED, "later"}, NULL);
		else
			give_run(&f, 1, HASH, NULL);
		gap_ms = gap_ms * 2 < NODE_RUN_PROBE_MAX_MS ? gap_ms * 2 : NODE_RUN_PROBE_MAX_MS;
	}
	later(&f, gap_ms);
	expect(&f, NODE_FETCH_RUN);
	node_run_fetched(f.node, f.now, &(struct node_fetched){1, NODE_RUN_OVER, NULL}, NULL);
	expect_nothing(&f);
	assert_int_equal(node_count(f.node).runs, 0);
	assert_int_equal(node_count(f.node).fabs, 0);
	assert_int_equal(f.budget.used_bytes, 0);
	fixture_done(&f);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_run_is_fetched_once_for_all_its_messages),
		cmocka_unit_test(runs_share_a_fab),
		cmocka_unit_test(messages_of_a_run_that_is_over_are_dropped),
		cmocka_unit_test(the_end_of_a_run_is_told),
		cmocka_unit_test(a_refused_fab_that_is_here_already_changes_nothing),
		cmocka_unit_test(a_refused_run_or_fab_is_answered_with_an_error),
		cmocka_unit_test(a_broken_run_stays_broken),
		cmocka_unit_test(a_fab_over_the_budget_is_answered_with_an_error),
		cmocka_unit_test(a_node_without_fabs),
		cmocka_unit_test(an_idle_run_is_probed_more_and_more_rarely),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
