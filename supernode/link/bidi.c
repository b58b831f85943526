/*
 * bidi: the next message is read when the reply to the last one has gone, so a server that sends
 * ahead waits. A timer waits for the next connection, or for the end of one that this side leaves.
 */
#include "supernode/link/bidi.h"

#include "common/base/cleanup.h"
#include "common/base/clock.h"
#include "common/base/reason.h"
#include "common/base/text.h"
#include "common/message/bidi_codec.h"
#include "common/rpc/stream.h"
#include "supernode/link/transport.h"

#include <errno.h>
#include <inttypes.h>

#define PATH          "/flwr.proto.FlowerService/Join"
#define LEAVE_MS      5000  /* the server may take so long to take the message that we leave */
#define CLOSE_MS      1000  /* and then to end the stream */
#define LINE_GAP_MS   10000 /* between warnings */
#define WAIT_MAX_S    (365 * 24 * 3600)
#define SPARE_BYTES   (64 << 20) /* of memory for arriving messages, beyond the largest one */
#define DETAILS_BYTES 256
#define UNREADABLE    "the server's message cannot be read"
#define ENDED_BY_PEER "the server has ended the stream"

struct bidi {
	struct bidi_options options; /* its strings are not kept */
	char *address;
	struct rpc_channel *channel;
	struct rpc_stream *stream; /* NULL: between connections */
	struct timer *timer;
	struct retry retry;
	const char *broken;        /* why this side has ended the stream; NULL: it has not */
	struct reason why;         /* the owner's, behind broken */
	bool instructed;           /* ever */
	struct retry retry_before; /* the last instruction came */
	int64_t since_before_ms;
	bool awaited;   /* a reply */
	bool sending;   /* a reply is on its way */
	bool leaving;   /* the stream ends as agreed; wait_s follows */
	bool quitting;  /* by its owner's wish: nothing follows */
	int64_t wait_s; /* then, from leave_ms on; 0: for ever */
	int64_t leave_ms;
	bool over;  /* ended() was called */
	bool freed; /* by its owner; goes with the stream */
	/* An outage. */
	int64_t since_ms; /* 0: none */
	int64_t line_ms;
};

static void bidi_dispose(struct bidi *bidi)
{
	timer_free(bidi->timer);
	rpc_channel_free(bidi->channel);
	free(bidi->address);
	free(bidi);
}

static void bidi_ended(struct bidi *bidi, enum bidi_end end, const char *details)
{
	timer_set(bidi->timer, CLOCK_NEVER);
	if (bidi->over)
		return;
	bidi->over = true;
	bidi->options.ended(bidi->options.arg, end, details);
}

/* The client has left, as bidi_leave() asked, and nothing is under way any more. */
static void bidi_left(struct bidi *bidi)
{
	bidi_ended(bidi, BIDI_LEFT, "this client has left");
}

/* ---- failures ---- */

static void say_failed(struct bidi *bidi, const char *cause, int64_t now_ms, int64_t next_ms)
{
	if (!bidi->since_ms)
		bidi->since_ms = now_ms;
	else if (now_ms - bidi->line_ms < LINE_GAP_MS)
		return;
	bidi->line_ms = now_ms;
	log_warn(bidi->options.log,
		"server %s: Join failed: %s; trying again in %.1f s, then at most %d s apart",
		bidi->address, cause, (double)(next_ms - now_ms) / 1000.0, RETRY_MAX_MS / 1000);
}

static void say_works(struct bidi *bidi)
{
	retry_init(&bidi->retry);
	if (bidi->since_ms)
		log_info(bidi->options.log, "server %s: answers now, after %.1f s", bidi->address,
			(double)(clock_now_ms() - bidi->since_ms) / 1000.0);
	bidi->since_ms = 0;
}

/*
 * A server that has given instructions has the stream, and wants this client: a proxy before it may
 * say something else for a while, in the words that gRPC makes of HTTP's 401, 403 and 404.
 */
static bool is_final(const struct bidi *bidi, enum outcome outcome)
{
	bool may_pass = outcome == OUTCOME_UNAUTHENTICATED ||
			outcome == OUTCOME_PERMISSION_DENIED || outcome == OUTCOME_UNIMPLEMENTED;

	return !retry_again(outcome, true) && !(may_pass && bidi->instructed);
}

