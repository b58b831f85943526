/*
 * What passes through a relay of HTTP/2, and its end.
 */
#include "relay_rig.h"

#include <sys/socket.h>

/* ---- bytes ---- */

static void nothing_passes_before_the_servers_settings(void **state)
{
	uint8_t bytes[100];
	const size_t hello = sizeof peer_hello;

	say(rig.line.peer, peer_hello, hello);
	say_frame(rig.line.peer, 10, HEADERS, END_HEADERS, 1);
	pass(1000);
	assert_int_equal(hear(rig.line.server, bytes, sizeof bytes), 0);
	say(rig.line.server, server_hello, sizeof server_hello);
	run_until(hear(rig.line.server, bytes, sizeof bytes) == hello + 9 + 19);
	assert_memory_equal(bytes, peer_hello, hello);
	/* The acknowledgement stands before what the settings are for. */
	assert_memory_equal(bytes + hello, guard_acknowledgement, 9);
	assert_int_equal(bytes[hello + 9 + 3], HEADERS);
	assert_int_equal(rig.line.judged, hello + 19);
}

/* A server that does not read for a while gets all of it later; nothing piles up meanwhile. */
static void a_slow_server_slows_its_peer(void **state)
{
	static uint8_t frame[9 + 16384] = {0, 0x40, 0, DATA, 0, 0, 0, 0, 1};
	static uint8_t bytes[MIB];
	const size_t all = 256 * sizeof frame;
	size_t sent = 0, got = 0;

	begin(&rig.line);
	open_stream(&rig.line, 1);
	for (int i = 0; i < 100; i++) {
		ssize_t n = send(rig.line.peer, frame + sent % sizeof frame,
			sizeof frame - sent % sizeof frame, MSG_DONTWAIT | MSG_NOSIGNAL);

		sent += n > 0 ? (size_t)n : 0;
		loop_step(rig.loop, 0);
	}
	assert_true(sent < MIB);
	while (got < all + 19) {
		ssize_t n = sent == all ? 0
					: send(rig.line.peer, frame + sent % sizeof frame,
						  sizeof frame - sent % sizeof frame,
						  MSG_DONTWAIT | MSG_NOSIGNAL);

		sent += n > 0 ? (size_t)n : 0;
		loop_step(rig.loop, 0);
		got += hear(rig.line.server, bytes, sizeof bytes);
	}
	assert_int_equal(relay_body_bytes(rig.line.relay), 256 * 16384);
}

/* The server has said its last and gone: a peer that is slow gets all of it. */
static void the_last_words_of_a_server_arrive(void **state)
{
	static uint8_t bytes[MIB];
	size_t sent = 0, got = 0;
	ssize_t n;

	begin(&rig.line);
	for (int i = 0; i < 100; i++) {
		n = send(rig.line.server, bytes, 10000, MSG_DONTWAIT | MSG_NOSIGNAL);
		sent += n > 0 ? (size_t)n : 0;
		loop_step(rig.loop, 0);
	}
	assert_true(sent > 200000 && sent < MIB);
	close_fd(&rig.line.server);
	/* What the peer says meanwhile goes nowhere. */
	for (int i = 0; i < 3; i++) {
		say_frame(rig.line.peer, 4, WINDOW_UPDATE, 0, 0);
		pass(0);
	}
	pass(RELAY_FLUSH_MS - 1000);
	assert_int_equal(rig.line.ended, 0);
	while (!rig.line.ended) {
		got += hear(rig.line.peer, bytes, sizeof bytes);
		loop_step(rig.loop, 0);
	}
	while ((n = (ssize_t)hear(rig.line.peer, bytes, sizeof bytes)) > 0)
		got += (size_t)n;
	assert_int_equal(got, sent);
	assert_null(rig.line.why);
}

/* The same when nobody has seen yet that the server has gone. */
static void last_words_that_are_more_than_a_chunk(void **state)
{
	static uint8_t bytes[MIB];
	size_t got = 0;
	ssize_t n;

	begin(&rig.line);
	say(rig.line.server, bytes, 100000);
	close_fd(&rig.line.server);
	say_frame(rig.line.peer, 4, WINDOW_UPDATE, 0, 0);
	run_until(rig.line.ended);
	while ((n = (ssize_t)hear(rig.line.peer, bytes, sizeof bytes)) > 0)
		got += (size_t)n;
	assert_int_equal(got, 100000);
}

/* ---- ends ---- */

static void a_peer_that_takes_nothing_is_left(void **state)
{
	static uint8_t bytes[MIB];

	for (int server_goes = 0; server_goes < 2; server_goes++) {
		begin(&rig.line);
		while (send(rig.line.server, bytes, sizeof bytes, MSG_DONTWAIT | MSG_NOSIGNAL) > 0)
			pass(0);
		if (server_goes)
			close_fd(&rig.line.server);
		for (int64_t ms = 0; ms < (server_goes ? RELAY_FLUSH_MS : RELAY_STALL_MS) - 1000;
			ms += 1000)
			pass(1000);
		assert_int_equal(rig.line.ended, 0);
		pass(1000);
		pass(1000);
		assert_int_equal(rig.line.ended, 1);
		line_close(&rig.line);
		line_open(&rig.line);
	}
}

