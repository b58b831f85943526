/*
 * The conversation about tasks: how a reply comes back, and how a task ends.
 */
#include "common/message/object_calls_codec.h"
#include "common/message/task_codec.h"
#include "common/wire/wire.h"
#include "numbers.h"
#include "tasks_rig.h"

static bool push_object(size_t i, const struct made *made)
{
	auto_(slices_done) struct slices answer = {0};
	struct slices body = {0};
	bool stored;

	object_body(i, made, true, &body);
	assert_int_equal(say("PushObject", &body, &answer), OUTCOME_OK);
	assert_int_equal(object_stored_decode(&answer, &stored), 0);
	return stored;
}

static enum outcome announce(const struct made *made, bool error, struct task_pushed *out)
{
	auto_(slices_done) struct slices answer = {0};
	struct slices body = {0};
	struct envelope reply = {.metadata = metadata_of(made->message_id, true),
		.has_content = !error,
		.has_error = error,
		.error_code = 2,
		.error_reason = error ? (char *)"it raised" : NULL};
	enum outcome outcome;

	messages_body(&reply, &made->tree, &body);
	outcome = say("PushMessages", &body, &answer);
	if (outcome == OUTCOME_OK)
		assert_int_equal(task_decode_pushed(&answer, out), 0);
	return outcome;
}

/* The reply that is to be pushed. */
static const struct held_message *reply(void)
{
	return action_of(NODE_PUSH_REPLY).reply;
}

static void a_reply_comes_in_pieces(void **state)
{
	const struct metadata metadata = metadata_of("", true);
	auto_(made_done) struct made made, other;
	auto_(task_pushed_done) struct task_pushed pushed = {0};
	const struct held_message *answer;

	task_begins();
	made_new(&metadata, 2 * RECORD_BYTES, &made);
	made_new(&metadata, 3 * RECORD_BYTES, &other);
	assert_int_equal(announce(&made, false, &pushed), OUTCOME_FAILED_PRECONDITION);
	pull_input();
	assert_false(push_object(0, &made));
	assert_int_equal(announce(&made, false, &pushed), OUTCOME_OK);
	assert_int_equal(pushed.n_wanted, MADE_OBJECTS);
	assert_string_equal(pushed.message_id, made.message_id);
	/* An object of another message; one of another content. */
	assert_false(push_object(0, &other));
	other.v[0].id = made.v[0].id;
	assert_false(push_object(0, &other));
	assert_true(push_object(2, &made));
	assert_true(push_object(0, &made));
	assert_true(push_object(0, &made));
	assert_int_equal(end_task(TASK_COMPLETED, ""), OUTCOME_FAILED_PRECONDITION);
	assert_true(push_object(1, &made));
	assert_int_equal(end_task(TASK_COMPLETED, ""), OUTCOME_OK);
	answer = reply();
	assert_true(answer->envelope.has_content && !answer->envelope.has_error);
	assert_non_null(answer->objects);
	assert_int_equal(object_set_missing(answer->objects), 0);
	assert_string_equal(answer->envelope.metadata.reply_to_message_id, given.message_id);
	assert_int_equal(end_task(TASK_COMPLETED, ""), OUTCOME_UNAUTHENTICATED);
}

/* Large objects' ids are right in a program of ours: it has made them from the bytes. */
static void large_objects_of_own_workers_are_not_hashed(void **state)
{
	const struct metadata metadata = metadata_of("", true);
	auto_(made_done) struct made made, other;
	auto_(task_pushed_done) struct task_pushed pushed = {0};

	task_begins();
	made_new(&metadata, 2 * OBJECT_SET_LARGE_BYTES, &made);
	made_new(&metadata, 3 * OBJECT_SET_LARGE_BYTES, &other);
	pull_input();
	assert_int_equal(announce(&made, false, &pushed), OUTCOME_OK);
	other.v[0].id = made.v[0].id;
	assert_true(push_object(0, &other));
	other.v[1].id = made.v[1].id;
	assert_false(push_object(1, &other));
}

static void assert_error(int64_t code, const char *reason)
{
	const struct held_message *answer = reply();

	assert_true(answer->envelope.has_error && !answer->envelope.has_content);
	assert_int_equal(answer->envelope.error_code, code);
	assert_string_equal(answer->envelope.error_reason, reason);
}

static void an_error_needs_no_object(void **state)
{
	const struct metadata metadata = metadata_of("", true);
	auto_(made_done) struct made made;
	auto_(task_pushed_done) struct task_pushed pushed = {0};

	task_begins();
	pull_input();
	made_new(&metadata, RECORD_BYTES, &made);
	assert_int_equal(announce(&made, true, &pushed), OUTCOME_OK);
	assert_int_equal(pushed.n_wanted, 0);
	assert_int_equal(end_task(TASK_FAILED, "it raised"), OUTCOME_OK);
	assert_error(2, "it raised");
}

