#include "common/message/parts.h"
#include "fleet.pb-c.h"
#include "rig.h"

static struct held_message reply = {.envelope = {
					    .metadata = RIG_REPLY_METADATA,
					    .has_error = true,
					    .error_code = 2,
					    .error_reason = (char *)"it raised",
				    }};

static struct rig *online(const struct retry_policy *policy)
{
	struct rig *rig = rig_new(policy);

	rig->wants = false;
	rig_register(rig);
	return rig;
}

static int begin(struct rig *rig, const char *method)
{
	if (strcmp(method, "GetRun") == 0)
		return fleet_get_run(rig->fleet, 7, rig_run_done, rig);
	if (strcmp(method, "GetFab") == 0)
		return fleet_get_fab(rig->fleet, 7, "abc", rig_fab_done, rig);
	return rig_push(rig, 5, &reply, 0.5);
}

static const char *const methods[] = {"GetRun", "GetFab", "PushMessages"};

static void every_outcome_of_every_call_is_retried_or_final(void **state)
{
	for (size_t i = 0; i < ARRAY_LEN(methods); i++)
		for (int outcome = OUTCOME_OK + 1; outcome < OUTCOME_N; outcome++) {
			bool content = i > 0;
			bool again = retry_again((enum outcome)outcome, content);
			struct rig *rig = online(NULL);

			assert_int_equal(begin(rig, methods[i]), 0);
			assert_null(rig_sent(rig, methods[i]));
			rig_pass(rig, 0);
			assert_int_equal(
				rig_sent(rig, methods[i])->timeout_ms, content ? 0 : 30000);
			rig_answer(rig, rig_sent(rig, methods[i]), (enum outcome)outcome,
				"of the test", NULL);
			rig_pass(rig, 0);
			assert_int_equal(rig->ends, !again);
			if (outcome == OUTCOME_UNAUTHENTICATED) {
				assert_int_equal(rig->lost, 1);
				assert_int_equal(rig->outcome, OUTCOME_CANCELLED);
			} else if (!again) {
				assert_int_equal(rig->outcome, outcome);
				assert_string_equal(rig->details, "of the test");
			}
			rig_pass(rig, 500);
			assert_int_equal(rig_sent(rig, methods[i]) != NULL, again);
			assert_int_equal(rig->over, 0);
			rig_free(rig);
		}
}

/* A SuperLink that stood still looks at signatures that were young when they were made. */
static void a_late_refusal_counts_the_second_time(void **state)
{
	for (size_t i = 0; i < ARRAY_LEN(methods); i++)
		for (int again = 0; again < 2; again++) {
			char signed_at[CLOCK_ISO8601_BYTES];
			struct rig *rig = online(NULL);

			assert_int_equal(begin(rig, methods[i]), 0);
			rig_pass(rig, 0);
			snprintf(signed_at, sizeof signed_at, "%s",
				rig_sent(rig, methods[i])->signed_at);
			rig_pass(rig, AUTH_REUSE_ERA_A_MS + 1);
			rig_answer(rig, rig_sent(rig, methods[i]), OUTCOME_UNAUTHENTICATED,
				"Invalid timestamp", NULL);
			rig_pass(rig, 0);
			assert_int_equal(rig->lost, 0);
			assert_string_not_equal(rig_sent(rig, methods[i])->signed_at, signed_at);
			if (again)
				rig_pass(rig, AUTH_REUSE_ERA_A_MS + 1);
			rig_fail(rig, methods[i], OUTCOME_UNAUTHENTICATED);
			assert_int_equal(rig->lost, 1);
			rig_free(rig);
		}
}

static void a_try_again_sends_the_same(void **state)
{
	for (size_t i = 0; i < ARRAY_LEN(methods); i++) {
		auto_(slices_done) struct slices first = {0};
		struct rig *rig = online(NULL);

		assert_int_equal(begin(rig, methods[i]), 0);
		rig_pass(rig, 0);
		assert_int_equal(slices_append_refs(&first, &rig_sent(rig, methods[i])->body), 0);
		assert_true(first.bytes > 0);
		rig_answer(rig, rig_sent(rig, methods[i]), OUTCOME_UNAVAILABLE, "", NULL);
		rig_pass(rig, 500);
		assert_true(slices_equal(&first, &rig_sent(rig, methods[i])->body));
		rig_free(rig);
	}
}

