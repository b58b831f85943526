/*
 * Messages in the form of objects: how they come, how workers claim them, and what those are given.
 */
#include "task_rig.h"

/* ---- the whole of it ---- */

static void test_ordinary_life(void **state)
{
	struct rig rig;
	struct fixture *f = &rig.f;
	const struct held_message *instruction;
	uint64_t memory;

	rig_open(&rig);
	offer(&rig);
	memory = spool_memory_bytes(rig.objects.spool);
	assert_int_equal(claim(&rig, rig.message), OUTCOME_OK);
	assert_null(instruction_of(f->node, rig.token));
	assert_int_equal(pull_task(&rig, rig.token), OUTCOME_OK);
	instruction = instruction_of(f->node, rig.token);
	assert_string_equal(instruction->envelope.metadata.message_id, "id-1");
	assert_int_equal(object_set_missing(instruction->objects), 0);
	later(f, 1500);
	outputs_coming(f->node, rig.token);
	assert_null(instruction_of(f->node, rig.token));
	assert_int_equal(spool_memory_bytes(rig.objects.spool), 0);
	assert_null(reply_objects(f->node, rig.token));
	assert_int_equal(begin(&rig), OUTCOME_OK);
	fill(&rig, 0);
	later(f, 1000);
	assert_int_equal(end(&rig, 1), OUTCOME_OK);
	assert_null(reply_objects(f->node, rig.token));
	expect(f, NODE_PUSH_REPLY);
	assert_int_equal(f->action.form, MESSAGE_OBJECTS);
	assert_true(f->action.runtime_s == 2.5);
	assert_true(f->action.reply->envelope.has_content);
	assert_int_equal(object_set_missing(f->action.reply->objects), 0);
	assert_string_equal(f->action.reply->envelope.metadata.reply_to_message_id, "id-1");
	assert_true(f->action.reply->envelope.metadata.ttl == 7);
	assert_true(spool_memory_bytes(rig.objects.spool) < memory);
	node_reply_pushed(f->node, f->now, rig.message, NODE_PUSHED, NULL);
	assert_int_equal(spool_memory_bytes(rig.objects.spool), 0);
	expect(f, NODE_FINISHED);
	assert_int_equal(f->action.code, 0);
	expect_nothing(f);
	assert_int_equal(node_count(f->node).messages, 0);
	rig_done(&rig);
}

/* With workers that are started here the action says which conversation they have. */
static void test_started(void **state)
{
	struct rig rig;

	rig_open(&rig);
	fixture_done(&rig.f);
	fixture_new(&rig.f, 1, 0);
	offer(&rig);
	expect(&rig.f, NODE_START_WORKER);
	assert_int_equal(rig.f.action.form, MESSAGE_OBJECTS);
	rig.token = rig.f.action.token;
	assert_int_equal(pull_task(&rig, rig.token), OUTCOME_OK);
	/* An error of ours: no runtime was told. */
	node_worker_ended(rig.f.node, rig.f.now, rig.message, 8, "died");
	expect(&rig.f, NODE_PUSH_REPLY);
	assert_true(rig.f.action.runtime_s == 0);
	rig_done(&rig);
}

/* ---- objects on their way here ---- */

static void test_objects_come_late(void **state)
{
	struct rig rig;
	struct object_set *set;
	uint64_t message;
	int64_t since;

	rig_open(&rig);
	message = give_objects(&rig.f, &rig.objects, &rig.in, 1, &set);
	give_all(&rig.f);
	expect_nothing(&rig.f);
	assert_int_equal(node_offered(rig.f.node, MESSAGE_OBJECTS, &since), 0);
	objects_put(&rig.objects, set, &rig.in, 1);
	objects_put(&rig.objects, set, &rig.in, 2);
	/* Nobody has said so yet. */
	assert_int_equal(claim(&rig, message), OUTCOME_NOT_FOUND);
	node_content(rig.f.node, rig.f.now, message, NODE_FETCHED, NULL);
	assert_int_equal(node_offered(rig.f.node, MESSAGE_OBJECTS, &since), message);
	/* Said again: no harm. */
	node_content(rig.f.node, rig.f.now, message, NODE_FETCH_REFUSED, "late");
	assert_int_equal(claim(&rig, message), OUTCOME_OK);
	rig_done(&rig);
}

