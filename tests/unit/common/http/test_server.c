/* Requests over HTTP/1.1, from their head to their answer, or their caller's end. */
#include "server_rig.h"

#include <fcntl.h>
#include <sys/socket.h>

struct world {
	struct rig *rig;
	struct caller *caller;
};

static int set_up(void **state)
{
	struct world *world = calloc(1, sizeof *world);

	world->rig = rig_new(NULL);
	world->caller = caller_new(world->rig);
	*state = world;
	return 0;
}

static int tear_down(void **state)
{
	struct world *world = *state;

	caller_free(world->rig, world->caller);
	rig_free(world->rig);
	free(world);
	return 0;
}

#define WORLD                                                                                      \
	struct world *world = *state;                                                              \
	struct rig *rig = world->rig;                                                              \
	struct caller *caller = world->caller

static void expect(struct rig *rig, struct caller *caller, int status, const char *body)
{
	const char *heard;

	assert_int_equal(caller_hears(rig, caller, &heard), status);
	assert_string_equal(heard, body);
}

/* A connection carries one call after the other, those that were sent at once, too. */
static void test_calls(void **state)
{
	WORLD;

	caller_post(caller, "echo", "one");
	expect(rig, caller, 200, "one");
	caller_post(caller, "echo", "");
	expect(rig, caller, 200, "");
	caller_post(caller, "small-echo", "two");
	caller_post(caller, "echo", "three");
	caller_post(caller, "header", "");
	expect(rig, caller, 200, "two");
	expect(rig, caller, 200, "three");
	expect(rig, caller, 200, "a value");
	assert_int_equal(rig->refused, 0);
}

static void test_outcomes(void **state)
{
	WORLD;

	caller_post(caller, "fail", "x");
	expect(rig, caller, 412, "{\"code\":3002,\"detail\":\"not now\"}");
	caller_post(caller, "echo", "on the same connection");
	expect(rig, caller, 200, "on the same connection");
	caller_post(caller, "no-such-method", "");
	expect(rig, caller, 404, "{\"detail\":\"no such method\"}");
	/* Nobody has to wait for a body: the connection stays. */
	caller_post(caller, "nobody", "");
	assert_int_equal(caller_hears(rig, caller, NULL), 401);
	caller_post(caller, "echo", "again");
	expect(rig, caller, 200, "again");
	assert_int_equal(rig->refused, 1);
	assert_string_equal(rig->refusal, "a call: UNIMPLEMENTED: no such method");
}

/* The answer comes when it is given, whether the call is at its head or has its body. */
static void test_later(void **state)
{
	WORLD;
	struct slices body = {0};

	caller_post(caller, "later", "x");
	assert_int_equal(slices_append_copy(&body, "at last", 7), 0);
	assert_int_equal(slices_append_copy(&body, ", whole", 7), 0);
	request_reply(rig_take(rig), &body);
	expect(rig, caller, 200, "at last, whole");
	caller_post(caller, "admit-later", "admitted");
	request_admit(rig_take(rig));
	expect(rig, caller, 200, "admitted");
	/* Without a body the library asks as often. */
	caller_post(caller, "admit-later", "");
	request_admit(rig_take(rig));
	expect(rig, caller, 200, "");
	caller_post(caller, "admit-later", "refused");
	request_fail(rig_take(rig), OUTCOME_PERMISSION_DENIED, "no");
	expect(rig, caller, 403, "{\"code\":3014,\"detail\":\"no\"}");
	assert_int_equal(rig->handled, 3);
}

/* The body of one who is refused is not waited for. */
static void test_refused_at_head(void **state)
{
	WORLD;

	caller_say(caller,
		"POST /v1/test/nobody HTTP/1.1\r\nHost: x\r\nContent-Type: application/protobuf\r\n"
		"Content-Length: 10\r\n\r\n");
	expect(rig, caller, 401, "{\"code\":1008,\"detail\":\"nobody \\\"may\\\"\"}");
	caller_ends(rig, caller);
}

static void test_expect(void **state)
{
	WORLD;
	static const char says[] = "HTTP/1.1 100 Continue\r\n\r\n";

	caller_say(caller, "POST /v1/test/admit-later HTTP/1.1\r\nHost: x\r\n"
			   "Content-Type: application/protobuf\r\nExpect: 100-continue\r\n"
			   "Content-Length: 4\r\n\r\n");
	request_admit(rig_take(rig));
	kit_loop_until(rig->loop, (recv(caller->fd, caller->text, sizeof says - 1,
					   MSG_DONTWAIT | MSG_PEEK) == sizeof says - 1));
	assert_int_equal(recv(caller->fd, caller->text, sizeof says - 1, 0), sizeof says - 1);
	assert_memory_equal(caller->text, says, sizeof says - 1);
	caller_say(caller, "body");
	expect(rig, caller, 200, "body");
}

