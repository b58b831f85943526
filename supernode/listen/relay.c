/*
 * Bytes go through one buffer that all relays share; a relay has memory of its own only for what
 * the guard holds back, or the other side does not take. Both sockets are watched for edges, so
 * each is read and written until it says that it has no more.
 */
#include "supernode/listen/relay.h"

#include "common/base/cleanup.h"
#include "common/base/clock.h"
#include "supernode/listen/way.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <sys/queue.h>
#include <sys/socket.h>

#define CHUNK_BYTES (64 << 10)
#define ROUNDS      8    /* of one connection, before others have their turn */
#define HELD_MS     10   /* between looks at those that are held back */
#define FULL_MS     50   /* that all places may be taken while some wait for one */
#define STALLED_MS  1000 /* between looks at peers that take nothing */
#define CUT_READS   4    /* chunks of a peer that is cut */

#define GOAWAY            7
#define ENHANCE_YOUR_CALM 11

/* Where a relay waits that is held back: for its own limits, or for room in the pool. */
enum queue { QUEUE_NONE, QUEUE_OWN, QUEUE_POOL, QUEUES };

TAILQ_HEAD(relay_list, relay);

struct relay {
	struct relays *relays;
	struct relay_options options;
	int server; /* our end of the socketpair */
	struct watch *peer_watch, *server_watch;
	struct guard guard;
	struct way in, out;
	uint64_t received;
	LIST_ENTRY(relay) link;
	enum queue queue;
	TAILQ_ENTRY(relay) held_link; /* of its queue */
	bool again;                   /* it had more than a turn's work */
	TAILQ_ENTRY(relay) again_link;
	bool stalled; /* the peer does not take what is in out */
	TAILQ_ENTRY(relay) stalled_link;
	int64_t stalled_ms;      /* since when */
	int64_t look_ms;         /* the next look at it */
	int64_t server_ended_ms; /* when that was seen; 0: it was not. The peer's bytes go nowhere
				  * then */
};

struct relays {
	struct loop *loop;
	struct guard_pool pool;
	struct timer *timer;
	int64_t timer_ms;       /* it is set for */
	int64_t held_ms;        /* the next look at the queues */
	int64_t full_ms;        /* since when streams wait and get no place; 0: none does */
	LIST_HEAD(, relay) all; /* the newest first */
	struct relay_list queues[QUEUES];
	unsigned n[QUEUES];
	struct relay_list again;
	struct relay_list stalled; /* in the order of look_ms */
	unsigned n_again;
	uint8_t *chunk;
};

/* The outcome of a step. */
enum step { STEP_IDLE, STEP_MORE, STEP_ENDED, STEP_CUT };

/* ---- queues ---- */

static void set_timer(struct relays *relays, int64_t at_ms)
{
	if (relays->timer_ms <= at_ms)
		return;
	relays->timer_ms = at_ms;
	timer_set(relays->timer, at_ms);
}

static unsigned count_held(const struct relays *relays)
{
	return relays->n[QUEUE_OWN] + relays->n[QUEUE_POOL];
}

static void set_queue(struct relay *relay, enum queue queue)
{
	struct relays *relays = relay->relays;

	if (relay->queue == queue)
		return;
	if (relay->queue != QUEUE_NONE) {
		TAILQ_REMOVE(&relays->queues[relay->queue], relay, held_link);
		relays->n[relay->queue]--;
	}
	relay->queue = queue;
	if (queue == QUEUE_NONE)
		return;
	TAILQ_INSERT_TAIL(&relays->queues[queue], relay, held_link);
	if (count_held(relays) == 0)
		relays->held_ms = clock_after(clock_now_ms(), HELD_MS);
	relays->n[queue]++;
	set_timer(relays, relays->held_ms);
}

static void set_again(struct relay *relay, bool again)
{
	struct relays *relays = relay->relays;

	if (relay->again == again)
		return;
	relay->again = again;
	if (!again) {
		TAILQ_REMOVE(&relays->again, relay, again_link);
		relays->n_again--;
		return;
	}
	TAILQ_INSERT_TAIL(&relays->again, relay, again_link);
	relays->n_again++;
	set_timer(relays, 0);
}

