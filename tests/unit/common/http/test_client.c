/*
 * One call at a time, at a server that answers well and at one that does not.
 */
#include "fixture.h"

static void a_call_has_an_answer(void **state)
{
	struct world *world = *state;
	struct slices body = {0};
	struct answer answer;

	assert_int_equal(slices_append_copy(&body, "some ", 5), 0);
	assert_int_equal(slices_append_copy(&body, "words", 5), 0);
	call(world, "/echo", &body, &answer);
	assert_int_equal(body.bytes, 0);
	assert_int_equal(answer.outcome, OUTCOME_OK);
	assert_int_equal(answer.status, 200);
	assert_string_equal(answer.type, "text/plain");
	assert_string_equal(answer.details, "");
	assert_float_equal(answer.date_s, 784111777, 0);
	expect_body(&answer, "some words");
	answer_done(&answer);
	expect_text(world, "/echo", "");
	expect_text(world, "/header/content-length", "0");
	expect_text(world, "/header/x-test", "a value");
	expect_text(world, "/header/user-agent", "test/1");
	expect_text(world, "/header/expect", "none");
}

static void a_call_that_cannot_be_made_is_refused(void **state)
{
	struct world *world = *state;
	static const char *const bad[] = {
		"", "a/b:1", "me@a:1", "a:1?x", "a:1#x", "a b:1", "a\\b:1", "a\n:1"};
	struct http_client_options options = {.receive_max_bytes = 1};
	struct http_header header = {"x", "a\r\nInjected: yes"};
	struct http_call_options wrong = {.path = "/", .timeout_ms = -1};
	struct http_client *client;
	struct slices body = bytes_of(1);

	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		options.address = bad[i];
		assert_int_equal(http_client_new(world->http, &options, &client), -EINVAL);
	}
	assert_int_equal(http_call_start(world->client, &wrong, &body, NULL), -EINVAL);
	assert_int_equal(body.bytes, 0);
	wrong = (struct http_call_options){.path = "/", .headers = &header, .n_headers = 1};
	assert_int_equal(http_call_start(world->client, &wrong, &body, NULL), -EINVAL);
}

static void a_status_is_told_with_its_words(void **state)
{
	static const struct {
		const char *path;
		int status;
	} rows[] = {{"/status/400", 400}, {"/status/412", 412}, {"/status/503", 503},
		{"/status/404", 404}};
	struct world *world = *state;
	struct answer answer;

	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		call(world, rows[i].path, NULL, &answer);
		assert_int_equal(answer.failure, HTTP_FAILURE_NONE);
		assert_int_equal(answer.status, rows[i].status);
		expect_body(&answer, "{\"code\": 2004, \"detail\": \"said so\"}");
		answer_done(&answer);
	}
	/* Too much to be a sentence. */
	call(world, "/book", NULL, &answer);
	assert_int_equal(answer.failure, HTTP_FAILURE_NONE);
	assert_int_equal(answer.status, 500);
	assert_int_equal(answer.body.bytes, 0);
}

/* One row: what happens to a call without a body. */
static void broken_answers_fail_one_call_only(void **state)
{
	static const struct {
		const char *path;
		enum http_failure failure;
	} rows[] = {
		{"/hang_up", HTTP_FAILURE_CLOSED},
		{"/cut", HTTP_FAILURE_CLOSED},
		{"/cut_chunked", HTTP_FAILURE_CLOSED},
		{"/lengths", HTTP_FAILURE_BROKEN},
		{"/plus", HTTP_FAILURE_BROKEN},
		{"/babble", HTTP_FAILURE_BROKEN},
		{"/bad_chunk", HTTP_FAILURE_CLOSED},
		{"/huge", HTTP_FAILURE_TOO_LARGE},
		{"/big/97", HTTP_FAILURE_TOO_LARGE},
		{"/endless", HTTP_FAILURE_TOO_LARGE},
		{"/many_headers", HTTP_FAILURE_HEAD},
		{"/long_headers", HTTP_FAILURE_HEAD},
		{"/many_heads", HTTP_FAILURE_HEAD},
	};
	struct world *world = *state;
	struct answer answer;

	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		call(world, rows[i].path, NULL, &answer);
		print_message("%s: %s\n", rows[i].path, answer.details);
		assert_int_equal(answer.failure, rows[i].failure);
		assert_int_equal(answer.outcome, http_failure_outcome(rows[i].failure));
		assert_int_equal(answer.body.bytes, 0);
		assert_true(answer.details[0] != '\0');
		/* The next one is not harmed. */
		expect_text(world, "/echo", "");
	}
	expect_text(world, "/same_lengths", "xxxxxxxxxx");
}

