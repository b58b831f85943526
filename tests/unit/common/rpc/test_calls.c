/*
 * Calls that come to an answer: what is carried to and fro, and every reason to refuse one.
 */
#include "fixture.h"
#include "kit/dir.h"

#include <fcntl.h>
#include <sys/socket.h>
#include <sys/un.h>

static void test_echo(void **state)
{
	static const size_t sizes[] = {0, 1, 23, 24, 4096, 5 * MIB, 64 * MIB};
	struct world *world = *state;
	struct rpc_channel *channel = world_channel(world, 0);

	for (size_t i = 0; i < ARRAY_LEN(sizes); i++) {
		struct slices body = body_of(sizes[i]), sent = {0};
		struct answer answer = {0};

		assert_int_equal(slices_append_refs(&sent, &body), 0);
		call_run(world, channel, "Echo", sent, &answer);
		assert_int_equal(answer.outcome, OUTCOME_OK);
		assert_int_equal(answer.status, 0);
		assert_string_equal(answer.details, "");
		assert_int_equal(answer.body.bytes, sizes[i]);
		assert_true(slices_equal(&answer.body, &body));
		answer_done(&answer);
		slices_done(&body);
	}
	rpc_channel_free(channel);
}

static void header_call(struct world *world, struct rpc_channel *channel,
	const struct rpc_header *headers, size_t n, const char *key, struct answer *answer)
{
	struct rpc_call_options options = {
		.path = "/test.Service/Header", .headers = headers, .n_headers = n};
	struct slices body = text_body(key);

	assert_int_equal(call_begin(channel, &options, &body, answer), 0);
	world_wait(world, &answer->done);
}

static void test_headers(void **state)
{
	static const char raw[] = {'\x01', '\xff', '\n', '\x80', '='};
	static const struct rpc_header headers[] = {
		{"x-token", "abc def~", 8}, {"x-sign-bin", raw, sizeof raw}, {"x-empty", "", 0}};
	static const struct {
		const char *key, *answer;
	} rows[] = {{"x-token", "abc def~|peer 2"}, {"x-sign-bin", "\x01\xff\n\x80=|peer 2"},
		{"x-empty", "|peer 2"}, {"x-absent", "(none)|peer 2"}};
	struct world *world = *state;
	struct rpc_channel *channel = world_channel(world, 2);

	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct answer answer = {0};

		header_call(world, channel, headers, ARRAY_LEN(headers), rows[i].key, &answer);
		assert_answer(&answer, rows[i].answer);
		answer_done(&answer);
	}
	rpc_channel_free(channel);
}

static void test_bad_calls(void **state)
{
	static const struct rpc_header bad[] = {{"X-Token", "a", 1}, {"x token", "a", 1},
		{"x-token", "a\nb", 3}, {"x-token", "\xff", 1}, {":path", "/", 1}, {"", "a", 1}};
	struct world *world = *state;
	struct rpc_channel *channel = world_channel(world, 0);
	struct rpc_call_options options = {.path = "/test.Service/Echo", .n_headers = 1};
	struct answer answer = {0};

	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		struct slices body = text_body("x");

		options.headers = &bad[i];
		assert_int_equal(call_begin(channel, &options, &body, &answer), -EINVAL);
		assert_int_equal(body.n, 0);
	}
	options.n_headers = 0;
	options.wait_for_ready = true;
	assert_int_equal(call_begin(channel, &options, &(struct slices){0}, &answer), -EINVAL);
	options = (struct rpc_call_options){.path = "/test.Service/Echo", .timeout_ms = -1};
	assert_int_equal(call_begin(channel, &options, &(struct slices){0}, &answer), -EINVAL);
	call_run(world, channel, "Echo", text_body("still works"), &answer);
	assert_answer(&answer, "still works");
	answer_done(&answer);
	rpc_channel_free(channel);
}

/* Each call carries the peer of the connection that it came by. */
static void test_peers(void **state)
{
	struct world *world = *state;
	struct rpc_channel *channels[WORLD_PEERS];

	for (unsigned i = 0; i < WORLD_PEERS; i++)
		channels[i] = world_channel(world, i);
	for (unsigned i = WORLD_PEERS; i-- > 0;) {
		struct answer answer = {0};
		char expected[64];

		snprintf(expected, sizeof expected, "(none)|peer %u", i);
		header_call(world, channels[i], NULL, 0, "x", &answer);
		assert_answer(&answer, expected);
		answer_done(&answer);
	}
	for (unsigned i = 0; i < WORLD_PEERS; i++)
		rpc_channel_free(channels[i]);
}

