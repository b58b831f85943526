/*
 * exchange: the library asks when the head of a request is there, for each piece of its body, and
 * at its end. Where the services have not decided it is suspended until they have. An answer that
 * comes while the body is being received is one that the library would not send: it goes beside it,
 * and the connection ends.
 */
#include "common/http/exchange.h"

#include "common/base/cleanup.h"
#include "common/base/clock.h"
#include "common/base/text.h"
#include "common/http/status.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define STATUS_NOT_ALLOWED 405
#define STATUS_LATE        408
#define STATUS_TOO_LARGE   413
#define STATUS_CONTENT     415
#define STATUS_BUSY        503
#define CODE_CONTENT       1002 /* Flower's, of STATUS_CONTENT */

/* ---- life ---- */

static void drop_body(struct exchange *exchange)
{
	exchange->server->body_bytes -= http_sink_bytes(&exchange->body);
	http_sink_done(&exchange->body);
	if (exchange->timer)
		timer_set(exchange->timer, CLOCK_NEVER);
}

static void maybe_free(struct exchange *exchange)
{
	struct http_server *server = exchange->server;

	if (exchange->connection || exchange->serving)
		return;
	drop_body(exchange);
	timer_free(exchange->timer);
	slices_done(&exchange->reply);
	LIST_REMOVE(exchange, entry);
	http_server_changed(server);
	free(exchange);
}

/* Tell the services that their answer is not wanted any more. Frees the exchange if they give it
 * back at once, and the library has. */
static void withdraw(struct exchange *exchange, enum outcome outcome, const char *details)
{
	if (!exchange->serving || exchange->withdrawn)
		return;
	exchange->withdrawn = true;
	request_ended(&exchange->request, outcome, details);
}

/* Have the library ask again. */
static void wake(struct exchange *exchange)
{
	exchange->suspended = false;
	exchange->head_again = exchange->step == EXCHANGE_BODY;
	MHD_lib.resume_connection(exchange->connection);
	http_server_run_soon(exchange->server);
}

/* ---- answers ---- */

static void answer(struct exchange *exchange, unsigned status, int code, const char *details)
{
	exchange->answered = true;
	exchange->status = status;
	exchange->code = code;
	/* The end may be a part of a character. */
	snprintf(exchange->details, sizeof exchange->details, "%s", details);
	text_cut(exchange->details, sizeof exchange->details - 4);
	drop_body(exchange);
	if (exchange->handling)
		return;
	if (exchange->suspended) {
		wake(exchange);
	} else {
		exchange->broken = true;
		answer_beside(exchange);
	}
}

static void tell_refused(const struct exchange *exchange, enum outcome outcome, const char *details)
{
	const struct http_server_options *options = &exchange->server->options;
	const struct request *request = &exchange->request;

	if (options->refused && !exchange->gone)
		options->refused(options->arg, request->peer,
			request->method ? request->method->name : "a call", outcome, details);
}

/* Answer in the services' place. */
static void refuse(struct exchange *exchange, unsigned status, const char *details)
{
	enum outcome outcome = http_outcome_of((int)status, 0);

	if (exchange->answered || exchange->gone)
		return;
	tell_refused(exchange, outcome, details);
	exchange->close = true;
	answer(exchange, status, status == STATUS_CONTENT ? CODE_CONTENT : 0, details);
	withdraw(exchange, outcome, details);
}

/* ---- what a request asks of its front-end ---- */

static void body_late(void *arg)
{
	refuse(arg, STATUS_LATE, "the body came too slowly");
}

/* Calls at work of peers that are not trusted, this one among them. */
static unsigned count_guests(const struct http_server *server)
{
	const struct exchange *at;
	unsigned n = 0;

	LIST_FOREACH(at, &server->exchanges, entry)
	n += at->serving && at->step != EXCHANGE_HEAD && !at->request.peer->trusted;
	return n;
}

static bool is_crowded(const struct exchange *exchange)
{
	const struct http_server_options *options = &exchange->server->options;

	return options->guest_calls_max && !exchange->request.peer->trusted &&
	       count_guests(exchange->server) > options->guest_calls_max;
}

static bool has_room(const struct http_server *server, uint64_t bytes)
{
	return bytes <= server->options.memory_max_bytes &&
	       server->body_bytes <= server->options.memory_max_bytes - bytes;
}

static void receive(struct request *request)
{
	struct exchange *exchange = container_of(request, struct exchange, request);
	const struct method *method = request->method;
	uint64_t announced = exchange->length == UINT64_MAX ? 0 : exchange->length;
	char text[96];

	exchange->step = EXCHANGE_BODY;
	if (is_crowded(exchange)) {
		refuse(exchange, STATUS_BUSY, "too many calls at once");
		return;
	}
	if (announced > method->body_max) {
		snprintf(text, sizeof text, "message of %llu bytes, at most %zu are taken",
			(unsigned long long)announced, method->body_max);
		refuse(exchange, STATUS_TOO_LARGE, text);
		return;
	}
	if (!has_room(exchange->server, announced)) {
		refuse(exchange, STATUS_BUSY, "no memory for the message");
		return;
	}
	exchange->body.max_bytes = method->body_max;
	exchange->body.expected = announced;
	if (method->body_ms > 0) {
		exchange->timer = timer_new(exchange->server->options.loop, body_late, exchange);
		if (!exchange->timer) {
			refuse(exchange, STATUS_BUSY, "no memory for the message");
			return;
		}
		timer_set(exchange->timer, clock_after(clock_now_ms(), method->body_ms));
	}
	if (exchange->suspended)
		wake(exchange);
}