static void the_outcome_of_the_last_try_counts(void **state)
{
	struct retry_policy one = {.max_retries = 1, .max_wait_ms = -1};

	for (size_t i = 0; i < ARRAY_LEN(methods); i++)
		for (int gone = 0; gone < 2; gone++) {
			enum outcome outcome = gone ? OUTCOME_UNAVAILABLE : OUTCOME_UNKNOWN;
			struct rig *rig = online(&one);

			assert_int_equal(begin(rig, methods[i]), 0);
			for (int try = 0; try < 2; try++) {
				assert_int_equal(rig->ends, 0);
				rig_pass(rig, 500);
				rig_answer(rig, rig_sent(rig, methods[i]), outcome, "no", NULL);
			}
			assert_int_equal(rig->ends, 1);
			assert_int_equal(rig->outcome, outcome);
			/* Without a connection the node itself is done for. */
			assert_int_equal(rig->over, gone);
			rig_free(rig);
		}
}

/* How many tries of each method the SuperLink may answer oddly. */
static const int odd_tries[ARRAY_LEN(methods)] = {3, 3, 5};

/* A SuperLink says by UNKNOWN and INTERNAL that it cannot do it, sooner or later for good. */
static void odd_outcomes_become_final(void **state)
{
	for (size_t i = 0; i < ARRAY_LEN(methods); i++)
		for (int first = 0; first < 2; first++) {
			struct rig *rig = online(NULL);
			enum outcome outcome = OUTCOME_OK;

			assert_int_equal(begin(rig, methods[i]), 0);
			rig_pass(rig, 0);
			for (int try = 0; try < odd_tries[i]; try++) {
				assert_int_equal(rig->ends, 0);
				outcome = (try + first) % 2 ? OUTCOME_UNKNOWN : OUTCOME_INTERNAL;
				rig_answer(rig, rig_sent(rig, methods[i]), outcome, "odd", NULL);
				rig_pass(rig, 20000);
			}
			assert_int_equal(rig->ends, 1);
			assert_int_equal(rig->outcome, outcome);
			assert_string_equal(rig->details, "odd");
			assert_null(rig_sent(rig, methods[i]));
			/* Only this call is given up. */
			assert_int_equal(rig->over, 0);
			assert_int_equal(rig->lost, 0);
			rig_free(rig);
		}
}

/* Other failures neither count as odd ones nor make them forgotten. */
static void only_odd_outcomes_count(void **state)
{
	static const enum outcome others[] = {
		OUTCOME_UNAVAILABLE, OUTCOME_DEADLINE_EXCEEDED, OUTCOME_CANCELLED};

	for (size_t i = 0; i < ARRAY_LEN(methods); i++) {
		struct rig *rig = online(NULL);

		assert_int_equal(begin(rig, methods[i]), 0);
		rig_pass(rig, 0);
		for (int try = 0; try < odd_tries[i]; try++) {
			for (size_t j = 0; j < ARRAY_LEN(others); j++) {
				rig_answer(rig, rig_sent(rig, methods[i]), others[j], "no", NULL);
				rig_pass(rig, 20000);
			}
			assert_int_equal(rig->ends, 0);
			rig_answer(rig, rig_sent(rig, methods[i]), OUTCOME_UNKNOWN, "odd", NULL);
			rig_pass(rig, 20000);
		}
		assert_int_equal(rig->ends, 1);
		assert_int_equal(rig->outcome, OUTCOME_UNKNOWN);
		rig_free(rig);
	}
}

/* An error that the owner sends instead of a reply, which the SuperLink cannot take, has all its
 * tries. */
static void an_error_instead_of_a_reply_has_all_its_tries(void **state)
{
	auto_(envelope_done) struct envelope pushed = {0};
	struct rig *rig = online(NULL);

	assert_int_equal(begin(rig, "PushMessages"), 0);
	for (int try = 0; try < 5; try++) {
		rig_pass(rig, 20000);
		rig_answer(rig, rig_sent(rig, "PushMessages"), OUTCOME_UNKNOWN, "odd", NULL);
	}
	assert_int_equal(rig->ends, 1);
	assert_int_equal(begin(rig, "PushMessages"), 0);
	for (int try = 0; try < 4; try++) {
		rig_pass(rig, 20000);
		rig_answer(rig, rig_sent(rig, "PushMessages"), OUTCOME_UNKNOWN, "odd", NULL);
	}
	assert_int_equal(rig->ends, 1);
	rig_pass(rig, 20000);
	rig_pushed(rig, &pushed);
	assert_true(pushed.has_error);
	assert_string_equal(pushed.metadata.reply_to_message_id, "message-1");
	rig_answer_push(rig, "3c2e");
	assert_int_equal(rig->ends, 2);
	assert_int_equal(rig->outcome, OUTCOME_OK);
	assert_int_equal(rig->number, 5);
	rig_free(rig);
}

