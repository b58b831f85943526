/*
 * The listener with real sockets and a real gRPC server behind it.
 */
#include "common/base/cleanup.h"
#include "common/base/clock.h"
#include "common/rpc/channel.h"
#include "supernode/appio/listener.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

#include <cmocka.h>

#define DEADLINE_MS 10000

struct rig {
	struct loop *loop;
	struct rpc *rpc;
	struct log *log;
	FILE *lines; /* what was logged */
	struct listener *listener;
	struct rpc_server *server;
	bool down;
	struct peer peer; /* of the last call */
	uint64_t live;    /* the one message that lives */
};

static struct rig *rig; /* of the running test */

static void handle_echo(void *server, struct request *request)
{
	struct slices body = {0};

	(void)server;
	rig->peer = *request->peer;
	slices_move(&body, &request->body);
	request_reply(request, &body);
	slices_done(&body);
}

static const struct method methods[] = {{.name = "Echo", .body_max = 1000, .handle = handle_echo}};
static const struct service service = {.name = "test.Echo", .methods = methods, .n_methods = 1};

static bool message_live(void *arg, uint64_t message)
{
	(void)arg;
	return message == rig->live;
}

static const struct listener_ops events = {.live = message_live};

static int setup(void **state)
{
	rig = calloc(1, sizeof *rig);
	assert_non_null(rig);
	rig->lines = tmpfile();
	assert_non_null(rig->lines);
	rig->log = log_new(fileno(rig->lines), "test", LOG_LEVEL_DEBUG);
	assert_int_equal(loop_new(&rig->loop), 0);
	assert_int_equal(rpc_new(rig->loop, &rig->rpc), 0);
	assert_int_equal(listener_new(rig->loop, rig->log, "127.0.0.1:0", NULL, &events, rig,
				 &rig->listener, NULL),
		0);
	assert_int_equal(rpc_server_new(rig->rpc,
				 &(struct rpc_server_options){.services = &service,
					 .n_services = 1,
					 .receive_max_bytes = 1 << 20,
					 .calls_max = 16,
					 .keepalive_ms = 60000,
					 .keepalive_timeout_ms = 20000},
				 &rig->server),
		0);
	listener_start(rig->listener, rig->server);
	*state = rig;
	return 0;
}

static void on_down(void *arg)
{
	((struct rig *)arg)->down = true;
}

static int teardown(void **state)
{
	(void)state;
	listener_stop(rig->listener);
	rpc_server_shutdown(rig->server, 0, on_down, rig);
	while (!rig->down)
		loop_step(rig->loop, 100);
	listener_free(rig->listener);
	rpc_free(rig->rpc);
	loop_free(rig->loop);
	log_free(rig->log);
	fclose(rig->lines);
	free(rig);
	return 0;
}

/* Run the loop until condition holds; fail after DEADLINE_MS. */
#define run_until(condition)                                                                       \
	do {                                                                                       \
		int64_t end_ = clock_now_ms() + DEADLINE_MS;                                       \
		while (!(condition)) {                                                             \
			assert_true(clock_now_ms() < end_);                                        \
			loop_step(rig->loop, 50);                                                  \
		}                                                                                  \
	} while (0)

