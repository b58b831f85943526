/*
 * The conversation about tasks: who may ask, what is given, and how a reply comes back.
 */
#include "objects.h"

#include "common/message/fleet_codec.h"
#include "common/message/object_calls_codec.h"
#include "common/message/task_codec.h"
#include "common/wire/wire.h"

#define RECORD_BYTES 1000

/* ---- what is done with the node ---- */

static struct made given; /* the instruction's objects */

static struct metadata metadata_of(const char *id, bool reply)
{
	return (struct metadata){.run_id = 22,
		.message_id = (char *)(uintptr_t)id,
		.src_node_id = reply ? 11 : 0,
		.dst_node_id = reply ? 0 : 11,
		.reply_to_message_id = (char *)"",
		.group_id = (char *)"1",
		.ttl = 3600,
		.message_type = (char *)"train",
		.created_at = 1e9};
}

static void objects_message_to_node(void)
{
	const struct metadata metadata = metadata_of("", false);
	struct held_message message = {.envelope.has_content = true};

	made_done(&given);
	made_new(&metadata, RECORD_BYTES, &given);
	assert_int_equal(metadata_copy(&metadata, &message.envelope.metadata), 0);
	message.envelope.metadata.created_at = clock_wall_s();
	free(message.envelope.metadata.message_id);
	message.envelope.metadata.message_id = strdup(given.message_id);
	message.objects = made_set(&given);
	assert_int_equal(node_message(rig.node, now_is(), &message, NULL, NULL), 0);
	held_message_done(&message);
}

static void next_task(void)
{
	objects_message_to_node();
	rig.token = action_of(NODE_START_WORKER).token;
	assert_true(node_token_text(rig.node, rig.token, rig.task_token));
}

/* A message at work (subprocess isolation); its token is shown from now on. */
static void task_begins(void)
{
	work_begins();
	node_worker_ended(rig.node, now_is(), 1, 8, "makes place");
	node_worker_gone(rig.node, now_is(), 1);
	next_task();
}

/* ---- launchers that must prove that they may ask ---- */

static void sign(const struct launcher_auth *auth, const char *path, const struct slices *body)
{
	assert_int_equal(launcher_auth_sign(auth, path, body, clock_wall_s(), rig.proof), 0);
}

/* ---- calls ---- */

static enum outcome say(const char *method, struct slices *body, struct slices *answer)
{
	auto_(call_done) struct call call;

	call_make(&call, method);
	if (!call.finished)
		call_body(&call, body);
	slices_done(body);
	while (!call.finished)
		loop_step(rig.loop, 100);
	if (answer)
		assert_int_equal(slices_move(answer, &call.body), 0);
	return call.outcome;
}

static enum outcome say_nothing(const char *method, struct slices *answer)
{
	struct slices nothing = {0};

	return say(method, &nothing, answer);
}

static void object_body(size_t i, const struct made *made, bool with_content, struct slices *out)
{
	auto_(object_request_done) struct object_request request = {.id = made->v[i].id};

	if (with_content)
		assert_int_equal(slices_append_refs(&request.content, &made->v[i].bytes), 0);
	assert_int_equal(object_request_encode(&request, out), 0);
}

static void pull_object(size_t i, struct object_pulled *out)
{
	auto_(slices_done) struct slices answer = {0};
	struct slices body = {0};

	object_body(i, &given, false, &body);
	assert_int_equal(say("PullObject", &body, &answer), OUTCOME_OK);
	assert_int_equal(object_pulled_decode(&answer, out), 0);
}

static void confirm(void)
{
	struct slices body = {0};

	object_body(MADE_OBJECTS - 1, &given, false, &body);
	assert_int_equal(say("ConfirmMessageReceived", &body, NULL), OUTCOME_OK);
}

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

