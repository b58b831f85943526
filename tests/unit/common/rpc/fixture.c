#include "fixture.h"

#include <sys/socket.h>

/* ---- the service ---- */

static void on_cancel(void *arg, struct request *request)
{
	struct world *world = arg;

	world->cancelled++;
	if (!world->answer_cancelled)
		return;
	if (world->waiting == request)
		world->waiting = NULL;
	request_fail(request, OUTCOME_CANCELLED, "gone");
}

static void keep(void *server, struct request *request)
{
	struct world *world = server;

	assert_null(world->waiting);
	world->waiting = request;
	world->waiting_peer = *request->peer;
	request_on_cancel(request, on_cancel, world);
}

static void echo(void *server, struct request *request)
{
	struct slices body = {0};

	((struct world *)server)->handled++;
	assert_int_equal(slices_move(&body, &request->body), 0);
	request_reply(request, &body);
}

static void refuse(void *server, struct request *request)
{
	request_fail(request, OUTCOME_PERMISSION_DENIED, "not you");
}

static void watched(void *server, struct request *request)
{
	request_on_cancel(request, on_cancel, server);
	request_admit(request);
}

/* Fails as the body's first byte says, with the rest of it as the sentence. */
static void fail_as_told(void *server, struct request *request)
{
	char text[8192] = "";
	uint8_t outcome = 0;

	assert_int_equal(slices_read(&request->body, 0, &outcome, 1), 0);
	assert_true(request->body.bytes <= sizeof text);
	assert_int_equal(slices_read(&request->body, 1, text, request->body.bytes - 1), 0);
	request_fail(request, (enum outcome)outcome, text);
}

/* Answers with the header that the body names, and with the caller's name. */
static void header(void *server, struct request *request)
{
	char key[64] = "", text[256];
	const char *value;

	assert_true(request->body.bytes < sizeof key);
	assert_int_equal(slices_read(&request->body, 0, key, request->body.bytes), 0);
	value = request_header(request, key);
	snprintf(text, sizeof text, "%s|%s", value ? value : "(none)", request->peer->text);
	reply_text(request, text);
}

static struct slices megabyte(void)
{
	return body_of(MIB);
}

static void stream_next(void *arg, struct request *request)
{
	struct world *world = arg;
	struct slices body = megabyte();

	assert_true(world->left > 0);
	if (--world->left > 0)
		assert_int_equal(request_send(request, &body, stream_next, world), 0);
	else
		request_reply(request, &body);
	slices_done(&body);
}

static void stream_gone(void *arg, struct request *request)
{
	((struct world *)arg)->streams_gone++;
	request_fail(request, OUTCOME_CANCELLED, "gone");
}

/* As many megabytes as the body's only byte says, one after the other; 'x': one, then an error. */
static void stream(void *server, struct request *request)
{
	struct world *world = server;
	struct slices body;
	uint8_t number = 0;

	assert_int_equal(slices_read(&request->body, 0, &number, 1), 0);
	request_on_cancel(request, stream_gone, world);
	world->streams_begun++;
	world->left = number;
	if (number != 'x') {
		stream_next(world, request);
		return;
	}
	body = megabyte();
	assert_int_equal(request_send(request, &body, stream_next, world), 0);
	/* The message goes first, whether it has left or not. */
	request_fail(request, OUTCOME_NOT_FOUND, "no more");
}

static void samples_next(void *arg, struct request *request, struct slices *message)
{
	struct world *world = arg;

	if (!message) {
		reply_text(request, "");
		return;
	}
	world->handled++;
	request_read(request, samples_next, world);
}

static void samples(void *server, struct request *request)
{
	request_on_cancel(request, on_cancel, server);
	request_read(request, samples_next, server);
}

#define ANY_BYTES ((size_t)1 << 31)