/* The question that launchers ask before they start a worker. */
static void test_run_of_a_task(void **state)
{
	auto_(task_inputs_done) struct task_inputs inputs = {0};
	const struct slices *run;
	const char *details;
	struct rig rig;

	rig_open(&rig);
	rig.message = give_objects(&rig.f, &rig.objects, &rig.in, 0, NULL);
	node_content(rig.f.node, rig.f.now, rig.message, NODE_FETCHED, NULL);
	assert_int_equal(node_run_of(rig.f.node, rig.message), 1);
	assert_int_equal(node_run_of(rig.f.node, rig.message + 1), 0);
	assert_null(node_run_bytes(rig.f.node, 1));
	give_all(&rig.f);
	run = node_run_bytes(rig.f.node, 1);
	assert_non_null(run);
	assert_null(node_run_bytes(rig.f.node, 2));
	assert_int_equal(claim(&rig, rig.message), OUTCOME_OK);
	assert_int_equal(
		pull_task_inputs(rig.f.node, rig.f.now, rig.token, &inputs, &details), OUTCOME_OK);
	assert_int_equal(inputs.run.bytes, run->bytes);
	node_lost(rig.f.node, rig.f.now);
	assert_null(node_run_bytes(rig.f.node, 1));
	rig_done(&rig);
}

/* Also when the objects are faster than the run. */
static void test_objects_before_the_run(void **state)
{
	struct rig rig;
	uint64_t message;

	rig_open(&rig);
	message = give_objects(&rig.f, &rig.objects, &rig.in, 0, NULL);
	node_content(rig.f.node, rig.f.now, message, NODE_FETCHED, NULL);
	assert_int_equal(claim(&rig, message), OUTCOME_NOT_FOUND);
	give_all(&rig.f);
	assert_int_equal(claim(&rig, message), OUTCOME_OK);
	rig_done(&rig);
}

static void test_objects_do_not_come(void **state)
{
	struct held_message given = {0};
	struct rig rig;
	uint64_t message;

	rig_open(&rig);
	message = give_objects(&rig.f, &rig.objects, &rig.in, 2, NULL);
	expect(&rig.f, NODE_FETCH_RUN);
	node_content(rig.f.node, rig.f.now, message, NODE_FETCH_REFUSED, "not found");
	assert_int_equal(spool_memory_bytes(rig.objects.spool), 0);
	expect_error(&rig.f, 3, "not found");
	message = give_objects(&rig.f, &rig.objects, &rig.in, 2, NULL);
	node_content(rig.f.node, rig.f.now, message, NODE_FETCH_TOO_LARGE, "too large");
	assert_int_equal(spool_memory_bytes(rig.objects.spool), 0);
	expect_error(&rig.f, 8, "too large");
	/* The run is over: it is forgotten, with all of its messages. */
	message = give_objects(&rig.f, &rig.objects, &rig.in, 2, NULL);
	node_content(rig.f.node, rig.f.now, message, NODE_RUN_OVER, NULL);
	expect_dropped(&rig.f, "run is over");
	assert_int_equal(node_count(rig.f.node).runs, 0);
	/* The node refuses a useless message without asking for its run. */
	envelope_make(&rig.f, 1, 100, &given.envelope);
	assert_int_equal(node_message(rig.f.node, rig.f.now, &given, "no tree", NULL), 0);
	expect_error(&rig.f, 3, "no tree");
	expect_nothing(&rig.f);
	rig_done(&rig);
}

static void test_objects_come_too_late(void **state)
{
	struct rig rig;
	uint64_t message;

	rig_open(&rig);
	message = give_objects(&rig.f, &rig.objects, &rig.in, 2, NULL);
	give_all(&rig.f);
	later(&rig.f, 89000);
	expect(&rig.f, NODE_PUSH_REPLY);
	assert_non_null(
		strstr(rig.f.action.reply->envelope.error_reason, "waiting for its objects"));
	assert_int_equal(spool_memory_bytes(rig.objects.spool), 0);
	node_content(rig.f.node, rig.f.now, message, NODE_FETCHED, NULL);
	node_content(rig.f.node, rig.f.now, message, NODE_FETCH_REFUSED, "late");
	expect_nothing(&rig.f);
	node_reply_pushed(rig.f.node, rig.f.now, message, NODE_PUSHED, NULL);
	expect(&rig.f, NODE_FINISHED);
	node_content(rig.f.node, rig.f.now, message, NODE_RUN_OVER, NULL);
	expect_nothing(&rig.f);
	rig_done(&rig);
}

/* ---- tokens ---- */

