/*
 * A gRPC client that another program drives, for tests/system/test_rpc_client.py:
 *   rpc-client TARGET [NAME=VALUE ...]     options of the channel, see set_option()
 * Each line that it reads is a command (commands below), whose words are NAME=VALUE, too. It writes
 * a line for each event. Ends at the end of stdin.
 */
#include "common/base/cleanup.h"
#include "common/base/number.h"
#include "common/rpc/call.h"
#include "common/rpc/interceptor.h"
#include "common/rpc/stream.h"

#include <errno.h>

enum { WORDS_MAX = 24, OPTIONS_MAX = 8 };

struct words {
	const char *v[WORDS_MAX];
	size_t n;
};

static struct client {
	struct loop *loop;
	struct rpc_channel *channel;
	struct rpc_stream *stream; /* NULL: none is out */
	struct rpc_call *call;
	struct rpc_metrics metrics;
	struct rpc_header token;
	char line[4096];
	size_t line_len;
	char cancel_in[16]; /* the callback that cancels its stream */
	bool drain;         /* each message that comes asks for the next one */
	bool ended;
} client;

static void die(const char *what, int r)
{
	printf("failed %s %s\n", what, strerror(-r));
	exit(1);
}

/* The value of the word "name=value", "" for the word "name"; NULL: there is none. */
static const char *word_get(const struct words *words, const char *name)
{
	size_t len = strlen(name);

	for (size_t i = 0; i < words->n; i++) {
		if (strncmp(words->v[i], name, len) != 0)
			continue;
		if (words->v[i][len] == '=')
			return words->v[i] + len + 1;
		if (words->v[i][len] == '\0')
			return "";
	}
	return NULL;
}

static int64_t word_number(const struct words *words, const char *name)
{
	const char *text = word_get(words, name);

	return text ? atoll(text) : 0;
}

static enum rpc_compression compression_of(const char *text)
{
	return strcmp(text, "gzip") == 0      ? RPC_COMPRESSION_GZIP
	       : strcmp(text, "deflate") == 0 ? RPC_COMPRESSION_DEFLATE
					      : RPC_COMPRESSION_NONE;
}

static struct slices body_of(const struct words *words)
{
	const char *text = word_get(words, "text");
	size_t size = (size_t)word_number(words, "size");
	struct slices body = {0};
	struct slice slice;
	char *bytes;

	if (text)
		slices_append_copy(&body, text, strlen(text));
	bytes = size ? calloc(1, size) : NULL;
	if (bytes && slice_take(bytes, size, &slice) == 0)
		slices_append(&body, slice);
	return body;
}

/* ---- what is told ---- */

static void print_bytes(const void *data, size_t len)
{
	for (size_t i = 0; i < len; i++)
		printf("%02x", ((const unsigned char *)data)[i]);
}

static void print_headers(const struct rpc_headers *headers)
{
	for (size_t i = 0; i < headers->n; i++) {
		printf(" %s=", headers->v[i].key);
		print_bytes(headers->v[i].value, headers->v[i].len);
	}
}

/* Its size, and the first bytes. */
static void print_body(const struct slices *body)
{
	char first[64];
	size_t len = body->bytes < sizeof first ? body->bytes : sizeof first;

	slices_read(body, 0, first, len);
	printf(" size=%zu body=", body->bytes);
	print_bytes(first, len);
}

static void print_end(const char *what, int status, const char *details)
{
	printf("%s status=%d details=", what, status);
	print_bytes(details, strlen(details));
}

static void done(void *arg, struct rpc_result *result)
{
	(void)arg;
	client.call = NULL;
	print_end("result", result->status, result->details);
	print_body(&result->body);
	print_headers(&result->headers);
	print_headers(&result->trailers);
	printf("\n");
}

static void maybe_cancel(const char *where)
{
	if (strcmp(client.cancel_in, where) == 0)
		rpc_stream_cancel(client.stream);
}

static void opened(void *arg, const struct rpc_headers *headers)
{
	(void)arg;
	printf("opened");
	print_headers(headers);
	printf("\n");
	maybe_cancel("opened");
}

static void sent(void *arg)
{
	(void)arg;
	printf("sent\n");
	maybe_cancel("sent");
}

static void received(void *arg, struct slices *message)
{
	(void)arg;
	printf("received");
	print_body(message);
	printf("\n");
	maybe_cancel("received");
	if (client.drain)
		rpc_stream_read(client.stream);
}

static void ended(void *arg, const struct rpc_end *end)
{
	char peer[128];

	(void)arg;
	rpc_stream_peer(client.stream, peer, sizeof peer);
	client.stream = NULL;
	print_end("ended", end->status, end->details);
	printf(" peer=%s", peer);
	print_headers(end->trailers);
	printf("\n");
}

