#include "sample.h"

#include "common/message/object_calls_codec.h"

#define MIB (1 << 20)

static const struct slices nothing;

/* A SuperLink that says nothing is asked again: no content is lost with the call. */
static void test_a_poll_that_is_not_answered(void **state)
{
	struct rig *rig = rig_new(NULL);

	rig->lacks = rig_lacks_c;
	rig_register(rig);
	assert_int_equal(rig_sent(rig, "PullMessages")->timeout_ms, 300000);
	rig_fail(rig, "PullMessages", OUTCOME_DEADLINE_EXCEEDED);
	assert_int_equal(rig_warnings(rig), 1);
	rig_pass(rig, 5000);
	assert_non_null(rig_sent(rig, "PullMessages"));
	rig_free(rig);
}

/* Told once; the SuperLink was told once, too. */
static void ends(struct rig *rig, const struct sample *sample, enum outcome outcome)
{
	rig_pass(rig, 0);
	assert_int_equal(rig->contents, 1);
	assert_int_equal(rig->content_outcome, outcome);
	assert_null(rig_sent(rig, "PullObject"));
	assert_int_equal(
		sample_index(sample, rig_sent(rig, "ConfirmMessageReceived")), sample->n - 1);
	rig_answer(rig, rig_sent(rig, "ConfirmMessageReceived"), OUTCOME_OK, "", NULL);
	rig_pass(rig, 15000);
	assert_null(rig_sent(rig, "ConfirmMessageReceived"));
	assert_null(rig_sent(rig, "PullObject"));
	assert_int_equal(rig->contents, 1);
	assert_int_equal(rig->lost + rig->over, 0);
	rig_free(rig);
}

static void test_all_in_their_order(void **state)
{
	struct rig_call *handle;
	struct sample sample;
	struct rig *rig;
	size_t next = 0;

	sample_init(&sample, 20, 1000);
	rig = rig_with_message(&sample);
	while ((handle = rig_sent(rig, "PullObject"))) {
		assert_int_equal(handle->timeout_ms, 0);
		assert_int_equal(sample_index(&sample, handle), next);
		/* Each may be as large as the release makes them. */
		if (next < 15)
			assert_int_equal(rig_out(rig, "PullObject"), 6);
		assert_int_equal(rig->contents, 0);
		rig_answer_object(rig, handle, &sample.bytes[next++]);
		rig_pass(rig, 0);
	}
	assert_int_equal(next, sample.n);
	assert_int_equal(object_set_missing(rig->objects), 0);
	assert_int_equal(rig_warnings(rig), 0);
	ends(rig, &sample, OUTCOME_OK);
	sample_done(&sample);
}

/* End a call as a transport does when the answer is larger than its bound. */
static void answer_too_large(struct rig *rig, struct rig_call *handle)
{
	rig->too_large = true;
	rig_answer(rig, handle, OUTCOME_RESOURCE_EXHAUSTED, "of the test", NULL);
	rig_pass(rig, 0);
}

/* Larger than SuperLinks of this release make them: asked for once more, alone, as large as any may
 * be. */
static void test_a_larger_one_is_asked_for_alone(void **state)
{
	const uint64_t usual = (5 * MIB) + (64 << 10);
	struct rig_call *handle;
	struct sample sample;
	struct rig *rig;

	sample_init(&sample, 4, 1000);
	rig = rig_with_message(&sample);
	handle = rig_sent(rig, "PullObject");
	assert_int_equal(handle->answer_max_bytes, usual);
	answer_too_large(rig, handle);
	while ((handle = rig_sent(rig, "PullObject"))->answer_max_bytes == usual) {
		size_t index = sample_index(&sample, handle);

		assert_true(index > 0);
		rig_answer_object(rig, handle, &sample.bytes[index]);
		rig_pass(rig, 0);
	}
	assert_int_equal(sample_index(&sample, handle), 0);
	assert_int_equal(handle->answer_max_bytes, FLEET_OBJECT_ANSWER_BYTES);
	assert_int_equal(rig_out(rig, "PullObject"), 1);
	rig_answer_object(rig, handle, &sample.bytes[0]);
	rig_pass(rig, 0);
	while ((handle = rig_sent(rig, "PullObject"))) {
		rig_answer_object(rig, handle, &sample.bytes[sample_index(&sample, handle)]);
		rig_pass(rig, 0);
	}
	ends(rig, &sample, OUTCOME_OK);
	sample_done(&sample);
}

