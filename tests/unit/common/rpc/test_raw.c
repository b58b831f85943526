/*
 * A peer that speaks HTTP/2 by hand, and not always well: bodies that do not come, messages that
 * are none, rubbish.
 */
#include "fixture.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

enum { FRAME_DATA, FRAME_HEADERS, FRAME_RST_STREAM = 3, FRAME_SETTINGS };
enum { END_STREAM = 1, END_HEADERS = 4 };

struct raw {
	struct world *world;
	int fd;
	uint8_t out[1024]; /* not sent yet */
	size_t out_len;
	char in[8192]; /* everything received */
	size_t in_len;
	bool ended; /* by the server */
};

static void put(struct raw *raw, const void *bytes, size_t len)
{
	assert_true(len <= sizeof(raw->out) - raw->out_len);
	memcpy(raw->out + raw->out_len, bytes, len);
	raw->out_len += len;
}

static void put_frame(struct raw *raw, uint8_t type, uint8_t flags, const void *bytes, size_t len)
{
	uint8_t stream = type == FRAME_SETTINGS ? 0 : 1;
	uint8_t head[9] = {0, (uint8_t)(len >> 8), (uint8_t)len, type, flags, 0, 0, 0, stream};

	put(raw, head, sizeof(head));
	put(raw, bytes, len);
}

/* A header field that is not to be indexed, in HPACK. */
static size_t field(uint8_t *at, const char *name, const char *value)
{
	size_t name_len = strlen(name), value_len = strlen(value);

	at[0] = 0;
	at[1] = (uint8_t)name_len;
	memcpy(at + 2, name, name_len);
	at[2 + name_len] = (uint8_t)value_len;
	memcpy(at + 3 + name_len, value, value_len);
	return 3 + name_len + value_len;
}

