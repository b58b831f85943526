/*
 * One thing that is asked has one handler: the spellings of dialects 2 - 5, whose token is in the
 * body, in a header, or known by the connection.
 */
#include "common/message/app_codec.h"
#include "common/message/object_calls_codec.h"
#include "common/message/worker_api.h"
#include "common/wire/wire.h"
#include "tasks_rig.h"

/* How a release says what a worker asks. */
struct spelling {
	const char *releases;
	const char *list, *pull_input, *push_output;
	const char *header; /* with the token, beside the body; NULL: none */
};

static const struct spelling spellings[] = {
	{"1.20", IO("GetRunIdsWithPendingMessages"), IO("PullClientAppInputs"),
		IO("PushClientAppOutputs"), NULL},
	{"1.21 - 1.25", IO("ListAppsToLaunch"), IO("PullClientAppInputs"),
		IO("PushClientAppOutputs"), NULL},
	{"1.26 - 1.28", IO("ListAppsToLaunch"), IO("PullAppInputs"), IO("PushAppOutputs"), NULL},
	{"1.29", IO("ListAppsToLaunch"), IO("PullAppInputs"), IO("PushAppOutputs"),
		WORKER_API_APP_TOKEN},
};

static const char no_token[] = "";

/* The header says what text says. */
static void show(const char *header, const char *text)
{
	rig.token_header = header ? header : WORKER_API_TASK_TOKEN;
	snprintf(rig.task_token, sizeof rig.task_token, "%s", header ? text : "");
}

static uint64_t listed(const char *method)
{
	auto_(slices_done) struct slices answer = {0};
	uint64_t run_id = 99;

	assert_int_equal(say_nothing(method, &answer), OUTCOME_OK);
	assert_int_equal(app_decode_runs(&answer, &run_id), 0);
	return run_id;
}

static void pull_objects(void)
{
	auto_(slices_done) struct slices answer = {0};
	auto_(task_messages_done) struct task_messages messages = {0};
	struct slices body = {0};

	assert_int_equal(app_encode_pull(shown_token, RUN_ID, &body), 0);
	assert_int_equal(say(IO("PullMessage"), &body, &answer), OUTCOME_OK);
	assert_int_equal(task_decode_pulled(&answer, &messages), 0);
	assert_int_equal(messages.n_messages, 1);
	for (size_t i = 0; i < MADE_OBJECTS; i++) {
		auto_(slices_done) struct slices object = {0};
		auto_(object_pulled_done) struct object_pulled pulled = {0};

		object_body(i, &given, false, &body);
		assert_int_equal(say(IO("PullObject"), &body, &object), OUTCOME_OK);
		assert_int_equal(object_pulled_decode(&object, &pulled), 0);
		assert_true(slices_equal(&pulled.content, &given.v[i].bytes));
	}
	object_body(MADE_OBJECTS - 1, &given, false, &body);
	assert_int_equal(say(IO("ConfirmMessageReceived"), &body, NULL), OUTCOME_OK);
}

static void push_body(const char *text, const struct made *made, struct slices *out)
{
	auto_(task_messages_done) struct task_messages messages = {.n_messages = 1, .n_trees = 1};
	const struct envelope reply = {
		.metadata = metadata_of(made->message_id, true), .has_content = true};

	assert_int_equal(envelope_encode(&reply, &messages.message), 0);
	assert_int_equal(slices_append_refs(&messages.tree, &made->tree), 0);
	assert_int_equal(text[0] ? app_encode_push(text, RUN_ID, &messages, out)
				 : task_encode_push(&messages, out),
		0);
}

static void push_objects(const char *method, const char *text, const struct made *made)
{
	struct slices body = {0};

	push_body(text, made, &body);
	assert_int_equal(say(method, &body, NULL), OUTCOME_OK);
	for (size_t i = 0; i < MADE_OBJECTS; i++) {
		auto_(slices_done) struct slices answer = {0};
		bool stored = false;

		object_body(i, made, true, &body);
		assert_int_equal(say(IO("PushObject"), &body, &answer), OUTCOME_OK);
		assert_int_equal(object_stored_decode(&answer, &stored), 0);
		assert_true(stored);
	}
}

static enum outcome push_output(const char *method, uint64_t run_id)
{
	auto_(app_output_done) struct app_output output = {.run_id = run_id};
	struct context context = {.run_id = RUN_ID, .node_id = NODE_ID};
	struct slices body = {0};