static void finish(
	struct request *request, enum outcome outcome, const char *details, struct slices *body)
{
	struct exchange *exchange = container_of(request, struct exchange, request);

	exchange->serving = false;
	exchange->server->serving--;
	/* No service knows the method. */
	if (!request->method && !exchange->withdrawn)
		tell_refused(exchange, outcome, details);
	if (!exchange->answered && !exchange->gone && exchange->connection) {
		if (slices_move(&exchange->reply, body))
			answer(exchange, STATUS_BUSY, 0, "no memory for the answer");
		else
			answer(exchange, (unsigned)http_status_of(outcome), http_code_of(outcome),
				details ? details : "");
	}
	slices_done(body);
	http_server_changed(exchange->server);
	maybe_free(exchange);
}

static const char *find_header(const struct request *request, const char *key)
{
	const struct exchange *exchange = container_of(request, struct exchange, request);

	return exchange->connection
		       ? MHD_lib.lookup_connection_value(exchange->connection, MHD_HEADER_KIND, key)
		       : NULL;
}

static const struct request_ops exchange_ops = {
	.admit = receive, .finish = finish, .header = find_header};

/* ---- the head ---- */

static struct exchange *exchange_new(
	struct http_link *link, struct MHD_Connection *connection, const char *url)
{
	struct http_server *server = link->server;
	size_t len = strlen(url) + 1;
	struct exchange *exchange = calloc(1, sizeof *exchange + len);

	if (!exchange)
		return NULL;
	memcpy(exchange->path, url, len);
	exchange->server = server;
	exchange->connection = connection;
	exchange->request = (struct request){
		.path = exchange->path,
		.peer = link->peer,
		.ops = &exchange_ops,
		.interceptors = server->options.interceptors,
		.n_interceptors = server->options.n_interceptors,
	};
	LIST_INSERT_HEAD(&server->exchanges, exchange, entry);
	return exchange;
}

static void find_method(struct exchange *exchange)
{
	const struct http_server_options *options = &exchange->server->options;
	char path[HTTP_ROUTE_BYTES];

	if (http_route_find(&options->route, exchange->path, path) == 0)
		exchange->request.method = service_method(
			options->services, options->n_services, path, &exchange->request.service);
}

/* The fault of a request that is proper HTTP/1.1: as head_judge(). */
static unsigned judge(struct exchange *exchange, const char *verb, const char **details_out)
{
	const struct http_server *server = exchange->server;
	bool health = strcmp(exchange->path, HTTP_HEALTH_PATH) == 0;
	unsigned status;

	*details_out = "the server is ending";
	if (server->stopping)
		return STATUS_BUSY;
	if (health || (exchange->request.method && strcmp(verb, "POST") != 0)) {
		exchange->allow = health ? "GET, HEAD" : "POST";
		*details_out = "Method Not Allowed";
		return STATUS_NOT_ALLOWED;
	}
	status = exchange->request.method ? head_judge_content(exchange->connection, details_out)
					  : 0;
	if (status)
		return status;
	*details_out = "too many calls at once";
	return server->options.calls_max && server->serving >= server->options.calls_max
		       ? STATUS_BUSY
		       : 0;
}

static bool is_health(const struct exchange *exchange, const char *verb)
{
	return strcmp(exchange->path, HTTP_HEALTH_PATH) == 0 &&
	       (strcmp(verb, "GET") == 0 || strcmp(verb, "HEAD") == 0);
}

static void tell_health(struct exchange *exchange)
{
	const struct http_server_options *options = &exchange->server->options;

	if (options->health)
		options->health(options->arg, exchange->request.peer);
	answer(exchange, HTTP_STATUS_OK, 0, "");
}

/* The head is here. */
static void begin(struct exchange *exchange, const char *verb, const char *version)
{
	const char *details;
	unsigned status;

	find_method(exchange);
	status = head_judge(exchange->connection, version, &exchange->length, &details);
	if (!status && is_health(exchange, verb)) {
		tell_health(exchange);
		return;
	}
	if (!status)
		status = judge(exchange, verb, &details);
	if (status) {
		request_refused(&exchange->request, http_outcome_of((int)status, 0), details);
		refuse(exchange, status, details);
		return;
	}
	exchange->serving = true;
	exchange->server->serving++;
	request_arrived(&exchange->request);
}

/* ---- the body ---- */

