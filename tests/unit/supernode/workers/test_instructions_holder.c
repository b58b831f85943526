/*
 * Workers of dialect 1 that hold a message: how their outputs are received, and what those learn
 * that attend it.
 */
#include "rig.h"

/* Ask for a token, and pull with it: what the message had for its worker. */
static void worker_comes(struct instruction_inputs *inputs)
{
	auto_(call_done) struct call call;

	message_comes();
	ask(&call, NULL);
	rig.token = RIG_TOKEN;
	assert_given(&call, rig.token);
	assert_int_equal(pull(rig.token, inputs), OUTCOME_OK);
}

static void the_holders_outputs_take_the_place_of_the_content(void **state)
{
	auto_(call_done) struct call call;
	auto_(instruction_inputs_done) struct instruction_inputs inputs = {0};
	struct slices body = {0};
	uint64_t before;

	worker_comes(&inputs);
	outputs_make(rig.token, &body);
	before = rig.budget.used_bytes;
	call_make(&call, "PushClientAppOutputs");
	assert_true(call.admitted);
	assert_int_equal(rig.budget.used_bytes, before - RIG_CONTENT_BYTES);
	/* The holder is not one of the anonymous callers, which must wait for one another. */
	assert_false(contents_at_hand(rig.admission.contents));
	assert_int_equal(rig.busy, 1);
	call_body(&call, &body);
	assert_int_equal(call.outcome, OUTCOME_OK);
	action_of(NODE_PUSH_REPLY);
}

/* A worker that is cut off while it sends, and asks for its inputs again, has failed. */
static void the_holders_content_is_gone_for_good(void **state)
{
	auto_(call_done) struct call call;
	auto_(instruction_inputs_done) struct instruction_inputs inputs = {0};

	worker_comes(&inputs);
	call_make(&call, "PushClientAppOutputs");
	request_cancelled(&call.request);
	assert_int_equal(pull(rig.token, NULL), OUTCOME_FAILED_PRECONDITION);
	assert_true(action_of(NODE_PUSH_REPLY).reply->envelope.has_error);
}

/* Nobody knows yet whose outputs an anonymous caller sends: the content stays. */
static void anonymous_outputs_take_no_content_away(void **state)
{
	auto_(call_done) struct call call;
	auto_(instruction_inputs_done) struct instruction_inputs inputs = {0};
	uint64_t before;

	worker_comes(&inputs);
	before = rig.budget.used_bytes;
	by_another_connection();
	call_make(&call, "PushClientAppOutputs");
	assert_true(call.admitted);
	assert_true(contents_at_hand(rig.admission.contents));
	assert_int_equal(rig.budget.used_bytes, before);
	request_cancelled(&call.request);
	assert_false(contents_at_hand(rig.admission.contents));
	assert_int_equal(pull(rig.token, NULL), OUTCOME_OK);
}

/* The inputs are not taken for pulled. */
static void whose_connection_has_ended_pulls_nothing(void **state)
{
	work_begins();
	rig.gone = true;
	assert_int_equal(pull(rig.token, NULL), OUTCOME_CANCELLED);
	assert_int_equal(rig.readies, 0);
	assert_false(node_expects_outputs(rig.node));
	rig.gone = false;
	assert_int_equal(pull(rig.token, NULL), OUTCOME_OK);
	assert_int_equal(rig.readies, 1);
}

static void an_anonymous_caller_may_be_slow_but_not_silent(void **state)
{
	auto_(call_done) struct call call;
	struct slices body = {0};

	work_begins();
	outputs_make(rig.token, &body);
	slices_done(&body);
	by_another_connection();
	rig.received = 1000;
	call_make(&call, "PushClientAppOutputs");
	for (int i = 0; i < 10; i++) {
		rig.received++;
		time_passes(CONTENTS_STALL_MS);
		assert_false(call.finished);
	}
	time_passes(CONTENTS_STALL_MS);
	assert_int_equal(call.outcome, OUTCOME_DEADLINE_EXCEEDED);
	assert_false(contents_at_hand(rig.admission.contents));
	assert_int_equal(rig.busy, 0);
}

static void an_anonymous_caller_may_be_slow_while_nobody_waits(void **state)
{
	auto_(call_done) struct call first;
	auto_(call_done) struct call second;
	struct slices body = {0};

	work_begins();
	outputs_make(rig.token, &body);
	slices_done(&body);
	by_another_connection();
	call_make(&first, "PushClientAppOutputs");
	for (int64_t ms = 0; ms < CONTENTS_ANONYMOUS_MS + CONTENTS_STALL_MS;
		ms += CONTENTS_STALL_MS) {
		rig.received++;
		time_passes(CONTENTS_STALL_MS);
	}
	assert_false(first.finished);
	call_make(&second, "PushClientAppOutputs");
	rig.received++;
	time_passes(CONTENTS_STALL_MS);
	assert_int_equal(first.outcome, OUTCOME_DEADLINE_EXCEEDED);
	assert_true(second.admitted);
	request_cancelled(&second.request);
}

