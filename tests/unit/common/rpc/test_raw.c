/*
 * A peer that speaks HTTP/2 by hand, and not always well: bodies that do not come, messages that
 * are none, rubbish.
 */
#include "raw.h"

#include <sys/socket.h>

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

/* One that does not keep to what was announced to it. */
static void test_more_calls_than_announced(void **state)
{
	struct world *world = *state;
	struct raw raw;

	raw_open(&raw, world);
	for (int i = 0; i <= CONNECTION_CALLS_MAX; i++) {
		put_head(&raw, "Watched", 0, NULL);
		put_text(&raw, 0, "\0\0\0\0\7some", 9);
		raw.stream += 2;
	}
	raw_send(&raw);
	raw_expect(&raw, "too many calls at once on this connection");
	expect_refusal(world, "a call", OUTCOME_RESOURCE_EXHAUSTED,
		"too many calls at once on this connection");
	expect_works(world);
	assert_int_equal(world->handled, 1);
	/* The others are not to blame. */
	raw.stream = 1;
	put_text(&raw, END_STREAM, "one", 3);
	raw_send(&raw);
	raw_expect(&raw, "someone");
	raw.stream = 3;
	put_text(&raw, END_STREAM, "how", 3);
	raw_send(&raw);
	raw_expect(&raw, "somehow");
	assert_int_equal(world->handled, 3);
	assert_int_equal(world->refusal.n, 1);
	raw_close(&raw);
}

static void test_refusals_are_told(void **state)
{
	static const struct {
		const char *method, *bytes;
		size_t len;
		uint8_t flags;
		enum outcome outcome;
		const char *details;
	} rows[] = {
		{"Slow2", "\0\0\0\0\7some", 9, 0, OUTCOME_DEADLINE_EXCEEDED,
			"the message did not arrive in time"},
		{"Echo", "", 0, END_STREAM, OUTCOME_INVALID_ARGUMENT, "call without a message"},
	};
	struct world *world = *state;

	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct raw raw;

		world->refusal.n = 0;
		raw_open(&raw, world);
		put_head(&raw, rows[i].method, 0, NULL);
		put_text(&raw, rows[i].flags, rows[i].bytes, rows[i].len);
		raw_send(&raw);
		raw_expect(&raw, rows[i].details);
		expect_refusal(world, rows[i].method, rows[i].outcome, rows[i].details);
		raw_close(&raw);
	}
}

/*
 * A peer that has not acknowledged gRPC's limit for headers (no peer here has) is held to ours, by
 * bytes and by number.
 */
static void test_large_heads(void **state)
{
	static const struct {
		size_t n, len; /* fields of so many bytes */
		bool taken;
	} rows[] = {{1, 15000, true}, {1, 20000, false}, {300, 1, true}, {600, 1, false}};
	static uint8_t block[65536];
	struct world *world = *state;

	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		size_t len = head_block(block, "Echo", NULL);
		struct raw raw;

		world->refusal.n = 0;
		for (size_t j = 0; j < rows[i].n; j++)
			len += long_field(block + len, "x-more", rows[i].len);
		raw_open(&raw, world);
		put_opening(&raw);
		for (size_t at = 0, part; at < len; at += part) {
			part = len - at < 16000 ? len - at : 16000;
			put_frame(&raw, at ? FRAME_CONTINUATION : FRAME_HEADERS,
				at + part == len ? END_HEADERS : 0, block + at, part);
		}
		put_text(&raw, END_STREAM, "\0\0\0\0\7someone", 12);
		raw_send(&raw);
		raw_expect(&raw, rows[i].taken ? "someone" : "the headers are too large");
		if (!rows[i].taken)
			expect_refusal(world, "a call", OUTCOME_RESOURCE_EXHAUSTED,
				"the headers are too large");
		raw_close(&raw);
	}
	expect_works(world);
}

#define WORLD_TEST(test) cmocka_unit_test_setup_teardown(test, world_setup, world_teardown)
#define LIMITED_TEST(test)                                                                         \
	cmocka_unit_test_setup_teardown(test, world_setup_limited, world_teardown)

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
		LIMITED_TEST(test_more_calls_than_announced),
		LIMITED_TEST(test_refusals_are_told),
		LIMITED_TEST(test_large_heads),
	};

	rpc_silence();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