/* The look at a stalled relay comes behind those at the others. */
static void look_later(struct relay *relay, int64_t now_ms)
{
	relay->look_ms = clock_after(now_ms, STALLED_MS);
	TAILQ_INSERT_TAIL(&relay->relays->stalled, relay, stalled_link);
}

static void set_stalled(struct relay *relay, bool stalled)
{
	struct relays *relays = relay->relays;

	relay->stalled_ms = clock_now_ms();
	if (relay->stalled == stalled)
		return;
	relay->stalled = stalled;
	if (!stalled) {
		TAILQ_REMOVE(&relays->stalled, relay, stalled_link);
		return;
	}
	look_later(relay, relay->stalled_ms);
	set_timer(relays, relay->look_ms);
}

/* ---- bytes ---- */

/* Read into the shared buffer. *n_out bytes with STEP_MORE. */
static enum step receive(struct relay *relay, int fd, size_t *n_out)
{
	ssize_t n;

	do
		n = recv(fd, relay->relays->chunk, CHUNK_BYTES, MSG_DONTWAIT);
	while (n < 0 && errno == EINTR);
	if (n < 0 && errno == EAGAIN)
		return STEP_IDLE;
	if (n <= 0)
		return STEP_ENDED;
	*n_out = (size_t)n;
	return STEP_MORE;
}

/* ---- from the server to the peer ---- */

/* The server takes nothing any more; its last bytes are still on their way to the peer. */
static void server_gone(struct relay *relay)
{
	relay->server_ended_ms = clock_now_ms();
	way_clear(&relay->in);
	set_queue(relay, QUEUE_NONE);
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
		enum step step = receive(relay, relay->server, &n);

		if (step != STEP_MORE)
			return step;
		if (relay->options.guarded)
			guard_out(&relay->guard, bytes, n);
	}
	sent = way_send(relay->options.fd, bytes, n);
	if (sent < 0)
		return STEP_ENDED;
	if ((size_t)sent == n) {
		way_clear(out);
		set_stalled(relay, false);
		return STEP_MORE;
	}
	if (sent > 0 || !relay->stalled)
		set_stalled(relay, true);
	if (!relay->server_ended_ms && way_has_hung_up(relay->server))
		server_gone(relay);
	return way_keep(out, bytes, n, (size_t)sent, n) ? STEP_ENDED : STEP_IDLE;
}

/* ---- from the peer to the server ---- */

/* The one that has opened most streams lately of those that are held back; among equals the one
 * that is held longest. */
static struct relay *find_busiest_held(const struct relays *relays)
{
	const int64_t now_ms = clock_now_ms();
	struct relay *most = NULL;
	double most_new = 0;

	for (enum queue queue = QUEUE_OWN; queue <= QUEUE_POOL; queue++) {
		struct relay *at;

		TAILQ_FOREACH(at, &relays->queues[queue], held_link)
		{
			double new = guard_new_streams(&at->guard, now_ms);

			if (at->guard.trusted || (most && new <= most_new))
				continue;
			most = at;
			most_new = new;
		}
	}
	return most;
}

/* The peer's bytes wait for the guard. */
static enum step hold(struct relay *relay)
{
	struct relays *relays = relay->relays;
	struct relay *busiest;

	/* Nobody waits for the answer. */
	if (way_has_hung_up(relay->options.fd))
		return STEP_ENDED;
	relay->guard.turn = false;
	set_queue(relay, relay->guard.waiting ? QUEUE_POOL : QUEUE_OWN);
	busiest = count_held(relays) > RELAY_HELD_MAX ? find_busiest_held(relays) : NULL;
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
	enum step step = receive(relay, relay->options.fd, n_out);
	const char *why;

	if (step != STEP_MORE)
		return step;
	relay->received += *n_out;
	why = relay->options.ops->judge(relay->options.arg);
	if (!why)
		return STEP_MORE;
	relay->guard.why = why;
	return STEP_CUT;
}