static void test_one_that_is_too_large_ends_the_message(void **state)
{
	struct rig_call *handle;
	struct sample sample;
	struct rig *rig;

	sample_init(&sample, 1, 1000);
	rig = rig_with_message(&sample);
	while ((handle = rig_sent(rig, "PullObject")) &&
		handle->answer_max_bytes < FLEET_OBJECT_ANSWER_BYTES)
		answer_too_large(rig, handle);
	assert_non_null(handle);
	answer_too_large(rig, handle);
	while ((handle = rig_sent(rig, "PullObject"))) {
		rig_answer_object(rig, handle, &sample.bytes[sample_index(&sample, handle)]);
		rig_pass(rig, 0);
	}
	assert_non_null(strstr(rig->content_details, "larger"));
	ends(rig, &sample, OUTCOME_RESOURCE_EXHAUSTED);
	sample_done(&sample);
}

/* The budget counts downloads that are on their way; they leave a quarter of it free. */
static void test_objects_on_their_way_are_in_the_budget(void **state)
{
	const uint64_t usual = (5 * MIB) + (64 << 10);
	struct sample sample;
	struct rig *rig = rig_new(NULL);

	sample_init(&sample, 20, 1000);
	rig->lacks = rig_lacks_c;
	budget_init(&rig->budget, 16 * MIB);
	rig->fleet->options.budget = &rig->budget;
	rig_take_message(rig, &sample);
	assert_int_equal(rig_out(rig, "PullObject"), 2);
	assert_int_equal(rig->budget.used_bytes, 2 * usual);
	for (struct rig_call *handle; (handle = rig_sent(rig, "PullObject"));) {
		rig_answer_object(rig, handle, &sample.bytes[sample_index(&sample, handle)]);
		rig_pass(rig, 0);
		assert_true(rig->budget.used_bytes <= 3 * usual);
	}
	assert_int_equal(rig->budget.used_bytes, 0);
	ends(rig, &sample, OUTCOME_OK);

	/* Without room for one the message ends. */
	rig = rig_new(NULL);
	rig->lacks = rig_lacks_c;
	budget_init(&rig->budget, MIB);
	rig->fleet->options.budget = &rig->budget;
	rig_take_message(rig, &sample);
	assert_non_null(strstr(rig->content_details, "memory budget"));
	assert_int_equal(rig->over_budget, 1);
	ends(rig, &sample, OUTCOME_RESOURCE_EXHAUSTED);
	sample_done(&sample);
}

/* A worker of ours would refuse the message when all of it is there: no more of it is asked for.
 * Other workers may have more memory. */
static void test_a_message_over_the_budget_is_not_fetched(void **state)
{
	for (int own = 0; own < 2; own++) {
		struct rig_call *handle;
		struct sample sample;
		struct rig *rig = rig_new(NULL);

		sample_init(&sample, 8, 4 * MIB);
		rig->lacks = rig_lacks_c;
		budget_init(&rig->budget, 16 * MIB);
		rig->fleet->options.budget = &rig->budget;
		rig->fleet->options.own_workers = own;
		rig_take_message(rig, &sample);
		while ((handle = rig_sent(rig, "PullObject"))) {
			rig_answer_object(
				rig, handle, &sample.bytes[sample_index(&sample, handle)]);
			rig_pass(rig, 0);
		}
		assert_int_equal(rig->over_budget, own);
		assert_int_equal(object_set_missing(rig->objects) > 0, own);
		if (own)
			assert_non_null(strstr(rig->content_details,
				"the message takes more than 16777216 bytes when its arrays"));
		ends(rig, &sample, own ? OUTCOME_RESOURCE_EXHAUSTED : OUTCOME_OK);
		sample_done(&sample);
	}
}

/* There is room for one at a time: the one that waits gives its room to the next, and does not take
 * less than it may need while that is on its way. */
