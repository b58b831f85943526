/*
 * rpc_bench: what rpc_peer.py does by grpcio, by common/rpc, for calls.py, which measures both:
 *   rpc-bench serve [CHAIN KEY]                 serves, and prints the port
 *   rpc-bench ping TARGET SECONDS [CA]          prints the time of a unary call with 16 bytes, in
 *                                               microseconds
 *   rpc-bench pull|push TARGET MESSAGES [CA]    so many of 1 MiB from the server, or to it: prints
 *                                               MiB/s
 */
#include "common/base/cleanup.h"
#include "common/rpc/call.h"
#include "common/rpc/server.h"
#include "common/rpc/stream.h"

#include <time.h>

#define MESSAGE_BYTES (1u << 20)
#define TEXT_BYTES    32 /* of a number */
#define WARM_S        0.3
#define WARM_MESSAGES 64
#define TIMEOUT_MS    100000

static const uint8_t zeros[MESSAGE_BYTES];

static struct slices one_message(void)
{
	struct slices body = {0};

	slices_append(&body, slice_static(zeros, sizeof zeros));
	return body;
}

static struct slices number_body(unsigned long number)
{
	struct slices body = {0};
	char text[TEXT_BYTES];

	slices_append_copy(&body, text, (size_t)snprintf(text, sizeof text, "%lu", number));
	return body;
}

static unsigned long body_number(const struct slices *body)
{
	char text[TEXT_BYTES] = "";
	size_t len = body->bytes < sizeof text ? body->bytes : sizeof text - 1;

	slices_read(body, 0, text, len);
	return strtoul(text, NULL, 10);
}

/* ---- the server ---- */

static void ping(void *server, struct request *request)
{
	struct slices body = slices_take(&request->body);

	(void)server;
	request_reply(request, &body);
}

/* The caller has gone, or there is no memory. */
static void gone(void *number, struct request *request)
{
	free(number);
	request_fail(request, OUTCOME_CANCELLED, "");
}

static void pull_next(void *left, struct request *request)
{
	struct slices body = one_message();

	if (--*(unsigned long *)left == 0) {
		free(left);
		request_reply(request, &body);
	} else if (request_send(request, &body, pull_next, left) < 0) {
		slices_done(&body);
		gone(left, request);
	}
}

static void pull(void *server, struct request *request)
{
	unsigned long *left = malloc(sizeof *left);

	(void)server;
	*left = body_number(&request->body);
	request_on_cancel(request, gone, left);
	pull_next(left, request);
}

static void push_next(void *bytes, struct request *request, struct slices *message)
{
	struct slices body;

	if (message) {
		*(unsigned long *)bytes += message->bytes;
		request_read(request, push_next, bytes);
		return;
	}
	body = number_body(*(unsigned long *)bytes);
	free(bytes);
	request_reply(request, &body);
}

static void push(void *server, struct request *request)
{
	unsigned long *bytes = calloc(1, sizeof *bytes);

	(void)server;
	request_on_cancel(request, gone, bytes);
	request_read(request, push_next, bytes);
}

static int serve(struct loop *loop, struct rpc *rpc, const struct rpc_tls *tls)
{
	static const struct method methods[] = {
		{.name = "Ping", .body_max = TEXT_BYTES, .handle = ping},
		{.name = "Pull", .body_max = TEXT_BYTES, .streams = true, .handle = pull},
		{.name = "Push", .body_max = MESSAGE_BYTES, .reads = true, .handle = push},
	};
	const struct service service = {
		.name = "bench.Calls", .methods = methods, .n_methods = ARRAY_LEN(methods)};
	const struct rpc_port port = {.address = "127.0.0.1:0", .tls = tls};
	const struct rpc_server_options options = {.services = &service,
		.n_services = 1,
		.ports = &port,
		.n_ports = 1,
		.receive_max_bytes = MESSAGE_BYTES};
	struct rpc_server *server;

	if (rpc_server_new(rpc, &options, &server) < 0)
		return 1;
	printf("port %d\n", rpc_server_port(server, 0));
	fflush(stdout);
	loop_run(loop); /* until the program is killed */
	return 1;
}

/* ---- the client ---- */

struct client {
	struct loop *loop;
	struct rpc_channel *channel;
	struct rpc_stream *stream;
	double until;        /* ping */
	unsigned long calls; /* ping */
	unsigned long left;  /* push: messages to be sent */
	unsigned long bytes; /* pull: that came; push: that came to the server */
};

static double now(void)
{
	struct timespec time;

	clock_gettime(CLOCK_MONOTONIC, &time);
	return (double)time.tv_sec + 1e-9 * (double)time.tv_nsec;
}

static void must(bool condition, const char *what)
{
	if (condition)
		return;
	fprintf(stderr, "rpc-bench: %s\n", what);
	_Exit(1);
}

static void ping_done(void *arg, struct rpc_result *result);

