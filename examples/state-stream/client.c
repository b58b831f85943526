/*
 * The device: state-client ADDRESS SAMPLES sends so many samples of a sine, and prints the summary.
 */
#include "common/rpc/stream.h"
#include "common/wire/message.h"
#include "state.pb-c.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#define TIMEOUT_MS 60000

struct device {
	struct loop *loop;
	struct rpc_stream *stream;
	int sent, samples;
	int status;
};

/* Send the next sample, or say that there are no more. */
static void send_next(void *arg)
{
	struct device *device = arg;
	State__Sample sample = STATE__SAMPLE__INIT;
	struct slices body = {0};

	if (device->sent == device->samples) {
		rpc_stream_close(device->stream);
		return;
	}
	sample.seconds = 0.1 * device->sent++;
	sample.value = sin(sample.seconds);
	if (wire_encode(&sample, &body) < 0 || rpc_stream_send(device->stream, &body, 0) < 0)
		rpc_stream_cancel(device->stream);
}

static void on_summary(void *arg, struct slices *message)
{
	State__Summary *summary = NULL;

	(void)arg;
	if (wire_decode(&state__summary__descriptor, message, 1024, &summary) == 0)
		printf("samples %u lowest %g highest %g mean %g\n", summary->samples,
			summary->lowest, summary->highest, summary->mean);
	wire_free(&summary);
}

static void on_end(void *arg, const struct rpc_end *end)
{
	struct device *device = arg;

	device->status = end->status;
	if (end->status)
		printf("status %d: %s\n", end->status, end->details);
	loop_stop(device->loop);
}

int main(int argc, char **argv)
{
	const struct rpc_channel_options options = {
		.target = argc > 1 ? argv[1] : "", .receive_max_bytes = 1024};
	struct device device = {.samples = argc > 2 ? atoi(argv[2]) : 100, .status = -1};
	const struct rpc_stream_options call = {.path = "/state.States/Record",
		.timeout_ms = TIMEOUT_MS,
		.wait_for_ready = true,
		.sent = send_next,
		.received = on_summary,
		.ended = on_end,
		.arg = &device};
	struct rpc_channel *channel;
	struct rpc *rpc;

	if (loop_new(&device.loop) < 0 || rpc_new(device.loop, &rpc) < 0 ||
		rpc_channel_new(rpc, &options, &channel) < 0 ||
		rpc_stream_start(channel, &call, &device.stream) < 0)
		return 2;
	rpc_stream_read(device.stream); /* the summary */
	send_next(&device);
	loop_run(device.loop);
	rpc_channel_free(channel);
	rpc_free(rpc);
	loop_free(device.loop);
	return device.status != 0;
}