static void test_claim(void **state)
{
	struct rig rig;
	const char *details;
	uint64_t token = 3;
	int64_t since = -1;

	rig_open(&rig);
	offer(&rig);
	/* Not for workers of the other conversation. */
	assert_int_equal(node_offered(rig.f.node, MESSAGE_INLINE, &since), 0);
	assert_int_equal(node_offered(rig.f.node, MESSAGE_OBJECTS, &since), rig.message);
	assert_int_equal(since, rig.f.now.ms);
	assert_int_equal(node_get_token(rig.f.node, rig.f.now, &token, &details),
		OUTCOME_FAILED_PRECONDITION);
	assert_int_equal(claim(&rig, rig.message + 1), OUTCOME_NOT_FOUND);
	assert_int_equal(claim(&rig, rig.message), OUTCOME_OK);
	assert_int_equal(node_offered(rig.f.node, MESSAGE_OBJECTS, &since), 0);
	assert_true(token_live(rig.f.node, rig.token, &token));
	assert_int_equal(token, rig.message);
	assert_int_equal(claim(&rig, rig.message), OUTCOME_NOT_FOUND);
	node_worker_lost(rig.f.node, rig.f.now, rig.message, "gone");
	token = rig.token;
	assert_int_equal(claim(&rig, rig.message), OUTCOME_OK);
	assert_int_not_equal(rig.token, token);
	rig_done(&rig);
	/* Nor the other way round. */
	rig_open(&rig);
	come_message(&rig.f, 100);
	assert_int_equal(node_offered(rig.f.node, MESSAGE_OBJECTS, &since), 0);
	rig.message = node_offered(rig.f.node, MESSAGE_INLINE, &since);
	assert_int_equal(claim(&rig, rig.message), OUTCOME_NOT_FOUND);
	rig_done(&rig);
}

static void test_token_text(void **state)
{
	char text[NODE_TOKEN_TEXT_BYTES + 1];
	char again[NODE_TOKEN_TEXT_BYTES];
	struct rig rig;
	uint64_t token = 0;

	rig_open(&rig);
	assert_false(node_token_text(rig.f.node, 0, text));
	work(&rig);
	assert_false(node_token_text(rig.f.node, rig.token ^ 1, text));
	assert_true(node_token_text(rig.f.node, rig.token, text));
	assert_int_equal(strlen(text), 256);
	assert_int_equal(strspn(text, "0123456789abcdef"), 256);
	assert_true(token_parse(rig.f.node, text, &token));
	assert_int_equal(token, rig.token);
	for (size_t i = 0; i < 256; i++) {
		char digit = text[i];

		text[i] = digit == 'a' ? 'b' : 'a';
		assert_false(token_parse(rig.f.node, text, &token));
		text[i] = digit;
	}
	text[256] = '0';
	text[257] = '\0';
	assert_false(token_parse(rig.f.node, text, &token));
	text[255] = '\0';
	assert_false(token_parse(rig.f.node, text, &token));
	assert_false(token_parse(rig.f.node, "", &token));
	memset(text, '0', 256);
	text[256] = '\0';
	assert_false(token_parse(rig.f.node, text, &token));
	/* Spent: it is known, but of no use. */
	assert_true(node_token_text(rig.f.node, rig.token, text));
	assert_int_equal(begin_error(&rig), OUTCOME_OK);
	assert_int_equal(end(&rig, 0), OUTCOME_OK);
	assert_false(token_parse(rig.f.node, text, &token));
	assert_false(token_live(rig.f.node, rig.token, &token));
	expect_error(&rig.f, 2, "raised");
	expect_nothing(&rig.f);
	assert_false(token_parse(rig.f.node, text, &token));
	assert_false(node_token_text(rig.f.node, rig.token, again));
	rig_done(&rig);
}

/* The one of a worker that was lost is nobody's any more. */
static void test_token_of_the_lost(void **state)
{
	char text[NODE_TOKEN_TEXT_BYTES], other[NODE_TOKEN_TEXT_BYTES];
	struct rig rig;
	uint64_t token;

	rig_open(&rig);
	offer(&rig);
	assert_int_equal(claim(&rig, rig.message), OUTCOME_OK);
	assert_true(node_token_text(rig.f.node, rig.token, text));
	node_worker_lost(rig.f.node, rig.f.now, rig.message, "gone");
	assert_false(token_parse(rig.f.node, text, &token));
	assert_int_equal(pull_task(&rig, rig.token), OUTCOME_FAILED_PRECONDITION);
	assert_int_equal(claim(&rig, rig.message), OUTCOME_OK);
	assert_true(node_token_text(rig.f.node, rig.token, other));
	assert_int_not_equal(strcmp(text, other), 0);
	/* Not in its tail either. */
	assert_int_not_equal(strcmp(text + 240, other + 240), 0);
	rig_done(&rig);
}

/* ---- statuses ---- */

