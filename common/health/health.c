#include "common/health/health.h"

#include "common/base/cleanup.h"
#include "common/listen/door.h"
#include "common/message/health_codec.h"
#include "common/rpc/server.h"
#include "common/service/interceptors.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define REQUEST_MS           5000       /* all of it must have come */
#define MEMORY_MAX_BYTES     (32 << 20) /* that all callers together may make gRPC hold */
#define KEEPALIVE_MS         60000
#define KEEPALIVE_TIMEOUT_MS 20000

static_assert(HEALTH_CONNECTION_CALLS_MAX >= GUARD_STREAMS_ASSUMED,
	"a client may wait for DATA that is held back behind its HEADERS");
static_assert(HEALTH_OPEN_CALLS_MAX + GUARD_STREAMS_MAX <= HEALTH_CALLS_MAX,
	"one connection may have its calls beside those of all others");

/* A Watch that is at work. */
struct watcher {
	struct watcher *prev, *next;
	struct health *health;
	struct request *request;
	bool known;              /* the name that it asks for */
	enum health_status sent; /* last; 0: nothing was */
	bool sending;
};

/* A connection that is kept is not ended in favour of a new one. */
struct health_connection {
	struct connection connection;
	unsigned kept; /* calls that stay */
};

struct health {
	struct log *log;
	struct door *door;
	struct rpc_server *server;
	struct service service;
	/* The server has these when the log is at level debug. */
	struct interceptor interceptors[2];
	struct metrics metrics;
	struct watcher *watchers;
	unsigned n_watchers;
	unsigned n_kept; /* connections */
	bool serving;
	bool ending; /* by health_stop() */
	void (*done)(void *arg);
	void *done_arg;
};

static enum health_status status_of(const struct health *health)
{
	return health->serving ? HEALTH_SERVING : HEALTH_NOT_SERVING;
}

/* The name that is asked for, or the end of the request. */
static bool request_begin(struct request *request, bool *known_out)
{
	int r = health_decode_name(&request->body, known_out);

	if (r == -ENOMEM)
		request_fail(request, OUTCOME_RESOURCE_EXHAUSTED, "no memory for the call");
	else if (r < 0)
		request_fail(request, OUTCOME_INVALID_ARGUMENT, "not a HealthCheckRequest");
	return r == 0;
}

/* ---- Check ---- */

static void handle_check(void *server, struct request *request)
{
	struct health *health = server;
	struct slices body = {0};
	bool known;

	if (!request_begin(request, &known))
		return;
	if (!known)
		request_fail(request, OUTCOME_NOT_FOUND, "unknown service");
	else if (health_encode_status(status_of(health), &body) < 0)
		request_fail(request, OUTCOME_RESOURCE_EXHAUSTED, "no memory for the answer");
	else
		request_reply(request, &body);
}

/* ---- connections ---- */

static struct health_connection *health_connection(struct connection *connection)
{
	return container_of(connection, struct health_connection, connection);
}

/* A call that stays has begun on this connection. false: too many are kept already; then there is
 * no let_go(). */
static bool keep(struct health *health, const struct peer *peer)
{
	struct connection *connection = door_find(health->door, peer);

	if (!connection)
		return true; /* it has ended, and its calls will in a moment */
	if (!health_connection(connection)->kept && health->n_kept >= HEALTH_KEPT_MAX)
		return false;
	if (health_connection(connection)->kept++ == 0)
		health->n_kept++;
	return true;
}

/* The call has ended. The connection may have, too. */
static void let_go(struct health *health, const struct peer *peer)
{
	struct connection *connection = door_find(health->door, peer);

	if (connection && --health_connection(connection)->kept == 0)
		health->n_kept--;
}

static bool connection_is_idle(const void *arg, const struct connection *connection)
{
	(void)arg;
	return !container_of(connection, struct health_connection, connection)->kept;
}

static void connections_crowded(void *arg)
{
	struct health *health = arg;
	/* HEALTH_KEPT_MAX sees to it that there is one. */
	struct connection *oldest = door_find_idle(health->door, connection_is_idle);

	door_complain(
		health->door, &oldest->peer, "too many connections: the oldest idle one is closed");
	connection_end(oldest);
}

/* A debug line is enough: a scan for open ports ends like this. */
static void connection_unserved(
	void *arg, const struct peer *peer, enum door_unserved why, const char *bytes, size_t n)
{
	const struct health *health = arg;

	(void)bytes;
	log_debug(health->log, "health: %s: %s", peer->text,
		why == DOOR_SILENT ? "says nothing: closed"
		: n > 0            ? "says nothing that is gRPC: closed"
				   : "ended without a word");
}

