/*
 * Runs of a series (1.31 and later): each starts with the state that the last one left, but with
 * its own configuration; and how long that is kept.
 */
#include "fixture.h"

#define SERIES 31

/* override < 0: none. */
static void give_series_run(struct fixture *f, uint64_t run_id, uint64_t series_id, double override)
{
	struct value value = {.kind = VALUE_DOUBLE, .d = override};
	struct run run = {.run_id = run_id,
		.series_id = series_id,
		.fab_id = strdup("said/superlink"),
		.fab_version = strdup("9"),
		.fab_hash = strdup(HASH)};

	if (override >= 0)
		assert_int_equal(value_map_set(&run.override_config, "rate", &value), 0);
	node_run_fetched(f->node, f->now, &(struct node_fetched){run_id, NODE_FETCHED, NULL}, &run);
}

/* The first message of a run, up to its worker's start. */
static void start(struct fixture *f, uint64_t run_id, uint64_t series_id, double override)
{
	bool has_fab = node_count(f->node).fabs > 0;

	give_message(f, run_id, 1000);
	expect(f, NODE_FETCH_RUN);
	give_series_run(f, run_id, series_id, override);
	if (!has_fab) {
		expect(f, NODE_FETCH_FAB);
		give_fab(f, run_id, 100);
	}
	expect(f, NODE_START_WORKER);
}

static void start_again(struct fixture *f, uint64_t run_id)
{
	give_message(f, run_id, 1000);
	expect(f, NODE_START_WORKER);
}

/* What the worker of f->action is given: a Context of run_id, with that state and configuration. */
static void check_context(
	struct fixture *f, uint64_t run_id, uint64_t series_id, double rate, const char *state)
{
	struct instruction_inputs inputs = {0};
	struct context context;
	const char *details;
	char text[128] = "";

	assert_int_equal(pull_inputs(f->node, f->now, f->token, &inputs, &details), OUTCOME_OK);
	assert_int_equal(context_decode(&inputs.context, &context), 0);
	assert_int_equal(context.run_id, run_id);
	assert_int_equal(context.node_id, NODE_ID);
	assert_int_equal(context.series_id, series_id);
	assert_true(value_map_get(&context.run_config, "rate")->d == rate);
	assert_int_equal(value_map_get(&context.node_config, "partition-id")->i, 1);
	/* Behind a key and a length: see leave(). */
	if (context.state.bytes)
		slices_read(&context.state, 2, text, context.state.bytes - 2);
	assert_string_equal(text, state);
	context_done(&context);
	instruction_inputs_done(&inputs);
}

/* The worker of f->action leaves its Context with this state. */
static void leave(
	struct fixture *f, uint64_t run_id, uint64_t series_id, double rate, const char *state)
{
	const uint8_t head[] = {15 << 3 | 2, (uint8_t)strlen(state)};
	struct value value = {.kind = VALUE_DOUBLE, .d = rate};
	struct value node_value = {.kind = VALUE_SINT, .i = 1};
	struct context context = {.run_id = run_id, .node_id = NODE_ID, .series_id = series_id};
	struct envelope reply = {.has_content = true};
	struct instruction_outputs outputs = {.token = f->token};
	uint64_t message = f->action.message;
	const char *details;

	assert_int_equal(value_map_set(&context.run_config, "rate", &value), 0);
	assert_int_equal(value_map_set(&context.node_config, "partition-id", &node_value), 0);
	assert_int_equal(slices_append_copy(&context.state, head, sizeof head), 0);
	assert_int_equal(slices_append_copy(&context.state, state, strlen(state)), 0);
	assert_int_equal(context_encode(&context, &outputs.context.bytes), 0);
	assert_int_equal(envelope_encode(&reply, &outputs.message), 0);
	assert_int_equal(node_push_outputs(f->node, f->now, &outputs, &details), OUTCOME_OK);
	context_done(&context);
	expect(f, NODE_PUSH_REPLY);
	node_reply_pushed(f->node, f->now, message, NODE_PUSHED, NULL);
	expect(f, NODE_FINISHED);
	node_worker_gone(f->node, f->now, message);
	expect_nothing(f);
}