/* The outputs of that worker may be of either. */
static void who_holds_two_messages_takes_no_content_away(void **state)
{
	auto_(call_done) struct call call, asks, again;
	auto_(instruction_inputs_done) struct instruction_inputs inputs = {0};
	uint64_t before;

	worker_comes(&inputs);
	message_to_node();
	ask(&asks, NULL);
	assert_given(&asks, RIG_TOKEN + 1);
	assert_int_equal(pull(RIG_TOKEN + 1, NULL), OUTCOME_OK);
	before = rig.budget.used_bytes;
	call_make(&call, "PushClientAppOutputs");
	assert_true(call.admitted);
	assert_true(contents_at_hand(rig.admission.contents));
	assert_int_equal(rig.budget.used_bytes, before);
	request_cancelled(&call.request);
	by_another_connection();
	assert_int_equal(pull(RIG_TOKEN + 1, NULL), OUTCOME_OK);
	call_make(&again, "PushClientAppOutputs");
	assert_true(again.admitted);
	assert_false(contents_at_hand(rig.admission.contents));
	request_cancelled(&again.request);
}

static void inputs_are_not_given_to_one_that_cannot_be_remembered(void **state)
{
	work_begins();
	rig.no_memory_to_hold = true;
	assert_int_equal(pull(rig.token, NULL), OUTCOME_RESOURCE_EXHAUSTED);
	assert_int_equal(rig.readies, 0);
	rig.no_memory_to_hold = false;
	assert_int_equal(pull(rig.token, NULL), OUTCOME_OK);
	assert_int_equal(rig.readies, 1);
}

static void outputs_that_nothing_waits_for_are_received_no_more(void **state)
{
	auto_(call_done) struct call holds, anonymous, waits;
	auto_(instruction_inputs_done) struct instruction_inputs inputs = {0};

	worker_comes(&inputs);
	call_make(&holds, "PushClientAppOutputs");
	by_another_connection();
	call_make(&anonymous, "PushClientAppOutputs");
	call_make(&waits, "PushClientAppOutputs");
	contents_sweep(rig.admission.contents);
	assert_true(holds.admitted && anonymous.admitted && !waits.admitted);
	assert_false(holds.finished || anonymous.finished || waits.finished);
	node_give_up(rig.node, now_is(), "time over");
	contents_sweep(rig.admission.contents);
	assert_int_equal(holds.outcome, OUTCOME_FAILED_PRECONDITION);
	assert_int_equal(anonymous.outcome, OUTCOME_FAILED_PRECONDITION);
	assert_int_equal(waits.outcome, OUTCOME_FAILED_PRECONDITION);
	assert_false(waits.admitted || contents_at_hand(rig.admission.contents));
	assert_int_equal(rig.busy, 0);
}

/* Outputs of dialect 1 take places like other contents. */
static void the_holders_outputs_wait_for_their_turn(void **state)
{
	auto_(instruction_inputs_done) struct instruction_inputs inputs = {0};
	struct call calls[CONTENTS_TOKEN_MAX + 1];

	worker_comes(&inputs);
	for (size_t i = 0; i < ARRAY_LEN(calls); i++)
		call_make(&calls[i], "PushClientAppOutputs");
	assert_true(calls[CONTENTS_TOKEN_MAX - 1].admitted);
	assert_false(calls[CONTENTS_TOKEN_MAX].admitted);
	request_cancelled(&calls[0].request);
	assert_true(calls[CONTENTS_TOKEN_MAX].admitted);
	for (size_t i = 0; i < ARRAY_LEN(calls); i++) {
		if (!calls[i].finished)
			request_cancelled(&calls[i].request);
		call_done(&calls[i]);
	}
}

/* ---- Attend ---- */

static void attend(struct call *call, uint64_t token)
{
	struct slices body = {0};

	call_make(call, "Attend");
	assert_int_equal(instruction_encode_token(token, &body), 0);
	call_body(call, &body);
}

