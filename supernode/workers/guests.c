#include "supernode/workers/guests.h"

#include "common/base/cleanup.h"
#include "common/base/clock.h"
#include "common/base/text.h"
#include "common/listen/door.h"
#include "supernode/workers/exposure.h"
#include "supernode/workers/held_tokens.h"
#include "supernode/workers/process_looks.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>

#define SWEEP_MS          5000
#define DESCRIPTORS_SPARE 128
/* The rest of a body is on its way when its token ends: gRPC has announced 1 MiB to the peer, and
 * sockets hold some more. */
#define GRACE_BYTES (2 << 20)
#define GRACE_MS    5000
/* A client's idle time: how far off its clock may be, and how long after our start connections come
 * that are new to us, but not to clients which were there before. */
#define CLIENT_IDLE_SLACK_MS 5000
#define CLIENTS_RETURN_MS    180000

/* A connection, and what its peer has shown and done. */
struct guest {
	struct connection connection;
	int64_t used_ms;
	struct held_tokens held;
	int busy; /* calls that are receiving a body, or wait for a message */
	unsigned calls;
	int64_t first_ms;     /* its first call has ended */
	bool looked;          /* its peer's process has been looked for, or is being */
	int process;          /* a pidfd of it; -1 */
	int contents;         /* bodies of any size that it may send without a token */
	bool host;            /* it has shown a live one, or sends such a body, at the last look */
	uint64_t grace_bytes; /* that it may still send since it is no host any more */
	int64_t grace_end_ms;
};

struct guests {
	struct loop *loop;
	struct log *log;
	const struct guests_ops *ops;
	void *arg;
	struct door *door;
	bool direct; /* at the private socket: gRPC alone, without a guard */
	bool served; /* from the start of the servers until they are stopped */
	struct timer *sweep;
	struct process_looks *looks;
	int64_t started_ms;
};

static struct guest *guest_of(struct connection *connection)
{
	return container_of(connection, struct guest, connection);
}

static struct guest *guest_find(const struct guests *guests, const struct peer *peer)
{
	struct connection *connection = door_find(guests->door, peer);

	return connection ? guest_of(connection) : NULL;
}

static void guest_touch(struct guest *guest)
{
	guest->used_ms = clock_now_ms();
	connection_touch(&guest->connection);
}

/* ---- the tokens of a connection ---- */

static bool token_lives(const struct guests *guests, uint64_t token)
{
	return guests->ops->live(guests->arg, token);
}

/* Does the connection hold a token that lives? */
static bool is_host(const struct guests *guests, const struct guest *guest)
{
	return held_tokens_live(&guest->held, guests->ops->live, guests->arg);
}

bool guests_held(const struct guests *guests, uint64_t token)
{
	struct connection *at;

	TAILQ_FOREACH(at, door_connections(guests->door), link)
	if (held_tokens_find(&guest_of(at)->held, token))
		return true;
	return false;
}

/* Guests that claimed a token for the worker that now shows it hold it no more. */
static void release_claims(const struct guests *guests, uint64_t token)
{
	struct connection *at;

	TAILQ_FOREACH(at, door_connections(guests->door), link)
	held_tokens_release_claim(&guest_of(at)->held, token);
}

/* ---- complaints ---- */

void guests_complain(struct guests *guests, const struct peer *peer, const char *what)
{
	door_complain(guests->door, peer, what);
}

void guests_complain_refused(struct guests *guests, const struct peer *peer, const char *method,
	enum outcome outcome, const char *details)
{
	char what[256];

	door_count_refused(guests->door, peer);
	snprintf(what, sizeof what, "%s refused: %s: %s", method, outcome_name(outcome), details);
	guests_complain(guests, peer, what);
}

/* ---- what the door tells ---- */

/* May the client of this connection end it now for want of calls? Those of HTTP/1.1 do after some
 * seconds: heartbeats say that they live. When one of gRPC looks is known unless it has looked
 * before it came here; and it need not be when we see the end of its process. */
static bool client_is_idle(const struct guests *guests, const struct guest *guest)
{
	const struct front_end *front_end = guest->connection.front_end;
	int64_t now = clock_now_ms();
	int64_t since_look_ms = (now - guest->first_ms) % GUESTS_CLIENT_IDLE_MS;

	if (front_end && !front_end->http2)
		return !guest->busy;
	if (guest->busy || !guest->calls ||
		now < guest->used_ms + GUESTS_CLIENT_IDLE_MS - CLIENT_IDLE_SLACK_MS)
		return false;
	if (guest->process >= 0)
		return true;
	return since_look_ms <= CLIENT_IDLE_SLACK_MS ||
	       since_look_ms >= GUESTS_CLIENT_IDLE_MS - CLIENT_IDLE_SLACK_MS ||
	       guest->first_ms < guests->started_ms + CLIENTS_RETURN_MS;
}