/* The SuperLink says so when it is asked for a run that has been idle. */
static void end_run(struct fixture *f, uint64_t run_id)
{
	later(f, NODE_RUN_PROBE_MAX_MS);
	for (unsigned n = node_count(f->node).runs; n > 0; n--) {
		expect(f, NODE_FETCH_RUN);
		node_run_fetched(f->node, f->now,
			&(struct node_fetched){f->action.run_id,
				f->action.run_id == run_id ? NODE_RUN_OVER : NODE_FETCH_REFUSED,
				"later"},
			NULL);
	}
}

/* A whole run of one message. */
static void live(
	struct fixture *f, uint64_t run_id, uint64_t series_id, const char *found, const char *left)
{
	start(f, run_id, series_id, -1);
	check_context(f, run_id, series_id, 0.1, found);
	leave(f, run_id, series_id, 0.1, left);
	end_run(f, run_id);
}

static void test_later_run(void **state)
{
	struct fixture f;

	fixture_new(&f, 1, 0);
	start(&f, 1, SERIES, 0.5);
	check_context(&f, 1, SERIES, 0.5, "");
	leave(&f, 1, SERIES, 0.5, "first");
	start_again(&f, 1);
	check_context(&f, 1, SERIES, 0.5, "first");
	leave(&f, 1, SERIES, 0.5, "second");
	end_run(&f, 1);
	assert_int_equal(node_count(f.node).runs, 0);
	assert_int_equal(node_count(f.node).contexts, 1);
	start(&f, 2, SERIES, 0.25);
	check_context(&f, 2, SERIES, 0.25, "second");
	leave(&f, 2, SERIES, 0.25, "third");
	start_again(&f, 2);
	check_context(&f, 2, SERIES, 0.25, "third");
	assert_int_equal(node_count(f.node).contexts, 1);
	fixture_done(&f);
}

static void test_interleaved(void **state)
{
	struct fixture f;

	fixture_new(&f, 1, 0);
	start(&f, 1, SERIES, 0.5);
	check_context(&f, 1, SERIES, 0.5, "");
	leave(&f, 1, SERIES, 0.5, "of 1");
	start(&f, 2, SERIES, 0.25);
	check_context(&f, 2, SERIES, 0.25, "of 1");
	leave(&f, 2, SERIES, 0.25, "of 2");
	start_again(&f, 1);
	check_context(&f, 1, SERIES, 0.5, "of 2");
	leave(&f, 1, SERIES, 0.5, "of 1 again");
	start_again(&f, 2);
	check_context(&f, 2, SERIES, 0.25, "of 1 again");
	/* One of them ends: the other's is as it was. */
	leave(&f, 2, SERIES, 0.25, "last");
	end_run(&f, 2);
	assert_int_equal(node_count(f.node).contexts, 1);
	start_again(&f, 1);
	check_context(&f, 1, SERIES, 0.5, "last");
	fixture_done(&f);
}

/* A run without a series has its own Context, whatever its number is, and that goes with it. */
static void test_of_no_series(void **state)
{
	struct fixture f;

	fixture_new(&f, 1, 0);
	live(&f, 1, SERIES, "", "of the series");
	start(&f, SERIES, 0, -1);
	check_context(&f, SERIES, 0, 0.1, "");
	leave(&f, SERIES, 0, 0.1, "of the run");
	assert_int_equal(node_count(f.node).contexts, 2);
	end_run(&f, SERIES);
	assert_int_equal(node_count(f.node).contexts, 1);
	live(&f, SERIES, 0, "", "anything");
	live(&f, 2, SERIES + 1, "", "of another series");
	live(&f, 3, SERIES, "of the series", "more");
	fixture_done(&f);
}

