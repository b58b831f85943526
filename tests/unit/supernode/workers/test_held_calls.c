/*
 * GetToken: who waits for a message, how long, and who is given its token.
 */
#include "common/message/worker_api.h"
#include "rig.h"

static void assert_waits(const struct call *call)
{
	assert_false(call->finished);
}

static void assert_refused(const struct call *call)
{
	assert_true(call->finished);
	assert_int_equal(call->outcome, OUTCOME_FAILED_PRECONDITION);
}

static void a_token_that_is_there_is_given_at_once(void **state)
{
	static const char *const waits[] = {NULL, "30000"};

	message_comes();
	message_to_node();
	for (size_t i = 0; i < ARRAY_LEN(waits); i++) {
		auto_(call_done) struct call call;

		rig.changes = 0;
		ask(&call, waits[i]);
		assert_given(&call, RIG_TOKEN + i);
		assert_int_equal(rig.held, RIG_TOKEN + i);
		/* Its time counts from now on: the owner has to know. */
		assert_int_equal(rig.changes, 1);
	}
}

static void who_does_not_say_that_he_waits_is_refused_at_once(void **state)
{
	static const char *const waits[] = {
		NULL, "", "0", "-5", "soon", "1e3", " 1000", "99999999999999999999999"};

	for (size_t i = 0; i < ARRAY_LEN(waits); i++) {
		auto_(call_done) struct call call;

		ask(&call, waits[i]);
		assert_refused(&call);
		assert_int_equal(rig.busy, 0);
	}
}

static void who_waits_is_given_the_token_of_the_message_that_comes(void **state)
{
	auto_(call_done) struct call call;

	ask(&call, "30000");
	assert_waits(&call);
	/* Meanwhile its connection is not idle. */
	assert_int_equal(rig.busy, 1);
	held_calls_offer(rig.held_calls);
	assert_waits(&call);
	message_comes();
	held_calls_offer(rig.held_calls);
	assert_given(&call, RIG_TOKEN);
	assert_int_equal(rig.held, RIG_TOKEN);
	assert_int_equal(rig.busy, 0);
	/* The time that it would have waited is over without a second answer. */
	time_passes(30000);
}

static void who_comes_first_is_given_first(void **state)
{
	auto_(call_done) struct call first;
	auto_(call_done) struct call second;
	auto_(call_done) struct call third;

	ask(&first, "30000");
	ask(&second, "20000");
	ask(&third, "30000");
	message_comes();
	held_calls_offer(rig.held_calls);
	assert_given(&first, RIG_TOKEN);
	assert_waits(&second);
	assert_waits(&third);
	message_to_node();
	held_calls_offer(rig.held_calls);
	assert_given(&second, RIG_TOKEN + 1);
	/* No slot is free: the third message is not offered. */
	message_to_node();
	held_calls_offer(rig.held_calls);
	assert_waits(&third);
	request_cancelled(&third.request);
}

static void an_offer_that_nobody_waits_for_stays(void **state)
{
	auto_(call_done) struct call call;

	message_comes();
	held_calls_offer(rig.held_calls);
	ask(&call, NULL);
	assert_given(&call, RIG_TOKEN);
}

/* The end of the caller's connection would not be known to be the token's. */
static void a_token_that_cannot_be_remembered_is_for_others(void **state)
{
	auto_(call_done) struct call first;
	auto_(call_done) struct call second;

	message_comes();
	rig.no_memory_to_hold = true;
	ask(&first, NULL);
	assert_int_equal(first.outcome, OUTCOME_RESOURCE_EXHAUSTED);
	assert_false(token_live(RIG_TOKEN));
	rig.no_memory_to_hold = false;
	ask(&second, NULL);
	assert_given(&second, RIG_TOKEN + 1);
}

