/*
 * The worker's end of dialect 6 at a SuperNode that tests/kit/supernode.py plays: with messages,
 * objects and functions of the newest Flower.
 */
#include "clientapp/api/conversation.h"

#include "common/base/clock.h"
#include "kit/child.h"
#include "kit/loop.h"

#include <signal.h>

#define RUN  22
#define NODE 11

static struct {
	struct loop *loop;
	struct rpc *rpc;
	struct conversation *conversation;
	struct kit_child supernode;
	char said[4096];
	uint64_t content_max_bytes;
	/* what came */
	struct conversation_inputs inputs;
	bool done;
	enum outcome outcome;
	char details[512];
	uint64_t bytes;
} rig;

/* Meet a SuperNode that has these orders. */
static void begin(const char *orders)
{
	char token[257] = "";

	for (size_t i = 0; i < 256; i++)
		token[i] = "0123456789abcdef"[i % 16];
	kit_child_start(
		&rig.supernode, KIT_NEWEST, FLWR_TEST_DIR "/../../../kit/supernode.py", orders);
	assert_int_equal(loop_new(&rig.loop), 0);
	assert_int_equal(rpc_new(rig.loop, &rig.rpc), 0);
	assert_int_equal(conversation_new(rig.loop, rig.rpc, NULL,
				 &(struct conversation_options){
					 .address = kit_child_value(&rig.supernode, "address"),
					 .task_token = token,
					 .retry_ms = 10000,
					 .content_max_bytes = rig.content_max_bytes},
				 &rig.conversation),
		0);
}

/* The words of its last report. */
static void end(void)
{
	const char *line;
	int n = 0;

	conversation_free(rig.conversation);
	rig.conversation = NULL;
	kit_child_close(&rig.supernode);
	rig.said[0] = '\0';
	while ((line = kit_child_line(&rig.supernode)))
		n += snprintf(rig.said + n, sizeof rig.said - (size_t)n, "%s\n", line);
	kit_child_end(&rig.supernode);
}

static void assert_said(const char *line)
{
	if (!strstr(rig.said, line))
		fail_msg("'%s' is not in:\n%s", line, rig.said);
}

static void on_pulled(
	void *arg, enum outcome outcome, struct conversation_inputs *inputs, const char *details)
{
	assert_ptr_equal(arg, &rig);
	assert_false(rig.done);
	rig.done = true;
	rig.outcome = outcome;
	snprintf(rig.details, sizeof rig.details, "%s", details);
	rig.inputs = *inputs;
	*inputs = (struct conversation_inputs){0};
}

static void on_pushed(void *arg, enum outcome outcome, const char *details, uint64_t bytes)
{
	assert_ptr_equal(arg, &rig);
	assert_false(rig.done);
	rig.done = true;
	rig.outcome = outcome;
	snprintf(rig.details, sizeof rig.details, "%s", details);
	rig.bytes = bytes;
}

static void wait_done(void)
{
	kit_loop_until(rig.loop, rig.done);
	rig.done = false;
}

static void pull(void)
{
	assert_int_equal(conversation_pull(rig.conversation, on_pulled, &rig), 0);
	wait_done();
}

/* A reply with the instruction's own content, or an error; and a state, perhaps. */
static void push(bool error, bool state)
{
	struct conversation_reply reply = {.context = &rig.inputs.context, .has_context = state};
	struct metadata *metadata = &reply.message.metadata;

	assert_int_equal(
		envelope_reply_metadata(&rig.inputs.message.metadata, clock_wall_s(), metadata), 0);
	reply.message.has_content = !error;
	reply.message.has_error = error;
	if (error) {
		reply.message.error_code = 2;
		reply.message.error_reason = strdup("it raised");
	}
	assert_int_equal(record_dict_move(&reply.content, &rig.inputs.content), 0);
	assert_int_equal(slices_append_refs(&reply.context_bytes, &rig.inputs.context_bytes), 0);
	if (state)
		assert_non_null(record_dict_add(&reply.state, "s", RECORD_CONFIGS));
	assert_int_equal(conversation_push(rig.conversation, &reply, on_pushed, &rig), 0);
	wait_done();
}

