/*
 * A connection is looked at until its first bytes are known. Then a relay carries its bytes to a
 * front-end, past a guard; or, if it is direct, the front-end has a duplicate of its descriptor,
 * and the descriptor stays here, which tells bytes and the end.
 */
#include "common/listen/door.h"

#include "common/base/cleanup.h"
#include "common/base/clock.h"
#include "common/listen/acceptor.h"
#include "common/listen/peer.h"
#include "common/listen/way.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/socket.h>

#define COMPLAIN_MS 10000

struct door {
	struct loop *loop;
	struct log *log;
	struct door_options options;
	struct front_end front_ends[DOOR_FRONT_ENDS_MAX];
	size_t n_front_ends;
	struct acceptor *acceptor;
	struct relays *relays;
	struct timer *silent; /* for the oldest that is not served */
	bool silent_set;
	struct timer *refused;          /* some connection has had many calls refused */
	struct connections connections; /* the one used last first */
	unsigned count;
	unsigned handshakes; /* that have not ended */
	struct shares shares;
	uint64_t numbers;
	struct debt debt;      /* of all connections */
	int64_t complained_ms; /* when the last line was written; 0: none was */
	unsigned more;         /* not written since */
};

void door_complain(struct door *door, const struct peer *peer, const char *what)
{
	const char *name = door->options.name;
	int64_t now = clock_now_ms();

	if (door->complained_ms && now < door->complained_ms + COMPLAIN_MS) {
		door->more++;
		return;
	}
	if (door->more)
		log_warn(door->log, "%s: %s: %s (and %u more like it)", name, peer->text, what,
			door->more);
	else
		log_warn(door->log, "%s: %s: %s", name, peer->text, what);
	door->complained_ms = now;
	door->more = 0;
}

/* ---- a connection ---- */

static void connection_set_greeting(struct connection *connection, bool greeting)
{
	if (connection->greeting == greeting)
		return;
	connection->greeting = greeting;
	connection->share->handshakes += greeting ? 1 : -1U;
	connection->door->handshakes += greeting ? 1 : -1U;
}

static void connection_close(struct connection *connection, bool by_peer)
{
	struct door *door = connection->door;

	watch_free(connection->watch);
	relay_free(connection->relay);
	stream_done(&connection->stream);
	connection_set_greeting(connection, false);
	share_drop(connection->share);
	/* There are duplicates, of a direct one the server's; the server closes what it has when it
	 * sees the end. */
	shutdown(connection->fd, SHUT_RDWR);
	if (connection->front_end)
		connection->front_end->peer_gone(connection->front_end->server, &connection->peer);
	close_fd(&connection->fd);
	TAILQ_REMOVE(&door->connections, connection, link);
	door->count--;
	door->options.ops->ended(door->options.arg, connection, by_peer);
	free(connection);
}

void connection_end(struct connection *connection)
{
	connection_close(connection, false);
}

uint64_t connection_fresh(const struct connection *connection)
{
	return connection->allowance.received - connection->allowance.seen;
}

bool connection_sends_too_much(struct connection *connection)
{
	return allowance_exceeded(&connection->allowance, &connection->door->debt, clock_now_ms());
}

bool connection_owes(const struct connection *connection)
{
	return allowance_owed(&connection->allowance, &connection->door->debt, clock_now_ms());
}

bool connection_can_wait(const struct connection *connection)
{
	return connection->relay && connection->front_end && !connection->front_end->http2;
}

bool connection_is_half_closed(const struct connection *connection)
{
	return connection->relay && relay_is_half_closed(connection->relay);
}

uint64_t connection_received(const struct connection *connection)
{
	return connection->relay ? relay_body_bytes(connection->relay)
				 : connection->allowance.received;
}

static uint64_t peer_received(const struct peer *peer)
{
	return connection_received(container_of(peer, struct connection, peer));
}

void connection_lift(struct connection *connection)
{
	allowance_lift(&connection->allowance, connection->fd);
}

void connection_touch(struct connection *connection)
{
	TAILQ_REMOVE(&connection->door->connections, connection, link);
	TAILQ_INSERT_HEAD(&connection->door->connections, connection, link);
}

void connection_forgive(struct connection *connection)
{
	allowance_forgive(&connection->allowance);
}

void connection_trust(struct connection *connection, bool trusted)
{
	connection->peer.trusted = trusted;
	if (connection->relay)
		relay_trust(connection->relay, trusted);
}

