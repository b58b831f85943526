/*
 * rpc_server: a server with methods of every kind, for test_rpc_server.py, which is its client and
 * says at its standard input what shall happen. What it sees goes to standard output.
 *
 * rpc_server name=value ...: see setting().
 */
#include "kit/rpc_server.h"
#include "common/base/cleanup.h"
#include "common/rpc/context.h"
#include "common/rpc/server.h"
#include "common/service/interceptors.h"

#include <stdarg.h>

enum { PORTS_MAX = 8, ARGS_MAX = 8 };

static struct {
	struct loop *loop;
	struct rpc *rpc;
	struct rpc_server *server;
	struct rpc_port ports[PORTS_MAX];
	struct rpc_tls tls;
	struct rpc_option args[ARGS_MAX];
	struct interceptor interceptors[3];
	struct metrics metrics;
	struct token_check token;
	struct request_watcher watchers[2]; /* of the last request */
	bool watch;
	struct rpc_server_options options;
	const char *wait_ms; /* NULL: the loop runs until it is stopped */
	char input[4096];
	size_t input_len;
} test;

void say(const char *format, ...)
{
	va_list args;

	va_start(args, format);
	vprintf(format, args);
	va_end(args);
	putchar('\n');
	fflush(stdout);
}

void must(bool condition, const char *what)
{
	if (condition)
		return;
	fprintf(stderr, "rpc_server: %s\n", what);
	_Exit(3);
}

/* ---- settings ---- */

static const char *file(const char *path)
{
	char *text = calloc(1, 65536);
	FILE *from = fopen(path, "re");

	must(text && from && fread(text, 1, 65535, from) > 0, path);
	fclose(from);
	return text;
}

static int number(const char *text)
{
	return (int)strtol(text, NULL, 10);
}

static void setting(const char *name, char *value)
{
	struct rpc_server_options *options = &test.options;
	char *text = strchr(value, ':');

	if (strcmp(name, "port") == 0)
		test.ports[options->n_ports++] = (struct rpc_port){.address = value};
	else if (strcmp(name, "tls_port") == 0)
		test.ports[options->n_ports++] = (struct rpc_port){value, &test.tls};
	else if (strcmp(name, "chain") == 0)
		test.tls.chain_pem = file(value);
	else if (strcmp(name, "key") == 0)
		test.tls.key_pem = file(value);
	else if (strcmp(name, "trusted") == 0)
		test.tls.trusted_pem = file(value);
	else if (strcmp(name, "client") == 0)
		test.tls.client_certificate = (enum rpc_client_certificate)number(value);
	else if (strcmp(name, "compression") == 0)
		options->compression = (enum rpc_compression)number(value);
	else if (strcmp(name, "accept") == 0)
		options->accept = (unsigned)number(value);
	else if (strcmp(name, "calls_max") == 0)
		options->calls_max = (unsigned)number(value);
	else if (strcmp(name, "connection_calls_max") == 0)
		options->connection_calls_max = (unsigned)number(value);
	else if (strcmp(name, "receive_max") == 0)
		options->receive_max_bytes = (uint64_t)number(value);
	else if (strcmp(name, "memory_max") == 0)
		options->memory_max_bytes = (uint64_t)number(value);
	else if (strcmp(name, "keepalive") == 0)
		options->keepalive_ms = options->keepalive_timeout_ms = number(value);
	else if (strcmp(name, "token") == 0)
		test.token = (struct token_check){"x-token", value};
	else if (strcmp(name, "watch") == 0)
		test.watch = true;
	else if (strcmp(name, "wait") == 0)
		test.wait_ms = value;
	else if (strcmp(name, "arg") == 0 && text) {
		*text++ = '\0';
		test.args[options->n_options++] = (struct rpc_option){value, NULL, number(text)};
	} else {
		must(false, name);
	}
}

/* ---- standard input ---- */

static void stopped(void *arg)
{
	(void)arg;
	say("stopped");
	test.server = NULL;
	loop_stop(test.loop);
}

static void print_metrics(void)
{
	for (size_t i = 0; i < test.metrics.n; i++) {
		const struct metrics_row *row = &test.metrics.v[i];

		say("metrics %s %s %llu", row->method ? row->method->name : "unknown",
			outcome_name(row->outcome), (unsigned long long)row->n);
	}
	say("at work %llu", (unsigned long long)test.metrics.at_work);
}

static void print_memory(const char *name)
{
	char line[256] = "";
	long kib = 0;
	FILE *from = fopen("/proc/self/status", "re");

	while (from && fgets(line, sizeof line, from) && strncmp(line, name, strlen(name)) != 0)
		;
	must(sscanf(line, "%*s %ld", &kib) == 1, "no memory");
	if (from)
		fclose(from);
	say("memory %ld", kib);
}

