/*
 * Fuzz target: the bytes that a SuperLink, or whoever is there, answers with over HTTP, once to a
 * call of the Fleet API and once to the question who it is. The connection is a socket pair: the
 * program's connect() is this one.
 */
#include "fuzz.h"

#include "common/base/files.h"
#include "common/http/client.h"
#include "common/http/status.h"
#include "common/loop/loop.h"
#include "supernode/link/transports.h"

#include <fcntl.h>
#include <math.h>
#include <signal.h>
#include <sys/socket.h>

#define BODY_MAX_BYTES 16384
#define INPUT_MAX      65536 /* a socket takes it at once */
#define STEPS_MAX      1000

FUZZ_MEMORY(2048, 16);

static struct {
	struct loop *loop;
	struct http *http;
	struct transport *transport;
	struct http_client *client;
	const uint8_t *answer;
	size_t answer_len;
	int peer;
	unsigned calls, done;
} world = {.peer = -1};

/* The peer has answered before it was asked, and says no more. */
int connect(int fd, const struct sockaddr *address, socklen_t len)
{
	int ends[2];

	(void)address;
	(void)len;
	CHECK(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, ends) == 0);
	CHECK(fd_write_all(ends[1], world.answer, world.answer_len) == 0);
	CHECK(shutdown(ends[1], SHUT_WR) == 0);
	CHECK(dup3(ends[0], fd, O_CLOEXEC) == fd);
	close(ends[0]);
	close_fd(&world.peer);
	world.peer = ends[1];
	return 0;
}

static void set_up(void)
{
	struct transport_options options = {
		.address = "127.0.0.1:1", .receive_max_bytes = BODY_MAX_BYTES};
	const struct http_client_options client = {
		.address = "127.0.0.1:1", .receive_max_bytes = BODY_MAX_BYTES};

	if (world.loop)
		return;
	signal(SIGPIPE, SIG_IGN);
	CHECK(loop_new(&world.loop) == 0 && http_new(world.loop, &world.http, NULL) == 0);
	options.http = world.http;
	CHECK(transport_http.open(&options, &world.transport) == 0);
	CHECK(http_client_new(world.http, &client, &world.client) == 0);
}

static void wait_for_end(void)
{
	for (int i = 0; i < STEPS_MAX && world.done < world.calls; i++)
		loop_step(world.loop, 1000);
	CHECK(world.done == world.calls);
	close_fd(&world.peer);
}

static void call_done(void *arg, struct transport_result *result)
{
	(void)arg;
	world.done++;
	CHECK(result->outcome < OUTCOME_N && result->details);
	CHECK(result->body.bytes <= BODY_MAX_BYTES / 2);
	CHECK(!result->too_large || result->outcome == OUTCOME_RESOURCE_EXHAUSTED);
	CHECK(result->outcome == OUTCOME_OK || result->body.bytes == 0);
	CHECK(result->date_s >= 0 && isfinite(result->date_s) && result->code >= 0);
}

static void fuzz_call(void)
{
	const struct transport_call call = {.method = "PullMessages",
		.answer_max_bytes = BODY_MAX_BYTES / 2,
		.done = call_done};
	auto_(slices_done) struct slices body = {0};
	struct transport_handle *handle;

	world.calls++;
	CHECK(slices_append_copy(&body, "request", 7) == 0);
	CHECK(world.transport->ops->call(world.transport, &call, &body, &handle) == 0);
	wait_for_end();
}

static void ask_done(void *arg, struct http_result *result)
{
	(void)arg;
	world.done++;
	CHECK(result->failure < HTTP_FAILURE_N && result->details && result->content_type);
	CHECK((result->failure == HTTP_FAILURE_NONE) == (result->outcome == OUTCOME_OK));
	CHECK(result->body.bytes <= BODY_MAX_BYTES && !result->secured);
	CHECK(result->names && !result->names[0]);
}

static void fuzz_ask(void)
{
	static const struct http_ask ask = {.direct = true};
	const struct http_call_options options = {.path = "/", .ask = &ask, .done = ask_done};
	struct slices none = {0};

	world.calls++;
	CHECK(http_call_start(world.client, &options, &none, NULL) == 0);
	wait_for_end();
}

void fuzz(const uint8_t *data, size_t len)
{
	set_up();
	if (len > INPUT_MAX)
		return;
	world.answer = data;
	world.answer_len = len;
	fuzz_call();
	fuzz_ask();
}
