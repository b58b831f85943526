#include "supernode/appio/appio.h"

#include "common/base/cleanup.h"
#include "common/base/clock.h"
#include "common/rpc/server.h"
#include "supernode/appio/absence.h"
#include "supernode/appio/instruction.h"
#include "supernode/appio/listener.h"

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
	struct listener *listener;
	struct absence *absence; /* NULL: workers do not come by themselves */
	int64_t reconnect_ms;
	struct instruction *instruction;
	struct rpc_server *server;
	void (*done)(void *arg);
	void *done_arg;
};

static bool message_live(void *arg, uint64_t message)
{
	const struct appio *appio = arg;

	return node_message_live(appio->node, message);
}

static const struct listener_ops listener_events = {.live = message_live};

/* ---- workers that came by themselves ---- */

static void worker_cut(void *arg, uint64_t message, int process, const struct peer *peer)
{
	struct appio *appio = arg;
	char text[512];

	node_describe(appio->node, message, text, sizeof text);
	log_warn(appio->log, "worker API: %s: the worker's connection has ended, %s%g s: %s",
		peer->text,
		process >= 0 ? "it may come back until its process ends, within "
			     : "it may come back within ",
		(double)appio->reconnect_ms / 1000, text);
	absence_begin(appio->absence, message, process);
}

static void worker_lost(void *arg, uint64_t message, bool late, const char *reason)
{
	struct appio *appio = arg;

	/* These may be its outputs: the token comes with their last byte. */
	if (late && instruction_receiving(appio->instruction)) {
		absence_begin(appio->absence, message, -1);
		return;
	}

	node_worker_lost(
		appio->node, (struct node_now){clock_now_ms(), clock_wall_s()}, message, reason);
	appio->ops->changed(appio->arg);
}

static const struct listener_ops guest_events = {.live = message_live, .cut = worker_cut};

static void on_changed(void *arg)
{
	struct appio *appio = arg;

	appio->ops->changed(appio->arg);
}

/* Its token was shown again: it is back. */
static void on_ready(void *arg, uint64_t message, const struct peer *peer)
{
	struct appio *appio = arg;

	if (appio->absence)
		absence_end(appio->absence, message);
	appio->ops->ready(appio->arg, message, peer);
}

static const struct appio_ops instruction_events = {.changed = on_changed, .ready = on_ready};

static void call_refused(void *arg, const struct peer *peer, const char *method,
	enum outcome outcome, const char *details)
{
	struct appio *appio = arg;
	char what[256];

	snprintf(what, sizeof what, "%s refused: %s: %s", method, outcome_name(outcome), details);
	listener_complain(appio->listener, peer, what);
}

int appio_new(struct loop *loop, struct rpc *rpc, struct log *log, struct node *node,
	const struct appio_options *options, const struct appio_ops *ops, void *arg,
	struct appio **out, struct reason *why)
{
	struct appio *appio = calloc(1, sizeof *appio);
	int r;

	if (!appio)
		return -ENOMEM;
	*appio = (struct appio){.node = node,
		.log = log,
		.ops = ops,
		.arg = arg,
		.reconnect_ms = options->reconnect_ms};
	r = listener_new(loop, log, options->address, options->dir,
		options->workers_come ? &guest_events : &listener_events, appio, &appio->listener,
		why);
	if (r == 0) {
		if (options->workers_come)
			appio->absence =
				absence_new(loop, options->reconnect_ms, worker_lost, appio);
		appio->instruction = instruction_new(
			loop, log, node, appio->listener, &instruction_events, appio);
		if (!appio->instruction || (options->workers_come && !appio->absence))
			r = -ENOMEM;
	}
	if (r == 0)
		r = rpc_server_new(rpc,
			&(struct rpc_server_options){
				.services = instruction_service(appio->instruction),
				.n_services = 1,
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
	if (r) {
		appio_free(appio);
		return r;
	}
	listener_start(appio->listener, appio->server);
	*out = appio;
	return 0;
}

const char *appio_address(const struct appio *appio)
{
	return listener_address(appio->listener);
}

void appio_offer(struct appio *appio)
{
	instruction_offer(appio->instruction);
}

static void server_down(void *arg)
{
	struct appio *appio = arg;

	appio->server = NULL;
	listener_detach(appio->listener);
	appio->done(appio->done_arg);
}

void appio_stop(struct appio *appio, int64_t grace_ms, void (*done)(void *arg), void *arg)
{
	appio->done = done;
	appio->done_arg = arg;
	instruction_stop(appio->instruction);
	listener_stop(appio->listener);
	rpc_server_shutdown(appio->server, grace_ms, server_down, appio);
}

void appio_free(struct appio *appio)
{
	if (!appio)
		return;
	listener_free(appio->listener);
	instruction_free(appio->instruction);
	absence_free(appio->absence);
	free(appio);
}