static enum step pump_in(struct relay *relay)
{
	struct way *in = &relay->in;
	const uint8_t *bytes = relay->relays->chunk;
	enum guard_verdict verdict = GUARD_PASS;
	size_t n, passed = 0;
	ssize_t sent;

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
		set_queue(relay, QUEUE_NONE);
	sent = way_send(relay->server, bytes, passed);
	if (sent == -EPIPE || sent == -ECONNRESET) {
		server_gone(relay);
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
	return way_has_hung_up(relay->options.fd) ? STEP_ENDED : STEP_IDLE;
}

/* ---- a connection ---- */

/* End our half, and read what is there: bytes that are unread when the socket is closed make a
 * reset, which may overtake what was sent. */
static void finish(struct relay *relay)
{
	size_t n;

	shutdown(relay->options.fd, SHUT_WR);
	for (int i = 0; i < CUT_READS; i++)
		if (receive(relay, relay->options.fd, &n) != STEP_MORE)
			return;
}

void relay_cut(struct relay *relay, const char *why)
{
	const uint32_t last = relay->guard.last_id;
	const uint8_t goaway[] = {0, 0, 8, GOAWAY, 0, 0, 0, 0, 0, (uint8_t)(last >> 24),
		(uint8_t)(last >> 16), (uint8_t)(last >> 8), (uint8_t)last, 0, 0, 0,
		ENHANCE_YOUR_CALM};

	if (guard_is_ready(&relay->guard) && guard_out_is_between(&relay->guard) && !relay->out.v &&
		way_send(relay->options.fd, goaway, sizeof goaway) == sizeof goaway)
		finish(relay);
	relay->options.ops->ended(relay->options.arg, why);
}

/* false: it has ended, and is gone. */
static bool relay_step_done(struct relay *relay, enum step step)
{
	if (step == STEP_ENDED) {
		/* A caller that was refused may be sending its body still. */
		if (!relay->options.guarded)
			finish(relay);
		relay->options.ops->ended(relay->options.arg, NULL);
	} else if (step == STEP_CUT) {
		relay_cut(relay, relay->guard.why);
	}
	return step != STEP_ENDED && step != STEP_CUT;
}

static void relay_work(struct relay *relay)
{
	for (int i = 0; i < ROUNDS; i++) {
		enum step out = pump_out(relay), in;

		if (!relay_step_done(relay, out))
			return;
		in = pump_in(relay);
		if (!relay_step_done(relay, in))
			return;
		if (out != STEP_MORE && in != STEP_MORE)
			return;
	}
	set_again(relay, true);
}

static void peer_ready(void *arg, int ready)
{
	struct relay *relay = arg;

	(void)ready;
	/* Bytes that wait here are of no use any more, and would hide the end. */
	if (relay->in.v && way_has_hung_up(relay->options.fd))
		relay->options.ops->ended(relay->options.arg, NULL);
	else
		relay_work(relay);
}

static void server_ready(void *arg, int ready)
{
	(void)ready;
	relay_work(arg);
}

/* ---- all of a door ---- */

/* Among equals the newest: a worker's connection stays. */
static struct relay *find_most_open(const struct relays *relays)
{
	struct relay *most = NULL, *at;