static void ready(void *arg, bool is)
{
	(void)arg;
	printf("ready %d\n", is);
}

/* ---- commands ---- */

static size_t headers_of(const struct words *words, struct rpc_header *headers, char *keys)
{
	const char *text = word_get(words, "header");
	const char *colon = text ? strchr(text, ':') : NULL;

	if (!colon)
		return 0;
	snprintf(keys, 64, "%.*s", (int)(colon - text), text);
	headers[0] = (struct rpc_header){keys, colon + 1, strlen(colon + 1)};
	return 1;
}

static void tell_start(int r)
{
	if (r)
		printf("refused %s\n", strerrorname_np(-r));
}

static void unary(const struct words *words)
{
	const char *compress = word_get(words, "compress");
	enum rpc_compression compression = compression_of(compress ? compress : "");
	struct rpc_header header;
	char key[64];
	struct rpc_call_options options = {.path = word_get(words, "path"),
		.headers = &header,
		.n_headers = headers_of(words, &header, key),
		.timeout_ms = word_number(words, "timeout"),
		.answer_max_bytes = (uint64_t)word_number(words, "answer-max"),
		.wait_for_ready = word_get(words, "wait") != NULL,
		.compression = compress ? &compression : NULL,
		.done = done};
	struct slices body = body_of(words);

	tell_start(rpc_call_start(client.channel, &options, &body, &client.call));
}

static void start(const struct words *words)
{
	const char *compress = word_get(words, "compress");
	const char *cancel_in = word_get(words, "cancel-in");
	enum rpc_compression compression = compression_of(compress ? compress : "");
	struct rpc_header header;
	char key[64];
	struct rpc_stream_options options = {.path = word_get(words, "path"),
		.headers = &header,
		.n_headers = headers_of(words, &header, key),
		.timeout_ms = word_number(words, "timeout"),
		.wait_for_ready = word_get(words, "wait") != NULL,
		.compression = compress ? &compression : NULL,
		.opened = opened,
		.sent = sent,
		.received = received,
		.ended = ended};

	client.drain = word_get(words, "drain") != NULL;
	snprintf(client.cancel_in, sizeof client.cancel_in, "%s", cancel_in ? cancel_in : "");
	tell_start(rpc_stream_start(client.channel, &options, &client.stream));
	if (client.drain && client.stream)
		rpc_stream_read(client.stream);
}

static void send_message(const struct words *words)
{
	struct slices body = {0};

	if (!client.stream) /* it has ended meanwhile */
		return;
	body = body_of(words);
	tell_start(rpc_stream_send(client.stream, &body,
		(word_get(words, "last") ? RPC_SEND_LAST : 0u) |
			(word_get(words, "plain") ? RPC_SEND_PLAIN : 0u)));
}

static void stream_do(const struct words *words)
{
	if (!client.stream) /* it has ended meanwhile */
		return;
	if (strcmp(words->v[0], "close") == 0)
		rpc_stream_close(client.stream);
	else if (strcmp(words->v[0], "read") == 0)
		rpc_stream_read(client.stream);
	else
		rpc_stream_cancel(client.stream);
}

static void cancel_call(const struct words *words)
{
	(void)words;
	rpc_call_cancel(client.call);
}

static void watch(const struct words *words)
{
	rpc_channel_watch(client.channel, word_get(words, "off") ? NULL : ready, NULL);
}

static void tell(const struct words *words)
{
	const struct rpc_metrics *m = &client.metrics;
	uint64_t failed = 0;

	(void)words;
	for (size_t i = 0; i < OUTCOME_N; i++)
		failed += i == OUTCOME_OK ? 0 : m->ended[i];
	printf("metrics ready=%d started=%llu ok=%llu failed=%llu sent=%llu sent_bytes=%llu received=%llu received_bytes=%llu\n",
		rpc_channel_is_ready(client.channel), (unsigned long long)m->started,
		(unsigned long long)m->ended[OUTCOME_OK], (unsigned long long)failed,
		(unsigned long long)m->traffic.sent, (unsigned long long)m->traffic.sent_bytes,
		(unsigned long long)m->traffic.received,
		(unsigned long long)m->traffic.received_bytes);
}

static void free_channel(const struct words *words)
{
	(void)words;
	rpc_channel_free(client.channel);
	client.channel = NULL;
}

static const struct {
	const char *name;
	void (*run)(const struct words *words);
} commands[] = {
	{"unary", unary},
	{"start", start},
	{"send", send_message},
	{"close", stream_do},
	{"read", stream_do},
	{"cancel", stream_do},
	{"cancel-call", cancel_call},
	{"watch", watch},
	{"tell", tell},
	{"free", free_channel},
};

