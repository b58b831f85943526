/*
 * Bytes go through one buffer that all relays share; a relay has memory of its own only for what
 * the guard holds back, or the other side does not take. Both sockets are watched for edges, so
 * each is read and written until it says that it has no more.
 */
#include "common/listen/relay_internal.h"

#include "common/base/cleanup.h"
#include "common/base/clock.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <sys/socket.h>

#define ROUNDS 8 /* of one connection, before others have their turn */

#define GOAWAY            7
#define ENHANCE_YOUR_CALM 11

/* The outcome of a step. STEP_SERVED: the server has ended, and the peer has all its bytes. */
enum step { STEP_IDLE, STEP_MORE, STEP_SERVED, STEP_ENDED, STEP_CUT };

/* ---- bytes ---- */

/* Read what the server has sent into the shared buffer. *n_out bytes with STEP_MORE. */
static enum step receive_out(struct relay *relay, size_t *n_out)
{
	ssize_t n;

	do
		n = recv(relay->server, relay->relays->chunk, RELAY_CHUNK_BYTES, MSG_DONTWAIT);
	while (n < 0 && errno == EINTR);
	if (n < 0 && errno == EAGAIN)
		return STEP_IDLE;
	if (n <= 0)
		return STEP_SERVED;
	*n_out = (size_t)n;
	return STEP_MORE;
}

/* One side has ended: the other one has some time, from now on. */
static void linger(struct relay *relay)
{
	const int64_t work_ms = (int64_t)(relay->unanswered / RELAY_LINGER_MS_BYTES);

	relay->linger_end_ms = clock_after(clock_now_ms(), RELAY_LINGER_MS + work_ms);
	relay_set_stalled(relay, true);
}

/* ---- from the server to the peer ---- */

void relay_server_gone(struct relay *relay)
{
	relay->server_ended_ms = clock_now_ms();
	way_clear(&relay->in);
	relay_set_queue(relay, QUEUE_NONE);
	/* Its streams have ended with it. */
	guard_done(&relay->guard);
}

static enum step pump_out(struct relay *relay)
{
	struct way *out = &relay->out;
	const uint8_t *bytes = relay->relays->chunk;
	size_t n;
	ssize_t sent;

	if (out->v) {
		bytes = out->v + out->at;
		n = out->n - out->at;
	} else {
		enum step step = receive_out(relay, &n);

		if (step != STEP_MORE)
			return step;
		if (relay->options.guarded)
			guard_out(&relay->guard, bytes, n);
	}
	sent = stream_write(relay->options.stream, bytes, n);
	if (sent < 0)
		return STEP_ENDED;
	relay->unanswered = 0;
	if (sent > 0 && relay->linger_end_ms)
		linger(relay);
	if ((size_t)sent == n) {
		way_clear(out);
		relay_set_stalled(relay, relay->linger_end_ms != 0);
		return STEP_MORE;
	}
	if (sent > 0 || !relay->stalled)
		relay_set_stalled(relay, true);
	if (!relay->server_ended_ms && way_has_hung_up(relay->server))
		relay_server_gone(relay);
	return way_keep(out, bytes, n, (size_t)sent, n) ? STEP_ENDED : STEP_IDLE;
}

/* ---- from the peer to the server ---- */

/* The peer's bytes wait for the guard. */
static enum step hold(struct relay *relay)
{
	struct relays *relays = relay->relays;
	struct relay *busiest;

	/* Nobody waits for the answer. */
	if (way_has_hung_up(relay->options.stream->fd))
		return STEP_ENDED;
	relay->guard.turn = false;
	relay_set_queue(relay, relay->guard.waiting ? QUEUE_POOL : QUEUE_OWN);
	busiest = relays_count_held(relays) > RELAY_HELD_MAX ? relays_find_busiest_held(relays)
							     : NULL;
	if (!busiest)
		return STEP_IDLE;
	busiest->guard.why = "too many connections wait for a call: closed";
	if (busiest == relay)
		return STEP_CUT;
	relay_cut(busiest, busiest->guard.why);
	return STEP_IDLE;
}

/* The next bytes from the peer. */
static enum step receive_in(struct relay *relay, size_t *n_out)
{
	struct stream *stream = relay->options.stream;
	ssize_t n;