static void test_fail(void **state)
{
	static const char words[] = "no r\xc3\xa4"
				    "der, 100 %: 'x'";
	struct world *world = *state;
	struct rpc_channel *channel = world_channel(world, 0);

	for (int i = OUTCOME_OK + 1; i < OUTCOME_N; i++) {
		struct slices body = {0};
		struct answer answer = {0};
		uint8_t outcome = (uint8_t)i;

		assert_int_equal(slices_append_copy(&body, &outcome, 1), 0);
		assert_int_equal(slices_append_copy(&body, words, strlen(words)), 0);
		call_run(world, channel, "Fail", body, &answer);
		assert_int_equal(answer.outcome, i);
		assert_string_equal(answer.details, words);
		assert_int_equal(answer.body.n, 0);
		answer_done(&answer);
	}
	rpc_channel_free(channel);
}

/* A long sentence is cut between two characters instead of making the answer unreadable. */
static void test_long_details(void **state)
{
	struct world *world = *state;
	struct rpc_channel *channel = world_channel(world, 0);
	struct slices body = {0};
	struct answer answer = {0};
	uint8_t outcome = OUTCOME_NOT_FOUND;

	assert_int_equal(slices_append_copy(&body, &outcome, 1), 0);
	assert_int_equal(slices_append_copy(&body, "x", 1), 0);
	for (int i = 0; i < 3000; i++)
		assert_int_equal(slices_append_copy(&body, "\xc3\xa4", 2), 0);
	call_run(world, channel, "Fail", body, &answer);
	assert_int_equal(answer.outcome, OUTCOME_NOT_FOUND);
	assert_int_equal(strlen(answer.details), 2047);
	answer_done(&answer);
	rpc_channel_free(channel);
}

static void refused(struct world *world, struct rpc_channel *channel, const char *method,
	size_t len, enum outcome outcome, const char *details)
{
	struct answer answer = {0};

	call_run(world, channel, method, body_of(len), &answer);
	if (answer.outcome != outcome)
		print_error("status %d: %s\n", answer.status, answer.details);
	assert_int_equal(answer.outcome, outcome);
	assert_non_null(strstr(answer.details, details));
	answer_done(&answer);
}

static void test_refused(void **state)
{
	struct world *world = *state;
	struct rpc_channel *channel = world_channel(world, 0);

	refused(world, channel, "Nothing", 0, OUTCOME_UNIMPLEMENTED, "no such method");
	refused(world, channel, "Nothing", 16 * MIB, OUTCOME_UNIMPLEMENTED, "no such method");
	refused(world, channel, "Refuse", 0, OUTCOME_PERMISSION_DENIED, "not you");
	refused(world, channel, "Refuse", 16 * MIB, OUTCOME_PERMISSION_DENIED, "not you");
	assert_int_equal(world->cancelled, 0);
	refused(world, channel, "Small", SMALL_MAX + 1, OUTCOME_RESOURCE_EXHAUSTED,
		"message of 11 bytes, at most 10 are taken");
	assert_int_equal(world->cancelled, 1);
	/* gRPC's own limit of the whole server */
	refused(world, channel, "Echo", 128 * MIB + 1, OUTCOME_RESOURCE_EXHAUSTED,
		"(134217729 vs. 134217728)");
	assert_int_equal(world->handled, 0);
	rpc_channel_free(channel);
	channel = world_channel(world, 1);
	refused(world, channel, "Small", SMALL_MAX, OUTCOME_OK, "");
	assert_int_equal(world->handled, 1);
	rpc_channel_free(channel);
}

/* Small's handler sets on_cancel() in admit(): its refusal after that is told, and answered inside.
 */
static int refused_setup(void **state)
{
	int r = world_setup(state);

	if (r == 0)
		((struct world *)*state)->answer_cancelled = true;
	return r;
}

