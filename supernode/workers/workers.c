#include "supernode/workers/workers.h"

#include "common/base/cleanup.h"
#include "common/base/clock.h"
#include "common/http/server.h"
#include "common/listen/front_end_http.h"
#include "common/listen/guard.h"
#include "common/message/worker_api.h"
#include "common/rpc/server.h"
#include "common/service/interceptors.h"
#include "supernode/workers/absence.h"
#include "supernode/workers/dialects.h"
#include "supernode/workers/held_calls.h"

#include <assert.h>
#include <errno.h>
#include <stddef.h>
#include <stdio.h>

#define KEEPALIVE_MS         60000
#define KEEPALIVE_TIMEOUT_MS 20000
#define WORKERS_INTERCEPTORS 2

static_assert(WORKERS_CONNECTION_CALLS_MAX >= GUARD_STREAMS_ASSUMED,
	"a client may wait for DATA that is held back behind its HEADERS");
static_assert(WORKERS_GUEST_CALLS_MAX + GUARD_STREAMS_MAX <= WORKERS_CALLS_MAX,
	"one connection may have its calls beside those of all others");

struct workers {
	struct admission admission;
	struct absence *absence; /* NULL: workers do not come by themselves */
	int64_t reconnect_ms;
	struct held_calls *held_calls;
	struct dialects *dialects;
	struct service *services; /* of all dialects */
	size_t n_services;
	struct rpc_server *server;
	struct http_server *http;
	/* With a log of level debug. */
	struct interceptor interceptors[WORKERS_INTERCEPTORS];
	struct metrics metrics;
	unsigned stopping; /* servers that are being shut down */
	void (*done)(void *arg);
	void *done_arg;
};

static bool token_live(void *arg, uint64_t token)
{
	const struct workers *workers = arg;

	return node_message_of(workers->admission.node, token) != NULL;
}

/* ---- workers that came by themselves ---- */

static void describe(const struct workers *workers, uint64_t token, char *text, size_t bytes)
{
	const struct node *node = workers->admission.node;
	const struct message *message = node_message_of(node, token);

	node_describe(node, message ? node_message_number(message) : 0, text, bytes);
}

static void worker_held(void *arg, uint64_t token, const struct peer *peer)
{
	struct workers *workers = arg;
	const bool idle = absence_is_for_good(workers->absence, token);
	char text[512];

	if (!absence_end(workers->absence, token))
		return;
	describe(workers, token, text, sizeof text);
	log_line(workers->admission.log, idle ? LOG_LEVEL_DEBUG : LOG_LEVEL_INFO,
		"worker API: %s: the worker is back: %s", peer->text, text);
}

static void worker_cut(void *arg, uint64_t token, int process, bool idle, const struct peer *peer)
{
	struct workers *workers = arg;
	char within[32] = "with its outputs";
	char text[512];

	/* Ours end none for want of calls. */
	idle = idle && !held_calls_attended(workers->held_calls, token);
	describe(workers, token, text, sizeof text);
	if (!idle)
		snprintf(
			within, sizeof within, "within %g s", (double)workers->reconnect_ms / 1000);
	log_line(workers->admission.log, idle ? LOG_LEVEL_DEBUG : LOG_LEVEL_WARN,
		"worker API: %s: the worker's connection has ended%s; it may come back %s%s: %s",
		peer->text, idle ? " for want of calls" : "", within,
		process >= 0 ? ", as long as its process lives" : "", text);
	absence_begin(workers->absence, token, process, idle);
}

static void worker_found(void *arg, uint64_t token, int process)
{
	struct workers *workers = arg;

	absence_found(workers->absence, token, process);
}

static const struct guests_ops started_events = {.live = token_live};
static const struct guests_ops coming_events = {
	.live = token_live, .held = worker_held, .cut = worker_cut, .found = worker_found};

static void worker_lost(void *arg, uint64_t token, const char *reason)
{
	const struct admission *admission = &((struct workers *)arg)->admission;
	const struct message *message = node_message_of(admission->node, token);

	if (!message)
		return;
	node_worker_lost(admission->node, (struct node_now){clock_now_ms(), clock_wall_s()},
		node_message_number(message), reason);
	admission->ops->changed(admission->arg);
}