static void command(const char *line)
{
	if (strcmp(line, "read") == 0)
		methods_read();
	else if (strcmp(line, "finish") == 0)
		methods_finish();
	else if (strncmp(line, "stop ", 5) == 0)
		rpc_server_shutdown(test.server, number(line + 5), stopped, NULL);
	else if (strcmp(line, "metrics") == 0)
		print_metrics();
	else if (strcmp(line, "memory") == 0)
		print_memory("VmRSS:");
	else if (strcmp(line, "peak") == 0)
		print_memory("VmHWM:");
	else
		must(false, line);
}

static void input(void *arg, int ready)
{
	ssize_t n = read(
		STDIN_FILENO, test.input + test.input_len, sizeof test.input - test.input_len - 1);
	char *end;

	(void)arg;
	(void)ready;
	/* The test has ended. */
	if (n <= 0)
		_Exit(0);
	test.input_len += (size_t)n;
	test.input[test.input_len] = '\0';
	while ((end = strchr(test.input, '\n')) != NULL) {
		*end++ = '\0';
		command(test.input);
		test.input_len -= (size_t)(end - test.input);
		memmove(test.input, end, test.input_len + 1);
	}
}

static void refused(void *arg, const struct peer *peer, const char *method, enum outcome outcome,
	const char *details)
{
	(void)arg;
	(void)peer;
	say("refused %s %s: %s", method, outcome_name(outcome), details);
}

/* ---- two who watch each request, and what an interceptor reads at its end ---- */

static void watcher_gone(void *arg, struct request *request)
{
	say("watcher %td told, active %d", (struct request_watcher *)arg - test.watchers,
		request_is_active(request));
}

static void watch_begin(void *arg, struct request *request)
{
	(void)arg;
	for (size_t i = 0; i < ARRAY_LEN(test.watchers); i++) {
		request_unwatch(&test.watchers[i]);
		test.watchers[i].gone = watcher_gone;
		test.watchers[i].arg = &test.watchers[i];
		request_watch(request, &test.watchers[i]);
	}
	request_proceed(request);
}

static void watch_end(void *arg, struct request *request, enum outcome outcome, const char *details)
{
	auto_(rpc_headers_done) struct rpc_headers trailers = {0};

	(void)arg;
	(void)outcome;
	(void)details;
	must(rpc_request_trailers(request, &trailers) == 0, "trailers");
	say("over, active %d status %s details \"%s\" trailers %zu", request_is_active(request),
		rpc_status_name(rpc_request_status(request)), rpc_request_details(request),
		trailers.n);
}

static int serve(void)
{
	struct log *log = log_new(STDOUT_FILENO, NULL, LOG_LEVEL_INFO);
	struct watch *watch;
	int r;

	must(log && loop_new(&test.loop) == 0 && rpc_new(test.loop, &test.rpc) == 0, "no memory");
	test.interceptors[0] = log_interceptor(log, LOG_LEVEL_INFO);
	test.interceptors[1] = metrics_interceptor(&test.metrics);
	test.interceptors[2] = token_interceptor(&test.token);
	test.options.interceptors = test.interceptors;
	if (test.watch)
		test.interceptors[2] = (struct interceptor){.begin = watch_begin, .end = watch_end};
	test.options.n_interceptors = test.watch || test.token.value ? 3 : 2;
	r = rpc_server_new(test.rpc, &test.options, &test.server);
	if (r == 0) {
		for (size_t i = 0; i < test.options.n_ports; i++)
			say("port %d", rpc_server_port(test.server, i));
		watch = watch_new(test.loop, STDIN_FILENO, WATCH_READ, input, NULL);
		must(watch, "no memory");
		say("waited: %d", rpc_server_wait(test.server, 10));
		if (test.wait_ms)
			say("waited: %d", rpc_server_wait(test.server, number(test.wait_ms)));
		else
			must(loop_run(test.loop) == 0, "the loop");
		watch_free(watch);
	} else {
		say("error %s", strerrorname_np(-r));
	}
	rpc_free(test.rpc);
	loop_free(test.loop);
	log_free(log);
	metrics_done(&test.metrics);
	return r == 0 ? 0 : 1;
}

int main(int argc, char **argv)
{
	test.options = (struct rpc_server_options){.services = rpc_server_services,
		.n_services = RPC_SERVER_SERVICES,
		.ports = test.ports,
		.options = test.args,
		.receive_max_bytes = 64 << 20,
		.refused = refused};
	loop_block_signals();
	for (int i = 1; i < argc; i++) {
		char *value = strchr(argv[i], '=');

		must(value, argv[i]);
		*value++ = '\0';
		setting(argv[i], value);
	}
	return serve();
}