static void test_one_that_waits_in_a_small_budget(void **state)
{
	const uint64_t usual = (5 * MIB) + (64 << 10);
	struct rig_call *handle;
	struct sample sample;
	struct rig *rig = rig_new(NULL);

	sample_init(&sample, 3, 1000);
	rig->lacks = rig_lacks_c;
	budget_init(&rig->budget, 9 * MIB);
	rig->fleet->options.budget = &rig->budget;
	rig_take_message(rig, &sample);
	assert_int_equal(rig_out(rig, "PullObject"), 1);
	handle = rig_sent(rig, "PullObject");
	assert_int_equal(sample_index(&sample, handle), 0);
	rig_answer_object(rig, handle, NULL);
	rig_pass(rig, 100);
	handle = rig_sent(rig, "PullObject");
	assert_int_equal(sample_index(&sample, handle), 1);
	assert_int_equal(rig_out(rig, "PullObject"), 1);
	for (unsigned asked = 0; object_set_missing(rig->objects) && asked < 20; asked++) {
		for (; (handle = rig_sent(rig, "PullObject")); rig_pass(rig, 0)) {
			assert_int_equal(handle->answer_max_bytes, usual);
			rig_answer_object(
				rig, handle, &sample.bytes[sample_index(&sample, handle)]);
		}
		rig_pass(rig, 1000);
	}
	ends(rig, &sample, OUTCOME_OK);
	sample_done(&sample);
}

static void test_large_ones_are_fewer_at_a_time(void **state)
{
	struct sample sample;
	struct rig *rig;

	sample_init(&sample, 10, 10 * MIB);
	rig = rig_with_message(&sample);
	/* Five are out besides the first, of which three may be. */
	for (unsigned i = 0; i < 4; i++) {
		rig_answer_object(rig, rig_sent(rig, "PullObject"), &sample.bytes[i]);
		rig_pass(rig, 0);
		assert_int_equal(rig_out(rig, "PullObject"), i < 2 ? 5 - i : 3);
	}
	rig_answer_objects(rig, &sample);
	ends(rig, &sample, OUTCOME_OK);
	sample_done(&sample);
}

/* 1.20 - 1.22 make them of 20 MiB. */
static void test_those_of_old_releases_come_one_by_one(void **state)
{
	struct sample sample;
	struct rig *rig;

	sample_init(&sample, 3, 1000);
	rig = rig_with_message_of(&sample, rig_lacks_b);
	for (size_t i = 0; i < sample.n; i++) {
		assert_int_equal(rig_out(rig, "PullObject"), 1);
		rig_answer_object(rig, rig_sent(rig, "PullObject"), &sample.bytes[i]);
		rig_pass(rig, 0);
	}
	ends(rig, &sample, OUTCOME_OK);
	sample_done(&sample);
}

static void test_one_that_comes_later(void **state)
{
	static const int64_t waits_ms[] = {100, 200, 400, 800, 1600, 3200, 6400, 10000, 10000};
	struct rig_call *handle;
	struct sample sample;
	struct rig *rig;

	sample_init(&sample, 6, 100);
	rig = rig_with_message(&sample);
	handle = rig_sent(rig, "PullObject");
	rig_answer_object(rig, handle, NULL);
	/* The others need not wait. */
	rig_answer_objects(rig, &sample);
	assert_int_equal(object_set_missing(rig->objects), 1);
	for (size_t i = 0; i < ARRAY_LEN(waits_ms); i++) {
		rig_pass(rig, waits_ms[i] - 1);
		assert_null(rig_sent(rig, "PullObject"));
		rig_pass(rig, 1);
		assert_int_equal(sample_index(&sample, rig_sent(rig, "PullObject")), 0);
		rig_answer_object(rig, rig_sent(rig, "PullObject"),
			i + 1 < ARRAY_LEN(waits_ms) ? NULL : &sample.bytes[0]);
	}
	rig_pass(rig, 0);
	assert_int_equal(object_set_missing(rig->objects), 0);
	ends(rig, &sample, OUTCOME_OK);
	sample_done(&sample);
}

static void test_one_that_does_not_come(void **state)
{
	struct sample sample;
	struct rig *rig;

	sample_init(&sample, 0, 0);
	rig = rig_with_message(&sample);
	for (int i = 0; i < 1000 && !rig->contents; i++) {
		if (rig_sent(rig, "PullObject"))
			rig_answer_object(rig, rig_sent(rig, "PullObject"), NULL);
		if (rig_sent(rig, "SendNodeHeartbeat"))
			rig_answer_ping(rig, true);
		rig_pass(rig, 10000);
	}
	assert_non_null(strstr(rig->content_details, "within two hours"));
	ends(rig, &sample, OUTCOME_NOT_FOUND);
	sample_done(&sample);
}