static void a_run_is_fetched_or_not_found(void **state)
{
	struct run run = {.run_id = 7,
		.fab_id = (char *)"a/b",
		.fab_version = (char *)"1",
		.fab_hash = (char *)"cafe"};
	Flwr__GetRunResponse response = FLWR__GET_RUN_RESPONSE__INIT;
	auto_(slices_done) struct slices bytes = {0};
	struct slices broken = {0};
	struct rig *rig = online(NULL);

	assert_int_equal(run_encode(&run, &bytes), 0);
	part_set(&response, run, &bytes);
	assert_int_equal(begin(rig, "GetRun"), 0);
	rig_pass(rig, 0);
	rig_answer_with(rig, "GetRun", &response);
	assert_int_equal(rig->outcome, OUTCOME_OK);
	assert_int_equal(rig->number, 7);
	assert_string_equal(rig->fab_hash, "cafe");
	/* A run that is not known there. */
	assert_int_equal(begin(rig, "GetRun"), 0);
	rig_pass(rig, 0);
	rig_answer(rig, rig_sent(rig, "GetRun"), OUTCOME_OK, "", NULL);
	assert_int_equal(rig->ends, 2);
	assert_int_equal(rig->outcome, OUTCOME_NOT_FOUND);
	/* The run of the answer is cut off. */
	assert_int_equal(begin(rig, "GetRun"), 0);
	rig_pass(rig, 0);
	assert_int_equal(slices_append_copy(&broken, "\x0a\x7f", 2), 0);
	rig_answer(rig, rig_sent(rig, "GetRun"), OUTCOME_OK, "", &broken);
	assert_int_equal(rig->ends, 3);
	assert_int_equal(rig->outcome, OUTCOME_INTERNAL);
	rig_free(rig);
}

static void a_fab_is_fetched(void **state)
{
	Flwr__GetFabResponse response = FLWR__GET_FAB_RESPONSE__INIT;
	auto_(slices_done) struct slices content = {0}, bytes = {0};
	struct rig *rig = online(NULL);

	assert_int_equal(slices_append_copy(&content, "PK-something", 12), 0);
	assert_int_equal(fab_encode("abc", &content, &bytes), 0);
	part_set(&response, fab, &bytes);
	assert_int_equal(begin(rig, "GetFab"), 0);
	rig_pass(rig, 0);
	rig_answer_with(rig, "GetFab", &response);
	assert_int_equal(rig->outcome, OUTCOME_OK);
	assert_int_equal(rig->content_bytes, 12);
	rig_free(rig);
}

/* Flower says it with the status of a run that is over, and a number of its own. */
static void a_missing_fab_is_told_from_a_run_that_is_over(void **state)
{
	struct rig *rig = online(NULL);

	assert_int_equal(begin(rig, "GetFab"), 0);
	rig_pass(rig, 0);
	rig->code = 2009;
	rig_fail(rig, "GetFab", OUTCOME_PERMISSION_DENIED);
	assert_int_equal(rig->outcome, OUTCOME_NOT_FOUND);
	assert_int_equal(begin(rig, "GetFab"), 0);
	rig_pass(rig, 0);
	rig->code = 2007;
	rig_fail(rig, "GetFab", OUTCOME_PERMISSION_DENIED);
	assert_int_equal(rig->outcome, OUTCOME_PERMISSION_DENIED);
	rig_free(rig);
}

static void a_pushed_reply_is_followed_by_a_poll(void **state)
{
	struct rig *rig = online(NULL);
	auto_(envelope_done) struct envelope pushed = {0};

	rig_pass(rig, 15000);
	assert_int_equal(begin(rig, "PushMessages"), 0);
	rig_pass(rig, 0);
	rig_pushed(rig, &pushed);
	assert_string_equal(pushed.error_reason, "it raised");
	rig->wants = true;
	rig_answer_push(rig, "3c2e");
	assert_int_equal(rig->outcome, OUTCOME_OK);
	assert_int_equal(rig->number, 5);
	assert_int_equal(rig_warnings(rig), 0);
	/* At once. */
	rig_pass(rig, 0);
	assert_non_null(rig_sent(rig, "PullMessages"));
	rig_free(rig);
}

