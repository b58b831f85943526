/*
 * Connections of workers with real sockets and a real gRPC server behind them: what is known of
 * them, and which of them are closed.
 */
#include "common/base/cleanup.h"
#include "guests_rig.h"
#include "kit/clock.h"

#include <poll.h>
#include <sys/socket.h>

/* Has the other end closed fd? What it has said before is passed over. */
static bool closed(int fd)
{
	char bytes[4096];
	ssize_t n;

	do
		n = recv(fd, bytes, sizeof bytes, MSG_DONTWAIT);
	while (n > 0);
	return n == 0 || errno == ECONNRESET;
}

static bool logged(const char *text)
{
	return kit_log_count(&rig->log, text) > 0;
}

static void a_connection_is_known_from_its_first_call_to_its_end(void **state)
{
	struct rpc_channel *channel = channel_new();

	assert_int_equal(echo(channel), OUTCOME_OK);
	assert_int_equal(guests_count(rig->guests), 1);
	assert_int_not_equal(rig->peer.connection, 0);
	assert_memory_equal(rig->peer.text, "127.0.0.1:", 10);
	rpc_channel_free(channel);
	run_until(guests_count(rig->guests) == 0);
}

static void a_shown_token_is_remembered_while_its_message_lives(void **state)
{
	struct rpc_channel *channel = channel_new();

	assert_int_equal(echo(channel), OUTCOME_OK);
	assert_int_equal(guests_holds(rig->guests, &rig->peer, 0), 0);
	rig->live = 7;
	assert_int_equal(guests_hold(rig->guests, &rig->peer, 7, NULL), 0);
	assert_int_equal(guests_holds(rig->guests, &rig->peer, 0), 7);
	rig->live = 8;
	assert_int_equal(guests_holds(rig->guests, &rig->peer, 0), 0);
	assert_true(guests_open(rig->guests, &rig->peer));
	rpc_channel_free(channel);
	run_until(guests_count(rig->guests) == 0);
	assert_false(guests_open(rig->guests, &rig->peer));
}

static void bytes_are_counted(void **state)
{
	struct rpc_channel *channel = channel_new();
	uint64_t before;

	assert_int_equal(echo(channel), OUTCOME_OK);
	before = guests_received(rig->guests, &rig->peer);
	assert_true(before > 0);
	assert_int_equal(echo(channel), OUTCOME_OK);
	assert_true(guests_received(rig->guests, &rig->peer) > before);
	rpc_channel_free(channel);
	run_until(guests_count(rig->guests) == 0);
	assert_int_equal(guests_received(rig->guests, &rig->peer), 0);
}

static void garbage_costs_one_line_and_harms_nobody(void **state)
{
	auto_(close_at_exit) int fd = dial();
	struct rpc_channel *channel = channel_new();

	assert_int_equal(write(fd, "\x15\x03\x01 tls?", 8), 8);
	run_until(closed(fd));
	assert_true(logged("WARN"));
	assert_true(logged("is neither gRPC nor HTTP/1.1"));
	assert_int_equal(echo(channel), OUTCOME_OK);
	rpc_channel_free(channel);
	run_until(guests_count(rig->guests) == 0);
}

static void tls_is_told_apart(void **state)
{
	auto_(close_at_exit) int fd = dial();

	assert_int_equal(write(fd, "\x16\x03\x01 tls", 7), 7);
	run_until(closed(fd));
	assert_true(logged("speaks TLS, which this worker API is without"));
}

static void a_preface_in_pieces_is_waited_for(void **state)
{
	static const char preface[] = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
	auto_(close_at_exit) int fd = dial();
	struct rpc_channel *channel = channel_new();
	char bytes[16];

	for (size_t i = 0; i < sizeof preface - 1; i++) {
		assert_int_equal(write(fd, preface + i, 1), 1);
		loop_step(rig->loop, 0);
	}
	/* Behind the preface the server begins with its settings. */
	run_until(recv(fd, bytes, sizeof bytes, MSG_DONTWAIT) > 0);
	assert_int_equal(echo(channel), OUTCOME_OK);
	rpc_channel_free(channel);
}

/* ---- guests: connections that have shown no token ---- */

/* A guest that speaks HTTP/2 by hand; it is the first that comes. */
static int guest_new(void)
{
	static const char hello[] = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\4\0\0\0\0";
	int fd = dial();
	char bytes[256];

	assert_int_equal(write(fd, hello, sizeof hello), sizeof hello);
	run_until(recv(fd, bytes, sizeof bytes, MSG_DONTWAIT) > 0);
	return fd;
}