	if (!relay->options.guarded && relay->options.ops->waits(relay->options.arg)) {
		if (way_is_gone(stream->fd))
			return STEP_ENDED;
		relay_set_queue(relay, QUEUE_PLAIN);
		return STEP_IDLE;
	}
	n = stream_read(stream, relay->relays->chunk, RELAY_CHUNK_BYTES);
	if (n == STREAM_AGAIN)
		return STEP_IDLE;
	if (n == STREAM_ENDED && !relay->options.guarded && !relay->server_ended_ms) {
		relay->half_closed = true;
		shutdown(relay->server, SHUT_WR);
		linger(relay);
		return STEP_IDLE;
	}
	if (n <= 0) {
		relay->guard.why = stream->why;
		return stream->why ? STEP_CUT : STEP_ENDED;
	}
	*n_out = (size_t)n;
	relay->received += *n_out;
	relay->unanswered += *n_out;
	if (relay->linger_end_ms)
		linger(relay);
	relay->guard.why = relay->options.ops->judge(relay->options.arg);
	return relay->guard.why ? STEP_CUT : STEP_MORE;
}

/* Do bytes that the server does not take yet wait for nobody? Those of HTTP/2 would hide the end;
 * behind those of HTTP/1.1 half of it may have come. */
static bool waits_in_vain(const struct relay *relay)
{
	const int fd = relay->options.stream->fd;

	return relay->options.guarded ? way_has_hung_up(fd) : way_is_gone(fd);
}

/* The server does not take all bytes; moved: it has taken some now. */
static enum step wait_for_server(struct relay *relay, bool moved)
{
	if (waits_in_vain(relay))
		return STEP_ENDED;
	if ((moved || !relay->linger_end_ms) && way_has_hung_up(relay->options.stream->fd))
		linger(relay);
	return STEP_IDLE;
}

static enum step pump_in(struct relay *relay)
{
	struct way *in = &relay->in;
	const uint8_t *bytes = relay->relays->chunk;
	enum guard_verdict verdict = GUARD_PASS;
	size_t n, passed = 0;
	ssize_t sent;

	if (relay->half_closed)
		return STEP_IDLE;
	/* So that all that the peer says is held to the server's settings. */
	if (relay->options.guarded && !guard_is_ready(&relay->guard))
		return STEP_IDLE;
	if (relay->server_ended_ms)
		return receive_in(relay, &n);
	if (in->v) {
		bytes = in->v + in->at;
		n = in->n - in->at;
		passed = in->passed - in->at;
	} else {
		enum step step = receive_in(relay, &n);

		if (step != STEP_MORE)
			return step;
	}
	if (!relay->options.guarded) {
		passed = n;
	} else if (passed < n) {
		const uint64_t streams = relay->guard.streams;
		const bool waited = relay->guard.waiting;
		size_t more;

		verdict =
			guard_in(&relay->guard, bytes + passed, n - passed, clock_now_ms(), &more);
		passed += more;
		/* Places become free by themselves. */
		if (waited && relay->guard.streams > streams)
			relay->relays->full_ms = 0;
	}
	if (verdict == GUARD_CUT)
		return STEP_CUT;
	if (verdict != GUARD_HOLD)
		relay_set_queue(relay, QUEUE_NONE);
	sent = way_send(relay->server, bytes, passed);
	if (sent == -EPIPE || sent == -ECONNRESET) {
		relay_server_gone(relay);
		return STEP_MORE;
	}
	if (sent < 0)
		return STEP_ENDED;
	/* The first bytes on this connection: there is room for all of them. */
	if (verdict == GUARD_ACKNOWLEDGE &&
		((size_t)sent < passed ||
			way_send(relay->server, guard_acknowledgement,
				sizeof guard_acknowledgement) != sizeof guard_acknowledgement))
		return STEP_ENDED;
	if ((size_t)sent == n) {
		way_clear(in);
		return STEP_MORE;
	}
	if (way_keep(in, bytes, n, (size_t)sent, passed))
		return STEP_ENDED;
	if (verdict == GUARD_ACKNOWLEDGE)
		return STEP_MORE;
	if (verdict == GUARD_HOLD && (size_t)sent == passed)
		return hold(relay);
	return wait_for_server(relay, sent > 0);
}

/* ---- a connection ---- */

void relay_cut(struct relay *relay, const char *why)
{
	const uint32_t last = relay->guard.last_id;
	const uint8_t goaway[] = {0, 0, 8, GOAWAY, 0, 0, 0, 0, 0, (uint8_t)(last >> 24),
		(uint8_t)(last >> 16), (uint8_t)(last >> 8), (uint8_t)last, 0, 0, 0,
		ENHANCE_YOUR_CALM};

	if (guard_is_ready(&relay->guard) && guard_out_is_between(&relay->guard) && !relay->out.v &&
		stream_write(relay->options.stream, goaway, sizeof goaway) == sizeof goaway)
		stream_finish(relay->options.stream);
	relay->options.ops->ended(relay->options.arg, why);
}