static const char *connection_verdict(void *arg)
{
	struct connection *connection = arg;
	const struct door_options *options = &connection->door->options;

	if (connection->relay)
		connection->allowance.received = relay_received(connection->relay);
	return options->ops->judge(options->arg, connection);
}

/* false: it was cut off, and is gone. */
static bool connection_judge(struct connection *connection)
{
	const char *why = connection_verdict(connection);

	if (!why)
		return true;
	if (connection->relay) {
		relay_cut(connection->relay, why);
	} else {
		door_complain(connection->door, &connection->peer, why);
		connection_end(connection);
	}
	return false;
}

bool connection_is_refused_often(const struct connection *connection)
{
	struct debt now = connection->refused;

	debt_add(&now, 0, DOOR_REFUSED_S, clock_now_ms());
	return now.amount > DOOR_REFUSED_MAX;
}

void connection_look(struct connection *connection)
{
	(void)connection_judge(connection);
}

/* The server reads the bytes; the door looks how many they are, and for the end. */
static void connection_served(void *arg, int ready)
{
	struct connection *connection = arg;

	(void)ready;
	allowance_event(&connection->allowance, connection->fd);
	if (way_has_hung_up(connection->fd))
		connection_close(connection, true);
	else
		connection_look(connection);
}

static void relay_ended(void *arg, const char *why)
{
	struct connection *connection = arg;

	if (why)
		door_complain(connection->door, &connection->peer, why);
	connection_close(connection, !why);
}

static bool connection_waits(void *arg)
{
	struct connection *connection = arg;
	const struct door_options *options = &connection->door->options;

	return options->ops->waits && options->ops->waits(options->arg, connection);
}

static const struct relay_ops relay_events = {
	.judge = connection_verdict, .waits = connection_waits, .ended = relay_ended};

/* The front-end's descriptor of a connection whose bytes the door carries; -1: there is none. */
static int connection_relay(struct connection *connection, bool guarded)
{
	int fd;

	if (relay_new(connection->door->relays,
		    &(struct relay_options){.stream = &connection->stream,
			    .share = connection->share,
			    .guarded = guarded,
			    .ops = &relay_events,
			    .arg = connection},
		    &connection->relay, &fd))
		return -1;
	return fd;
}

/* The same of a direct one. */
static int connection_share(struct connection *connection)
{
	int fd = fcntl(connection->fd, F_DUPFD_CLOEXEC, 3);

	if (fd >= 0)
		connection->watch = watch_new(connection->door->loop, connection->fd,
			WATCH_READ | WATCH_EDGE, connection_served, connection);
	if (!connection->watch)
		close_fd(&fd);
	return fd;
}

/* All first bytes are there: the server speaks from now on. */
static void connection_serve(struct connection *connection, const struct front_end *front_end)
{
	struct door *door = connection->door;
	int fd;

	/* The owner may cut the connection off already: the server need not read its bytes then. */
	if (!connection_judge(connection))
		return;
	watch_free(connection->watch);
	connection->watch = NULL;
	fd = door->options.direct ? connection_share(connection)
				  : connection_relay(connection, front_end->http2);
	if (fd < 0) {
		door_complain(door, &connection->peer, "no descriptor left: closed");
		connection_end(connection);
		return;
	}
	connection->front_end = front_end;
	front_end->add(front_end->server, fd, &connection->peer);
	/* A direct connection that has ended by now makes no edge. */
	if (!connection->relay)
		connection_served(connection, WATCH_READ);
}

/* Find the front-end that knows these bytes. MATCH_NONE: no front-end will, whatever bytes
 * follow. */
static enum match find_front_end(
	const struct door *door, const char *bytes, size_t n, const struct front_end **out)
{
	enum match best = MATCH_NONE;

	for (size_t i = 0; i < door->n_front_ends; i++) {
		enum match match = door->front_ends[i].matches(bytes, n);

		if (match < best) {
			best = match;
			*out = &door->front_ends[i];
		}
	}
	return best;
}

/* The connection ends without a front-end: the owner is told why, by the n bytes. */
static void connection_unserved(
	struct connection *connection, enum door_unserved why, const void *bytes, size_t n)
{
	const struct door_options *options = &connection->door->options;

	options->ops->unserved(options->arg, &connection->peer, why, bytes, n);
	/* Words of TLS about it are on their way. */
	if (why == DOOR_TLS)
		stream_finish(&connection->stream);
	connection_end(connection);
}