static void test_out_of_order(void **state)
{
	struct rig rig;

	rig_open(&rig);
	assert_int_equal(pull_task(&rig, 77), OUTCOME_FAILED_PRECONDITION);
	assert_int_equal(begin_error(&rig), OUTCOME_FAILED_PRECONDITION);
	assert_int_equal(end(&rig, 1), OUTCOME_FAILED_PRECONDITION);
	offer(&rig);
	/* The token of an offer was shown to nobody. */
	assert_int_equal(pull_task(&rig, rig.f.token), OUTCOME_FAILED_PRECONDITION);
	assert_int_equal(claim(&rig, rig.message), OUTCOME_OK);
	assert_int_equal(pull_task(&rig, rig.token ^ 1), OUTCOME_INVALID_ARGUMENT);
	assert_int_equal(begin(&rig), OUTCOME_FAILED_PRECONDITION);
	assert_int_equal(end(&rig, 1), OUTCOME_FAILED_PRECONDITION);
	outputs_coming(rig.f.node, rig.token);
	assert_int_equal(pull_task(&rig, rig.token), OUTCOME_OK);
	assert_int_equal(end(&rig, 1), OUTCOME_FAILED_PRECONDITION);
	assert_null(reply_objects(rig.f.node, rig.token));
	assert_int_equal(begin_error(&rig), OUTCOME_OK);
	assert_null(reply_objects(rig.f.node, rig.token));
	assert_int_equal(end(&rig, 1), OUTCOME_OK);
	assert_int_equal(pull_task(&rig, rig.token), OUTCOME_FAILED_PRECONDITION);
	assert_int_equal(begin(&rig), OUTCOME_FAILED_PRECONDITION);
	assert_int_equal(end(&rig, 1), OUTCOME_FAILED_PRECONDITION);
	assert_null(instruction_of(rig.f.node, rig.token));
	outputs_coming(rig.f.node, rig.token);
	expect_error(&rig.f, 2, "raised");
	rig_done(&rig);
}

static void test_other_form(void **state)
{
	struct rig rig;

	rig_open(&rig);
	work(&rig);
	assert_int_equal(pull(&rig.f, rig.token), OUTCOME_INVALID_ARGUMENT);
	/* Nobody is let in for the sake of a task whose outputs come in another way. */
	assert_false(node_expects_outputs(rig.f.node));
	assert_int_equal(push(&rig.f, rig.token, "reply", 5), OUTCOME_FAILED_PRECONDITION);
	node_token_in_body(node_message_of(rig.f.node, rig.token));
	assert_true(node_expects_outputs(rig.f.node));
	assert_int_equal(push(&rig.f, rig.token, "reply", 5), OUTCOME_FAILED_PRECONDITION);
	assert_true(node_message_live(rig.f.node, rig.message));
	rig_done(&rig);
	rig_open(&rig);
	fixture_done(&rig.f);
	fixture_new(&rig.f, 1, 0);
	start_message(&rig.f, 100);
	rig.token = rig.f.action.token;
	assert_int_equal(pull_task(&rig, rig.token), OUTCOME_INVALID_ARGUMENT);
	assert_int_equal(pull(&rig.f, rig.token), OUTCOME_OK);
	assert_int_equal(begin_error(&rig), OUTCOME_INVALID_ARGUMENT);
	assert_int_equal(end(&rig, 1), OUTCOME_INVALID_ARGUMENT);
	assert_null(instruction_of(rig.f.node, rig.token));
	assert_null(reply_objects(rig.f.node, rig.token));
	assert_int_equal(pull(&rig.f, rig.token), OUTCOME_OK);
	rig_done(&rig);
}

/* A worker that has lost its connection asks again, until it has said that it has all. */
static void test_again(void **state)
{
	auto_(slices_done) struct slices first = {0};
	auto_(slices_done) struct slices second = {0};
	const struct held_message *instruction;
	struct rig rig;

	rig_open(&rig);
	work(&rig);
	get_context(&rig, &first);
	instruction = instruction_of(rig.f.node, rig.token);
	later(&rig.f, 1000);
	get_context(&rig, &second);
	assert_true(slices_equal(&first, &second));
	assert_ptr_equal(instruction_of(rig.f.node, rig.token), instruction);
	outputs_coming(rig.f.node, rig.token);
	outputs_coming(rig.f.node, rig.token);
	assert_int_equal(pull_task(&rig, rig.token), OUTCOME_FAILED_PRECONDITION);
	assert_true(node_message_live(rig.f.node, rig.message));
	assert_int_equal(begin_error(&rig), OUTCOME_OK);
	later(&rig.f, 1000);
	assert_int_equal(end(&rig, 0), OUTCOME_OK);
	expect(&rig.f, NODE_PUSH_REPLY);
	/* From the first pull. */
	assert_true(rig.f.action.runtime_s == 2);
	rig_done(&rig);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_ordinary_life),
		cmocka_unit_test(test_started),
		cmocka_unit_test(test_objects_come_late),
		cmocka_unit_test(test_run_of_a_task),
		cmocka_unit_test(test_objects_before_the_run),
		cmocka_unit_test(test_objects_do_not_come),
		cmocka_unit_test(test_objects_come_too_late),
		cmocka_unit_test(test_claim),
		cmocka_unit_test(test_token_text),
		cmocka_unit_test(test_token_of_the_lost),
		cmocka_unit_test(test_out_of_order),
		cmocka_unit_test(test_other_form),
		cmocka_unit_test(test_again),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
