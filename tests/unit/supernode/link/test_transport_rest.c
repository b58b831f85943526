/*
 * Fleet over REST: what a call looks like to a server, and what is made of answers that no
 * SuperLink gives, and of proxies.
 */
#include "calls.h"

#define STAND_IN FLWR_TEST_DIR "/../../common/http/stand_in.py"

static void open_stand_in(void)
{
	kit_child_start(&world.peer, KIT_OLDEST, STAND_IN);
	open_transport(&transport_rest, kit_child_value(&world.peer, "address"), NULL);
}

static void close_stand_in(void)
{
	close_transport();
	kit_child_end(&world.peer);
}

/* One slash, no key. */
static void expect_served(void)
{
	struct answer answer;

	call("PullMessages", NULL, true, &answer);
	assert_int_equal(answer.outcome, OUTCOME_OK);
	expect_text(&answer,
		"v0/fleet/pull-messages|application/protobuf|application/protobuf|none|none|none");
}

static void test_calls(void **state)
{
	struct answer answer;

	open_stand_in();
	expect_served();
	call("Chunks", NULL, false, &answer);
	assert_int_equal(answer.outcome, OUTCOME_OK);
	expect_text(&answer, "abcde");
	close_stand_in();
}

static void test_wrong_answers(void **state)
{
	static const struct {
		const char *method;
		enum outcome outcome;
		const char *says;
	} rows[] = {
		{"Echo", OUTCOME_UNAVAILABLE,
			"HTTP status 200 with content of type \"text/plain\", as proxies say it"},
		{"Portal", OUTCOME_UNAVAILABLE, "content of type \"text/html\", as proxies"},
		{"Untyped", OUTCOME_UNAVAILABLE, "content of type \"\""},
		{"Broken", OUTCOME_INTERNAL, "HTTP status 500: Internal Server Error"},
		{"Teapot", OUTCOME_UNAVAILABLE, "HTTP status 418, as proxies say it: I am"},
		{"Missing", OUTCOME_UNIMPLEMENTED, "HTTP status 404"},
		{"Password", OUTCOME_UNAVAILABLE, "HTTP status 407, as proxies say it"},
		{"Moved", OUTCOME_UNAVAILABLE, "HTTP status 302, as proxies say it"},
		{"Part", OUTCOME_UNAVAILABLE, "HTTP status 206, as proxies say it"},
		{"Unauthorized", OUTCOME_UNAVAILABLE, "HTTP status 401, as proxies say it"},
		{"Denied", OUTCOME_UNAVAILABLE, "HTTP status 403, as proxies say it: go away"},
		{"FlowersUnauthorized", OUTCOME_UNAVAILABLE, "HTTP status 401, as proxies"},
		{"FlowersDenied", OUTCOME_UNAVAILABLE, "HTTP status 403, as proxies say it"},
		{"Gzip", OUTCOME_UNAVAILABLE, "no proper HTTP"},
		{"BadChunk", OUTCOME_UNAVAILABLE, ""},
		{"Cut", OUTCOME_UNAVAILABLE, ""},
		{"CutChunked", OUTCOME_UNAVAILABLE, ""},
		{"HangUp", OUTCOME_UNAVAILABLE, ""},
		{"Lengths", OUTCOME_UNAVAILABLE, ""},
		{"Plus", OUTCOME_UNAVAILABLE, ""},
		{"Babble", OUTCOME_UNAVAILABLE, ""},
		{"ManyHeaders", OUTCOME_UNAVAILABLE, ""},
		{"LongHeaders", OUTCOME_UNAVAILABLE, ""},
		{"ManyHeads", OUTCOME_UNAVAILABLE, ""},
		{"Huge", OUTCOME_RESOURCE_EXHAUSTED, ""},
		{"Endless", OUTCOME_RESOURCE_EXHAUSTED, ""},
		{"HugePage", OUTCOME_UNAVAILABLE, "another type, as proxies give it"},
		{"EndlessPage", OUTCOME_UNAVAILABLE, "another type, as proxies give it"},
		{"Silent", OUTCOME_DEADLINE_EXCEEDED, ""},
		{"Half", OUTCOME_DEADLINE_EXCEEDED, ""},
	};

	open_stand_in();
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		bool late = rows[i].outcome == OUTCOME_DEADLINE_EXCEEDED;
		struct answer answer = {
			.max_bytes = 1 << 20, .timeout_ms = late ? 200 : CALL_TIMEOUT_MS};

		start(rows[i].method, NULL, false, &answer);
		wait_for(&answer);
		print_message("%s: %s \"%s\"\n", rows[i].method, outcome_name(answer.outcome),
			answer.details);
		assert_int_equal(answer.outcome, rows[i].outcome);
		assert_non_null(strstr(answer.details, rows[i].says));
		assert_int_equal(answer.too_large, rows[i].outcome == OUTCOME_RESOURCE_EXHAUSTED);
		assert_int_equal(answer.code, 0);
		assert_int_equal(answer.body.bytes, 0);
	}
	expect_served();
	close_stand_in();
}

/* Calls with content have no time-out, and yet do not wait for words without an end. */
static void test_refusals_without_end(void **state)
{
	static const struct {
		const char *method;
		enum outcome outcome;
		const char *says;
	} rows[] = {
		{"EndlessRefusal", OUTCOME_INTERNAL, "HTTP status 500"},
		{"HalfRefusal", OUTCOME_UNAVAILABLE, "HTTP status 503: not today,"},
	};

	open_stand_in();
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct answer answer = {.timeout_ms = -1};

		start(rows[i].method, NULL, false, &answer);
		wait_for(&answer);
		assert_int_equal(answer.outcome, rows[i].outcome);
		assert_string_equal(answer.details, rows[i].says);
	}
	expect_served();
	close_stand_in();
}

/* A proxy of the environment's that lets it through, wants a password, refuses, cuts, is not there.
 */
static void test_proxies(void **state)
{
	static const struct {
		const char *method;
		enum outcome outcome;
		const char *says;
	} rows[] = {
		{"Password", OUTCOME_UNAVAILABLE, "HTTP status 407, as proxies say it"},
		{"Teapot", OUTCOME_UNAVAILABLE, "HTTP status 418, as proxies say it"},
		{"Cut", OUTCOME_UNAVAILABLE, ""},
	};
	char proxy[128];
	struct answer answer;

	kit_child_start(&world.peer, KIT_OLDEST, STAND_IN);
	snprintf(proxy, sizeof proxy, "http://%s", kit_child_value(&world.peer, "address"));
	setenv("http_proxy", proxy, 1);
	open_transport(&transport_rest, "elsewhere.invalid:9095", NULL);
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		call(rows[i].method, NULL, false, &answer);
		assert_int_equal(answer.outcome, rows[i].outcome);
		assert_non_null(strstr(answer.details, rows[i].says));
	}
	expect_served();
	close_transport();
	setenv("http_proxy", "http://127.0.0.1:1", 1);
	open_transport(&transport_rest, "elsewhere.invalid:9095", NULL);
	call("PullMessages", NULL, false, &answer);
	assert_int_equal(answer.outcome, OUTCOME_UNAVAILABLE);
	unsetenv("http_proxy");
	close_stand_in();
}

#define TEST(test) cmocka_unit_test_setup_teardown(test, world_setup, world_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_calls),
		TEST(test_wrong_answers),
		TEST(test_refusals_without_end),
		TEST(test_proxies),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
