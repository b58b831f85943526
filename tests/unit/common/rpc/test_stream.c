/*
 * Streams and interceptors of a channel, as far as their owner is concerned; what passes over the
 * network is judged by tests/system/test_rpc_client.py.
 */
#include "fixture.h"

#include "common/rpc/interceptor.h"
#include "common/rpc/stream.h"

#include <errno.h>

struct heard {
	struct rpc_stream *stream;
	struct rpc_channel *channel; /* freed in the next callback unless NULL */
	unsigned opened, sent, received;
	bool drain;
	bool ended;
	enum outcome outcome;
	char details[128];
};

static void maybe_free(struct heard *heard)
{
	rpc_channel_free(heard->channel);
	heard->channel = NULL;
}

static void on_opened(void *arg, const struct rpc_headers *headers)
{
	((struct heard *)arg)->opened++;
}

static void on_sent(void *arg)
{
	struct heard *heard = arg;

	heard->sent++;
	maybe_free(heard);
}

static void on_received(void *arg, struct slices *message)
{
	struct heard *heard = arg;

	heard->received++;
	assert_int_equal(message->bytes, MIB);
	if (heard->drain)
		rpc_stream_read(heard->stream);
}

static void on_ended(void *arg, const struct rpc_end *end)
{
	struct heard *heard = arg;

	assert_false(heard->ended);
	heard->ended = true;
	heard->outcome = end->outcome;
	snprintf(heard->details, sizeof heard->details, "%s", end->details);
	maybe_free(heard);
}

static struct rpc_stream_options options_for(struct heard *heard, const char *path)
{
	return (struct rpc_stream_options){.path = path,
		.opened = on_opened,
		.sent = on_sent,
		.received = on_received,
		.ended = on_ended,
		.arg = heard};
}

static void stream_start(struct rpc_channel *channel, const char *path, struct heard *heard)
{
	const struct rpc_stream_options options = options_for(heard, path);

	assert_int_equal(rpc_stream_start(channel, &options, &heard->stream), 0);
}

static int stream_send(struct heard *heard, const char *text, unsigned flags)
{
	struct slices body = text_body(text);
	int r = rpc_stream_send(heard->stream, &body, flags);

	assert_int_equal(body.n, 0);
	return r;
}

static void test_messages(void **state)
{
	struct world *world = *state;
	struct rpc_channel *channel = world_channel(world, 0);
	struct heard heard = {0};

	stream_start(channel, "/test.Service/Stream", &heard);
	assert_int_equal(stream_send(&heard, "\x05", RPC_SEND_LAST), 0);
	assert_int_equal(stream_send(&heard, "x", 0), -EPIPE);
	rpc_stream_close(heard.stream);
	/* One that was asked for, and no more. */
	rpc_stream_read(heard.stream);
	rpc_stream_read(heard.stream);
	world_wait_count(world, &heard.received, 1);
	world_wait_count(world, &heard.sent, 1);
	assert_int_equal(heard.opened, 1);
	heard.drain = true;
	rpc_stream_read(heard.stream);
	world_wait(world, &heard.ended);
	assert_int_equal(heard.received, 5);
	assert_int_equal(heard.outcome, OUTCOME_OK);
	rpc_channel_free(channel);
}

static void test_misused(void **state)
{
	static const struct rpc_header bad = {"X-Upper", "a", 1};
	struct world *world = *state;
	struct rpc_channel *channel = world_channel(world, 0);
	struct heard heard = {0};
	struct rpc_stream_options options = options_for(&heard, "/test.Service/Stream");
	struct rpc_stream *stream = NULL;

	options.headers = &bad;
	options.n_headers = 1;
	assert_int_equal(rpc_stream_start(channel, &options, &stream), -EINVAL);
	options.n_headers = 0;
	options.timeout_ms = -1;
	assert_int_equal(rpc_stream_start(channel, &options, &stream), -EINVAL);
	assert_null(stream);
	assert_int_equal(rpc_channel_watch(channel, NULL, NULL), -EINVAL);
	assert_false(rpc_channel_is_ready(channel));

	stream_start(channel, "/test.Service/Stream", &heard);
	assert_int_equal(stream_send(&heard, "\x05", 0), 0);
	assert_int_equal(stream_send(&heard, "\x05", 0), -EBUSY);
	rpc_stream_cancel(heard.stream);
	rpc_stream_cancel(heard.stream);
	world_wait(world, &heard.ended);
	assert_int_equal(heard.outcome, OUTCOME_CANCELLED);
	assert_int_equal(heard.sent + heard.received, 0);
	rpc_channel_free(channel);
}

/* The owner frees the channel inside a callback: the stream ends. */
static void test_channel_freed(void **state)
{
	struct world *world = *state;

	for (int late = 0; late < 2; late++) {
		struct heard heard = {.channel = world_channel(world, 0)};
		struct rpc_channel *channel = heard.channel;

		if (late)
			heard.channel = NULL;
		stream_start(channel, "/test.Service/Stream", &heard);
		assert_int_equal(stream_send(&heard, "\x05", RPC_SEND_LAST), 0);
		if (late) {
			world_wait_count(world, &heard.sent, 1);
			rpc_stream_cancel(heard.stream);
			heard.channel = channel;
		}
		world_wait(world, &heard.ended);
		assert_int_equal(heard.outcome, OUTCOME_CANCELLED);
		assert_null(heard.channel);
	}
}

