/*
 * The server: state-server ADDRESS, such as 127.0.0.1:50051. Stops at SIGTERM and SIGINT, when the
 * streams at hand have ended.
 */
#include "common/rpc/server.h"
#include "common/wire/message.h"
#include "state.pb-c.h"

#include <stdio.h>
#include <stdlib.h>

#define SAMPLE_MAX 1024 /* bytes */
#define GRACE_MS   5000 /* for streams at hand, when it stops */

static struct rpc_server *server;

/* The device has gone, or what it sends is no sample. */
static void on_gone(void *arg, struct request *request)
{
	free(arg);
	request_fail(request, OUTCOME_INVALID_ARGUMENT, "this is no sample");
}

static void on_sample(void *arg, struct request *request, struct slices *message)
{
	State__Summary *summary = arg;
	State__Sample *sample = NULL;
	struct slices body = {0};

	if (!message) { /* there are no more: until here mean is the sum */
		summary->mean /= summary->samples ? summary->samples : 1;
		wire_encode(summary, &body);
		free(summary);
		request_reply(request, &body);
		return;
	}
	if (wire_decode(&state__sample__descriptor, message, SAMPLE_MAX, &sample) < 0) {
		on_gone(summary, request);
		return;
	}
	if (summary->samples == 0 || sample->value < summary->lowest)
		summary->lowest = sample->value;
	if (summary->samples == 0 || sample->value > summary->highest)
		summary->highest = sample->value;
	summary->mean += sample->value;
	summary->samples++;
	wire_free(&sample);
	request_read(request, on_sample, summary);
}

static void record(void *arg, struct request *request)
{
	State__Summary *summary = malloc(sizeof *summary);

	(void)arg;
	state__summary__init(summary);
	request_on_cancel(request, on_gone, summary);
	request_read(request, on_sample, summary);
}

static void on_ended(void *arg)
{
	loop_stop(arg);
}

static void on_signal(void *arg, int signal)
{
	(void)signal;
	if (server)
		rpc_server_shutdown(server, GRACE_MS, on_ended, arg);
	server = NULL;
}

int main(int argc, char **argv)
{
	static const struct method methods[] = {
		{.name = "Record", .body_max = SAMPLE_MAX, .reads = true, .handle = record}};
	const struct service service = {.name = "state.States", .methods = methods, .n_methods = 1};
	const struct rpc_port port = {.address = argc > 1 ? argv[1] : "127.0.0.1:0"};
	const struct rpc_server_options options = {.services = &service,
		.n_services = 1,
		.ports = &port,
		.n_ports = 1,
		.receive_max_bytes = SAMPLE_MAX};
	sigset_t signals = loop_block_signals(); /* before there are threads */
	struct loop *loop;
	struct rpc *rpc;

	if (loop_new(&loop) < 0 || rpc_new(loop, &rpc) < 0 ||
		loop_signals(loop, &signals, on_signal, loop) < 0 ||
		rpc_server_new(rpc, &options, &server) < 0)
		return 1;
	printf("port %d\n", rpc_server_port(server, 0));
	fflush(stdout);
	loop_run(loop);
	rpc_free(rpc);
	loop_free(loop);
	return 0;
}