static int setup(void **state)
{
	memset(&rig, 0, sizeof rig);
	return 0;
}

static int teardown(void **state)
{
	conversation_inputs_done(&rig.inputs);
	conversation_free(rig.conversation);
	if (rig.rpc)
		rpc_free(rig.rpc);
	loop_free(rig.loop);
	kit_child_kill(&rig.supernode);
	return 0;
}

static void assert_inputs(void)
{
	const struct conversation_inputs *inputs = &rig.inputs;

	assert_int_equal(rig.outcome, OUTCOME_OK);
	assert_string_equal(inputs->broken.text, "");
	assert_string_equal(inputs->message.metadata.message_type, "train");
	assert_int_equal(strlen(inputs->message.metadata.message_id), 64);
	assert_true(inputs->message.has_content);
	assert_int_equal(inputs->context.run_id, RUN);
	assert_int_equal(inputs->context.node_id, NODE);
	assert_string_equal(inputs->run.fab_id, "p/n");
	assert_int_equal(inputs->fab.bytes, 3);
	assert_int_equal(inputs->content.n, 3);
	assert_string_equal(inputs->content.v[0].name, "arrays");
	assert_int_equal(inputs->content.v[0].n_arrays, 3);
	assert_int_equal(inputs->content.v[0].arrays[0].data.bytes, 128 + 1500000 * 8);
	/* The first and the third array are the same objects. */
	assert_true(inputs->content_bytes < 13000000);
	assert_int_equal(inputs->content.v[2].values.n, 3);
}

static void there_and_back(void **state)
{
	begin("");
	pull();
	assert_inputs();
	push(false, true);
	assert_int_equal(rig.outcome, OUTCOME_OK);
	assert_true(rig.bytes > 12000000);
	end();
	assert_said("PullTaskInput 1\n");
	assert_said("ConfirmMessageReceived 1\n");
	assert_said("PushMessages 1\n");
	assert_said("SendTaskHeartbeat 1\n");
	assert_said("tree True\n");
	assert_said("content True error False\n");
	assert_said("sub_status completed\ndetails -\nseries 3\n");
	assert_said("id True\nreply_to True\nsame_content True\nsame_values True\n");
}

static void an_error(void **state)
{
	begin("");
	pull();
	assert_inputs();
	push(true, false);
	assert_int_equal(rig.outcome, OUTCOME_OK);
	end();
	assert_said("content False error True\n");
	assert_said("sub_status failed\ndetails it raised\nseries 3\n");
	assert_said("PushObject 1\n");
}

static void what_is_known_is_not_sent(void **state)
{
	begin("known");
	pull();
	push(false, false);
	assert_int_equal(rig.outcome, OUTCOME_OK);
	end();
	/* Of 3 chunks, 2 arrays, 3 records, their dict and the message one is known. */
	assert_said("PushObject 10\n");
}

static void calls_are_made_again(void **state)
{
	begin("away");
	pull();
	assert_inputs();
	end();
	assert_said("PullObject 12\n");
}

static void an_object_may_come_later(void **state)
{
	begin("later");
	pull();
	assert_inputs();
	end();
	assert_said("PullObject 11\n");
}

static void an_object_that_is_wrong_or_gone(void **state)
{
	static const char *const rows[][2] = {
		{"wrong", "an object of the message is not what its id says: it is broken at the "
			  "SuperLink, or on its way"},
		{"flipped", "an object of the message is not what its id says: it is broken at the "
			    "SuperLink, or on its way"},
		{"gone", "an object of the message is not at the SuperNode any more"}};

	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		setup(state);
		begin(rows[i][0]);
		pull();
		assert_int_equal(rig.outcome, OUTCOME_OK);
		assert_string_equal(rig.inputs.broken.text, rows[i][1]);
		assert_true(rig.inputs.unavailable);
		/* The caller is answered all the same. */
		push(true, false);
		assert_int_equal(rig.outcome, OUTCOME_OK);
		end();
		assert_said("sub_status failed\n");
		if (i + 1 < ARRAY_LEN(rows))
			teardown(state);
	}
}

