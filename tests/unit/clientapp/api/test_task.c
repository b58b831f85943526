/*
 * The worker's end of dialects 2 - 7 at a SuperNode that tests/kit/supernode.py plays: with
 * messages, objects and functions of the newest Flower. What is no matter of spelling is tested in
 * that of dialect 6.
 */
#include "clientapp/api/conversation.h"
#include "clientapp/api/spelling_search.h"

#include "common/base/clock.h"
#include "common/http/http.h"
#include "kit/child.h"
#include "kit/loop.h"

#include <signal.h>

#define RUN  22
#define NODE 11

static struct {
	struct loop *loop;
	struct rpc *rpc;
	struct http *http;
	struct conversation *conversation;
	struct spelling_search *search;
	const struct spelling *found;
	struct kit_child supernode;
	char said[4096];
	char address[64];
	uint64_t content_max_bytes;
	bool without_content;
	/* what came */
	struct conversation_inputs inputs;
	bool done;
	enum outcome outcome;
	char details[512];
	uint64_t bytes;
	unsigned gone;
} rig;

#define TOKEN_256(text)                                                                            \
	text text text text text text text text text text text text text text text text
static const char token[] = TOKEN_256("0123456789abcdef");

static void on_gone(void *arg)
{
	assert_ptr_equal(arg, &rig);
	rig.gone++;
}

static void supernode_comes(const char *orders, const char *since)
{
	kit_child_start(&rig.supernode, KIT_NEWEST, FLWR_TEST_DIR "/../../../kit/supernode.py",
		orders, since);
	assert_int_equal(loop_new(&rig.loop), 0);
	assert_int_equal(rpc_new(rig.loop, &rig.rpc), 0);
	assert_int_equal(http_new(rig.loop, &rig.http, NULL), 0);
	kit_child_copy_value(&rig.supernode, "address", rig.address, sizeof rig.address);
}

static void meet(const struct spelling *spelling)
{
	assert_int_equal(conversation_new(rig.loop, rig.rpc, NULL,
				 &(struct conversation_options){.address = rig.address,
					 .task_token = token,
					 .spelling = spelling,
					 .http = rig.http,
					 .retry_ms = 10000,
					 .content_max_bytes = rig.content_max_bytes,
					 .without_content = rig.without_content,
					 .gone = on_gone,
					 .arg = &rig},
				 &rig.conversation),
		0);
}

/* Meet a SuperNode that has these orders. */
static void begin(const char *orders)
{
	supernode_comes(orders, "1.34");
	meet(NULL);
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
	spelling_search_free(rig.search);
	http_free(rig.http);
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

static void on_found(void *arg, const struct spelling *spelling, const char *details)
{
	assert_ptr_equal(arg, &rig);
	assert_null(rig.found);
	assert_non_null(spelling);
	rig.found = spelling;
}

/* Which spelling it is, and all of it, there and back. The names of some methods are found out
 * later. */
static void in_each_spelling(void **state)
{
	static const struct {
		const char *since;
		const struct spelling *found;
	} rows[] = {{"1.20", &spelling_1_26}, {"1.26", &spelling_1_26}, {"1.30", &spelling_1_32},
		{"1.32", &spelling_1_32}, {"1.34", &spelling_1_34}, {"1.35", &spelling_1_35}};

	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		setup(state);
		supernode_comes("", rows[i].since);
		assert_int_equal(spelling_search_new(rig.loop,
					 &(struct spelling_search_options){.rpc = rig.rpc,
						 .http = rig.http,
						 .address = rig.address,
						 .task_token = token,
						 .retry_ms = 10000,
						 .found = on_found,
						 .arg = &rig},
					 &rig.search),
			0);
		kit_loop_until(rig.loop, rig.found);
		assert_string_equal(rig.found->since, rows[i].found->since);
		assert_ptr_equal(spelling_find(rig.found->since), rows[i].found);
		meet(rig.found);
		pull();
		assert_inputs();
		push(false, true);
		assert_int_equal(rig.outcome, OUTCOME_OK);
		end();
		assert_said("PullTaskInput 1\n");
		assert_said("ConfirmMessageReceived 1\n");
		assert_said("PushMessages 1\n");
		assert_said("PushTaskOutput 1\n");
		assert_said("series 3\n");
		assert_said("id True\nreply_to True\nsame_content True\nsame_values True\n");
		assert_int_equal(rig.gone, 0);
		if (i + 1 < ARRAY_LEN(rows))
			teardown(state);
	}
}

/* The first heartbeat says so already. */
static void a_token_that_is_gone(void **state)
{
	static const struct spelling *const rows[] = {
		&spelling_1_26, &spelling_1_32, &spelling_1_34, &spelling_1_35};

	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		setup(state);
		supernode_comes("expired", rows[i]->since);
		meet(rows[i]);
		assert_int_equal(conversation_pull(rig.conversation, on_pulled, &rig), 0);
		kit_loop_until(rig.loop, rig.gone == 1);
		end();
		if (i + 1 < ARRAY_LEN(rows))
			teardown(state);
	}
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

/* In a worker's place: no object is fetched, the error has its id and the Context. */
static void an_error_without_the_content(void **state)
{
	rig.without_content = true;
	begin("");
	pull();
	assert_int_equal(rig.outcome, OUTCOME_OK);
	assert_string_equal(rig.inputs.broken.text, "");
	assert_int_equal(rig.inputs.content_bytes, 0);
	push(true, false);
	assert_int_equal(rig.outcome, OUTCOME_OK);
	end();
	assert_null(strstr(rig.said, "PullObject"));
	assert_said("ConfirmMessageReceived 1\n");
	assert_said("content False error True\n");
	assert_said("sub_status failed\ndetails it raised\nseries 3\n");
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
	const struct CMUnitTest tests[] = {TEST(there_and_back), TEST(in_each_spelling),
		TEST(a_token_that_is_gone), TEST(an_error), TEST(an_error_without_the_content),
		TEST(what_is_known_is_not_sent), TEST(calls_are_made_again),
		TEST(an_object_may_come_later), TEST(an_object_that_is_wrong_or_gone),
		TEST(records_over_the_limit_are_not_built),
		TEST(objects_over_the_limit_are_not_fetched), TEST(no_message),
		TEST(a_reply_that_is_not_taken), TEST(in_a_worker_s_place),
		TEST(freed_at_any_time)};

	signal(SIGPIPE, SIG_IGN);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
