/*
 * Relays between sockets of the test: one end plays the peer, the other one the server.
 */
#include "supernode/listen/relay_internal.h"

#include "kit/clock.h"
#include "kit/loop.h"

#include <netinet/in.h>
#include <poll.h>
#include <sys/resource.h>
#include <sys/socket.h>

enum { DATA, HEADERS, RST_STREAM = 3, SETTINGS, PING = 6, GOAWAY, WINDOW_UPDATE };
enum { END_STREAM = 1, ACK = 1, END_HEADERS = 4 };

#define STREAMS_MAX 8
#define MIB         (1 << 20)

/* One connection. */
struct line {
	struct relay *relay; /* NULL: it has ended */
	struct stream stream;
	struct share share;
	int peer, fd, server;
	unsigned ended;
	const char *why;     /* of its end */
	const char *verdict; /* of its judge */
	uint64_t judged;     /* bytes */
};

static unsigned polls; /* calls of poll() by the code under test */

int poll(struct pollfd *fds, nfds_t n, int timeout_ms)
{
	const struct timespec timeout = {.tv_nsec = timeout_ms};

	/* There are only looks without waiting. */
	assert_int_equal(timeout_ms, 0);
	polls++;
	return ppoll(fds, n, &timeout, NULL);
}

static struct rig {
	struct loop *loop;
	struct relays *relays;
	struct line line;
} rig;

static const uint8_t server_hello[] = {0, 0, 6, SETTINGS, 0, 0, 0, 0, 0, 0, 3, 0, 0, 0, 16};
static const char peer_hello[] = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\4\0\0\0\0";

static const char *on_judge(void *arg)
{
	struct line *line = arg;

	line->judged = relay_received(line->relay);
	return line->verdict;
}

static void on_ended(void *arg, const char *why)
{
	struct line *line = arg;

	line->ended++;
	line->why = why;
	relay_free(line->relay);
	line->relay = NULL;
	close_fd(&line->fd);
}

static const struct relay_ops events = {.judge = on_judge, .ended = on_ended};

static void line_open_with(struct line *line, int peer, int fd)
{
	*line = (struct line){.peer = peer, .fd = fd};
	stream_init(&line->stream, fd, NULL);
	assert_int_equal(relay_new(rig.relays,
				 &(struct relay_options){.stream = &line->stream,
					 .share = &line->share,
					 .guarded = true,
					 .ops = &events,
					 .arg = line},
				 &line->relay, &line->server),
		0);
}

static void line_open(struct line *line)
{
	int ends[2];

	assert_int_equal(
		socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, ends), 0);
	line_open_with(line, ends[0], ends[1]);
}

static void line_open_tcp(struct line *line)
{
	struct sockaddr_in address = {
		.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	socklen_t len = sizeof address;
	auto_(close_at_exit) int listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	int peer = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), fd;

	assert_int_equal(bind(listener, (struct sockaddr *)&address, sizeof address), 0);
	assert_int_equal(listen(listener, 1), 0);
	assert_int_equal(getsockname(listener, (struct sockaddr *)&address, &len), 0);
	assert_int_equal(connect(peer, (struct sockaddr *)&address, sizeof address), 0);
	fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
	assert_true(fd >= 0);
	line_open_with(line, peer, fd);
}

static void line_close(struct line *line)
{
	relay_free(line->relay);
	line->relay = NULL;
	close_fd(&line->peer);
	close_fd(&line->fd);
	close_fd(&line->server);
}

static int setup(void **state)
{
	memset(&rig, 0, sizeof rig);
	assert_int_equal(loop_new(&rig.loop), 0);
	kit_clock_start(rig.loop);
	assert_int_equal(relays_new(rig.loop, STREAMS_MAX, &rig.relays), 0);
	line_open(&rig.line);
	return 0;
}

static int teardown(void **state)
{
	line_close(&rig.line);
	relays_free(rig.relays);
	kit_clock_done();
	loop_free(rig.loop);
	return 0;
}

/* kit_loop_until() for the loop of the test. */
#define run_until(condition) kit_loop_until(rig.loop, condition)

/* Let all that is ready happen, in so much time. */
static void pass(int64_t ms)
{
	kit_clock_pass(ms);
	for (int i = 0; i < 4; i++)
		loop_step(rig.loop, 0);
}

