/*
 * rpc_server_methods: methods of every kind.
 */
#include "common/base/cleanup.h"
#include "common/base/clock.h"
#include "common/rpc/context.h"
#include "kit/rpc_server.h"

#include <errno.h>
#include <stdio.h>

#define FLOOD_BYTES 65536

static struct request *kept_call; /* by Wait */
static struct request *slow_call; /* by Slow */

/* ---- bodies ---- */

static char *body_text(const struct slices *body)
{
	char *text = calloc(1, body->bytes + 1);

	must(text && slices_read(body, 0, text, body->bytes) == 0, "no memory");
	return text;
}

static struct slices text_body(const char *text)
{
	struct slices body = {0};

	must(slices_append_copy(&body, text, strlen(text)) == 0, "no memory");
	return body;
}

static void reply_text(struct request *request, const char *text)
{
	struct slices body = text_body(text);

	request_reply(request, &body);
}

static struct slices zeros(size_t len)
{
	struct slices body = {0};
	struct slice slice;

	must(slice_take(calloc(1, len ? len : 1), len, &slice) == 0, "no memory");
	must(slices_append(&body, slice) == 0, "no memory");
	return body;
}

/* ---- the four kinds ---- */

static void echo(void *server, struct request *request)
{
	struct slices body = slices_take(&request->body);

	(void)server;
	request_reply(request, &body);
}

struct stream {
	struct request *request;
	unsigned long n, bytes;
	bool early; /* ends at the first message */
};

static void stream_gone(void *arg, struct request *request)
{
	struct stream *stream = arg;

	say("gone after %lu", stream->n);
	free(stream);
	request_fail(request, OUTCOME_CANCELLED, "");
}

static struct stream *stream_new(struct request *request)
{
	struct stream *stream = calloc(1, sizeof *stream);

	must(stream, "no memory");
	stream->request = request;
	request_on_cancel(request, stream_gone, stream);
	return stream;
}

static void sum_next(void *arg, struct request *request, struct slices *message)
{
	struct stream *stream = arg;
	char text[64];

	if (message) {
		stream->n++;
		stream->bytes += message->bytes;
		request_read(request, sum_next, stream);
		return;
	}
	snprintf(text, sizeof text, "%lu %lu", stream->n, stream->bytes);
	free(stream);
	reply_text(request, text);
}

/* "messages bytes" of all that came. */
static void sum(void *server, struct request *request)
{
	(void)server;
	request_read(request, sum_next, stream_new(request));
}

static void repeat_next(void *arg, struct request *request)
{
	struct stream *stream = arg;
	struct slices body = zeros(stream->bytes);

	if (--stream->n > 0) {
		must(request_send(request, &body, repeat_next, stream) == 0, "cannot send");
		return;
	}
	free(stream);
	request_reply(request, &body);
}

/* As many messages, of so many bytes, as the body says. */
static void repeat(void *server, struct request *request)
{
	auto_(free_at_exit) char *text = body_text(&request->body);
	struct stream *stream = stream_new(request);

	(void)server;
	must(sscanf(text, "%lu %lu", &stream->n, &stream->bytes) == 2, "bad body");
	repeat_next(stream, request);
}

static void chat_sent(void *arg, struct request *request);

static void chat_next(void *arg, struct request *request, struct slices *message)
{
	struct stream *stream = arg;

	if (!message) {
		free(stream);
		request_fail(request, OUTCOME_NOT_FOUND, "no more");
		return;
	}
	stream->n++;
	if (stream->early) {
		free(stream);
		request_reply(request, message);
		return;
	}
	must(request_send(request, message, chat_sent, stream) == 0, "cannot send");
}

static void chat_sent(void *arg, struct request *request)
{
	request_read(request, chat_next, arg);
}

/* Each message comes back; the end is an error. */
static void chat(void *server, struct request *request)
{
	(void)server;
	request_read(request, chat_next, stream_new(request));
}

/* The first message is the answer, whatever else comes. */
static void early(void *server, struct request *request)
{
	struct stream *stream = stream_new(request);

	(void)server;
	stream->early = true;
	request_read(request, chat_next, stream);
}

/* Answers without a look at what comes. */
static void deaf(void *server, struct request *request)
{
	(void)server;
	reply_text(request, "not interested");
}

/* ---- slow ends ---- */