/* Too many handshakes have not ended: the oldest ends of the address that has most of them. */
static void door_cut_handshake(struct door *door)
{
	static const char why[] = "too many TLS handshakes at once: the oldest is closed";
	struct connection *cut = NULL, *at;

	/* The newest come first. */
	TAILQ_FOREACH(at, &door->connections, link)
	if (at->greeting && (!cut || at->share->handshakes >= cut->share->handshakes))
		cut = at;
	if (cut)
		connection_unserved(cut, DOOR_TLS, why, sizeof why - 1);
}

static void connection_first_bytes(void *arg, int ready)
{
	struct connection *connection = arg;
	struct door *door = connection->door;
	struct stream *stream = &connection->stream;
	const struct front_end *front_end = NULL;
	uint8_t bytes[FRONT_END_BYTES];
	size_t plain = 0;
	ssize_t n = stream_peek(stream, bytes, sizeof bytes, &plain);
	enum match match;

	(void)ready;
	connection_set_greeting(connection, stream_is_greeting(stream));
	if (n == STREAM_AGAIN) {
		if (door->handshakes > DOOR_HANDSHAKES_MAX)
			door_cut_handshake(door);
		return;
	}
	if (n == STREAM_PLAIN) {
		connection_unserved(connection, DOOR_PLAIN, bytes, plain);
		return;
	}
	if (n < 0 && stream->why) {
		connection_unserved(connection, DOOR_TLS, stream->why, strlen(stream->why));
		return;
	}
	if (n < 0)
		n = 0;
	match = n ? find_front_end(door, (char *)bytes, (size_t)n, &front_end) : MATCH_PART;
	if (match == MATCH_WHOLE) {
		connection_serve(connection, front_end);
		return;
	}
	if (n && match == MATCH_PART && !way_has_hung_up(connection->fd))
		return;
	connection_unserved(
		connection, match == MATCH_NONE ? DOOR_OTHER : DOOR_ENDED, bytes, (size_t)n);
}

/* ---- the door ---- */

/* false: the new connection, which is peer's, has no place. */
static bool door_has_room(struct door *door, const struct peer *peer)
{
	if (door->count >= door->options.connections_max)
		door->options.ops->crowded(door->options.arg);
	if (door->count < door->options.connections_max)
		return true;
	door_complain(door, peer, "too many connections: closed");
	return false;
}

static void door_accepted(void *arg, int fd, const struct sockaddr_storage *address)
{
	struct door *door = arg;
	auto_(close_at_exit) int owned = fd;
	auto_(free_at_exit) struct connection *made = calloc(1, door->options.connection_bytes);
	struct connection *connection = made;

	if (!made)
		return;
	connection->peer.connection = ++door->numbers;
	peer_describe(fd, address, &connection->peer);
	if (!door_has_room(door, &connection->peer))
		return;
	connection->share = share_take(&door->shares, address, connection->peer.uid);
	if (!connection->share)
		return;
	connection->watch = watch_new(door->loop, fd,
		WATCH_READ | WATCH_EDGE | (door->options.tls ? WATCH_WRITE : 0),
		connection_first_bytes, connection);
	if (!connection->watch) {
		share_drop(connection->share);
		return;
	}
	take_pointer(&made);
	connection->door = door;
	connection->fd = take_fd(&owned);
	stream_init(&connection->stream, connection->fd, door->options.tls);
	connection->peer.received = peer_received;
	connection->deadline_ms = clock_after(clock_now_ms(), DOOR_PREFACE_MS);
	allowance_begin(&connection->allowance, connection->fd, clock_now_ms());
	TAILQ_INSERT_HEAD(&door->connections, connection, link);
	door->count++;
	if (!door->silent_set)
		timer_set(door->silent, connection->deadline_ms);
	door->silent_set = true;
	if (door->options.ops->begun)
		door->options.ops->begun(door->options.arg, connection);
	/* Bytes that came before the watch make no edge. */
	connection_first_bytes(connection, WATCH_READ);
}

static void door_paused(void *arg, const char *cause)
{
	const struct peer nobody = {.text = "new connections wait"};

	door_complain(arg, &nobody, cause);
}

static const struct acceptor_ops acceptor_events = {
	.accepted = door_accepted, .paused = door_paused};

/* A connection that has said nothing in time is closed. Nothing wakes the loop when there is none
 * to wait for. */