static void bidi_failed(struct bidi *bidi, enum outcome outcome, const char *details)
{
	const struct bidi_options *options = &bidi->options;
	char quoted[DETAILS_BYTES], cause[DETAILS_BYTES + 32];
	int64_t now_ms = clock_now_ms(), next_ms;

	text_quote(details, strlen(details), quoted, sizeof quoted);
	snprintf(cause, sizeof cause, "%s %s", outcome_name(outcome), quoted);
	if (is_final(bidi, outcome)) {
		bidi_ended(bidi, BIDI_REFUSED, cause);
		return;
	}
	if (bidi->retry.first_ms < 0)
		bidi->retry.first_ms = now_ms;
	next_ms = retry_next(
		&bidi->retry, &options->retry, now_ms, options->random01(options->random_arg));
	if (next_ms == CLOCK_NEVER) {
		bidi_ended(bidi, BIDI_GAVE_UP, cause);
		return;
	}
	say_failed(bidi, cause, now_ms, next_ms);
	timer_set(bidi->timer, next_ms);
}

/* ---- the stream ---- */

static void stream_break(struct bidi *bidi, const char *why)
{
	bidi->broken = why;
	rpc_stream_cancel(bidi->stream);
}

/* Leave for so many seconds, and say so. */
static void stream_leave(struct bidi *bidi, int64_t seconds)
{
	auto_(slices_done) struct slices message = {0};

	bidi->leaving = true;
	bidi->leave_ms = clock_now_ms();
	bidi->wait_s = seconds < 0 ? 0 : seconds > WAIT_MAX_S ? WAIT_MAX_S : seconds;
	/* The server looks at no other reason; Flower's client gives this one always. */
	if (bidi_encode_disconnect(BIDI_REASON_RECONNECT, &message) < 0 ||
		rpc_stream_send(bidi->stream, &message, RPC_SEND_LAST) < 0)
		rpc_stream_cancel(bidi->stream);
	rpc_stream_read(bidi->stream);
	timer_set(bidi->timer, clock_after(bidi->leave_ms, LEAVE_MS));
}

static void stream_sent(void *arg)
{
	struct bidi *bidi = arg;

	bidi->sending = false;
	if (bidi->quitting) /* gRPC may still have to bring it to the network */
		timer_set(bidi->timer, clock_after(clock_now_ms(), LEAVE_MS));
	else if (bidi->leaving)
		timer_set(bidi->timer, clock_after(clock_now_ms(), CLOSE_MS));
	else
		rpc_stream_read(bidi->stream);
}

static void stream_received(void *arg, struct slices *message)
{
	struct bidi *bidi = arg;
	enum bidi_kind kind;
	int64_t seconds;
	int r;

	if (bidi->leaving || bidi->quitting) {
		stream_break(bidi, UNREADABLE);
		return;
	}
	r = bidi_look(message, &kind, &seconds);
	if (r < 0) {
		stream_break(bidi, r == -ENOMEM ? "no memory for a message" : UNREADABLE);
		return;
	}
	bidi->retry_before = bidi->retry;
	bidi->since_before_ms = bidi->since_ms;
	say_works(bidi);
	if (kind == BIDI_RECONNECT) {
		stream_leave(bidi, seconds);
		return;
	}
	bidi->instructed = true;
	bidi->awaited = true;
	bidi->options.instruction(bidi->options.arg, message);
}

/* The stream has ended as agreed. */
static void stream_left(struct bidi *bidi)
{
	if (bidi->wait_s == 0) {
		bidi_ended(bidi, BIDI_DISMISSED, "the server has dismissed this client");
		return;
	}
	log_info(bidi->options.log, "server %s: asks this client to come back in %" PRId64 " s",
		bidi->address, bidi->wait_s);
	timer_set(bidi->timer, clock_after(bidi->leave_ms, bidi->wait_s * 1000));
}

static void stream_ended(void *arg, const struct rpc_end *end)
{
	struct bidi *bidi = arg;
	bool awaited = bidi->awaited;

	bidi->stream = NULL;
	bidi->awaited = bidi->sending = false;
	timer_set(bidi->timer, CLOCK_NEVER);
	if (bidi->freed) {
		bidi_dispose(bidi);
		return;
	}
	if (awaited)
		bidi->options.lost(bidi->options.arg);
	if (bidi->quitting)
		bidi_left(bidi);
	else if (bidi->leaving)
		stream_left(bidi);
	else if (bidi->broken)
		bidi_failed(bidi, OUTCOME_INTERNAL, bidi->broken);
	else if (end->outcome == OUTCOME_OK)
		bidi_failed(bidi, OUTCOME_UNAVAILABLE, ENDED_BY_PEER);
	else
		bidi_failed(bidi, end->outcome, end->details);
}