static void slow_got(void *arg, struct request *request, struct slices *message)
{
	(void)arg;
	if (message) {
		say("got %zu", message->bytes);
		return;
	}
	say("end");
	slow_call = NULL;
	reply_text(request, "slow");
}

static void slow_gone(void *arg, struct request *request)
{
	(void)arg;
	say("slow gone");
	slow_call = NULL;
	request_fail(request, OUTCOME_CANCELLED, "");
}

/* Reads when standard input says "read". */
static void slow(void *server, struct request *request)
{
	(void)server;
	slow_call = request;
	request_on_cancel(request, slow_gone, NULL);
	say("slow begun");
}

static void flood_next(void *arg, struct request *request)
{
	struct stream *stream = arg;
	struct slices body = zeros(FLOOD_BYTES);

	stream->n++;
	must(request_send(request, &body, flood_next, stream) == 0, "cannot send");
}

/* Sends for ever. */
static void flood(void *server, struct request *request)
{
	(void)server;
	flood_next(stream_new(request), request);
}

static void wait_gone(void *arg, struct request *request)
{
	(void)arg;
	say("cancelled");
	kept_call = NULL;
	request_fail(request, OUTCOME_CANCELLED, "");
}

/* Is answered when standard input says "finish". */
static void wait_handle(void *server, struct request *request)
{
	(void)server;
	kept_call = request;
	request_on_cancel(request, wait_gone, NULL);
	say("waiting");
}

/* ---- context ---- */

/* "key=value" of all headers of the request, of the caller, and of its deadline, one a line. */
static void context(void *server, struct request *request)
{
	const struct rpc_headers *headers = rpc_request_headers(request);
	int64_t left_ms = request_time_left_ms(request);
	auto_(rpc_auth_done) struct rpc_auth auth = {0};
	auto_(free_at_exit) char *text = NULL;
	size_t size;
	FILE *to = open_memstream(&text, &size);

	(void)server;
	must(to && rpc_request_auth(request, &auth) == 0, "no context");
	fprintf(to, "path=%s\npeer=%s\n", request->path, rpc_request_peer(request));
	if (left_ms == CLOCK_NEVER)
		fprintf(to, "left=never\n");
	else
		fprintf(to, "left=%lld\n", (long long)left_ms);
	for (size_t i = 0; i < headers->n; i++) {
		fprintf(to, "%s=", headers->v[i].key);
		for (size_t j = 0; j < headers->v[i].len; j++)
			fprintf(to, "%02x", ((const unsigned char *)headers->v[i].value)[j]);
		fputc('\n', to);
	}
	fprintf(to, "identity_key=%s\n", auth.identity_key ? auth.identity_key : "");
	for (size_t i = 0; i < auth.properties.n; i++)
		if (!strchr(auth.properties.v[i].value, '\n'))
			fprintf(to, "auth.%s=%s\n", auth.properties.v[i].key,
				(const char *)auth.properties.v[i].value);
	fclose(to);
	must(rpc_request_add_header(request, (struct rpc_header){"x-initial", "first", 5}) == 0,
		"x-initial");
	must(rpc_request_add_header(request, (struct rpc_header){"x-raw-bin", "\0\xff", 2}) == 0,
		"x-raw-bin");
	must(rpc_request_add_header(request, (struct rpc_header){"grpc-status", "0", 1}) == -EINVAL,
		"grpc-status");
	must(rpc_request_add_header(request, (struct rpc_header){"X", "0", 1}) == -EINVAL, "X");
	must(rpc_request_add_trailer(request, (struct rpc_header){"x-trailing", "last", 4}) == 0,
		"x-trailing");
	reply_text(request, text);
}

/* The head goes at once, the answer when standard input says "finish". */
static void head(void *server, struct request *request)
{
	must(rpc_request_add_header(request, (struct rpc_header){"x-initial", "early", 5}) == 0,
		"x-initial");
	must(rpc_request_send_head(request) == 0, "head");
	must(rpc_request_send_head(request) == -EALREADY, "head again");
	must(rpc_request_add_header(request, (struct rpc_header){"x-late", "1", 1}) == -EALREADY,
		"x-late");
	wait_handle(server, request);
}

