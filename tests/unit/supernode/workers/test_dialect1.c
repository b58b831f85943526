/*
 * The conversation of dialect 1: inputs and outputs.
 */
#include "common/wire/wire.h"
#include "rig.h"

static void without_a_message_everything_is_a_failed_precondition(void **state)
{
	auto_(call_done) struct call call;
	struct slices none = {0};

	call_make(&call, "GetToken");
	call_body(&call, &none);
	assert_int_equal(call.outcome, OUTCOME_FAILED_PRECONDITION);
	assert_int_equal(pull(5, NULL), OUTCOME_FAILED_PRECONDITION);
	assert_int_equal(push(&none), OUTCOME_FAILED_PRECONDITION);
}

static void a_token_is_not_given_out_twice(void **state)
{
	auto_(call_done) struct call call;
	struct slices none = {0};

	work_begins();
	call_make(&call, "GetToken");
	call_body(&call, &none);
	assert_int_equal(call.outcome, OUTCOME_FAILED_PRECONDITION);
}

static void inputs_come_with_the_right_token_again_and_again(void **state)
{
	auto_(instruction_inputs_done) struct instruction_inputs first = {0};
	auto_(instruction_inputs_done) struct instruction_inputs second = {0};

	work_begins();
	assert_int_equal(pull(rig.token + 1, NULL), OUTCOME_INVALID_ARGUMENT);
	assert_int_equal(pull(rig.token, &first), OUTCOME_OK);
	assert_int_equal(pull(rig.token, &second), OUTCOME_OK);
	assert_true(slices_equal(&first.message, &second.message));
	assert_true(slices_equal(&first.context, &second.context));
	assert_true(first.fab.bytes > 0);
	assert_int_equal(rig.readies, 2);
}

static void a_push_before_the_pull_is_refused_before_its_body(void **state)
{
	auto_(call_done) struct call call;

	work_begins();
	call_make(&call, "PushClientAppOutputs");
	assert_false(call.admitted);
	assert_true(call.finished);
	assert_int_equal(call.outcome, OUTCOME_FAILED_PRECONDITION);
}

static void outputs_are_taken_once(void **state)
{
	struct slices wrong = {0}, right = {0}, again = {0};

	work_begins();
	outputs_make(rig.token + 1, &wrong);
	outputs_make(rig.token, &right);
	outputs_make(rig.token, &again);
	assert_int_equal(push(&wrong), OUTCOME_INVALID_ARGUMENT);
	assert_int_equal(push(&right), OUTCOME_OK);
	action_of(NODE_PUSH_REPLY);
	assert_int_equal(push(&again), OUTCOME_FAILED_PRECONDITION);
}

static void broken_outputs_are_refused_and_the_token_lives_on(void **state)
{
	struct slices broken = {0}, right = {0};

	work_begins();
	outputs_make(rig.token, &right);
	slices_append(
		&broken, slice_static("\x08\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01", 12));
	assert_int_equal(push(&broken), OUTCOME_INVALID_ARGUMENT);
	assert_int_equal(push(&right), OUTCOME_OK);
}

/* 2 MiB that nobody knows, behind what body has. */
static void make_large(struct slices *body)
{
	enum { LARGE = 2 << 20 };
	auto_(free_at_exit) char *bytes = calloc(1, LARGE);
	struct wire_writer writer = {0};

	assert_non_null(bytes);
	wire_put_bytes(&writer, 100, bytes, LARGE);
	assert_int_equal(wire_writer_take(&writer, body), 0);
}

static void large_outputs_do_not_hold_others_up(void **state)
{
	auto_(call_done) struct call large;
	auto_(call_done) struct call other;
	struct slices body = {0};

	work_begins();
	outputs_make(rig.token, &body);
	make_large(&body);
	call_make(&large, "PushClientAppOutputs");
	call_body(&large, &body);
	slices_done(&body);
	/* They are being taken apart by another thread: this one serves. */
	assert_false(large.finished);
	assert_true(contents_at_hand(rig.admission.contents));
	ask(&other, NULL);
	assert_true(other.finished);
	while (!large.finished)
		loop_step(rig.loop, 1000);
	assert_int_equal(large.outcome, OUTCOME_OK);
	assert_false(contents_at_hand(rig.admission.contents));
	action_of(NODE_PUSH_REPLY);
}

