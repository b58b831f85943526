#include "supernode/workers/listener.h"

#include "common/base/cleanup.h"
#include "common/base/clock.h"
#include "common/base/text.h"
#include "common/rpc/traffic.h"
#include "supernode/listen/acceptor.h"
#include "supernode/listen/guest.h"
#include "supernode/workers/peer_process.h"

#include <errno.h>
#include <fcntl.h>
#include <stddef.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>

#define SWEEP_MS          5000
#define DESCRIPTORS_SPARE 128
#define REFUSED_MAX       64 /* calls on a connection that has shown no token */
#define SAID_BYTES        256
/* A client's idle time: how far off its clock may be, and how long after our start connections come
 * that are new to us, but not to clients which were there before. */
#define CLIENT_IDLE_SLACK_MS 5000
#define CLIENTS_RETURN_MS    180000

/*
 * A connection is sniffed on its descriptor; then that goes to the server, and a duplicate of it
 * stays here, in an epoll set that reports nothing but the end.
 */
struct connection {
	struct connection *next, **at;
	struct listener *listener;
	struct peer peer;
	int fd;              /* while sniffing; -1 afterwards */
	int end_fd;          /* the duplicate */
	struct watch *watch; /* while sniffing */
	int64_t deadline_ms; /* while sniffing */
	int64_t used_ms;
	uint64_t token; /* that was shown last */
	int busy;       /* calls that are receiving a body, or wait for a message */
	unsigned calls;
	int64_t first_ms;   /* its first call has ended */
	bool looked;        /* its peer's process has been looked for, or is being */
	int process;        /* a pidfd of it; -1 */
	struct guest guest; /* while its peer has shown no token */
	int contents;       /* bodies that it may send without one */
	bool host;          /* it has shown one, or sends such a body, at the last look */
	unsigned refused;   /* calls, since a token was shown */
};

/* The search for the process of a connection's peer, on the io thread. */
struct look {
	struct look *next;
	struct job job;
	struct listener *listener; /* waits for it */
	uint64_t connection;
	uint64_t token;
	int fd;
	char said[SAID_BYTES];
	int process;
};

struct listener {
	struct loop *loop;
	struct log *log;
	const struct listener_ops *ops;
	void *arg;
	struct rpc_server *server;
	struct acceptor *acceptor;
	int ends; /* epoll set of the duplicates */
	struct watch *ends_watch;
	struct timer *sweep;
	struct connection *connections;
	struct look *looks;
	unsigned count;
	unsigned connections_max;
	uint64_t numbers;
	int64_t started_ms;
	struct guest_debt guests;
	struct complaints complaints;
};

void listener_complain(struct listener *listener, const struct peer *peer, const char *what)
{
	complain(&listener->complaints, listener->log, "worker API", peer->text, what);
}

static struct connection *connection_of(const struct listener *listener, const struct peer *peer);

void listener_complain_refused(struct listener *listener, const struct peer *peer,
	const char *method, enum outcome outcome, const char *details)
{
	struct connection *connection = connection_of(listener, peer);
	char what[256];

	/* From the loop: the call that is refused is at work with its connection. */
	if (connection && ++connection->refused > REFUSED_MAX)
		timer_set(listener->sweep, 0);
	snprintf(what, sizeof what, "%s refused: %s: %s", method, outcome_name(outcome), details);
	listener_complain(listener, peer, what);
}

static bool is_held(const struct listener *listener, uint64_t token)
{
	for (const struct connection *at = listener->connections; at; at = at->next)
		if (at->token == token)
			return true;
	return false;
}

/* May the client of this connection end it now for want of calls? When it looks is known unless it
 * has looked before it came here; and it need not be when we see the end of its process. */
static bool client_is_idle(const struct connection *connection)
{
	const struct listener *listener = connection->listener;
	int64_t now = clock_now_ms();
	int64_t since_look_ms = (now - connection->first_ms) % LISTENER_CLIENT_IDLE_MS;

	if (connection->busy || !connection->calls ||
		now < connection->used_ms + LISTENER_CLIENT_IDLE_MS - CLIENT_IDLE_SLACK_MS)
		return false;
	if (connection->process >= 0)
		return true;
	return since_look_ms <= CLIENT_IDLE_SLACK_MS ||
	       since_look_ms >= LISTENER_CLIENT_IDLE_MS - CLIENT_IDLE_SLACK_MS ||
	       connection->first_ms < listener->started_ms + CLIENTS_RETURN_MS;
}