static void test_chunks(void **state)
{
	WORLD;
	static const char head[] = "POST /v1/test/small-echo HTTP/1.1\r\nHost: x\r\n"
				   "Content-Type: application/protobuf; x=y\r\n"
				   "Transfer-Encoding: chunked\r\n\r\n";

	caller_say(caller, head);
	caller_say(caller, "3\r\none\r\n3;x=y\r\ntwo\r\n0\r\n\r\n");
	expect(rig, caller, 200, "onetwo");
	caller_say(caller, head);
	caller_say(caller, "8\r\n12345678\r\n9\r\n123456789\r\n");
	expect(rig, caller, 413, "{\"detail\":\"the message is too large\"}");
	caller_ends(rig, caller);
	assert_int_equal(rig->refused, 1);
}

/* The library waits for the end of a line that is longer than its memory. */
static void test_long_chunk_size(void **state)
{
	WORLD;
	static char zeros[100001];

	memset(zeros, '0', sizeof zeros - 1);
	caller_say(caller,
		"POST /v1/test/small-echo HTTP/1.1\r\nHost: x\r\n"
		"Content-Type: application/protobuf\r\nTransfer-Encoding: chunked\r\n\r\n");
	caller_say(caller, zeros);
	assert_int_equal(caller_hears(rig, caller, NULL), 408);
	caller_ends(rig, caller);
}

/* What a body is to be, and how large, is known from the head. */
static void test_heads(void **state)
{
	struct world *world = *state;
	struct rig *rig = world->rig;
	static const struct {
		int status;
		const char *head;
	} rows[] = {
		{405, "GET /v1/test/echo HTTP/1.1\r\nHost: x\r\n\r\n"},
		{405, "DELETE /v1/test/echo HTTP/1.1\r\nHost: x\r\n\r\n"},
		{405, "POST /health HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n"},
		{404, "GET / HTTP/1.1\r\nHost: x\r\n\r\n"},
		{404, "GET /v1/test/ HTTP/1.1\r\nHost: x\r\n\r\n"},
		{415, "POST /v1/test/echo HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\n\r\n"},
		{415, "POST /v1/test/echo HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
		      "Content-Length: 3\r\n\r\n"},
		{415, "POST /v1/test/echo HTTP/1.1\r\nHost: x\r\n"
		      "Content-Type: application/protobufs\r\nContent-Length: 3\r\n\r\n"},
		{415, "POST /v1/test/echo HTTP/1.1\r\nHost: x\r\n"
		      "Content-Type: application/protobuf\r\nContent-Encoding: gzip\r\n"
		      "Content-Length: 3\r\n\r\n"},
		{413, "POST /v1/test/small-echo HTTP/1.1\r\nHost: x\r\n"
		      "Content-Type: application/protobuf\r\nContent-Length: 17\r\n\r\n"},
		{503, "POST /v1/test/echo HTTP/1.1\r\nHost: x\r\n"
		      "Content-Type: application/protobuf\r\nContent-Length: 1073741824\r\n\r\n"},
		{400, "POST /v1/test/echo HTTP/1.1\r\nHost: x\r\n"
		      "Content-Type: application/protobuf\r\nContent-Length: 3\r\n"
		      "Content-Length: 3\r\n\r\n"},
		{400, "POST /v1/test/echo HTTP/1.1\r\nHost: x\r\n"
		      "Content-Type: application/protobuf\r\nContent-Length: 3\r\n"
		      "Transfer-Encoding: chunked\r\n\r\n"},
		{400, "POST /v1/test/echo HTTP/1.1\r\nHost: x\r\n"
		      "Content-Type: application/protobuf\r\nTransfer-Encoding: gzip\r\n\r\n"},
		{400, "POST /v1/test/echo HTTP/1.1\r\nHost: x\r\n"
		      "Content-Type: application/protobuf\r\nTransfer-Encoding: gzip, chunked\r\n\r\n"},
		{400, "POST /v1/test/echo HTTP/1.1\r\nHost: x\r\n"
		      "Content-Type: application/protobuf\r\nContent-Length: +3\r\n\r\n"},
		{400, "POST /v1/test/echo HTTP/1.1\r\nHost: x\r\n"
		      "Content-Type: application/protobuf\r\nContent-Length: 0x3\r\n\r\n"},
		{400, "POST /v1/test/echo HTTP/1.1\r\nContent-Type: application/protobuf\r\n"
		      "Content-Length: 3\r\n\r\n"},
	};

	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct caller *caller = caller_new(rig);
		int status;

		caller_say(caller, rows[i].head);
		status = caller_hears(rig, caller, NULL);
		if (status != rows[i].status)
			fail_msg("row %zu: %d", i, status);
		caller_free(rig, caller);
	}
	assert_int_equal(rig->handled, 0);
}

