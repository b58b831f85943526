#include "common/listen/guard.h"

#include "common/base/cleanup.h"

#include <string.h>

#define PREFACE_BYTES 24

enum {
	DATA,
	HEADERS,
	PRIORITY,
	RST_STREAM,
	SETTINGS,
	PUSH_PROMISE,
	PING,
	GOAWAY,
	WINDOW_UPDATE,
	CONTINUATION
};
enum { END_STREAM = 1, ACK = 1, END_HEADERS = 4 };
enum { SETTING_STREAMS_MAX = 3, SETTING_FRAME_MAX = 5 };

#define FRAME_MAX_BYTES 16384 /* until the server announces another one */
/* Small pieces of ended streams' DATA cost more than they carry. */
#define SMALL_DATA_BYTES 1024
/* A client may answer DATA with updates of the stream's and the connection's window, twice, and
 * once more for so many bytes. */
#define WINDOWS_PER_FRAME   4
#define WINDOW_UPDATE_BYTES 8192
#define PROBES_PER_FRAME    2

const uint8_t guard_acknowledgement[GUARD_HEAD_BYTES] = {0, 0, 0, SETTINGS, ACK};

struct frame {
	uint32_t len, id;
	uint8_t type, flags;
};

/* At once, and a second. */
struct limit {
	unsigned burst, per_s;
};

static const struct limit connection_streams = {
	GUARD_CONNECTION_STREAMS, GUARD_CONNECTION_STREAMS_S};
static const struct limit pool_streams = {GUARD_POOL_STREAMS, GUARD_POOL_STREAMS_S};
static const struct limit idle_frames = {GUARD_IDLE_FRAMES, GUARD_IDLE_FRAMES_S};
static const struct limit window_updates = {GUARD_WINDOWS, GUARD_WINDOWS_S};

/* ---- limits ---- */

static bool has_room(struct debt *debt, struct limit limit, unsigned times, int64_t now_ms)
{
	debt_add(debt, 0, (double)limit.per_s * times, now_ms);
	return debt->amount + 1 <= (double)limit.burst * times;
}

static struct limit resets(const struct guard *guard)
{
	return (struct limit){guard->streams_max + GUARD_RESETS, GUARD_RESETS_S};
}

static unsigned times_allowed(const struct guard *guard)
{
	return guard->trusted ? GUARD_TRUSTED_TIMES : 1;
}

static enum guard_verdict cut(struct guard *guard, const char *why)
{
	guard->why = why;
	return GUARD_CUT;
}

/* Charge one. */
static enum guard_verdict charge(
	struct guard *guard, struct debt *debt, struct limit limit, int64_t now_ms, const char *why)
{
	if (!has_room(debt, limit, times_allowed(guard), now_ms))
		return cut(guard, why);
	debt->amount++;
	return GUARD_PASS;
}

static enum guard_verdict charge_idle(struct guard *guard, int64_t now_ms, const char *why)
{
	return charge(guard, &guard->idle_frames, idle_frames, now_ms, why);
}

double guard_new_streams(const struct guard *guard, int64_t now_ms)
{
	struct debt debt = guard->new_streams;

	debt_add(&debt, 0, (double)connection_streams.per_s * times_allowed(guard), now_ms);
	return debt.amount;
}

bool guard_pool_has_room(struct guard_pool *pool, int64_t now_ms)
{
	return pool->open < pool->streams_max && has_room(&pool->streams, pool_streams, 1, now_ms);
}

/* ---- streams ---- */

static struct guard_stream *find(struct guard *guard, uint32_t id)
{
	for (unsigned i = 0; i < guard->open; i++)
		if (guard->stream[i].id == id)
			return &guard->stream[i];
	return NULL;
}

/* Streams of a peer that is not trusted have ended. */
static void pool_leave(struct guard_pool *pool, unsigned streams)
{
	pool->open -= streams;
	if (pool->open < pool->streams_max)
		pool->lent = NULL;
}

static void loan_end(struct guard *guard)
{
	if (guard->pool->lent == guard)
		guard->pool->lent = NULL;
}