static void a_task_that_has_failed_is_answered(void **state)
{
	task_begins();
	pull_input();
	confirm();
	assert_int_equal(end_task(TASK_COMPLETED, ""), OUTCOME_FAILED_PRECONDITION);
	assert_int_equal(end_task(TASK_FAILED, "no such app"), OUTCOME_OK);
	assert_error(8, "no such app");
}

static void an_agent_answers_for_its_worker(void **state)
{
	struct envelope error = {
		.has_error = true, .error_code = 8, .error_reason = (char *)"it was killed"};
	struct slices body = {0};

	for (uint64_t number = 2; number < 4; number++) {
		number == 2 ? task_begins() : next_task();
		if (number == 3) {
			pull_input();
			confirm();
		}
		assert_int_equal(say_nothing("Fail", NULL), OUTCOME_INVALID_ARGUMENT);
		assert_int_equal(envelope_encode(&error, &body), 0);
		assert_int_equal(say("Fail", &body, NULL), OUTCOME_OK);
		assert_error(8, "it was killed");
		node_reply_pushed(rig.node, now_is(), number, NODE_PUSHED, NULL);
		node_worker_gone(rig.node, now_is(), number);
	}
}

static void what_is_announced_is_looked_at(void **state)
{
	struct envelope message = {.metadata = metadata_of("0", true), .has_content = true};
	struct metadata metadata = metadata_of("", true);
	auto_(made_done) struct made made;
	auto_(slices_done) struct slices no_tree = {0};
	struct slices body = {0};

	task_begins();
	pull_input();
	made_new(&metadata, RECORD_BYTES, &made);
	assert_int_equal(say_nothing("PushMessages", NULL), OUTCOME_INVALID_ARGUMENT);
	/* Another id than the tree's root; another run; no tree. */
	messages_body(&message, &made.tree, &body);
	assert_int_equal(say("PushMessages", &body, NULL), OUTCOME_INVALID_ARGUMENT);
	message.metadata.message_id = made.message_id;
	message.metadata.run_id = 23;
	messages_body(&message, &made.tree, &body);
	assert_int_equal(say("PushMessages", &body, NULL), OUTCOME_PERMISSION_DENIED);
	message.metadata.run_id = 22;
	messages_body(&message, &no_tree, &body);
	assert_int_equal(say("PushMessages", &body, NULL), OUTCOME_INVALID_ARGUMENT);
	message.has_error = true;
	messages_body(&message, &made.tree, &body);
	assert_int_equal(say("PushMessages", &body, NULL), OUTCOME_INVALID_ARGUMENT);
}

/* Whoever has a token learns nothing of other runs, and changes nothing of them. */
static void a_token_is_good_for_its_run_and_message_only(void **state)
{
	static const char *const about_objects[] = {
		"PullObject", "PushObject", "ConfirmMessageReceived"};
	struct envelope message = {.metadata = metadata_of("", true), .has_content = true};
	const struct metadata metadata = metadata_of("", true);
	auto_(made_done) struct made made;
	struct wire_writer writer = {0};
	struct slices body = {0};

	task_begins();
	pull_input();
	made_new(&metadata, RECORD_BYTES, &made);
	assert_int_equal(get_run(23, NULL), OUTCOME_PERMISSION_DENIED);
	assert_int_equal(get_run(22, NULL), OUTCOME_OK);
	for (size_t i = 0; i < ARRAY_LEN(about_objects); i++) {
		struct object_request request = {.run_id = 23, .id = given.v[MADE_OBJECTS - 1].id};

		assert_int_equal(object_request_encode(&request, &body), 0);
		assert_int_equal(say(about_objects[i], &body, NULL), OUTCOME_PERMISSION_DENIED);
	}
	object_body(MADE_OBJECTS - 1, &made, false, &body);
	assert_int_equal(say("ConfirmMessageReceived", &body, NULL), OUTCOME_PERMISSION_DENIED);
	wire_put_string(&writer, NUMBER_PULL_APP_MESSAGES_REQUEST_MESSAGE_IDS, made.message_id);
	assert_int_equal(wire_writer_take(&writer, &body), 0);
	assert_int_equal(say("PullMessages", &body, NULL), OUTCOME_PERMISSION_DENIED);
	wire_put_string(&writer, NUMBER_PULL_APP_MESSAGES_REQUEST_MESSAGE_IDS, given.message_id);
	assert_int_equal(wire_writer_take(&writer, &body), 0);
	assert_int_equal(say("PullMessages", &body, NULL), OUTCOME_OK);
	/* None of them has taken the inputs away. */
	check_message(1);
	confirm();
	message.metadata.message_id = made.message_id;
	message.metadata.run_id = 23;
	messages_body(&message, &made.tree, &body);
	assert_int_equal(say("PushMessages", &body, NULL), OUTCOME_PERMISSION_DENIED);
}