	assert_int_equal(context_encode(&context, &output.context.bytes), 0);
	assert_int_equal(app_encode_output(shown_token, &output, &body), 0);
	return say(method, &body, NULL);
}

static void a_message_is_served(const struct spelling *how)
{
	const struct metadata metadata = metadata_of("", true);
	auto_(made_done) struct made made;
	const struct held_message *reply;

	assert_int_equal(listed(how->list), RUN_ID);
	request_token(RUN_ID + 1);
	assert_string_equal(shown_token, "");
	request_token(RUN_ID);
	assert_int_equal(strlen(shown_token), 256);
	show(how->header, shown_token);
	assert_int_equal(pull_with(how->pull_input, shown_token), OUTCOME_OK);
	assert_true(token_live(rig.held));
	pull_objects();
	made_new(&metadata, RECORD_BYTES, &made);
	push_objects(IO("PushMessage"), shown_token, &made);
	assert_int_equal(push_output(how->push_output, RUN_ID + 1), OUTCOME_PERMISSION_DENIED);
	/* 1.26 does not say it. */
	assert_int_equal(push_output(how->push_output, how->header ? RUN_ID : 0), OUTCOME_OK);
	reply = action_of(NODE_PUSH_REPLY).reply;
	assert_true(reply->envelope.has_content);
	assert_int_equal(object_set_missing(reply->objects), 0);
	/* The token is spent. */
	assert_int_equal(pull_with(how->pull_input, shown_token),
		how->header ? OUTCOME_UNAUTHENTICATED : OUTCOME_PERMISSION_DENIED);
	assert_int_equal(listed(how->list), 0);
}

static void a_message_is_served_as_1_20_asks(void **state)
{
	offer();
	a_message_is_served(&spellings[0]);
}

static void a_message_is_served_as_1_21_asks(void **state)
{
	offer();
	a_message_is_served(&spellings[1]);
}

static void a_message_is_served_as_1_26_asks(void **state)
{
	offer();
	a_message_is_served(&spellings[2]);
}

static void a_message_is_served_as_1_29_asks(void **state)
{
	offer();
	a_message_is_served(&spellings[3]);
}

/* Dialect 5: the token is in a header, also where a name is that of dialect 4. */
static void a_message_is_served_as_1_30_asks(void **state)
{
	static const char *const names[][2] = {
		{IO("PullMessage"), IO("PushMessage")}, {IO("PullMessages"), IO("PushMessages")}};
	const struct metadata metadata = metadata_of("", true);

	for (size_t i = 0; i < ARRAY_LEN(names); i++) {
		auto_(made_done) struct made made;
		auto_(slices_done) struct slices answer = {0}, pulled = {0};
		auto_(free_at_exit) char *got = NULL;
		struct slices body = {0};
		uint64_t id = 0;

		if (i == 0)
			offer();
		else
			objects_message_to_node();
		assert_int_equal(say_nothing(IO("PullPendingTasks"), &answer), OUTCOME_OK);
		assert_int_equal(task_decode_pending(&answer, &id), 0);
		assert_int_equal(task_encode_claim(id, &body), 0);
		slices_done(&answer);
		assert_int_equal(say(IO("ClaimTask"), &body, &answer), OUTCOME_OK);
		assert_int_equal(task_decode_claimed(&answer, &got), 0);
		show(WORKER_API_TASK_TOKEN, got);
		assert_int_equal(say_nothing(IO("SendTaskHeartbeat"), NULL), OUTCOME_OK);
		assert_int_equal(say_nothing(IO("PullTaskInput"), NULL), OUTCOME_OK);
		assert_int_equal(say_nothing(names[i][0], &pulled), OUTCOME_OK);
		assert_true(pulled.bytes > 0);
		made_new(&metadata, RECORD_BYTES, &made);
		push_objects(names[i][1], no_token, &made);
		assert_int_equal(say_nothing(IO("PushTaskOutput"), NULL), OUTCOME_OK);
		assert_int_equal(say_nothing(IO("PushLogs"), NULL), OUTCOME_UNAUTHENTICATED);
		action_of(NODE_PUSH_REPLY);
		node_reply_pushed(rig.node, now_is(), id, NODE_PUSHED, NULL);
		action_of(NODE_FINISHED);
	}
}