static void receive_piece(struct exchange *exchange, const char *data, size_t n)
{
	const uint64_t before = http_sink_bytes(&exchange->body);
	int r = has_room(exchange->server, n) ? http_sink_add(&exchange->body, data, n) : -ENOMEM;

	/* A part of it may be there when memory has run out. */
	exchange->server->body_bytes += http_sink_bytes(&exchange->body) - before;
	if (r == -EMSGSIZE)
		refuse(exchange, STATUS_TOO_LARGE, "the message is too large");
	else if (r)
		refuse(exchange, STATUS_BUSY, "no memory for the message");
}

static void receive_end(struct exchange *exchange)
{
	struct slices body = {0};
	int r;

	exchange->server->body_bytes -= http_sink_bytes(&exchange->body);
	r = http_sink_take(&exchange->body, &body);
	if (r == 0)
		r = slices_move(&exchange->request.body, &body);
	slices_done(&body);
	if (r) {
		refuse(exchange, STATUS_BUSY, "no memory for the message");
		return;
	}
	if (exchange->timer)
		timer_set(exchange->timer, CLOCK_NEVER);
	exchange->step = EXCHANGE_WHOLE;
	request_received(&exchange->request);
}

/* The library asks again. */
static void go_on(struct exchange *exchange, const char *data, size_t n)
{
	if (exchange->answered || exchange->gone || exchange->step != EXCHANGE_BODY)
		return;
	if (n)
		receive_piece(exchange, data, n);
	else if (!exchange->head_again)
		receive_end(exchange);
	exchange->head_again = false;
}

/* ---- what the library asks ---- */

static enum MHD_Result handled(struct exchange *exchange)
{
	exchange->handling = false;
	if (exchange->broken || exchange->gone)
		return MHD_NO;
	if (exchange->answered) {
		/* The library would take an answer before the end of a request for a refusal, and
		 * end the connection. */
		if (!exchange->close && exchange->step == EXCHANGE_HEAD && exchange->length == 0 &&
			!exchange->head_passed) {
			exchange->head_passed = true;
			return MHD_YES;
		}
		if (answer_queue(exchange) == MHD_YES)
			return MHD_YES;
		exchange->broken = true;
		if (exchange->status == HTTP_STATUS_OK)
			exchange->status = STATUS_BUSY; /* its body is lost */
		answer_beside(exchange);
		return MHD_NO;
	}
	if (exchange->step != EXCHANGE_BODY) {
		exchange->suspended = true;
		MHD_lib.suspend_connection(exchange->connection);
	}
	return MHD_YES;
}

enum MHD_Result exchange_handle(void *arg, struct MHD_Connection *connection, const char *url,
	const char *method, const char *version, const char *data, size_t *n, void **state)
{
	struct http_link *link =
		MHD_lib.get_connection_info(connection, MHD_CONNECTION_INFO_SOCKET_CONTEXT)
			->socket_context;
	struct exchange *exchange = *state;

	(void)arg;
	if (!link)
		return MHD_NO;
	link->server->turns = 0;
	if (exchange) {
		exchange->handling = true;
		go_on(exchange, data, *n);
		*n = 0;
		return handled(exchange);
	}
	if (!link->peer)
		return MHD_NO;
	link->requests++;
	exchange = exchange_new(link, connection, url);
	if (!exchange)
		return MHD_NO;
	*state = exchange;
	exchange->handling = true;
	begin(exchange, method, version);
	return handled(exchange);
}

void exchange_completed(void *arg, struct MHD_Connection *connection, void **state,
	enum MHD_RequestTerminationCode why)
{
	struct exchange *exchange = *state;

	(void)arg;
	(void)connection;
	(void)why;
	if (!exchange)
		return;
	*state = NULL;
	exchange->connection = NULL;
	exchange->suspended = false;
	if (exchange->serving)
		withdraw(exchange, OUTCOME_CANCELLED, "the caller is gone");
	else
		maybe_free(exchange);
}

/* ---- ends ---- */

void exchange_orphan(struct exchange *exchange)
{
	exchange->stand_in = *exchange->request.peer;
	exchange->stand_in.received = NULL;
	exchange->request.peer = &exchange->stand_in;
	exchange->gone = true;
}

static struct exchange *find_orphan(const struct http_server *server)
{
	struct exchange *at;

	LIST_FOREACH(at, &server->exchanges, entry)
	if (at->gone && at->serving && !at->withdrawn)
		return at;
	return NULL;
}

void exchange_sweep(struct http_server *server)
{
	struct exchange *at;

	while ((at = find_orphan(server)))
		withdraw(at, OUTCOME_CANCELLED, "the caller is gone");
	LIST_FOREACH(at, &server->exchanges, entry)
	if (at->gone && at->suspended)
		wake(at);
}

static struct exchange *find_unanswered(const struct http_server *server)
{
	struct exchange *at;

	LIST_FOREACH(at, &server->exchanges, entry)
	if (at->serving && !at->withdrawn)
		return at;
	return NULL;
}

void exchange_cancel_all(struct http_server *server)
{
	struct exchange *at;

	while ((at = find_unanswered(server))) {
		const char *details = "the server is ending";

		if (!at->answered && !at->gone && at->connection) {
			at->close = true;
			answer(at, STATUS_BUSY, 0, details);
		}
		withdraw(at, OUTCOME_UNAVAILABLE, details);
	}
}