static void the_caller_of_large_outputs_may_go(void **state)
{
	auto_(call_done) struct call large;
	struct slices body = {0};

	work_begins();
	outputs_make(rig.token, &body);
	make_large(&body);
	call_make(&large, "PushClientAppOutputs");
	call_body(&large, &body);
	slices_done(&body);
	request_cancelled(&large.request);
	while (contents_at_hand(rig.admission.contents))
		loop_step(rig.loop, 1000);
	action_of(NODE_PUSH_REPLY);
}

static void nothing_large_is_taken_apart_without_a_token(void **state)
{
	struct slices wrong = {0}, none = {0};

	work_begins();
	outputs_make(rig.token + 1, &wrong);
	make_large(&wrong);
	assert_int_equal(push(&wrong), OUTCOME_INVALID_ARGUMENT);
	make_large(&none);
	assert_int_equal(push(&none), OUTCOME_INVALID_ARGUMENT);
}

/* Of this run and node; its state is one config record with a text of so many bytes. */
static void make_context(size_t len, const char *end, struct slices *out)
{
	auto_(wire_writer_done) struct wire_writer value = {0}, entry = {0}, record = {0},
						   config = {0}, state = {0};
	struct context context = {.run_id = RUN_ID, .node_id = NODE_ID};
	auto_(free_at_exit) char *text = malloc(len + 1);

	assert_non_null(text);
	memset(text, 'x', len);
	memcpy(text + len - strlen(end), end, strlen(end) + 1);
	wire_put_string(&value, 5, text);
	wire_put_message(&entry, 2, &value);
	wire_put_message(&record, 1, &entry);
	wire_put_message(&config, 2, &record);
	wire_put_message(&state, 3, &config);
	assert_int_equal(wire_writer_take(&state, &context.state), 0);
	assert_int_equal(context_encode(&context, out), 0);
	slices_done(&context.state);
}

static enum outcome push_context(size_t len, const char *end)
{
	auto_(instruction_inputs_done) struct instruction_inputs inputs = {0};
	auto_(instruction_outputs_done) struct instruction_outputs outputs = {.token = rig.token};
	auto_(envelope_done) struct envelope message = {0}, reply = {0};
	auto_(call_done) struct call call;
	struct slices body = {0};

	assert_int_equal(pull(rig.token, &inputs), OUTCOME_OK);
	by_another_connection(); /* so that inputs can be pulled again */
	assert_int_equal(envelope_decode(&inputs.message, &message), 0);
	assert_int_equal(envelope_error(&message.metadata, clock_wall_s(), 2, "no", &reply), 0);
	assert_int_equal(envelope_encode(&reply, &outputs.message), 0);
	make_context(len, end, &outputs.context.bytes);
	assert_int_equal(instruction_encode_outputs(&outputs, &body), 0);
	call_make(&call, "PushClientAppOutputs");
	call_body(&call, &body);
	/* Large ones are read on the io thread. */
	assert_int_equal(call.finished, len < CONTENT_LARGE_BYTES);
	while (!call.finished)
		loop_step(rig.loop, -1);
	return call.outcome;
}

static void a_context_that_cannot_be_read_is_refused(void **state)
{
	work_begins();
	rig.budget.limit_bytes = 16 << 20;
	assert_int_equal(push_context(100, "\xff"), OUTCOME_INVALID_ARGUMENT);
	assert_int_equal(push_context(2 * CONTENT_LARGE_BYTES, "\xff"), OUTCOME_INVALID_ARGUMENT);
	assert_int_equal(push_context(2 * CONTENT_LARGE_BYTES, "x"), OUTCOME_OK);
	action_of(NODE_PUSH_REPLY);
}

