#include "server_rig.h"

#include <sys/socket.h>

static void kept_cancelled(void *arg, struct request *request)
{
	struct rig *rig = arg;

	rig->cancelled++;
	for (size_t i = 0; i < rig->n_kept; i++) {
		if (rig->kept[i] != request)
			continue;
		rig->n_kept--;
		memmove(rig->kept + i, rig->kept + i + 1, (rig->n_kept - i) * sizeof rig->kept[0]);
		break;
	}
	request_fail(request, OUTCOME_CANCELLED, "the caller has gone");
}

static void keep(void *server, struct request *request)
{
	struct rig *rig = server;

	assert_true(rig->n_kept < RIG_KEPT_MAX);
	rig->kept[rig->n_kept++] = request;
	request_on_cancel(request, kept_cancelled, rig);
}

static void handle_keep(void *server, struct request *request)
{
	((struct rig *)server)->handled++;
	keep(server, request);
}

static void handle_echo(void *server, struct request *request)
{
	struct rig *rig = server;
	struct slices body = slices_take(&request->body);

	rig->handled++;
	slices_done(&rig->received);
	assert_int_equal(slices_append_refs(&rig->received, &body), 0);
	request_reply(request, &body);
}

static void admit_nobody(void *server, struct request *request)
{
	(void)server;
	request_fail(request, OUTCOME_UNAUTHENTICATED, "nobody \"may\"");
}

static void handle_header(void *server, struct request *request)
{
	const char *value = request_header(request, "x-key");
	struct slices body = {0};

	(void)server;
	assert_non_null(value);
	assert_int_equal(slices_append_copy(&body, value, strlen(value)), 0);
	request_reply(request, &body);
}

static void handle_fail(void *server, struct request *request)
{
	(void)server;
	request_fail(request, OUTCOME_FAILED_PRECONDITION, "not now");
}

static const struct method methods[] = {
	{.name = "Echo", .body_max = 1 << 30, .handle = handle_echo},
	{.name = "SmallEcho", .body_max = 16, .body_ms = 1000, .handle = handle_echo},
	{.name = "Nobody", .body_max = 16, .admit = admit_nobody, .handle = handle_echo},
	{.name = "Later", .body_max = 16, .handle = handle_keep},
	{.name = "AdmitLater", .body_max = 1 << 30, .admit = keep, .handle = handle_echo},
	{.name = "Header", .body_max = 16, .handle = handle_header},
	{.name = "Fail", .body_max = 16, .handle = handle_fail},
};

static struct service service = {
	.name = "test.Service", .methods = methods, .n_methods = ARRAY_LEN(methods)};

static void call_refused(void *arg, const struct peer *peer, const char *method,
	enum outcome outcome, const char *details)
{
	struct rig *rig = arg;

	assert_non_null(peer);
	rig->refused++;
	snprintf(rig->refusal, sizeof rig->refusal, "%s: %s: %s", method, outcome_name(outcome),
		details);
}

static void health_asked(void *arg, const struct peer *peer)
{
	assert_non_null(peer);
	((struct rig *)arg)->health++;
}

struct rig *rig_new(const struct http_server_options *changes)
{
	struct rig *rig = calloc(1, sizeof *rig);
	struct reason why = {0};
	struct http_server_options options = changes ? *changes : (struct http_server_options){0};

	assert_non_null(rig);
	assert_int_equal(loop_new(&rig->loop), 0);
	service.server = rig;
	options.loop = rig->loop;
	options.services = &service;
	options.n_services = 1;
	options.route = (struct http_route){"/v1/test/", "test.Service"};
	if (!options.memory_max_bytes)
		options.memory_max_bytes = (1 << 30) - 1;
	options.connections_max = 2048;
	options.refused = call_refused;
	options.health = health_asked;
	options.arg = rig;
	assert_int_equal(http_server_new(&options, &rig->server, &why), 0);
	return rig;
}

static void server_down(void *arg)
{
	((struct rig *)arg)->down = true;
}