static const char *connection_judge(void *arg, struct connection *connection)
{
	(void)arg;
	if (connection_sends_too_much(connection))
		return "sends too much: closed";
	return connection_is_refused_often(connection) ? "too many calls were refused: closed"
						       : NULL;
}

static void connection_ended(void *arg, struct connection *connection, bool by_peer)
{
	struct health *health = arg;

	(void)by_peer;
	if (health_connection(connection)->kept)
		health->n_kept--;
}

static const struct door_ops door_events = {.crowded = connections_crowded,
	.unserved = connection_unserved,
	.judge = connection_judge,
	.ended = connection_ended};

/* ---- Watch ---- */

/* The end of a Watch; its request is gone afterwards. */
static void watcher_end(struct watcher *watcher, enum outcome outcome, const char *details)
{
	struct health *health = watcher->health;

	if (watcher->prev)
		watcher->prev->next = watcher->next;
	else
		health->watchers = watcher->next;
	if (watcher->next)
		watcher->next->prev = watcher->prev;
	health->n_watchers--;
	let_go(health, watcher->request->peer);
	request_fail(watcher->request, outcome, details);
	free(watcher);
}

static void watcher_gone(void *arg, struct request *request)
{
	(void)request;
	watcher_end(arg, OUTCOME_CANCELLED, "");
}

static void watcher_tell(struct watcher *watcher);

static void watcher_told(void *arg, struct request *request)
{
	struct watcher *watcher = arg;

	(void)request;
	watcher->sending = false;
	watcher_tell(watcher);
}

/* Say the present status; end the watcher when it has heard that and the server is ending. */
static void watcher_tell(struct watcher *watcher)
{
	enum health_status status =
		watcher->known ? status_of(watcher->health) : HEALTH_UNKNOWN_NAME;
	struct slices body = {0};

	if (watcher->sending)
		return;
	if (watcher->sent == status) {
		if (watcher->health->ending)
			watcher_end(watcher, OUTCOME_UNAVAILABLE, "the server is ending");
		return;
	}
	if (health_encode_status(status, &body) < 0 ||
		request_send(watcher->request, &body, watcher_told, watcher) < 0) {
		watcher_end(watcher, OUTCOME_RESOURCE_EXHAUSTED, "no memory for the answer");
		return;
	}
	watcher->sending = true;
	watcher->sent = status;
}

/* The part of a peer's text that names its machine. */
static size_t machine_len(const char *text)
{
	const char *port = strrchr(text, ':');

	return port ? (size_t)(port - text) : strlen(text);
}

static bool same_machine(const struct watcher *a, const struct watcher *b)
{
	const char *texts[] = {a->request->peer->text, b->request->peer->text};
	size_t len = machine_len(texts[0]);

	return len == machine_len(texts[1]) && memcmp(texts[0], texts[1], len) == 0;
}

/* End one Watch for a new one: the oldest of the machine that has most of them. false: there is
 * none. */
static bool watchers_make_room(struct health *health)
{
	struct watcher *oldest = NULL;
	unsigned most = 0;

	/* The newest come first. */
	for (struct watcher *at = health->watchers; at; at = at->next) {
		unsigned n = 0;

		for (const struct watcher *other = health->watchers; other; other = other->next)
			n += same_machine(at, other);
		if (n >= most) {
			most = n;
			oldest = at;
		}
	}
	if (!oldest)
		return false;
	door_complain(health->door, oldest->request->peer,
		"too many Watch calls at once: the oldest is ended");
	watcher_end(oldest, OUTCOME_RESOURCE_EXHAUSTED, "too many watchers at once");
	return true;
}

static void handle_watch(void *server, struct request *request)
{
	struct health *health = server;
	struct watcher *watcher;
	bool known;

	if (!request_begin(request, &known))
		return;
	/* A client that keeps its Watch for long must not keep others out. */
	while (health->n_watchers >= HEALTH_WATCHES_MAX || !keep(health, request->peer)) {
		if (watchers_make_room(health))
			continue;
		request_fail(request, OUTCOME_RESOURCE_EXHAUSTED, "too many watchers at once");
		return;
	}
	watcher = calloc(1, sizeof *watcher);
	if (!watcher) {
		let_go(health, request->peer);
		request_fail(request, OUTCOME_RESOURCE_EXHAUSTED, "no memory for the call");
		return;
	}
	*watcher = (struct watcher){
		.next = health->watchers, .health = health, .request = request, .known = known};
	if (watcher->next)
		watcher->next->prev = watcher;
	health->watchers = watcher;
	health->n_watchers++;
	request_on_cancel(request, watcher_gone, watcher);
	watcher_tell(watcher);
}

