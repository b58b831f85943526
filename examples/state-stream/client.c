/*
 * state-client TARGET SAMPLES: sends so many samples of a sine, and prints the summary.
 */
#include "common/base/cleanup.h"
#include "common/base/number.h"
#include "common/base/text.h"
#include "common/rpc/status.h"
#include "common/rpc/stream.h"
#include "common/wire/message.h"
#include "state.pb-c.h"
#include <math.h>

struct device {
	struct loop *loop;
	struct rpc_stream *stream;
	uint64_t sent, samples;
	bool done;
};

/* Send the next sample, or say that there are no more. */
static void send_next(void *arg)
{
	struct device *device = arg;
	State__Sample sample = STATE__SAMPLE__INIT;
	struct slices body = {0};

	sample.seconds = 0.1 * (double)device->sent;
	sample.value = sin(sample.seconds);
	if (device->sent++ == device->samples)
		rpc_stream_close(device->stream);
	else if (wire_encode(&sample, &body) < 0 || rpc_stream_send(device->stream, &body, 0) < 0)
		rpc_stream_cancel(device->stream);
}

static void print_summary(void *arg, struct slices *message)
{
	auto_(wire_free) State__Summary *summary = NULL;

	if (wire_decode(&state__summary__descriptor, message, 1000, &summary) < 0)
		return;
	printf("samples %u mean %g\n", summary->samples, summary->mean);
	((struct device *)arg)->done = true;
}

static void on_end(void *arg, const struct rpc_end *end)
{
	struct device *device = arg;
	char words[256]; /* the peer's, which may be anything: quoted */

	text_quote(end->details, strlen(end->details), words, sizeof words);
	if (!device->done)
		fprintf(stderr, "no summary: %s %s\n", rpc_status_name(end->status), words);
	loop_stop(device->loop);
}

int main(int argc, char **argv)
{
	struct device device = {0};
	const struct rpc_channel_options options = {
		.target = argv[1], .receive_max_bytes = 1000, .memory_max_bytes = 64 << 20};
	const struct rpc_stream_options call = {"/state.States/Record", .sent = send_next,
		.received = print_summary, .ended = on_end, .arg = &device};
	struct rpc_channel *channel = NULL;
	struct rpc *rpc = NULL;

	if (argc != 3 || number_u64(argv[2], &device.samples) < 0 || loop_new(&device.loop) < 0 ||
		rpc_new(device.loop, &rpc) < 0 || rpc_channel_new(rpc, &options, &channel) < 0 ||
		rpc_stream_start(channel, &call, &device.stream) < 0) {
		fprintf(stderr, "usage: state-client TARGET SAMPLES\n");
	} else {
		rpc_stream_read(device.stream); /* the summary */
		send_next(&device);
		loop_run(device.loop);
	}
	rpc_channel_free(channel);
	rpc_free(rpc);
	loop_free(device.loop);
	return device.done ? 0 : 1;
}