/* Its bytes come, but each use of an array counts. */
static void records_over_the_limit_are_not_built(void **state)
{
	rig.content_max_bytes = 20000000;
	begin("");
	pull();
	assert_int_equal(rig.outcome, OUTCOME_OK);
	assert_true(rig.inputs.too_large);
	assert_string_equal(rig.inputs.broken.text, "the records have more than 20000000 bytes");
	assert_true(rig.inputs.content_bytes > 12000000);
	assert_int_equal(rig.inputs.content.n, 0);
	end();
}

static void objects_over_the_limit_are_not_fetched(void **state)
{
	rig.content_max_bytes = 4000000;
	begin("");
	pull();
	assert_int_equal(rig.outcome, OUTCOME_OK);
	assert_true(rig.inputs.too_large);
	assert_non_null(strstr(rig.inputs.broken.text, "the objects of the message have more"));
	assert_true(rig.inputs.content_bytes < 5100000);
	/* The caller is answered all the same. */
	push(true, false);
	assert_int_equal(rig.outcome, OUTCOME_OK);
	end();
	assert_said("sub_status failed\n");
}

static void no_message(void **state)
{
	begin("no-message");
	pull();
	assert_int_equal(rig.outcome, OUTCOME_FAILED_PRECONDITION);
	end();
}

static void a_reply_that_is_not_taken(void **state)
{
	begin("full");
	pull();
	push(false, false);
	assert_int_equal(rig.outcome, OUTCOME_RESOURCE_EXHAUSTED);
	assert_true(rig.bytes > 12000000);
	end();
	teardown(state);
	setup(state);
	begin("unstored");
	pull();
	push(false, false);
	assert_int_equal(rig.outcome, OUTCOME_INTERNAL);
	end();
}

static void in_a_worker_s_place(void **state)
{
	begin("");
	assert_int_equal(
		conversation_fail(rig.conversation, 8, "it was killed", on_pushed, &rig), 0);
	wait_done();
	/* Not this one. */
	assert_int_equal(rig.outcome, OUTCOME_UNIMPLEMENTED);
	end();
}

/* Nothing is told, and nothing is left, whatever was going on. */
static void freed_at_any_time(void **state)
{
	for (int steps = 0; steps < 40; steps += 3) {
		setup(state);
		begin("");
		assert_int_equal(conversation_pull(rig.conversation, on_pulled, &rig), 0);
		for (int i = 0; i < steps && !rig.done; i++)
			loop_step(rig.loop, 20);
		if (rig.done) {
			steps = 40;
			rig.done = false;
			struct conversation_reply reply = {
				.context = &rig.inputs.context, .message = {.has_content = true}};

			assert_int_equal(record_dict_move(&reply.content, &rig.inputs.content), 0);
			assert_int_equal(
				conversation_push(rig.conversation, &reply, on_pushed, &rig), 0);
			loop_step(rig.loop, 5);
		}
		conversation_free(rig.conversation);
		rig.conversation = NULL;
		if (steps + 3 < 40)
			teardown(state);
	}
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {TEST(there_and_back), TEST(an_error),
		TEST(what_is_known_is_not_sent), TEST(calls_are_made_again),
		TEST(an_object_may_come_later), TEST(an_object_that_is_wrong_or_gone),
		TEST(records_over_the_limit_are_not_built),
		TEST(objects_over_the_limit_are_not_fetched), TEST(no_message),
		TEST(a_reply_that_is_not_taken), TEST(in_a_worker_s_place),
		TEST(freed_at_any_time)};

	signal(SIGPIPE, SIG_IGN);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