static void guest_begun(void *arg, struct connection *connection)
{
	struct guest *guest = guest_of(connection);

	(void)arg;
	guest->used_ms = clock_now_ms();
	guest->process = -1;
}

/* Another descriptor of a process; -1: it is not known. */
static int process_dup(int process)
{
	return process < 0 ? -1 : fcntl(process, F_DUPFD_CLOEXEC, 3);
}

/* Tell of each token that only this connection, which has ended, held. */
static void tell_cut(const struct guests *guests, const struct guest *guest)
{
	bool idle = client_is_idle(guests, guest);

	for (size_t i = 0; i < guest->held.n; i++) {
		uint64_t token = guest->held.v[i].token;

		if (token_lives(guests, token) && !guests_held(guests, token))
			guests->ops->cut(guests->arg, token, process_dup(guest->process), idle,
				&guest->connection.peer);
	}
}

/* Other connections that hold a token of this one are its worker's, too: those whose process is not
 * known yet have it from this one. */
static void leave_process(const struct guests *guests, const struct guest *guest)
{
	struct connection *at;

	if (guest->process < 0)
		return;
	TAILQ_FOREACH(at, door_connections(guests->door), link)
	{
		struct guest *other = guest_of(at);

		for (size_t i = 0; i < guest->held.n && other->process < 0; i++)
			if (held_tokens_find(&other->held, guest->held.v[i].token))
				other->process = process_dup(guest->process);
	}
}

/* Who is at the other end of a connection, which may have ended meanwhile. */
static void process_looked(
	void *arg, const struct peer *peer, int process, const struct held_tokens *held)
{
	struct guests *guests = arg;
	auto_(close_at_exit) int owned = process;
	struct guest *guest = guest_find(guests, peer);

	if (guest && process >= 0) {
		log_debug(guests->log, "worker API: %s: the peer's process is known", peer->text);
		close_fd(&guest->process);
		/* The connection may end in found() below, and close its descriptor. */
		guest->process = process_dup(process);
	}
	for (size_t i = 0; i < held->n && process >= 0 && guests->served; i++)
		guests->ops->found(guests->arg, held->v[i].token, process_dup(process));
}

static void guest_ended(void *arg, struct connection *connection, bool by_peer)
{
	struct guests *guests = arg;
	struct guest *guest = guest_of(connection);

	/* A worker that is stopped early does so, and so does whoever looks whether the port is
	 * open. */
	if (guests->served && by_peer && !guest->calls)
		log_debug(guests->log, "worker API: %s: the connection ended without a call",
			connection->peer.text);
	if (guests->served && guests->ops->cut) {
		leave_process(guests, guest);
		tell_cut(guests, guest);
	}
	if (!process_looks_keep(guests->looks, &connection->peer, &guest->held))
		held_tokens_done(&guest->held);
	close_fd(&guest->process);
}

static void guest_unserved(
	void *arg, const struct peer *peer, enum door_unserved why, const char *bytes, size_t n)
{
	struct guests *guests = arg;
	char quoted[48];
	char what[128];

	if (why == DOOR_SILENT) {
		guests_complain(guests, peer,
			guests->direct ? "said nothing that is gRPC in time: closed"
				       : "said nothing that is gRPC or HTTP/1.1 in time: closed");
	} else if (why == DOOR_TLS) {
		guests_complain(guests, peer, bytes);
	} else if (why == DOOR_PLAIN) {
		text_quote(bytes, n, quoted, sizeof quoted);
		snprintf(what, sizeof what,
			"says %s without TLS, which this worker API is spoken to with: closed",
			quoted);
		guests_complain(guests, peer, what);
	} else if (why == DOOR_OTHER && n >= 2 && memcmp(bytes, "\x16\x03", 2) == 0) {
		guests_complain(guests, peer,
			"speaks TLS, which this worker API is without (--ssl-certfile): closed");
	} else if (why == DOOR_OTHER) {
		text_quote(bytes, n, quoted, sizeof quoted);
		snprintf(what, sizeof what, "says %s, which is %s: closed", quoted,
			guests->direct ? "not gRPC" : "neither gRPC nor HTTP/1.1");
		guests_complain(guests, peer, what);
	}
}

static bool is_idle(const struct guests *guests, const struct guest *guest)
{
	return !guest->busy && !is_host(guests, guest);
}

static bool connection_is_idle(const void *arg, const struct connection *connection)
{
	return is_idle(arg, container_of(connection, struct guest, connection));
}