static void say(int fd, const void *bytes, size_t n)
{
	assert_int_equal(send(fd, bytes, n, MSG_NOSIGNAL), n);
}

static void say_frame(int fd, uint32_t len, int type, int flags, uint32_t id)
{
	uint8_t bytes[9 + 1000] = {(uint8_t)(len >> 16), (uint8_t)(len >> 8), (uint8_t)len,
		(uint8_t)type, (uint8_t)flags, 0, 0, (uint8_t)(id >> 8), (uint8_t)id};

	assert_true(len <= 1000);
	say(fd, bytes, 9 + len);
}

/* Take the bytes that have come, up to size. */
static size_t hear(int fd, void *bytes, size_t size)
{
	ssize_t n = recv(fd, bytes, size, MSG_DONTWAIT);

	return n > 0 ? (size_t)n : 0;
}

static bool is_over(int fd)
{
	char byte;
	ssize_t n = recv(fd, &byte, 1, MSG_DONTWAIT | MSG_PEEK);

	return n == 0 || (n < 0 && errno != EAGAIN);
}

/* Both have begun, and their first bytes were read. */
static void begin(struct line *line)
{
	uint8_t bytes[100];
	size_t got = 0;

	say(line->server, server_hello, sizeof server_hello);
	say(line->peer, peer_hello, sizeof peer_hello);
	run_until((got += hear(line->peer, bytes, sizeof bytes)) == sizeof server_hello);
	got = 0;
	run_until((got += hear(line->server, bytes, sizeof bytes)) ==
		  sizeof peer_hello + GUARD_HEAD_BYTES);
}

static void line_begin(struct line *line)
{
	line_open(line);
	begin(line);
}

/* Open a stream; its head comes to the server if the guard lets it. */
static void open_stream(struct line *line, uint32_t id)
{
	say_frame(line->peer, 10, HEADERS, END_HEADERS, id);
	pass(0);
}

/* The heads of streams that have come to the server, in number. */
static size_t streams_heard(struct line *line)
{
	uint8_t bytes[4096];
	size_t n = hear(line->server, bytes, sizeof bytes);

	return (n + 18) / 19;
}

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

/* ---- held back ---- */

static void streams_wait_for_the_end_of_others(void **state)
{
	begin(&rig.line);
	relay_trust(rig.line.relay, true);
	for (uint32_t id = 1; id < 41; id += 2)
		open_stream(&rig.line, id);
	assert_int_equal(streams_heard(&rig.line), 16);
	for (uint32_t id = 1; id < 9; id += 2)
		say_frame(rig.line.server, 4, RST_STREAM, 0, id);
	pass(0);
	assert_int_equal(streams_heard(&rig.line), 4);
	assert_int_equal(rig.line.ended, 0);
}

static void a_held_peer_that_goes_is_dropped(void **state)
{
	begin(&rig.line);
	relay_trust(rig.line.relay, true);
	for (uint32_t id = 1; id < 41; id += 2)
		open_stream(&rig.line, id);
	close_fd(&rig.line.peer);
	run_until(rig.line.ended);
	assert_int_equal(streams_heard(&rig.line), 16);
	assert_true(is_over(rig.line.server));
}

/* Two connections of one address have more than a third one that has most. */
static void the_address_that_has_most_makes_room(void **state)
{
	struct line first, second, newcomer;

	begin(&rig.line);
	line_begin(&first);
	line_begin(&second);
	line_begin(&newcomer);
	second.relay->options.share = first.relay->options.share;
	for (uint32_t id = 1; id < 7; id += 2)
		open_stream(&rig.line, id);
	for (uint32_t id = 1; id < 7; id += 2)
		open_stream(&first, id);
	for (uint32_t id = 1; id < 5; id += 2)
		open_stream(&second, id);
	pass(1000);
	open_stream(&newcomer, 1);
	for (int i = 0; i < 10; i++)
		pass(20);
	assert_int_equal(rig.line.ended + second.ended + newcomer.ended, 0);
	assert_int_equal(first.ended, 1);
	assert_int_equal(streams_heard(&newcomer), 1);
	line_close(&first);
	line_close(&second);
	line_close(&newcomer);
}

