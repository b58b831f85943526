#include "clientapp/health_port.h"

#include "common/base/cleanup.h"
#include "common/message/health_codec.h"
#include "common/rpc/server.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define REQUEST_MS           5000
#define MEMORY_MAX_BYTES     (8 << 20)
#define CALLS_MAX            64
#define CONNECTION_CALLS_MAX 8
#define KEEPALIVE_MS         60000
#define KEEPALIVE_TIMEOUT_MS 20000

struct health_port {
	struct service service;
	struct rpc_server *server;
};

static void handle_check(void *server, struct request *request)
{
	struct slices body = {0};
	bool known = false;
	int r = health_decode_name(&request->body, &known);

	(void)server;
	if (r == 0 && known)
		r = health_encode_status(HEALTH_SERVING, &body);
	if (r == -ENOMEM)
		request_fail(request, OUTCOME_RESOURCE_EXHAUSTED, "no memory for the call");
	else if (r)
		request_fail(request, OUTCOME_INVALID_ARGUMENT, "not a HealthCheckRequest");
	else if (!known)
		request_fail(request, OUTCOME_NOT_FOUND, "unknown service");
	else
		request_reply(request, &body);
}

/* Flower's launcher has no Watch either. */
static const struct method methods[] = {{.name = "Check",
	.body_max = HEALTH_REQUEST_MAX_BYTES,
	.body_ms = REQUEST_MS,
	.handle = handle_check}};

/* The text of the address with the port that was got. */
static void tell(const struct health_port *port, struct log *log, const char *address)
{
	const char *colon = strrchr(address, ':');

	log_info(log, "health: listening at %.*s:%d", colon ? (int)(colon - address) : 0, address,
		rpc_server_port(port->server, 0));
}

int health_port_new(struct rpc *rpc, struct log *log, const char *address, struct health_port **out,
	struct reason *why)
{
	const struct rpc_port at = {.address = address};
	auto_(free_at_exit) struct health_port *port = calloc(1, sizeof *port);
	int r;

	if (!port)
		return -ENOMEM;
	port->service = (struct service){
		.name = HEALTH_SERVICE, .methods = methods, .n_methods = ARRAY_LEN(methods)};
	r = rpc_server_new(rpc,
		&(struct rpc_server_options){.services = &port->service,
			.n_services = 1,
			.ports = &at,
			.n_ports = 1,
			.receive_max_bytes = HEALTH_REQUEST_MAX_BYTES,
			.memory_max_bytes = MEMORY_MAX_BYTES,
			.calls_max = CALLS_MAX,
			.connection_calls_max = CONNECTION_CALLS_MAX,
			.keepalive_ms = KEEPALIVE_MS,
			.keepalive_timeout_ms = KEEPALIVE_TIMEOUT_MS},
		&port->server);
	if (r)
		return reason_code(why, r,
			"--health-server-address %s cannot be listened at: is it in use, or of another machine?",
			address);
	tell(port, log, address);
	*out = take_pointer(&port);
	return 0;
}

void health_port_free(struct health_port *port)
{
	if (!port)
		return;
	rpc_server_shutdown(port->server, 0, NULL, NULL);
	(void)rpc_server_wait(port->server, -1);
	free(port);
}
