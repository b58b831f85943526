/*
 * The conversation about tasks: who may ask, and what is given.
 */
#include "common/message/fleet_codec.h"
#include "common/message/object_calls_codec.h"
#include "common/message/task_codec.h"
#include "common/wire/wire.h"
#include "numbers.h"
#include "tasks_rig.h"

static void pull_object(size_t i, struct object_pulled *out)
{
	auto_(slices_done) struct slices answer = {0};
	struct slices body = {0};

	object_body(i, &given, false, &body);
	assert_int_equal(say("PullObject", &body, &answer), OUTCOME_OK);
	assert_int_equal(object_pulled_decode(&answer, out), 0);
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
	assert_int_equal(
		node_get_token(rig.node, now_is(), &id, &(const char *){NULL}), OUTCOME_OK);
	assert_int_equal(say_nothing("PullPendingTasks", &answer), OUTCOME_OK);
	assert_int_equal(answer.bytes, 0);
}

/* By launchers of Flower 1.39 and later. */
static void a_task_is_acquired_with_its_token(void **state)
{
	auto_(slices_done) struct slices answer = {0}, other = {0};
	auto_(free_at_exit) char *token = NULL;
	struct slices body = {0};
	/* AcquireTaskRequest of a type that is another's. */
	static const uint8_t agents[] = {0x0a, 3, 'x', '-', 'y'};

	assert_int_equal(task_encode_acquire(&body), 0);
	assert_int_equal(say("AcquireTask", &body, &answer), OUTCOME_OK);
	assert_int_equal(answer.bytes, 0);
	message_comes();
	objects_message_to_node();
	assert_int_equal(slices_append_copy(&body, agents, sizeof agents), 0);
	assert_int_equal(say("AcquireTask", &body, &other), OUTCOME_OK);
	assert_int_equal(other.bytes, 0);
	assert_int_equal(task_encode_acquire(&body), 0);
	assert_int_equal(say("AcquireTask", &body, &answer), OUTCOME_OK);
	assert_int_equal(task_decode_acquired(&answer, &token), 0);
	assert_int_equal(strlen(token), 256);
	assert_true(token_live(rig.held));
	assert_int_equal(task_encode_acquire(&body), 0);
	/* Somebody has it; what else waits is inline. */
	assert_int_equal(say("AcquireTask", &body, NULL), OUTCOME_FAILED_PRECONDITION);
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

/* A caller that has not signed learns nothing and gets nothing, where there is a secret. */
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

/* Flower's own launcher, which has no token, asks for the run that it was told of. */
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
	/* A run_id without its number. */
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
		run_id = wire_first_varint(&input.run, NUMBER_RUN_RUN_ID);
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

int main(void)
{
#define TEST(name)     cmocka_unit_test_setup_teardown(name, rig_setup, teardown)
#define OFFERING(name) cmocka_unit_test_setup_teardown(name, rig_setup_offering, teardown)
	const struct CMUnitTest tests[] = {
		OFFERING(a_task_is_claimed_once),
		OFFERING(a_task_is_acquired_with_its_token),
		OFFERING(a_task_that_cannot_be_remembered_is_for_others),
		OFFERING(with_a_secret_only_launchers_may_ask),
		OFFERING(run_of_a_task_is_told),
		OFFERING(who_waits_is_told_of_the_task_that_comes),
		TEST(nobody_without_a_live_token_is_received),
		TEST(a_token_may_die_while_a_body_comes),
		TEST(the_token_of_an_instruction_is_none_of_a_task),
		TEST(inputs_are_given_until_they_are_confirmed),
		TEST(a_heartbeat_and_logs_are_taken),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