void rig_free(struct rig *rig)
{
	if (!rig->down) {
		http_server_shutdown(rig->server, 0, server_down, rig);
		kit_loop_until(rig->loop, rig->down);
	}
	http_server_free(rig->server);
	slices_done(&rig->received);
	loop_free(rig->loop);
	free(rig);
}

struct request *rig_take(struct rig *rig)
{
	struct request *request;

	kit_loop_until(rig->loop, rig->n_kept);
	request = rig->kept[0];
	rig->n_kept--;
	memmove(rig->kept, rig->kept + 1, rig->n_kept * sizeof rig->kept[0]);
	request_on_cancel(request, NULL, NULL);
	return request;
}

struct caller *caller_new(struct rig *rig)
{
	static uint64_t number;
	struct caller *caller = calloc(1, sizeof *caller);
	int ends[2];

	assert_non_null(caller);
	assert_int_equal(
		socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, ends), 0);
	caller->fd = ends[0];
	caller->peer = (struct peer){.connection = ++number, .text = "a caller"};
	caller->open = true;
	http_server_add(rig->server, ends[1], &caller->peer);
	return caller;
}

void caller_gone(struct rig *rig, struct caller *caller)
{
	close_fd(&caller->fd);
	caller->open = false;
	http_server_peer_gone(rig->server, &caller->peer);
	memset(&caller->peer, 0xee, sizeof caller->peer);
}

void caller_free(struct rig *rig, struct caller *caller)
{
	if (caller->open)
		caller_gone(rig, caller);
	free(caller);
}

void caller_say(struct caller *caller, const char *text)
{
	size_t n = strlen(text);

	assert_int_equal(send(caller->fd, text, n, MSG_NOSIGNAL), n);
}

void caller_post(struct caller *caller, const char *method, const char *body)
{
	char text[1 << 14];

	snprintf(text, sizeof text,
		"POST /v1/test/%s HTTP/1.1\r\nHost: x\r\nContent-Type: application/protobuf\r\n"
		"Content-Length: %zu\r\nX-Key: a value\r\n\r\n%s",
		method, strlen(body), body);
	caller_say(caller, text);
}

static void caller_read(struct caller *caller)
{
	ssize_t n = recv(caller->fd, caller->text + caller->n, sizeof caller->text - 1 - caller->n,
		MSG_DONTWAIT);

	if (n > 0)
		caller->n += (size_t)n;
	else if (n == 0 || errno != EAGAIN)
		caller->ended = true;
	caller->text[caller->n] = '\0';
}

/* The length of the answer that is there in full; 0: none is. */
static size_t answer_bytes(struct caller *caller)
{
	const char *end, *length;
	size_t bytes;

	caller_read(caller);
	end = strstr(caller->text, "\r\n\r\n");
	if (!end)
		return 0;
	length = strstr(caller->text, "Content-Length: ");
	assert_non_null(length);
	bytes = (size_t)(end + 4 - caller->text) + strtoul(length + 16, NULL, 10);
	return caller->n >= bytes ? bytes : 0;
}

int caller_hears(struct rig *rig, struct caller *caller, const char **body_out)
{
	static char body[1 << 16];
	size_t n;
	int status;

	kit_loop_until(rig->loop, answer_bytes(caller) || caller->ended);
	n = answer_bytes(caller);
	assert_true(n);
	assert_memory_equal(caller->text, "HTTP/1.1 ", 9);
	status = (int)strtol(caller->text + 9, NULL, 10);
	snprintf(body, sizeof body, "%.*s", (int)n, strstr(caller->text, "\r\n\r\n") + 4);
	body[n - (size_t)(strstr(caller->text, "\r\n\r\n") + 4 - caller->text)] = '\0';
	caller->n -= n;
	memmove(caller->text, caller->text + n, caller->n + 1);
	if (body_out)
		*body_out = body;
	return status;
}

static bool has_ended(struct caller *caller)
{
	caller_read(caller);
	return caller->ended;
}

void caller_ends(struct rig *rig, struct caller *caller)
{
	kit_loop_until(rig->loop, has_ended(caller));
}
