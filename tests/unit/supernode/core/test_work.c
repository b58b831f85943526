/*
 * The worker's side: statuses as Flower gives them, what is believed of outputs, the Context from
 * message to message.
 */
#include "fixture.h"
#include "kit/child.h"

/* The reply is pushed, and the worker, if it was started here, ends. */
static void end_message(struct fixture *f, uint64_t message)
{
	expect(f, NODE_PUSH_REPLY);
	node_reply_pushed(f->node, f->now, message, NODE_PUSHED, NULL);
	expect(f, NODE_FINISHED);
	node_worker_ended(f->node, f->now, message, 8, "exited with status 0");
	node_worker_gone(f->node, f->now, message);
}

static char letter(enum outcome outcome)
{
	return outcome == OUTCOME_OK                    ? '0'
	       : outcome == OUTCOME_FAILED_PRECONDITION ? 'F'
	       : outcome == OUTCOME_INVALID_ARGUMENT    ? 'I'
							: '?';
}

static char ask_token(struct fixture *f)
{
	const char *details = NULL;
	uint64_t token = 0;
	enum outcome outcome = node_get_token(f->node, f->now, &token, &details);

	assert_true(outcome == OUTCOME_OK ? token == f->token : details != NULL);
	return letter(outcome);
}

/* The same calls to a node of ours; ended: what a push has answered is fetched at once. */
static void play(const char *calls, char *statuses, bool workers_come, bool ended)
{
	struct fixture f;

	fixture_open(&f, &(struct node_options){.slots = 1, .workers_come = workers_come});
	f.token = 5000;
	for (; *calls; calls++, statuses++) {
		switch (*calls) {
		case 's':
			start_message(&f, 100);
			*statuses = '-';
			break;
		case 'w':
			come_message(&f, 100);
			expect_nothing(&f);
			*statuses = '-';
			break;
		case 'g':
			*statuses = ask_token(&f);
			break;
		case 'P':
		case 'p':
			*statuses = letter(pull(&f, *calls == 'P' ? f.token : f.token ^ 1));
			break;
		default:
			*statuses = letter(push(&f, *calls == 'O' ? f.token : f.token ^ 1, "r", 5));
			/* The first and only message of this node. */
			if (*statuses == '0' && ended)
				end_message(&f, 1);
			break;
		}
	}
	*statuses = '\0';
	fixture_done(&f);
}

/* Play what Flower has played; how many sequences these were. */
static unsigned compare(const char *mode, bool workers_come)
{
	char calls[16], expected[16], statuses[16];
	unsigned n = 0;
	struct kit_child judge;

	kit_child_start(&judge, KIT_OLDEST, FLWR_TEST_DIR "/gen_statuses.py", mode);
	while (fscanf(judge.from, "%15s %15s", calls, expected) == 2) {
		play(calls, statuses, workers_come, true);
		if (strcmp(statuses, expected) != 0)
			fail_msg("%s: Flower says %s, the node %s", calls, expected, statuses);
		/* Before the worker is gone the token is known, and spent. */
		play(calls, statuses, workers_come, false);
		for (size_t i = 0; strchr(calls, 'O') && expected[i]; i++) {
			if (statuses[i] != expected[i])
				assert_true(statuses[i] == 'F' || expected[i] == 'F');
		}
		n++;
	}
	kit_child_end(&judge);
	return n;
}

static void calls_of_a_worker_have_the_statuses_of_flower(void **state)
{
	assert_int_equal(compare("subprocess", false), 2 * (4 + 16 + 64 + 256));
}

/* The same where a worker has to ask for the token. */
static void calls_have_flowers_statuses_with_process_isolation_too(void **state)
{
	assert_int_equal(compare("process", true), 2 * (5 + 25 + 125 + 625));
}

static void inputs_are_message_context_run_and_fab(void **state)
{
	struct instruction_inputs inputs = {0};
	struct envelope message;
	struct context context;
	struct run run;
	struct slices content = {0};
	char *hash;
	const char *details;
	struct fixture f;

	fixture_new(&f, 1, 0);
	give_message_of_run(&f, 1, HASH, "rate");
	expect(&f, NODE_FETCH_FAB);
	give_fab(&f, 1, 100);
	expect(&f, NODE_START_WORKER);
	assert_int_equal(pull_inputs(f.node, f.now, f.token, &inputs, &details), OUTCOME_OK);
	assert_int_equal(envelope_decode(&inputs.message, &message), 0);
	assert_string_equal(message.metadata.message_id, "id-1");
	assert_int_equal(message.content.bytes, 7);
	assert_int_equal(context_decode(&inputs.context, &context), 0);
	assert_int_equal(context.run_id, 1);
	assert_int_equal(context.node_id, NODE_ID);
	assert_int_equal(context.state.bytes, 0);
	assert_int_equal(value_map_get(&context.node_config, "partition-id")->i, 1);
	assert_true(value_map_get(&context.run_config, "rate")->d == 0.5);
	assert_int_equal(run_decode(&inputs.run, &run), 0);
	/* The name and version that the FAB gives itself. */
	assert_string_equal(run.fab_id, "me/app");
	assert_string_equal(run.fab_version, "1.0.0");
	assert_string_equal(run.fab_hash, HASH);
	assert_int_equal(fab_decode(&inputs.fab, &hash, &content, NULL), 0);
	assert_string_equal(hash, HASH);
	assert_int_equal(content.bytes, 100);
	free(hash);
	slices_done(&content);
	run_done(&run);
	context_done(&context);
	envelope_done(&message);
	instruction_inputs_done(&inputs);
	fixture_done(&f);
}