static void messages_body(
	const struct envelope *reply, const struct slices *tree, struct slices *out)
{
	auto_(task_messages_done) struct task_messages messages = {.n_messages = 1, .n_trees = 1};

	assert_int_equal(envelope_encode(reply, &messages.message), 0);
	assert_int_equal(slices_append_refs(&messages.tree, tree), 0);
	assert_int_equal(task_encode_push(&messages, out), 0);
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

static enum outcome end_task(const char *sub_status, const char *details)
{
	struct task_output output = {
		.sub_status = (char *)(uintptr_t)sub_status, .details = (char *)(uintptr_t)details};
	struct slices body = {0};

	assert_int_equal(task_encode_output(&output, &body), 0);
	return say("PushTaskOutput", &body, NULL);
}

static void pull_input(void)
{
	assert_int_equal(say_nothing("PullTaskInput", NULL), OUTCOME_OK);
}

/* The reply that is to be pushed. */
static const struct held_message *reply(void)
{
	return action_of(NODE_PUSH_REPLY).reply;
}

/* ---- launchers ---- */

static void a_task_is_claimed_once(void **state)
{
	auto_(slices_done) struct slices answer = {0}, first = {0}, second = {0};
	auto_(free_at_exit) char *token = NULL, *none = NULL;
	struct slices body = {0};
	uint64_t id = 0;

	message_comes();
	objects_message_to_node();
	assert_int_equal(say_nothing("PullPendingTasks", &answer), OUTCOME_OK);
	assert_int_equal(task_decode_pending(&answer, &id), 0);
	assert_int_equal(id, 2);
	assert_int_equal(task_encode_claim(id, &body), 0);
	assert_int_equal(say("ClaimTask", &body, &first), OUTCOME_OK);
	assert_int_equal(task_decode_claimed(&first, &token), 0);
	assert_int_equal(strlen(token), 256);
	assert_true(token_live(rig.held));
	assert_int_equal(task_encode_claim(id, &body), 0);
	assert_int_equal(say("ClaimTask", &body, &second), OUTCOME_OK);
	assert_int_equal(task_decode_claimed(&second, &none), 0);
	assert_null(none);
	slices_done(&answer);
	assert_int_equal(say_nothing("PullPendingTasks", &answer), OUTCOME_OK);
	assert_int_equal(answer.bytes, 0);
}

/* The end of the claimer's connection would not be known to be the task's. */
static void a_task_that_cannot_be_remembered_is_for_others(void **state)
{
	auto_(slices_done) struct slices first = {0}, second = {0};
	auto_(free_at_exit) char *token = NULL;
	struct slices body = {0};

	message_comes();
	objects_message_to_node();
	rig.no_memory_to_hold = true;
	assert_int_equal(task_encode_claim(2, &body), 0);
	assert_int_equal(say("ClaimTask", &body, &first), OUTCOME_RESOURCE_EXHAUSTED);
	rig.no_memory_to_hold = false;
	assert_int_equal(task_encode_claim(2, &body), 0);
	assert_int_equal(say("ClaimTask", &body, &second), OUTCOME_OK);
	assert_int_equal(task_decode_claimed(&second, &token), 0);
	assert_non_null(token);
}

static enum outcome get_run(uint64_t run_id, struct slices *answer)
{
	struct wire_writer writer = {0};
	struct slices body = {0};

	wire_put_varint(&writer, 2, run_id);
	assert_int_equal(wire_writer_take(&writer, &body), 0);
	return say("GetRun", &body, answer);
}

static struct launcher_auth *load_secret(void)
{
	auto_(free_at_exit) char *path = kit_dir_write_text("secret", "secret");
	struct launcher_auth *auth = NULL;

	assert_int_equal(launcher_auth_load(path, &auth, NULL), 0);
	unlink(path);
	return auth;
}

/* With a secret, whoever has not signed learns nothing and gets nothing. */
static void with_a_secret_only_launchers_may_ask(void **state)
{
	static const char *const methods[] = {
		"GetToken", "PullPendingTasks", "ClaimTask", "GetRun"};
	struct launcher_auth *launchers = load_secret();
	auto_(slices_done) struct slices answer = {0}, pending = {0}, claim = {0}, run = {0};
	auto_(free_at_exit) char *token = NULL;
	struct slices nothing = {0}, body = {0};

	rig.admission.launchers = launchers;
	message_comes();
	objects_message_to_node();
	assert_int_equal(task_encode_claim(2, &claim), 0);
	for (size_t i = 0; i < ARRAY_LEN(methods); i++) {
		assert_int_equal(slices_append_refs(&body, &claim), 0);
		assert_int_equal(say(methods[i], &body, NULL), OUTCOME_UNAUTHENTICATED);
	}
	sign(launchers, "/flwr.proto.Runtime/PullPendingTasks", &nothing);
	assert_int_equal(say_nothing("PullPendingTasks", &pending), OUTCOME_OK);
	assert_true(pending.bytes > 0);
	/* Once, and for that call only. */
	assert_int_equal(say_nothing("PullPendingTasks", NULL), OUTCOME_UNAUTHENTICATED);
	sign(launchers, "/flwr.proto.Runtime/PullPendingTasks", &claim);
	assert_int_equal(slices_append_refs(&body, &claim), 0);
	assert_int_equal(say("ClaimTask", &body, NULL), OUTCOME_UNAUTHENTICATED);
	sign(launchers, "/flwr.proto.Runtime/ClaimTask", &claim);
	assert_int_equal(slices_append_refs(&body, &claim), 0);
	assert_int_equal(say("ClaimTask", &body, &answer), OUTCOME_OK);
	assert_int_equal(task_decode_claimed(&answer, &token), 0);
	sign(launchers, "/flwr.proto.ClientAppIo/GetToken", &nothing);
	assert_int_equal(say_nothing("GetToken", NULL), OUTCOME_OK);
	/* A worker has its token. */
	memset(rig.proof, 0, sizeof rig.proof);
	snprintf(rig.task_token, sizeof rig.task_token, "%s", token);
	assert_int_equal(get_run(22, &run), OUTCOME_OK);
	assert_true(run.bytes > 0);
	launcher_auth_free(launchers);
}

/* As Flower's own launcher asks, which has no token: of the run that it was told of. */
static void run_of_a_task_is_told(void **state)
{
	auto_(slices_done) struct slices pending = {0}, expected = {0}, known = {0}, unknown = {0};
	auto_(run_done) struct run run = {0};
	struct slices broken = {0};

	message_comes();
	objects_message_to_node();
	assert_int_equal(say_nothing("PullPendingTasks", &pending), OUTCOME_OK);
	assert_int_equal(task_encode_pending(2, 22, &expected), 0);
	assert_true(slices_equal(&pending, &expected));
	assert_int_equal(get_run(22, &known), OUTCOME_OK);
	assert_int_equal(fleet_decode_get_run(&known, &run), 0);
	assert_int_equal(run.run_id, 22);
	assert_int_equal(get_run(99, &unknown), OUTCOME_OK);
	assert_int_equal(unknown.bytes, 0);
	assert_int_equal(slices_append_copy(&broken, "\x10", 1), 0);
	assert_int_equal(say("GetRun", &broken, NULL), OUTCOME_INVALID_ARGUMENT);
}

static void who_waits_is_told_of_the_task_that_comes(void **state)
{
	auto_(call_done) struct call call, late;
	struct slices nothing = {0};
	uint64_t id = 0;

	message_comes();
	call_make(&call, "PullPendingTasks");
	call.wait = "30000";
	call_body(&call, &nothing);
	assert_false(call.finished);
	/* The other message is not for it. */
	held_calls_offer(rig.held_calls);
	assert_false(call.finished);
	objects_message_to_node();
	held_calls_offer(rig.held_calls);
	assert_true(call.finished);
	assert_int_equal(task_decode_pending(&call.body, &id), 0);
	assert_int_equal(id, 2);
	assert_int_equal(
		node_get_token(rig.node, now_is(), &id, &(const char *){NULL}), OUTCOME_OK);
	node_worker_lost(rig.node, now_is(), 2, "");
	/* Nothing comes: an answer without a task. */
	assert_true(node_claim(rig.node, now_is(), 2, &id));
	call_make(&late, "PullPendingTasks");
	late.wait = "1000";
	call_body(&late, &nothing);
	time_passes(1000);
	assert_true(late.finished);
	assert_int_equal(late.outcome, OUTCOME_OK);
	assert_int_equal(late.body.bytes, 0);
}

/* ---- tokens ---- */

static const char *const of_workers[] = {"SendTaskHeartbeat", "PullTaskInput", "PullMessages",
	"PullObject", "ConfirmMessageReceived", "PushMessages", "PushObject", "PushTaskOutput",
	"PushLogs", "Fail"};

static void nobody_without_a_live_token_is_received(void **state)
{
	char spent[NODE_TOKEN_TEXT_BYTES];

	task_begins();
	memcpy(spent, rig.task_token, sizeof spent);
	node_worker_ended(rig.node, now_is(), 2, 8, "it has ended");
	for (size_t i = 0; i < ARRAY_LEN(of_workers); i++) {
		const char *const bad[] = {"", "abc", spent};

		for (size_t t = 0; t < ARRAY_LEN(bad); t++) {
			auto_(call_done) struct call call;

			snprintf(rig.task_token, sizeof rig.task_token, "%s", bad[t]);
			call_make(&call, of_workers[i]);
			assert_true(call.finished);
			assert_false(call.admitted);
			assert_int_equal(call.outcome, OUTCOME_UNAUTHENTICATED);
		}
	}
	assert_int_equal(rig.busy, 0);
}

static void a_token_may_die_while_a_body_comes(void **state)
{
	auto_(call_done) struct call call;
	struct slices nothing = {0};

	task_begins();
	pull_input();
	call_make(&call, "PushTaskOutput");
	assert_true(call.admitted);
	node_worker_ended(rig.node, now_is(), 2, 8, "it has ended");
	call_body(&call, &nothing);
	assert_int_equal(call.outcome, OUTCOME_UNAUTHENTICATED);
}

static void the_token_of_an_instruction_is_none_of_a_task(void **state)
{
	work_begins();
	assert_true(node_token_text(rig.node, rig.token, rig.task_token));
	assert_int_equal(pull(rig.token, NULL), OUTCOME_OK);
	for (size_t i = 0; i < ARRAY_LEN(of_workers); i++)
		assert_int_equal(say_nothing(of_workers[i], NULL), OUTCOME_INVALID_ARGUMENT);
	/* None of them has taken the inputs away. */
	assert_int_equal(pull(rig.token, NULL), OUTCOME_OK);
}

/* ---- what is given ---- */

static void check_message(size_t expected)
{
	auto_(slices_done) struct slices answer = {0};
	auto_(task_messages_done) struct task_messages messages = {0};
	auto_(envelope_done) struct envelope message = {0};

	assert_int_equal(say_nothing("PullMessages", &answer), OUTCOME_OK);
	assert_int_equal(task_decode_pulled(&answer, &messages), 0);
	assert_int_equal(messages.n_messages, expected);
	assert_int_equal(messages.n_trees, expected);
	if (!expected)
		return;
	assert_int_equal(envelope_decode(&messages.message, &message), 0);
	assert_true(message.has_content);
	assert_int_equal(message.content.bytes, 0);
	assert_string_equal(message.metadata.message_id, given.message_id);
	assert_true(slices_equal(&messages.tree, &given.tree));
}

static void inputs_are_given_until_they_are_confirmed(void **state)
{
	task_begins();
	/* Nothing before the input. */
	check_message(0);
	for (int again = 0; again < 2; again++) {
		auto_(slices_done) struct slices answer = {0};
		auto_(task_input_done) struct task_input input = {0};
		uint64_t run_id;

		assert_int_equal(say_nothing("PullTaskInput", &answer), OUTCOME_OK);
		assert_int_equal(task_decode_input(&answer, &input), 0);
		assert_int_equal(input.task_id, 2);
		run_id = wire_first_varint(&input.run, 1);
		assert_int_equal(run_id, 22);
		assert_true(input.context.bytes > 0 && input.fab.bytes > 0);
		check_message(1);
		for (size_t i = 0; i < MADE_OBJECTS; i++) {
			auto_(object_pulled_done) struct object_pulled pulled = {0};

			pull_object(i, &pulled);
			assert_true(pulled.found && pulled.available);
			assert_true(slices_equal(&pulled.content, &given.v[i].bytes));
		}
	}
	assert_int_equal(rig.held, rig.token);
	assert_int_equal(rig.readies, 1);
	confirm();
	check_message(0);
	assert_int_equal(say_nothing("PullTaskInput", NULL), OUTCOME_FAILED_PRECONDITION);
	for (size_t i = 0; i < MADE_OBJECTS; i++) {
		auto_(object_pulled_done) struct object_pulled pulled = {0};

		pull_object(i, &pulled);
		assert_false(pulled.found || pulled.available);
	}
}

static void a_heartbeat_and_logs_are_taken(void **state)
{
	auto_(slices_done) struct slices answer = {0};
	bool success = false;

	task_begins();
	assert_int_equal(say_nothing("SendTaskHeartbeat", &answer), OUTCOME_OK);
	assert_int_equal(task_decode_heartbeat(&answer, &success), 0);
	assert_true(success);
	assert_int_equal(say_nothing("PushLogs", NULL), OUTCOME_OK);
}

/* ---- what comes back ---- */

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
	/* Of another message; of another content. */
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
	wire_put_string(&writer, 2, made.message_id);
	assert_int_equal(wire_writer_take(&writer, &body), 0);
	assert_int_equal(say("PullMessages", &body, NULL), OUTCOME_PERMISSION_DENIED);
	wire_put_string(&writer, 2, given.message_id);
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

static void contents_wait_for_their_turn(void **state)
{
	enum { MAX = CONTENTS_MAX };
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
	/* One that waits goes; one that is being received goes; one is received. */
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
		assert_int_equal(calls[i].admitted, i < CONTENTS_MAX);
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

static int teardown(void **state)
{
	made_done(&given);
	return rig_teardown(state);
}

#define TEST(name)     cmocka_unit_test_setup_teardown(name, rig_setup, teardown)
#define OFFERING(name) cmocka_unit_test_setup_teardown(name, rig_setup_offering, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {OFFERING(a_task_is_claimed_once),
		OFFERING(a_task_that_cannot_be_remembered_is_for_others),
		OFFERING(with_a_secret_only_launchers_may_ask), OFFERING(run_of_a_task_is_told),
		OFFERING(who_waits_is_told_of_the_task_that_comes),
		TEST(nobody_without_a_live_token_is_received),
		TEST(a_token_may_die_while_a_body_comes),
		TEST(the_token_of_an_instruction_is_none_of_a_task),
		TEST(inputs_are_given_until_they_are_confirmed),
		TEST(a_heartbeat_and_logs_are_taken), TEST(a_reply_comes_in_pieces),
		cmocka_unit_test_setup_teardown(large_objects_of_own_workers_are_not_hashed,
			rig_setup_own_workers, teardown),
		TEST(an_error_needs_no_object), TEST(a_task_that_has_failed_is_answered),
		TEST(an_agent_answers_for_its_worker), TEST(what_is_announced_is_looked_at),
		TEST(who_attends_a_task_is_told_of_its_end), TEST(contents_wait_for_their_turn),
		TEST(a_token_is_good_for_its_run_and_message_only),
		TEST(contents_end_with_their_token)};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