static void connection_free(struct connection *connection)
{
	struct listener *listener = connection->listener;
	const struct listener_ops *ops = listener->ops;
	uint64_t token = connection->token;
	bool cut = token && ops->cut && listener->server && ops->live(listener->arg, token);

	watch_free(connection->watch);
	close_fd(&connection->fd);
	if (connection->end_fd >= 0) {
		/* The server's descriptor may keep the socket open, and with it the set's entry. */
		epoll_ctl(listener->ends, EPOLL_CTL_DEL, connection->end_fd, NULL);
		if (listener->server)
			rpc_server_peer_gone(listener->server, &connection->peer);
	}
	close_fd(&connection->end_fd);
	*connection->at = connection->next;
	if (connection->next)
		connection->next->at = connection->at;
	listener->count--;
	if (cut && !is_held(listener, token)) {
		bool idle = client_is_idle(connection);

		ops->cut(listener->arg, token, take_fd(&connection->process), idle,
			&connection->peer);
	}
	close_fd(&connection->process);
	free(connection);
}

/* All of the preface is there: the server speaks from now on. */
static void connection_hand_over(struct connection *connection)
{
	struct listener *listener = connection->listener;
	struct epoll_event event = {
		.events = EPOLLIN | EPOLLRDHUP | EPOLLET, .data.ptr = connection};

	watch_free(connection->watch);
	connection->watch = NULL;
	connection->end_fd = fcntl(connection->fd, F_DUPFD_CLOEXEC, 3);
	if (connection->end_fd < 0 ||
		epoll_ctl(listener->ends, EPOLL_CTL_ADD, connection->end_fd, &event)) {
		listener_complain(listener, &connection->peer, "no descriptor left: closed");
		close_fd(&connection->end_fd);
		connection_free(connection);
		return;
	}
	connection->used_ms = clock_now_ms();
	rpc_server_add(listener->server, take_fd(&connection->fd), &connection->peer);
}

static void connection_sniff(void *arg, int ready)
{
	struct connection *connection = arg;
	struct listener *listener = connection->listener;
	char bytes[PREFACE_BYTES];
	ssize_t n = recv(connection->fd, bytes, sizeof bytes, MSG_PEEK | MSG_DONTWAIT);
	enum preface preface;

	(void)ready;
	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (n <= 0) {
		connection_free(connection);
		return;
	}
	preface = preface_of(bytes, (size_t)n);
	if (preface != PREFACE_OTHER) {
		if (preface == PREFACE_WHOLE)
			connection_hand_over(connection);
		else if (socket_half_closed(connection->fd))
			connection_free(connection);
		return;
	}
	if (n >= 4 && (memcmp(bytes, "POST", 4) == 0 || memcmp(bytes, "GET ", 4) == 0)) {
		listener_complain(listener, &connection->peer,
			"speaks HTTP/1.1, as workers of Flower 1.40 and later do; this worker API is served over gRPC, to flwr-clientapp: closed");
	} else {
		char quoted[48];
		char what[96];

		text_quote(bytes, (size_t)n, quoted, sizeof quoted);
		snprintf(what, sizeof what, "says %s, which is not gRPC: closed", quoted);
		listener_complain(listener, &connection->peer, what);
	}
	connection_free(connection);
}

static void peer_describe(int fd, const struct sockaddr_storage *address, struct peer *peer)
{
	struct ucred credentials = {0};
	socklen_t len = sizeof credentials;

	if (address->ss_family != AF_UNIX) {
		address_text(address, peer->text, sizeof peer->text);
		return;
	}
	if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &credentials, &len) == 0) {
		peer->pid = credentials.pid;
		peer->uid = credentials.uid;
	}
	/* In another container's namespace it has no number here: 0. */
	snprintf(peer->text, sizeof peer->text, "pid %d, uid %u", (int)peer->pid,
		(unsigned)peer->uid);
}

static bool is_idle(const struct connection *connection)
{
	const struct listener *listener = connection->listener;

	return !connection->busy &&
	       !(connection->token && listener->ops->live(listener->arg, connection->token));
}