/* A worker of dialects 2 - 4 that has no token, or one that is over. */
static void a_text_that_is_no_token_is_refused(void **state)
{
	static const char *const methods[] = {
		IO("PullClientAppInputs"), IO("PullAppInputs"), IO("PullMessage")};
	char other[NODE_TOKEN_TEXT_BYTES];

	offer();
	request_token(RUN_ID);
	memcpy(other, shown_token, sizeof other);
	other[200] = other[200] == '0' ? '1' : '0';
	for (size_t i = 0; i < ARRAY_LEN(methods); i++) {
		assert_int_equal(pull_with(methods[i], other), OUTCOME_PERMISSION_DENIED);
		/* A part of one is none. */
		assert_int_equal(pull_with(methods[i], "4712"), OUTCOME_PERMISSION_DENIED);
	}
	assert_int_equal(say_nothing(IO("PullAppInputs"), NULL), OUTCOME_PERMISSION_DENIED);
	/* A header is looked at first. */
	show(WORKER_API_APP_TOKEN, other);
	assert_int_equal(pull_with(IO("PullAppInputs"), shown_token), OUTCOME_UNAUTHENTICATED);
	show(WORKER_API_APP_TOKEN, shown_token);
	assert_int_equal(pull_with(IO("PullAppInputs"), other), OUTCOME_OK);
}

/* Nothing of it is believed, and the token lives on. */
static void broken_bodies_are_refused(void **state)
{
	static const struct {
		const char *method;
		const char *body;
		size_t len;
		enum outcome outcome;
	} cases[] = {
		{IO("RequestToken"), "\x08", 1, OUTCOME_INVALID_ARGUMENT},
		/* A text that is longer than the body; a number; a field of no type. */
		{IO("PullAppInputs"), "\x0a\x80\x02x", 4, OUTCOME_PERMISSION_DENIED},
		{IO("PullAppInputs"), "\x08\x01", 2, OUTCOME_PERMISSION_DENIED},
		{IO("PullMessage"), "\x0f", 1, OUTCOME_PERMISSION_DENIED},
		{IO("PullClientAppInputs"), "\x0a\x80\x02x", 4, OUTCOME_INVALID_ARGUMENT},
		{IO("PullClientAppInputs"), "\x0a\x01x", 3, OUTCOME_PERMISSION_DENIED},
		{IO("PullObject"), "\x1a\x02xy", 4, OUTCOME_INVALID_ARGUMENT},
		{IO("PushObject"), "\x1a\x80", 2, OUTCOME_INVALID_ARGUMENT},
		{IO("PushMessage"), "\x12\x80", 2, OUTCOME_PERMISSION_DENIED},
		{IO("PushAppOutputs"), "", 0, OUTCOME_PERMISSION_DENIED},
		{IO("PushClientAppOutputs"), "\x0a\x01x", 3, OUTCOME_PERMISSION_DENIED},
		{IO("PushClientAppOutputs"), "\x0a\x80", 2, OUTCOME_INVALID_ARGUMENT},
	};

	offer();
	request_token(RUN_ID);
	assert_int_equal(pull_with(IO("PullClientAppInputs"), shown_token), OUTCOME_OK);
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct slices body = {0};

		assert_int_equal(slices_append_copy(&body, cases[i].body, cases[i].len), 0);
		assert_int_equal(say(cases[i].method, &body, NULL), cases[i].outcome);
	}
	pull_objects();
}

/* With a secret a launcher of each release has to sign, once for each call. */
static void with_a_secret_launchers_sign(void **state)
{
	static const char *const methods[] = {IO("GetRunIdsWithPendingMessages"),
		IO("ListAppsToLaunch"), IO("RequestToken"), IO("PullPendingTasks"), IO("ClaimTask"),
		IO("GetRun")};
	struct launcher_auth *launchers = load_secret();
	const struct slices nothing = {0};

	offer();
	rig.admission.launchers = launchers;
	for (size_t i = 0; i < ARRAY_LEN(methods); i++) {
		memset(rig.proof, 0, sizeof rig.proof);
		assert_int_equal(say_nothing(methods[i], NULL), OUTCOME_UNAUTHENTICATED);
		sign(launchers, methods[(i + 1) % ARRAY_LEN(methods)], &nothing);
		assert_int_equal(say_nothing(methods[i], NULL), OUTCOME_UNAUTHENTICATED);
		sign(launchers, methods[i], &nothing);
		assert_int_equal(say_nothing(methods[i], NULL), OUTCOME_OK);
		assert_int_equal(say_nothing(methods[i], NULL), OUTCOME_UNAUTHENTICATED);
	}
	launcher_auth_free(launchers);
}