static int dial(void)
{
	struct sockaddr_in address = {
		.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	address.sin_port = htons(
		(uint16_t)strtoul(strrchr(listener_address(rig->listener), ':') + 1, NULL, 10));
	assert_true(fd >= 0);
	assert_int_equal(connect(fd, (struct sockaddr *)&address, sizeof address), 0);
	return fd;
}

/* Has the other end closed fd? */
static bool closed(int fd)
{
	char byte;
	ssize_t n = recv(fd, &byte, 1, MSG_DONTWAIT);

	return n == 0 || (n < 0 && errno == ECONNRESET);
}

static bool logged(const char *text)
{
	char buffer[8192] = "";
	ssize_t n = pread(fileno(rig->lines), buffer, sizeof buffer - 1, 0);

	assert_true(n >= 0);
	return strstr(buffer, text) != NULL;
}

struct answer {
	bool there;
	enum outcome outcome;
};

static void on_answer(void *arg, struct rpc_result *result)
{
	struct answer *answer = arg;

	*answer = (struct answer){true, result->outcome};
}

static struct rpc_channel *channel_new(void)
{
	struct rpc_channel *channel;

	assert_int_equal(
		rpc_channel_new(rig->rpc,
			&(struct rpc_channel_options){.target = listener_address(rig->listener),
				.receive_max_bytes = 1 << 20,
				.own_connection = true},
			&channel),
		0);
	return channel;
}

static enum outcome echo(struct rpc_channel *channel)
{
	const struct rpc_call_options options = {
		.path = "/test.Echo/Echo", .timeout_ms = DEADLINE_MS};
	struct answer answer = {0};
	struct slices body = {0};

	slices_append(&body, slice_static("hello", 5));
	assert_int_equal(rpc_call_start(channel, &options, &body, on_answer, &answer, NULL), 0);
	run_until(answer.there);
	return answer.outcome;
}

static void a_connection_is_known_from_its_first_call_to_its_end(void **state)
{
	struct rpc_channel *channel = channel_new();

	(void)state;
	assert_int_equal(echo(channel), OUTCOME_OK);
	assert_int_equal(listener_count(rig->listener), 1);
	assert_int_not_equal(rig->peer.connection, 0);
	assert_memory_equal(rig->peer.text, "127.0.0.1:", 10);
	rpc_channel_free(channel);
	run_until(listener_count(rig->listener) == 0);
}

static void a_shown_token_is_remembered_while_its_message_lives(void **state)
{
	struct rpc_channel *channel = channel_new();

	(void)state;
	assert_int_equal(echo(channel), OUTCOME_OK);
	assert_int_equal(listener_holds(rig->listener, &rig->peer), 0);
	rig->live = 7;
	listener_hold(rig->listener, &rig->peer, 7);
	assert_int_equal(listener_holds(rig->listener, &rig->peer), 7);
	rig->live = 8;
	assert_int_equal(listener_holds(rig->listener, &rig->peer), 0);
	rpc_channel_free(channel);
	run_until(listener_count(rig->listener) == 0);
}

static void garbage_costs_one_line_and_harms_nobody(void **state)
{
	auto_(close_at_exit) int fd = dial();
	struct rpc_channel *channel = channel_new();

	(void)state;
	assert_int_equal(write(fd, "\x16\x03\x01 tls?", 8), 8);
	run_until(closed(fd));
	assert_true(logged("WARN"));
	assert_true(logged("is not gRPC"));
	assert_int_equal(echo(channel), OUTCOME_OK);
	rpc_channel_free(channel);
	run_until(listener_count(rig->listener) == 0);
}

static void http_1_is_told_apart(void **state)
{
	auto_(close_at_exit) int fd = dial();
	static const char request[] = "POST /v1/runtime/acquire-task HTTP/1.1\r\n";

	(void)state;
	assert_int_equal(write(fd, request, sizeof request - 1), sizeof request - 1);
	run_until(closed(fd));
	assert_true(logged("HTTP/1.1"));
}

static void a_preface_in_pieces_is_waited_for(void **state)
{
	static const char preface[] = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
	auto_(close_at_exit) int fd = dial();
	struct rpc_channel *channel = channel_new();
	char bytes[16];

	(void)state;
	for (size_t i = 0; i < sizeof preface - 1; i++) {
		assert_int_equal(write(fd, preface + i, 1), 1);
		loop_step(rig->loop, 0);
	}
	/* Behind the preface the server begins with its settings. */
	run_until(recv(fd, bytes, sizeof bytes, MSG_DONTWAIT) > 0);
	assert_int_equal(echo(channel), OUTCOME_OK);
	rpc_channel_free(channel);
}

static void many_silent_connections_harm_nobody(void **state)
{
	enum { N = 400 };
	int fds[N];
	struct rpc_channel *channel;

	(void)state;
	for (size_t i = 0; i < N; i++)
		fds[i] = dial();
	run_until(listener_count(rig->listener) == N);
	channel = channel_new();
	assert_int_equal(echo(channel), OUTCOME_OK);
	rpc_channel_free(channel);
	for (size_t i = 0; i < N; i++)
		close(fds[i]);
	run_until(listener_count(rig->listener) == 0);
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
	const struct CMUnitTest tests[] = {
		TEST(a_connection_is_known_from_its_first_call_to_its_end),
		TEST(a_shown_token_is_remembered_while_its_message_lives),
		TEST(garbage_costs_one_line_and_harms_nobody),
		TEST(http_1_is_told_apart),
		TEST(a_preface_in_pieces_is_waited_for),
		TEST(many_silent_connections_harm_nobody),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