static void run_line(char *line)
{
	struct words words = {0};
	char *at = NULL;

	for (char *word = strtok_r(line, " ", &at); word && words.n < WORDS_MAX;
		word = strtok_r(NULL, " ", &at))
		words.v[words.n++] = word;
	for (size_t i = 0; words.n && i < ARRAY_LEN(commands); i++)
		if (strcmp(words.v[0], commands[i].name) == 0) {
			commands[i].run(&words);
			return;
		}
	die("command", -EINVAL);
}

static void on_stdin(void *arg, int events)
{
	size_t room = sizeof client.line - client.line_len;
	ssize_t n = read(0, client.line + client.line_len, room);
	char *end;

	(void)arg;
	(void)events;
	if (n <= 0) {
		client.ended = true;
		return;
	}
	client.line_len += (size_t)n;
	while ((end = memchr(client.line, '\n', client.line_len))) {
		size_t len = (size_t)(end - client.line) + 1;
		char line[sizeof client.line];

		*end = '\0';
		memcpy(line, client.line, len);
		client.line_len -= len;
		memmove(client.line, client.line + len, client.line_len);
		run_line(line);
	}
}

/* ---- the channel ---- */

static char *read_file(const char *path)
{
	auto_(fclose_at_exit) FILE *file = path ? fopen(path, "r") : NULL;
	char *text = file ? calloc(1, 65536) : NULL;

	if (text && fread(text, 1, 65535, file) == 0)
		die("file", -EIO);
	return text;
}

static void channel_open(struct rpc *rpc, const struct words *words, struct log *log)
{
	auto_(free_at_exit) char *trusted = read_file(word_get(words, "trusted"));
	auto_(free_at_exit) char *chain = read_file(word_get(words, "chain"));
	auto_(free_at_exit) char *key = read_file(word_get(words, "key"));
	const struct rpc_tls tls = {.trusted_pem = trusted, .chain_pem = chain, .key_pem = key};
	const char *compress = word_get(words, "compress");
	const struct rpc_interceptor interceptors[] = {rpc_show_header(&client.token),
		rpc_count_calls(&client.metrics), rpc_log_calls(log, LOG_LEVEL_WARN)};
	const struct rpc_option user = {
		.name = "grpc.secondary_user_agent", .text = word_get(words, "second-agent")};
	const struct rpc_option limit = {.name = "grpc.max_receive_message_length",
		.number = (int)word_number(words, "option-max")};
	const struct rpc_option both[] = {user.text ? user : limit, limit};
	struct rpc_channel_options options = {.target = words->v[0],
		.tls = trusted ? &tls : NULL,
		.tls_name = word_get(words, "name"),
		.receive_max_bytes = word_get(words, "receive-max")
					     ? (uint64_t)word_number(words, "receive-max")
					     : 64u << 20,
		.user_agent = word_get(words, "agent"),
		.keepalive_ms = word_number(words, "keepalive"),
		.keepalive_timeout_ms = word_number(words, "keepalive-timeout"),
		.compression = compression_of(compress ? compress : ""),
		.accept = word_get(words, "accept") ? RPC_ACCEPT_ALL : 0,
		.interceptors = interceptors,
		.n_interceptors = ARRAY_LEN(interceptors),
		.options = both,
		.n_options = limit.number ? 2
			     : user.text  ? 1
					  : 0};
	int r;

	if (word_get(words, "token"))
		client.token = (struct rpc_header){
			"x-token", word_get(words, "token"), strlen(word_get(words, "token"))};
	r = rpc_channel_new(rpc, &options, &client.channel);
	if (r < 0)
		die("channel", r);
}

int main(int argc, char **argv)
{
	struct words words = {.n = (size_t)argc - 1};
	struct rpc *rpc;
	struct watch *watch_stdin;
	struct log *log;

	if (argc < 2 || argc > WORDS_MAX)
		return 2;
	setvbuf(stdout, NULL, _IOLBF, 0);
	memcpy(words.v, argv + 1, words.n * sizeof *words.v);
	log = word_get(&words, "log") ? log_new(2, "rpc", LOG_LEVEL_DEBUG) : NULL;
	if (loop_new(&client.loop) < 0 || rpc_new(client.loop, &rpc) < 0)
		return 1;
	channel_open(rpc, &words, log);
	watch_stdin = watch_new(client.loop, 0, WATCH_READ, on_stdin, NULL);
	while (!client.ended)
		loop_step(client.loop, 1000);
	watch_free(watch_stdin);
	rpc_channel_free(client.channel);
	rpc_free(rpc);
	loop_free(client.loop);
	log_free(log);
	printf("gone\n");
	return 0;
}