/* Outputs that are being received may be of anyone: the token comes with their last byte. */
static bool worker_returning(void *arg)
{
	const struct workers *workers = arg;

	return contents_at_hand(workers->admission.contents);
}

static const struct absence_ops absence_events = {
	.lost = worker_lost, .returning = worker_returning};

/* ---- life ---- */

static void call_refused(void *arg, const struct peer *peer, const char *method,
	enum outcome outcome, const char *details)
{
	struct workers *workers = arg;

	guests_complain_refused(workers->admission.guests, peer, method, outcome, details);
}

/* Put the services of all dialects together. 0, -ENOMEM. */
static int gather_services(struct workers *workers)
{
	const struct service *service;
	size_t n = 0;

	while (dialects_service(workers->dialects, n))
		n++;
	workers->services = calloc(n + 1, sizeof *workers->services);
	if (!workers->services)
		return -ENOMEM;
	for (; (service = dialects_service(workers->dialects, workers->n_services));)
		workers->services[workers->n_services++] = *service;
	workers->services[workers->n_services++] = *held_calls_service(workers->held_calls);
	return 0;
}

/* -ENOMEM. */
static int new_dialects(struct workers *workers, const struct workers_options *options)
{
	workers->admission.contents = contents_new(&workers->admission);
	workers->admission.awaited = awaited_new(&workers->admission);
	workers->held_calls = held_calls_new(&workers->admission);
	if (!workers->admission.contents || !workers->admission.awaited || !workers->held_calls)
		return -ENOMEM;
	workers->dialects = dialects_new(&workers->admission, workers->held_calls,
		&(struct dialects_options){
			.spool = options->spool, .own_workers = options->own_workers});
	return workers->dialects ? gather_services(workers) : -ENOMEM;
}

static int new_guests(
	struct workers *workers, const struct workers_options *options, struct reason *why)
{
	int r = guests_new(
		&(struct guests_options){
			.loop = options->loop,
			.log = options->log,
			.address = options->address,
			.socket_group = options->socket_group,
			.dir = options->dir,
			.tls = options->tls,
			.guarded = options->launchers || options->shows_certificates,
			.streams_max = WORKERS_GUEST_CALLS_MAX,
			.ops = options->workers_come ? &coming_events : &started_events,
			.arg = workers,
		},
		&workers->admission.guests, why);

	if (r || !options->workers_come)
		return r;
	workers->absence =
		absence_new(options->loop, options->reconnect_ms, &absence_events, workers);
	return workers->absence ? 0 : -ENOMEM;
}

/* A peer that asks for our health is none without a call. */
static void health_asked(void *arg, const struct peer *peer)
{
	struct workers *workers = arg;

	guests_used(workers->admission.guests, peer);
}

static size_t count_interceptors(const struct workers_options *options)
{
	return log_enabled(options->log, LOG_LEVEL_DEBUG) ? WORKERS_INTERCEPTORS : 0;
}

/* Workers at the private socket speak gRPC: Flower's do not speak HTTP over a unix socket
 * (command_speaks_http()). */
static int new_http_server(
	struct workers *workers, const struct workers_options *options, struct reason *why)
{
	if (!options->address)
		return 0;
	return http_server_new(
		&(struct http_server_options){
			.loop = options->loop,
			.services = workers->services,
			.n_services = workers->n_services,
			.route = {WORKER_API_PATHS, WORKER_API_RUNTIME},
			.interceptors = workers->interceptors,
			.n_interceptors = count_interceptors(options),
			.memory_max_bytes = options->memory_max_bytes,
			.connections_max = GUESTS_CONNECTIONS_MAX,
			.calls_max = WORKERS_CALLS_MAX,
			.guest_calls_max = WORKERS_GUEST_CALLS_MAX,
			.refused = call_refused,
			.health = health_asked,
			.arg = workers,
		},
		&workers->http, why);
}

