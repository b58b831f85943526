/*
 * state-server [ADDRESS]: takes samples of any number of devices until it is interrupted.
 */
#include "common/rpc/server.h"
#include "common/base/cleanup.h"
#include "common/wire/message.h"
#include "state.pb-c.h"
#include <errno.h>
#define SAMPLE_MAX 1000 /* bytes */

/* All samples since the start. There is one thread, so streams that run at once may share it. */
static State__Summary summary = STATE__SUMMARY__INIT;

static void on_sample(void *arg, struct request *request, struct slices *message)
{
	auto_(wire_free) State__Sample *sample = NULL;
	struct slices body = {0};
	int r = message ? wire_decode(&state__sample__descriptor, message, SAMPLE_MAX, &sample)
			: wire_encode(&summary, &body);

	if (r == -ENOMEM) {
		request_fail(request, OUTCOME_RESOURCE_EXHAUSTED, "no memory");
	} else if (r < 0) {
		request_fail(request, OUTCOME_INVALID_ARGUMENT, "not a Sample");
	} else if (!message) { /* the device has no more */
		request_reply(request, &body);
	} else {
		summary.mean += (sample->value - summary.mean) / ++summary.samples;
		request_read(request, on_sample, arg);
	}
}

static void device_gone(void *arg, struct request *request)
{
	(void)arg;
	request_fail(request, OUTCOME_CANCELLED, "the device is gone");
}

static void record(void *server, struct request *request)
{
	request_on_cancel(request, device_gone, server);
	request_read(request, on_sample, server);
}

static void interrupted(void *loop, int signal)
{
	(void)signal;
	loop_stop(loop);
}

int main(int argc, char **argv)
{
	const struct method method = {"Record", SAMPLE_MAX, .reads = true, .handle = record};
	const struct service service = {.name = "state.States", .methods = &method, .n_methods = 1};
	const struct rpc_port port = {.address = argc > 1 ? argv[1] : "127.0.0.1:50051"};
	const struct rpc_server_options options = {.services = &service,
		.n_services = 1,
		.ports = &port,
		.n_ports = 1,
		.receive_max_bytes = SAMPLE_MAX,
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
		dprintf(STDOUT_FILENO, "port %d\n", rpc_server_port(server, 0));
		loop_run(loop);
		rpc_server_shutdown(server, 1000, NULL, NULL);
	}
	rpc_free(rpc);
	loop_free(loop);
	return server ? 0 : 1;
}