static void ping_next(struct client *client)
{
	const struct rpc_call_options call = {.path = "/bench.Calls/Ping",
		.timeout_ms = TIMEOUT_MS,
		.wait_for_ready = true,
		.done = ping_done,
		.arg = client};
	struct slices body = {0};

	slices_append(&body, slice_static("0123456789abcdef", 16));
	must(rpc_call_start(client->channel, &call, &body, NULL) == 0, "no call");
}

static void ping_done(void *arg, struct rpc_result *result)
{
	struct client *client = arg;

	must(result->outcome == OUTCOME_OK && result->body.bytes == 16, result->details);
	client->calls++;
	if (now() < client->until)
		ping_next(client);
	else
		loop_stop(client->loop);
}

static double ping_for(struct client *client, double seconds)
{
	double start = now();

	client->calls = 0;
	client->until = start + seconds;
	ping_next(client);
	loop_run(client->loop);
	return 1e6 * (now() - start) / (double)client->calls;
}

static void push_sent(void *arg)
{
	struct client *client = arg;
	struct slices body = one_message();

	if (client->left == 0)
		return;
	client->left--;
	must(rpc_stream_send(client->stream, &body, client->left ? 0 : RPC_SEND_LAST) == 0,
		"a message cannot be sent");
}

static void pull_received(void *arg, struct slices *message)
{
	struct client *client = arg;

	client->bytes += message->bytes;
	rpc_stream_read(client->stream);
}

static void push_answered(void *arg, struct slices *message)
{
	struct client *client = arg;

	client->bytes = body_number(message);
	rpc_stream_read(client->stream);
}

static void ended(void *arg, const struct rpc_end *end)
{
	struct client *client = arg;

	must(end->outcome == OUTCOME_OK, end->details);
	loop_stop(client->loop);
}

/* MiB/s */
static double stream(struct client *client, bool pulls, unsigned long messages)
{
	const struct rpc_stream_options call = {
		.path = pulls ? "/bench.Calls/Pull" : "/bench.Calls/Push",
		.timeout_ms = TIMEOUT_MS,
		.wait_for_ready = true,
		.sent = pulls ? NULL : push_sent,
		.received = pulls ? pull_received : push_answered,
		.ended = ended,
		.arg = client};
	struct slices asked = number_body(messages);
	double start = now();

	client->bytes = 0;
	client->left = messages;
	must(rpc_stream_start(client->channel, &call, &client->stream) == 0, "no stream");
	rpc_stream_read(client->stream);
	if (pulls)
		must(rpc_stream_send(client->stream, &asked, RPC_SEND_LAST) == 0, "nothing sent");
	else
		push_sent(client);
	slices_done(&asked);
	loop_run(client->loop);
	must(client->bytes == messages * MESSAGE_BYTES, "bytes are missing");
	return (double)messages / (now() - start);
}

static int measure(struct client *client, const char *what, const char *amount)
{
	bool pulls = strcmp(what, "pull") == 0;

	if (strcmp(what, "ping") == 0) {
		ping_for(client, WARM_S);
		printf("%f\n", ping_for(client, strtod(amount, NULL)));
	} else {
		stream(client, pulls, WARM_MESSAGES);
		printf("%f\n", stream(client, pulls, strtoul(amount, NULL, 10)));
	}
	return 0;
}

static char *read_file(const char *path)
{
	auto_(fclose_at_exit) FILE *file = fopen(path, "re");
	char *text = calloc(1, 65536);

	must(file && text && fread(text, 1, 65535, file) > 0, path);
	return text;
}

int main(int argc, char **argv)
{
	bool serves = argc > 1 && strcmp(argv[1], "serve") == 0;
	auto_(free_at_exit) char *first = serves && argc > 3 ? read_file(argv[2]) : NULL;
	auto_(free_at_exit) char *second = serves && argc > 3 ? read_file(argv[3]) : NULL;
	auto_(free_at_exit) char *trusted = !serves && argc > 4 ? read_file(argv[4]) : NULL;
	const struct rpc_tls tls = {.trusted_pem = trusted, .chain_pem = first, .key_pem = second};
	const struct rpc_channel_options options = {.target = argc > 2 ? argv[2] : "",
		.tls = trusted ? &tls : NULL,
		.receive_max_bytes = MESSAGE_BYTES};
	struct client client = {0};
	struct rpc *rpc;
	int status;

	must(serves || argc > 3, "serve [CHAIN KEY], or ping, pull or push TARGET AMOUNT [CA]");
	must(loop_new(&client.loop) == 0 && rpc_new(client.loop, &rpc) == 0, "no memory");
	if (serves)
		return serve(client.loop, rpc, first ? &tls : NULL);
	must(rpc_channel_new(rpc, &options, &client.channel) == 0, "no channel");
	status = measure(&client, argv[1], argv[3]);
	rpc_channel_free(client.channel);
	rpc_free(rpc);
	loop_free(client.loop);
	return status;
}