static void a_reply_that_is_dropped_counts_as_delivered(void **state)
{
	struct rig *rig = online(NULL);
	struct slices junk = {0};

	assert_int_equal(begin(rig, "PushMessages"), 0);
	rig_pass(rig, 0);
	rig_answer_push(rig, "None");
	assert_int_equal(rig->outcome, OUTCOME_OK);
	assert_int_equal(rig_lines(rig, "dropped the reply"), 1);
	/* The reply is delivered, though the results of the answer are cut off. */
	assert_int_equal(begin(rig, "PushMessages"), 0);
	rig_pass(rig, 0);
	assert_int_equal(slices_append_copy(&junk, "\x12\x7f", 2), 0);
	rig_answer(rig, rig_sent(rig, "PushMessages"), OUTCOME_OK, "", &junk);
	assert_int_equal(rig->outcome, OUTCOME_OK);
	assert_int_equal(rig->ends, 2);
	rig_free(rig);
}

static void a_stop_cancels_all_calls(void **state)
{
	for (size_t i = 0; i < ARRAY_LEN(methods); i++) {
		struct rig *rig = online(NULL);

		/* Three calls: one is out, one waits for its next try, one has not begun. */
		assert_int_equal(begin(rig, methods[i]), 0);
		rig_pass(rig, 0);
		rig_answer(rig, rig_sent(rig, methods[i]), OUTCOME_UNAVAILABLE, "", NULL);
		assert_int_equal(begin(rig, methods[i]), 0);
		rig_pass(rig, 0);
		assert_int_equal(begin(rig, methods[i]), 0);
		fleet_stop(rig->fleet, rig_stopped, rig);
		assert_int_equal(rig->ends, 0);
		rig_pass(rig, 0);
		assert_int_equal(rig->ends, 2);
		assert_null(rig_sent(rig, "DeleteNode"));
		rig_answer_cancelled(rig);
		assert_int_equal(rig->ends, 3);
		assert_int_equal(rig->outcome, OUTCOME_CANCELLED);
		rig_pass(rig, 0);
		assert_non_null(rig_sent(rig, "DeleteNode"));
		/* Too late. */
		assert_int_equal(begin(rig, methods[i]), 0);
		rig_pass(rig, 0);
		assert_int_equal(rig->ends, 4);
		assert_int_equal(rig->outcome, OUTCOME_CANCELLED);
		rig_free(rig);
	}
}

/* The answer says OK, but not what else: a reply is delivered then, while a run or a FAB that was
 * asked for did not come. */
static void an_answer_that_cannot_be_unpacked_is_odd_but_to_a_reply(void **state)
{
	for (size_t i = 0; i < ARRAY_LEN(methods); i++) {
		bool push = i == 2;
		struct rig *rig = online(NULL);

		assert_int_equal(begin(rig, methods[i]), 0);
		rig_pass(rig, 0);
		rig->unreadable = true;
		rig_answer(rig, rig_sent(rig, methods[i]), OUTCOME_OK, "of another name", NULL);
		assert_int_equal(rig->ends, push);
		assert_int_equal(rig_lines(rig, "taken as delivered"), push);
		assert_int_equal(rig_lines(rig, "INTERNAL \"of another name\""), !push);
		rig_pass(rig, 500);
		assert_int_equal(rig_sent(rig, methods[i]) != NULL, !push);
		rig_free(rig);
	}
}

static void an_answer_to_a_reply_may_be_too_large(void **state)
{
	struct rig *rig = online(NULL);

	assert_int_equal(begin(rig, "PushMessages"), 0);
	rig_pass(rig, 0);
	rig->too_large = true;
	rig_answer(rig, rig_sent(rig, "PushMessages"), OUTCOME_RESOURCE_EXHAUSTED, "", NULL);
	assert_int_equal(rig->ends, 1);
	assert_int_equal(rig->outcome, OUTCOME_OK);
	assert_int_equal(rig_lines(rig, "taken as delivered"), 1);
	rig_free(rig);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_outcome_of_every_call_is_retried_or_final),
		cmocka_unit_test(a_late_refusal_counts_the_second_time),
		cmocka_unit_test(a_try_again_sends_the_same),
		cmocka_unit_test(the_outcome_of_the_last_try_counts),
		cmocka_unit_test(odd_outcomes_become_final),
		cmocka_unit_test(only_odd_outcomes_count),
		cmocka_unit_test(an_error_instead_of_a_reply_has_all_its_tries),
		cmocka_unit_test(a_run_is_fetched_or_not_found),
		cmocka_unit_test(a_fab_is_fetched),
		cmocka_unit_test(a_missing_fab_is_told_from_a_run_that_is_over),
		cmocka_unit_test(a_pushed_reply_is_followed_by_a_poll),
		cmocka_unit_test(a_reply_that_is_dropped_counts_as_delivered),
		cmocka_unit_test(a_stop_cancels_all_calls),
		cmocka_unit_test(an_answer_that_cannot_be_unpacked_is_odd_but_to_a_reply),
		cmocka_unit_test(an_answer_to_a_reply_may_be_too_large),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