/* A frame that nobody knows. */
#define FRAME_BYTES (9 + 16384)
static const char frame_head[9] = "\0\100\0\372\0\0\0\0";

/* Send so many bytes of such frames, reading what comes back. false: closed before. */
static bool send_frames(int fd, size_t bytes)
{
	char out[FRAME_BYTES] = "", in[4096];
	int64_t end_ms = kit_now_ms() + KIT_WAIT_MS;

	memcpy(out, frame_head, sizeof frame_head);
	for (size_t sent = 0; sent < bytes;) {
		ssize_t n = send(fd, out + sent % sizeof out, sizeof out - sent % sizeof out,
			MSG_DONTWAIT | MSG_NOSIGNAL);
		ssize_t got = recv(fd, in, sizeof in, MSG_DONTWAIT);

		if (got == 0 || ((n < 0 || got < 0) && errno != EAGAIN))
			return false;
		sent += n > 0 ? (size_t)n : 0;
		if (n > 0)
			loop_step(rig->loop, 0);
		else
			kit_loop_step(rig->loop, end_ms, "all is sent", __FILE__, __LINE__);
	}
	return true;
}

static void a_guest_that_sends_much_is_cut(void **state)
{
	struct rpc_channel *channel;
	auto_(close_at_exit) int fd = guest_new();

	assert_false(send_frames(fd, 8 << 20));
	assert_true(logged("sends too much without a token: closed"));
	assert_int_equal(guests_count(rig->guests), 0);
	channel = channel_new();
	assert_int_equal(echo(channel), OUTCOME_OK);
	rpc_channel_free(channel);
}

static void a_guest_with_a_token_may_send_much(void **state)
{
	const struct peer first = {.connection = 1};
	auto_(close_at_exit) int fd = guest_new();

	rig->live = 7;
	assert_int_equal(guests_hold(rig->guests, &first, 7, NULL), 0);
	assert_true(send_frames(fd, 1 << 20));
	assert_true(guests_open(rig->guests, &first));
	/* Not when it is of no use any more. */
	rig->live = 8;
	assert_false(send_frames(fd, 8 << 20));
}

/* Small frames that nobody knows, as many of which a peer may send only while it is trusted. */
static void trust_ends_with_the_token(void **state)
{
	enum { FRAMES = 150, SMALL_BYTES = 20 };
	static const char frame[SMALL_BYTES] = "\0\0\13\372\0\0\0\0";
	const struct peer first = {.connection = 1};
	auto_(close_at_exit) int fd = guest_new();

	rig->live = 7;
	assert_int_equal(guests_hold(rig->guests, &first, 7, NULL), 0);
	for (unsigned i = 0; i < FRAMES; i++)
		assert_int_equal(write(fd, frame, sizeof frame), sizeof frame);
	for (int i = 0; i < 20; i++)
		loop_step(rig->loop, 10);
	assert_true(guests_open(rig->guests, &first));
	rig->live = 8;
	for (unsigned i = 0; i < FRAMES; i++)
		(void)!send(fd, frame, sizeof frame, MSG_NOSIGNAL);
	run_until(closed(fd));
	assert_true(logged("sends too many unknown frames: closed"));
}

/* The last bytes of a worker may be looked at after its message has ended. */
static void bytes_that_came_for_a_token_do_not_close_a_connection(void **state)
{
	const struct peer first = {.connection = 1};
	auto_(close_at_exit) int fd = guest_new();
	char bytes[10 * FRAME_BYTES] = "";

	for (size_t i = 0; i < sizeof bytes; i += FRAME_BYTES)
		memcpy(bytes + i, frame_head, sizeof frame_head);
	rig->live = 7;
	assert_int_equal(guests_hold(rig->guests, &first, 7, NULL), 0);
	/* Nobody looks meanwhile. */
	for (size_t sent = 0; sent < sizeof bytes;) {
		ssize_t n = write(fd, bytes + sent, sizeof bytes - sent);

		assert_true(n > 0);
		sent += (size_t)n;
	}
	rig->live = 8;
	kit_clock_pass(6000);
	for (int i = 0; i < 20; i++)
		loop_step(rig->loop, 10);
	assert_true(guests_open(rig->guests, &first));
}