/* The Context that a worker leaves is what the next one gets, byte for byte; also after an error of
 * the app. */
static void the_next_worker_gets_the_context_byte_for_byte(void **state)
{
	static const char *const contents[] = {"reply", NULL};
	struct fixture f;

	fixture_new(&f, 1, 0);
	start_message(&f, 100);
	for (size_t i = 0; i < ARRAY_LEN(contents); i++) {
		auto_(slices_done) struct slices left = {0};
		struct instruction_outputs outputs;
		struct instruction_inputs inputs = {0};
		uint64_t message = f.action.message, token = f.token;
		const char *details;

		assert_int_equal(pull(&f, token), OUTCOME_OK);
		outputs = outputs_make(&f, token, contents[i], 5, i ? "second" : "first");
		assert_int_equal(slices_append_refs(&left, &outputs.context.bytes), 0);
		assert_int_equal(node_push_outputs(f.node, f.now, &outputs, &details), OUTCOME_OK);
		end_message(&f, message);
		give_message(&f, 1, 100);
		expect(&f, NODE_START_WORKER);
		assert_int_equal(
			pull_inputs(f.node, f.now, f.token, &inputs, &details), OUTCOME_OK);
		assert_true(slices_equal(&inputs.context, &left));
		instruction_inputs_done(&inputs);
	}
	/* An error that is ours leaves it as it was. */
	node_worker_ended(f.node, f.now, f.action.message, 8, "died");
	assert_int_equal(node_count(f.node).contexts, 1);
	fixture_done(&f);
}

static void bad_outputs_are_refused(void **state)
{
	struct envelope none = {0};
	struct envelope both = {.has_content = true, .has_error = true, .error_reason = (char *)""};
	struct context foreign = {.run_id = 2, .node_id = NODE_ID};
	struct fixture f;

	fixture_new(&f, 1, 0);
	start_message(&f, 100);
	assert_int_equal(pull(&f, f.token), OUTCOME_OK);
	for (int i = 0; i < 6; i++) {
		struct instruction_outputs outputs;
		const char *details = NULL;

		outputs = outputs_make(&f, f.token, "reply", 5, "state");
		if (i < 3)
			slices_done(&outputs.message);
		else
			slices_done(&outputs.context.bytes);
		if (i == 0)
			assert_int_equal(envelope_encode(&none, &outputs.message), 0);
		if (i == 1)
			assert_int_equal(envelope_encode(&both, &outputs.message), 0);
		/* An error, and a node_config, that are cut off. */
		if (i == 2)
			assert_int_equal(slices_append_copy(&outputs.message, "\x1a\xff", 2), 0);
		if (i == 3)
			assert_int_equal(context_encode(&foreign, &outputs.context.bytes), 0);
		if (i == 4)
			assert_int_equal(
				slices_append_copy(&outputs.context.bytes, "\x1a\xff", 2), 0);
		assert_int_equal(node_push_outputs(f.node, f.now, &outputs, &details),
			OUTCOME_INVALID_ARGUMENT);
		assert_non_null(details);
		instruction_outputs_done(&outputs);
		expect_nothing(&f);
	}
	/* None of it was an answer. */
	assert_int_equal(push(&f, f.token, "reply", 5), OUTCOME_OK);
	expect(&f, NODE_PUSH_REPLY);
	fixture_done(&f);
}

static void outputs_over_the_budget_become_an_error(void **state)
{
	struct fixture f;

	fixture_new(&f, 1, 0);
	start_message(&f, 100);
	assert_int_equal(pull(&f, f.token), OUTCOME_OK);
	f.budget.limit_bytes = f.budget.used_bytes;
	assert_int_equal(push(&f, f.token, "reply", 5), OUTCOME_RESOURCE_EXHAUSTED);
	expect(&f, NODE_STOP_WORKER);
	expect_error(&f, 8, "the worker's outputs of ");
	expect_nothing(&f);
	fixture_done(&f);
}

static void a_token_is_given_out_once(void **state)
{
	const char *details = NULL;
	uint64_t token;
	struct fixture f;

	fixture_new(&f, 1, 0);
	assert_int_equal(
		node_get_token(f.node, f.now, &token, &details), OUTCOME_FAILED_PRECONDITION);
	start_message(&f, 100);
	assert_int_equal(
		node_get_token(f.node, f.now, &token, &details), OUTCOME_FAILED_PRECONDITION);
	assert_non_null(strstr(details, "already"));
	fixture_done(&f);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(calls_of_a_worker_have_the_statuses_of_flower),
		cmocka_unit_test(calls_have_flowers_statuses_with_process_isolation_too),
		cmocka_unit_test(inputs_are_message_context_run_and_fab),
		cmocka_unit_test(the_next_worker_gets_the_context_byte_for_byte),
		cmocka_unit_test(bad_outputs_are_refused),
		cmocka_unit_test(outputs_over_the_budget_become_an_error),
		cmocka_unit_test(a_token_is_given_out_once),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