static const struct method methods[] = {
	{.name = "Echo", .body_max = ANY_BYTES, .handle = echo},
	{.name = "Small", .body_max = SMALL_MAX, .admit = watched, .handle = echo},
	{.name = "Gate", .body_max = ANY_BYTES, .admit = keep, .handle = echo},
	{.name = "Later", .body_max = ANY_BYTES, .handle = keep},
	{.name = "Refuse", .body_max = ANY_BYTES, .admit = refuse, .handle = echo},
	{.name = "Fail", .body_max = ANY_BYTES, .handle = fail_as_told},
	{.name = "Header", .body_max = ANY_BYTES, .handle = header},
	{.name = "Slow", .body_max = 100, .body_ms = BODY_MS, .admit = watched, .handle = echo},
	{.name = "Slow2", .body_max = 100, .body_ms = BODY_MS, .handle = echo},
	{.name = "Patient",
		.body_max = 100,
		.body_ms = KIT_WAIT_MS,
		.admit = watched,
		.handle = echo},
	{.name = "Stream", .body_max = 1, .streams = true, .handle = stream},
	{.name = "Samples", .body_max = 100, .reads = true, .handle = samples},
	{.name = "Watched", .body_max = ANY_BYTES, .admit = watched, .handle = echo},
};

/* ---- the world ---- */

static const struct rpc_channel_options channel_options = {.target = "test",
	.receive_max_bytes = 256 * MIB,
	.keepalive_ms = 60000,
	.keepalive_timeout_ms = 20000,
	.own_connection = true,
	.user_agent = "test/1"};

static void on_refused(void *arg, const struct peer *peer, const char *method, enum outcome outcome,
	const char *details)
{
	struct refusal *refusal = arg;

	refusal->n++;
	refusal->peer = peer;
	refusal->outcome = outcome;
	snprintf(refusal->method, sizeof refusal->method, "%s", method);
	snprintf(refusal->details, sizeof refusal->details, "%s", details);
}

static int setup(void **state, uint64_t memory_max_bytes, unsigned connection_calls_max)
{
	/* As behind a door: what a peer may send does not become more. */
	static const struct rpc_option windows = {.name = "grpc.http2.bdp_probe"};
	struct world *world = calloc(1, sizeof *world);
	struct rpc_server_options options = {.n_services = 1,
		.options = &windows,
		.n_options = 1,
		.memory_max_bytes = memory_max_bytes,
		.receive_max_bytes = 128 * MIB,
		.calls_max = CALLS_MAX,
		.connection_calls_max = connection_calls_max,
		.refused = connection_calls_max ? on_refused : NULL,
		.keepalive_ms = 60000,
		.keepalive_timeout_ms = 20000};

	if (!world)
		return -1;
	options.refused_arg = &world->refusal;
	world->service = (struct service){.name = "test.Service",
		.methods = methods,
		.n_methods = ARRAY_LEN(methods),
		.server = world};
	options.services = &world->service;
	for (unsigned i = 0; i < WORLD_PEERS; i++) {
		world->peers[i].connection = i + 1;
		snprintf(world->peers[i].text, sizeof world->peers[i].text, "peer %u", i);
	}
	*state = world;
	if (loop_new(&world->loop) < 0 || rpc_new(world->loop, &world->rpc) < 0)
		return -1;
	return rpc_server_new(world->rpc, &options, &world->server);
}

int world_setup(void **state)
{
	return setup(state, 0, 0);
}

int world_setup_tight(void **state)
{
	return setup(state, WORLD_MEMORY, 0);
}

int world_setup_limited(void **state)
{
	return setup(state, 0, CONNECTION_CALLS_MAX);
}

int world_setup_shared(void **state)
{
	return setup(state, 0, CALLS_MAX);
}

static void server_ended(void *arg)
{
	((struct world *)arg)->ended++;
}

void world_shutdown(struct world *world, int64_t grace_ms)
{
	rpc_server_shutdown(world->server, grace_ms, server_ended, world);
	world->server = NULL;
}

int world_teardown(void **state)
{
	struct world *world = *state;

	if (world->server)
		world_shutdown(world, 0);
	rpc_free(world->rpc);
	loop_free(world->loop);
	if (world->ended != 1)
		return -1;
	free(world);
	return 0;
}

