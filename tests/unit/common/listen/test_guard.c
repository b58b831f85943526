/*
 * The guard passes, holds back and cuts frames: frames by hand, without payloads that mean
 * anything.
 */
#include "common/listen/guard.h"

#include "common/base/cleanup.h"
#include "kit/test.h"

enum { DATA, HEADERS, PRIORITY, RST_STREAM, SETTINGS, PUSH_PROMISE, PING, GOAWAY, WINDOW_UPDATE };
enum { CONTINUATION = 9, UNKNOWN = 0xfa };
enum { END_STREAM = 1, ACK = 1, END_HEADERS = 4 };

#define POOL_STREAMS 128
#define WHOLE        (END_HEADERS | END_STREAM)

/* Frames in a row. */
struct bytes {
	uint8_t v[1 << 18];
	size_t n;
};

static struct rig {
	struct guard_pool pool;
	struct guard guard;
	struct bytes in;
	int64_t now_ms;
} rig;

static void put(struct bytes *bytes, uint32_t len, int type, int flags, uint32_t id)
{
	const uint8_t head[] = {(uint8_t)(len >> 16), (uint8_t)(len >> 8), (uint8_t)len,
		(uint8_t)type, (uint8_t)flags, (uint8_t)(id >> 24), (uint8_t)(id >> 16),
		(uint8_t)(id >> 8), (uint8_t)id};

	assert_true(bytes->n + sizeof head + len <= sizeof bytes->v);
	memcpy(bytes->v + bytes->n, head, sizeof head);
	memset(bytes->v + bytes->n + sizeof head, 0, len);
	bytes->n += sizeof head + len;
}