static void put_head(struct raw *raw, const char *method, uint8_t flags, const char *encoding)
{
	uint8_t block[512] = {0x83, 0x86}; /* POST, http */
	size_t len = 2;
	char path[64];

	put(raw, "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 24);
	put_frame(raw, FRAME_SETTINGS, 0, "", 0);
	snprintf(path, sizeof(path), "/test.Service/%s", method);
	len += field(block + len, ":path", path);
	len += field(block + len, ":authority", "localhost");
	len += field(block + len, "te", "trailers");
	len += field(block + len, "content-type", "application/grpc");
	if (encoding)
		len += field(block + len, "grpc-encoding", encoding);
	put_frame(raw, FRAME_HEADERS, END_HEADERS | flags, block, len);
}

static void put_text(struct raw *raw, uint8_t flags, const char *text, size_t len)
{
	put_frame(raw, FRAME_DATA, flags, text, len);
}

static void raw_send(struct raw *raw)
{
	/* It may have been thrown out already. */
	ssize_t n = send(raw->fd, raw->out, raw->out_len, MSG_NOSIGNAL);

	assert_true(n == (ssize_t)raw->out_len || errno == EPIPE || errno == ECONNRESET);
	raw->out_len = 0;
}

static void raw_open(struct raw *raw, struct world *world)
{
	*raw = (struct raw){.world = world, .fd = world_connect(world, 0)};
}

static void raw_close(struct raw *raw)
{
	close_fd(&raw->fd);
	rpc_server_peer_gone(raw->world->server, &raw->world->peers[0]);
}

static void raw_receive(struct raw *raw)
{
	ssize_t n =
		recv(raw->fd, raw->in + raw->in_len, sizeof(raw->in) - raw->in_len, MSG_DONTWAIT);

	if (n > 0)
		raw->in_len += (size_t)n;
	else if (n == 0 || errno != EAGAIN)
		raw->ended = true;
}

/* Until the server has sent text. */
static void raw_expect(struct raw *raw, const char *text)
{
	int64_t until = clock_now_ms() + 20000;

	while (!memmem(raw->in, raw->in_len, text, strlen(text))) {
		assert_true(clock_now_ms() < until);
		assert_false(raw->ended);
		loop_step(raw->world->loop, 10);
		raw_receive(raw);
	}
}

static void expect_works(struct world *world)
{
	struct rpc_channel *channel = world_channel(world, 1);
	struct answer answer = {0};

	call_run(world, channel, "Echo", body_of(1000), &answer);
	assert_int_equal(answer.outcome, OUTCOME_OK);
	answer_done(&answer);
	rpc_channel_free(channel);
	rpc_server_peer_gone(world->server, &world->peers[1]);
}

static void test_well_formed(void **state)
{
	struct world *world = *state;
	struct raw raw;

	raw_open(&raw, world);
	put_head(&raw, "Slow", 0, NULL);
	put_text(&raw, 0, "\0\0\0", 3);
	raw_send(&raw);
	put_text(&raw, 0, "\0\7some", 6);
	put_text(&raw, END_STREAM, "one", 3);
	raw_send(&raw);
	raw_expect(&raw, "someone");
	assert_int_equal(world->handled, 1);
	raw_close(&raw);
}

static void late_body(struct world *world, const char *method)
{
	struct raw raw;

	raw_open(&raw, world);
	put_head(&raw, method, 0, NULL);
	put_text(&raw, 0, "\0\0\0\0\7some", 9);
	raw_send(&raw);
	raw_expect(&raw, "did not arrive in time");
	put_text(&raw, END_STREAM, "one", 3);
	raw_send(&raw);
	raw_close(&raw);
	expect_works(world);
	assert_int_equal(world->handled, 1);
	world->handled = 0;
}

/* With somebody to tell, who owes an answer then, and without. */
static void test_late_body(void **state)
{
	struct world *world = *state;

	world->answer_cancelled = true;
	late_body(world, "Slow");
	assert_int_equal(world->cancelled, 1);
	late_body(world, "Slow2");
	assert_int_equal(world->cancelled, 1);
}

static void test_no_message(void **state)
{
	static const char *const methods[] = {"Watched", "Echo"};
	struct world *world = *state;

	world->answer_cancelled = true;
	for (unsigned i = 0; i < 2 * ARRAY_LEN(methods); i++) {
		struct raw raw;

		raw_open(&raw, world);
		put_head(&raw, methods[i % 2], i < 2 ? END_STREAM : 0, NULL);
		if (i >= 2)
			put_text(&raw, END_STREAM, "", 0);
		raw_send(&raw);
		raw_expect(&raw, "call without a message");
		raw_close(&raw);
	}
	assert_int_equal(world->handled, 0);
	world_wait_count(world, &world->cancelled, 2);
}

static void test_broken_off(void **state)
{
	struct world *world = *state;
	unsigned times = 0;

	world->answer_cancelled = true;
	for (int how = 0; how < 3; how++) {
		struct raw raw;

		raw_open(&raw, world);
		put_head(&raw, "Watched", 0, NULL);
		put_text(&raw, how == 2 ? END_STREAM : 0, "\0\0\0\0\7some", 9);
		if (how == 1)
			put_frame(&raw, FRAME_RST_STREAM, 0, "\0\0\0\10", 4);
		raw_send(&raw);
		if (how == 0)
			assert_int_equal(shutdown(raw.fd, SHUT_RDWR), 0);
		world_wait_count(world, &world->cancelled, ++times);
		raw_close(&raw);
	}
	expect_works(world);
	assert_int_equal(world->handled, 1);
}

/* Nothing is unpacked: what comes out may be a thousand times as large. */
static void test_compressed(void **state)
{
	struct world *world = *state;
	struct raw raw;

	raw_open(&raw, world);
	put_head(&raw, "Echo", 0, "gzip");
	put_text(&raw, END_STREAM, "\1\0\0\0\4abcd", 9);
	raw_send(&raw);
	raw_expect(&raw, "grpc-status");
	assert_int_equal(world->handled, 0);
	raw_close(&raw);
	expect_works(world);
}

/* The announcement alone costs nothing. */
static void test_announced_huge(void **state)
{
	struct world *world = *state;
	struct raw raw;

	world->answer_cancelled = true;
	raw_open(&raw, world);
	put_head(&raw, "Watched", 0, NULL);
	put_text(&raw, 0, "\0\377\377\377\377some", 9);
	raw_send(&raw);
	expect_works(world);
	raw_close(&raw);
	world_wait_count(world, &world->cancelled, 1);
}

static void test_two_messages(void **state)
{
	struct world *world = *state;
	struct raw raw;

	raw_open(&raw, world);
	put_head(&raw, "Echo", 0, NULL);
	put_text(&raw, END_STREAM, "\0\0\0\0\5first\0\0\0\0\6second", 21);
	raw_send(&raw);
	raw_expect(&raw, "first");
	raw_expect(&raw, "grpc-status");
	assert_int_equal(world->handled, 1);
	raw_close(&raw);
}

static void test_rubbish(void **state)
{
	struct world *world = *state;
	uint32_t seed = 12345;
	struct raw raw;

	world->answer_cancelled = true;
	for (int round = 0; round < 300; round++) {
		raw_open(&raw, world);
		put_head(&raw, round % 2 ? "Watched" : "Fail", 0, NULL);
		put_text(&raw, END_STREAM, "\0\0\0\0\4\4abc", 9);
		for (int flips = 0; flips < 1 + round % 4; flips++) {
			seed = seed * 1664525 + 1013904223;
			/* Past the preface: a listener has seen to that. */
			raw.out[24 + (seed >> 8) % (raw.out_len - 24)] ^=
				(uint8_t)(1u << (seed & 7));
		}
		raw_send(&raw);
		if (round % 3 == 0)
			loop_step(world->loop, 1);
		raw_close(&raw);
	}
	raw_open(&raw, world);
	put(&raw, "GET / HTTP/1.1\r\n\r\n", 18);
	raw_send(&raw);
	expect_works(world);
	raw_close(&raw);
}

#define WORLD_TEST(test) cmocka_unit_test_setup_teardown(test, world_setup, world_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		WORLD_TEST(test_well_formed),
		WORLD_TEST(test_late_body),
		WORLD_TEST(test_no_message),
		WORLD_TEST(test_broken_off),
		WORLD_TEST(test_compressed),
		WORLD_TEST(test_announced_huge),
		WORLD_TEST(test_two_messages),
		WORLD_TEST(test_rubbish),
	};

	rpc_silence();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