static void test_large_heads(void **state)
{
	struct world *world = *state;
	struct rig *rig = world->rig;
	struct caller *caller = caller_new(rig);
	char head[1 << 15];
	size_t n = (size_t)snprintf(head, sizeof head, "GET /health2 HTTP/1.1\r\nHost: x\r\nX: ");

	memset(head + n, 'x', HTTP_HEAD_MAX);
	snprintf(head + n + HTTP_HEAD_MAX, sizeof head - n - HTTP_HEAD_MAX, "\r\n\r\n");
	caller_say(caller, head);
	assert_int_equal(caller_hears(rig, caller, NULL), 431);
	caller_ends(rig, caller);
	caller_free(rig, caller);
	caller = caller_new(rig);
	n = (size_t)snprintf(head, sizeof head, "GET /health2 HTTP/1.1\r\nHost: x\r\n");
	for (int i = 0; i < HTTP_HEADERS_MAX; i++)
		n += (size_t)snprintf(head + n, sizeof head - n, "X: y\r\n");
	snprintf(head + n, sizeof head - n, "\r\n");
	caller_say(caller, head);
	assert_int_equal(caller_hears(rig, caller, NULL), 431);
	caller_free(rig, caller);
}

/* What the library answers itself is told, too. */
static void test_garbage(void **state)
{
	WORLD;

	caller_say(caller, "GARBAGE \r\n\r\n\r\n");
	caller_ends(rig, caller);
	kit_loop_until(rig->loop, rig->refused == 1);
	assert_string_equal(rig->refusal, "a call: INVALID_ARGUMENT: it is no request of HTTP/1.1");
}

static void test_health(void **state)
{
	WORLD;

	caller_say(caller, "GET /health HTTP/1.1\r\nHost: x\r\n\r\n");
	expect(rig, caller, 200, "");
	caller_say(caller, "HEAD /health HTTP/1.0\r\n\r\n");
	expect(rig, caller, 200, "");
	assert_int_equal(rig->health, 2);
	assert_int_equal(rig->refused, 0);
}

/* ---- callers that go ---- */

/* A caller goes while its call waits for its admission, and while it is at work. */
static void test_gone(void **state)
{
	struct world *world = *state;
	struct rig *rig = world->rig;
	static const char *const methods[] = {"later", "admit-later"};

	for (size_t i = 0; i < ARRAY_LEN(methods); i++) {
		struct caller *caller = caller_new(rig);

		caller_post(caller, methods[i], "x");
		kit_loop_until(rig->loop, rig->n_kept);
		caller_gone(rig, caller);
		/* Its peer is there until the request has ended. */
		assert_string_equal(rig->kept[0]->peer->text, "a caller");
		assert_int_equal(rig->cancelled, i);
		kit_loop_until(rig->loop, rig->cancelled == i + 1);
		caller_free(rig, caller);
	}
	assert_int_equal(rig->n_kept, 0);
}

/* An answer that is given when the caller has gone goes nowhere. */
static void test_answered_gone(void **state)
{
	WORLD;
	struct slices body = {0};
	struct request *request;

	caller_post(caller, "later", "x");
	request = rig_take(rig);
	caller_gone(rig, caller);
	loop_step(rig->loop, 0);
	loop_step(rig->loop, 0);
	assert_false(request_is_active(request));
	assert_int_equal(slices_append_copy(&body, "x", 1), 0);
	request_reply(request, &body);
}

/* A body that is broken off calls nobody. */
static void test_broken_off(void **state)
{
	WORLD;

	caller_say(caller,
		"POST /v1/test/echo HTTP/1.1\r\nHost: x\r\nContent-Type: application/protobuf\r\n"
		"Content-Length: 10\r\n\r\n12345");
	loop_step(rig->loop, 100);
	caller_gone(rig, caller);
	for (int i = 0; i < 5; i++)
		loop_step(rig->loop, 10);
	assert_int_equal(rig->handled, 0);
}