static void a_long_reason_arrives_whole(void **state)
{
	auto_(instruction_inputs_done) struct instruction_inputs inputs = {0};
	auto_(instruction_outputs_done) struct instruction_outputs outputs = {0};
	auto_(envelope_done) struct envelope message = {0};
	auto_(envelope_done) struct envelope reply = {0};
	auto_(free_at_exit) char *reason = malloc(300000);
	struct slices body = {0};

	work_begins();
	outputs.token = rig.token;
	memset(reason, 'x', 299999);
	reason[299999] = '\0';
	assert_int_equal(pull(rig.token, &inputs), OUTCOME_OK);
	assert_int_equal(envelope_decode(&inputs.message, &message), 0);
	assert_int_equal(envelope_error(&message.metadata, clock_wall_s(), 2, reason, &reply), 0);
	assert_int_equal(envelope_encode(&reply, &outputs.message), 0);
	assert_int_equal(slices_move(&outputs.context.bytes, &inputs.context), 0);
	assert_int_equal(instruction_encode_outputs(&outputs, &body), 0);
	assert_int_equal(push(&body), OUTCOME_OK);
	assert_string_equal(action_of(NODE_PUSH_REPLY).reply->envelope.error_reason, reason);
}

static void anonymous_contents_are_received_one_at_a_time(void **state)
{
	auto_(call_done) struct call first;
	auto_(call_done) struct call second;
	auto_(call_done) struct call third;
	struct slices body = {0};

	work_begins();
	outputs_make(rig.token, &body);
	by_another_connection();
	call_make(&first, "PushClientAppOutputs");
	call_make(&second, "PushClientAppOutputs");
	call_make(&third, "PushClientAppOutputs");
	assert_true(first.admitted);
	assert_false(second.admitted);
	/* One that waits may go, and so may the one that is being received. */
	request_cancelled(&second.request);
	assert_false(third.admitted);
	request_cancelled(&first.request);
	assert_true(third.admitted);
	call_body(&third, &body);
	assert_int_equal(third.outcome, OUTCOME_OK);
}

static void contents_that_wait_are_bounded(void **state)
{
	struct call calls[CONTENTS_ANONYMOUS_MAX + 2];
	struct slices body = {0};

	work_begins();
	outputs_make(rig.token, &body);
	slices_done(&body);
	by_another_connection();
	for (size_t i = 0; i < ARRAY_LEN(calls); i++)
		call_make(&calls[i], "PushClientAppOutputs");
	assert_true(calls[0].admitted);
	assert_false(calls[CONTENTS_ANONYMOUS_MAX].finished);
	assert_int_equal(calls[CONTENTS_ANONYMOUS_MAX + 1].outcome, OUTCOME_RESOURCE_EXHAUSTED);
	for (size_t i = 0; i < ARRAY_LEN(calls); i++) {
		if (!calls[i].finished)
			request_cancelled(&calls[i].request);
		call_done(&calls[i]);
	}
}

/* ---- a push by the worker that holds the message ---- */

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
	/* It is not one of the anonymous callers that must wait for one another. */
	assert_false(contents_at_hand(rig.admission.contents));
	assert_int_equal(rig.busy, 1);
	call_body(&call, &body);
	assert_int_equal(call.outcome, OUTCOME_OK);
	action_of(NODE_PUSH_REPLY);
}

/* One that is cut off while it sends, and asks for its inputs again, has failed. */
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

/* Its inputs are not taken for pulled. */
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

/* Its outputs may be of either. */
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
	struct call calls[CONTENTS_MAX + 1];

	worker_comes(&inputs);
	for (size_t i = 0; i < ARRAY_LEN(calls); i++)
		call_make(&calls[i], "PushClientAppOutputs");
	assert_true(calls[CONTENTS_MAX - 1].admitted);
	assert_false(calls[CONTENTS_MAX].admitted);
	request_cancelled(&calls[0].request);
	assert_true(calls[CONTENTS_MAX].admitted);
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
	/* It waits for as long as it takes, and is no worker's sign of life. */
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

/* Who attends is not who waits for a message. */
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
		TEST(without_a_message_everything_is_a_failed_precondition),
		TEST(a_token_is_not_given_out_twice),
		TEST(inputs_come_with_the_right_token_again_and_again),
		TEST(a_push_before_the_pull_is_refused_before_its_body),
		TEST(outputs_are_taken_once),
		TEST(broken_outputs_are_refused_and_the_token_lives_on),
		TEST(large_outputs_do_not_hold_others_up),
		TEST(the_caller_of_large_outputs_may_go),
		TEST(nothing_large_is_taken_apart_without_a_token),
		TEST(a_context_that_cannot_be_read_is_refused),
		TEST(a_long_reason_arrives_whole),
		TEST(anonymous_contents_are_received_one_at_a_time),
		TEST(contents_that_wait_are_bounded),
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