static void test_one_that_is_lost(void **state)
{
	struct sample sample;
	struct rig *rig;

	sample_init(&sample, 6, 100);
	rig = rig_with_message(&sample);
	assert_int_equal(rig_out(rig, "PullObject"), 6);
	rig_answer_object_not_found(rig, rig_sent(rig, "PullObject"));
	rig_pass(rig, 0);
	/* No more are asked for; those that are out come home first. */
	assert_int_equal(rig_out(rig, "PullObject"), 5);
	assert_int_equal(rig->contents, 0);
	rig_answer_objects(rig, &sample);
	assert_non_null(strstr(rig->content_details, "lost an object"));
	ends(rig, &sample, OUTCOME_NOT_FOUND);
	sample_done(&sample);
}

/* One that had to wait is out again when another one fails: it must come home, once. */
static void test_a_failure_while_another_is_out_again(void **state)
{
	struct rig_call *again, *lost;
	struct sample sample;
	struct rig *rig;

	sample_init(&sample, 1, 100);
	rig = rig_with_message(&sample);
	lost = rig_sent(rig, "PullObject");
	again = lost->next->next ? lost->next : NULL;
	while (again && strcmp(again->method, "PullObject") != 0)
		again = again->next;
	assert_non_null(again);
	rig_answer_object(rig, again, NULL);
	rig_pass(rig, 1000);
	assert_int_equal(rig_out(rig, "PullObject"), 3);
	rig_answer_object_not_found(rig, lost);
	rig_pass(rig, 0);
	assert_int_equal(rig_out(rig, "PullObject"), 2);
	assert_int_equal(rig->contents, 0);
	rig_answer_objects(rig, &sample);
	ends(rig, &sample, OUTCOME_NOT_FOUND);
	sample_done(&sample);
}

/* The node does not wait for a waiting download when another one fails. */
static void test_a_failure_while_another_waits(void **state)
{
	struct sample sample;
	struct rig *rig;

	sample_init(&sample, 0, 100);
	rig = rig_with_message(&sample);
	rig_answer_object(rig, rig_sent(rig, "PullObject"), NULL);
	rig_answer_object_not_found(rig, rig_sent(rig, "PullObject"));
	ends(rig, &sample, OUTCOME_NOT_FOUND);
	sample_done(&sample);
}

static void test_one_that_is_another(void **state)
{
	for (int bad = 1; bad <= 3; bad++) {
		struct sample sample;
		struct rig *rig;

		sample_init(&sample, 3, 100);
		rig = rig_with_message(&sample);
		for (int i = 0; i < bad; i++) {
			struct rig_call *first = rig_sent(rig, "PullObject");

			while (sample_index(&sample, first) != 0)
				first = first->next;
			rig_answer_object(rig, first, i % 2 ? &nothing : &sample.bytes[1]);
			rig_pass(rig, 0);
		}
		rig_answer_objects(rig, &sample);
		assert_int_equal(rig_lines(rig, "is not what it is called"), bad < 3 ? bad : 2);
		if (bad == 3)
			assert_non_null(strstr(rig->content_details, "broken at the SuperLink"));
		ends(rig, &sample, bad < 3 ? OUTCOME_OK : OUTCOME_INTERNAL);
		sample_done(&sample);
	}
}

/* Workers of ours hash what is large; for others it is done here. */
static void test_a_large_one_that_is_another(void **state)
{
	for (int own = 0; own < 2; own++) {
		struct sample sample;
		struct rig *rig;

		sample_init(&sample, 2, OBJECT_SET_LARGE_BYTES);
		rig = rig_new(NULL);
		rig->lacks = rig_lacks_c;
		rig->fleet->options.own_workers = own;
		rig_take_message(rig, &sample);
		rig_answer_object(rig, rig_sent(rig, "PullObject"), &sample.bytes[1]);
		rig_pass(rig, 0);
		assert_int_equal(rig_lines(rig, "is not what it is called"), !own);
		rig_answer_objects(rig, &sample);
		ends(rig, &sample, OUTCOME_OK);
		sample_done(&sample);
	}
}

/* 1.25 stumbles over an object that is not there yet, however often it is asked. */
static void test_what_1_25_says_of_one_that_is_not_there_yet(void **state)
{
	struct sample sample;
	struct rig *rig;

	sample_init(&sample, 2, 100);
	rig = rig_with_message(&sample);
	for (int i = 0; i < 10; i++) {
		rig_answer(rig, rig_sent(rig, "PullObject"), OUTCOME_UNKNOWN,
			"Exception calling application: Both bytes_sent and bytes_recv cannot be "
			"zero for run 7",
			NULL);
		rig_pass(rig, 20000);
		assert_int_equal(rig->contents, 0);
		assert_non_null(rig_sent(rig, "PullObject"));
	}
	assert_int_equal(rig_warnings(rig), 0);
	rig_answer_objects(rig, &sample);
	ends(rig, &sample, OUTCOME_OK);
	sample_done(&sample);
}

