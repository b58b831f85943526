/*
 * A peer that speaks HTTP/2 by hand, and not always well: bodies that do not come, messages that
 * are none, rubbish.
 */
#include "common/rpc/traffic.h"
#include "fixture.h"

#include <arpa/inet.h>
#include <sys/socket.h>

enum {
	FRAME_DATA,
	FRAME_HEADERS,
	FRAME_RST_STREAM = 3,
	FRAME_SETTINGS,
	FRAME_WINDOW_UPDATE = 8,
	FRAME_CONTINUATION
};
enum { END_STREAM = 1, ACK = 1, END_HEADERS = 4 };
enum { FRAME_HEAD_BYTES = 9, SETTING_BYTES = 6, INITIAL_WINDOW_SIZE = 4 };

struct raw {
	struct world *world;
	int fd;
	uint8_t stream;     /* of the next frames; 1 comes first */
	uint8_t out[65536]; /* not sent yet */
	size_t out_len;
	char in[65536]; /* everything received */
	size_t in_len;
	bool ended; /* by the server */
};

static void put(struct raw *raw, const void *bytes, size_t len)
{
	assert_true(len <= sizeof raw->out - raw->out_len);
	memcpy(raw->out + raw->out_len, bytes, len);
	raw->out_len += len;
}

static void put_frame(struct raw *raw, uint8_t type, uint8_t flags, const void *bytes, size_t len)
{
	uint8_t stream = type == FRAME_SETTINGS ? 0 : raw->stream;
	uint8_t head[FRAME_HEAD_BYTES] = {
		0, (uint8_t)(len >> 8), (uint8_t)len, type, flags, 0, 0, 0, stream};

	put(raw, head, sizeof head);
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

/* A field whose value has len bytes, more than fit into one of its length. */
static size_t long_field(uint8_t *at, const char *name, size_t len)
{
	size_t head = field(at, name, "") - 1, rest = len - 127;

	if (len < 127) {
		at[head++] = (uint8_t)len;
	} else {
		at[head++] = 127;
		for (; rest >= 128; rest >>= 7)
			at[head++] = (uint8_t)(rest | 128);
		at[head++] = (uint8_t)rest;
	}
	memset(at + head, 'y', len);
	return head + len;
}

static void put_opening(struct raw *raw)
{
	put(raw, "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 24);
	put_frame(raw, FRAME_SETTINGS, 0, "", 0);
}

static size_t head_block(uint8_t *block, const char *method, const char *encoding)
{
	size_t len = 2;
	char path[64];

	memcpy(block, "\x83\x86", len); /* POST, http */
	snprintf(path, sizeof path, "/test.Service/%s", method);
	len += field(block + len, ":path", path);
	len += field(block + len, ":authority", "localhost");
	len += field(block + len, "te", "trailers");
	len += field(block + len, "content-type", "application/grpc");
	if (encoding)
		len += field(block + len, "grpc-encoding", encoding);
	return len;
}

static void put_head(struct raw *raw, const char *method, uint8_t flags, const char *encoding)
{
	uint8_t block[512];
	size_t len = head_block(block, method, encoding);

	if (raw->stream == 1)
		put_opening(raw);
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
	*raw = (struct raw){.world = world, .fd = world_connect(world, 0), .stream = 1};
}

/* The same over TCP. */
static void raw_open_tcp(struct raw *raw, struct world *world)
{
	struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr = {htonl(INADDR_LOOPBACK)}};
	struct sockaddr *any = (struct sockaddr *)&address;
	socklen_t len = sizeof address;
	auto_(close_at_exit) int listening = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	int fd;

	*raw = (struct raw){.world = world, .stream = 1};
	assert_int_equal(bind(listening, any, len), 0);
	assert_int_equal(listen(listening, 1), 0);
	assert_int_equal(getsockname(listening, any, &len), 0);
	raw->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	assert_int_equal(connect(raw->fd, any, len), 0);
	fd = accept4(listening, NULL, NULL, SOCK_CLOEXEC);
	assert_true(fd >= 0);
	rpc_server_add(world->server, fd, &world->peers[0]);
}

static void raw_close(struct raw *raw)
{
	close_fd(&raw->fd);
	rpc_server_peer_gone(raw->world->server, &raw->world->peers[0]);
}

static void raw_receive(struct raw *raw)
{
	ssize_t n =
		recv(raw->fd, raw->in + raw->in_len, sizeof raw->in - raw->in_len, MSG_DONTWAIT);

	if (n > 0)
		raw->in_len += (size_t)n;
	else if (n == 0 || errno != EAGAIN)
		raw->ended = true;
}

/* Has the server sent text? */
static bool raw_got(const struct raw *raw, const char *text)
{
	return memmem(raw->in, raw->in_len, text, strlen(text));
}

/* Until the server has sent text. */
static void raw_expect(struct raw *raw, const char *text)
{
	kit_loop_until(raw->world->loop, (raw_receive(raw), raw->ended) || raw_got(raw, text));
	assert_true(raw_got(raw, text));
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

static void expect_refusal(
	const struct world *world, const char *method, enum outcome outcome, const char *details)
{
	assert_int_equal(world->refusal.n, 1);
	assert_ptr_equal(world->refusal.peer, &world->peers[0]);
	assert_string_equal(world->refusal.method, method);
	assert_int_equal(world->refusal.outcome, outcome);
	assert_string_equal(world->refusal.details, details);
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

/* ---- small bodies that become large ---- */

/* What the server sees of its connections' traffic. */
static struct script {
	bool on;
	uint64_t received;
	unsigned looks;
} script;

bool __real_traffic_of(int fd, struct traffic *out);
bool __wrap_traffic_of(int fd, struct traffic *out);

bool __wrap_traffic_of(int fd, struct traffic *out)
{
	if (!script.on)
		return __real_traffic_of(fd, out);
	script.looks++;
	*out = (struct traffic){.received = script.received};
	return true;
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

/* Of the GiB that is announced only the first bytes have come. */
static void test_small_becomes_large(void **state)
{
	static const char zeros[8192];
	const int64_t enough = 3 * (int64_t)MIB / 2;
	int64_t end_ms = kit_now_ms() + KIT_WAIT_MS, sent = 5;
	struct world *world = *state;
	struct raw raw;

	world->answer_cancelled = true;
	raw_open_tcp(&raw, world);
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

/* What has passed before its admission does not count, and some may pass beside it. */
static void test_small_beside_others(void **state)
{
	struct world *world = *state;
	struct raw raw;

	world->answer_cancelled = true;
	script = (struct script){.on = true, .received = 7 * MIB};
	raw_open(&raw, world);
	put_head(&raw, "Patient", 0, NULL);
	put_text(&raw, 0, "\0\0\0\0\7some", 9);
	raw_send(&raw);
	expect_looks(&raw, 1);
	script.received += MIB;
	expect_looks(&raw, script.looks + 3);
	assert_int_equal(world->refusal.n, 0);
	script.received++;
	raw_expect(&raw, "the message is too large");
	expect_refusal(world, "Patient", OUTCOME_RESOURCE_EXHAUSTED, "the message is too large");
	raw_close(&raw);
	script.on = false;
}

/* Beside a content that comes by the same connection nothing can be said about a small body. */
static void test_small_beside_content(void **state)
{
	struct world *world = *state;
	struct raw raw;

	world->answer_cancelled = true;
	script = (struct script){.on = true};
	raw_open(&raw, world);
	put_head(&raw, "Patient", 0, NULL);
	put_text(&raw, 0, "\0\0\0\0\7some", 9);
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
	script.on = false;
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
		LIMITED_TEST(test_small_becomes_large),
		LIMITED_TEST(test_small_beside_others),
		LIMITED_TEST(test_small_beside_content),
	};

	rpc_silence();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