/* ---- bodies ---- */

static void say_zeros(struct rig *rig, struct caller *caller, size_t n)
{
	static const char zeros[1 << 16];
	size_t sent = 0;

	while (sent < n) {
		size_t some = n - sent < sizeof zeros ? n - sent : sizeof zeros;
		ssize_t r = send(caller->fd, zeros, some, MSG_NOSIGNAL | MSG_DONTWAIT);

		if (r > 0)
			sent += (size_t)r;
		else
			loop_step(rig->loop, 10);
	}
}

static void test_large(void **state)
{
	WORLD;
	const size_t bytes = (32 << 20) + 1;
	size_t got = 0;
	char head[256];
	static char buffer[1 << 16];

	snprintf(head, sizeof head,
		"POST /v1/test/echo HTTP/1.1\r\nHost: x\r\nContent-Type: application/protobuf\r\n"
		"Content-Length: %zu\r\n\r\n",
		bytes);
	caller_say(caller, head);
	say_zeros(rig, caller, bytes);
	while (got < bytes) {
		ssize_t n = recv(caller->fd, buffer, sizeof buffer, MSG_DONTWAIT);

		if (n > 0)
			got += (size_t)n;
		else
			loop_step(rig->loop, 10);
	}
	assert_int_equal(rig->received.bytes, bytes);
}

/* Bytes that nobody has admitted stay with their sender. */
static void test_back_pressure(void **state)
{
	WORLD;
	static const char zeros[1 << 16];
	char head[256];
	size_t sent = 0;
	ssize_t n;
	int idle = 0;

	snprintf(head, sizeof head,
		"POST /v1/test/admit-later HTTP/1.1\r\nHost: x\r\n"
		"Content-Type: application/protobuf\r\nContent-Length: %d\r\n\r\n",
		64 << 20);
	caller_say(caller, head);
	while (idle < 10) {
		n = send(caller->fd, zeros, sizeof zeros, MSG_NOSIGNAL | MSG_DONTWAIT);
		if (n > 0)
			sent += (size_t)n;
		idle = n > 0 ? 0 : idle + 1;
		loop_step(rig->loop, 1);
	}
	assert_true(sent < (2 << 20));
	request_fail(rig_take(rig), OUTCOME_UNAUTHENTICATED, "no");
	expect(rig, caller, 401, "{\"code\":1008,\"detail\":\"no\"}");
	caller_ends(rig, caller);
}

/* A request that its services end while its body comes is answered then. */
static void test_ended_in_body(void **state)
{
	WORLD;
	struct request *request;

	caller_say(caller,
		"POST /v1/test/admit-later HTTP/1.1\r\nHost: x\r\n"
		"Content-Type: application/protobuf\r\nContent-Length: 100\r\n\r\n12345");
	request = rig_take(rig);
	request_admit(request);
	for (int i = 0; i < 5; i++)
		loop_step(rig->loop, 10);
	request_fail(request, OUTCOME_UNAUTHENTICATED, "the token has ended");
	expect(rig, caller, 401, "{\"code\":1008,\"detail\":\"the token has ended\"}");
	caller_ends(rig, caller);
}

/* The same before the library has gone on with an admitted one. */
static void test_ended_at_admission(void **state)
{
	WORLD;
	struct request *request;

	caller_say(caller,
		"POST /v1/test/admit-later HTTP/1.1\r\nHost: x\r\n"
		"Content-Type: application/protobuf\r\nContent-Length: 100\r\n\r\n12345");
	request = rig_take(rig);
	request_admit(request);
	request_fail(request, OUTCOME_UNAUTHENTICATED, "the token has ended");
	expect(rig, caller, 401, "{\"code\":1008,\"detail\":\"the token has ended\"}");
	caller_ends(rig, caller);
}

static void test_slow_body(void **state)
{
	WORLD;

	caller_say(caller, "POST /v1/test/small-echo HTTP/1.1\r\nHost: x\r\n"
			   "Content-Type: application/protobuf\r\nContent-Length: 10\r\n\r\n12345");
	expect(rig, caller, 408, "{\"detail\":\"the body came too slowly\"}");
	caller_ends(rig, caller);
	assert_int_equal(rig->refused, 1);
}

/* ---- limits ---- */

