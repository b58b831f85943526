/* The reply in a worker's place, in both ways that a SuperNode may know, with a stand-in for it. */
#include "clientapp/api/conversation.h"
#include "clientapp/failure_reply.h"
#include "common/base/clock.h"
#include "kit/log.h"

static struct {
	int fail_result;
	int64_t retry_ms;
	conversation_pushed_fn *told; /* of conversation_fail() */
	conversation_pulled_fn *pulled;
	conversation_pushed_fn *pushed;
	void *arg;
	int64_t code;
	char reason[64];
	unsigned done;
} world;

int __wrap_conversation_new(struct loop *loop, struct rpc *rpc, struct log *log,
	const struct conversation_options *options, struct conversation **out);
int __wrap_conversation_new(struct loop *loop, struct rpc *rpc, struct log *log,
	const struct conversation_options *options, struct conversation **out)
{
	assert_true(options->without_content);
	world.retry_ms = options->retry_ms;
	*out = NULL;
	return 0;
}

int __wrap_conversation_fail(struct conversation *conversation, int64_t code, const char *reason,
	conversation_pushed_fn *done, void *arg);
int __wrap_conversation_fail(struct conversation *conversation, int64_t code, const char *reason,
	conversation_pushed_fn *done, void *arg)
{
	world.told = done;
	world.arg = arg;
	world.code = code;
	return world.fail_result;
}

int __wrap_conversation_pull(
	struct conversation *conversation, conversation_pulled_fn *done, void *arg);
int __wrap_conversation_pull(
	struct conversation *conversation, conversation_pulled_fn *done, void *arg)
{
	world.pulled = done;
	world.arg = arg;
	return 0;
}

int __wrap_conversation_push(struct conversation *conversation, struct conversation_reply *reply,
	conversation_pushed_fn *done, void *arg);
int __wrap_conversation_push(struct conversation *conversation, struct conversation_reply *reply,
	conversation_pushed_fn *done, void *arg)
{
	assert_true(reply->message.has_error);
	assert_string_equal(reply->message.metadata.reply_to_message_id, "m");
	world.pushed = done;
	world.code = reply->message.error_code;
	snprintf(world.reason, sizeof world.reason, "%s", reply->message.error_reason);
	conversation_reply_done(reply);
	return 0;
}

static void on_done(void *arg)
{
	world.done++;
}

struct rig {
	struct kit_log log;
	struct failure_reply *reply;
};

static int setup(void **state)
{
	static struct rig rig;

	memset(&world, 0, sizeof world);
	memset(&rig, 0, sizeof rig);
	kit_log_init(&rig.log, NULL, LOG_LEVEL_INFO);
	*state = &rig;
	return 0;
}

static int teardown(void **state)
{
	struct rig *rig = *state;

	failure_reply_free(rig->reply);
	kit_log_done(&rig->log);
	return 0;
}

static int send(struct rig *rig, bool patient)
{
	const struct failure_reply_options options = {.address = "127.0.0.1:9094",
		.token = 41,
		.code = 8,
		.reason = "it crashed",
		.patient = patient,
		.done = on_done};

	return failure_reply_new(NULL, NULL, rig->log.log, &options, &rig->reply);
}

static void a_supernode_that_knows_the_call_is_told(void **state)
{
	struct rig *rig = *state;

	assert_int_equal(send(rig, true), 0);
	assert_int_equal(world.code, 8);
	assert_int_equal(world.retry_ms, CLOCK_NEVER);
	assert_null(world.pulled);
	world.told(world.arg, OUTCOME_NOT_FOUND, "it is late", 0);
	assert_int_equal(world.done, 1);
	/* The worker, or its SuperNode, may have answered: no news. */
	assert_string_equal(kit_log_text(&rig->log), "");
}

static void else_the_inputs_are_pulled_and_an_error_is_pushed(void **state)
{
	struct rig *rig = *state;
	struct conversation_inputs inputs = {.content_bytes = 1};

	world.fail_result = 1;
	assert_int_equal(send(rig, false), 0);
	assert_int_equal(world.retry_ms, 30000);
	inputs.message.metadata.message_id = strdup("m");
	inputs.message.metadata.message_type = strdup("train");
	inputs.message.metadata.reply_to_message_id = strdup("");
	inputs.message.metadata.group_id = strdup("");
	world.pulled(world.arg, OUTCOME_OK, &inputs, "");
	conversation_inputs_done(&inputs);
	assert_int_equal(world.code, 8);
	assert_string_equal(world.reason, "it crashed");
	assert_int_equal(kit_log_count(&rig->log, "message m failed: code=8: it crashed"), 1);
	assert_int_equal(world.done, 0);
	world.pushed(world.arg, OUTCOME_UNAVAILABLE, "nobody is there", 10);
	assert_int_equal(world.done, 1);
	assert_int_equal(kit_log_count(&rig->log, "did not take the outputs: UNAVAILABLE"), 1);
}

/* Flower 1.34 has the calls, but not that one. */
static void a_supernode_that_does_not_know_the_call_is_asked_for_the_inputs(void **state)
{
	struct rig *rig = *state;
	struct conversation_inputs none = {.content_bytes = 0};

	assert_int_equal(send(rig, true), 0);
	world.told(world.arg, OUTCOME_UNAUTHENTICATED, "Unauthenticated", 0);
	assert_int_equal(world.done, 0);
	assert_non_null(world.pulled);
	world.pulled(world.arg, OUTCOME_FAILED_PRECONDITION, &none, "handed out already");
	assert_int_equal(world.done, 1);
	assert_string_equal(kit_log_text(&rig->log), "");
}

static void inputs_that_are_not_given_need_no_reply(void **state)
{
	struct rig *rig = *state;
	struct conversation_inputs none = {.content_bytes = 0};

	world.fail_result = 1;
	assert_int_equal(send(rig, true), 0);
	world.pulled(world.arg, OUTCOME_FAILED_PRECONDITION, &none, "it is answered");
	assert_int_equal(world.done, 1);
	assert_null(world.pushed);
	assert_string_equal(kit_log_text(&rig->log), "");
}

static void without_memory_it_is_not_sent(void **state)
{
	struct rig *rig = *state;

	world.fail_result = -ENOMEM;
	assert_int_equal(send(rig, true), -ENOMEM);
	assert_null(rig->reply);
	assert_int_equal(world.done, 0);
}

#define TEST(function) cmocka_unit_test_setup_teardown(function, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(a_supernode_that_knows_the_call_is_told),
		TEST(else_the_inputs_are_pulled_and_an_error_is_pushed),
		TEST(a_supernode_that_does_not_know_the_call_is_asked_for_the_inputs),
		TEST(inputs_that_are_not_given_need_no_reply),
		TEST(without_memory_it_is_not_sent),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
