#include "supernode/workers/appio.h"

#include "common/base/cleanup.h"
#include "common/base/clock.h"
#include "common/message/task_codec.h"
#include "common/message/worker_api.h"
#include "common/rpc/server.h"
#include "supernode/workers/absence.h"
#include "supernode/workers/guests.h"
#include "supernode/workers/instruction.h"
#include "supernode/workers/launchers.h"
#include "supernode/workers/task.h"
#include "supernode/workers/waiting.h"

#include <errno.h>
#include <stddef.h>
#include <stdio.h>

#define KEEPALIVE_MS         60000
#define KEEPALIVE_TIMEOUT_MS 20000

struct appio {
	struct node *node;
	struct log *log;
	const struct appio_ops *ops;
	void *arg;
	struct guests *guests;
	struct absence *absence; /* NULL: workers do not come by themselves */
	int64_t reconnect_ms;
	struct launchers launchers;
	struct waiting *waiting;
	struct instruction *instruction;
	struct task *task;
	struct service *services; /* of all conversations */
	size_t n_services;
	struct rpc_server *server;
	void (*done)(void *arg);
	void *done_arg;
};

static bool token_live(void *arg, uint64_t token)
{
	const struct appio *appio = arg;
	uint64_t message;

	return node_token_live(appio->node, token, &message);
}

static const struct guests_ops started_events = {.live = token_live};

/* ---- workers that came by themselves ---- */

static void describe(const struct appio *appio, uint64_t token, char *text, size_t bytes)
{
	uint64_t message = 0;

	(void)node_token_live(appio->node, token, &message);
	node_describe(appio->node, message, text, bytes);
}

static void worker_held(void *arg, uint64_t token, const struct peer *peer)
{
	struct appio *appio = arg;
	char text[512];

	if (!absence_end(appio->absence, token))
		return;
	describe(appio, token, text, sizeof text);
	log_info(appio->log, "worker API: %s: the worker is back: %s", peer->text, text);
}

static void worker_cut(void *arg, uint64_t token, int process, bool idle, const struct peer *peer)
{
	struct appio *appio = arg;
	char within[32] = "with its outputs";
	char text[512];

	/* Ours end none for want of calls. */
	idle = idle && !waiting_attended(appio->waiting, token);
	describe(appio, token, text, sizeof text);
	if (!idle)
		snprintf(within, sizeof within, "within %g s", (double)appio->reconnect_ms / 1000);
	log_line(appio->log, idle ? LOG_LEVEL_INFO : LOG_LEVEL_WARN,
		"worker API: %s: the worker's connection has ended%s; it may come back %s%s: %s",
		peer->text, idle ? " for want of calls" : "", within,
		process >= 0 ? ", as long as its process lives" : "", text);
	absence_begin(appio->absence, token, process, idle);
}

static void worker_found(void *arg, uint64_t token, int process)
{
	struct appio *appio = arg;

	absence_found(appio->absence, token, process);
}

static const struct guests_ops coming_events = {
	.live = token_live, .held = worker_held, .cut = worker_cut, .found = worker_found};

static void worker_lost(void *arg, uint64_t token, const char *reason)
{
	struct appio *appio = arg;
	uint64_t message;

	if (!node_token_live(appio->node, token, &message))
		return;
	node_worker_lost(
		appio->node, (struct node_now){clock_now_ms(), clock_wall_s()}, message, reason);
	appio->ops->changed(appio->arg);
}

/* Outputs that are being received may be of anyone: the token comes with their last byte. */
static bool worker_returning(void *arg)
{
	const struct appio *appio = arg;

	return instruction_receiving(appio->instruction);
}

static const struct absence_ops absence_events = {
	.lost = worker_lost, .returning = worker_returning};

static void call_refused(void *arg, const struct peer *peer, const char *method,
	enum outcome outcome, const char *details)
{
	struct appio *appio = arg;
	guests_complain_refused(appio->guests, peer, method, outcome, details);
}

/* What all conversations offer, together. -ENOMEM. */
static int gather_services(struct appio *appio)
{
	size_t n_tasks;
	const struct service *tasks = task_services(appio->task, &n_tasks);

	appio->services = calloc(2 + n_tasks, sizeof *appio->services);
	if (!appio->services)
		return -ENOMEM;
	appio->services[appio->n_services++] = *instruction_service(appio->instruction);
	appio->services[appio->n_services++] = *waiting_service(appio->waiting);
	for (size_t i = 0; i < n_tasks; i++)
		appio->services[appio->n_services++] = tasks[i];
	return 0;
}