/* A call may bound its answer. */
static void a_call_may_bound_its_answer(void **state)
{
	struct world *world = *state;

	for (int over = 0; over < 2; over++) {
		struct answer answer;

		world->answer_max_bytes = MIB - (uint64_t)over;
		ask(world, "/big/1", NULL, 20000, NULL, &answer);
		wait_for(world, &answer);
		assert_int_equal(answer.failure, over ? HTTP_FAILURE_TOO_LARGE : HTTP_FAILURE_NONE);
		assert_int_equal(answer.body.bytes, over ? 0 : MIB);
		answer_done(&answer);
	}
	world->answer_max_bytes = 0;
}

/* With its length told ahead, or without: not more than the bound, and the head, is taken. */
static void the_head_of_a_larger_answer_is_kept(void **state)
{
	static const char *const paths[] = {"/big/1", "/endless"};
	struct world *world = *state;

	world->keeps_head = true;
	for (size_t i = 0; i < 2 * ARRAY_LEN(paths); i++) {
		const uint64_t bound = i % 2 ? 100000 : 1000;
		struct answer answer;

		world->answer_max_bytes = bound;
		ask(world, paths[i / 2], NULL, 20000, NULL, &answer);
		wait_for(world, &answer);
		assert_int_equal(answer.failure, HTTP_FAILURE_TOO_LARGE);
		assert_in_range(answer.body.bytes, 1000,
			bound > HTTP_KEPT_HEAD_BYTES ? bound : HTTP_KEPT_HEAD_BYTES);
		answer_done(&answer);
		expect_text(world, "/echo", "");
	}
	world->keeps_head = false;
	world->answer_max_bytes = 0;
}

static void a_call_ends_in_its_time(void **state)
{
	struct world *world = *state;
	struct answer answer;

	ask(world, "/silent", NULL, 200, NULL, &answer);
	wait_for(world, &answer);
	assert_int_equal(answer.failure, HTTP_FAILURE_TIMEOUT);
	assert_int_equal(answer.outcome, OUTCOME_DEADLINE_EXCEEDED);
	ask(world, "/half", NULL, 200, NULL, &answer);
	wait_for(world, &answer);
	assert_int_equal(answer.outcome, OUTCOME_DEADLINE_EXCEEDED);
	assert_int_equal(answer.body.bytes, 0);
	expect_text(world, "/open", "");
}

/* A refusal whose words have no end, or stop coming, is one all the same, without a time-out. */
static void a_refusal_ends_by_itself(void **state)
{
	static const struct {
		const char *path;
		int status;
		const char *body;
	} rows[] = {{"/endless_refusal", 500, ""}, {"/half_refusal", 503, "not today,"}};
	struct world *world = *state;
	struct answer answer;

	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		ask(world, rows[i].path, NULL, 0, NULL, &answer);
		wait_for(world, &answer);
		assert_int_equal(answer.failure, HTTP_FAILURE_NONE);
		assert_int_equal(answer.outcome, OUTCOME_OK);
		assert_int_equal(answer.status, rows[i].status);
		expect_body(&answer, rows[i].body);
		answer_done(&answer);
	}
	expect_text(world, "/open", "");
}

static void nothing_is_compressed(void **state)
{
	struct world *world = *state;
	struct answer answer;

	expect_text(world, "/header/accept-encoding", "identity");
	expect_text(world, "/identity", "body");
	call(world, "/gzip", NULL, &answer);
	assert_int_equal(answer.failure, HTTP_FAILURE_BROKEN);
}