/* All places are taken; the connection that has most of them goes when another one waits. */
static void whoever_has_most_makes_room(void **state)
{
	struct line few, newcomer;

	begin(&rig.line);
	line_begin(&few);
	line_begin(&newcomer);
	for (uint32_t id = 1; id < 11; id += 2)
		open_stream(&rig.line, id);
	for (uint32_t id = 1; id < 7; id += 2)
		open_stream(&few, id);
	pass(1000);
	assert_int_equal(rig.line.ended, 0);
	open_stream(&newcomer, 1);
	assert_int_equal(streams_heard(&newcomer), 0);
	for (int i = 0; i < 10; i++)
		pass(20);
	assert_int_equal(rig.line.ended, 1);
	assert_string_equal(rig.line.why, "has most of too many open calls: closed");
	assert_int_equal(few.ended, 0);
	assert_int_equal(streams_heard(&newcomer), 1);
	line_close(&few);
	line_close(&newcomer);
}

/* All places are taken, half of them by each of two; first is the older one. */
static void two_take_all_places(struct line *first, struct line *second)
{
	begin(first);
	line_begin(second);
	for (uint32_t id = 1; id < STREAMS_MAX; id += 2) {
		open_stream(first, id);
		open_stream(second, id);
	}
}

static void of_two_that_have_most_the_newer_makes_room(void **state)
{
	struct line second, newcomer;

	two_take_all_places(&rig.line, &second);
	line_begin(&newcomer);
	open_stream(&newcomer, 1);
	for (int i = 0; i < 5; i++)
		pass(20);
	assert_int_equal(rig.line.ended, 0);
	assert_int_equal(second.ended, 1);
	line_close(&second);
	line_close(&newcomer);
}

/* Each of them wants one place more, and sends the rest of its calls only behind that one's head,
 * as nghttp2 does. */
static void both_want_more(struct line *first, struct line *second)
{
	struct line *lines[] = {first, second};

	for (size_t i = 0; i < ARRAY_LEN(lines); i++) {
		(void)streams_heard(lines[i]);
		say_frame(lines[i]->peer, 10, HEADERS, END_HEADERS | END_STREAM, STREAMS_MAX + 1);
		for (uint32_t id = 1; id < STREAMS_MAX; id += 2)
			say_frame(lines[i]->peer, 10, DATA, END_STREAM, id);
	}
	pass(0);
}

/* The server ends all calls of which it has the rest, and whose number that is. */
static size_t answer_all(struct line *line)
{
	const size_t n = streams_heard(line);

	for (uint32_t id = 1; n > 1 && id < STREAMS_MAX; id += 2)
		say_frame(line->server, 4, RST_STREAM, 0, id);
	pass(20);
	return n;
}

static void those_that_wait_for_each_other_go_on(void **state)
{
	size_t first = 0, others = 0;
	struct line second;

	two_take_all_places(&rig.line, &second);
	both_want_more(&rig.line, &second);
	for (int i = 0; i < 20; i++) {
		pass(20);
		first += answer_all(&rig.line);
		others += answer_all(&second);
	}
	assert_int_equal(rig.line.ended + second.ended, 0);
	assert_int_equal(first, 1 + STREAMS_MAX / 2);
	assert_int_equal(others, 1 + STREAMS_MAX / 2);
	line_close(&second);
}

/* What one may have more is of no avail: it is as if there were none. */
static void one_that_does_not_go_on_ends(void **state)
{
	struct line second;

	two_take_all_places(&rig.line, &second);
	both_want_more(&rig.line, &second);
	for (int i = 0; i < 5; i++)
		pass(20);
	assert_int_equal(rig.line.ended + second.ended, 0);
	assert_int_equal(rig.relays->pool.open, STREAMS_MAX + 1);
	for (int i = 0; i < 20; i++)
		pass(20);
	assert_int_equal(rig.line.ended + second.ended, 1);
	assert_true(rig.relays->pool.open <= STREAMS_MAX);
	line_close(&second);
}

/* All places are taken, and a third connection has begun to wait for one; a fourth has come. */
static void one_waits_for_a_place(
	struct line *second, struct line *first_comer, struct line *next_comer)
{
	two_take_all_places(&rig.line, second);
	line_begin(first_comer);
	line_begin(next_comer);
	open_stream(first_comer, 1);
	pass(20);
}