static int new_server(
	struct workers *workers, struct rpc *rpc, const struct workers_options *options)
{
	return rpc_server_new(rpc,
		&(struct rpc_server_options){
			.services = workers->services,
			.n_services = workers->n_services,
			.interceptors = workers->interceptors,
			.n_interceptors = count_interceptors(options),
			.receive_max_bytes = options->receive_max_bytes,
			.memory_max_bytes = options->memory_max_bytes,
			.calls_max = WORKERS_CALLS_MAX,
			.connection_calls_max = WORKERS_CONNECTION_CALLS_MAX,
			.refused = call_refused,
			.refused_arg = workers,
			.keepalive_ms = KEEPALIVE_MS,
			.keepalive_timeout_ms = KEEPALIVE_TIMEOUT_MS,
			.options = &front_end_grpc_windows,
			.n_options = 1,
		},
		&workers->server);
}

int workers_new(struct rpc *rpc, const struct workers_options *options, struct workers **out,
	struct reason *why)
{
	struct workers *workers = calloc(1, sizeof *workers);
	struct front_end grpc, http;
	int r;

	if (!workers)
		return -ENOMEM;
	workers->admission = (struct admission){.loop = options->loop,
		.log = options->log,
		.node = options->node,
		.launchers = options->launchers,
		.ops = options->ops,
		.arg = options->arg};
	workers->reconnect_ms = options->reconnect_ms;
	workers->interceptors[0] = log_interceptor(options->log, LOG_LEVEL_DEBUG);
	workers->interceptors[1] = metrics_interceptor(&workers->metrics);
	r = new_guests(workers, options, why);
	if (r == 0)
		r = new_dialects(workers, options);
	if (r == 0)
		r = new_http_server(workers, options, why);
	if (r == 0)
		r = new_server(workers, rpc, options);
	if (r) {
		workers_free(workers);
		return r;
	}
	grpc = front_end_grpc(workers->server);
	guests_register(workers->admission.guests, &grpc);
	if (workers->http) {
		http = front_end_http(workers->http);
		guests_register(workers->admission.guests, &http);
	}
	guests_start(workers->admission.guests);
	*out = workers;
	return 0;
}

const char *workers_address(const struct workers *workers)
{
	return guests_address(workers->admission.guests);
}

void workers_offer(struct workers *workers)
{
	contents_sweep(workers->admission.contents);
	awaited_look(workers->admission.awaited);
	held_calls_offer(workers->held_calls);
	if (workers->absence)
		absence_sweep(workers->absence, token_live, workers);
}

static void part_down(struct workers *workers)
{
	if (--workers->stopping > 0)
		return;
	guests_detach(workers->admission.guests, NULL);
	metrics_log(
		&workers->metrics, workers->admission.log, LOG_LEVEL_DEBUG, "worker API: calls");
	workers->done(workers->done_arg);
}

static void server_down(void *arg)
{
	struct workers *workers = arg;

	/* It is gone; the other one may be at work. */
	guests_detach(workers->admission.guests, workers->server);
	workers->server = NULL;
	part_down(workers);
}

static void http_down(void *arg)
{
	part_down(arg);
}

void workers_stop(struct workers *workers, int64_t grace_ms, void (*done)(void *arg), void *arg)
{
	workers->done = done;
	workers->done_arg = arg;
	workers->stopping = workers->http ? 2 : 1;
	held_calls_stop(workers->held_calls);
	awaited_stop(workers->admission.awaited);
	guests_stop(workers->admission.guests);
	if (workers->http)
		http_server_shutdown(workers->http, grace_ms, http_down, workers);
	rpc_server_shutdown(workers->server, grace_ms, server_down, workers);
}

void workers_free(struct workers *workers)
{
	if (!workers)
		return;
	guests_free(workers->admission.guests);
	http_server_free(workers->http);
	dialects_free(workers->dialects);
	held_calls_free(workers->held_calls);
	contents_free(workers->admission.contents);
	awaited_free(workers->admission.awaited);
	absence_free(workers->absence);
	metrics_done(&workers->metrics);
	free(workers->services);
	free(workers);
}