/* A peer that was refused may be sending its body still. */
static void drop(struct relay *relay)
{
	for (int i = 0; i < ROUNDS; i++) {
		ssize_t n =
			stream_drop(relay->options.stream, relay->relays->chunk, RELAY_CHUNK_BYTES);

		if (n == STREAM_AGAIN)
			return;
		relay->dropped += n > 0 ? (size_t)n : 0;
		if (n <= 0 || relay->dropped > RELAY_DROP_BYTES) {
			relay->options.ops->ended(relay->options.arg, NULL);
			return;
		}
	}
	relay_set_again(relay, true);
}

static void begin_dropping(struct relay *relay)
{
	stream_finish(relay->options.stream);
	way_clear(&relay->in);
	relay_set_queue(relay, QUEUE_NONE);
	relay->dropping = true;
	linger(relay);
	drop(relay);
}

/* false: it has ended, and may be gone. */
static bool relay_step_done(struct relay *relay, enum step step)
{
	if (step == STEP_SERVED && !relay->options.guarded && !relay->half_closed)
		begin_dropping(relay);
	else if (step == STEP_SERVED || step == STEP_ENDED)
		relay->options.ops->ended(relay->options.arg, NULL);
	else if (step == STEP_CUT)
		relay_cut(relay, relay->guard.why);
	return step == STEP_IDLE || step == STEP_MORE;
}

void relay_work(struct relay *relay)
{
	/* A server without a guard refuses what it does not want: it has a turn before much of that
	 * has come. */
	const int rounds = relay->options.guarded ? ROUNDS : 1;

	if (relay->dropping) {
		drop(relay);
		return;
	}
	for (int i = 0; i < rounds; i++) {
		enum step out = pump_out(relay), in;

		if (!relay_step_done(relay, out))
			return;
		in = pump_in(relay);
		if (!relay_step_done(relay, in))
			return;
		if (out != STEP_MORE && in != STEP_MORE)
			return;
	}
	relay_set_again(relay, true);
}

static void peer_ready(void *arg, int ready)
{
	struct relay *relay = arg;

	(void)ready;
	if (relay->in.v && waits_in_vain(relay))
		relay->options.ops->ended(relay->options.arg, NULL);
	else
		relay_work(relay);
}

static void server_ready(void *arg, int ready)
{
	(void)ready;
	relay_work(arg);
}

/* ---- life ---- */

int relay_new(struct relays *relays, const struct relay_options *options, struct relay **out,
	int *server_out)
{
	const int events = WATCH_READ | WATCH_WRITE | WATCH_EDGE;
	struct relay *relay = calloc(1, sizeof *relay);
	int ends[2], on = 1;

	if (!relay)
		return -ENOMEM;
	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, ends) < 0) {
		free(relay);
		return -errno;
	}
	/* Unix sockets know no delay and say so. */
	(void)setsockopt(options->stream->fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
	*relay = (struct relay){.relays = relays, .options = *options, .server = ends[0]};
	guard_init(&relay->guard, &relays->pool);
	LIST_INSERT_HEAD(&relays->all, relay, link);
	relay->peer_watch = watch_new(relays->loop, options->stream->fd, events, peer_ready, relay);
	relay->server_watch = watch_new(relays->loop, relay->server, events, server_ready, relay);
	if (!relay->peer_watch || !relay->server_watch) {
		relay_free(relay);
		close_fd(&ends[1]);
		return -ENOMEM;
	}
	*out = relay;
	*server_out = ends[1];
	return 0;
}

void relay_free(struct relay *relay)
{
	if (!relay)
		return;
	relay_set_queue(relay, QUEUE_NONE);
	relay_set_again(relay, false);
	relay_set_stalled(relay, false);
	guard_done(&relay->guard);
	LIST_REMOVE(relay, link);
	/* Before their descriptors are closed. */
	watch_free(relay->peer_watch);
	watch_free(relay->server_watch);
	close_fd(&relay->server);
	way_clear(&relay->in);
	way_clear(&relay->out);
	free(relay);
}

void relay_trust(struct relay *relay, bool trusted)
{
	guard_trust(&relay->guard, trusted);
	/* A trusted peer waits for no room. */
	if (trusted && relay->queue == QUEUE_POOL)
		relay_set_queue(relay, QUEUE_OWN);
}

bool relay_is_half_closed(const struct relay *relay)
{
	return relay->half_closed;
}

uint64_t relay_received(const struct relay *relay)
{
	return relay->received;
}

uint64_t relay_body_bytes(const struct relay *relay)
{
	return relay->options.guarded ? relay->guard.data_bytes : relay->received;
}