static void a_cancelled_call_ends_once(void **state)
{
	struct world *world = *state;
	struct answer fresh, late;

	/* Before it has begun. */
	ask(world, "/echo", NULL, 0, NULL, &fresh);
	http_call_cancel(fresh.call);
	assert_int_equal(fresh.done, 0);
	wait_for(world, &fresh);
	assert_int_equal(fresh.outcome, OUTCOME_CANCELLED);
	/* While an answer is under way; twice is the same. */
	ask(world, "/gated/4", NULL, 0, NULL, &late);
	for (int i = 0; i < 20; i++)
		loop_step(world->loop, 10);
	http_call_cancel(late.call);
	http_call_cancel(late.call);
	assert_int_equal(late.done, 0);
	wait_for(world, &late);
	assert_int_equal(late.outcome, OUTCOME_CANCELLED);
	expect_text(world, "/open", "");
}

static void nobody_there_is_said(void **state)
{
	struct world *world = *state;
	struct http_client_options options = {.address = "127.0.0.1:1", .receive_max_bytes = MIB};
	struct http_client *mine = world->client;
	struct answer answer;

	assert_int_equal(http_client_new(world->http, &options, &world->client), 0);
	call(world, "/", NULL, &answer);
	assert_int_equal(answer.failure, HTTP_FAILURE_REFUSED);
	assert_int_equal(answer.outcome, OUTCOME_UNAVAILABLE);
	assert_string_equal(answer.details, "connection refused");
	http_client_free(world->client);
	options.address = "no-such-host.invalid:80";
	assert_int_equal(http_client_new(world->http, &options, &world->client), 0);
	call(world, "/", NULL, &answer);
	assert_int_equal(answer.failure, HTTP_FAILURE_NOT_RESOLVED);
	http_client_free(world->client);
	world->client = mine;
}

/* A proxy of the environment's is asked for other machines, never for this one. */
static void a_proxy_is_asked_for_other_machines_only(void **state)
{
	struct world *world = *state;
	struct http_client_options options = {
		.address = "elsewhere.invalid:80", .receive_max_bytes = MIB};
	struct http_client *mine = world->client;
	char proxy[128];

	snprintf(proxy, sizeof proxy, "http://%s", world->address);
	setenv("http_proxy", "http://127.0.0.1:1", 1);
	expect_text(world, "/echo", "");
	setenv("http_proxy", proxy, 1);
	assert_int_equal(http_client_new(world->http, &options, &world->client), 0);
	struct answer answer;
	expect_text(world, "/echo", "");
	setenv("no_proxy", "elsewhere.invalid", 1);
	call(world, "/v1/x", NULL, &answer);
	assert_int_equal(answer.failure, HTTP_FAILURE_NOT_RESOLVED);
	unsetenv("http_proxy");
	unsetenv("no_proxy");
	http_client_free(world->client);
	world->client = mine;
}

/* The client goes first; its calls come home when http goes. */
static void calls_come_home_when_http_goes(void **state)
{
	struct world *world = *state;
	struct answer answers[3];

	for (size_t i = 0; i < ARRAY_LEN(answers); i++)
		ask(world, i ? "/silent" : "/echo", NULL, 0, NULL, &answers[i]);
	loop_step(world->loop, 10);
	http_client_free(world->client);
	world->client = NULL;
	for (size_t i = 1; i < ARRAY_LEN(answers); i++)
		assert_int_equal(answers[i].done, 0);
	http_free(world->http);
	world->http = NULL;
	for (size_t i = 0; i < ARRAY_LEN(answers); i++) {
		assert_int_equal(answers[i].done, 1);
		answer_done(&answers[i]);
	}
	assert_int_equal(answers[1].outcome, OUTCOME_CANCELLED);
}

#define TEST(test) cmocka_unit_test_setup_teardown(test, world_setup, world_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(a_call_has_an_answer),
		TEST(a_call_that_cannot_be_made_is_refused),
		TEST(a_status_is_told_with_its_words),
		TEST(broken_answers_fail_one_call_only),
		TEST(a_call_may_bound_its_answer),
		TEST(the_head_of_a_larger_answer_is_kept),
		TEST(a_call_ends_in_its_time),
		TEST(a_refusal_ends_by_itself),
		TEST(nothing_is_compressed),
		TEST(a_cancelled_call_ends_once),
		TEST(nobody_there_is_said),
		TEST(a_proxy_is_asked_for_other_machines_only),
		TEST(calls_come_home_when_http_goes),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
