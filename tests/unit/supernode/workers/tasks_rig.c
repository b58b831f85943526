#include "tasks_rig.h"

#include "common/message/app_codec.h"
#include "common/message/fleet_codec.h"
#include "common/message/object_calls_codec.h"
#include "common/message/task_codec.h"
#include "common/wire/wire.h"
#include "numbers.h"

struct made given;
char shown_token[NODE_TOKEN_TEXT_BYTES];

struct metadata metadata_of(const char *id, bool reply)
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

void objects_message_to_node(void)
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

void next_task(void)
{
	objects_message_to_node();
	rig.token = action_of(NODE_START_WORKER).token;
	assert_true(node_token_text(rig.node, rig.token, rig.task_token));
}

void task_begins(void)
{
	work_begins();
	node_worker_ended(rig.node, now_is(), 1, 8, "makes place");
	node_worker_gone(rig.node, now_is(), 1);
	next_task();
}

enum outcome say(const char *method, struct slices *body, struct slices *answer)
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

enum outcome say_nothing(const char *method, struct slices *answer)
{
	struct slices nothing = {0};

	return say(method, &nothing, answer);
}

void object_body(size_t i, const struct made *made, bool with_content, struct slices *out)
{
	auto_(object_request_done) struct object_request request = {.id = made->v[i].id};

	if (with_content)
		assert_int_equal(slices_append_refs(&request.content, &made->v[i].bytes), 0);
	assert_int_equal(object_request_encode(&request, out), 0);
}

void confirm(void)
{
	struct slices body = {0};

	object_body(MADE_OBJECTS - 1, &given, false, &body);
	assert_int_equal(say("ConfirmMessageReceived", &body, NULL), OUTCOME_OK);
}

void messages_body(const struct envelope *reply, const struct slices *tree, struct slices *out)
{
	auto_(task_messages_done) struct task_messages messages = {.n_messages = 1, .n_trees = 1};

	assert_int_equal(envelope_encode(reply, &messages.message), 0);
	assert_int_equal(slices_append_refs(&messages.tree, tree), 0);
	assert_int_equal(task_encode_push(&messages, out), 0);
}

enum outcome end_task(const char *sub_status, const char *details)
{
	struct task_output output = {
		.sub_status = (char *)(uintptr_t)sub_status, .details = (char *)(uintptr_t)details};
	struct slices body = {0};

	assert_int_equal(task_encode_output(&output, &body), 0);
	return say("PushTaskOutput", &body, NULL);
}

struct launcher_auth *load_secret(void)
{
	auto_(free_at_exit) char *path = kit_dir_write_text("secret", "secret");
	struct launcher_auth *auth = NULL;

	assert_int_equal(launcher_auth_load(path, &auth, NULL), 0);
	unlink(path);
	return auth;
}

void sign(const struct launcher_auth *auth, const char *path, const struct slices *body)
{
	assert_int_equal(launcher_auth_sign(auth, path, body, clock_wall_s(), rig.proof), 0);
}

void offer(void)
{
	uint64_t other;

	message_comes();
	assert_int_equal(
		node_get_token(rig.node, now_is(), &other, &(const char *){NULL}), OUTCOME_OK);
	objects_message_to_node();
}

void token_body(const char *text, struct slices *out)
{
	assert_int_equal(app_encode_token(text, out), 0);
}

void request_token(uint64_t run_id)
{
	auto_(slices_done) struct slices answer = {0};
	auto_(free_at_exit) char *got = NULL;
	struct slices body = {0};

	assert_int_equal(app_encode_request(run_id, &body), 0);
	assert_int_equal(say(IO("RequestToken"), &body, &answer), OUTCOME_OK);
	assert_int_equal(app_decode_requested(&answer, &got), 0);
	snprintf(shown_token, sizeof shown_token, "%s", got ? got : "");
}

enum outcome pull_with(const char *method, const char *text)
{
	struct slices body = {0};

	token_body(text, &body);
	return say(method, &body, NULL);
}

void pull_input(void)
{
	assert_int_equal(say_nothing("PullTaskInput", NULL), OUTCOME_OK);
}

enum outcome get_run(uint64_t run_id, struct slices *answer)
{
	struct wire_writer writer = {0};
	struct slices body = {0};

	wire_put_varint(&writer, NUMBER_GET_RUN_REQUEST_RUN_ID, run_id);
	assert_int_equal(wire_writer_take(&writer, &body), 0);
	return say("GetRun", &body, answer);
}

void check_message(size_t expected)
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

int teardown(void **state)
{
	made_done(&given);
	return rig_teardown(state);
}