static void stream_remove(struct guard *guard, struct guard_stream *stream)
{
	*stream = guard->stream[--guard->open];
	if (!guard->trusted)
		pool_leave(guard->pool, 1);
}

static void stream_ended_by_peer(struct guard *guard, struct guard_stream *stream)
{
	stream->peer_ended = true;
	if (stream->server_ended)
		stream_remove(guard, stream);
}

static void set_waiting(struct guard *guard, bool waiting)
{
	if (guard->waiting != waiting)
		guard->pool->waiting += waiting ? 1 : -1U;
	guard->waiting = waiting;
}

/* May a stream of a peer that is not trusted be opened? Peers that have waited come before others,
 * one stream each. */
static bool pool_allows(struct guard *guard, int64_t now_ms)
{
	struct guard_pool *pool = guard->pool;
	bool others_wait = pool->waiting > (guard->waiting ? 1 : 0);

	return pool->lent == guard ||
	       ((guard->turn || !others_wait) && guard_pool_has_room(pool, now_ms));
}

static enum guard_verdict stream_open(
	struct guard *guard, const struct frame *frame, int64_t now_ms)
{
	unsigned times = times_allowed(guard);

	/* Only when all have room anything is charged: what is held back is asked about again. */
	if (guard->open >= guard->streams_max ||
		!has_room(&guard->new_streams, connection_streams, times, now_ms)) {
		set_waiting(guard, false);
		return GUARD_HOLD;
	}
	if (!guard->trusted && !pool_allows(guard, now_ms)) {
		set_waiting(guard, true);
		return GUARD_HOLD;
	}
	set_waiting(guard, false);
	guard->turn = false;
	guard->new_streams.amount++;
	if (!guard->trusted) {
		guard->pool->streams.amount++;
		guard->pool->open++;
	}
	guard->streams++;
	guard->last_id = frame->id;
	guard->stream[guard->open++] =
		(struct guard_stream){.id = frame->id, .peer_ended = frame->flags & END_STREAM};
	return GUARD_PASS;
}

/* ---- frames of the peer ---- */

static enum guard_verdict on_data(struct guard *guard, const struct frame *frame, int64_t now_ms)
{
	struct guard_stream *stream = find(guard, frame->id);
	uint64_t bytes = guard->data_bytes + frame->len;

	if (!frame->id || frame->id > guard->last_id)
		return cut(guard, "sends DATA on no stream: closed");
	if (stream && stream->peer_ended)
		return cut(guard, "sends DATA behind the end of a stream: closed");
	/* Each frame costs the server a slice, however little is in it. */
	if (guard->data_frames >= GUARD_DATA_FRAMES + GUARD_DATA_STREAM_FRAMES * guard->streams +
					  bytes / GUARD_DATA_FRAME_BYTES)
		return cut(guard, "sends DATA in small pieces: closed");
	guard->data_frames++;
	guard->data_bytes = bytes;
	if (stream && frame->flags & END_STREAM)
		stream_ended_by_peer(guard, stream);
	else if (!frame->len)
		return charge_idle(guard, now_ms, "sends too much DATA that is empty: closed");
	else if (!stream && frame->len < SMALL_DATA_BYTES)
		return charge_idle(
			guard, now_ms, "sends too much DATA on streams that have ended: closed");
	return GUARD_PASS;
}

/* A part of a header block. */
static enum guard_verdict on_block(struct guard *guard, const struct frame *frame)
{
	guard->block_bytes += frame->len;
	guard->block_frames++;
	if (guard->block_bytes > GUARD_HEADER_BYTES || guard->block_frames > GUARD_HEADER_FRAMES)
		return cut(guard, "sends headers that are too large: closed");
	guard->block_id = frame->flags & END_HEADERS ? 0 : frame->id;
	return GUARD_PASS;
}

static enum guard_verdict on_trailers(
	struct guard *guard, const struct frame *frame, int64_t now_ms)
{
	struct guard_stream *stream = find(guard, frame->id);

	/* The server has ended the stream meanwhile. */
	if (!stream)
		return charge_idle(
			guard, now_ms, "sends too many HEADERS on streams that have ended: closed");
	if (stream->peer_ended || !(frame->flags & END_STREAM))
		return cut(guard, "sends HEADERS within a stream: closed");
	stream_ended_by_peer(guard, stream);
	return GUARD_PASS;
}