/* ---- interceptors ---- */

static char told[256];
static char one[] = "one", two[] = "two", refuses[] = "refuses";

static void tell(const char *what, const char *who)
{
	size_t len = strlen(told);

	snprintf(told + len, sizeof told - len, "%s %s, ", what, who);
}

static int starting(void *who, const struct rpc_call_info *call, struct rpc_headers *headers)
{
	tell("start", who);
	if (strcmp(who, "refuses") == 0)
		return -EACCES;
	return rpc_headers_add_text(headers, "x-token", who);
}

static void ended(void *who, const struct rpc_call_info *call, const struct rpc_end *end,
	const struct rpc_call_traffic *traffic)
{
	tell(outcome_name(end->outcome), who);
	assert_int_equal(traffic->sent, end->outcome == OUTCOME_OK);
	assert_string_equal(call->path, "/test.Service/Header");
	assert_false(call->streams);
}

static void gone(void *who)
{
	tell("gone", who);
}

static struct rpc_channel *intercepted(
	struct world *world, struct rpc_interceptor *interceptors, size_t n)
{
	const struct rpc_channel_options options = {
		.receive_max_bytes = MIB, .interceptors = interceptors, .n_interceptors = n};
	struct rpc_channel *channel = NULL;

	assert_int_equal(
		rpc_channel_from_fd(world->rpc, world_connect(world, 0), &options, &channel), 0);
	return channel;
}

static void test_interceptors(void **state)
{
	struct world *world = *state;
	struct rpc_interceptor interceptors[] = {
		{starting, ended, one, gone}, {NULL, NULL, NULL, NULL}, {NULL, ended, two, gone}};
	struct rpc_channel *channel = intercepted(world, interceptors, 3);
	struct answer answer = {0};

	told[0] = '\0';
	memset(interceptors, 0, sizeof interceptors); /* they were copied */
	call_run(world, channel, "Header", text_body("x-token"), &answer);
	assert_answer(&answer, "one|peer 0");
	assert_string_equal(told, "start one, OK two, OK one, ");
	answer_done(&answer);
	told[0] = '\0';
	rpc_channel_free(channel);
	assert_string_equal(told, "gone one, gone two, ");
}

/* Interceptors are let go after the last call, not with the channel. */
static void test_interceptors_are_let_go(void **state)
{
	struct world *world = *state;
	struct rpc_interceptor interceptors[] = {{NULL, NULL, one, gone}};
	struct rpc_channel_options options = {.interceptors = interceptors, .n_interceptors = 1};
	struct rpc_channel *channel = intercepted(world, interceptors, 1);
	struct answer answer = {0};

	told[0] = '\0';
	call_start(channel, "Later", text_body("x"), 0, &answer);
	world_wait_waiting(world);
	rpc_channel_free(channel);
	assert_string_equal(told, "");
	world_wait(world, &answer.done);
	assert_string_equal(told, "gone one, ");
	request_fail(world_take_waiting(world), OUTCOME_CANCELLED, "");
	/* One that could not be made. */
	told[0] = '\0';
	assert_int_equal(rpc_channel_from_fd(world->rpc, -1, &options, &channel), -EINVAL);
	options.target = "ipv4:nothing";
	assert_int_equal(rpc_channel_new(world->rpc, &options, &channel), -EINVAL);
	assert_string_equal(told, "");
}

/* The first one hears that there is no call, the last one is not asked. */
static void test_interceptor_refuses(void **state)
{
	struct world *world = *state;
	struct rpc_interceptor interceptors[] = {{starting, ended, one, NULL},
		{starting, ended, refuses, NULL}, {starting, ended, two, NULL}};
	struct rpc_channel *channel = intercepted(world, interceptors, 3);
	struct rpc_call_options options = {.path = "/test.Service/Header"};
	struct answer answer = {0};
	struct slices body = text_body("x");

	told[0] = '\0';
	assert_int_equal(call_begin(channel, &options, &body, &answer), -EACCES);
	assert_string_equal(told, "start one, start refuses, CANCELLED one, ");
	rpc_channel_free(channel);
}

/* gRPC would end the program on the first, and forget the second. */
static void test_half_a_certificate(void **state)
{
	static const struct rpc_tls halves[] = {{.chain_pem = "x"}, {.key_pem = "x"}};
	struct world *world = *state;

	for (size_t i = 0; i < ARRAY_LEN(halves); i++) {
		const struct rpc_channel_options options = {
			.target = "127.0.0.1:1", .tls = &halves[i], .receive_max_bytes = MIB};
		struct rpc_channel *channel = NULL;

		assert_int_equal(rpc_channel_new(world->rpc, &options, &channel), -EINVAL);
		assert_int_equal(rpc_channel_from_fd(
					 world->rpc, world_connect(world, 0), &options, &channel),
			-EINVAL);
		assert_null(channel);
	}
}

int main(void)
{
#define WITH_WORLD(test) cmocka_unit_test_setup_teardown(test, world_setup, world_teardown)
	const struct CMUnitTest tests[] = {
		WITH_WORLD(test_messages),
		WITH_WORLD(test_misused),
		WITH_WORLD(test_channel_freed),
		WITH_WORLD(test_interceptors),
		WITH_WORLD(test_interceptors_are_let_go),
		WITH_WORLD(test_interceptor_refuses),
		WITH_WORLD(test_half_a_certificate),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