static void nobody_makes_room_for_one_that_has_gone(void **state)
{
	struct line second, first_comer, next_comer;

	one_waits_for_a_place(&second, &first_comer, &next_comer);
	close_fd(&first_comer.peer);
	run_until(first_comer.ended);
	for (int i = 0; i < 10; i++)
		pass(20);
	open_stream(&next_comer, 1);
	pass(20);
	pass(20);
	assert_int_equal(rig.line.ended + second.ended, 0);
	line_close(&second);
	line_close(&first_comer);
	line_close(&next_comer);
}

/* A stream that waits gets the place of another one before anybody looks, and one more waits. */
static void nobody_makes_room_while_places_become_free(void **state)
{
	struct line second, first_comer, next_comer;

	one_waits_for_a_place(&second, &first_comer, &next_comer);
	pass(20);
	say_frame(rig.line.server, 4, RST_STREAM, 0, 1);
	pass(0);
	say_frame(first_comer.peer, 8, PING, 0, 0);
	pass(0);
	assert_int_equal(hear(first_comer.server, (char[100]){0}, 100), 19 + 17);
	open_stream(&next_comer, 1);
	pass(20);
	pass(20);
	assert_int_equal(rig.line.ended + second.ended, 0);
	for (int i = 0; i < 5; i++)
		pass(20);
	assert_int_equal(second.ended, 1);
	line_close(&second);
	line_close(&first_comer);
	line_close(&next_comer);
}

static void a_trusted_peer_needs_no_room(void **state)
{
	struct line worker;

	begin(&rig.line);
	line_begin(&worker);
	for (uint32_t id = 1; id < 2 * STREAMS_MAX; id += 2)
		open_stream(&rig.line, id);
	open_stream(&worker, 1);
	assert_int_equal(streams_heard(&worker), 0);
	relay_trust(worker.relay, true);
	pass(20);
	assert_int_equal(streams_heard(&worker), 1);
	assert_int_equal(rig.line.ended, 0);
	line_close(&worker);
}

enum { MANY = RELAY_HELD_MAX + 2 };

/* A call that the server ends at once. */
static void call_once(struct line *line, uint32_t id)
{
	open_stream(line, id);
	assert_int_equal(streams_heard(line), 1);
	say_frame(line->server, 4, RST_STREAM, 0, id);
	pass(0);
}

/* The most that may wait do; one more ends the one that has had most lately. */
static void too_many_that_wait(void **state)
{
	static struct line lines[MANY];
	struct rlimit limit;
	unsigned ended = 0;

	assert_int_equal(getrlimit(RLIMIT_NOFILE, &limit), 0);
	limit.rlim_cur = limit.rlim_max;
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &limit), 0);
	if (limit.rlim_cur < 5 * MANY)
		skip();
	for (size_t i = 0; i < MANY; i++)
		line_begin(&lines[i]);
	/* The first one has had calls for long. */
	for (uint32_t id = 1; id < 41; id += 2)
		call_once(&lines[0], id);
	pass(10000);
	for (uint32_t id = 1; id < 11; id += 2) {
		call_once(&lines[1], id);
		call_once(&lines[2], id);
	}
	begin(&rig.line);
	for (uint32_t id = 1; id < 2 * STREAMS_MAX; id += 2)
		open_stream(&rig.line, id);
	for (size_t i = 0; i < MANY; i++)
		say_frame(lines[i].peer, 10, HEADERS, END_HEADERS, 41);
	pass(0);
	run_until(lines[1].ended && lines[2].ended);
	for (size_t i = 0; i < MANY; i++)
		ended += lines[i].ended;
	assert_int_equal(ended, MANY - RELAY_HELD_MAX);
	assert_string_equal(lines[1].why, "too many connections wait for a call: closed");
	for (size_t i = 0; i < MANY; i++)
		line_close(&lines[i]);
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
		TEST(streams_wait_for_the_end_of_others),
		TEST(a_held_peer_that_goes_is_dropped),
		TEST(the_address_that_has_most_makes_room),
		TEST(whoever_has_most_makes_room),
		TEST(of_two_that_have_most_the_newer_makes_room),
		TEST(those_that_wait_for_each_other_go_on),
		TEST(one_that_does_not_go_on_ends),
		TEST(nobody_makes_room_for_one_that_has_gone),
		TEST(nobody_makes_room_while_places_become_free),
		TEST(a_trusted_peer_needs_no_room),
		TEST(too_many_that_wait),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