static void test_taken_up_where_it_broke_off(void **state)
{
	struct sample sample;
	struct rig *rig;

	sample_init(&sample, 4, 100);
	rig = rig_with_message(&sample);
	rig_answer_object(rig, rig_sent(rig, "PullObject"), &sample.bytes[0]);
	rig_pass(rig, 0);
	while (rig_sent(rig, "PullObject"))
		rig_answer(rig, rig_sent(rig, "PullObject"), OUTCOME_UNAVAILABLE, "gone", NULL);
	rig_pass(rig, 500);
	assert_int_equal(rig_out(rig, "PullObject"), 5);
	for (size_t i = 1; i < sample.n; i++) {
		struct rig_call *handle = rig_sent(rig, "PullObject");

		assert_int_not_equal(sample_index(&sample, handle), 0);
		rig_answer_object(rig, handle, &sample.bytes[sample_index(&sample, handle)]);
	}
	assert_int_equal(rig_lines(rig, "PullObject failed: UNAVAILABLE"), 1);
	ends(rig, &sample, OUTCOME_OK);
	sample_done(&sample);
}

static void test_outcomes_that_are_final(void **state)
{
	static const enum outcome outcomes[] = {OUTCOME_PERMISSION_DENIED, OUTCOME_NOT_FOUND,
		OUTCOME_INVALID_ARGUMENT, OUTCOME_RESOURCE_EXHAUSTED, OUTCOME_UNIMPLEMENTED};

	for (size_t i = 0; i < ARRAY_LEN(outcomes); i++) {
		struct sample sample;
		struct rig *rig;

		sample_init(&sample, 2, 100);
		rig = rig_with_message(&sample);
		rig_answer(rig, rig_sent(rig, "PullObject"), outcomes[i], "so it is", NULL);
		rig_pass(rig, 0);
		rig_answer_objects(rig, &sample);
		assert_non_null(strstr(rig->content_details, "so it is"));
		ends(rig, &sample, outcomes[i]);
		sample_done(&sample);
	}
}

static void test_no_memory_to_ask(void **state)
{
	struct sample sample;
	struct rig *rig;

	sample_init(&sample, 3, 100);
	rig = rig_with_message(&sample);
	while (rig_sent(rig, "PullObject"))
		rig_answer(rig, rig_sent(rig, "PullObject"), OUTCOME_UNAVAILABLE, "", NULL);
	rig->fail_calls = 2;
	rig_pass(rig, 5000);
	rig_answer_objects(rig, &sample);
	ends(rig, &sample, OUTCOME_OK);
	sample_done(&sample);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_a_poll_that_is_not_answered),
		cmocka_unit_test(test_all_in_their_order),
		cmocka_unit_test(test_a_larger_one_is_asked_for_alone),
		cmocka_unit_test(test_one_that_is_too_large_ends_the_message),
		cmocka_unit_test(test_objects_on_their_way_are_in_the_budget),
		cmocka_unit_test(test_a_message_over_the_budget_is_not_fetched),
		cmocka_unit_test(test_one_that_waits_in_a_small_budget),
		cmocka_unit_test(test_large_ones_are_fewer_at_a_time),
		cmocka_unit_test(test_those_of_old_releases_come_one_by_one),
		cmocka_unit_test(test_one_that_comes_later),
		cmocka_unit_test(test_one_that_does_not_come),
		cmocka_unit_test(test_one_that_is_lost),
		cmocka_unit_test(test_a_failure_while_another_is_out_again),
		cmocka_unit_test(test_a_failure_while_another_waits),
		cmocka_unit_test(test_one_that_is_another),
		cmocka_unit_test(test_a_large_one_that_is_another),
		cmocka_unit_test(test_what_1_25_says_of_one_that_is_not_there_yet),
		cmocka_unit_test(test_taken_up_where_it_broke_off),
		cmocka_unit_test(test_outcomes_that_are_final),
		cmocka_unit_test(test_no_memory_to_ask),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