static void test_answer_too_large(void **state)
{
	struct world *world = *state;
	struct rpc_channel_options options = {.target = "test", .receive_max_bytes = 1000};
	struct rpc_channel *channel = NULL;
	int fd = world_connect(world, 0);

	assert_int_equal(rpc_channel_from_fd(world->rpc, fd, &options, &channel), 0);
	refused(world, channel, "Echo", 1001, OUTCOME_RESOURCE_EXHAUSTED, "(1001 vs. 1000)");
	refused(world, channel, "Echo", 1000, OUTCOME_OK, "");
	rpc_channel_free(channel);
}

/* The same for one call. */
static void test_bounded(void **state)
{
	struct world *world = *state;
	struct rpc_channel *channel = world_channel(world, 0);

	for (int i = 0; i < 4; i++) {
		bool over = i % 2, keeps_head = i / 2;
		struct rpc_call_options options = {.path = "/test.Service/Echo",
			.timeout_ms = 20000,
			.answer_max_bytes = 100000 - (uint64_t)over,
			.keeps_head = keeps_head};
		struct slices body = body_of(100000);
		struct answer answer = {0};

		assert_int_equal(call_begin(channel, &options, &body, &answer), 0);
		world_wait(world, &answer.done);
		assert_int_equal(answer.outcome, over ? OUTCOME_RESOURCE_EXHAUSTED : OUTCOME_OK);
		assert_int_equal(answer.body.bytes, !over ? 100000 : keeps_head ? 65536 : 0);
		answer_done(&answer);
	}
	rpc_channel_free(channel);
}

/* gRPC may let calls suffer for a moment that are not to blame. */
static void works_again(struct world *world, struct rpc_channel *channel, size_t len)
{
	int64_t end_ms = kit_now_ms() + KIT_WAIT_MS;
	struct answer answer = {0};

	do {
		answer_done(&answer);
		kit_loop_step(world->loop, end_ms, "it works again", __FILE__, __LINE__);
		call_run(world, channel, "Echo", body_of(len), &answer);
	} while (answer.outcome == OUTCOME_RESOURCE_EXHAUSTED ||
		 answer.outcome == OUTCOME_UNAVAILABLE);
	assert_int_equal(answer.outcome, OUTCOME_OK);
	answer_done(&answer);
}

/* A message that there is no memory for does not stop service. */
static void test_memory_max(void **state)
{
	struct world *world = *state;
	struct rpc_channel *channel = world_channel(world, 0);

	for (int i = 0; i < 3; i++) {
		refused(world, channel, "Echo", WORLD_MEMORY * 2, OUTCOME_RESOURCE_EXHAUSTED, "");
		works_again(world, channel, WORLD_MEMORY / 4);
	}
	rpc_channel_free(channel);
}

static void test_deferred(void **state)
{
	struct world *world = *state;
	struct rpc_channel *channel = world_channel(world, 0);
	struct answer gate = {0}, later = {0}, other = {0};
	struct request *admitting, *handling;

	call_start(channel, "Gate", text_body("at the gate"), 0, &gate);
	admitting = world_take_waiting(world);
	assert_int_equal(admitting->body.n, 0);
	call_start(channel, "Later", text_body("body"), 0, &later);
	handling = world_take_waiting(world);
	assert_int_equal(handling->body.bytes, 4);
	call_run(world, channel, "Echo", text_body("meanwhile"), &other);
	assert_answer(&other, "meanwhile");
	assert_false(gate.done || later.done);

	reply_text(handling, "later");
	world_wait(world, &later.done);
	assert_answer(&later, "later");
	assert_false(gate.done);
	request_admit(admitting);
	world_wait(world, &gate.done);
	assert_answer(&gate, "at the gate");
	answer_done(&gate);
	answer_done(&later);
	answer_done(&other);
	rpc_channel_free(channel);
}