/* End one that is idle, if not all are of use. */
static void guests_crowded(void *arg)
{
	struct guests *guests = arg;
	struct connection *idle = door_find_idle(guests->door, connection_is_idle);

	if (!idle)
		return;
	guests_complain(
		guests, &idle->peer, "too many connections: the one idle longest is closed");
	connection_end(idle);
}

/* The bytes until now may be of the token that has just ended, and some more of it follow. */
static void grace_begin(struct guest *guest)
{
	guest->grace_bytes = GRACE_BYTES;
	guest->grace_end_ms = clock_after(clock_now_ms(), GRACE_MS);
}

static void grace_use(struct guest *guest)
{
	uint64_t fresh;

	if (!guest->grace_bytes)
		return;
	fresh = connection_fresh(&guest->connection);
	if (fresh > guest->grace_bytes || clock_now_ms() >= guest->grace_end_ms) {
		guest->grace_bytes = 0;
		return;
	}
	guest->grace_bytes -= fresh;
	connection_forgive(&guest->connection);
}

/* Bytes came on the connection, or a call of it was refused. */
static const char *guest_judge(void *arg, struct connection *connection)
{
	struct guests *guests = arg;
	struct guest *guest = guest_of(connection);
	bool holds = is_host(guests, guest), host = guest->contents || holds;

	connection_trust(connection, holds);
	if (host || guest->host) {
		if (!host)
			grace_begin(guest);
		guest->host = host;
		connection_forgive(connection);
		return NULL;
	}
	grace_use(guest);
	if (connection_sends_too_much(connection) && !connection_can_wait(connection))
		return "sends too much without a token: closed";
	return connection_is_refused_often(connection) ? "too many calls were refused: closed"
						       : NULL;
}

/* Before it has shown a token; what it has sent until then has the head of its request in it. */
static bool guest_waits(void *arg, struct connection *connection)
{
	struct guests *guests = arg;
	const struct guest *guest = guest_of(connection);

	return connection_owes(connection) && !guest->contents && !is_host(guests, guest);
}

static const struct door_ops door_events = {.begun = guest_begun,
	.crowded = guests_crowded,
	.unserved = guest_unserved,
	.judge = guest_judge,
	.waits = guest_waits,
	.ended = guest_ended};

/* Connections that are idle without a token, or send too much, are closed. */
static void guests_sweep(void *arg)
{
	struct guests *guests = arg;
	int64_t now = clock_now_ms();
	struct connection *next;

	for (struct connection *at = TAILQ_FIRST(door_connections(guests->door)); at; at = next) {
		const struct guest *guest = guest_of(at);

		next = TAILQ_NEXT(at, link);
		if (!at->front_end)
			continue;
		if (is_idle(guests, guest) && now >= clock_after(guest->used_ms, GUESTS_IDLE_MS))
			/* The server closes its descriptor; the end is then reported as any other.
			 */
			shutdown(at->fd, SHUT_RDWR);
		else
			/* Bytes that gRPC has read before the door looked made no event. */
			connection_look(at);
	}
	timer_set(guests->sweep, clock_after(now, SWEEP_MS));
}

/* Some descriptors are left for the rest of the program. */
static unsigned connections_max(bool direct)
{
	const rlim_t each = direct ? 2 : 3;
	struct rlimit limit = {0};

	if (getrlimit(RLIMIT_NOFILE, &limit) < 0 || limit.rlim_cur <= DESCRIPTORS_SPARE)
		return 1;
	if (limit.rlim_cur - DESCRIPTORS_SPARE >= each * GUESTS_CONNECTIONS_MAX)
		return GUESTS_CONNECTIONS_MAX;
	return (unsigned)((limit.rlim_cur - DESCRIPTORS_SPARE) / each);
}

static int listen_somewhere(
	const struct guests_options *options, struct address_sockets *sockets, struct reason *why)
{
	if (!options->address)
		return address_listen_private(options->dir, sockets, why);
	if (strncmp(options->address, "unix:", 5) == 0)
		return address_listen_path(
			options->address + 5, options->socket_group, sockets, why);
	return address_listen(options->address, sockets, why);
}

