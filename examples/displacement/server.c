/*
 * displacement-server [ADDRESS]: serves displacement.Spring until it is interrupted.
 */
#include "common/rpc/server.h"
#include "common/base/cleanup.h"
#include "common/service/interceptors.h"
#include "common/wire/message.h"
#include "displacement.pb-c.h"

#define LOAD_MAX_BYTES 1000

static void displace(void *server, struct request *request)
{
	auto_(wire_free) Displacement__Load *load = NULL;
	Displacement__Displacement answer = DISPLACEMENT__DISPLACEMENT__INIT;
	struct slices body = {0};

	(void)server;
	if (wire_decode(&displacement__load__descriptor, &request->body, LOAD_MAX_BYTES, &load)) {
		request_fail(request, OUTCOME_INVALID_ARGUMENT, "not a Load");
		return;
	}
	if (!(load->stiffness > 0)) {
		request_fail(request, OUTCOME_INVALID_ARGUMENT, "stiffness must be above 0 N/m");
		return;
	}
	answer.length = load->force / load->stiffness;
	if (wire_encode(&answer, &body) < 0)
		request_fail(request, OUTCOME_RESOURCE_EXHAUSTED, "no memory");
	else
		request_reply(request, &body);
	slices_done(&body);
}

static const struct method methods[] = {
	{.name = "Displace", .body_max = LOAD_MAX_BYTES, .handle = displace}};
static const struct service service = {
	.name = "displacement.Spring", .methods = methods, .n_methods = ARRAY_LEN(methods)};

static void interrupted(void *arg, int signal)
{
	(void)signal;
	loop_stop(arg);
}

int main(int argc, char **argv)
{
	const struct rpc_port port = {.address = argc > 1 ? argv[1] : "127.0.0.1:50051"};
	struct log *log = log_new(STDERR_FILENO, "displacement", LOG_LEVEL_INFO);
	const struct interceptor logging = log_interceptor(log, LOG_LEVEL_INFO);
	const struct rpc_server_options options = {.services = &service,
		.n_services = 1,
		.interceptors = &logging,
		.n_interceptors = 1,
		.ports = &port,
		.n_ports = 1,
		.receive_max_bytes = LOAD_MAX_BYTES,
		.memory_max_bytes = 64 << 20,
		.calls_max = 100};
	sigset_t signals = loop_block_signals();
	struct rpc_server *server = NULL;
	struct loop *loop = NULL;
	struct rpc *rpc = NULL;

	if (loop_new(&loop) < 0 || loop_signals(loop, &signals, interrupted, loop) < 0 ||
		rpc_new(loop, &rpc) < 0 || rpc_server_new(rpc, &options, &server) < 0) {
		fprintf(stderr, "cannot serve at %s\n", port.address);
	} else {
		printf("port %d\n", rpc_server_port(server, 0));
		fflush(stdout);
		loop_run(loop);
		/* Calls at work have a second; rpc_free() waits for the end. */
		rpc_server_shutdown(server, 1000, NULL, NULL);
	}
	rpc_free(rpc);
	loop_free(loop);
	log_free(log);
	return server ? 0 : 1;
}