static void connect_now(struct bidi *bidi)
{
	const struct rpc_stream_options options = {.path = PATH,
		.sent = stream_sent,
		.received = stream_received,
		.ended = stream_ended,
		.arg = bidi};

	bidi->leaving = false;
	bidi->broken = NULL;
	rpc_channel_reconnect_now(bidi->channel);
	if (rpc_stream_start(bidi->channel, &options, &bidi->stream) < 0)
		bidi_failed(bidi, OUTCOME_INTERNAL, "no memory for a stream");
	else
		rpc_stream_read(bidi->stream);
}

static void timer_due(void *arg)
{
	struct bidi *bidi = arg;

	if (bidi->stream)
		rpc_stream_cancel(bidi->stream);
	else if (bidi->quitting)
		bidi_left(bidi);
	else
		connect_now(bidi);
}

/* ---- the owner's side ---- */

int bidi_new(const struct bidi_options *options, struct bidi **out)
{
	const struct rpc_tls tls = {.trusted_pem = options->ca_pem};
	const struct rpc_channel_options channel = {.target = options->address,
		.tls = options->ca_pem ? &tls : NULL,
		.receive_max_bytes = options->receive_max_bytes,
		.memory_max_bytes = options->receive_max_bytes + SPARE_BYTES,
		.keepalive_ms = TRANSPORT_KEEPALIVE_MS,
		.keepalive_timeout_ms = TRANSPORT_KEEPALIVE_TIMEOUT_MS,
		.own_connection = true,
		.user_agent = "flwr-native/" FLWR_RELEASE};
	struct bidi *bidi = calloc(1, sizeof *bidi);
	int r;

	if (!bidi)
		return -ENOMEM;
	bidi->options = *options;
	retry_init(&bidi->retry);
	bidi->address = strdup(options->address);
	bidi->timer = timer_new(options->loop, timer_due, bidi);
	r = bidi->address && bidi->timer ? rpc_channel_new(options->rpc, &channel, &bidi->channel)
					 : -ENOMEM;
	if (r < 0) {
		bidi_dispose(bidi);
		return r;
	}
	timer_set(bidi->timer, 0);
	*out = bidi;
	return 0;
}

/* Nothing is sent any more after what is on its way; the server may end the stream itself. */
static void stream_close(struct bidi *bidi)
{
	rpc_stream_close(bidi->stream);
	rpc_stream_read(bidi->stream);
	/* A reply takes as long as it takes: a server that is gone is found by keepalive. */
	if (!bidi->sending)
		timer_set(bidi->timer, clock_after(clock_now_ms(), LEAVE_MS));
}

int bidi_reply(struct bidi *bidi, struct slices *message)
{
	int r = bidi->awaited ? rpc_stream_send(bidi->stream, message, 0) : -EPIPE;

	slices_done(message);
	if (r < 0)
		return r;
	bidi->awaited = false; /* stream_sent() reads on */
	bidi->sending = true;
	if (bidi->quitting)
		stream_close(bidi);
	return 0;
}

void bidi_refuse(struct bidi *bidi, const char *why)
{
	if (!bidi->awaited)
		return;
	/* Else a server that always says the same would be asked again and again at once. */
	bidi->retry = bidi->retry_before;
	bidi->since_ms = bidi->since_before_ms;
	reason_set(&bidi->why, "%s", why);
	stream_break(bidi, bidi->why.text);
}

void bidi_leave(struct bidi *bidi)
{
	if (bidi->quitting)
		return;
	bidi->quitting = true;
	if (!bidi->stream)
		timer_set(bidi->timer, 0);
	else if (!bidi->awaited && !bidi->leaving)
		stream_close(bidi);
}

void bidi_free(struct bidi *bidi)
{
	if (!bidi)
		return;
	bidi->freed = true;
	if (!bidi->stream) {
		bidi_dispose(bidi);
		return;
	}
	rpc_stream_cancel(bidi->stream);
	rpc_channel_free(take_pointer(&bidi->channel));
}