int guests_new(const struct guests_options *options, struct guests **out, struct reason *why)
{
	struct guests *guests = calloc(1, sizeof *guests);
	auto_(address_sockets_done) struct address_sockets sockets = {0};
	bool open;
	int r;

	if (!guests)
		return -ENOMEM;
	*guests = (struct guests){.loop = options->loop,
		.log = options->log,
		.ops = options->ops,
		.arg = options->arg,
		.direct = !options->address};
	r = listen_somewhere(options, &sockets, why);
	open = sockets.open;
	if (r == 0)
		r = door_new(options->loop, options->log, &sockets,
			&(struct door_options){.name = "worker API",
				.connections_max = connections_max(guests->direct),
				.streams_max = options->streams_max,
				.direct = guests->direct,
				.tls = options->address ? options->tls : NULL,
				.connection_bytes = sizeof(struct guest),
				.ops = &door_events,
				.arg = guests},
			&guests->door);
	if (r == 0 && open)
		exposure_tell(options->log, options->address, options->tls, options->guarded);
	guests->sweep = r ? NULL : timer_new(options->loop, guests_sweep, guests);
	guests->looks = r ? NULL : process_looks_new(options->loop, process_looked, guests);
	if (!guests->sweep || !guests->looks) {
		guests_free(guests);
		return r ? r : -ENOMEM;
	}
	*out = guests;
	return 0;
}

void guests_register(struct guests *guests, const struct front_end *front_end)
{
	door_register(guests->door, front_end);
}

void guests_start(struct guests *guests)
{
	guests->served = true;
	guests->started_ms = clock_now_ms();
	door_open(guests->door);
	timer_set(guests->sweep, clock_after(clock_now_ms(), SWEEP_MS));
}

const char *guests_address(const struct guests *guests)
{
	return door_address(guests->door);
}

void guests_used(struct guests *guests, const struct peer *peer)
{
	struct guest *guest = guest_find(guests, peer);

	if (!guest)
		return;
	guest_touch(guest);
	if (guest->calls++ == 0)
		guest->first_ms = guest->used_ms;
}

bool guests_open(const struct guests *guests, const struct peer *peer)
{
	return guest_find(guests, peer) != NULL;
}

bool guests_stays(const struct guests *guests, const struct peer *peer)
{
	const struct guest *guest = guest_find(guests, peer);

	return guest && !connection_is_half_closed(&guest->connection);
}

uint64_t guests_received(const struct guests *guests, const struct peer *peer)
{
	const struct guest *guest = guest_find(guests, peer);

	return guest ? connection_received(&guest->connection) : 0;
}

int guests_hold(struct guests *guests, const struct peer *peer, uint64_t token, const char *said)
{
	struct guest *guest = guest_find(guests, peer);
	int r;

	if (!guest)
		return 0;
	r = held_tokens_show(&guest->held, token, guests->ops->live, guests->arg);
	if (r)
		return r;
	release_claims(guests, token);
	connection_lift(&guest->connection);
	connection_trust(&guest->connection, true);
	guest->host = true;
	guest->connection.refused = (struct debt){0};
	if (guests->ops->held)
		guests->ops->held(guests->arg, token, &guest->connection.peer);
	if (guests->ops->cut && !guest->looked && guest->connection.fd >= 0) {
		guest->looked = true;
		process_looks_begin(
			guests->looks, &guest->connection.peer, guest->connection.fd, said);
	}
	return 0;
}

void guests_claimed(struct guests *guests, const struct peer *peer, uint64_t token)
{
	const struct guest *guest = guest_find(guests, peer);
	struct held_token *entry = guest ? held_tokens_find(&guest->held, token) : NULL;

	if (entry)
		entry->claimed = true;
}

void guests_busy(struct guests *guests, const struct peer *peer, int change)
{
	struct guest *guest = guest_find(guests, peer);

	if (!guest)
		return;
	guest->busy += change;
	guest_touch(guest);
	if (guest->calls == 1)
		guest->first_ms = guest->used_ms;
}

void guests_content(struct guests *guests, const struct peer *peer, int change)
{
	struct guest *guest = guest_find(guests, peer);

	if (!guest)
		return;
	guest->contents += change;
	guest->host = true;
	if (change > 0)
		connection_lift(&guest->connection);
}

uint64_t guests_holds(const struct guests *guests, const struct peer *peer, size_t i)
{
	const struct guest *guest = guest_find(guests, peer);

	for (size_t at = 0; guest && at < guest->held.n; at++) {
		uint64_t token = guest->held.v[at].token;

		if (token_lives(guests, token) && i-- == 0)
			return token;
	}
	return 0;
}

unsigned guests_count(const struct guests *guests)
{
	return door_count(guests->door);
}

void guests_stop(struct guests *guests)
{
	guests->served = false;
	door_close(guests->door);
}

void guests_detach(struct guests *guests, const void *server)
{
	guests->served = guests->served && server;
	door_detach(guests->door, server);
}

void guests_free(struct guests *guests)
{
	if (!guests)
		return;
	if (guests->door) {
		guests_stop(guests);
		guests_detach(guests, NULL);
	}
	process_looks_free(take_pointer(&guests->looks));
	door_free(guests->door);
	timer_free(guests->sweep);
	free(guests);
}