/* End the one that has been idle longest (the list begins with the newest). false: all are of use.
 */
static bool make_room(struct listener *listener)
{
	struct connection *oldest = NULL;

	for (struct connection *at = listener->connections; at; at = at->next)
		if (is_idle(at) && (!oldest || at->used_ms <= oldest->used_ms))
			oldest = at;
	if (!oldest)
		return false;
	listener_complain(
		listener, &oldest->peer, "too many connections: the one idle longest is closed");
	if (oldest->end_fd >= 0)
		shutdown(oldest->end_fd, SHUT_RDWR);
	connection_free(oldest);
	return true;
}

static void connection_new(void *arg, int fd, const struct sockaddr_storage *address)
{
	struct listener *listener = arg;
	auto_(close_at_exit) int owned = fd;
	struct connection *connection = calloc(1, sizeof *connection);

	if (!connection)
		return;
	connection->listener = listener;
	connection->end_fd = -1;
	connection->process = -1;
	connection->peer.connection = ++listener->numbers;
	peer_describe(fd, address, &connection->peer);
	if (listener->count >= listener->connections_max && !make_room(listener)) {
		listener_complain(listener, &connection->peer, "too many connections: closed");
		free(connection);
		return;
	}
	connection->watch = watch_new(
		listener->loop, fd, WATCH_READ | WATCH_EDGE, connection_sniff, connection);
	if (!connection->watch) {
		free(connection);
		return;
	}
	connection->fd = take_fd(&owned);
	connection->used_ms = clock_now_ms();
	guest_begin(&connection->guest, connection->fd, connection->used_ms);
	connection->deadline_ms = clock_after(clock_now_ms(), LISTENER_PREFACE_MS);
	connection->next = listener->connections;
	connection->at = &listener->connections;
	if (connection->next)
		connection->next->at = &connection->next;
	listener->connections = connection;
	listener->count++;
	/* Bytes that came before the watch make no edge. */
	connection_sniff(connection, WATCH_READ);
}

static void accepting_paused(void *arg, const char *cause)
{
	const struct peer nobody = {.text = "new connections wait"};

	listener_complain(arg, &nobody, cause);
}

static const struct acceptor_ops acceptor_events = {
	.accepted = connection_new, .paused = accepting_paused};

/* Its peer, or the server, has ended it. */
static void connection_ended(struct connection *connection)
{
	if (!connection->calls && connection->listener->server)
		listener_complain(connection->listener, &connection->peer,
			"the connection ended without a call");
	connection_free(connection);
}

/* Bytes came on the connection, or a call of it was refused. */
static void guest_look(struct connection *connection)
{
	struct listener *listener = connection->listener;
	bool host = connection->contents ||
		    (connection->token && listener->ops->live(listener->arg, connection->token));
	const char *why = NULL;

	/* What came until now may be of the token that has just ended. */
	if (host || connection->host) {
		connection->host = host;
		guest_forgive(&connection->guest, connection->end_fd);
		return;
	}
	if (guest_sends_too_much(
		    &connection->guest, &listener->guests, connection->end_fd, clock_now_ms()))
		why = "sends too much without a token: closed";
	else if (connection->refused > REFUSED_MAX)
		why = "too many calls were refused: closed";
	if (!why)
		return;
	listener_complain(listener, &connection->peer, why);
	guest_cut(connection->end_fd);
	connection_free(connection);
}

static void ends_ready(void *arg, int ready)
{
	struct listener *listener = arg;
	struct epoll_event events[64];
	int n = epoll_wait(listener->ends, events, (int)ARRAY_LEN(events), 0);

	(void)ready;
	for (int i = 0; i < n; i++) {
		if (events[i].events & (EPOLLRDHUP | EPOLLHUP | EPOLLERR))
			connection_ended(events[i].data.ptr);
		else
			guest_look(events[i].data.ptr);
	}
}