static void who_attends_holds_the_token(void **state)
{
	auto_(call_done) struct call call;

	work_begins();
	assert_int_not_equal(rig.held, rig.token);
	attend(&call, rig.token);
	assert_false(call.finished);
	assert_int_equal(rig.held, rig.token);
	assert_int_equal(rig.busy, 1);
	/* The call waits for as long as it takes, and is no worker's sign of life. */
	time_passes(3600000);
	held_calls_offer(rig.held_calls);
	assert_false(call.finished);
	assert_int_equal(rig.readies, 0);
	request_cancelled(&call.request);
	assert_int_equal(rig.busy, 0);
	assert_true(token_live(rig.token));
}

static void whom_there_is_no_memory_for_attends_nothing(void **state)
{
	auto_(call_done) struct call call;

	work_begins();
	rig.no_memory_to_hold = true;
	attend(&call, rig.token);
	assert_int_equal(call.outcome, OUTCOME_UNAVAILABLE);
	assert_int_equal(rig.busy, 0);
}

static void who_attends_learns_that_outputs_were_taken(void **state)
{
	auto_(call_done) struct call call;
	struct slices body = {0};

	work_begins();
	attend(&call, rig.token);
	outputs_make(rig.token, &body);
	assert_int_equal(push(&body), OUTCOME_OK);
	held_calls_offer(rig.held_calls);
	assert_true(call.finished);
	assert_int_equal(call.outcome, OUTCOME_OK);
	assert_int_equal(rig.busy, 0);
}

static void who_attends_learns_that_others_answered(void **state)
{
	auto_(call_done) struct call call;

	work_begins();
	attend(&call, rig.token);
	node_give_up(rig.node, (struct node_now){clock_now_ms(), clock_wall_s()}, "time over");
	held_calls_offer(rig.held_calls);
	assert_true(call.finished);
	assert_int_equal(call.outcome, OUTCOME_FAILED_PRECONDITION);
}

static void what_lives_no_longer_is_not_attended(void **state)
{
	auto_(call_done) struct call other;
	auto_(call_done) struct call gone;
	auto_(call_done) struct call stopped;
	auto_(call_done) struct call broken;
	struct slices body = {0};

	work_begins();
	attend(&other, rig.token + 1);
	assert_int_equal(other.outcome, OUTCOME_INVALID_ARGUMENT);
	rig.gone = true;
	attend(&gone, rig.token);
	assert_int_equal(gone.outcome, OUTCOME_CANCELLED);
	rig.gone = false;
	call_make(&broken, "Attend");
	assert_int_equal(slices_append_copy(&body, "\xff", 1), 0);
	call_body(&broken, &body);
	assert_int_equal(broken.outcome, OUTCOME_INVALID_ARGUMENT);
	held_calls_stop(rig.held_calls);
	attend(&stopped, rig.token);
	assert_int_equal(stopped.outcome, OUTCOME_UNAVAILABLE);
	assert_int_equal(rig.held, 0);
	assert_int_equal(rig.busy, 0);
}

/* A caller that attends does not wait for a message. */
static void who_attends_is_given_no_token(void **state)
{
	auto_(instruction_inputs_done) struct instruction_inputs inputs = {0};
	auto_(call_done) struct call attends;
	auto_(call_done) struct call waits;

	worker_comes(&inputs);
	attend(&attends, rig.token);
	ask(&waits, "30000");
	message_to_node();
	held_calls_offer(rig.held_calls);
	assert_false(attends.finished);
	assert_given(&waits, RIG_TOKEN + 1);
	request_cancelled(&attends.request);
}

int main(void)
{
#define TEST(f)     cmocka_unit_test_setup_teardown(f, rig_setup, rig_teardown)
#define OFFERING(f) cmocka_unit_test_setup_teardown(f, rig_setup_offering, rig_teardown)
	const struct CMUnitTest tests[] = {
		OFFERING(the_holders_outputs_take_the_place_of_the_content),
		OFFERING(the_holders_content_is_gone_for_good),
		OFFERING(anonymous_outputs_take_no_content_away),
		OFFERING(who_holds_two_messages_takes_no_content_away),
		TEST(inputs_are_not_given_to_one_that_cannot_be_remembered),
		TEST(whose_connection_has_ended_pulls_nothing),
		TEST(an_anonymous_caller_may_be_slow_but_not_silent),
		TEST(an_anonymous_caller_may_be_slow_while_nobody_waits),
		OFFERING(outputs_that_nothing_waits_for_are_received_no_more),
		OFFERING(the_holders_outputs_wait_for_their_turn),
		TEST(who_attends_holds_the_token),
		TEST(whom_there_is_no_memory_for_attends_nothing),
		TEST(who_attends_learns_that_outputs_were_taken),
		TEST(who_attends_learns_that_others_answered),
		TEST(what_lives_no_longer_is_not_attended),
		OFFERING(who_attends_is_given_no_token),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
