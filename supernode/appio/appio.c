#include "supernode/appio/appio.h"

#include "common/base/cleanup.h"
#include "common/rpc/server.h"
#include "supernode/appio/instruction.h"
#include "supernode/appio/listener.h"

#include <errno.h>
#include <stddef.h>

#define KEEPALIVE_MS         60000
#define KEEPALIVE_TIMEOUT_MS 20000

struct appio {
	struct node *node;
	struct listener *listener;
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

int appio_new(struct loop *loop, struct rpc *rpc, struct log *log, struct node *node,
	const struct appio_options *options, const struct appio_ops *ops, void *arg,
	struct appio **out, struct reason *why)
{
	struct appio *appio = calloc(1, sizeof *appio);
	int r;

	if (!appio)
		return -ENOMEM;
	appio->node = node;
	r = listener_new(loop, log, options->address, options->dir, &listener_events, appio,
		&appio->listener, why);
	if (r == 0) {
		appio->instruction = instruction_new(loop, log, node, appio->listener, ops, arg);
		if (!appio->instruction)
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
	listener_stop(appio->listener);
	rpc_server_shutdown(appio->server, grace_ms, server_down, appio);
}

void appio_free(struct appio *appio)
{
	if (!appio)
		return;
	listener_free(appio->listener);
	instruction_free(appio->instruction);
	free(appio);
}