/* -ENOMEM. */
static int new_conversations(
	struct appio *appio, struct loop *loop, const struct appio_options *options)
{
	appio->waiting = waiting_new(loop, appio->log, appio->node, appio->guests);
	if (!appio->waiting)
		return -ENOMEM;
	appio->instruction = instruction_new(loop, appio->log, appio->node, appio->guests,
		appio->waiting, appio->ops, appio->arg);
	appio->task = task_new(loop, appio->log, appio->node, appio->guests, appio->waiting,
		options->spool, appio->ops, appio->arg);
	appio->launchers = (struct launchers){options->launchers, appio->guests};
	if (appio->instruction)
		instruction_set_launchers(appio->instruction, &appio->launchers);
	if (appio->task)
		task_set_launchers(appio->task, &appio->launchers);
	if (appio->task && options->own_workers)
		task_set_own_workers(appio->task);
	return appio->instruction && appio->task ? 0 : -ENOMEM;
}

int appio_new(struct loop *loop, struct rpc *rpc, struct log *log, struct node *node,
	const struct appio_options *options, const struct appio_ops *ops, void *arg,
	struct appio **out, struct reason *why)
{
	struct appio *appio = calloc(1, sizeof *appio);
	struct front_end grpc;
	int r;

	if (!appio)
		return -ENOMEM;
	*appio = (struct appio){.node = node,
		.log = log,
		.ops = ops,
		.arg = arg,
		.reconnect_ms = options->reconnect_ms};
	r = guests_new(loop, log,
		&(struct guests_options){
			.address = options->address,
			.socket_group = options->socket_group,
			.dir = options->dir,
			.guarded = options->launchers != NULL,
		},
		options->workers_come ? &coming_events : &started_events, appio, &appio->guests,
		why);
	if (r == 0) {
		if (options->workers_come)
			appio->absence =
				absence_new(loop, options->reconnect_ms, &absence_events, appio);
		if (options->workers_come && !appio->absence)
			r = -ENOMEM;
	}
	if (r == 0)
		r = new_conversations(appio, loop, options);
	if (r == 0)
		r = gather_services(appio);
	if (r == 0) {
		r = rpc_server_new(rpc,
			&(struct rpc_server_options){
				.services = appio->services,
				.n_services = appio->n_services,
				.headers = {WORKER_API_TASK_TOKEN, WORKER_API_WAIT_MS,
					LAUNCHER_TIME_HEADER, LAUNCHER_NONCE_HEADER,
					LAUNCHER_BODY_HEADER, LAUNCHER_SIGNATURE_HEADER,
					GUESTS_SAID_HEADER},
				.receive_max_bytes = options->receive_max_bytes,
				.memory_max_bytes = options->memory_max_bytes,
				.calls_max = APPIO_CALLS_MAX,
				.connection_calls_max = APPIO_CONNECTION_CALLS_MAX,
				.refused = call_refused,
				.refused_arg = appio,
				.keepalive_ms = KEEPALIVE_MS,
				.keepalive_timeout_ms = KEEPALIVE_TIMEOUT_MS,
			},
			&appio->server);
	}
	if (r) {
		appio_free(appio);
		return r;
	}
	grpc = front_end_grpc(appio->server);
	guests_register(appio->guests, &grpc);
	guests_start(appio->guests);
	*out = appio;
	return 0;
}

const char *appio_address(const struct appio *appio)
{
	return guests_address(appio->guests);
}

void appio_offer(struct appio *appio)
{
	waiting_offer(appio->waiting);
	if (appio->absence)
		absence_sweep(appio->absence, token_live, appio);
}

static void server_down(void *arg)
{
	struct appio *appio = arg;

	appio->server = NULL;
	guests_detach(appio->guests);
	appio->done(appio->done_arg);
}

void appio_stop(struct appio *appio, int64_t grace_ms, void (*done)(void *arg), void *arg)
{
	appio->done = done;
	appio->done_arg = arg;
	waiting_stop(appio->waiting);
	guests_stop(appio->guests);
	rpc_server_shutdown(appio->server, grace_ms, server_down, appio);
}

void appio_free(struct appio *appio)
{
	if (!appio)
		return;
	guests_free(appio->guests);
	task_free(appio->task);
	instruction_free(appio->instruction);
	waiting_free(appio->waiting);
	absence_free(appio->absence);
	free(appio->services);
	free(appio);
}