/* Another connection is held, so that the timer comes often. */
static void a_peer_that_takes_nothing_costs_little(void **state)
{
	static uint8_t bytes[MIB];
	struct line held;

	line_begin(&held);
	relay_trust(held.relay, true);
	for (uint32_t id = 1; id < 41; id += 2)
		open_stream(&held, id);
	begin(&rig.line);
	while (send(rig.line.server, bytes, sizeof bytes, MSG_DONTWAIT | MSG_NOSIGNAL) > 0)
		pass(0);
	pass(1000);
	polls = 0;
	for (int i = 0; i < 40; i++)
		pass(20);
	/* One for each look at the held one. */
	assert_in_range(polls, 30, 42);
	assert_int_equal(rig.line.ended + held.ended, 0);
	line_close(&held);
}

static void the_end_of_a_peer_is_the_servers(void **state)
{
	begin(&rig.line);
	say_frame(rig.line.peer, 8, PING, 0, 0);
	close_fd(&rig.line.peer);
	run_until(rig.line.ended);
	assert_null(rig.line.why);
	/* The bytes that it has sent before are there. */
	assert_false(is_over(rig.line.server));
	assert_int_equal(hear(rig.line.server, (char[100]){0}, 100), 17);
	assert_true(is_over(rig.line.server));
}

static void half_an_end_is_one(void **state)
{
	begin(&rig.line);
	assert_int_equal(shutdown(rig.line.peer, SHUT_WR), 0);
	run_until(rig.line.ended);
	assert_true(is_over(rig.line.server));
}

static void a_peer_that_is_cut_is_told(void **state)
{
	uint8_t bytes[100];

	begin(&rig.line);
	open_stream(&rig.line, 5);
	say_frame(rig.line.peer, 8, PING, 0, 0);
	say_frame(rig.line.peer, 4, RST_STREAM, 0, 0);
	run_until(rig.line.ended);
	assert_string_equal(rig.line.why, "resets no stream: closed");
	assert_int_equal(hear(rig.line.peer, bytes, sizeof bytes), 17);
	assert_int_equal(bytes[3], GOAWAY);
	assert_int_equal(bytes[12], 5);
	assert_int_equal(bytes[16], 11);
}

/* What it has sent besides does not make a reset, which may overtake the words. */
static void a_peer_that_is_cut_has_time_to_hear_it(void **state)
{
	static const uint8_t bad[200000] = {0, 0, 4, RST_STREAM};
	uint8_t bytes[100];
	struct line line;

	line_open_tcp(&line);
	begin(&line);
	say(line.peer, bad, sizeof bad);
	run_until(line.ended);
	assert_int_equal(recv(line.peer, bytes, sizeof bytes, 0), 17);
	assert_int_equal(bytes[3], GOAWAY);
	assert_int_equal(recv(line.peer, bytes, sizeof bytes, 0), 0);
	line_close(&line);
}

/* Within the server's frame another one would be taken for a part of it. */
static void a_peer_that_is_cut_amid_a_frame_is_not_told(void **state)
{
	uint8_t bytes[100];

	begin(&rig.line);
	say(rig.line.server, "\0\0\10\6\0", 5);
	run_until(hear(rig.line.peer, bytes, sizeof bytes) == 5);
	say_frame(rig.line.peer, 4, RST_STREAM, 0, 0);
	run_until(rig.line.ended);
	assert_int_equal(hear(rig.line.peer, bytes, sizeof bytes), 0);
}

static void the_owner_judges_before_bytes_pass(void **state)
{
	begin(&rig.line);
	rig.line.verdict = "no";
	say_frame(rig.line.peer, 8, PING, 0, 0);
	run_until(rig.line.ended);
	assert_string_equal(rig.line.why, "no");
	assert_true(is_over(rig.line.server));
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
	const struct CMUnitTest tests[] = {
		TEST(nothing_passes_before_the_servers_settings),
		TEST(a_slow_server_slows_its_peer),
		TEST(the_last_words_of_a_server_arrive),
		TEST(last_words_that_are_more_than_a_chunk),
		TEST(a_peer_that_takes_nothing_is_left),
		TEST(a_peer_that_takes_nothing_costs_little),
		TEST(the_end_of_a_peer_is_the_servers),
		TEST(half_an_end_is_one),
		TEST(a_peer_that_is_cut_is_told),
		TEST(a_peer_that_is_cut_has_time_to_hear_it),
		TEST(a_peer_that_is_cut_amid_a_frame_is_not_told),
		TEST(the_owner_judges_before_bytes_pass),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