static void put_preface(struct bytes *bytes)
{
	memcpy(bytes->v + bytes->n, "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 24);
	bytes->n += 24;
}

/* The server's SETTINGS: so many streams, frames of 32 KiB. */
static void server_settings(struct guard *guard, uint8_t streams)
{
	const uint8_t bytes[] = {0, 0, 12, SETTINGS, 0, 0, 0, 0, 0, /* */
		0, 3, 0, 0, 0, streams, 0, 5, 0, 0, 0x80, 0};

	for (size_t i = 0; i < sizeof bytes; i++)
		guard_out(guard, bytes + i, 1);
}

/* The first verdict on the frames that were put; they are gone then. */
static enum guard_verdict said(struct guard *guard)
{
	enum guard_verdict verdict = GUARD_PASS;
	size_t at = 0, passed;

	do {
		verdict = guard_in(guard, rig.in.v + at, rig.in.n - at, rig.now_ms, &passed);
		at += passed;
	} while (verdict == GUARD_ACKNOWLEDGE);
	if (verdict == GUARD_PASS)
		assert_int_equal(at, rig.in.n);
	rig.in.n = 0;
	return verdict;
}

static enum guard_verdict say(uint32_t len, int type, int flags, uint32_t id)
{
	put(&rig.in, len, type, flags, id);
	return said(&rig.guard);
}

static void server_says(struct guard *guard, uint32_t len, int type, int flags, uint32_t id)
{
	struct bytes *bytes = calloc(1, sizeof *bytes);

	assert_non_null(bytes);
	put(bytes, len, type, flags, id);
	guard_out(guard, bytes->v, bytes->n);
	free(bytes);
}

static void begin(struct guard *guard, uint8_t streams)
{
	guard_init(guard, &rig.pool);
	assert_false(guard_is_ready(guard));
	server_settings(guard, streams);
	assert_true(guard_is_ready(guard));
	put_preface(&rig.in);
	put(&rig.in, 6, SETTINGS, 0, 0);
	put(&rig.in, 0, SETTINGS, ACK, 0);
	assert_int_equal(said(guard), GUARD_PASS);
}

static int setup(void **state)
{
	memset(&rig, 0, sizeof rig);
	rig.pool.streams_max = POOL_STREAMS;
	rig.now_ms = 1000;
	begin(&rig.guard, 16);
	return 0;
}

static int teardown(void **state)
{
	guard_done(&rig.guard);
	assert_int_equal(rig.pool.open, 0);
	assert_int_equal(rig.pool.waiting, 0);
	return 0;
}

static void expect_cut(const char *words)
{
	size_t passed;

	assert_non_null(rig.guard.why);
	if (!strstr(rig.guard.why, words))
		fail_msg("%s", rig.guard.why);
	/* The guard does not change its mind. */
	assert_int_equal(
		guard_in(&rig.guard, (const uint8_t *)"", 1, rig.now_ms, &passed), GUARD_CUT);
	assert_int_equal(passed, 0);
}

/* A call and its answer. */
static void call_once(struct guard *guard, uint32_t id)
{
	put(&rig.in, 100, HEADERS, END_HEADERS, id);
	put(&rig.in, 7, DATA, END_STREAM, id);
	assert_int_equal(said(guard), GUARD_PASS);
	server_says(guard, 20, HEADERS, END_HEADERS, id);
	server_says(guard, 20, DATA, 0, id);
	server_says(guard, 20, HEADERS, WHOLE, id);
}

/* ---- honest peers ---- */

static void settings_are_acknowledged_in_the_peers_place(void **state)
{
	struct guard guard;
	size_t passed;

	guard_init(&guard, &rig.pool);
	server_settings(&guard, 16);
	put_preface(&rig.in);
	put(&rig.in, 6, SETTINGS, 0, 0);
	put(&rig.in, 10, HEADERS, 0, 1);
	assert_int_equal(guard_in(&guard, rig.in.v, rig.in.n, 0, &passed), GUARD_ACKNOWLEDGE);
	assert_int_equal(passed, 24 + 15);
	assert_int_equal(guard_in(&guard, rig.in.v + passed, 19, 0, &passed), GUARD_PASS);
	assert_memory_equal(guard_acknowledgement, "\0\0\0\4\1\0\0\0\0", GUARD_HEAD_BYTES);
	guard_done(&guard);
}

static void the_servers_settings_are_waited_for(void **state)
{
	const uint8_t bytes[] = {0, 0, 6, SETTINGS, 0, 0, 0, 0, 0, 0, 3, 0, 0, 0, 5};
	struct guard guard;

	guard_init(&guard, &rig.pool);
	for (size_t i = 0; i < sizeof bytes; i++) {
		assert_false(guard_is_ready(&guard));
		guard_out(&guard, bytes + i, 1);
	}
	assert_true(guard_is_ready(&guard));
	assert_int_equal(guard.streams_max, 5);
	guard_done(&guard);
	/* There may be none. */
	guard_init(&guard, &rig.pool);
	guard_out(&guard, (const uint8_t[]){0, 0, 0, SETTINGS, 0, 0, 0, 0, 0}, 9);
	assert_true(guard_is_ready(&guard));
	guard_done(&guard);
}

static void calls_come_and_go(void **state)
{
	for (uint32_t id = 1; id < 400; id += 2) {
		call_once(&rig.guard, id);
		assert_int_equal(rig.guard.open, 0);
		assert_int_equal(rig.pool.open, 0);
	}
	assert_int_equal(rig.guard.streams, 200);
	assert_int_equal(rig.guard.data_bytes, 200 * 7);
}

/* A client that knows the server's limit begins the others when calls end. */
static void a_hundred_calls_at_once(void **state)
{
	uint32_t next = 1, over = 1;

	while (over < 200) {
		while (next < 200 && next - over < 32) {
			put(&rig.in, 200, HEADERS, END_HEADERS, next);
			put(&rig.in, 5, DATA, END_STREAM, next);
			next += 2;
		}
		assert_int_equal(said(&rig.guard), GUARD_PASS);
		server_says(&rig.guard, 50, HEADERS, WHOLE, over);
		over += 2;
	}
}

/* A client that does not know the server's limit yet sends the HEADERS of all calls first. */
static void calls_before_the_limit_is_known(void **state)
{
	const uint32_t end = 2 * GUARD_STREAMS_ASSUMED;

	guard_done(&rig.guard);
	begin(&rig.guard, GUARD_STREAMS_ASSUMED);
	for (uint32_t id = 1; id < end; id += 2)
		put(&rig.in, 100, HEADERS, END_HEADERS, id);
	for (uint32_t id = 1; id < end; id += 2)
		put(&rig.in, 5, DATA, END_STREAM, id);
	assert_int_equal(said(&rig.guard), GUARD_PASS);
	assert_int_equal(rig.guard.streams, GUARD_STREAMS_ASSUMED);
}

static void deadlines_that_pass_at_once(void **state)
{
	for (uint32_t id = 1; id < 32; id += 2)
		put(&rig.in, 100, HEADERS, END_HEADERS, id);
	for (uint32_t id = 1; id < 32; id += 2)
		put(&rig.in, 4, RST_STREAM, 0, id);
	assert_int_equal(said(&rig.guard), GUARD_PASS);
	assert_int_equal(rig.guard.open, 0);
}

/* Sixteen calls a second, and each takes too long. */
static void deadlines_that_pass_all_the_time(void **state)
{
	for (uint32_t id = 1; id < 20000; id += 2) {
		rig.now_ms += 1000 / 16;
		put(&rig.in, 100, HEADERS, WHOLE, id);
		put(&rig.in, 4, RST_STREAM, 0, id);
		assert_int_equal(said(&rig.guard), GUARD_PASS);
	}
}

static void keepalive_and_answered_pings(void **state)
{
	for (unsigned i = 0; i < 1000; i++) {
		rig.now_ms += 1000;
		assert_int_equal(say(8, PING, 0, 0), GUARD_PASS);
		server_says(&rig.guard, 8, PING, 0, 0);
		assert_int_equal(say(8, PING, ACK, 0), GUARD_PASS);
	}
}

/* A large answer: windows and probes by the dozen, in no time. */
static void a_large_answer_is_taken(void **state)
{
	put(&rig.in, 100, HEADERS, WHOLE, 1);
	assert_int_equal(said(&rig.guard), GUARD_PASS);
	for (unsigned i = 0; i < 1000; i++) {
		server_says(&rig.guard, 16384, DATA, 0, 1);
		put(&rig.in, 4, WINDOW_UPDATE, 0, 0);
		put(&rig.in, 4, WINDOW_UPDATE, 0, 1);
		put(&rig.in, 8, PING, 0, 0);
		assert_int_equal(said(&rig.guard), GUARD_PASS);
	}
}

static void a_large_message_is_passed(void **state)
{
	put(&rig.in, 100, HEADERS, END_HEADERS, 1);
	for (unsigned i = 0; i < 4000; i++) {
		put(&rig.in, 16384, DATA, 0, 1);
		assert_int_equal(said(&rig.guard), GUARD_PASS);
	}
	assert_int_equal(rig.guard.data_bytes, 4000 * 16384);
}

/* The server has answered before the peer has sent all; both directions' frames cross. */
static void frames_on_the_way_to_an_ended_stream(void **state)
{
	put(&rig.in, 100, HEADERS, END_HEADERS, 1);
	assert_int_equal(said(&rig.guard), GUARD_PASS);
	server_says(&rig.guard, 20, HEADERS, WHOLE, 1);
	assert_int_equal(rig.guard.open, 1);
	server_says(&rig.guard, 4, RST_STREAM, 0, 1);
	assert_int_equal(rig.guard.open, 0);
	for (unsigned i = 0; i < 8; i++)
		put(&rig.in, 8192, DATA, 0, 1);
	put(&rig.in, 0, DATA, END_STREAM, 1);
	put(&rig.in, 4, RST_STREAM, 0, 1);
	put(&rig.in, 4, WINDOW_UPDATE, 0, 1);
	put(&rig.in, 10, HEADERS, WHOLE, 1);
	assert_int_equal(said(&rig.guard), GUARD_PASS);
}

/* gRPC's client gives a call its number before it has begun, and then takes it back. */
static void calls_that_never_began_are_taken_back(void **state)
{
	put(&rig.in, 4, RST_STREAM, 0, 1);
	put(&rig.in, 10, HEADERS, WHOLE, 3);
	put(&rig.in, 4, RST_STREAM, 0, 5);
	assert_int_equal(said(&rig.guard), GUARD_PASS);
	assert_int_equal(rig.guard.open, 1);
}

static void trailers_end_a_stream(void **state)
{
	put(&rig.in, 100, HEADERS, END_HEADERS, 1);
	put(&rig.in, 5, DATA, 0, 1);
	put(&rig.in, 10, HEADERS, WHOLE, 1);
	assert_int_equal(said(&rig.guard), GUARD_PASS);
	server_says(&rig.guard, 20, HEADERS, WHOLE, 1);
	assert_int_equal(rig.guard.open, 0);
}

static void what_the_server_announces_holds(void **state)
{
	assert_int_equal(rig.guard.streams_max, 16);
	assert_int_equal(rig.guard.frame_max, 0x8000);
	put(&rig.in, 100, HEADERS, END_HEADERS, 1);
	put(&rig.in, 0x8000, DATA, 0, 1);
	assert_int_equal(said(&rig.guard), GUARD_PASS);
	server_settings(&rig.guard, 200);
	assert_int_equal(rig.guard.streams_max, GUARD_STREAMS_MAX);
}

/* ---- what is held back ---- */

/* Open streams until one is held back; the next one's number. */
static uint32_t open_all(struct guard *guard, uint32_t id, unsigned most)
{
	for (unsigned i = 0; i < most; i++, id += 2) {
		put(&rig.in, 10, HEADERS, END_HEADERS, id);
		if (said(guard) == GUARD_HOLD)
			return id;
	}
	return 0;
}

static void more_streams_than_announced_are_held_back(void **state)
{
	uint32_t id = open_all(&rig.guard, 1, 100);

	assert_int_equal(id, 33);
	assert_int_equal(rig.pool.waiting, 0);
	/* The head is asked about again, in pieces or not. */
	assert_int_equal(say(10, HEADERS, END_HEADERS, id), GUARD_HOLD);
	server_says(&rig.guard, 4, RST_STREAM, 0, 1);
	assert_int_equal(say(10, HEADERS, END_HEADERS, id), GUARD_PASS);
}

static void new_streams_come_at_a_rate(void **state)
{
	uint32_t id = 1;

	for (unsigned i = 0; i < GUARD_CONNECTION_STREAMS; i++, id += 2)
		call_once(&rig.guard, id);
	assert_int_equal(say(10, HEADERS, WHOLE, id), GUARD_HOLD);
	rig.now_ms += 1000 / GUARD_CONNECTION_STREAMS_S;
	assert_int_equal(say(10, HEADERS, WHOLE, id), GUARD_PASS);
	assert_int_equal(say(10, HEADERS, WHOLE, id + 2), GUARD_HOLD);
	guard_trust(&rig.guard, true);
	assert_int_equal(say(10, HEADERS, WHOLE, id + 2), GUARD_PASS);
}

enum { PEERS = 20 };

static void the_open_streams_of_all_are_bounded(void **state)
{
	static struct guard peers[PEERS];
	uint32_t held = 0;

	for (size_t i = 0; i < PEERS; i++)
		begin(&peers[i], 16);
	for (size_t i = 0; i < PEERS && !held; i++)
		held = open_all(&peers[i], 1, 16);
	assert_int_equal(rig.pool.open, POOL_STREAMS);
	assert_int_equal(rig.pool.waiting, 1);
	assert_false(guard_pool_has_room(&rig.pool, rig.now_ms));
	/* A peer that is trusted needs no place. */
	guard_trust(&peers[PEERS - 1], true);
	assert_int_equal(open_all(&peers[PEERS - 1], 1, 16), 0);
	assert_int_equal(rig.pool.open, POOL_STREAMS);
	/* Trust that ends takes places, also more than there are. */
	guard_trust(&peers[PEERS - 1], false);
	assert_int_equal(rig.pool.open, POOL_STREAMS + 16);
	for (size_t i = 0; i < PEERS; i++)
		guard_done(&peers[i]);
}

/* Up to what a connection may have, and no longer than it is lent. */
static void one_may_have_more_than_there_is_room_for(void **state)
{
	static struct guard others[POOL_STREAMS / 16], debtor;

	for (size_t i = 0; i < ARRAY_LEN(others); i++) {
		begin(&others[i], 16);
		assert_int_equal(open_all(&others[i], 1, 16), 0);
	}
	begin(&debtor, 16);
	rig.pool.lent = &debtor;
	assert_int_equal(open_all(&debtor, 1, 15), 0);
	rig.pool.lent = NULL;
	put(&rig.in, 10, HEADERS, WHOLE, 31);
	assert_int_equal(said(&debtor), GUARD_HOLD);
	rig.pool.lent = &debtor;
	put(&rig.in, 10, HEADERS, WHOLE, 31);
	put(&rig.in, 10, HEADERS, WHOLE, 33);
	assert_int_equal(said(&debtor), GUARD_HOLD);
	assert_int_equal(debtor.open, 16);
	assert_int_equal(rig.pool.open, POOL_STREAMS + 16);
	assert_int_equal(rig.pool.waiting, 0);
	guard_done(&debtor);
	for (size_t i = 0; i < ARRAY_LEN(others); i++)
		guard_done(&others[i]);
}

static void peers_that_wait_come_before_others(void **state)
{
	static struct guard first, second;

	begin(&first, 16);
	begin(&second, 16);
	rig.pool.streams = (struct debt){GUARD_POOL_STREAMS, rig.now_ms};
	put(&rig.in, 10, HEADERS, WHOLE, 1);
	assert_int_equal(said(&first), GUARD_HOLD);
	rig.now_ms += 10;
	put(&rig.in, 10, HEADERS, WHOLE, 1);
	assert_int_equal(said(&second), GUARD_HOLD);
	assert_int_equal(rig.pool.waiting, 2);
	/* Its turn is good for one stream. */
	first.turn = true;
	put(&rig.in, 10, HEADERS, WHOLE, 1);
	put(&rig.in, 10, HEADERS, WHOLE, 3);
	assert_int_equal(said(&first), GUARD_HOLD);
	assert_int_equal(first.streams, 1);
	assert_int_equal(rig.pool.waiting, 2);
	guard_done(&first);
	put(&rig.in, 10, HEADERS, WHOLE, 1);
	put(&rig.in, 10, HEADERS, WHOLE, 3);
	assert_int_equal(said(&second), GUARD_PASS);
	assert_int_equal(rig.pool.waiting, 0);
	guard_done(&second);
}

/* ---- what is cut ---- */

/* One kind of frame without an end: so many pass at once, and a second later. */
static const struct flood {
	const char *words;
	int type, flags;
	uint32_t len, id;
	unsigned burst, per_s;
} floods[] = {
	{"pings", PING, 0, 8, 0, GUARD_IDLE_FRAMES, GUARD_IDLE_FRAMES_S},
	{"pings", PING, ACK, 8, 0, GUARD_IDLE_FRAMES, GUARD_IDLE_FRAMES_S},
	{"many SETTINGS", SETTINGS, 0, 6, 0, GUARD_IDLE_FRAMES, GUARD_IDLE_FRAMES_S},
	{"PRIORITY", PRIORITY, 0, 5, 1, GUARD_IDLE_FRAMES, GUARD_IDLE_FRAMES_S},
	{"unknown frames", UNKNOWN, 0, 100, 0, GUARD_IDLE_FRAMES, GUARD_IDLE_FRAMES_S},
	{"not open", RST_STREAM, 0, 4, 9, GUARD_IDLE_FRAMES, GUARD_IDLE_FRAMES_S},
	{"empty", DATA, 0, 0, 1, GUARD_IDLE_FRAMES, GUARD_IDLE_FRAMES_S},
	{"WINDOW_UPDATE", WINDOW_UPDATE, 0, 4, 0, GUARD_WINDOWS, GUARD_WINDOWS_S},
};

static void expect_flood_cut(const struct flood *flood, unsigned times)
{
	/* The peer has begun with SETTINGS. */
	unsigned begun = flood->burst == GUARD_IDLE_FRAMES;

	put(&rig.in, 10, HEADERS, END_HEADERS, 1);
	for (unsigned n = begun; n < times * (flood->burst + flood->per_s); n++) {
		if (n == times * flood->burst)
			rig.now_ms += 1000;
		put(&rig.in, flood->len, flood->type, flood->flags, flood->id);
		assert_int_equal(said(&rig.guard), GUARD_PASS);
	}
	assert_int_equal(say(flood->len, flood->type, flood->flags, flood->id), GUARD_CUT);
	expect_cut(flood->words);
}

static void frames_that_only_cost(void **state)
{
	for (size_t i = 0; i < ARRAY_LEN(floods); i++) {
		teardown(NULL);
		setup(NULL);
		expect_flood_cut(&floods[i], 1);
		/* So many of DATA are too small for any peer. */
		if (floods[i].type == DATA)
			continue;
		teardown(NULL);
		setup(NULL);
		guard_trust(&rig.guard, true);
		expect_flood_cut(&floods[i], GUARD_TRUSTED_TIMES);
	}
}

static void resets(void **state)
{
	const unsigned burst = 16 + GUARD_RESETS;
	uint32_t id = 1;

	for (unsigned i = 0; i < burst + GUARD_RESETS_S / 5; i++, id += 2) {
		if (i == burst)
			rig.now_ms += 1000 / 5;
		put(&rig.in, 10, HEADERS, END_HEADERS, id);
		put(&rig.in, 4, RST_STREAM, 0, id);
		assert_int_equal(said(&rig.guard), GUARD_PASS);
	}
	put(&rig.in, 10, HEADERS, END_HEADERS, id);
	put(&rig.in, 4, RST_STREAM, 0, id);
	assert_int_equal(said(&rig.guard), GUARD_CUT);
	expect_cut("takes back");
}

static void trust_that_ends_forgives_what_it_allowed(void **state)
{
	guard_trust(&rig.guard, true);
	for (unsigned i = 0; i < 5 * GUARD_IDLE_FRAMES; i++)
		assert_int_equal(say(8, PING, 0, 0), GUARD_PASS);
	guard_trust(&rig.guard, false);
	for (unsigned i = 0; i < GUARD_IDLE_FRAMES / 2; i++)
		assert_int_equal(say(8, PING, 0, 0), GUARD_PASS);
	assert_int_equal(say(8, PING, 0, 0), GUARD_CUT);
	expect_cut("pings");
}

static void data_in_small_pieces(void **state)
{
	unsigned n = 0;

	put(&rig.in, 10, HEADERS, END_HEADERS, 1);
	while (n < 2 * GUARD_DATA_FRAMES && say(1, DATA, 0, 1) == GUARD_PASS)
		n++;
	assert_in_range(n, GUARD_DATA_FRAMES, GUARD_DATA_FRAMES + GUARD_DATA_STREAM_FRAMES + 2);
	expect_cut("small pieces");
}

/* Frames after a head without an end, and after one with it. */
static const struct wrong {
	const char *words;
	uint32_t len;
	int type, flags;
	uint32_t id;
} wrong[] = {
	{"too large", 0x8001, DATA, 0, 1},
	{"DATA on no stream", 5, DATA, 0, 0},
	{"DATA on no stream", 5, DATA, 0, 5},
	{"DATA behind the end", 5, DATA, 0, 3},
	{"not its own", 5, HEADERS, WHOLE, 2},
	{"not its own", 5, HEADERS, WHOLE, 0},
	{"HEADERS within a stream", 5, HEADERS, END_HEADERS, 1},
	{"HEADERS within a stream", 5, HEADERS, WHOLE, 3},
	{"headers that are too large", GUARD_HEADER_BYTES + 1, HEADERS, WHOLE, 5},
	{"continues no headers", 5, CONTINUATION, END_HEADERS, 1},
	{"resets no stream", 4, RST_STREAM, 0, 0},
	{"PUSH_PROMISE", 5, PUSH_PROMISE, END_HEADERS, 1},
	{"broken WINDOW_UPDATE", 5, WINDOW_UPDATE, 0, 1},
	{"SETTINGS that are too large", GUARD_SETTINGS_BYTES + 1, SETTINGS, 0, 0},
	{"goodbye", GUARD_GOAWAY_BYTES + 1, GOAWAY, 0, 0},
	{"unknown frame that is too large", GUARD_UNKNOWN_BYTES + 1, UNKNOWN, 0, 0},
};

static void broken_frames(void **state)
{
	for (size_t i = 0; i < ARRAY_LEN(wrong); i++) {
		guard_done(&rig.guard);
		setup(NULL);
		/* Trust changes nothing of it. */
		guard_trust(&rig.guard, i % 2);
		put(&rig.in, 10, HEADERS, END_HEADERS, 1);
		put(&rig.in, 10, HEADERS, WHOLE, 3);
		assert_int_equal(said(&rig.guard), GUARD_PASS);
		assert_int_equal(
			say(wrong[i].len, wrong[i].type, wrong[i].flags, wrong[i].id), GUARD_CUT);
		expect_cut(wrong[i].words);
	}
}

static void headers_in_many_parts(void **state)
{
	put(&rig.in, 100, HEADERS, 0, 1);
	for (unsigned i = 1; i < GUARD_HEADER_FRAMES; i++)
		put(&rig.in, 100, CONTINUATION, 0, 1);
	assert_int_equal(said(&rig.guard), GUARD_PASS);
	assert_int_equal(say(100, CONTINUATION, END_HEADERS, 1), GUARD_CUT);
	expect_cut("headers that are too large");
}

static void other_frames_among_headers(void **state)
{
	assert_int_equal(say(100, HEADERS, 0, 1), GUARD_PASS);
	assert_int_equal(say(8, PING, 0, 0), GUARD_CUT);
	expect_cut("among headers");
}

static void another_beginning(void **state)
{
	guard_init(&rig.guard, &rig.pool);
	server_settings(&rig.guard, 16);
	put_preface(&rig.in);
	put(&rig.in, 0, SETTINGS, ACK, 0);
	assert_int_equal(said(&rig.guard), GUARD_CUT);
	expect_cut("does not begin");
}

static void acknowledgements_and_goodbyes(void **state)
{
	assert_int_equal(say(0, SETTINGS, ACK, 0), GUARD_PASS);
	assert_int_equal(say(0, SETTINGS, ACK, 0), GUARD_CUT);
	expect_cut("not sent");
	guard_done(&rig.guard);
	setup(NULL);
	for (unsigned i = 0; i < GUARD_GOAWAYS; i++)
		assert_int_equal(say(8, GOAWAY, 0, 0), GUARD_PASS);
	assert_int_equal(say(8, GOAWAY, 0, 0), GUARD_CUT);
	expect_cut("goodbye");
}

/* ---- splitting ---- */

/* The bytes of grpcio 1.85: two calls with a message each, the second with a deadline. */
#include "grpcio.inc"

static void take_in_pieces(
	const uint8_t *bytes, size_t n, size_t first, size_t piece, struct guard *guard)
{
	struct guard_pool pool = {.streams_max = POOL_STREAMS};
	size_t at = 0;

	guard_init(guard, &pool);
	server_settings(guard, 16);
	while (at < n) {
		size_t k = at == 0 ? first : piece, passed;
		enum guard_verdict verdict =
			guard_in(guard, bytes + at, k < n - at ? k : n - at, 1000, &passed);

		at += passed;
		if (verdict == GUARD_CUT || verdict == GUARD_HOLD)
			break;
	}
	guard->pool = NULL;
}

static void compare_pieces(const uint8_t *bytes, size_t n, size_t first, size_t piece)
{
	static struct guard whole, parts;

	take_in_pieces(bytes, n, n, n, &whole);
	take_in_pieces(bytes, n, first, piece, &parts);
	assert_ptr_equal(whole.why, parts.why);
	assert_int_equal(whole.streams, parts.streams);
	assert_int_equal(whole.open, parts.open);
	assert_int_equal(whole.data_bytes, parts.data_bytes);
	assert_int_equal(whole.waiting, parts.waiting);
}

static void every_splitting_of_a_real_conversation(void **state)
{
	for (size_t first = 1; first < sizeof grpcio; first++)
		compare_pieces(grpcio, sizeof grpcio, first, sizeof grpcio);
	for (size_t piece = 1; piece < 40; piece++)
		compare_pieces(grpcio, sizeof grpcio, piece, piece);
	take_in_pieces(grpcio, sizeof grpcio, 1, 1, &rig.guard);
	assert_null(rig.guard.why);
	assert_int_equal(rig.guard.streams, 2);
	assert_int_equal(rig.guard.open, 2);
	rig.guard.pool = &rig.pool;
	rig.pool.open = 2;
}

static void every_splitting_of_random_frames(void **state)
{
	static const int types[] = {DATA, DATA, DATA, HEADERS, HEADERS, PRIORITY, RST_STREAM,
		SETTINGS, PING, WINDOW_UPDATE, CONTINUATION, GOAWAY, UNKNOWN};
	const char *text = getenv("FLWR_TEST_SEED");
	unsigned seed = text ? (unsigned)strtoul(text, NULL, 10) : (unsigned)getpid();

	print_message("seed %u\n", seed);
	for (unsigned i = 0; i < 1000; i++) {
		rig.in.n = 0;
		put_preface(&rig.in);
		put(&rig.in, 6, SETTINGS, 0, 0);
		for (unsigned n = 0; n < 200; n++) {
			int type = types[(unsigned)rand_r(&seed) % ARRAY_LEN(types)];
			uint32_t len = (uint32_t)rand_r(&seed) % 40;
			uint32_t id = (uint32_t)(rand_r(&seed) % 4 ? 2 * (n / 4) + 1 : n % 100);

			put(&rig.in, type == WINDOW_UPDATE ? 4 : len, type, rand_r(&seed) % 8, id);
		}
		compare_pieces(rig.in.v, rig.in.n, 1 + (size_t)rand_r(&seed) % 13,
			1 + (size_t)rand_r(&seed) % 13);
	}
	rig.in.n = 0;
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
	const struct CMUnitTest tests[] = {
		TEST(settings_are_acknowledged_in_the_peers_place),
		TEST(the_servers_settings_are_waited_for),
		TEST(calls_come_and_go),
		TEST(a_hundred_calls_at_once),
		TEST(calls_before_the_limit_is_known),
		TEST(deadlines_that_pass_at_once),
		TEST(deadlines_that_pass_all_the_time),
		TEST(keepalive_and_answered_pings),
		TEST(a_large_answer_is_taken),
		TEST(a_large_message_is_passed),
		TEST(frames_on_the_way_to_an_ended_stream),
		TEST(calls_that_never_began_are_taken_back),
		TEST(trailers_end_a_stream),
		TEST(what_the_server_announces_holds),
		TEST(more_streams_than_announced_are_held_back),
		TEST(new_streams_come_at_a_rate),
		TEST(the_open_streams_of_all_are_bounded),
		TEST(one_may_have_more_than_there_is_room_for),
		TEST(peers_that_wait_come_before_others),
		TEST(frames_that_only_cost),
		TEST(resets),
		TEST(trust_that_ends_forgives_what_it_allowed),
		TEST(data_in_small_pieces),
		TEST(broken_frames),
		TEST(headers_in_many_parts),
		TEST(other_frames_among_headers),
		TEST(another_beginning),
		TEST(acknowledgements_and_goodbyes),
		TEST(every_splitting_of_a_real_conversation),
		TEST(every_splitting_of_random_frames),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
