/*
 * Objects of a message that is dropped, refused or answered while they are on their way, and of a
 * node that is lost or stopped.
 */
#include "sample.h"

static void unwanted_objects_are_confirmed(void **state)
{
	for (int waits = 0; waits < 2; waits++) {
		struct sample sample;
		struct rig *rig;

		sample_init(&sample, 12, 100);
		rig = rig_with_message(&sample);
		if (waits) {
			rig_answer_object(rig, rig_sent(rig, "PullObject"), NULL);
			rig_answer_objects(rig, &sample);
			assert_int_equal(object_set_missing(rig->objects), 1);
		}
		rig_drop_content(rig);
		if (waits)
			rig_pass(rig, 1000);
		else
			assert_int_equal(rig_out(rig, "PullObject"), 6);
		rig_answer_objects(rig, &sample);
		rig_pass(rig, 0);
		/* The node confirms the objects, so that the SuperLink need not keep them. */
		assert_non_null(rig_sent(rig, "ConfirmMessageReceived"));
		rig_answer(rig, rig_sent(rig, "ConfirmMessageReceived"), OUTCOME_OK, "", NULL);
		assert_int_equal(rig->contents, 0);
		assert_true(LIST_EMPTY(&rig->fleet->downloads));
		assert_int_equal(spool_memory_bytes(rig->spool), 0);
		rig_free(rig);
		sample_done(&sample);
	}
}

/* The owner is not told of a failure either. */
static void unwanted_objects_are_confirmed_after_a_failure(void **state)
{
	struct sample sample;
	struct rig *rig;

	sample_init(&sample, 6, 100);
	rig = rig_with_message(&sample);
	rig_answer_object_not_found(rig, rig_sent(rig, "PullObject"));
	rig_pass(rig, 0);
	rig_drop_content(rig);
	rig_answer_objects(rig, &sample);
	assert_non_null(rig_sent(rig, "ConfirmMessageReceived"));
	assert_int_equal(rig->contents, 0);
	rig_free(rig);
	sample_done(&sample);
}

/* Neither the outage nor the next call's tries are those of objects that are not wanted. */
static void objects_may_become_unwanted_while_calls_fail(void **state)
{
	const struct retry_policy one = {.max_retries = 1, .max_wait_ms = -1};
	struct sample sample;
	struct rig *rig = rig_new(&one);

	sample_init(&sample, 3, 100);
	rig->lacks = rig_lacks_c;
	rig_take_message(rig, &sample);
	rig_pass(rig, 20000);
	rig_fail(rig, "SendNodeHeartbeat", OUTCOME_UNAVAILABLE);
	while (rig_sent(rig, "PullObject"))
		rig_answer(rig, rig_sent(rig, "PullObject"), OUTCOME_UNAVAILABLE, "gone", NULL);
	rig_drop_content(rig);
	rig_pass(rig, 500);
	assert_int_equal(rig_lines(rig, "answers now"), 0);
	rig_answer_ping(rig, true);
	assert_int_equal(rig_lines(rig, "answers now, after 0.5 s"), 1);
	/* The first failure of this call is not its last. */
	rig_fail(rig, "ConfirmMessageReceived", OUTCOME_DEADLINE_EXCEEDED);
	rig_pass(rig, 500);
	rig_answer(rig, rig_sent(rig, "ConfirmMessageReceived"), OUTCOME_OK, "", NULL);
	assert_int_equal(rig->over, 0);
	rig_free(rig);
	sample_done(&sample);
}

/* The objects are not asked for; the SuperLink need not keep them. */
static void a_message_may_be_answered_as_it_comes(void **state)
{
	struct sample sample;
	struct rig *rig = rig_new(NULL);

	sample_init(&sample, 3, 100);
	rig->lacks = rig_lacks_c;
	rig->push_in_message = true;
	rig_register(rig);
	for (unsigned messages = 1; messages <= 2; messages++) {
		rig_answer_pull_tree(rig, &sample.tree);
		assert_int_equal(rig->messages, messages);
		rig_pass(rig, 0);
		assert_null(rig_sent(rig, "PullObject"));
		assert_int_equal(sample_index(&sample, rig_sent(rig, "ConfirmMessageReceived")),
			sample.n - 1);
		rig_answer(rig, rig_sent(rig, "ConfirmMessageReceived"), OUTCOME_OK, "", NULL);
		rig_answer_push(rig, "message-1");
		assert_int_equal(rig->ends, messages);
		rig_pass(rig, 100);
	}
	assert_int_equal(rig->contents, 0);
	assert_true(LIST_EMPTY(&rig->fleet->downloads));
	/* A message that is not answered has its objects. */
	rig->push_in_message = false;
	rig_answer_pull_tree(rig, &sample.tree);
	rig_pass(rig, 0);
	rig_answer_objects(rig, &sample);
	assert_int_equal(rig->contents, 1);
	assert_int_equal(rig->content_outcome, OUTCOME_OK);
	rig_free(rig);
	sample_done(&sample);
}

