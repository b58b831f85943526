/*
 * The other end is grpcio: its server and our client, its client and our server.
 */
#include "fixture.h"
#include "kit/child.h"
#include "kit/dir.h"

#include <fcntl.h>
#include <sys/socket.h>
#include <sys/un.h>

static void peer_start(struct kit_child *peer, const char *what, const char *target)
{
	kit_child_start(peer, KIT_OLDEST, FLWR_TEST_DIR "/peer.py", what, target);
}

/* A name for a socket in the test's folder. */
static const char *socket_target(void)
{
	static char target[128];

	snprintf(target, sizeof target, "unix:%s/socket", kit_dir);
	return target;
}

/* ---- its server ---- */

static void call_python(struct world *world, struct rpc_channel *channel, const char *method,
	const struct rpc_header *headers, struct slices body, struct answer *answer)
{
	char path[64];
	struct rpc_call_options options = {.path = path,
		.headers = headers,
		.n_headers = headers ? 1 : 0,
		.timeout_ms = 60000,
		.wait_for_ready = true};

	snprintf(path, sizeof path, "/py.Service/%s", method);
	assert_int_equal(call_begin(channel, &options, &body, answer), 0);
	world_wait(world, &answer->done);
}

static void echoes(struct world *world, struct rpc_channel *channel)
{
	static const size_t sizes[] = {0, 1, 40 * MIB};

	for (size_t i = 0; i < ARRAY_LEN(sizes); i++) {
		struct slices body = body_of(sizes[i]), sent = {0};
		struct answer answer = {0};

		assert_int_equal(slices_append_refs(&sent, &body), 0);
		call_python(world, channel, "Echo", NULL, sent, &answer);
		assert_int_equal(answer.outcome, OUTCOME_OK);
		assert_true(slices_equal(&body, &answer.body));
		slices_done(&body);
		answer_done(&answer);
	}
}

static void headers_arrive(struct world *world, struct rpc_channel *channel)
{
	static const struct rpc_header rows[] = {
		{"x-token", "some token", 10}, {"x-key-bin", "\x01\xff\x80 raw", 7}};

	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct answer answer = {0};

		call_python(world, channel, "Headers", &rows[i], text_body(rows[i].key), &answer);
		assert_answer(&answer, rows[i].value);
		answer_done(&answer);
	}
}

static void statuses(struct world *world, struct rpc_channel *channel)
{
	static const struct {
		const char *request;
		enum outcome outcome;
		const char *details;
	} rows[] = {{"3 bad \xc3\xa4 %", OUTCOME_INVALID_ARGUMENT, "bad \xc3\xa4 %"},
		{"7 ended", OUTCOME_PERMISSION_DENIED, "ended"},
		{"9 not now", OUTCOME_FAILED_PRECONDITION, "not now"},
		{"16 who?", OUTCOME_UNAUTHENTICATED, "who?"},
		{"6 a status without a name here", OUTCOME_UNKNOWN,
			"a status without a name here"}};

	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct answer answer = {0};

		call_python(world, channel, "Fail", NULL, text_body(rows[i].request), &answer);
		assert_int_equal(answer.outcome, rows[i].outcome);
		assert_string_equal(answer.details, rows[i].details);
		answer_done(&answer);
	}
}

static void our_client_calls_grpcios_server(void **state)
{
	struct world *world = *state;
	struct rpc_channel_options options = {.receive_max_bytes = 64 * MIB};
	struct rpc_call_options wait = {.path = "/py.Service/Wait"};
	struct rpc_channel *channel = NULL;
	struct answer unknown = {0}, broken = {0};
	struct kit_child peer;

	options.target = socket_target();
	assert_int_equal(rpc_channel_new(world->rpc, &options, &channel), 0);
	peer_start(&peer, "serve", options.target);
	echoes(world, channel);
	headers_arrive(world, channel);
	statuses(world, channel);
	call_python(world, channel, "Nothing", NULL, text_body(""), &unknown);
	assert_int_equal(unknown.outcome, OUTCOME_UNIMPLEMENTED);
	answer_done(&unknown);

	/* The server ends with a call at hand: it cancels it or just goes. */
	assert_int_equal(call_begin(channel, &wait, &(struct slices){0}, &broken), 0);
	loop_step(world->loop, 10);
	kit_child_end(&peer);
	world_wait(world, &broken.done);
	assert_int_not_equal(broken.outcome, OUTCOME_OK);
	answer_done(&broken);
	rpc_channel_free(channel);
}

/* ---- its client ---- */

struct caller {
	struct world *world;
	int listener;
	struct kit_child peer;
	char text[4096];
	size_t len;
	bool ended;
};

static void accept_one(void *arg, int ready)
{
	struct caller *caller = arg;
	int fd = accept4(caller->listener, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);

	if (fd >= 0)
		rpc_server_add(caller->world->server, fd, &caller->world->peers[0]);
}

static void read_some(void *arg, int ready)
{
	struct caller *caller = arg;
	ssize_t n = read(fileno(caller->peer.from), caller->text + caller->len,
		sizeof caller->text - 1 - caller->len);

	if (n > 0)
		caller->len += (size_t)n;
	else
		caller->ended = true;
}

static int listen_at(const char *path)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

	snprintf(address.sun_path, sizeof address.sun_path, "%s", path);
	assert_true(fd >= 0);
	assert_int_equal(bind(fd, (struct sockaddr *)&address, sizeof address), 0);
	assert_int_equal(listen(fd, 5), 0);
	return fd;
}

static const char expected[] =
	"empty: same\n"
	"one: same\n"
	"large: same\n"
	"header: from python|peer 0\n"
	"binary: \x01"
	"bytes|peer 0\n"
	"error: NOT_FOUND nicht gefunden: \xc3\xa4\n"
	"too large: RESOURCE_EXHAUSTED message of 11 bytes, at most 10 are taken\n"
	"unknown: UNIMPLEMENTED no such method\n"
	"unknown, large: UNIMPLEMENTED no such method\n"
	"refused, large: PERMISSION_DENIED not you\n"
	"no message: INVALID_ARGUMENT call without a message\n"
	"compressed: UNIMPLEMENTED Compression algorithm 'gzip' is disabled.\n"
	"stream of one: [1048576]\n"
	"stream: [1048576, 1048576, 1048576, 1048576, 1048576]\n"
	"stream, error: [1048576, 'NOT_FOUND']\n"
	"stream, cancelled: [1048576, 1048576, 'CANCELLED']\n";

static void grpcios_client_calls_our_server(void **state)
{
	struct caller caller = {.world = *state};
	struct watch *accepting, *reading;
	const char *target = socket_target();

	caller.world->answer_cancelled = true;
	caller.listener = listen_at(target + strlen("unix:"));
	accepting = watch_new(caller.world->loop, caller.listener, WATCH_READ, accept_one, &caller);
	peer_start(&caller.peer, "call", target);
	reading = watch_new(
		caller.world->loop, fileno(caller.peer.from), WATCH_READ, read_some, &caller);
	assert_true(accepting && reading);
	world_wait(caller.world, &caller.ended);
	assert_string_equal(caller.text, expected);
	world_wait_count(caller.world, &caller.world->streams_gone, 1);
	watch_free(accepting);
	watch_free(reading);
	kit_child_end(&caller.peer);
	close(caller.listener);
}

#define WORLD_TEST(test) cmocka_unit_test_setup_teardown(test, world_setup, world_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		WORLD_TEST(our_client_calls_grpcios_server),
		WORLD_TEST(grpcios_client_calls_our_server),
	};

	return cmocka_run_group_tests(tests, kit_dir_make, kit_dir_remove);
}
