/*
 * Small bodies that become large, alone on their connection and beside other calls.
 */
#include "raw.h"

/* The number of the connection's bytes that the server is told. */
static struct script {
	uint64_t received;
	unsigned looks;
} script;

static uint64_t scripted(const struct peer *peer)
{
	assert_int_not_equal(peer->connection, 0);
	script.looks++;
	return script.received;
}

/* A connection with so many bytes by now. */
static void raw_open_counted(struct raw *raw, struct world *world, uint64_t received)
{
	script = (struct script){.received = received};
	world->peers[0].received = scripted;
	raw_open(raw, world);
}

/* Until the server has looked so often. */
static void expect_looks(struct raw *raw, unsigned looks)
{
	kit_loop_until(raw->world->loop, script.looks >= looks);
	raw_receive(raw);
	assert_false(raw->ended);
}

static uint32_t number_at(const uint8_t *at)
{
	return (uint32_t)at[0] << 24 | (uint32_t)at[1] << 16 | (uint32_t)at[2] << 8 | at[3];
}

/* Has the server's first frame come? */
static bool raw_frame(struct raw *raw)
{
	raw_receive(raw);
	return raw->in_len >= FRAME_HEAD_BYTES &&
	       raw->in_len >= FRAME_HEAD_BYTES + (number_at((const uint8_t *)raw->in) >> 8);
}

/* Agree to the server's settings, which are its first frame: they do not hold before. */
static void raw_confirm(struct raw *raw)
{
	kit_loop_until(raw->world->loop, raw_frame(raw));
	put_frame(raw, FRAME_SETTINGS, ACK, "", 0);
}

/* So many bytes of DATA the server takes on stream 1, by what it has said so far. */
static int64_t raw_allowed(const struct raw *raw)
{
	int64_t connection = 65535, stream = 65535, initial = 65535;

	for (size_t at = 0; at + FRAME_HEAD_BYTES <= raw->in_len;) {
		const uint8_t *head = (const uint8_t *)raw->in + at;
		const uint8_t *frame = head + FRAME_HEAD_BYTES;
		size_t len = number_at(head) >> 8;

		at += FRAME_HEAD_BYTES + len;
		if (at > raw->in_len)
			break;
		if (head[3] == FRAME_WINDOW_UPDATE)
			*(head[8] ? &stream : &connection) += number_at(frame);
		for (size_t i = 0; head[3] == FRAME_SETTINGS && i < len; i += SETTING_BYTES) {
			if (frame[i + 1] != INITIAL_WINDOW_SIZE)
				continue;
			stream += number_at(frame + i + 2) - initial;
			initial = number_at(frame + i + 2);
		}
	}
	return stream < connection ? stream : connection;
}

/* Half of a small body has come on stream 1, of a connection with so many bytes; it is not sent
 * yet. */
static void open_with_small(struct raw *raw, struct world *world, uint64_t received)
{
	raw_open_counted(raw, world, received);
	put_head(raw, "Patient", 0, NULL);
	put_text(raw, 0, "\0\0\0\0\7some", 9);
}

/* The server refuses that body, and goes by what has passed on the connection. */
static void expect_too_large(struct raw *raw, struct world *world)
{
	raw_expect(raw, "the message is too large");
	expect_refusal(world, "Patient", OUTCOME_RESOURCE_EXHAUSTED, "the message is too large");
	raw_close(raw);
}

/* A GiB is announced; only its first bytes have come. */
static void a_small_body_that_becomes_large_is_refused(void **state)
{
	static const char zeros[8192];
	const int64_t enough = 3 * (int64_t)MIB / 2;
	int64_t end_ms = kit_now_ms() + KIT_WAIT_MS, sent = 5;
	struct world *world = *state;
	struct raw raw;

	world->answer_cancelled = true;
	raw_open_counted(&raw, world, 0);
	put_head(&raw, "Patient", 0, NULL);
	raw_send(&raw);
	raw_confirm(&raw);
	put_text(&raw, 0, "\0\100\0\0\0", 5);
	raw_send(&raw);
	while (!raw_got(&raw, "the message is too large")) {
		int64_t more = sizeof zeros;

		if (sent + more <= enough && sent + more <= raw_allowed(&raw)) {
			put_text(&raw, 0, zeros, sizeof zeros);
			raw_send(&raw);
			sent += more;
			script.received = (uint64_t)sent;
		} else {
			kit_loop_step(world->loop, end_ms, "refused", __FILE__, __LINE__);
		}
		raw_receive(&raw);
		assert_false(raw.ended);
	}
	expect_refusal(world, "Patient", OUTCOME_RESOURCE_EXHAUSTED, "the message is too large");
	assert_int_equal(world->cancelled, 1);
	expect_works(world);
	assert_int_equal(world->handled, 1);
	raw_close(&raw);
}

/* Traffic before the admission of a body does not count, and some may pass beside it. */
static void traffic_before_a_body_does_not_count(void **state)
{
	struct world *world = *state;
	struct raw raw;

	world->answer_cancelled = true;
	open_with_small(&raw, world, 7 * MIB);
	raw_send(&raw);
	expect_looks(&raw, 1);
	script.received += MIB;
	expect_looks(&raw, script.looks + 3);
	assert_int_equal(world->refusal.n, 0);
	script.received++;
	expect_too_large(&raw, world);
}

/* Beside a content that comes by the same connection nothing can be said about a small body. */
static void a_small_body_beside_a_content_is_left_alone(void **state)
{
	struct world *world = *state;
	struct raw raw;

	world->answer_cancelled = true;
	open_with_small(&raw, world, 0);
	raw.stream = 3;
	put_head(&raw, "Gate", 0, NULL);
	put_text(&raw, 0, "\0\0\0\0\7any", 8);
	raw_send(&raw);
	request_admit(world_take_waiting(world));
	expect_looks(&raw, 1);
	script.received = 100 * MIB;
	expect_looks(&raw, script.looks + 3);
	raw.stream = 1;
	put_text(&raw, END_STREAM, "one", 3);
	raw_send(&raw);
	raw_expect(&raw, "someone");
	raw.stream = 3;
	put_text(&raw, END_STREAM, "body", 4);
	raw_send(&raw);
	raw_expect(&raw, "anybody");
	assert_int_equal(world->handled, 2);
	assert_int_equal(world->refusal.n, 0);
	raw_close(&raw);
}

/* A stream of small messages, though it always waits for one, is no such content; and each of its
 * messages is taken off. */
static void messages_of_a_stream_are_taken_off(void **state)
{
	struct world *world = *state;
	struct raw raw;

	world->answer_cancelled = true;
	open_with_small(&raw, world, 0);
	raw.stream = 3;
	put_head(&raw, "Samples", 0, NULL);
	raw_send(&raw);
	expect_looks(&raw, 1);
	put_text(&raw, 0, "\0\0\0\0\6sample", 11);
	raw_send(&raw);
	world_wait_count(world, &world->handled, 1);
	script.received = MIB + 6;
	expect_looks(&raw, script.looks + 3);
	assert_int_equal(world->refusal.n, 0);
	script.received++;
	expect_too_large(&raw, world);
}

#define LIMITED_TEST(test)                                                                         \
	cmocka_unit_test_setup_teardown(test, world_setup_limited, world_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		LIMITED_TEST(a_small_body_that_becomes_large_is_refused),
		LIMITED_TEST(traffic_before_a_body_does_not_count),
		LIMITED_TEST(a_small_body_beside_a_content_is_left_alone),
		LIMITED_TEST(messages_of_a_stream_are_taken_off),
	};

	rpc_silence();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
