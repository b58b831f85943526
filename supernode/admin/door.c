#include "supernode/admin/door.h"

#include "common/base/cleanup.h"
#include "common/base/clock.h"
#include "supernode/listen/acceptor.h"
#include "supernode/listen/guest.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

/*
 * A connection is looked at until it has said its preface; then its descriptor goes to the server,
 * and a duplicate of it stays here, which tells the end.
 */
struct connection {
	struct connection *next; /* older */
	struct door *door;
	struct peer peer;
	int fd;              /* the duplicate once it is served */
	struct watch *watch; /* of fd */
	bool served;
	unsigned kept; /* calls that stay */
	int64_t deadline_ms;
	struct guest guest;
};

struct door {
	struct loop *loop;
	struct log *log;
	const char *name;
	struct rpc_server *server;
	struct acceptor *acceptor;
	struct timer *silent;           /* for the oldest that has not said its preface */
	struct connection *connections; /* the newest first */
	unsigned count;
	unsigned kept; /* connections with calls that stay */
	uint64_t numbers;
	struct guest_debt guests;
	struct complaints complaints;
};

void door_complain(struct door *door, const struct peer *peer, const char *what)
{
	complain(&door->complaints, door->log, door->name, peer->text, what);
}

/* ---- a connection ---- */

static void connection_free(struct connection *connection)
{
	struct door *door = connection->door;
	struct connection **at = &door->connections;

	while (*at != connection)
		at = &(*at)->next;
	*at = connection->next;
	door->count--;
	if (connection->kept)
		door->kept--;
	watch_free(connection->watch);
	if (connection->served) {
		/* The server holds a descriptor of its own, and closes it when it sees the end. */
		shutdown(connection->fd, SHUT_RDWR);
		if (door->server)
			rpc_server_peer_gone(door->server, &connection->peer);
	}
	close_fd(&connection->fd);
	free(connection);
}

/* What bytes say is the server's business; how many they are, and the end, is ours. */
static void connection_served(void *arg, int ready)
{
	struct connection *connection = arg;
	struct door *door = connection->door;

	(void)ready;
	if (socket_half_closed(connection->fd)) {
		connection_free(connection);
	} else if (guest_sends_too_much(
			   &connection->guest, &door->guests, connection->fd, clock_now_ms())) {
		door_complain(door, &connection->peer, "sends too much: closed");
		guest_cut(connection->fd);
		connection_free(connection);
	}
}

/* All of the preface is there: the server speaks from now on. */
static void connection_serve(struct connection *connection)
{
	struct door *door = connection->door;
	int fd = fcntl(connection->fd, F_DUPFD_CLOEXEC, 3);

	watch_free(connection->watch);
	connection->watch = NULL;
	if (fd >= 0)
		connection->watch = watch_new(door->loop, connection->fd, WATCH_READ | WATCH_EDGE,
			connection_served, connection);
	if (!connection->watch) {
		close_fd(&fd);
		door_complain(door, &connection->peer, "no descriptor or memory left: closed");
		connection_free(connection);
		return;
	}
	connection->served = true;
	rpc_server_add(door->server, fd, &connection->peer);
	/* What has ended by now makes no edge. */
	connection_served(connection, WATCH_READ);
}

static void connection_look(void *arg, int ready)
{
	struct connection *connection = arg;
	struct door *door = connection->door;
	char bytes[PREFACE_BYTES];
	ssize_t n = recv(connection->fd, bytes, sizeof bytes, MSG_PEEK | MSG_DONTWAIT);
	enum preface preface;

	(void)ready;
	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	preface = n > 0 ? preface_of(bytes, (size_t)n) : PREFACE_OTHER;
	if (preface == PREFACE_WHOLE) {
		connection_serve(connection);
		return;
	}
	if (preface == PREFACE_PART && !socket_half_closed(connection->fd))
		return;
	/* Nobody has to act on it: who looks whether the port is open ends like this. */
	log_debug(door->log, "%s: %s: %s", door->name, connection->peer.text,
		n > 0 ? "says nothing that is gRPC: closed" : "ended without a word");
	connection_free(connection);
}

/* ---- the door ---- */

static void door_make_room(struct door *door)
{
	struct connection *oldest = NULL;

	for (struct connection *at = door->connections; at; at = at->next)
		if (!at->kept)
			oldest = at;
	/* DOOR_KEPT_MAX sees to it that there is one. */
	door_complain(door, &oldest->peer, "too many connections: the oldest idle one is closed");
	connection_free(oldest);
}

