/*
 * One connection's share of the calls, and what the server's owner is told of calls that came to no
 * handler.
 */
#include "fixture.h"

/* A channel whose two ends know each other's limits. */
static struct rpc_channel *settled_channel(struct world *world, unsigned peer)
{
	struct rpc_channel *channel = world_channel(world, peer);
	struct answer answer = {0};

	call_run(world, channel, "Echo", body_of(1), &answer);
	assert_int_equal(answer.outcome, OUTCOME_OK);
	answer_done(&answer);
	return channel;
}

static void expect_works(struct world *world, struct rpc_channel *channel)
{
	struct answer answer = {0};

	call_run(world, channel, "Echo", body_of(1000), &answer);
	assert_int_equal(answer.outcome, OUTCOME_OK);
	answer_done(&answer);
}

/* More than a connection may have wait at the caller, and nobody else waits for them. */
static void test_more_calls_wait(void **state)
{
	struct world *world = *state;
	struct rpc_channel *channel = settled_channel(world, 0);
	struct rpc_channel *other = settled_channel(world, 1);
	struct request *requests[CONNECTION_CALLS_MAX];
	struct answer answers[CONNECTION_CALLS_MAX + 1] = {0};
	struct answer *last = &answers[CONNECTION_CALLS_MAX];

	for (int i = 0; i < CONNECTION_CALLS_MAX; i++) {
		call_start(channel, "Later", body_of(1), 0, &answers[i]);
		requests[i] = world_take_waiting(world);
	}
	call_start(channel, "Later", body_of(1), 0, last);
	for (int i = 0; i < 3; i++)
		expect_works(world, other);
	assert_null(world->waiting);
	assert_false(last->done);

	/* One place is enough. */
	reply_text(requests[0], "first");
	reply_text(world_take_waiting(world), "last");
	world_wait(world, &last->done);
	assert_answer(last, "last");
	world_wait(world, &answers[0].done);
	assert_false(answers[1].done);
	for (int i = 1; i < CONNECTION_CALLS_MAX; i++) {
		reply_text(requests[i], "");
		world_wait(world, &answers[i].done);
	}
	assert_int_equal(world->refusal.n, 0);
	for (size_t i = 0; i < ARRAY_LEN(answers); i++)
		answer_done(&answers[i]);
	rpc_channel_free(channel);
	rpc_channel_free(other);
}

/* Many connections of few calls each find the limit of them all. */
static void test_all_connections_together(void **state)
{
	struct world *world = *state;
	struct rpc_channel *channels[WORLD_PEERS];
	struct request *requests[CALLS_MAX];
	struct answer answers[CALLS_MAX] = {0}, one_more = {0};

	for (unsigned i = 0; i < WORLD_PEERS; i++)
		channels[i] = settled_channel(world, i);
	for (unsigned i = 0; i < CALLS_MAX; i++) {
		call_start(channels[i / CONNECTION_CALLS_MAX], "Later", body_of(1), 0, &answers[i]);
		requests[i] = world_take_waiting(world);
	}
	call_run(world, channels[3], "Echo", body_of(1), &one_more);
	assert_int_equal(one_more.outcome, OUTCOME_RESOURCE_EXHAUSTED);
	assert_string_equal(one_more.details, "too many calls at once");
	assert_int_equal(world->refusal.n, 1);
	assert_ptr_equal(world->refusal.peer, &world->peers[3]);
	for (unsigned i = 0; i < CALLS_MAX; i++) {
		reply_text(requests[i], "");
		world_wait(world, &answers[i].done);
		answer_done(&answers[i]);
	}
	answer_done(&one_more);
	for (unsigned i = 0; i < WORLD_PEERS; i++)
		rpc_channel_free(channels[i]);
}