static void test_calls_max(void **state)
{
	struct world *world = *state;
	struct rpc_channel *channel = world_channel(world, 0);
	struct request *requests[CALLS_MAX];
	struct answer answers[CALLS_MAX] = {0};

	for (int i = 0; i < CALLS_MAX; i++) {
		call_start(channel, "Gate", text_body("x"), 0, &answers[i]);
		requests[i] = world_take_waiting(world);
	}
	refused(world, channel, "Echo", 1, OUTCOME_RESOURCE_EXHAUSTED, "too many calls at once");
	request_fail(requests[0], OUTCOME_NOT_FOUND, "");
	world_wait(world, &answers[0].done);
	refused(world, channel, "Echo", 1, OUTCOME_OK, "");
	for (int i = 1; i < CALLS_MAX; i++)
		request_admit(requests[i]);
	for (int i = 1; i < CALLS_MAX; i++) {
		world_wait(world, &answers[i].done);
		assert_answer(&answers[i], "x");
		answer_done(&answers[i]);
	}
	rpc_channel_free(channel);
}

/* ---- by name ---- */

struct listener {
	struct world *world;
	int fd;
	struct watch *watch;
	char dir[64];
	char target[96];
	const char *path; /* within target */
};

static void accept_one(void *arg, int ready)
{
	struct listener *listener = arg;
	int fd = accept4(listener->fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);

	if (fd >= 0)
		rpc_server_add(listener->world->server, fd, &listener->world->peers[3]);
}

static void listener_init(struct listener *listener, struct world *world)
{
	*listener = (struct listener){.world = world, .fd = -1};
	snprintf(listener->target, sizeof listener->target, "unix:%s/socket", kit_dir);
	listener->path = listener->target + strlen("unix:");
}

static void listener_open(struct listener *listener)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};

	snprintf(address.sun_path, sizeof address.sun_path, "%s", listener->path);
	listener->fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	assert_int_equal(bind(listener->fd, (struct sockaddr *)&address, sizeof address), 0);
	assert_int_equal(listen(listener->fd, 5), 0);
	listener->watch =
		watch_new(listener->world->loop, listener->fd, WATCH_READ, accept_one, listener);
	assert_non_null(listener->watch);
}

static void listener_close(struct listener *listener)
{
	watch_free(listener->watch);
	close_fd(&listener->fd);
	unlink(listener->path);
}

static void test_unix(void **state)
{
	struct world *world = *state;
	struct rpc_channel_options options = {.receive_max_bytes = MIB};
	struct rpc_call_options patient = {
		.path = "/test.Service/Echo", .timeout_ms = 20000, .wait_for_ready = true};
	struct rpc_channel *channel = NULL;
	struct listener listener;
	struct answer answer = {0};
	struct slices body = text_body("by name");

	listener_init(&listener, world);
	options.target = listener.target;
	assert_int_equal(rpc_channel_new(world->rpc, &options, &channel), 0);
	memset(listener.target, 'x', 5); /* it was copied */
	/* Nobody listens yet. */
	call_run(world, channel, "Echo", text_body("early"), &answer);
	assert_int_equal(answer.outcome, OUTCOME_UNAVAILABLE);
	answer_done(&answer);

	listener_open(&listener);
	rpc_channel_reconnect_now(channel);
	assert_int_equal(call_begin(channel, &patient, &body, &answer), 0);
	world_wait(world, &answer.done);
	assert_answer(&answer, "by name");
	answer_done(&answer);
	call_run(world, channel, "Echo", text_body("again"), &answer);
	assert_answer(&answer, "again");
	answer_done(&answer);
	header_call(world, channel, NULL, 0, "x", &answer);
	assert_answer(&answer, "(none)|peer 3");
	answer_done(&answer);
	rpc_channel_free(channel);
	listener_close(&listener);
}

/* The same at the other end, whose memory is the channel's. */
static void test_channel_memory_max(void **state)
{
	struct world *world = *state;
	struct rpc_channel_options options = {
		.receive_max_bytes = 128 * MIB, .memory_max_bytes = 4 * MIB};
	struct rpc_channel *channel = NULL;
	struct listener listener;

	listener_init(&listener, world);
	listener_open(&listener);
	options.target = listener.target;
	assert_int_equal(rpc_channel_new(world->rpc, &options, &channel), 0);
	for (int i = 0; i < 3; i++) {
		refused(world, channel, "Echo", 64 * MIB, OUTCOME_RESOURCE_EXHAUSTED, "");
		works_again(world, channel, MIB / 2);
	}
	rpc_channel_free(channel);
	listener_close(&listener);
}