/* Who said nothing in time, who is idle without a token, and who is a burden, is closed. */
static void listener_sweep(void *arg)
{
	struct listener *listener = arg;
	int64_t now = clock_now_ms();
	struct connection *next;

	for (struct connection *at = listener->connections; at; at = next) {
		next = at->next;
		if (at->fd >= 0 && now >= at->deadline_ms) {
			listener_complain(
				listener, &at->peer, "said nothing that is gRPC in time: closed");
			connection_free(at);
		} else if (at->end_fd >= 0 && is_idle(at) &&
			   now >= clock_after(at->used_ms, LISTENER_IDLE_MS)) {
			/* The server closes its descriptor; the end is then reported as any other.
			 */
			shutdown(at->end_fd, SHUT_RDWR);
		} else if (at->end_fd >= 0) {
			/* What gRPC has read before we could look made no event. */
			guest_look(at);
		}
	}
	timer_set(listener->sweep, clock_after(now, SWEEP_MS));
}

/* Each takes two descriptors; what else the program needs them for must not suffer. */
static unsigned connections_max(void)
{
	struct rlimit limit = {0};

	if (getrlimit(RLIMIT_NOFILE, &limit) < 0 || limit.rlim_cur <= DESCRIPTORS_SPARE)
		return 1;
	if (limit.rlim_cur - DESCRIPTORS_SPARE >= 2 * (rlim_t)LISTENER_CONNECTIONS_MAX)
		return LISTENER_CONNECTIONS_MAX;
	return (unsigned)((limit.rlim_cur - DESCRIPTORS_SPARE) / 2);
}

static int listen_somewhere(
	const struct listener_options *options, struct address_sockets *sockets, struct reason *why)
{
	if (!options->address)
		return address_listen_private(options->dir, sockets, why);
	if (strncmp(options->address, "unix:", 5) == 0)
		return address_listen_path(
			options->address + 5, options->socket_group, sockets, why);
	return address_listen(options->address, sockets, why);
}

/* What anybody who reaches the address can do. */
static void warn_open(struct log *log, const struct listener_options *options)
{
	if (options->guarded)
		log_info(log,
			"worker API: %s is open to other machines and has no TLS: who can read along sees messages; keep it in a network of its own",
			options->address);
	else
		log_warn(log,
			"worker API: %s is open to other machines and has no TLS: whoever reaches it can take messages, read what is in them and answer them; use unix:PATH, or --superexec-auth-secret-file in a network of its own",
			options->address);
}

int listener_new(struct loop *loop, struct log *log, const struct listener_options *options,
	const struct listener_ops *ops, void *arg, struct listener **out, struct reason *why)
{
	struct listener *listener = calloc(1, sizeof *listener);
	struct address_sockets sockets = {0};
	bool open;
	int r;

	if (!listener)
		return -ENOMEM;
	listener->loop = loop;
	listener->log = log;
	listener->ops = ops;
	listener->arg = arg;
	listener->connections_max = connections_max();
	listener->ends = epoll_create1(EPOLL_CLOEXEC);
	if (listener->ends < 0)
		r = -errno;
	else
		r = listen_somewhere(options, &sockets, why);
	open = sockets.open;
	if (r == 0)
		r = acceptor_new(loop, &sockets, &acceptor_events, listener, &listener->acceptor);
	if (r == 0 && open)
		warn_open(log, options);
	if (r == 0) {
		listener->ends_watch =
			watch_new(loop, listener->ends, WATCH_READ, ends_ready, listener);
		listener->sweep = timer_new(loop, listener_sweep, listener);
		if (!listener->ends_watch || !listener->sweep)
			r = -ENOMEM;
	}
	if (r) {
		listener_free(listener);
		return r;
	}
	*out = listener;
	return 0;
}

void listener_start(struct listener *listener, struct rpc_server *server)
{
	listener->server = server;
	listener->started_ms = clock_now_ms();
	acceptor_start(listener->acceptor);
	timer_set(listener->sweep, clock_after(clock_now_ms(), SWEEP_MS));
}

const char *listener_address(const struct listener *listener)
{
	return acceptor_address(listener->acceptor);
}

static struct connection *connection_of(const struct listener *listener, const struct peer *peer)
{
	for (struct connection *at = listener->connections; at; at = at->next)
		if (at->peer.connection == peer->connection)
			return at;
	return NULL;
}

void listener_used(struct listener *listener, const struct peer *peer)
{
	struct connection *connection = connection_of(listener, peer);

	if (!connection)
		return;
	connection->used_ms = clock_now_ms();
	if (connection->calls++ == 0)
		connection->first_ms = connection->used_ms;
}