static void test_oldest_goes(void **state)
{
	struct fixture f;
	uint64_t run = 1;

	fixture_new(&f, 1, 0);
	live(&f, run++, 1, "", "one");
	live(&f, run++, 2, "", "two");
	for (uint64_t series = 3; series <= NODE_SERIES_MAX; series++)
		live(&f, run++, series, "", "other");
	assert_int_equal(node_count(f.node).contexts, NODE_SERIES_MAX);
	/* It began first, but was used last. */
	live(&f, run++, 1, "one", "one more");
	live(&f, run++, NODE_SERIES_MAX + 1, "", "new");
	assert_int_equal(node_count(f.node).contexts, NODE_SERIES_MAX);
	live(&f, run++, 1, "one more", "even more");
	live(&f, run++, 2, "", "forgotten");
	fixture_done(&f);
}

/* What is kept for later may be in nobody's way. */
static void test_gives_way(void **state)
{
	char large[101];
	struct fixture f;
	uint64_t run = 1;

	memset(large, 'x', 100);
	large[100] = '\0';
	fixture_new(&f, 1, 0);
	for (uint64_t series = 1; series <= 10; series++)
		live(&f, run++, series, "", large);
	assert_int_equal(node_count(f.node).contexts, 10);
	/* Enough for one of them to go: the oldest. */
	f.budget.limit_bytes = f.budget.used_bytes;
	give_message(&f, run, 1000);
	assert_int_equal(node_count(f.node).contexts, 9);
	/* That of the run's own series stays, though it is the next, when the FAB needs room. */
	expect(&f, NODE_FETCH_RUN);
	give_series_run(&f, run, 2, -1);
	expect(&f, NODE_FETCH_FAB);
	give_fab(&f, run, 300);
	assert_true(node_count(f.node).contexts < 9);
	expect(&f, NODE_START_WORKER);
	check_context(&f, run, 2, 0.1, large);
	fixture_done(&f);
}

/* The node drops nothing that would not make enough room. */
static void test_gives_way_in_vain(void **state)
{
	struct fixture f;

	fixture_new(&f, 1, 0);
	live(&f, 1, 1, "", "left");
	f.budget.limit_bytes = 6;
	give_message(&f, 2, 1000);
	expect_error(&f, 8, "do not fit into the SuperNode's memory budget of 6 bytes");
	assert_int_equal(node_count(f.node).contexts, 1);
	fixture_done(&f);
}

static void test_lost(void **state)
{
	struct fixture f;

	fixture_new(&f, 1, 0);
	start(&f, 1, SERIES, -1);
	check_context(&f, 1, SERIES, 0.1, "");
	leave(&f, 1, SERIES, 0.1, "left");
	start(&f, 2, 0, -1);
	node_lost(f.node, f.now);
	expect(&f, NODE_STOP_WORKER);
	expect_dropped(&f, "forgotten");
	node_worker_gone(f.node, f.now, f.action.message);
	expect_nothing(&f);
	/* A node with its old number goes on with its Contexts. */
	assert_int_equal(node_count(f.node).contexts, 1);
	node_registered(f.node, f.now, NODE_ID);
	node_registered(f.node, f.now, NODE_ID);
	live(&f, 3, SERIES, "left", "more");
	/* A node with another number has no Context. */
	node_lost(f.node, f.now);
	node_registered(f.node, f.now, NODE_ID + 1);
	assert_int_equal(node_count(f.node).contexts, 0);
	assert_int_equal(f.budget.used_bytes, 0);
	node_registered(f.node, f.now, NODE_ID);
	live(&f, 4, SERIES, "", "new");
	/* Also when it was not lost in between; runs and all. */
	start(&f, 5, SERIES, -1);
	node_registered(f.node, f.now, NODE_ID + 1);
	assert_int_equal(node_count(f.node).contexts, 0);
	assert_int_equal(node_count(f.node).runs, 0);
	fixture_done(&f);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_later_run),
		cmocka_unit_test(test_interleaved),
		cmocka_unit_test(test_of_no_series),
		cmocka_unit_test(test_oldest_goes),
		cmocka_unit_test(test_gives_way),
		cmocka_unit_test(test_gives_way_in_vain),
		cmocka_unit_test(test_lost),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
