/*
 * Workers of Flower 1.24 - 1.28 whose connection ends between two calls: those about objects wait
 * on the next one for a heartbeat, which shows the token.
 */
#include "tasks_rig.h"

/* A worker of 1.24 - 1.28 has its inputs, and its connection ends. */
static void worker_is_cut(void)
{
	offer();
	request_token(RUN_ID);
	assert_int_equal(pull_with(IO("SendAppHeartbeat"), shown_token), OUTCOME_OK);
	assert_int_equal(pull_with(IO("PullClientAppInputs"), shown_token), OUTCOME_OK);
	by_another_connection();
	rig.held_elsewhere = 0;
}

static void a_worker_is_known_again_by_its_heartbeat(void **state)
{
	auto_(call_done) struct call pulls, pushes;
	struct slices body = {0};

	worker_is_cut();
	call_make(&pulls, IO("PullObject"));
	call_make(&pushes, IO("PushObject"));
	time_passes(AWAITED_MS - 1000);
	assert_false(pulls.admitted || pulls.finished || pushes.admitted || pushes.finished);
	assert_int_equal(rig.busy, 2);
	assert_int_equal(pull_with(IO("SendAppHeartbeat"), shown_token), OUTCOME_OK);
	time_passes(0);
	object_body(0, &given, false, &body);
	call_body(&pulls, &body);
	assert_true(pulls.finished);
	assert_int_equal(pulls.outcome, OUTCOME_OK);
	object_body(0, &given, true, &body);
	call_body(&pushes, &body);
	assert_true(pushes.finished);
}

/* Nothing tells that a caller is the worker but its token. */
static void nobody_is_known_by_an_object_alone(void **state)
{
	auto_(call_done) struct call call;

	worker_is_cut();
	call_make(&call, IO("PullObject"));
	time_passes(AWAITED_MS);
	assert_true(call.finished);
	assert_int_equal(call.outcome, OUTCOME_PERMISSION_DENIED);
}

static void a_caller_that_waits_for_its_token_may_go(void **state)
{
	auto_(call_done) struct call call;

	worker_is_cut();
	call_make(&call, IO("PullObject"));
	request_cancelled(&call.request);
	assert_true(call.finished);
	time_passes(AWAITED_MS);
}

static void nobody_waits_when_the_message_is_over(void **state)
{
	auto_(call_done) struct call call;

	worker_is_cut();
	call_make(&call, IO("PullObject"));
	node_worker_lost(rig.node, now_is(), 2, "it did not come back");
	awaited_look(rig.admission.awaited);
	time_passes(0);
	assert_true(call.finished);
	assert_int_equal(call.outcome, OUTCOME_PERMISSION_DENIED);
}

static void nobody_waits_at_the_end(void **state)
{
	auto_(call_done) struct call call, next;

	worker_is_cut();
	call_make(&call, IO("PullObject"));
	awaited_stop(rig.admission.awaited);
	assert_true(call.finished);
	call_make(&next, IO("PullObject"));
	assert_true(next.finished);
}

/* The worker is there: a caller on another connection is none. */
static void nobody_is_awaited_whose_connection_is_open(void **state)
{
	auto_(call_done) struct call call, next;

	worker_is_cut();
	call_make(&call, IO("PullObject"));
	assert_false(call.finished);
	rig.held_elsewhere = node_token_of_bodies(rig.node, 0);
	awaited_look(rig.admission.awaited);
	time_passes(0);
	assert_true(call.finished);
	assert_int_equal(call.outcome, OUTCOME_PERMISSION_DENIED);
	call_make(&next, IO("PullObject"));
	assert_true(next.finished);
}

static void few_calls_wait_for_a_token(void **state)
{
	static struct call calls[AWAITED_MAX + 1];

	worker_is_cut();
	for (size_t i = 0; i <= AWAITED_MAX; i++)
		call_make(&calls[i], IO("PullObject"));
	assert_false(calls[AWAITED_MAX - 1].finished);
	assert_true(calls[AWAITED_MAX].finished);
	assert_int_equal(calls[AWAITED_MAX].outcome, OUTCOME_PERMISSION_DENIED);
	time_passes(AWAITED_MS);
	assert_int_equal(rig.busy, 0);
}

int main(void)
{
#define OFFERING(name) cmocka_unit_test_setup_teardown(name, rig_setup_offering, teardown)
	const struct CMUnitTest tests[] = {
		OFFERING(a_worker_is_known_again_by_its_heartbeat),
		OFFERING(nobody_is_known_by_an_object_alone),
		OFFERING(a_caller_that_waits_for_its_token_may_go),
		OFFERING(nobody_waits_when_the_message_is_over),
		OFFERING(nobody_waits_at_the_end),
		OFFERING(nobody_is_awaited_whose_connection_is_open),
		OFFERING(few_calls_wait_for_a_token),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
