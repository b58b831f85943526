#include "supernode/link/over_http.h"

#include "common/base/cleanup.h"
#include "common/base/text.h"
#include "common/http/client.h"
#include "common/http/status.h"
#include "common/keys/base64.h"
#include "supernode/link/flower_error.h"

#include <ctype.h>
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#define CONTENT_TYPE "application/protobuf"
#define PLAIN_TYPE   "text/plain"
#define PATH_BYTES   128
#define HEADERS_MAX  5

struct http_transport {
	struct transport transport;
	const struct over_http_form *form;
	struct http_client *client;
};

struct http_handle {
	struct transport_handle handle;
	struct http_call *call;
	const struct over_http_form *form;
};

static struct http_transport *http_of(struct transport *transport)
{
	return container_of(transport, struct http_transport, transport);
}

/* ---- answers ---- */

/* "application/protobuf", with or without parameters. */
static bool is_type(const char *type, const char *wanted)
{
	size_t len = strlen(wanted);

	return strncasecmp(type, wanted, len) == 0 && strchr("; \t", type[len]);
}

/* Not of a proxy or a portal. */
static bool is_answer(const struct http_result *from)
{
	return from->status == HTTP_STATUS_OK && is_type(from->content_type, CONTENT_TYPE);
}

/* Flower's JSON, or plain words. */
static void read_error(
	const struct http_result *from, int *code_out, struct text *json, struct text *plain)
{
	auto_(slice_unref) struct slice text = {0};

	if (from->body.bytes > FLOWER_ERROR_MAX_BYTES || slices_flatten(&from->body, &text) < 0)
		return;
	flower_error_read((const char *)text.data, text.len, code_out, json);
	if (json->len == 0 && is_type(from->content_type, PLAIN_TYPE) && text.len)
		text_printf(plain, ": %.*s", (int)text.len, (const char *)text.data);
}

/*
 * Does a proxy or a portal before the SuperLink refuse the call? SuperLinks that speak REST use
 * neither 401 nor 403. Those that check signatures say 401 in JSON, and 403 with a code.
 */
static bool is_of_proxy(const struct over_http_form *form, int status, int code, bool json)
{
	if (status == HTTP_STATUS_UNAUTHORIZED)
		return !form->signs || !json;
	if (status == HTTP_STATUS_FORBIDDEN)
		return !form->signs || code == 0;
	return http_outcome_of(status, code) == OUTCOME_UNKNOWN; /* no SuperLink has it */
}

static void read_answer(const struct over_http_form *form, struct http_result *from,
	struct transport_result *result, struct text *details)
{
	auto_(text_done) struct text json = {0}, plain = {0};
	char type[64];
	bool proxy;

	if (is_answer(from)) {
		result->outcome = OUTCOME_OK;
		result->body = from->body;
		from->body = (struct slices){0};
		return;
	}
	if (from->status == HTTP_STATUS_OK) {
		result->outcome = OUTCOME_UNAVAILABLE;
		text_quote(from->content_type, strlen(from->content_type), type, sizeof type);
		text_printf(details, "HTTP status 200 with content of type %s, as proxies say it",
			type);
		return;
	}
	read_error(from, &result->code, &json, &plain);
	proxy = is_of_proxy(form, from->status, result->code, json.len > 0);
	result->outcome = proxy ? OUTCOME_UNAVAILABLE : http_outcome_of(from->status, result->code);
	if (proxy)
		result->code = 0;
	if (json.len && !proxy)
		text_add(details, json.data, json.len);
	else
		text_printf(details, "HTTP status %d%s%s", from->status,
			proxy ? ", as proxies say it" : "", plain.len ? plain.data : "");
}

static void http_done(void *arg, struct http_result *from)
{
	auto_(free_at_exit) struct http_handle *out = arg;
	auto_(text_done) struct text details = {0};
	struct transport_result result = {.date_s = from->date_s};

	if (from->failure == HTTP_FAILURE_NONE) {
		read_answer(out->form, from, &result, &details);
		result.details = details.data ? details.data : "";
	} else {
		result.outcome = from->outcome;
		result.details = from->details;
		result.too_large = from->failure == HTTP_FAILURE_TOO_LARGE && is_answer(from);
		if (from->failure == HTTP_FAILURE_TOO_LARGE && !result.too_large) {
			result.outcome = OUTCOME_UNAVAILABLE;
			result.details = "a large answer of another type, as proxies give it";
		}
		result.body = slices_take(&from->body);
	}
	out->handle.done(out->handle.arg, &result);
	slices_done(&result.body);
}