static const struct method methods[] = {
	{.name = "Check",
		.body_max = HEALTH_REQUEST_MAX_BYTES,
		.body_ms = REQUEST_MS,
		.handle = handle_check},
	{.name = "Watch",
		.body_max = HEALTH_REQUEST_MAX_BYTES,
		.body_ms = REQUEST_MS,
		.streams = true,
		.handle = handle_watch},
};

/* ---- life ---- */

static void call_refused(void *arg, const struct peer *peer, const char *method,
	enum outcome outcome, const char *details)
{
	const struct health *health = arg;

	door_count_refused(health->door, peer);
	/* A debug line is enough: no operator has to act on what an unknown client does wrong. */
	log_debug(health->log, "health: %s: %s refused: %s: %s", peer->text, method,
		outcome_name(outcome), details);
}

int health_new(const struct health_options *options, struct health **out, struct reason *why)
{
	struct health *health = calloc(1, sizeof *health);
	auto_(address_sockets_done) struct address_sockets sockets = {0};
	struct front_end grpc;
	int r;

	if (!health)
		return -ENOMEM;
	health->log = options->log;
	health->service = (struct service){.name = HEALTH_SERVICE,
		.methods = methods,
		.n_methods = ARRAY_LEN(methods),
		.server = health};
	health->interceptors[0] = log_interceptor(options->log, LOG_LEVEL_DEBUG);
	health->interceptors[1] = metrics_interceptor(&health->metrics);
	r = address_listen(options->address, &sockets, why);
	if (r == 0)
		r = door_new(options->loop, options->log, &sockets,
			&(struct door_options){.name = "health",
				.connections_max = HEALTH_CONNECTIONS_MAX,
				.streams_max = HEALTH_OPEN_CALLS_MAX,
				.connection_bytes = sizeof(struct health_connection),
				.ops = &door_events,
				.arg = health},
			&health->door);
	if (r == 0)
		r = rpc_server_new(options->rpc,
			&(struct rpc_server_options){
				.services = &health->service,
				.n_services = 1,
				.interceptors = health->interceptors,
				.n_interceptors = log_enabled(options->log, LOG_LEVEL_DEBUG)
							  ? ARRAY_LEN(health->interceptors)
							  : 0,
				.receive_max_bytes = HEALTH_REQUEST_MAX_BYTES,
				.memory_max_bytes = MEMORY_MAX_BYTES,
				.calls_max = HEALTH_CALLS_MAX,
				.connection_calls_max = HEALTH_CONNECTION_CALLS_MAX,
				.refused = call_refused,
				.refused_arg = health,
				.keepalive_ms = KEEPALIVE_MS,
				.keepalive_timeout_ms = KEEPALIVE_TIMEOUT_MS,
				.options = &front_end_grpc_windows,
				.n_options = 1,
			},
			&health->server);
	if (r) {
		health_free(health);
		return r;
	}
	grpc = front_end_grpc(health->server);
	door_register(health->door, &grpc);
	door_open(health->door);
	log_info(options->log, "health: listening at %s", door_address(health->door));
	*out = health;
	return 0;
}

const char *health_address(const struct health *health)
{
	return door_address(health->door);
}

static void watchers_tell(struct health *health)
{
	struct watcher *next;

	for (struct watcher *at = health->watchers; at; at = next) {
		next = at->next;
		watcher_tell(at);
	}
}

void health_set(struct health *health, bool serving)
{
	if (health->serving == serving)
		return;
	health->serving = serving;
	log_info(health->log, "health: %s", serving ? "serving" : "not serving");
	watchers_tell(health);
}

static void server_down(void *arg)
{
	struct health *health = arg;

	health->server = NULL;
	metrics_log(&health->metrics, health->log, LOG_LEVEL_DEBUG, "health: calls");
	door_detach(health->door, NULL);
	assert(!health->watchers);
	if (health->done)
		health->done(health->done_arg);
}

void health_stop(struct health *health, int64_t grace_ms, void (*done)(void *arg), void *arg)
{
	health->done = done;
	health->done_arg = arg;
	door_close(health->door);
	health->ending = true;
	watchers_tell(health);
	rpc_server_shutdown(health->server, grace_ms, server_down, health);
}

void health_free(struct health *health)
{
	if (!health)
		return;
	door_free(health->door);
	metrics_done(&health->metrics);
	free(health);
}