static void test_wait_for_ready(void **state)
{
	struct world *world = *state;
	struct rpc_channel_options options = {.receive_max_bytes = MIB};
	struct rpc_call_options call = {
		.path = "/test.Service/Echo", .timeout_ms = 20000, .wait_for_ready = true};
	struct rpc_channel *channel = NULL;
	struct listener listener;
	struct slices body = text_body("patient");
	struct answer early = {0}, patient = {0};

	listener_init(&listener, world);
	options.target = listener.target;
	assert_int_equal(rpc_channel_new(world->rpc, &options, &channel), 0);
	assert_int_equal(call_begin(channel, &call, &body, &patient), 0);
	call_run(world, channel, "Echo", text_body("early"), &early);
	assert_int_equal(early.outcome, OUTCOME_UNAVAILABLE);
	assert_false(patient.done);
	listener_open(&listener);
	world_wait(world, &patient.done);
	assert_answer(&patient, "patient");
	answer_done(&patient);
	rpc_channel_free(channel);
	listener_close(&listener);
}

/* A server that answers with several messages: the call ends, without a timeout too. */
static void test_several_messages(void **state)
{
	static const struct {
		const char *number;
		enum outcome outcome;
		const char *details;
	} rows[] = {{"\x01", OUTCOME_OK, ""},
		{"\x02", OUTCOME_INTERNAL, "answer with more than one message"},
		{"\x14", OUTCOME_INTERNAL, "answer with more than one message"},
		{"x", OUTCOME_NOT_FOUND, "no more"}};
	struct world *world = *state;
	struct rpc_channel *channel = world_channel(world, 0);

	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct answer answer = {0};

		call_run(world, channel, "Stream", text_body(rows[i].number), &answer);
		assert_int_equal(answer.outcome, rows[i].outcome);
		assert_string_equal(answer.details, rows[i].details);
		assert_int_equal(answer.body.bytes, i == 0 ? MIB : 0);
		answer_done(&answer);
	}
	works_again(world, channel, MIB);
	rpc_channel_free(channel);
}

/* The channel goes while a call waits for the end of its answer. */
static void test_freed_before_the_status(void **state)
{
	struct world *world = *state;
	struct rpc_channel *channel = world_channel(world, 0);
	struct answer answer = {0};

	call_start(channel, "Stream", text_body("\x02"), 0, &answer);
	world_wait_count(world, &world->streams_begun, 1);
	rpc_channel_free(channel);
	world_wait(world, &answer.done);
	assert_int_equal(answer.outcome, OUTCOME_CANCELLED);
}

static void test_bad_targets(void **state)
{
	struct world *world = *state;
	char path[200] = "unix:/";
	const char *const bad[] = {NULL, "", path, "ipv4:nothing", "ipv4:127.0.0.1"};
	struct rpc_channel_options options = {.receive_max_bytes = MIB};
	struct rpc_channel *channel = NULL;

	memset(path + strlen(path), 'x', sizeof path - strlen(path) - 1);
	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		options.target = bad[i];
		assert_int_equal(rpc_channel_new(world->rpc, &options, &channel), -EINVAL);
	}
	options.target = "test";
	assert_int_equal(rpc_channel_from_fd(world->rpc, -1, &options, &channel), -EINVAL);
	assert_null(channel);
}

#define WORLD_TEST(test) cmocka_unit_test_setup_teardown(test, world_setup, world_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		WORLD_TEST(test_echo),
		WORLD_TEST(test_headers),
		WORLD_TEST(test_bad_calls),
		WORLD_TEST(test_peers),
		WORLD_TEST(test_fail),
		WORLD_TEST(test_long_details),
		cmocka_unit_test_setup_teardown(test_refused, refused_setup, world_teardown),
		WORLD_TEST(test_answer_too_large),
		WORLD_TEST(test_bounded),
		cmocka_unit_test_setup_teardown(test_memory_max, world_setup_tight, world_teardown),
		WORLD_TEST(test_deferred),
		WORLD_TEST(test_calls_max),
		WORLD_TEST(test_unix),
		WORLD_TEST(test_channel_memory_max),
		WORLD_TEST(test_wait_for_ready),
		WORLD_TEST(test_several_messages),
		WORLD_TEST(test_freed_before_the_status),
		WORLD_TEST(test_bad_targets),
	};

	return cmocka_run_group_tests(tests, kit_dir_make, kit_dir_remove);
}