int world_connect(struct world *world, unsigned peer)
{
	int ends[2];

	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends), 0);
	rpc_server_add(world->server, ends[0], &world->peers[peer]);
	return ends[1];
}

struct rpc_channel *world_channel(struct world *world, unsigned peer)
{
	struct rpc_channel *channel = NULL;
	int fd = world_connect(world, peer);

	assert_int_equal(rpc_channel_from_fd(world->rpc, fd, &channel_options, &channel), 0);
	return channel;
}

void world_wait(struct world *world, const bool *flag)
{
	kit_loop_until(world->loop, *flag);
}

void world_wait_count(struct world *world, const unsigned *count, unsigned value)
{
	kit_loop_until(world->loop, *count >= value);
	assert_int_equal(*count, value);
}

void world_wait_waiting(struct world *world)
{
	kit_loop_until(world->loop, world->waiting);
}

struct request *world_take_waiting(struct world *world)
{
	world_wait_waiting(world);
	return take_pointer(&world->waiting);
}

/* ---- calls ---- */

struct slices body_of(size_t len)
{
	struct slices body = {0};
	size_t at = 0;

	while (at < len) {
		size_t piece = 1 + at * 7 % 100003;
		uint8_t *data;
		struct slice slice;

		if (piece > len - at)
			piece = len - at;
		data = malloc(piece);
		assert_non_null(data);
		for (size_t i = 0; i < piece; i++)
			data[i] = (uint8_t)((at + i) * 2654435761u >> 16);
		assert_int_equal(slice_take(data, piece, &slice), 0);
		assert_int_equal(slices_append(&body, slice), 0);
		at += piece;
	}
	return body;
}

struct slices text_body(const char *text)
{
	struct slices body = {0};

	assert_int_equal(slices_append_copy(&body, text, strlen(text)), 0);
	return body;
}

void reply_text(struct request *request, const char *text)
{
	struct slices body = text_body(text);

	request_reply(request, &body);
}

void call_finish(void *arg, struct rpc_result *result)
{
	struct answer *answer = arg;

	assert_false(answer->done);
	assert_non_null(result->details);
	answer->done = true;
	answer->outcome = result->outcome;
	answer->status = result->status;
	snprintf(answer->details, sizeof answer->details, "%s", result->details);
	assert_int_equal(slices_move(&answer->body, &result->body), 0);
}

int call_begin(struct rpc_channel *channel, const struct rpc_call_options *options,
	struct slices *body, struct answer *answer)
{
	struct rpc_call_options whole = *options;

	whole.done = call_finish;
	whole.arg = answer;
	return rpc_call_start(channel, &whole, body, NULL);
}

struct rpc_call *call_start(struct rpc_channel *channel, const char *method, struct slices body,
	int64_t timeout_ms, struct answer *answer)
{
	char path[64];
	struct rpc_call_options options = {
		.path = path, .timeout_ms = timeout_ms, .done = call_finish, .arg = answer};
	struct rpc_call *call = NULL;

	snprintf(path, sizeof path, "/test.Service/%s", method);
	assert_int_equal(rpc_call_start(channel, &options, &body, &call), 0);
	assert_int_equal(body.n, 0);
	assert_false(answer->done);
	return call;
}

void call_run(struct world *world, struct rpc_channel *channel, const char *method,
	struct slices body, struct answer *answer)
{
	call_start(channel, method, body, 0, answer);
	world_wait(world, &answer->done);
}

void answer_done(struct answer *answer)
{
	slices_done(&answer->body);
	*answer = (struct answer){0};
}

void assert_answer(const struct answer *answer, const char *text)
{
	char got[256] = "";

	assert_int_equal(answer->outcome, OUTCOME_OK);
	assert_true(answer->body.bytes < sizeof got);
	assert_int_equal(slices_read(&answer->body, 0, got, answer->body.bytes), 0);
	assert_string_equal(got, text);
}
