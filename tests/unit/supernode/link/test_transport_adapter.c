/*
 * Fleet by the adapter: what a call looks like to a server that has Flower's own container, and
 * what is made of answers that no SuperLink gives.
 */
#include "calls.h"

static void open_peer(void)
{
	kit_child_start(&world.peer, KIT_OLDEST, FLWR_TEST_DIR "/adapter_peer.py");
	open_transport(&transport_adapter, kit_child_value(&world.peer, "address"), NULL);
}

static void close_peer(void)
{
	close_transport();
	kit_child_end(&world.peer);
}

static void ask(const char *method, const char *content, struct answer *answer)
{
	struct slices body = {0};

	assert_int_equal(slices_append_copy(&body, content, strlen(content)), 0);
	start(method, &body, true, answer);
	wait_for(answer);
}

static void expect_served(void)
{
	struct answer answer = {.max_bytes = 1 << 20};

	ask("PullMessages", "echo this", &answer);
	assert_int_equal(answer.outcome, OUTCOME_OK);
	expect_text(&answer, "PullMessagesRequest {} True this");
}

static void test_calls(void **state)
{
	struct transport_call unknown = {.method = "NoSuchMethod"};
	struct slices none = {0};
	struct answer answer = {.max_bytes = 1 << 20};

	open_peer();
	expect_served();
	/* Its messages are not named as the method is. */
	ask("RegisterNode", "echo", &answer);
	assert_int_equal(answer.outcome, OUTCOME_OK);
	expect_text(&answer, "RegisterNodeFleetRequest {} True ");
	assert_int_equal(
		world.transport->ops->call(world.transport, &unknown, &none, &answer.handle),
		-EINVAL);
	answer = (struct answer){.max_bytes = 1 << 20};
	start("PullMessages", NULL, false, &answer);
	world.transport->ops->cancel(answer.handle);
	wait_for(&answer);
	assert_int_equal(answer.outcome, OUTCOME_CANCELLED);
	world.transport->ops->reconnect(world.transport);
	close_peer();
}

/* Large contents come as they are, up to what was asked for. */
static void test_large(void **state)
{
	struct answer answer = {.max_bytes = 3 << 20};

	open_peer();
	ask("PullObject", "large 1000", &answer);
	assert_true(answer.unreadable); /* PullMessages' answer */
	answer = (struct answer){.max_bytes = 3 << 20};
	ask("PullMessages", "large 3145728", &answer);
	assert_int_equal(answer.outcome, OUTCOME_OK);
	assert_int_equal(answer.body.bytes, 3 << 20);
	slices_done(&answer.body);
	answer = (struct answer){.max_bytes = 1 << 20};
	ask("PullMessages", "large 3145728", &answer);
	assert_int_equal(answer.outcome, OUTCOME_RESOURCE_EXHAUSTED);
	assert_true(answer.too_large);
	assert_int_equal(answer.body.bytes, 0);
	close_peer();
}

/* What was kept of an answer that is too large is the beginning of its content. */
static void test_head_of_a_large_answer(void **state)
{
	struct answer answer = {.max_bytes = 1 << 20, .keeps_head = true};

	open_peer();
	ask("PullMessages", "large 3145728", &answer);
	assert_true(answer.too_large);
	assert_in_range(answer.body.bytes, 60000, 65536);
	for (size_t i = 0; i < answer.body.n; i++)
		for (size_t at = 0; at < answer.body.v[i].len; at++)
			assert_int_equal(answer.body.v[i].data[at], 0);
	slices_done(&answer.body);
	close_peer();
}

static void test_wrong_answers(void **state)
{
	static const struct {
		const char *content;
		enum outcome outcome;
		const char *says; /* with OK: about an answer that cannot be read */
	} rows[] = {
		{"version", OUTCOME_OK, ""}, /* nobody minds */
		{"stay", OUTCOME_OK, ""},
		{"name PushMessagesResponse", OUTCOME_OK,
			"answered with \"PushMessagesResponse\" instead of the answer to PullMessages"},
		{"name PullMessagesRequest", OUTCOME_OK, "answered with \"PullMessagesR"},
		{"name", OUTCOME_OK, "answered with \"\""},
		{"exit PullMessagesResponse", OUTCOME_OK, ""},
		{"exit", OUTCOME_OK, "answered with \"\""},
		{"status UNKNOWN Exception calling application: SuperNode 7, exception: Run is finished.",
			OUTCOME_PERMISSION_DENIED, "Run is finished."},
		{"bytes ", OUTCOME_OK, "answered with \"\""},
		{"bytes ff", OUTCOME_OK, "could not be read"},
		{"bytes 1201ff", OUTCOME_OK, "could not be read"}, /* a name, no UTF-8 */
		{"bytes 1aff", OUTCOME_OK, "could not be read"},
		{"bytes 1a05", OUTCOME_OK, "could not be read"},
		{"head 1000", OUTCOME_OK, "could not be read"},
		{"status UNKNOWN Exception calling application: Invalid grpc_message_name: X",
			OUTCOME_UNIMPLEMENTED, "Invalid grpc_message_name"},
		{"status FAILED_PRECONDITION This request should be sent to a different service.",
			OUTCOME_UNIMPLEMENTED, "different service"},
		{"status UNKNOWN words", OUTCOME_UNKNOWN, "words"},
		{"status UNAUTHENTICATED words", OUTCOME_UNAUTHENTICATED, "words"},
		{"silent", OUTCOME_DEADLINE_EXCEEDED, ""},
	};

	open_peer();
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		bool late = rows[i].outcome == OUTCOME_DEADLINE_EXCEEDED;
		bool ok = rows[i].outcome == OUTCOME_OK;
		struct answer answer = {
			.max_bytes = 1 << 20, .timeout_ms = late ? 200 : CALL_TIMEOUT_MS};

		ask("PullMessages", rows[i].content, &answer);
		print_message("%s: %s \"%s\"\n", rows[i].content, outcome_name(answer.outcome),
			answer.details);
		assert_int_equal(answer.outcome, rows[i].outcome);
		assert_non_null(strstr(answer.details, rows[i].says));
		assert_int_equal(answer.told_to_end, strncmp(rows[i].content, "exit", 4) == 0);
		assert_int_equal(answer.unreadable, ok && rows[i].says[0]);
		assert_int_equal(answer.body.bytes, ok && !answer.unreadable);
		slices_done(&answer.body);
	}
	expect_served();
	close_peer();
}

#define TEST(test) cmocka_unit_test_setup_teardown(test, world_setup, world_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_calls),
		TEST(test_large),
		TEST(test_head_of_a_large_answer),
		TEST(test_wrong_answers),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