bool listener_open(const struct listener *listener, const struct peer *peer)
{
	return connection_of(listener, peer) != NULL;
}

uint64_t listener_received(const struct listener *listener, const struct peer *peer)
{
	const struct connection *connection = connection_of(listener, peer);
	struct traffic traffic;

	return connection && traffic_of(connection->end_fd, &traffic) ? traffic.received : 0;
}

/* ---- who is at the other end ---- */

static void look_run(struct job *job)
{
	struct look *look = container_of(job, struct look, job);

	look->process = peer_process_open(look->fd, look->said);
}

static void look_free(struct look *look)
{
	close_fd(&look->fd);
	if (look->process >= 0)
		close_fd(&look->process);
	free(look);
}

static void look_done(struct job *job)
{
	struct look *look = container_of(job, struct look, job);
	struct listener *listener = look->listener;
	struct look **link = &listener->looks;

	while (*link != look)
		link = &(*link)->next;
	*link = look->next;
	for (struct connection *at = listener->connections; at; at = at->next)
		if (at->peer.connection == look->connection)
			at->process = take_fd(&look->process);
	if (look->process >= 0 && listener->server)
		listener->ops->found(listener->arg, look->token, take_fd(&look->process));
	look_free(look);
}

/* said: the caller's words about itself, or NULL. */
static void look_begin(struct listener *listener, struct connection *connection, const char *said)
{
	struct look *look = calloc(1, sizeof *look);

	connection->looked = true;
	if (!look)
		return;
	*look = (struct look){.job = {.run = look_run, .done = look_done},
		.listener = listener,
		.connection = connection->peer.connection,
		.token = connection->token,
		.fd = fcntl(connection->end_fd, F_DUPFD_CLOEXEC, 3),
		.process = -1};
	snprintf(look->said, sizeof look->said, "%s", said ? said : "");
	if (look->fd < 0 || loop_job(listener->loop, &look->job)) {
		look_free(look);
		return;
	}
	look->next = listener->looks;
	listener->looks = look;
}

void listener_hold(
	struct listener *listener, const struct peer *peer, uint64_t token, const char *said)
{
	struct connection *connection = connection_of(listener, peer);

	if (!connection)
		return;
	if (!connection->token)
		guest_welcome(connection->end_fd);
	connection->token = token;
	connection->host = true;
	connection->refused = 0;
	if (listener->ops->held)
		listener->ops->held(listener->arg, token, &connection->peer);
	if (listener->ops->cut && !connection->looked && connection->end_fd >= 0)
		look_begin(listener, connection, said);
}

void listener_busy(struct listener *listener, const struct peer *peer, int change)
{
	struct connection *connection = connection_of(listener, peer);

	if (!connection)
		return;
	connection->busy += change;
	connection->used_ms = clock_now_ms();
	if (connection->calls == 1)
		connection->first_ms = connection->used_ms;
}

void listener_content(struct listener *listener, const struct peer *peer, int change)
{
	struct connection *connection = connection_of(listener, peer);

	if (!connection)
		return;
	connection->contents += change;
	connection->host = true;
	if (change > 0)
		guest_welcome(connection->end_fd);
}

uint64_t listener_holds(const struct listener *listener, const struct peer *peer)
{
	const struct connection *connection = connection_of(listener, peer);

	if (!connection || !connection->token ||
		!listener->ops->live(listener->arg, connection->token))
		return 0;
	return connection->token;
}

unsigned listener_count(const struct listener *listener)
{
	return listener->count;
}

void listener_stop(struct listener *listener)
{
	struct connection *next;

	acceptor_stop(listener->acceptor);
	for (struct connection *at = listener->connections; at; at = next) {
		next = at->next;
		if (at->fd >= 0)
			connection_free(at);
	}
}

void listener_detach(struct listener *listener)
{
	listener->server = NULL;
}

void listener_free(struct listener *listener)
{
	if (!listener)
		return;
	listener_stop(listener);
	listener_detach(listener);
	while (listener->looks)
		loop_step(listener->loop, 1000);
	while (listener->connections)
		connection_free(listener->connections);
	watch_free(listener->ends_watch);
	timer_free(listener->sweep);
	acceptor_free(listener->acceptor);
	close_fd(&listener->ends);
	free(listener);
}
