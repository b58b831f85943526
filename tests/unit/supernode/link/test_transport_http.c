/*
 * Fleet over HTTP: what a call looks like to a server, what its answer means, and a node's first
 * calls at a real SuperLink.
 */
#include "calls.h"
#include "common/base/clock.h"
#include "common/keys/trust.h"
#include "common/message/fleet_codec.h"

#define STAND_IN FLWR_TEST_DIR "/../../common/http/stand_in.py"

/* ---- what the server sees ---- */

static void expect_signed(const struct answer *answer)
{
	const struct auth_proof *proof =
		auth_proof(world.auth, clock_now_ms(), clock_wall_s(), AUTH_REUSE_MS);
	char body[1024];

	assert_true(answer->body.bytes < sizeof body);
	slices_read(&answer->body, 0, body, answer->body.bytes);
	body[answer->body.bytes] = '\0';
	/* base64 of "-----BEGIN PUBLIC KEY-----\n" and of a DER sequence. */
	assert_non_null(strstr(body,
		"fleet/push-messages|application/protobuf|LS0tLS1CRUdJTiBQVUJMSUMgS0VZLS0tLS0K"));
	assert_non_null(strstr(body, proof->timestamp));
	assert_non_null(strstr(body, "|ME"));
}

static void calls_are_posts_that_may_be_signed(void **state)
{
	struct answer answer;
	struct transport_call unknown = {.method = ""};
	struct slices none = {0};

	kit_child_start(&world.peer, KIT_OLDEST, STAND_IN);
	open_transport(&transport_http, kit_child_value(&world.peer, "address"), NULL);
	call("PullMessages", NULL, false, &answer);
	assert_int_equal(answer.outcome, OUTCOME_OK);
	expect_text(&answer, "fleet/pull-messages|application/protobuf|none|none|none");
	call("ConfirmMessageReceived", NULL, false, &answer);
	expect_text(&answer, "fleet/confirm-message-received|application/protobuf|none|none|none");
	call("PushMessages", NULL, true, &answer);
	assert_int_equal(answer.outcome, OUTCOME_OK);
	expect_signed(&answer);
	slices_done(&answer.body);
	assert_int_equal(
		world.transport->ops->call(world.transport, &unknown, &none, &answer.handle),
		-EINVAL);
	answer = (struct answer){0};
	start("PullMessages", NULL, false, &answer);
	world.transport->ops->cancel(answer.handle);
	wait_for(&answer);
	assert_int_equal(answer.outcome, OUTCOME_CANCELLED);
	world.transport->ops->reconnect(world.transport);
	close_transport();
	kit_child_end(&world.peer);
}

/* Flower's words are told from those of a proxy before it. */
static void refusals_of_flower_are_told_from_those_of_proxies(void **state)
{
	static const struct {
		const char *method;
		enum outcome outcome;
		int code;
		const char *says;
	} rows[] = {
		{"FlowersUnauthorized", OUTCOME_UNAUTHENTICATED, 0, "said so"},
		{"FlowersDenied", OUTCOME_PERMISSION_DENIED, 2007, "said so"},
		{"AnotherDenied", OUTCOME_UNAVAILABLE, 0, "HTTP status 403, as proxies say it"},
		{"Unauthorized", OUTCOME_UNAVAILABLE, 0, "HTTP status 401, as proxies say it"},
		{"Denied", OUTCOME_UNAVAILABLE, 0, "HTTP status 403, as proxies say it: go away"},
		{"Password", OUTCOME_UNAVAILABLE, 0, "HTTP status 407, as proxies say it"},
		{"Moved", OUTCOME_UNAVAILABLE, 0, "HTTP status 302, as proxies say it"},
		{"Portal", OUTCOME_UNAVAILABLE, 0,
			"HTTP status 200 with content of type \"text/html\", as proxies say it"},
	};

	kit_child_start(&world.peer, KIT_OLDEST, STAND_IN);
	open_transport(&transport_http, kit_child_value(&world.peer, "address"), NULL);
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct answer answer;

		call(rows[i].method, NULL, true, &answer);
		print_message("%s: %s\n", rows[i].method, answer.details);
		assert_int_equal(answer.outcome, rows[i].outcome);
		assert_int_equal(answer.code, rows[i].code);
		assert_string_equal(answer.details, rows[i].says);
	}
	close_transport();
	kit_child_end(&world.peer);
}

/* ---- a real SuperLink ---- */

static struct slices key_body(double interval_s)
{
	struct slices body = {0};
	size_t len;
	const char *pem = auth_public_key(world.auth, &len);

	assert_int_equal(fleet_encode_key(pem, len, interval_s, &body), 0);
	return body;
}

static struct slices heartbeat_body(uint64_t node_id)
{
	struct slices body = {0};

	assert_int_equal(fleet_encode_ping(node_id, 30, &body), 0);
	return body;
}

static struct slices pull_body(uint64_t node_id)
{
	struct slices body = {0};

