/* Which message gets a slot: runs take turns, messages of one run follow each other. */
#include "fixture.h"

#include "supernode/core/node_internal.h"

static void come(struct fixture *f, uint64_t run_id)
{
	bool first = run_id == 1;

	give_message_of_run(f, run_id, HASH, NULL);
	if (!first)
		return;
	expect(f, NODE_FETCH_FAB);
	give_fab(f, run_id, 100);
}

/* The next action starts a message of this run; its number. */
static uint64_t starts(struct fixture *f, uint64_t run_id)
{
	expect(f, NODE_START_WORKER);
	assert_int_equal(f->action.run_id, run_id);
	assert_int_equal(pull(f, f->action.token), OUTCOME_OK);
	return f->action.message;
}

/* The worker of message answers with an error, and is gone. */
static void end(struct fixture *f, uint64_t message)
{
	node_worker_ended(f->node, f->now, message, 8, "died");
	node_worker_gone(f->node, f->now, message);
}

static void settle(struct fixture *f, uint64_t message)
{
	expect(f, NODE_PUSH_REPLY);
	assert_int_equal(f->action.message, message);
	node_reply_pushed(f->node, f->now, message, NODE_PUSHED, NULL);
	expect(f, NODE_FINISHED);
}

static void test_turns(void **state)
{
	struct fixture f;
	uint64_t at_work;

	fixture_new(&f, 1, 0);
	come(&f, 1);
	at_work = starts(&f, 1);
	/* Run 1 has sent three more before run 2 and run 3 have sent theirs. */
	for (unsigned i = 0; i < 3; i++)
		give_message(&f, 1, 100);
	come(&f, 2);
	give_message(&f, 2, 100);
	come(&f, 3);
	for (const unsigned *run = (const unsigned[]){2, 3, 1, 2, 1, 1, 0}; *run; run++) {
		end(&f, at_work);
		settle(&f, at_work);
		at_work = starts(&f, *run);
	}
	end(&f, at_work);
	settle(&f, at_work);
	expect_nothing(&f);
	fixture_done(&f);
}

static void test_one_of_a_run(void **state)
{
	struct fixture f;
	uint64_t first, other;

	fixture_new(&f, 2, 0);
	come(&f, 1);
	first = starts(&f, 1);
	give_message(&f, 1, 100);
	expect_nothing(&f);
	/* It does not stand in another run's way. */
	assert_true(node_wants_message(f.node));
	come(&f, 2);
	other = starts(&f, 2);
	assert_false(node_wants_message(f.node));
	end(&f, other);
	settle(&f, other);
	expect_nothing(&f);
	/* With the answer the next one of the run begins, while the last one's processes end. */
	assert_int_equal(
		push(&f, node_message_token(message_find(f.node, first)), "done", 50), OUTCOME_OK);
	expect(&f, NODE_PUSH_REPLY);
	assert_int_equal(f.action.message, first);
	assert_int_equal(starts(&f, 1), first + 1);
	expect_nothing(&f);
	fixture_done(&f);
}

/* The older message is not here yet: the younger one of its run waits all the same. */
static void test_order_of_a_run(void **state)
{
	struct fixture f;

	fixture_new(&f, 3, 0);
	come(&f, 1);
	assert_int_equal(starts(&f, 1), 1);
	give_message(&f, 1, 100);
	give_message(&f, 1, 100);
	message_find(f.node, 2)->state = MESSAGE_COMING;
	end(&f, 1);
	settle(&f, 1);
	expect_nothing(&f);
	node_content(f.node, f.now, 2, NODE_FETCHED, NULL);
	assert_int_equal(starts(&f, 1), 2);
	expect_nothing(&f);
	end(&f, 2);
	settle(&f, 2);
	assert_int_equal(starts(&f, 1), 3);
	fixture_done(&f);
}

static void test_parallel(void **state)
{
	struct fixture f;

	fixture_open(&f, &(struct node_options){.slots = 3, .parallel_in_run = true});
	come(&f, 1);
	assert_int_equal(starts(&f, 1), 1);
	expect_nothing(&f);
	assert_true(node_wants_message(f.node));
	give_message(&f, 1, 100);
	assert_int_equal(starts(&f, 1), 2);
	/* Said once. */
	expect(&f, NODE_RUN_OVERLAPS);
	assert_int_equal(f.action.run_id, 1);
	expect_nothing(&f);
	give_message(&f, 1, 100);
	assert_int_equal(starts(&f, 1), 3);
	expect_nothing(&f);
	assert_false(node_wants_message(f.node));
	fixture_done(&f);
}

/* A run that sends very much does not fill the node. */
static void test_ahead(void **state)
{
	struct fixture f;
	unsigned n = 0;

	fixture_new(&f, 2, 0);
	come(&f, 1);
	(void)starts(&f, 1);
	while (node_wants_message(f.node) && n < 1000) {
		give_message(&f, 1, 100);
		n++;
	}
	assert_int_equal(n, NODE_AHEAD_MAX);
	/* Nor does it with memory. */
	fixture_done(&f);
	fixture_new(&f, 2, 0);
	come(&f, 1);
	(void)starts(&f, 1);
	give_message(&f, 1, 100);
	assert_true(node_wants_message(f.node));
	assert_int_equal(budget_reserve(&f.budget, f.budget.limit_bytes / 2), 0);
	assert_false(node_wants_message(f.node));
	budget_release(&f.budget, f.budget.limit_bytes / 2);
	fixture_done(&f);
}

/* Workers that come get messages of several runs, and of one run one after the other. */
static void test_guests(void **state)
{
	struct fixture f;
	const char *details;
	uint64_t token;

	fixture_open(&f, &(struct node_options){.slots = 3, .workers_come = true});
	come(&f, 1);
	give_message(&f, 1, 100);
	come(&f, 2);
	expect_nothing(&f);
	assert_int_equal(node_get_token(f.node, f.now, &token, &details), OUTCOME_OK);
	assert_int_equal(node_message_number(node_message_of(f.node, token)), 1);
	assert_int_equal(node_get_token(f.node, f.now, &token, &details), OUTCOME_OK);
	assert_int_equal(node_message_number(node_message_of(f.node, token)), 3);
	assert_int_equal(
		node_get_token(f.node, f.now, &token, &details), OUTCOME_FAILED_PRECONDITION);
	fixture_done(&f);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_turns),
		cmocka_unit_test(test_one_of_a_run),
		cmocka_unit_test(test_order_of_a_run),
		cmocka_unit_test(test_parallel),
		cmocka_unit_test(test_ahead),
		cmocka_unit_test(test_guests),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