/* A worker hears of its token's end when the rest of a body is on its way. */
static void the_rest_of_a_body_does_not_count(void **state)
{
	const struct peer first = {.connection = 1}, second = {.connection = 2};
	auto_(close_at_exit) int fd = guest_new();
	auto_(close_at_exit) int other = -1;

	rig->live = 7;
	assert_int_equal(guests_hold(rig->guests, &first, 7, NULL), 0);
	assert_true(send_frames(fd, 100 << 10));
	rig->live = 8;
	assert_true(send_frames(fd, 1 << 20));
	assert_true(guests_open(rig->guests, &first));
	/* Nor against others, who would have to be content with less. */
	other = guest_new();
	assert_true(send_frames(other, 64 << 10));
	assert_true(guests_open(rig->guests, &second));
}

static void the_rest_of_a_body_comes_soon(void **state)
{
	const struct peer first = {.connection = 1};
	auto_(close_at_exit) int fd = guest_new();

	rig->live = 7;
	assert_int_equal(guests_hold(rig->guests, &first, 7, NULL), 0);
	assert_true(send_frames(fd, 100 << 10));
	rig->live = 8;
	assert_true(send_frames(fd, 100 << 10));
	for (int i = 0; i < 20; i++)
		loop_step(rig->loop, 10);
	kit_clock_pass(6000);
	assert_false(send_frames(fd, 1 << 20));
	assert_true(logged("sends too much without a token: closed"));
}

static void a_content_may_be_large(void **state)
{
	const struct peer first = {.connection = 1};
	auto_(close_at_exit) int fd = guest_new();

	guests_content(rig->guests, &first, 1);
	assert_true(send_frames(fd, 1 << 20));
	guests_content(rig->guests, &first, -1);
	assert_true(guests_open(rig->guests, &first));
	assert_false(send_frames(fd, 8 << 20));
}

static void refuse(const struct peer *peer, unsigned calls)
{
	for (unsigned i = 0; i < calls; i++)
		guests_complain_refused(
			rig->guests, peer, "GetToken", OUTCOME_INVALID_ARGUMENT, "no");
}

static void a_guest_whose_calls_are_refused_is_cut(void **state)
{
	const struct peer first = {.connection = 1, .text = "first"};
	auto_(close_at_exit) int fd = guest_new();

	refuse(&first, 64);
	/* Time forgives some. */
	kit_clock_pass(10000);
	refuse(&first, 10);
	assert_true(send_frames(fd, 100));
	refuse(&first, 1);
	run_until(closed(fd));
	assert_int_equal(guests_count(rig->guests), 0);
}

static void a_guest_with_a_token_may_have_calls_refused(void **state)
{
	const struct peer first = {.connection = 1, .text = "first"};
	auto_(close_at_exit) int fd = guest_new();

	rig->live = 7;
	assert_int_equal(guests_hold(rig->guests, &first, 7, NULL), 0);
	refuse(&first, 100);
	for (int i = 0; i < 20; i++)
		loop_step(rig->loop, 10);
	assert_true(guests_open(rig->guests, &first));
}

static void many_silent_connections_harm_nobody(void **state)
{
	enum { N = 400 };
	int fds[N];
	struct rpc_channel *channel;

	for (size_t i = 0; i < N; i++)
		fds[i] = dial();
	run_until(guests_count(rig->guests) == N);
	channel = channel_new();
	assert_int_equal(echo(channel), OUTCOME_OK);
	rpc_channel_free(channel);
	for (size_t i = 0; i < N; i++)
		close(fds[i]);
	run_until(guests_count(rig->guests) == 0);
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
	const struct CMUnitTest tests[] = {
		TEST(a_connection_is_known_from_its_first_call_to_its_end),
		TEST(a_shown_token_is_remembered_while_its_message_lives),
		TEST(bytes_are_counted),
		TEST(garbage_costs_one_line_and_harms_nobody),
		TEST(tls_is_told_apart),
		TEST(a_preface_in_pieces_is_waited_for),
		TEST(a_guest_that_sends_much_is_cut),
		TEST(a_guest_with_a_token_may_send_much),
		TEST(trust_ends_with_the_token),
		TEST(bytes_that_came_for_a_token_do_not_close_a_connection),
		TEST(the_rest_of_a_body_does_not_count),
		TEST(the_rest_of_a_body_comes_soon),
		TEST(a_content_may_be_large),
		TEST(a_guest_whose_calls_are_refused_is_cut),
		TEST(a_guest_with_a_token_may_have_calls_refused),
		TEST(many_silent_connections_harm_nobody),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