/* "reply NUMBER DETAILS", "abort NUMBER DETAILS" or "null NUMBER" */
static void status(void *server, struct request *request)
{
	auto_(free_at_exit) char *text = body_text(&request->body);
	int number = 0, at = 0;

	(void)server;
	must(sscanf(text, "%*s %d %n", &number, &at) == 1, "bad body");
	must(rpc_request_add_trailer(request, (struct rpc_header){"x-trailing", "why", 3}) == 0,
		"x-trailing");
	if (text[0] == 'a') {
		rpc_request_abort(request, (enum rpc_status)number, text + at);
		return;
	}
	if (text[0] == 'n') {
		rpc_request_abort(request, (enum rpc_status)number, NULL);
		return;
	}
	must(rpc_request_set_status(request, RPC_STATUS_N, "") == -EINVAL, "no such status");
	must(rpc_request_set_status(request, (enum rpc_status)number, text + at) == 0, "status");
	reply_text(request, "with a message");
}

static void compress_sent(void *arg, struct request *request)
{
	struct slices body = zeros(100000);

	free(arg);
	must(rpc_request_plain_next(request) == 0, "plain");
	request_reply(request, &body);
}

/* Two messages: one compressed as the body says ("0", "1", "2"; "": as the server does), one not.
 */
static void compress(void *server, struct request *request)
{
	struct slices body = zeros(100000);
	uint8_t which = 0;

	(void)server;
	if (slices_read(&request->body, 0, &which, 1) == 0)
		must(rpc_request_compress(request, (enum rpc_compression)(which - '0')) == 0,
			"compress");
	must(rpc_request_compress(request, RPC_COMPRESSION_N) == -EINVAL, "no such compression");
	must(request_send(request, &body, compress_sent, stream_new(request)) == 0, "cannot send");
}

/* Refuses while the body comes. */
static void unwanted(void *server, struct request *request)
{
	(void)server;
	must(rpc_request_add_trailer(request, (struct rpc_header){"x-trailing", "why", 3}) == 0,
		"x-trailing");
	request_admit(request);
	request_fail(request, OUTCOME_PERMISSION_DENIED, "not wanted");
}

#define ANY_BYTES ((size_t)64 << 20)

static const struct method methods[] = {
	{.name = "Echo", .body_max = ANY_BYTES, .handle = echo},
	{.name = "Sum", .body_max = ANY_BYTES, .reads = true, .handle = sum},
	{.name = "SumSmall", .body_max = 10, .reads = true, .handle = sum},
	{.name = "Repeat", .body_max = ANY_BYTES, .streams = true, .handle = repeat},
	{.name = "Chat", .body_max = ANY_BYTES, .streams = true, .reads = true, .handle = chat},
	{.name = "Early", .body_max = ANY_BYTES, .streams = true, .reads = true, .handle = early},
	{.name = "Deaf", .body_max = ANY_BYTES, .reads = true, .handle = deaf},
	{.name = "Slow", .body_max = ANY_BYTES, .reads = true, .handle = slow},
	{.name = "Flood", .body_max = ANY_BYTES, .streams = true, .handle = flood},
	{.name = "Wait", .body_max = ANY_BYTES, .handle = wait_handle},
	{.name = "Context", .body_max = ANY_BYTES, .handle = context},
	{.name = "Head", .body_max = ANY_BYTES, .handle = head},
	{.name = "Status", .body_max = ANY_BYTES, .handle = status},
	{.name = "Unwanted", .body_max = ANY_BYTES, .admit = unwanted, .handle = echo},
	{.name = "Compress", .body_max = ANY_BYTES, .streams = true, .handle = compress},
};

/* ---- a service that takes any path ---- */

static void any(void *server, struct request *request)
{
	(void)server;
	reply_text(request, request->path);
}

static const struct method any_method = {.name = "any", .body_max = 100, .handle = any};

static const struct method *find(void *server, const char *path)
{
	(void)server;
	return strncmp(path, "/any.", 5) == 0 ? &any_method : NULL;
}

const struct service rpc_server_services[RPC_SERVER_SERVICES] = {
	{.find = find},
	{.name = "test.Rpc", .methods = methods, .n_methods = ARRAY_LEN(methods)},
};

void methods_read(void)
{
	must(slow_call, "nothing to read");
	request_read(slow_call, slow_got, NULL);
}

void methods_finish(void)
{
	must(kept_call, "nothing to finish");
	reply_text(take_pointer(&kept_call), "finished");
}
