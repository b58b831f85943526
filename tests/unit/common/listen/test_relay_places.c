/*
 * Relays of HTTP/2 that are held back: who waits, who gets a place, who makes room.
 */
#include "relay_rig.h"

#include <sys/resource.h>

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

/* Nobody waits when there is room again: later ones that wait for each other go on all the same. */
static void a_loan_ends_when_there_is_room(void **state)
{
	size_t of_first = 0, of_second = 0;
	struct line first, second;

	begin(&rig.line);
	for (uint32_t id = 1; id < 2 * STREAMS_MAX + 2; id += 2)
		open_stream(&rig.line, id);
	for (int i = 0; i < 5; i++)
		pass(20);
	assert_int_equal(streams_heard(&rig.line), STREAMS_MAX + 1);
	for (uint32_t id = 1; id < 2 * STREAMS_MAX + 2; id += 2)
		say_frame(rig.line.server, 4, RST_STREAM, 0, id);
	pass(20);
	assert_int_equal(rig.relays->pool.open, 0);
	line_open(&first);
	two_take_all_places(&first, &second);
	both_want_more(&first, &second);
	for (int i = 0; i < 20; i++) {
		pass(20);
		of_first += answer_all(&first);
		of_second += answer_all(&second);
	}
	assert_int_equal(rig.line.ended + first.ended + second.ended, 0);
	assert_int_equal(of_first + of_second, 2 + STREAMS_MAX);
	line_close(&first);
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
		TEST(streams_wait_for_the_end_of_others),
		TEST(a_held_peer_that_goes_is_dropped),
		TEST(the_address_that_has_most_makes_room),
		TEST(whoever_has_most_makes_room),
		TEST(of_two_that_have_most_the_newer_makes_room),
		TEST(those_that_wait_for_each_other_go_on),
		TEST(a_loan_ends_when_there_is_room),
		TEST(one_that_does_not_go_on_ends),
		TEST(nobody_makes_room_for_one_that_has_gone),
		TEST(nobody_makes_room_while_places_become_free),
		TEST(a_trusted_peer_needs_no_room),
		TEST(too_many_that_wait),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