static void a_node_may_be_lost_while_objects_are_stored(void **state)
{
	for (int stop = 0; stop < 2; stop++) {
		struct sample sample;
		struct rig *rig;

		sample_init(&sample, 4, 100);
		rig = rig_with_message(&sample);
		rig->hold_jobs = true;
		for (int i = 0; i < 2; i++) {
			struct rig_call *handle = rig_sent(rig, "PullObject");

			rig_answer_object(rig, handle, &sample.bytes[i]);
		}
		rig_pass(rig, 20000);
		if (stop) {
			fleet_stop(rig->fleet, rig_stopped, rig);
		} else {
			rig_answer_ping(rig, false);
			assert_int_equal(rig->lost, 1);
		}
		rig_pass(rig, 0);
		rig_answer_cancelled(rig);
		rig_pass(rig, 100);
		/* Not before what is being kept is home. */
		assert_null(rig->out);
		rig->hold_jobs = false;
		rig_pass(rig, 0);
		assert_non_null(rig_sent(rig, stop ? "DeactivateNode" : "RegisterNode"));
		assert_int_equal(rig->contents, 0);
		rig_free(rig);
		sample_done(&sample);
	}
}

static void a_node_may_be_stopped_while_an_object_is_waited_for(void **state)
{
	struct sample sample;
	struct rig *rig;

	sample_init(&sample, 1, 100);
	rig = rig_with_message(&sample);
	rig_answer_object(rig, rig_sent(rig, "PullObject"), NULL);
	rig_answer_objects(rig, &sample);
	rig->wants = true;
	fleet_poke(rig->fleet);
	rig_pass(rig, 100);
	rig_answer_object(rig, rig_sent(rig, "PullObject"), NULL);
	assert_non_null(rig_sent(rig, "PullMessages"));
	fleet_stop(rig->fleet, rig_stopped, rig);
	rig_pass(rig, 0);
	assert_true(LIST_EMPTY(&rig->fleet->downloads));
	assert_int_equal(rig->contents, 0);
	rig_free(rig);
	sample_done(&sample);
}

/* The message is answered, whatever becomes of its objects. */
static void a_message_of_objects_may_come_while_stopping(void **state)
{
	for (int no_use = 0; no_use < 2; no_use++) {
		struct sample sample;
		struct rig *rig = rig_new(NULL);

		sample_init(&sample, 3, 100);
		rig->lacks = rig_lacks_c;
		rig->no_use = no_use;
		rig->push_in_message = !no_use;
		rig_register(rig);
		fleet_stop(rig->fleet, rig_stopped, rig);
		rig_answer_pull_tree(rig, &sample.tree);
		assert_int_equal(rig->messages, 1);
		rig_pass(rig, 0);
		assert_null(rig_sent(rig, "PullObject"));
		if (!no_use) {
			rig_answer_push(rig, "message-1");
			assert_int_equal(rig->outcome, OUTCOME_OK);
			rig_pass(rig, 0);
			rig_answer_cancelled(rig);
			rig_pass(rig, 0);
		}
		assert_non_null(rig_sent(rig, "DeactivateNode"));
		assert_int_equal(rig->contents, 0);
		rig_free(rig);
		sample_done(&sample);
	}
}

static void messages_with_broken_trees_are_refused(void **state)
{
	/* ObjectTree {object_id = "abc"}, which is no id. */
	static const char junk[] = "\x0a\x03"
				   "abc";
	auto_(slices_done) struct slices broken = {0};
	struct rig *rig = rig_new(NULL);

	rig->lacks = rig_lacks_c;
	rig_register(rig);
	rig_answer_pull_tree(rig, NULL);
	assert_int_equal(rig->messages, 1);
	assert_null(rig->objects);
	assert_string_equal(rig->refused, "the message came without a tree of its objects");
	rig_pass(rig, 100);
	assert_int_equal(slices_append_copy(&broken, junk, sizeof junk - 1), 0);
	rig_answer_pull_tree(rig, &broken);
	assert_int_equal(rig->messages, 2);
	assert_null(rig->objects);
	print_message("%s\n", rig->refused);
	assert_true(strlen(rig->refused) > 10);
	rig_pass(rig, 1000);
	assert_null(rig_sent(rig, "PullObject"));
	assert_int_equal(rig->contents, 0);
	rig_free(rig);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(unwanted_objects_are_confirmed),
		cmocka_unit_test(unwanted_objects_are_confirmed_after_a_failure),
		cmocka_unit_test(objects_may_become_unwanted_while_calls_fail),
		cmocka_unit_test(a_message_may_be_answered_as_it_comes),
		cmocka_unit_test(a_node_may_be_lost_while_objects_are_stored),
		cmocka_unit_test(a_node_may_be_stopped_while_an_object_is_waited_for),
		cmocka_unit_test(a_message_of_objects_may_come_while_stopping),
		cmocka_unit_test(messages_with_broken_trees_are_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