/* One connection alone does not take all places. */
static void test_a_place_is_left_for_others(void **state)
{
	enum { SHARE = CALLS_MAX - 1 };
	struct world *world = *state;
	struct rpc_channel *channel = settled_channel(world, 0);
	struct rpc_channel *other = settled_channel(world, 1);
	struct request *requests[SHARE];
	struct answer answers[SHARE] = {0}, one_more = {0};

	for (unsigned i = 0; i < SHARE; i++) {
		call_start(channel, "Later", body_of(1), 0, &answers[i]);
		requests[i] = world_take_waiting(world);
	}
	call_run(world, channel, "Echo", body_of(1), &one_more);
	assert_int_equal(one_more.outcome, OUTCOME_RESOURCE_EXHAUSTED);
	assert_string_equal(one_more.details, "too many calls at once on this connection");
	expect_works(world, other);
	for (unsigned i = 0; i < SHARE; i++) {
		reply_text(requests[i], "");
		world_wait(world, &answers[i].done);
		answer_done(&answers[i]);
	}
	expect_works(world, channel);
	answer_done(&one_more);
	rpc_channel_free(channel);
	rpc_channel_free(other);
}

static void test_refusals_are_told(void **state)
{
	static const struct {
		const char *called, *told;
		size_t len;
		enum outcome outcome;
		const char *details;
	} rows[] = {
		{"Nothing", "a call", 0, OUTCOME_UNIMPLEMENTED, "no such method"},
		{"Small", "Small", SMALL_MAX + 1, OUTCOME_RESOURCE_EXHAUSTED,
			"message of 11 bytes, at most 10 are taken"},
	};
	struct world *world = *state;

	world->answer_cancelled = true;
	for (unsigned i = 0; i < ARRAY_LEN(rows); i++) {
		struct rpc_channel *channel = settled_channel(world, i);
		struct answer answer = {0};

		call_run(world, channel, rows[i].called, body_of(rows[i].len), &answer);
		assert_int_equal(answer.outcome, rows[i].outcome);
		assert_string_equal(answer.details, rows[i].details);
		assert_int_equal(world->refusal.n, i + 1);
		assert_ptr_equal(world->refusal.peer, &world->peers[i]);
		assert_string_equal(world->refusal.method, rows[i].told);
		assert_int_equal(world->refusal.outcome, rows[i].outcome);
		assert_string_equal(world->refusal.details, rows[i].details);
		answer_done(&answer);
		rpc_channel_free(channel);
	}
}

/* What the services answer, however, is theirs to tell; and so is who gives up. */
static void test_what_is_no_refusal(void **state)
{
	struct world *world = *state;
	struct rpc_channel *channel = settled_channel(world, 0);
	struct slices body = {0};
	const uint8_t not_found = OUTCOME_NOT_FOUND;
	struct answer answer = {0};
	struct rpc_call *call;

	world->answer_cancelled = true;
	call_run(world, channel, "Refuse", body_of(1), &answer);
	assert_int_equal(answer.outcome, OUTCOME_PERMISSION_DENIED);
	answer_done(&answer);
	assert_int_equal(slices_append_copy(&body, &not_found, 1), 0);
	call_run(world, channel, "Fail", body, &answer);
	assert_int_equal(answer.outcome, OUTCOME_NOT_FOUND);
	answer_done(&answer);
	call = call_start(channel, "Later", body_of(1), 0, &answer);
	world_wait_waiting(world);
	rpc_call_cancel(call);
	world_wait_count(world, &world->cancelled, 1);
	world_wait(world, &answer.done);
	answer_done(&answer);
	assert_int_equal(world->refusal.n, 0);
	rpc_channel_free(channel);
}

#define LIMITED_TEST(test)                                                                         \
	cmocka_unit_test_setup_teardown(test, world_setup_limited, world_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		LIMITED_TEST(test_more_calls_wait),
		LIMITED_TEST(test_all_connections_together),
		cmocka_unit_test_setup_teardown(
			test_a_place_is_left_for_others, world_setup_shared, world_teardown),
		LIMITED_TEST(test_refusals_are_told),
		LIMITED_TEST(test_what_is_no_refusal),
	};

	rpc_silence();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