	LIST_FOREACH(at, &relays->all, link)
	if (!at->guard.trusted && at->guard.open && (!most || at->guard.open > most->guard.open))
		most = at;
	return most;
}

/* All places for streams are taken, and have been while some wait: the connection that has most of
 * them ends. */
static void make_room(struct relays *relays, int64_t now_ms)
{
	struct relay *most;

	if (relays->pool.open < relays->pool.streams_max ||
		TAILQ_EMPTY(&relays->queues[QUEUE_POOL])) {
		relays->full_ms = 0;
		return;
	}
	if (!relays->full_ms)
		relays->full_ms = now_ms;
	if (now_ms < relays->full_ms + FULL_MS)
		return;
	relays->full_ms = now_ms;
	most = find_most_open(relays);
	if (most)
		relay_cut(most, "has most of too many open calls: closed");
}

/* Each that was there has a turn; those that are held back again go to the end. */
static void serve_held(struct relays *relays, enum queue queue)
{
	struct relay_list *list = &relays->queues[queue];

	for (unsigned n = relays->n[queue]; n > 0 && !TAILQ_EMPTY(list); n--) {
		struct relay *relay = TAILQ_FIRST(list);

		if (queue == QUEUE_POOL && !guard_pool_has_room(&relays->pool, clock_now_ms()))
			return;
		set_queue(relay, QUEUE_NONE);
		relay->guard.turn = queue == QUEUE_POOL;
		relay_work(relay);
	}
}

static void serve_again(struct relays *relays)
{
	struct relay_list *list = &relays->again;

	for (unsigned n = relays->n_again; n > 0 && !TAILQ_EMPTY(list); n--) {
		struct relay *relay = TAILQ_FIRST(list);

		set_again(relay, false);
		relay_work(relay);
	}
}

static bool has_stalled_long(const struct relay *relay, int64_t now_ms)
{
	return now_ms >= clock_after(relay->stalled_ms, RELAY_STALL_MS) ||
	       (relay->server_ended_ms &&
		       now_ms >= clock_after(relay->server_ended_ms, RELAY_FLUSH_MS));
}

static void end_stalled(struct relays *relays, int64_t now_ms)
{
	struct relay *at;

	while ((at = TAILQ_FIRST(&relays->stalled)) && now_ms >= at->look_ms) {
		TAILQ_REMOVE(&relays->stalled, at, stalled_link);
		look_later(at, now_ms);
		if (!at->server_ended_ms && way_has_hung_up(at->server))
			server_gone(at);
		if (has_stalled_long(at, now_ms))
			at->options.ops->ended(at->options.arg, NULL);
	}
}

static void relays_tick(void *arg)
{
	struct relays *relays = arg;
	int64_t now_ms = clock_now_ms();

	relays->timer_ms = CLOCK_NEVER;
	serve_again(relays);
	if (count_held(relays) && now_ms >= relays->held_ms) {
		relays->held_ms = clock_after(now_ms, HELD_MS);
		make_room(relays, now_ms);
		serve_held(relays, QUEUE_OWN);
		serve_held(relays, QUEUE_POOL);
	}
	end_stalled(relays, now_ms);
	if (!TAILQ_EMPTY(&relays->again))
		set_timer(relays, 0);
	if (count_held(relays))
		set_timer(relays, relays->held_ms);
	else
		relays->full_ms = 0;
	if (!TAILQ_EMPTY(&relays->stalled))
		set_timer(relays, TAILQ_FIRST(&relays->stalled)->look_ms);
}

/* ---- life ---- */

int relays_new(struct loop *loop, unsigned streams_max, struct relays **out)
{
	auto_(free_at_exit) struct relays *relays = calloc(1, sizeof *relays);

	if (!relays)
		return -ENOMEM;
	*relays = (struct relays){.loop = loop,
		.pool = {.streams_max = streams_max},
		.timer_ms = CLOCK_NEVER,
		.chunk = malloc(CHUNK_BYTES)};
	LIST_INIT(&relays->all);
	for (enum queue queue = QUEUE_OWN; queue < QUEUES; queue++)
		TAILQ_INIT(&relays->queues[queue]);
	TAILQ_INIT(&relays->again);
	TAILQ_INIT(&relays->stalled);
	relays->timer = timer_new(loop, relays_tick, relays);
	if (!relays->chunk || !relays->timer) {
		relays_free(take_pointer(&relays));
		return -ENOMEM;
	}
	*out = take_pointer(&relays);
	return 0;
}

void relays_free(struct relays *relays)
{
	if (!relays)
		return;
	timer_free(relays->timer);
	free(relays->chunk);
	free(relays);
}

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
	(void)setsockopt(options->fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
	*relay = (struct relay){.relays = relays, .options = *options, .server = ends[0]};
	guard_init(&relay->guard, &relays->pool);
	LIST_INSERT_HEAD(&relays->all, relay, link);
	relay->peer_watch = watch_new(relays->loop, options->fd, events, peer_ready, relay);
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
	set_queue(relay, QUEUE_NONE);
	set_again(relay, false);
	set_stalled(relay, false);
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
		set_queue(relay, QUEUE_OWN);
}

uint64_t relay_received(const struct relay *relay)
{
	return relay->received;
}

uint64_t relay_body_bytes(const struct relay *relay)
{
	return relay->options.guarded ? relay->guard.data_bytes : relay->received;
}