	assert_int_equal(fleet_encode_pull_messages(node_id, &body), 0);
	return body;
}

/* The body of calls that end a node. */
static struct slices id_body(uint64_t node_id)
{
	struct slices body = {0};

	assert_int_equal(fleet_encode_node_id(node_id, &body), 0);
	return body;
}

static void check_answer(
	const char *method, const struct answer *answer, enum outcome outcome, int code)
{
	print_message("%s: %s %d \"%s\"\n", method, outcome_name(answer->outcome), answer->code,
		answer->details);
	assert_int_equal(answer->outcome, outcome);
	assert_int_equal(answer->code, code);
	/* The clock of the SuperLink is this machine's. */
	assert_true(answer->date_s > clock_wall_s() - 60 && answer->date_s < clock_wall_s() + 60);
}

/* Call, signed, and check how it ends. */
static void expect_outcome(const char *method, struct slices body, enum outcome outcome, int code,
	struct answer *answer)
{
	call(method, &body, true, answer);
	check_answer(method, answer, outcome, code);
}

static void a_life(void)
{
	struct slices unsigned_body = key_body(0);
	struct answer answer;
	uint64_t node_id, again;
	struct slices broken = {0};
	bool success;

	call("RegisterNode", &unsigned_body, false, &answer);
	check_answer("RegisterNode", &answer, OUTCOME_UNAUTHENTICATED, 0);
	assert_string_equal(answer.details, "Invalid SuperNode authentication");
	expect_outcome("RegisterNode", key_body(0), OUTCOME_OK, 0, &answer);
	assert_int_equal(fleet_decode_node_id(&answer.body, &node_id), 0);
	assert_int_not_equal(node_id, 0);
	slices_done(&answer.body);
	expect_outcome("RegisterNode", key_body(0), OUTCOME_FAILED_PRECONDITION, 23, &answer);
	expect_outcome("ActivateNode", key_body(5), OUTCOME_INVALID_ARGUMENT, 2003, &answer);
	expect_outcome("ActivateNode", key_body(30), OUTCOME_OK, 0, &answer);
	assert_int_equal(fleet_decode_node_id(&answer.body, &again), 0);
	assert_true(again == node_id);
	slices_done(&answer.body);
	expect_outcome("ActivateNode", key_body(30), OUTCOME_FAILED_PRECONDITION, 2004, &answer);
	expect_outcome("SendNodeHeartbeat", heartbeat_body(node_id), OUTCOME_OK, 0, &answer);
	assert_int_equal(fleet_decode_ping(&answer.body, &success), 0);
	assert_true(success);
	slices_done(&answer.body);
	expect_outcome("PullMessages", pull_body(node_id), OUTCOME_OK, 0, &answer);
	assert_int_equal(answer.body.bytes, 0);
	expect_outcome("PullMessages", pull_body(node_id + 1), OUTCOME_UNAUTHENTICATED, 0, &answer);
	assert_int_equal(slices_append_copy(&broken, "\xff\xff", 2), 0);
	expect_outcome("PullMessages", broken, OUTCOME_INVALID_ARGUMENT, 1003, &answer);
	expect_outcome("NoSuchMethod", key_body(0), OUTCOME_UNIMPLEMENTED, 0, &answer);
	expect_outcome("DeactivateNode", id_body(node_id), OUTCOME_OK, 0, &answer);
	expect_outcome("UnregisterNode", id_body(node_id), OUTCOME_OK, 0, &answer);
}

static void a_real_superlink_takes_the_calls_of_a_life(void **state)
{
	static const char *const unused[] = {"name", "expired", "future"};
	char directory[128], plain[64], good[64], other[64], path[256];
	auto_(free_at_exit) char *pem = NULL;

	kit_child_start(&world.peer, KIT_NEWEST, FLWR_TEST_DIR "/peers.py");
	kit_child_copy_value(&world.peer, "directory", directory, sizeof directory);
	kit_child_copy_value(&world.peer, "plain", plain, sizeof plain);
	kit_child_copy_value(&world.peer, "good", good, sizeof good);
	for (size_t i = 0; i < ARRAY_LEN(unused); i++)
		kit_child_copy_value(&world.peer, unused[i], other, sizeof other);
	open_transport(&transport_http, plain, NULL);
	a_life();
	close_transport();
	auth_free(world.auth);
	assert_int_equal(auth_new(&world.auth), 0);
	snprintf(path, sizeof path, "%s/ca.pem", directory);
	assert_int_equal(trust_load(path, &pem, NULL), 0);
	open_transport(&transport_http, good, pem);
	a_life();
	close_transport();
	kit_child_end(&world.peer);
}

#define TEST(test) cmocka_unit_test_setup_teardown(test, world_setup, world_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(calls_are_posts_that_may_be_signed),
		TEST(refusals_of_flower_are_told_from_those_of_proxies),
		TEST(a_real_superlink_takes_the_calls_of_a_life),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