static void door_silent(void *arg)
{
	struct door *door = arg;
	int64_t now = clock_now_ms(), next_ms = CLOCK_NEVER;
	struct connection *next;

	for (struct connection *at = TAILQ_FIRST(&door->connections); at; at = next) {
		next = TAILQ_NEXT(at, link);
		if (at->front_end)
			continue;
		if (now < at->deadline_ms) {
			next_ms = at->deadline_ms;
			continue;
		}
		door->options.ops->unserved(door->options.arg, &at->peer, DOOR_SILENT, NULL, 0);
		connection_end(at);
	}
	door->silent_set = next_ms != CLOCK_NEVER;
	timer_set(door->silent, next_ms);
}

static void door_look_at_refused(void *arg)
{
	struct door *door = arg;
	struct connection *next;

	for (struct connection *at = TAILQ_FIRST(&door->connections); at; at = next) {
		next = TAILQ_NEXT(at, link);
		if (connection_is_refused_often(at))
			connection_look(at);
	}
}

void door_count_refused(struct door *door, const struct peer *peer)
{
	struct connection *connection = door_find(door, peer);

	if (!connection)
		return;
	debt_add(&connection->refused, 1, DOOR_REFUSED_S, clock_now_ms());
	/* Not now: the call is at work with its connection. */
	if (connection_is_refused_often(connection))
		timer_set(door->refused, 0);
}

int door_new(struct loop *loop, struct log *log, struct address_sockets *sockets,
	const struct door_options *options, struct door **out)
{
	struct door *door = calloc(1, sizeof *door);

	if (!door) {
		address_sockets_done(sockets);
		return -ENOMEM;
	}
	*door = (struct door){.loop = loop, .log = log, .options = *options};
	TAILQ_INIT(&door->connections);
	door->silent = timer_new(loop, door_silent, door);
	door->refused = timer_new(loop, door_look_at_refused, door);
	if (acceptor_new(loop, sockets, &acceptor_events, door, &door->acceptor) || !door->silent ||
		!door->refused || relays_new(loop, options->streams_max, &door->relays)) {
		door_free(door);
		return -ENOMEM;
	}
	*out = door;
	return 0;
}

void door_register(struct door *door, const struct front_end *front_end)
{
	assert(door->n_front_ends < DOOR_FRONT_ENDS_MAX);
	door->front_ends[door->n_front_ends++] = *front_end;
}

void door_open(struct door *door)
{
	acceptor_start(door->acceptor);
}

const char *door_address(const struct door *door)
{
	return acceptor_address(door->acceptor);
}

const struct connections *door_connections(const struct door *door)
{
	return &door->connections;
}

unsigned door_count(const struct door *door)
{
	return door->count;
}

struct connection *door_find(const struct door *door, const struct peer *peer)
{
	struct connection *at;

	TAILQ_FOREACH(at, &door->connections, link)
	if (at->peer.connection == peer->connection)
		break;
	return at;
}

struct connection *door_find_idle(const struct door *door,
	bool (*is_idle)(const void *arg, const struct connection *connection))
{
	const unsigned most = shares_most(&door->shares);
	struct connection *found = NULL, *at;

	TAILQ_FOREACH_REVERSE(at, &door->connections, connections, link)
	{
		const unsigned has = at->share->connections;

		if ((found && has <= found->share->connections) || !is_idle(door->options.arg, at))
			continue;
		found = at;
		if (has == most)
			break;
	}
	return found;
}

/* Connections still point to their front-end. */
void door_detach(struct door *door, const void *server)
{
	for (size_t i = 0; i < door->n_front_ends; i++) {
		struct front_end *front_end = &door->front_ends[i];

		if (server && front_end->server != server)
			continue;
		front_end_detach(front_end);
	}
}

void door_close(struct door *door)
{
	struct connection *next;

	acceptor_stop(door->acceptor);
	for (struct connection *at = TAILQ_FIRST(&door->connections); at; at = next) {
		next = TAILQ_NEXT(at, link);
		if (!at->front_end)
			connection_end(at);
	}
}

void door_free(struct door *door)
{
	if (!door)
		return;
	door_close(door);
	while (!TAILQ_EMPTY(&door->connections))
		connection_end(TAILQ_FIRST(&door->connections));
	acceptor_free(door->acceptor);
	relays_free(door->relays);
	timer_free(door->silent);
	timer_free(door->refused);
	free(door);
}