static bool beats(const char *text)
{
	auto_(slices_done) struct slices answer = {0};
	struct slices body = {0};
	bool success = false;

	token_body(text, &body);
	assert_int_equal(say(IO("SendAppHeartbeat"), &body, &answer), OUTCOME_OK);
	assert_int_equal(task_decode_heartbeat(&answer, &success), 0);
	return success;
}

/* An end that a worker learns by its heartbeat is no failure of the call. */
static void a_heartbeat_says_whether_the_token_lives(void **state)
{
	offer();
	request_token(RUN_ID);
	assert_true(beats(shown_token));
	assert_false(beats("nothing"));
	kit_clock_pass(NODE_HEARTBEAT_MS);
	node_tick(rig.node, now_is());
	assert_false(beats(shown_token));
	/* It is for the next one. */
	assert_int_equal(listed(IO("ListAppsToLaunch")), RUN_ID);
}

/* Whatever the launcher's release: nothing in its calls tells 1.21 from 1.29. */
static void a_token_that_is_not_used_is_for_the_next_one(void **state)
{
	char first[NODE_TOKEN_TEXT_BYTES];

	offer();
	request_token(RUN_ID);
	memcpy(first, shown_token, sizeof first);
	kit_clock_pass(NODE_CLAIM_MS - 5000); /* the clock goes on meanwhile */
	node_tick(rig.node, now_is());
	assert_int_equal(listed(IO("ListAppsToLaunch")), 0);
	kit_clock_pass(5000);
	node_tick(rig.node, now_is());
	assert_int_equal(listed(IO("GetRunIdsWithPendingMessages")), RUN_ID);
	request_token(RUN_ID);
	assert_string_not_equal(shown_token, first);
	assert_int_equal(pull_with(IO("PullClientAppInputs"), first), OUTCOME_PERMISSION_DENIED);
	assert_int_equal(pull_with(IO("PullClientAppInputs"), shown_token), OUTCOME_OK);
}

/* From 1.26 on a worker that asks for its inputs sends heartbeats; 1.20 does not. */
static void heartbeats_are_expected_of_who_sends_them(void **state)
{
	static const struct {
		const char *pull;
		bool expected;
	} cases[] = {{IO("PullClientAppInputs"), false}, {IO("PullAppInputs"), true}};

	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		if (i == 0)
			offer();
		else
			objects_message_to_node();
		request_token(RUN_ID);
		assert_int_equal(pull_with(cases[i].pull, shown_token), OUTCOME_OK);
		kit_clock_pass(NODE_HEARTBEAT_MS);
		node_tick(rig.node, now_is());
		assert_int_equal(pull_with(cases[i].pull, shown_token),
			cases[i].expected ? OUTCOME_PERMISSION_DENIED : OUTCOME_OK);
		node_worker_lost(rig.node, now_is(), 2 + i, "the end of the test");
		action_of(NODE_PUSH_REPLY);
		node_reply_pushed(rig.node, now_is(), 2 + i, NODE_PUSHED, NULL);
		action_of(NODE_FINISHED);
	}
}

/* Calls about objects have no token: they are about the message of their connection's. */
static void objects_are_those_of_the_connection(void **state)
{
	struct slices body = {0};

	offer();
	request_token(RUN_ID);
	assert_int_equal(pull_with(IO("PullAppInputs"), shown_token), OUTCOME_OK);
	by_another_connection();
	for (int i = 0; i < 2; i++) {
		object_body(0, &given, i == 1, &body);
		assert_int_equal(say(i ? IO("PushObject") : IO("PullObject"), &body, NULL),
			OUTCOME_PERMISSION_DENIED);
	}
	assert_int_equal(pull_with(IO("PullAppInputs"), shown_token), OUTCOME_OK);
	object_body(0, &given, false, &body);
	assert_int_equal(say(IO("PullObject"), &body, NULL), OUTCOME_OK);
}