static enum guard_verdict on_headers(struct guard *guard, const struct frame *frame, int64_t now_ms)
{
	enum guard_verdict verdict;

	if (!(frame->id & 1))
		return cut(guard, "sends HEADERS on a stream that is not its own: closed");
	verdict = frame->id > guard->last_id ? stream_open(guard, frame, now_ms)
					     : on_trailers(guard, frame, now_ms);
	if (verdict != GUARD_PASS)
		return verdict;
	guard->block_bytes = guard->block_frames = 0;
	return on_block(guard, frame);
}

static enum guard_verdict on_continuation(
	struct guard *guard, const struct frame *frame, int64_t now_ms)
{
	(void)now_ms;
	return guard->block_id ? on_block(guard, frame)
			       : cut(guard, "continues no headers: closed");
}

static enum guard_verdict on_priority(
	struct guard *guard, const struct frame *frame, int64_t now_ms)
{
	(void)frame;
	return charge_idle(guard, now_ms, "sends too many PRIORITY frames: closed");
}

static enum guard_verdict on_reset(struct guard *guard, const struct frame *frame, int64_t now_ms)
{
	struct guard_stream *stream = find(guard, frame->id);
	enum guard_verdict verdict;

	if (!frame->id)
		return cut(guard, "resets no stream: closed");
	/* The server has ended it; or gRPC's client has taken back a call before it began. */
	if (!stream)
		return charge_idle(
			guard, now_ms, "resets too many streams that are not open: closed");
	verdict = charge(
		guard, &guard->resets, resets(guard), now_ms, "takes back too many calls: closed");
	if (verdict == GUARD_PASS)
		stream_remove(guard, stream);
	return verdict;
}

static enum guard_verdict on_settings(
	struct guard *guard, const struct frame *frame, int64_t now_ms)
{
	if (frame->flags & ACK) {
		/* One may have been sent before it was asked for. */
		if (guard->settings_acks > guard->settings_out)
			return cut(guard, "acknowledges SETTINGS that were not sent: closed");
		guard->settings_acks++;
		return GUARD_PASS;
	}
	if (frame->len > GUARD_SETTINGS_BYTES)
		return cut(guard, "sends SETTINGS that are too large: closed");
	return charge_idle(guard, now_ms, "sends too many SETTINGS: closed");
}

static enum guard_verdict on_promise(struct guard *guard, const struct frame *frame, int64_t now_ms)
{
	(void)frame;
	(void)now_ms;
	return cut(guard, "sends PUSH_PROMISE: closed");
}

static enum guard_verdict on_ping(struct guard *guard, const struct frame *frame, int64_t now_ms)
{
	uint64_t *credit = frame->flags & ACK ? &guard->pongs : &guard->probes;

	if (*credit) {
		--*credit;
		return GUARD_PASS;
	}
	return charge_idle(guard, now_ms, "sends too many pings: closed");
}

static enum guard_verdict on_goaway(struct guard *guard, const struct frame *frame, int64_t now_ms)
{
	(void)now_ms;
	if (++guard->goaways > GUARD_GOAWAYS || frame->len > GUARD_GOAWAY_BYTES)
		return cut(guard, "says goodbye too often: closed");
	return GUARD_PASS;
}

static enum guard_verdict on_window_update(
	struct guard *guard, const struct frame *frame, int64_t now_ms)
{
	if (frame->len != 4)
		return cut(guard, "sends a broken WINDOW_UPDATE: closed");
	if (guard->windows) {
		guard->windows--;
		return GUARD_PASS;
	}
	return charge(guard, &guard->window_updates, window_updates, now_ms,
		"sends too many WINDOW_UPDATE frames: closed");
}

static enum guard_verdict on_unknown(struct guard *guard, const struct frame *frame, int64_t now_ms)
{
	if (frame->len > GUARD_UNKNOWN_BYTES)
		return cut(guard, "sends an unknown frame that is too large: closed");
	return charge_idle(guard, now_ms, "sends too many unknown frames: closed");
}