/* fd is taken over. */
static void connection_new(struct door *door, int fd, const struct sockaddr_storage *address)
{
	auto_(close_at_exit) int owned = fd;
	auto_(free_at_exit) struct connection *connection = calloc(1, sizeof *connection);
	struct connection *made;

	if (!connection)
		return;
	connection->watch =
		watch_new(door->loop, fd, WATCH_READ | WATCH_EDGE, connection_look, connection);
	if (!connection->watch)
		return;
	if (door->count >= DOOR_CONNECTIONS_MAX)
		door_make_room(door);
	connection->door = door;
	connection->fd = take_fd(&owned);
	connection->peer.connection = ++door->numbers;
	address_text(address, connection->peer.text, sizeof connection->peer.text);
	connection->deadline_ms = clock_after(clock_now_ms(), DOOR_PREFACE_MS);
	guest_begin(&connection->guest, connection->fd, clock_now_ms());
	made = take_pointer(&connection);
	made->next = door->connections;
	door->connections = made;
	door->count++;
	/* Bytes that came before the watch make no edge. */
	connection_look(made, WATCH_READ);
}

/* Who said nothing in time is closed. Nothing wakes us when there is nobody to wait for. */
static void door_silent(void *arg)
{
	struct door *door = arg;
	int64_t now = clock_now_ms(), next_ms = CLOCK_NEVER;
	struct connection *next;

	for (struct connection *at = door->connections; at; at = next) {
		next = at->next;
		if (at->served)
			continue;
		if (now < at->deadline_ms) {
			next_ms = at->deadline_ms;
			continue;
		}
		log_debug(door->log, "%s: %s: says nothing: closed", door->name, at->peer.text);
		connection_free(at);
	}
	timer_set(door->silent, next_ms);
}

static void door_accepted(void *arg, int fd, const struct sockaddr_storage *address)
{
	struct door *door = arg;

	connection_new(door, fd, address);
	door_silent(door);
}

static void door_paused(void *arg, const char *cause)
{
	const struct peer nobody = {.text = "new connections wait"};

	door_complain(arg, &nobody, cause);
}

static const struct acceptor_ops acceptor_events = {
	.accepted = door_accepted, .paused = door_paused};

int door_new(struct loop *loop, struct log *log, const char *name, const char *address,
	struct door **out, struct reason *why)
{
	struct door *door = calloc(1, sizeof *door);
	struct address_sockets sockets = {0};
	int r;

	if (!door)
		return -ENOMEM;
	door->loop = loop;
	door->log = log;
	door->name = name;
	r = address_listen(address, &sockets, why);
	if (r == 0)
		r = acceptor_new(loop, &sockets, &acceptor_events, door, &door->acceptor);
	if (r == 0) {
		door->silent = timer_new(loop, door_silent, door);
		r = door->silent ? 0 : -ENOMEM;
	}
	if (r) {
		door_free(door);
		return r;
	}
	*out = door;
	return 0;
}

void door_open(struct door *door, struct rpc_server *server)
{
	door->server = server;
	acceptor_start(door->acceptor);
}

const char *door_address(const struct door *door)
{
	return acceptor_address(door->acceptor);
}

static struct connection *connection_of(const struct door *door, const struct peer *peer)
{
	for (struct connection *at = door->connections; at; at = at->next)
		if (at->peer.connection == peer->connection)
			return at;
	return NULL;
}

bool door_keep(struct door *door, const struct peer *peer)
{
	struct connection *connection = connection_of(door, peer);

	if (!connection)
		return true; /* it has ended, and its calls will in a moment */
	if (!connection->kept && door->kept >= DOOR_KEPT_MAX)
		return false;
	if (connection->kept++ == 0)
		door->kept++;
	return true;
}

void door_let_go(struct door *door, const struct peer *peer)
{
	struct connection *connection = connection_of(door, peer);

	if (connection && --connection->kept == 0)
		door->kept--;
}

void door_detach(struct door *door)
{
	door->server = NULL;
}

void door_close(struct door *door)
{
	struct connection *next;

	acceptor_stop(door->acceptor);
	for (struct connection *at = door->connections; at; at = next) {
		next = at->next;
		if (!at->served)
			connection_free(at);
	}
}

void door_free(struct door *door)
{
	if (!door)
		return;
	door_close(door);
	while (door->connections)
		connection_free(door->connections);
	acceptor_free(door->acceptor);
	timer_free(door->silent);
	free(door);
}