static void who_attends_a_task_is_told_of_its_end(void **state)
{
	auto_(call_done) struct call call;
	struct slices nothing = {0};

	task_begins();
	call_make(&call, "Attend");
	call_body(&call, &nothing);
	assert_false(call.finished);
	assert_int_equal(rig.held, rig.token);
	pull_input();
	assert_int_equal(end_task(TASK_FAILED, "over"), OUTCOME_OK);
	held_calls_offer(rig.held_calls);
	assert_true(call.finished);
	assert_int_equal(call.outcome, OUTCOME_OK);
}

/* The first 64 bits of a task's token are not the token. */
static void a_part_of_a_token_attends_nothing(void **state)
{
	auto_(call_done) struct call part, wrong;
	auto_(slices_done) struct slices number = {0};
	struct slices nothing = {0};
	char *last = rig.task_token + sizeof rig.task_token - 2;

	task_begins();
	assert_int_equal(instruction_encode_token(rig.token, &number), 0);
	*last = *last == '0' ? '1' : '0';
	call_make(&wrong, "Attend");
	call_body(&wrong, &nothing);
	assert_int_equal(wrong.outcome, OUTCOME_INVALID_ARGUMENT);
	rig.task_token[0] = '\0';
	call_make(&part, "Attend");
	call_body(&part, &number);
	assert_int_equal(part.outcome, OUTCOME_INVALID_ARGUMENT);
	assert_int_equal(rig.held, 0);
}

static void contents_wait_for_their_turn(void **state)
{
	enum { MAX = CONTENTS_TOKEN_MAX };
	const struct metadata metadata = metadata_of("", true);
	auto_(task_pushed_done) struct task_pushed pushed = {0};
	auto_(made_done) struct made made;
	struct call calls[MAX + 2];
	struct slices body = {0};

	task_begins();
	pull_input();
	made_new(&metadata, RECORD_BYTES, &made);
	assert_int_equal(announce(&made, false, &pushed), OUTCOME_OK);
	for (size_t i = 0; i < ARRAY_LEN(calls); i++) {
		call_make(&calls[i], "PushObject");
		assert_true(calls[i].admitted == (i < MAX));
	}
	assert_int_equal(rig.busy, MAX + 2);
	/* A call that waits goes; one that is being received goes; one is received. */
	request_cancelled(&calls[MAX].request);
	assert_false(calls[MAX + 1].admitted);
	request_cancelled(&calls[0].request);
	assert_true(calls[MAX + 1].admitted);
	object_body(0, &made, true, &body);
	call_body(&calls[1], &body);
	while (!calls[1].finished)
		loop_step(rig.loop, 100);
	for (size_t i = 2; i < ARRAY_LEN(calls); i++)
		if (i != MAX)
			request_cancelled(&calls[i].request);
	for (size_t i = 0; i < ARRAY_LEN(calls); i++) {
		assert_true(calls[i].finished);
		call_done(&calls[i]);
	}
}

static void contents_end_with_their_token(void **state)
{
	struct call calls[CONTENTS_MAX + 2];
	auto_(call_done) struct call next;

	task_begins();
	pull_input();
	for (size_t i = 0; i < ARRAY_LEN(calls); i++)
		call_make(&calls[i], "PushObject");
	contents_sweep(rig.admission.contents);
	assert_false(calls[0].finished);
	node_worker_ended(rig.node, now_is(), 2, 8, "it has ended");
	contents_sweep(rig.admission.contents);
	for (size_t i = 0; i < ARRAY_LEN(calls); i++) {
		assert_true(calls[i].finished);
		assert_int_equal(calls[i].admitted, i < CONTENTS_TOKEN_MAX);
		assert_int_equal(calls[i].outcome, OUTCOME_UNAUTHENTICATED);
		call_done(&calls[i]);
	}
	assert_int_equal(rig.busy, 0);
	/* Their places are free. */
	node_worker_gone(rig.node, now_is(), 2);
	next_task();
	call_make(&next, "PushObject");
	assert_true(next.admitted);
	request_cancelled(&next.request);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, rig_setup, teardown)
	const struct CMUnitTest tests[] = {
		TEST(a_reply_comes_in_pieces),
		cmocka_unit_test_setup_teardown(large_objects_of_own_workers_are_not_hashed,
			rig_setup_own_workers, teardown),
		TEST(an_error_needs_no_object),
		TEST(a_task_that_has_failed_is_answered),
		TEST(an_agent_answers_for_its_worker),
		TEST(what_is_announced_is_looked_at),
		TEST(who_attends_a_task_is_told_of_its_end),
		TEST(a_part_of_a_token_attends_nothing),
		TEST(contents_wait_for_their_turn),
		TEST(a_token_is_good_for_its_run_and_message_only),
		TEST(contents_end_with_their_token),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
