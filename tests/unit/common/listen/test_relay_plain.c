/*
 * Relays without a guard, as those of HTTP/1.1: what becomes of a connection of which one side has
 * ended. The test plays both.
 */
#include "common/listen/relay.h"

#include "common/base/cleanup.h"
#include "common/base/clock.h"
#include "kit/clock.h"
#include "kit/loop.h"

#include <errno.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define MIB (1 << 20)

static struct {
	struct loop *loop;
	struct relays *relays;
	struct relay *relay; /* NULL: it has ended */
	struct stream stream;
	struct share share;
	int peer, fd, server;
	bool waits;
	unsigned ended;
	const char *why;
} rig;

static const char *on_judge(void *arg)
{
	return NULL;
}

static bool on_waits(void *arg)
{
	return rig.waits;
}

static void on_ended(void *arg, const char *why)
{
	rig.ended++;
	rig.why = why;
	relay_free(rig.relay);
	rig.relay = NULL;
	close_fd(&rig.fd);
}

static void connect_tcp(void)
{
	struct sockaddr_in address = {
		.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	socklen_t len = sizeof address;
	auto_(close_at_exit) int listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	rig.peer = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	assert_int_equal(bind(listener, (struct sockaddr *)&address, sizeof address), 0);
	assert_int_equal(listen(listener, 1), 0);
	assert_int_equal(getsockname(listener, (struct sockaddr *)&address, &len), 0);
	assert_int_equal(connect(rig.peer, (struct sockaddr *)&address, sizeof address), 0);
	rig.fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
	assert_true(rig.fd >= 0);
}

static int setup(void **state)
{
	static const struct relay_ops events = {
		.judge = on_judge, .waits = on_waits, .ended = on_ended};

	memset(&rig, 0, sizeof rig);
	assert_int_equal(loop_new(&rig.loop), 0);
	kit_clock_start(rig.loop);
	assert_int_equal(relays_new(rig.loop, 8, &rig.relays), 0);
	connect_tcp();
	stream_init(&rig.stream, rig.fd, NULL);
	return relay_new(rig.relays,
		&(struct relay_options){.stream = &rig.stream, .share = &rig.share, .ops = &events},
		&rig.relay, &rig.server);
}

static int teardown(void **state)
{
	relay_free(rig.relay);
	close_fd(&rig.peer);
	close_fd(&rig.fd);
	close_fd(&rig.server);
	relays_free(rig.relays);
	kit_clock_done();
	loop_free(rig.loop);
	return 0;
}

#define run_until(condition) kit_loop_until(rig.loop, condition)

static void say(int fd, const char *text)
{
	assert_int_equal(send(fd, text, strlen(text), MSG_NOSIGNAL), strlen(text));
}

/* The next bytes are these; then, with the end, nothing follows. */
static void hear(int fd, const char *text, bool end)
{
	char got[256] = "";
	size_t n = 0;
	ssize_t more = -1;

	while (n < strlen(text)) {
		run_until((more = recv(fd, got + n, sizeof got - 1 - n, MSG_DONTWAIT)) >= 0 ||
			  errno != EAGAIN);
		assert_true(more > 0);
		n += (size_t)more;
	}
	assert_string_equal(got, text);
	if (end)
		run_until(recv(fd, got, 1, MSG_DONTWAIT) == 0);
}

/* `nc -N` does so, and health checks of some. */
static void a_peer_that_has_said_all_is_answered(void **state)
{
	say(rig.peer, "request");
	assert_int_equal(shutdown(rig.peer, SHUT_WR), 0);
	hear(rig.server, "request", true);
	assert_int_equal(rig.ended, 0);
	assert_true(relay_is_half_closed(rig.relay));
	say(rig.server, "answer");
	close_fd(&rig.server);
	hear(rig.peer, "answer", true);
	run_until(rig.ended);
	assert_null(rig.why);
}

/* It may have gone altogether: nothing tells. */
static void a_peer_that_has_ended_is_not_kept_long(void **state)
{
	say(rig.peer, "request");
	close_fd(&rig.peer);
	hear(rig.server, "request", true);
	assert_int_equal(rig.ended, 0);
	kit_clock_pass(RELAY_LINGER_MS + 1000);
	run_until(rig.ended);
}

/* A server that has nothing to say to it ends, too. */
static void a_peer_without_a_request_is_not_kept(void **state)
{
	close_fd(&rig.peer);
	hear(rig.server, "", true);
	close_fd(&rig.server);
	run_until(rig.ended);
}

static void send_much(size_t n)
{
	static const uint8_t bytes[65536];

	while (n > 0) {
		ssize_t sent = send(rig.peer, bytes, n < sizeof bytes ? n : sizeof bytes,
			MSG_NOSIGNAL | MSG_DONTWAIT);

		assert_true(sent > 0 || errno == EAGAIN);
		n -= sent > 0 ? (size_t)sent : 0;
		loop_step(rig.loop, 0);
	}
}

/* Send until the relay takes no more, as the server reads nothing. The bytes that were sent. */
static size_t fill(void)
{
	static const uint8_t bytes[16384];
	uint64_t received;
	size_t sent = 0;

	do {
		received = relay_received(rig.relay);
		assert_int_equal(send(rig.peer, bytes, sizeof bytes, MSG_NOSIGNAL), sizeof bytes);
		sent += sizeof bytes;
		for (int i = 0; i < 8; i++)
			loop_step(rig.loop, 0);
	} while (relay_received(rig.relay) > received);
	return sent;
}

/* The server takes up to n bytes, more slowly than they come. How many there were to the end, or
 * until then. */
static size_t take(size_t n)
{
	static uint8_t bytes[16384];
	size_t got = 0;
	ssize_t more = -1;

	while (got < n && more != 0) {
		run_until((more = recv(rig.server, bytes, sizeof bytes, MSG_DONTWAIT)) >= 0 ||
			  errno != EAGAIN);
		assert_true(more >= 0);
		got += (size_t)more;
	}
	return got;
}

static void a_body_arrives_whole_whose_sender_ends_its_half(void **state)
{
	const size_t sent = fill();

	assert_int_equal(shutdown(rig.peer, SHUT_WR), 0);
	for (int i = 0; i < 8; i++)
		loop_step(rig.loop, 0);
	/* Each taken part gives it its time again. */
	assert_true(take(16384) == 16384);
	kit_clock_pass(RELAY_LINGER_MS - 500);
	loop_step(rig.loop, 0);
	assert_int_equal(rig.ended, 0);
	assert_int_equal(take(SIZE_MAX), sent - 16384);
	say(rig.server, "answer");
	close_fd(&rig.server);
	hear(rig.peer, "answer", true);
	run_until(rig.ended);
	assert_null(rig.why);
}

static void a_body_that_nobody_takes_is_not_kept_long(void **state)
{
	(void)fill();
	assert_int_equal(shutdown(rig.peer, SHUT_WR), 0);
	loop_step(rig.loop, 0);
	assert_int_equal(rig.ended, 0);
	kit_clock_pass(2 * RELAY_LINGER_MS);
	run_until(rig.ended);
}

static void a_reset_is_an_end_though_a_body_waits(void **state)
{
	const struct linger reset = {.l_onoff = 1};

	(void)fill();
	assert_int_equal(setsockopt(rig.peer, SOL_SOCKET, SO_LINGER, &reset, sizeof reset), 0);
	close_fd(&rig.peer);
	run_until(rig.ended);
}

/* The server hashes a large body before it answers. */
static void a_large_body_has_more_time_to_be_answered(void **state)
{
	const size_t each = 65536;

	for (size_t i = 0; i < 64 * MIB / each; i++) {
		send_much(each);
		assert_int_equal(take(each), each);
	}
	assert_int_equal(shutdown(rig.peer, SHUT_WR), 0);
	hear(rig.server, "", true);
	kit_clock_pass(RELAY_LINGER_MS + 500);
	loop_step(rig.loop, 0);
	assert_int_equal(rig.ended, 0);
	kit_clock_pass(RELAY_LINGER_MS);
	run_until(rig.ended);
}

static void an_answer_may_take_its_time(void **state)
{
	say(rig.peer, "request");
	assert_int_equal(shutdown(rig.peer, SHUT_WR), 0);
	hear(rig.server, "request", true);
	for (int i = 0; i < 4; i++) {
		say(rig.server, "part");
		hear(rig.peer, "part", false);
		kit_clock_pass(RELAY_LINGER_MS - 500);
		loop_step(rig.loop, 0);
		assert_int_equal(rig.ended, 0);
	}
	close_fd(&rig.server);
	run_until(rig.ended);
}

static void a_refusal_arrives_at_a_peer_that_is_sending(void **state)
{
	say(rig.peer, "head");
	hear(rig.server, "head", false);
	say(rig.server, "refused");
	close_fd(&rig.server);
	/* Without being read these bytes would make a reset. */
	send_much(8 * MIB);
	hear(rig.peer, "refused", true);
	assert_int_equal(rig.ended, 0);
	close_fd(&rig.peer);
	run_until(rig.ended);
	assert_null(rig.why);
}

static void dropping_has_bounds(void **state)
{
	static const uint8_t bytes[65536];
	uint64_t sent = 0;

	close_fd(&rig.server);
	while (!rig.ended && sent < 4ull * RELAY_DROP_BYTES) {
		ssize_t n = send(rig.peer, bytes, sizeof bytes, MSG_NOSIGNAL | MSG_DONTWAIT);

		sent += n > 0 ? (size_t)n : 0;
		loop_step(rig.loop, 0);
	}
	assert_int_equal(rig.ended, 1);
	assert_true(sent > RELAY_DROP_BYTES);
}

static void a_peer_that_stays_is_left(void **state)
{
	close_fd(&rig.server);
	hear(rig.peer, "", true);
	assert_int_equal(rig.ended, 0);
	kit_clock_pass(RELAY_LINGER_MS + 1000);
	run_until(rig.ended);
}

/* What it has sent before arrives; so does the rest, when it need not wait any more. */
static void a_peer_may_have_to_wait(void **state)
{
	char byte;

	say(rig.peer, "head");
	hear(rig.server, "head", false);
	rig.waits = true;
	say(rig.peer, "body");
	for (int i = 0; i < 3; i++) {
		kit_clock_pass(100);
		loop_step(rig.loop, 10);
		assert_int_equal(recv(rig.server, &byte, 1, MSG_DONTWAIT), -1);
	}
	rig.waits = false;
	kit_clock_pass(100);
	hear(rig.server, "body", false);
	assert_int_equal(rig.ended, 0);
}

static void the_end_of_one_that_waits_is_seen(void **state)
{
	const struct linger reset = {.l_onoff = 1};

	say(rig.peer, "head");
	hear(rig.server, "head", false);
	rig.waits = true;
	say(rig.peer, "body");
	assert_int_equal(setsockopt(rig.peer, SOL_SOCKET, SO_LINGER, &reset, sizeof reset), 0);
	close_fd(&rig.peer);
	run_until(rig.ended);
}

/* What the relay has read of it has gone to the server, and the rest waits behind that. */
static void the_rest_of_one_that_waits_is_not_lost(void **state)
{
	const size_t sent = fill();
	size_t read;

	assert_int_equal(shutdown(rig.peer, SHUT_WR), 0);
	for (int i = 0; i < 8; i++)
		loop_step(rig.loop, 0);
	rig.waits = true;
	read = (size_t)relay_received(rig.relay);
	assert_true(read < sent);
	assert_int_equal(take(read), read);
	for (int i = 0; i < 8; i++) {
		kit_clock_pass(RELAY_LINGER_MS);
		loop_step(rig.loop, 10);
	}
	assert_int_equal(rig.ended, 0);
	rig.waits = false;
	kit_clock_pass(100);
	assert_int_equal(take(SIZE_MAX), sent - read);
	assert_true(relay_is_half_closed(rig.relay));
	kit_clock_pass(RELAY_LINGER_MS + 1000);
	run_until(rig.ended);
}

/* The server may refuse what it has until then: nobody waits any more. */
static void one_that_waits_and_is_refused_is_not_kept(void **state)
{
	say(rig.peer, "head");
	hear(rig.server, "head", false);
	rig.waits = true;
	say(rig.peer, "body");
	for (int i = 0; i < 8; i++)
		loop_step(rig.loop, 0);
	say(rig.server, "refused");
	close_fd(&rig.server);
	hear(rig.peer, "refused", true);
	kit_clock_pass(RELAY_LINGER_MS + 1000);
	run_until(rig.ended);
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
	const struct CMUnitTest tests[] = {
		TEST(a_peer_that_has_said_all_is_answered),
		TEST(a_peer_that_has_ended_is_not_kept_long),
		TEST(a_peer_without_a_request_is_not_kept),
		TEST(a_body_arrives_whole_whose_sender_ends_its_half),
		TEST(a_body_that_nobody_takes_is_not_kept_long),
		TEST(a_reset_is_an_end_though_a_body_waits),
		TEST(a_large_body_has_more_time_to_be_answered),
		TEST(an_answer_may_take_its_time),
		TEST(a_refusal_arrives_at_a_peer_that_is_sending),
		TEST(dropping_has_bounds),
		TEST(a_peer_that_stays_is_left),
		TEST(a_peer_may_have_to_wait),
		TEST(the_end_of_one_that_waits_is_seen),
		TEST(the_rest_of_one_that_waits_is_not_lost),
		TEST(one_that_waits_and_is_refused_is_not_kept),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
