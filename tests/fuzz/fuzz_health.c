/*
 * Fuzz target: the requests of gRPC's health service, which anybody may send. They are handed over
 * here, not by gRPC: the program is linked with --wrap=rpc_server_new and --wrap=door_....
 */
#include "fuzz.h"

#include "common/health/health.h"
#include "common/listen/door.h"
#include "common/rpc/server.h"
#include "common/wire/wire.h"

#define SERVING 1 /* HealthCheckResponse.ServingStatus */

FUZZ_MEMORY(64, 64);

static struct service service;

int __wrap_rpc_server_new(
	struct rpc *rpc, const struct rpc_server_options *options, struct rpc_server **out);
int __wrap_address_listen(const char *host_port, struct address_sockets *out, struct reason *why);
int __wrap_door_new(struct loop *loop, struct log *log, struct address_sockets *sockets,
	const struct door_options *options, struct door **out);
void __wrap_door_register(struct door *door, const struct front_end *front_end);
void __wrap_door_open(struct door *door);
const char *__wrap_door_address(const struct door *door);

int __wrap_rpc_server_new(
	struct rpc *rpc, const struct rpc_server_options *options, struct rpc_server **out)
{
	(void)rpc;
	(void)out;
	service = *options->services;
	return 0;
}

int __wrap_address_listen(const char *host_port, struct address_sockets *out, struct reason *why)
{
	(void)host_port;
	(void)out;
	(void)why;
	return 0;
}

int __wrap_door_new(struct loop *loop, struct log *log, struct address_sockets *sockets,
	const struct door_options *options, struct door **out)
{
	(void)loop;
	(void)log;
	(void)sockets;
	(void)options;
	(void)out;
	return 0;
}

void __wrap_door_register(struct door *door, const struct front_end *front_end)
{
	(void)door;
	(void)front_end;
}

void __wrap_door_open(struct door *door)
{
	(void)door;
}

const char *__wrap_door_address(const struct door *door)
{
	(void)door;
	return "nowhere";
}

struct call {
	struct request request;
	bool finished;
	enum outcome outcome;
	struct slices body;
};

static void call_finish(
	struct request *request, enum outcome outcome, const char *details, struct slices *body)
{
	struct call *call = container_of(request, struct call, request);

	CHECK(!call->finished);
	CHECK((outcome == OUTCOME_OK) == (details == NULL));
	call->finished = true;
	call->outcome = outcome;
	if (body)
		CHECK(slices_move(&call->body, body) == 0);
}

/* The answer of Check. */
static enum outcome check(const uint8_t *data, size_t len, size_t piece)
{
	static const struct request_ops ops = {.finish = call_finish};
	struct call call = {.request = {.ops = &ops,
				    .body = fuzz_cut(data, len, piece),
				    .state = REQUEST_RECEIVING}};

	call.request.method =
		service_method(&service, 1, "/grpc.health.v1.Health/Check", &call.request.service);
	CHECK(call.request.method);
	request_received(&call.request);
	CHECK(call.finished);
	if (call.outcome == OUTCOME_OK)
		CHECK(wire_first_varint(&call.body, 1) == SERVING);
	slices_done(&call.request.body);
	slices_done(&call.body);
	return call.outcome;
}

void fuzz(const uint8_t *data, size_t len)
{
	static struct health *health;
	enum outcome whole;

	if (!health)
		CHECK(health_new(&(struct health_options){NULL, NULL, NULL, "nowhere"}, &health,
			      NULL) == 0);
	health_set(health, true);
	whole = check(data, len, 0);
	CHECK(whole == OUTCOME_OK || whole == OUTCOME_NOT_FOUND ||
		whole == OUTCOME_INVALID_ARGUMENT);
	CHECK(check(data, len, 2) == whole);
}