typedef enum guard_verdict rule(struct guard *guard, const struct frame *frame, int64_t now_ms);

static rule *const rules[] = {
	[DATA] = on_data,
	[HEADERS] = on_headers,
	[PRIORITY] = on_priority,
	[RST_STREAM] = on_reset,
	[SETTINGS] = on_settings,
	[PUSH_PROMISE] = on_promise,
	[PING] = on_ping,
	[GOAWAY] = on_goaway,
	[WINDOW_UPDATE] = on_window_update,
	[CONTINUATION] = on_continuation,
};

static enum guard_verdict judge(struct guard *guard, const struct frame *frame, int64_t now_ms)
{
	if (frame->len > guard->frame_max)
		return cut(guard, "sends a frame that is too large: closed");
	if (!guard->begun && (frame->type != SETTINGS || frame->flags & ACK))
		return cut(guard, "does not begin with SETTINGS: closed");
	guard->begun = true;
	if (guard->block_id && (frame->type != CONTINUATION || frame->id != guard->block_id))
		return cut(guard, "sends other frames among headers: closed");
	return (frame->type < ARRAY_LEN(rules) ? rules[frame->type] : on_unknown)(
		guard, frame, now_ms);
}

/* ---- frames of the server ---- */

static void on_setting(struct guard *guard)
{
	const uint8_t *at = guard->setting;
	uint32_t value =
		(uint32_t)at[2] << 24 | (uint32_t)at[3] << 16 | (uint32_t)at[4] << 8 | at[5];

	if (at[0])
		return;
	if (at[1] == SETTING_STREAMS_MAX)
		guard->streams_max = value < GUARD_STREAMS_MAX ? value : GUARD_STREAMS_MAX;
	else if (at[1] == SETTING_FRAME_MAX)
		guard->frame_max = value;
}

/* Bytes of a frame's payload. */
static void read_settings(struct guard *guard, const uint8_t *bytes, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		guard->setting[guard->setting_have++] = bytes[i];
		if (guard->setting_have < sizeof guard->setting)
			continue;
		guard->setting_have = 0;
		on_setting(guard);
	}
}

static void on_frame_of_server(struct guard *guard, const struct frame *frame)
{
	struct guard_stream *stream = find(guard, frame->id);

	if (frame->type == DATA) {
		guard->probes += PROBES_PER_FRAME;
		guard->windows += frame->len / WINDOW_UPDATE_BYTES;
	}
	if (frame->type == DATA || frame->type == HEADERS) {
		guard->windows += WINDOWS_PER_FRAME;
		if (stream && frame->flags & END_STREAM) {
			stream->server_ended = true;
			if (stream->peer_ended)
				stream_remove(guard, stream);
		}
	} else if (frame->type == RST_STREAM && stream) {
		stream_remove(guard, stream);
	} else if (frame->type == SETTINGS && !(frame->flags & ACK)) {
		guard->settings_out++;
		guard->setting_have = 0;
	} else if (frame->type == PING && !(frame->flags & ACK)) {
		guard->pongs++;
	}
}

/* ---- bytes ---- */

static size_t least(size_t a, size_t b)
{
	return a < b ? a : b;
}

static struct frame head_read(const struct guard_side *side)
{
	const uint8_t *at = side->head;

	return (struct frame){.len = (uint32_t)at[0] << 16 | (uint32_t)at[1] << 8 | at[2],
		.type = at[3],
		.flags = at[4],
		.id = (uint32_t)(at[5] & 0x7f) << 24 | (uint32_t)at[6] << 16 |
		      (uint32_t)at[7] << 8 | at[8]};
}

/* Pass the next bytes, all of one kind. With another verdict than GUARD_PASS *n_out is 0. */
static enum guard_verdict step_in(
	struct guard *guard, const uint8_t *bytes, size_t n, int64_t now_ms, size_t *n_out)
{
	struct guard_side *in = &guard->in;
	size_t k = least(n, GUARD_HEAD_BYTES - in->have);
	enum guard_verdict verdict;
	struct frame frame;

