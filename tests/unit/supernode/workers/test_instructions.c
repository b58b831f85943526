/*
 * The conversation of dialect 1: inputs and outputs.
 */
#include "common/records/maps_codec.h"
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
	/* A token of more than 64 bits. */
	slices_append(
		&broken, slice_static("\x08\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01", 12));
	assert_int_equal(push(&broken), OUTCOME_INVALID_ARGUMENT);
	assert_int_equal(push(&right), OUTCOME_OK);
}

/* 2 MiB of a field that no release has, behind the fields of body. */
static void make_large(struct slices *body)
{
	enum { LARGE = 2 << 20 };
	auto_(free_at_exit) char *bytes = calloc(1, LARGE);
	struct wire_writer writer = {0};

	assert_non_null(bytes);
	wire_put_bytes(&writer, 100, bytes, LARGE);
	assert_int_equal(wire_writer_take(&writer, body), 0);
}

/* The worker of a message pushes large outputs. */
static void push_large(struct call *call)
{
	struct slices body = {0};

	work_begins();
	outputs_make(rig.token, &body);
	make_large(&body);
	call_make(call, "PushClientAppOutputs");
	call_body(call, &body);
	slices_done(&body);
}

static void large_outputs_do_not_hold_others_up(void **state)
{
	auto_(call_done) struct call large;
	auto_(call_done) struct call other;

	push_large(&large);
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

	push_large(&large);
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

/* A Context of this run and node, whose state is one config record with a text of so many bytes. */
static void make_context(size_t len, const char *end, struct slices *out)
{
	auto_(record_dict_done) struct record_dict state = {0};
	struct value value = {0};
	struct context context = {.run_id = RUN_ID, .node_id = NODE_ID};
	auto_(free_at_exit) char *text = malloc(len + 1);

	assert_non_null(text);
	memset(text, 'x', len);
	memcpy(text + len - strlen(end), end, strlen(end) + 1);
	assert_int_equal(value_set_bytes(&value, VALUE_STRING, text, len), 0);
	assert_int_equal(
		value_map_set(&record_dict_add(&state, "r", RECORD_CONFIGS)->values, "k", &value),
		0);
	assert_int_equal(maps_encode(&state, &context.state), 0);
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
	/* A call that waits may go, and so may the one that is being received. */
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

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, rig_setup, rig_teardown)
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
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