/* After its connection has ended a worker of 1.20 comes back with its reply. */
static void a_reply_comes_on_another_connection(void **state)
{
	const struct metadata metadata = metadata_of("", true);
	auto_(made_done) struct made made;

	offer();
	request_token(RUN_ID);
	assert_int_equal(pull_with(IO("PullClientAppInputs"), shown_token), OUTCOME_OK);
	by_another_connection();
	made_new(&metadata, RECORD_BYTES, &made);
	push_objects(IO("PushMessage"), shown_token, &made);
	by_another_connection();
	assert_int_equal(push_output(IO("PushClientAppOutputs"), RUN_ID), OUTCOME_OK);
	assert_int_equal(
		push_output(IO("PushClientAppOutputs"), RUN_ID), OUTCOME_FAILED_PRECONDITION);
}

/* ---- workers of the wrong kind ---- */

static enum outcome ask_for(const char *method, char details[256])
{
	auto_(call_done) struct call call;
	struct slices nothing = {0};

	call_make(&call, method);
	call_body(&call, &nothing);
	assert_true(call.finished);
	memcpy(details, call.details, 256);
	return call.outcome;
}

/* The same of a worker of dialects 2 - 4, which shows the number in its bodies. */
static void check_told_by_body(uint64_t inline_token)
{
	static const char *const methods[] = {IO("PullAppInputs"), IO("PullClientAppInputs"),
		IO("PullMessage"), IO("PushAppOutputs")};
	char text[32];

	rig.task_token[0] = '\0';
	snprintf(text, sizeof text, "%llu", (unsigned long long)inline_token);
	assert_int_equal(pull(inline_token, NULL), OUTCOME_OK);
	for (size_t i = 0; i < ARRAY_LEN(methods); i++) {
		auto_(call_done) struct call call;
		struct slices body = {0};

		token_body(text, &body);
		call_make(&call, methods[i]);
		call_body(&call, &body);
		assert_int_equal(call.outcome, OUTCOME_FAILED_PRECONDITION);
		assert_non_null(strstr(call.details, "need a worker of Flower 1.15 to 1.18"));
	}
}

static void a_worker_of_the_wrong_kind_is_told_which_is_needed(void **state)
{
	static const char *const methods[] = {IO("ListAppsToLaunch"),
		IO("GetRunIdsWithPendingMessages"), IO("PullPendingTasks"), "PullPendingTasks"};
	char details[256];
	uint64_t inline_token;

	message_comes();
	for (size_t i = 0; i < ARRAY_LEN(methods); i++) {
		assert_int_equal(ask_for(methods[i], details), OUTCOME_FAILED_PRECONDITION);
		assert_non_null(strstr(details, "need a worker of Flower 1.15 to 1.18"));
	}
	/* One that an agent has given the token to. */
	assert_int_equal(node_get_token(rig.node, now_is(), &inline_token, &(const char *){NULL}),
		OUTCOME_OK);
	for (size_t i = 0; i < ARRAY_LEN(methods); i++)
		assert_int_equal(ask_for(methods[i], details), OUTCOME_OK);
	snprintf(rig.task_token, sizeof rig.task_token, "%llu", (unsigned long long)inline_token);
	assert_int_equal(say_nothing("PullTaskInput", NULL), OUTCOME_FAILED_PRECONDITION);
	check_told_by_body(inline_token);
	objects_message_to_node();
	assert_int_equal(ask_for("GetToken", details), OUTCOME_FAILED_PRECONDITION);
	assert_non_null(strstr(details, "need a worker of Flower 1.20 or later"));
}

int main(void)
{
#define OFFERING(name) cmocka_unit_test_setup_teardown(name, rig_setup_offering, teardown)
	const struct CMUnitTest tests[] = {
		OFFERING(a_message_is_served_as_1_20_asks),
		OFFERING(a_message_is_served_as_1_21_asks),
		OFFERING(a_message_is_served_as_1_26_asks),
		OFFERING(a_message_is_served_as_1_29_asks),
		OFFERING(a_message_is_served_as_1_30_asks),
		OFFERING(a_text_that_is_no_token_is_refused),
		OFFERING(broken_bodies_are_refused),
		OFFERING(with_a_secret_launchers_sign),
		OFFERING(a_heartbeat_says_whether_the_token_lives),
		OFFERING(a_token_that_is_not_used_is_for_the_next_one),
		OFFERING(heartbeats_are_expected_of_who_sends_them),
		OFFERING(objects_are_those_of_the_connection),
		OFFERING(a_reply_comes_on_another_connection),
		OFFERING(a_worker_of_the_wrong_kind_is_told_which_is_needed),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
