/*
 * The places for contents, when callers with different tokens, and without one, want them.
 */
#include "common/wire/wire.h"
#include "tasks_rig.h"

static uint64_t inline_token; /* of the message that was given out before the task */

/* Two messages are at work: an inline one, and a task, whose token is shown_token. */
static void two_begin(void)
{
	message_comes();
	assert_int_equal(node_get_token(rig.node, now_is(), &inline_token, &(const char *){NULL}),
		OUTCOME_OK);
	assert_int_equal(pull(inline_token, NULL), OUTCOME_OK);
	objects_message_to_node();
	request_token(RUN_ID);
	assert_string_not_equal(shown_token, "");
}

/* A call that shows the task's token. */
static void push_of_task(struct call *call)
{
	snprintf(rig.task_token, sizeof rig.task_token, "%s", shown_token);
	call_make(call, "PushObject");
}

/* A call on a connection that has shown the inline message's token, or none (0). */
static void push_on(uint64_t token, struct call *call)
{
	rig.task_token[0] = '\0';
	rig.held = token;
	rig.held_before = 0;
	call_make(call, "PushClientAppOutputs");
}

/* The body follows: it is large, so that the io thread takes it apart. */
static void is_here(struct call *call)
{
	auto_(free_at_exit) char *bytes = calloc(1, CONTENT_LARGE_BYTES);
	struct wire_writer writer = {0};
	struct slices body = {0};

	assert_non_null(bytes);
	/* A field that no release has. */
	wire_put_bytes(&writer, 100, bytes, CONTENT_LARGE_BYTES);
	assert_int_equal(wire_writer_take(&writer, &body), 0);
	call_body(call, &body);
	slices_done(&body);
	assert_false(call->finished);
}

static void calls_end(struct call *calls, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (!calls[i].finished)
			request_cancelled(&calls[i].request);
	for (size_t i = 0; i < n; i++) {
		assert_true(calls[i].finished);
		call_done(&calls[i]);
	}
}

/* Whatever one token sends, there is a place for another one, and for an anonymous caller. */
static void one_token_leaves_places(void **state)
{
	struct call tasks[CONTENTS_MAX + 1], others[2];

	two_begin();
	for (size_t i = 0; i < ARRAY_LEN(tasks); i++) {
		push_of_task(&tasks[i]);
		assert_true(tasks[i].admitted == (i < CONTENTS_TOKEN_MAX));
	}
	push_on(0, &others[0]);
	assert_true(others[0].admitted);
	push_on(inline_token, &others[1]);
	assert_true(others[1].admitted);
	calls_end(others, ARRAY_LEN(others));
	assert_false(tasks[CONTENTS_TOKEN_MAX].admitted);
	calls_end(tasks, ARRAY_LEN(tasks));
}

/* A content that is here keeps its place until it is dealt with. */
static void contents_that_are_dealt_with_count(void **state)
{
	struct call tasks[CONTENTS_TOKEN_MAX + 1], other;

	two_begin();
	for (size_t i = 0; i < ARRAY_LEN(tasks); i++)
		push_of_task(&tasks[i]);
	for (size_t i = 0; i < CONTENTS_TOKEN_MAX; i++)
		is_here(&tasks[i]);
	assert_false(tasks[CONTENTS_TOKEN_MAX].admitted);
	push_on(inline_token, &other);
	assert_true(other.admitted);
	while (!tasks[CONTENTS_TOKEN_MAX].admitted)
		loop_step(rig.loop, -1);
	assert_true(tasks[0].finished);
	while (contents_at_hand(rig.admission.contents))
		loop_step(rig.loop, -1);
	calls_end(&other, 1);
	calls_end(tasks, ARRAY_LEN(tasks));
}

/* The token that has fewer places comes first, also when it came later. */
static void places_go_to_the_token_that_has_fewest(void **state)
{
	struct call tasks[CONTENTS_MAX], anonymous, others[3];

	two_begin();
	for (size_t i = 0; i < ARRAY_LEN(tasks); i++)
		push_of_task(&tasks[i]);
	push_on(0, &anonymous);
	for (size_t i = 0; i < ARRAY_LEN(others); i++) {
		push_on(inline_token, &others[i]);
		assert_true(others[i].admitted == (i == 0));
	}
	request_cancelled(&tasks[0].request);
	assert_true(others[1].admitted && !tasks[CONTENTS_TOKEN_MAX].admitted);
	/* Both have as many: the one that came first. */
	request_cancelled(&anonymous.request);
	assert_true(tasks[CONTENTS_TOKEN_MAX].admitted && !others[2].admitted);
	calls_end(others, ARRAY_LEN(others));
	calls_end(tasks, ARRAY_LEN(tasks));
	call_done(&anonymous);
}

/* One token has filled the queue: its newest content makes room. Nobody else's does. */
static void one_token_does_not_keep_others_out(void **state)
{
	enum { ALL = CONTENTS_TOKEN_MAX + CONTENTS_QUEUE_MAX };
	struct call tasks[ALL + 1], anonymous, other;

	two_begin();
	for (size_t i = 0; i < ARRAY_LEN(tasks); i++)
		push_of_task(&tasks[i]);
	assert_false(tasks[ALL - 1].finished);
	assert_int_equal(tasks[ALL].outcome, OUTCOME_RESOURCE_EXHAUSTED);
	push_on(0, &anonymous);
	assert_int_equal(anonymous.outcome, OUTCOME_RESOURCE_EXHAUSTED);
	assert_false(anonymous.admitted);
	push_on(inline_token, &other);
	assert_true(other.admitted);
	assert_int_equal(tasks[ALL - 1].outcome, OUTCOME_RESOURCE_EXHAUSTED);
	assert_false(tasks[ALL - 2].finished);
	calls_end(&other, 1);
	calls_end(tasks, ARRAY_LEN(tasks));
	call_done(&anonymous);
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, rig_setup_offering, teardown)
	const struct CMUnitTest tests[] = {
		TEST(one_token_leaves_places),
		TEST(contents_that_are_dealt_with_count),
		TEST(places_go_to_the_token_that_has_fewest),
		TEST(one_token_does_not_keep_others_out),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