static void who_has_waited_long_enough_is_refused(void **state)
{
	auto_(call_done) struct call first;
	auto_(call_done) struct call second;

	ask(&first, "30000");
	ask(&second, "10000");
	time_passes(9000);
	assert_waits(&second);
	time_passes(1000);
	assert_refused(&second);
	assert_waits(&first);
	assert_int_equal(rig.busy, 1);
	time_passes(19000);
	assert_waits(&first);
	time_passes(1000);
	assert_refused(&first);
	/* A message that comes now is for others. */
	message_comes();
	held_calls_offer(rig.held_calls);
	assert_int_equal(rig.held, 0);
}

static void nobody_waits_for_ever(void **state)
{
	auto_(call_done) struct call call;

	ask(&call, "18446744073709551615");
	time_passes(WORKER_API_WAIT_MAX_MS - 1000);
	assert_waits(&call);
	time_passes(1000);
	assert_refused(&call);
}

static void who_has_gone_is_given_nothing(void **state)
{
	auto_(call_done) struct call first;
	auto_(call_done) struct call second;

	ask(&first, "30000");
	ask(&second, "30000");
	request_cancelled(&first.request);
	assert_int_equal(rig.busy, 1);
	message_comes();
	held_calls_offer(rig.held_calls);
	assert_given(&second, RIG_TOKEN);
	assert_int_equal(first.body.n, 0);
	time_passes(30000);
}

/* The end of its connection is known before the end of its call. */
static void whose_connection_has_ended_is_given_nothing(void **state)
{
	auto_(call_done) struct call waits;
	auto_(call_done) struct call late;
	auto_(call_done) struct call other;

	ask(&waits, "30000");
	rig.gone = true;
	message_comes();
	held_calls_offer(rig.held_calls);
	assert_refused(&waits);
	ask(&late, NULL);
	assert_true(late.finished);
	assert_int_equal(late.outcome, OUTCOME_CANCELLED);
	rig.gone = false;
	ask(&other, NULL);
	assert_given(&other, RIG_TOKEN);
}

static void those_who_wait_are_bounded(void **state)
{
	enum { HELD_CALLS_MAX = 64 }; /* as in held_calls.c */
	struct call calls[HELD_CALLS_MAX + 2];

	for (size_t i = 0; i <= HELD_CALLS_MAX; i++)
		ask(&calls[i], "30000");
	assert_int_equal(rig.busy, HELD_CALLS_MAX);
	assert_waits(&calls[HELD_CALLS_MAX - 1]);
	assert_refused(&calls[HELD_CALLS_MAX]);
	/* Where one has gone, there is room for one. */
	request_cancelled(&calls[10].request);
	ask(&calls[HELD_CALLS_MAX + 1], "30000");
	assert_waits(&calls[HELD_CALLS_MAX + 1]);
	time_passes(30000);
	for (size_t i = 0; i < ARRAY_LEN(calls); i++) {
		if (i != 10)
			assert_refused(&calls[i]);
		call_done(&calls[i]);
	}
}

static void nobody_waits_when_it_stops(void **state)
{
	auto_(call_done) struct call first;
	auto_(call_done) struct call second;
	auto_(call_done) struct call late;

	ask(&first, "30000");
	ask(&second, "10000");
	held_calls_stop(rig.held_calls);
	assert_refused(&first);
	assert_refused(&second);
	ask(&late, "30000");
	assert_refused(&late);
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, rig_setup_offering, rig_teardown)
	const struct CMUnitTest tests[] = {
		TEST(a_token_that_is_there_is_given_at_once),
		TEST(who_does_not_say_that_he_waits_is_refused_at_once),
		TEST(who_waits_is_given_the_token_of_the_message_that_comes),
		TEST(who_comes_first_is_given_first),
		TEST(an_offer_that_nobody_waits_for_stays),
		TEST(a_token_that_cannot_be_remembered_is_for_others),
		TEST(who_has_waited_long_enough_is_refused),
		TEST(nobody_waits_for_ever),
		TEST(who_has_gone_is_given_nothing),
		TEST(whose_connection_has_ended_is_given_nothing),
		TEST(those_who_wait_are_bounded),
		TEST(nobody_waits_when_it_stops),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
