/*
 * Fuzz target: both directions of a connection of HTTP/2. The same verdict at the same byte,
 * however the bytes are split; what a peer may make the guard hold is bounded.
 *
 * The input is a list of records: a byte (bit 0: of the server; bit 1: trust changes before; the
 * others: so many times 50 ms have passed, and with all of them set it may open streams without
 * room, or no longer), a length in two bytes, and bytes.
 */
#include "fuzz.h"

#include "common/listen/guard.h"

FUZZ_MEMORY(64, 1);

#define POOL_STREAMS 8 /* fewer than one connection may have: it is held back, too */
#define HOLDS_MAX    4
#define HOLD_MS      10000
#define LEND         0x3f

/* A connection whose bytes come in pieces of one size. */
struct run {
	size_t piece; /* 0: all at once */
	struct guard_pool pool;
	struct guard guard;
	int64_t now_ms;
	enum guard_verdict verdict; /* the last one */
	unsigned acknowledged;
};

static void check(const struct run *run)
{
	const struct guard *guard = &run->guard;

	CHECK(guard->open <= GUARD_STREAMS_MAX && guard->streams_max <= GUARD_STREAMS_MAX);
	CHECK(run->pool.open == (guard->trusted ? 0 : guard->open));
	CHECK(run->pool.open <= POOL_STREAMS || guard->streams > POOL_STREAMS);
	CHECK(run->pool.waiting == guard->waiting);
	CHECK((run->verdict == GUARD_CUT) == (guard->why != NULL));
	CHECK(run->acknowledged <= 1);
	CHECK(guard->data_bytes <= guard->bytes + GUARD_HEADER_BYTES * 64 * 1024);
}

/* One piece of the peer's. false: it is cut, or held back for longer than is waited. */
static bool take(struct run *run, const uint8_t *bytes, size_t n)
{
	unsigned holds = 0;

	for (;;) {
		size_t passed;

		run->verdict = guard_in(&run->guard, bytes, n, run->now_ms, &passed);
		CHECK(passed <= n && (run->verdict != GUARD_PASS || passed == n));
		check(run);
		bytes += passed;
		n -= passed;
		if (run->verdict == GUARD_ACKNOWLEDGE)
			run->acknowledged++;
		else if (run->verdict == GUARD_HOLD && holds++ < HOLDS_MAX)
			run->now_ms += HOLD_MS;
		else
			return run->verdict == GUARD_PASS;
	}
}

static bool feed(struct run *run, bool of_server, const uint8_t *bytes, size_t n)
{
	size_t piece = run->piece ? run->piece : n;

	for (size_t at = 0; at < n; at += piece) {
		size_t k = n - at < piece ? n - at : piece;

		if (of_server)
			guard_out(&run->guard, bytes + at, k);
		else if (!take(run, bytes + at, k))
			return false;
	}
	return true;
}

static void compare(const struct run *a, const struct run *b)
{
	CHECK(a->verdict == b->verdict && a->guard.why == b->guard.why);
	CHECK(a->now_ms == b->now_ms);
	CHECK(a->guard.data_bytes == b->guard.data_bytes);
	CHECK(a->guard.streams == b->guard.streams && a->guard.open == b->guard.open);
	CHECK(guard_out_is_between(&a->guard) == guard_out_is_between(&b->guard));
}

void fuzz(const uint8_t *data, size_t len)
{
	static const size_t pieces[] = {0, 1, 7};
	struct run runs[ARRAY_LEN(pieces)] = {0};
	bool on = true;

	for (size_t i = 0; i < ARRAY_LEN(pieces); i++) {
		runs[i].piece = pieces[i];
		runs[i].pool.streams_max = POOL_STREAMS;
		guard_init(&runs[i].guard, &runs[i].pool);
	}
	for (size_t at = 0; on && len - at >= 3;) {
		uint8_t what = data[at];
		size_t n = (size_t)data[at + 1] << 8 | data[at + 2];

		at += 3;
		n = n < len - at ? n : len - at;
		for (size_t i = 0; i < ARRAY_LEN(pieces); i++) {
			runs[i].now_ms += 50 * (what >> 2);
			if (what >> 2 == LEND)
				runs[i].pool.lent = runs[i].pool.lent ? NULL : &runs[i].guard;
			if (what & 2)
				guard_trust(&runs[i].guard, !runs[i].guard.trusted);
			on = feed(&runs[i], what & 1, data + at, n);
			check(&runs[i]);
			compare(&runs[i], &runs[0]);
		}
		at += n;
	}
	for (size_t i = 0; i < ARRAY_LEN(pieces); i++) {
		guard_done(&runs[i].guard);
		CHECK(runs[i].pool.waiting == 0);
		CHECK(runs[i].pool.open == 0);
		CHECK(!runs[i].pool.lent);
	}
}