	*n_out = 0;
	if (guard->preface_left) {
		*n_out = least(n, guard->preface_left);
		guard->preface_left -= (uint8_t)*n_out;
		return GUARD_PASS;
	}
	if (in->left) {
		*n_out = least(n, in->left);
		in->left -= (uint32_t)*n_out;
		return GUARD_PASS;
	}
	memcpy(in->head + in->have, bytes, k);
	if (in->have + k == GUARD_HEAD_BYTES) {
		frame = head_read(in);
		verdict = judge(guard, &frame, now_ms);
		/* The bytes of the head that were not passed come again. */
		if (verdict != GUARD_PASS)
			return verdict;
		in->left = frame.len;
		in->have = 0;
	} else {
		in->have += (uint8_t)k;
	}
	*n_out = k;
	return GUARD_PASS;
}

/* The peer's SETTINGS have passed, to the last byte. */
static bool must_acknowledge(const struct guard *guard)
{
	return guard->begun && !guard->acknowledged && !guard->in.have && !guard->in.left;
}

enum guard_verdict guard_in(
	struct guard *guard, const uint8_t *bytes, size_t n, int64_t now_ms, size_t *passed_out)
{
	enum guard_verdict verdict = guard->why ? GUARD_CUT : GUARD_PASS;

	*passed_out = 0;
	while (verdict == GUARD_PASS && *passed_out < n) {
		size_t k;

		verdict = step_in(guard, bytes + *passed_out, n - *passed_out, now_ms, &k);
		*passed_out += k;
		if (verdict == GUARD_PASS && must_acknowledge(guard))
			verdict = GUARD_ACKNOWLEDGE;
	}
	if (verdict == GUARD_ACKNOWLEDGE)
		guard->acknowledged = true;
	guard->bytes += *passed_out;
	return verdict;
}

void guard_out(struct guard *guard, const uint8_t *bytes, size_t n)
{
	struct guard_side *out = &guard->out;
	size_t k;

	for (size_t i = 0; i < n; i += k) {
		struct frame frame;

		if (out->left) {
			k = least(n - i, out->left);
			out->left -= (uint32_t)k;
			frame = head_read(out);
			if (frame.type == SETTINGS && !(frame.flags & ACK))
				read_settings(guard, bytes + i, k);
			guard->announced |= guard->settings_out && !out->left;
			continue;
		}
		k = least(n - i, GUARD_HEAD_BYTES - out->have);
		memcpy(out->head + out->have, bytes + i, k);
		out->have += (uint8_t)k;
		if (out->have < GUARD_HEAD_BYTES)
			return;
		frame = head_read(out);
		on_frame_of_server(guard, &frame);
		out->left = frame.len;
		out->have = 0;
		guard->announced |= guard->settings_out && !out->left;
	}
}

bool guard_out_is_between(const struct guard *guard)
{
	return !guard->out.have && !guard->out.left;
}

/* ---- life ---- */

void guard_init(struct guard *guard, struct guard_pool *pool)
{
	*guard = (struct guard){.pool = pool,
		.preface_left = PREFACE_BYTES,
		.frame_max = FRAME_MAX_BYTES,
		.streams_max = GUARD_STREAMS_MAX};
}

void guard_done(struct guard *guard)
{
	set_waiting(guard, false);
	if (!guard->trusted)
		pool_leave(guard->pool, guard->open);
	loan_end(guard);
	guard->open = 0;
}

bool guard_is_ready(const struct guard *guard)
{
	return guard->announced;
}

/* A peer that was trusted may have used more than it now has. */
static void forgive(struct debt *debt, struct limit limit)
{
	const double half = limit.burst / 2.0;

	if (debt->amount > half)
		debt->amount = half;
}

void guard_trust(struct guard *guard, bool trusted)
{
	if (guard->trusted == trusted)
		return;
	guard->trusted = trusted;
	if (trusted) {
		set_waiting(guard, false);
		loan_end(guard);
		pool_leave(guard->pool, guard->open);
		return;
	}
	guard->pool->open += guard->open;
	forgive(&guard->new_streams, connection_streams);
	forgive(&guard->resets, resets(guard));
	forgive(&guard->idle_frames, idle_frames);
	forgive(&guard->window_updates, window_updates);
}