/* ---- calls ---- */

/* "PullMessages" to "/v1/fleet/pull-messages". */
static int set_path(const char *prefix, const char *method, char path[PATH_BYTES])
{
	size_t n = (size_t)snprintf(path, PATH_BYTES, "%s", prefix);

	for (const char *c = method; *c; c++) {
		if (n + 3 > PATH_BYTES)
			return -EINVAL;
		if (isupper((unsigned char)*c) && c > method)
			path[n++] = '-';
		path[n++] = (char)tolower((unsigned char)*c);
	}
	path[n] = '\0';
	return n > strlen(prefix) ? 0 : -EINVAL;
}

static int call_send(struct http_transport *http, const struct transport_call *call,
	struct slices *body, struct http_handle *handle)
{
	struct http_header headers[HEADERS_MAX] = {
		{"content-type", CONTENT_TYPE}, {"accept", CONTENT_TYPE}};
	struct http_call_options options = {.headers = headers,
		.n_headers = 2,
		.timeout_ms = call->timeout_ms,
		.answer_max_bytes = call->answer_max_bytes,
		.keeps_head = call->keeps_head,
		.what = call->what,
		.done = http_done,
		.arg = handle};
	auto_(free_at_exit) char *key = NULL, *signature = NULL;
	char path[PATH_BYTES];
	const char *pem;
	size_t pem_len;
	int r;

	if (set_path(http->form->prefix, call->method, path) < 0)
		return -EINVAL;
	options.path = path;
	if (http->form->signs && call->auth && call->proof) {
		pem = auth_public_key(call->auth, &pem_len);
		r = base64_encode(pem, pem_len, &key);
		if (r == 0)
			r = base64_encode(
				call->proof->signature, call->proof->signature_len, &signature);
		if (r < 0)
			return r;
		headers[2] = (struct http_header){"flwr-public-key", key};
		headers[3] = (struct http_header){"flwr-timestamp", call->proof->timestamp};
		headers[4] = (struct http_header){"flwr-signature", signature};
		options.n_headers = HEADERS_MAX;
	}
	return http_call_start(http->client, &options, body, &handle->call);
}

static int http_call(struct transport *transport, const struct transport_call *call,
	struct slices *body, struct transport_handle **out)
{
	auto_(free_at_exit) struct http_handle *made = calloc(1, sizeof *made);
	int r = -ENOMEM;

	if (made) {
		made->handle.done = call->done;
		made->handle.arg = call->arg;
		made->form = http_of(transport)->form;
		r = call_send(http_of(transport), call, body, made);
	}
	slices_done(body);
	if (r < 0)
		return r;
	*out = &((struct http_handle *)take_pointer(&made))->handle;
	return 0;
}

static void http_cancel(struct transport_handle *handle)
{
	http_call_cancel(container_of(handle, struct http_handle, handle)->call);
}

static void http_reconnect(struct transport *transport)
{
	(void)transport; /* each call connects when it has to, however the last one ended */
}

static void http_transport_free(struct transport *transport)
{
	struct http_transport *http = http_of(transport);

	http_client_free(http->client);
	free(http);
}

static const struct transport_ops http_ops = {
	.call = http_call,
	.cancel = http_cancel,
	.reconnect = http_reconnect,
	.free = http_transport_free,
};

int over_http_new(const struct transport_options *wanted, const struct over_http_form *form,
	struct transport **out)
{
	auto_(free_at_exit) struct http_transport *made = calloc(1, sizeof *made);
	struct http_client_options options = {
		.address = wanted->address,
		.ca_pem = wanted->ca_pem,
		.receive_max_bytes = wanted->receive_max_bytes,
		.user_agent = "flwr-native/" FLWR_RELEASE,
		.log = wanted->log,
	};
	int r;

	if (!made)
		return -ENOMEM;
	made->transport.ops = &http_ops;
	made->form = form;
	made->transport.receive_max_bytes = wanted->receive_max_bytes;
	r = http_client_new(wanted->http, &options, &made->client);
	if (r < 0)
		return r;
	*out = &((struct http_transport *)take_pointer(&made))->transport;
	return 0;
}