static void test_crowds(void **state)
{
	struct rig *rig =
		rig_new(&(struct http_server_options){.calls_max = 3, .guest_calls_max = 1});
	struct caller *callers[4];
	struct slices body = {0};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(callers); i++) {
		callers[i] = caller_new(rig);
		callers[i]->peer.trusted = i >= 2;
	}
	caller_post(callers[0], "later", "a guest");
	kit_loop_until(rig->loop, rig->n_kept == 1);
	caller_post(callers[1], "later", "one too many");
	assert_int_equal(caller_hears(rig, callers[1], NULL), 503);
	caller_post(callers[2], "later", "a host");
	caller_post(callers[3], "later", "another one");
	kit_loop_until(rig->loop, rig->n_kept == 3);
	caller_free(rig, callers[1]);
	callers[1] = caller_new(rig);
	caller_post(callers[1], "later", "too many in all");
	assert_int_equal(caller_hears(rig, callers[1], NULL), 503);
	request_reply(rig_take(rig), &body);
	assert_int_equal(caller_hears(rig, callers[0], NULL), 200);
	caller_post(callers[0], "echo", "a place is free");
	assert_int_equal(caller_hears(rig, callers[0], NULL), 200);
	for (size_t i = 0; i < ARRAY_LEN(callers); i++)
		caller_free(rig, callers[i]);
	rig_free(rig);
}

static void test_memory(void **state)
{
	struct rig *rig = rig_new(&(struct http_server_options){.memory_max_bytes = 1 << 20});
	struct caller *one = caller_new(rig), *other = caller_new(rig);
	static char head[256];

	(void)state;
	snprintf(head, sizeof head,
		"POST /v1/test/echo HTTP/1.1\r\nHost: x\r\nContent-Type: application/protobuf\r\n"
		"Content-Length: %d\r\n\r\n",
		1 << 20);
	caller_say(one, head);
	say_zeros(rig, one, 1 << 19);
	for (int i = 0; i < 5; i++)
		loop_step(rig->loop, 10);
	caller_say(other, head);
	assert_int_equal(caller_hears(rig, other, NULL), 503);
	caller_gone(rig, one);
	for (int i = 0; i < 5; i++)
		loop_step(rig->loop, 10);
	caller_free(rig, other);
	other = caller_new(rig);
	caller_say(other, head);
	say_zeros(rig, other, 1 << 20);
	kit_loop_until(rig->loop, rig->handled);
	caller_free(rig, one);
	caller_free(rig, other);
	rig_free(rig);
}

/* ---- the end ---- */

static void set_true(void *arg)
{
	*(bool *)arg = true;
}

/* Calls at hand are answered, new ones are not served. */
static void test_shutdown(void **state)
{
	WORLD;
	struct caller *other = caller_new(rig);
	struct slices body = {0};

	caller_post(caller, "later", "x");
	kit_loop_until(rig->loop, rig->n_kept == 1);
	http_server_shutdown(rig->server, 60000, set_true, &rig->down);
	caller_post(other, "echo", "x");
	assert_int_equal(caller_hears(rig, other, NULL), 503);
	assert_false(rig->down);
	request_reply(rig_take(rig), &body);
	assert_int_equal(caller_hears(rig, caller, NULL), 200);
	kit_loop_until(rig->loop, rig->down);
	caller_ends(rig, caller);
	caller_free(rig, other);
}

/* Those that are not answered in the grace are cancelled. */
static void test_shutdown_late(void **state)
{
	WORLD;

	caller_post(caller, "later", "x");
	kit_loop_until(rig->loop, rig->n_kept == 1);
	http_server_shutdown(rig->server, 10, set_true, &rig->down);
	kit_loop_until(rig->loop, rig->down);
	assert_int_equal(rig->cancelled, 1);
	assert_int_equal(caller_hears(rig, caller, NULL), 503);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
	const struct CMUnitTest tests[] = {
		TEST(test_calls),
		TEST(test_outcomes),
		TEST(test_later),
		TEST(test_refused_at_head),
		TEST(test_expect),
		TEST(test_chunks),
		TEST(test_long_chunk_size),
		TEST(test_heads),
		TEST(test_large_heads),
		TEST(test_garbage),
		TEST(test_health),
		TEST(test_gone),
		TEST(test_answered_gone),
		TEST(test_broken_off),
		TEST(test_large),
		TEST(test_back_pressure),
		TEST(test_ended_in_body),
		TEST(test_ended_at_admission),
		TEST(test_slow_body),
		cmocka_unit_test(test_crowds),
		cmocka_unit_test(test_memory),
		TEST(test_shutdown),
		TEST(test_shutdown_late),
	};
#undef TEST

	return cmocka_run_group_tests(tests, NULL, NULL);
}
