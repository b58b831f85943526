#include "supernode/link/over_http.h"

#include "common/base/cleanup.h"
#include "common/base/text.h"
#include "common/http/client.h"
#include "common/http/flower_answer.h"
#include "common/keys/base64.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define HEADERS_MAX 5

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

static void http_done(void *arg, struct http_result *from)
{
	auto_(free_at_exit) struct http_handle *out = arg;
	auto_(text_done) struct text details = {0};
	struct transport_result result = {.date_s = from->date_s};

	if (from->failure == HTTP_FAILURE_NONE) {
		result.outcome = flower_answer_read(from, out->form->signs, &result.code, &details);
		result.details = details.data ? details.data : "";
		if (result.outcome == OUTCOME_OK)
			result.body = slices_take(&from->body);
	} else {
		result.outcome = from->outcome;
		result.details = from->details;
		result.too_large =
			from->failure == HTTP_FAILURE_TOO_LARGE && flower_is_answer(from);
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

static int call_send(struct http_transport *http, const struct transport_call *call,
	struct slices *body, struct http_handle *handle)
{
	struct http_header headers[HEADERS_MAX] = {
		{"content-type", FLOWER_CONTENT_TYPE}, {"accept", FLOWER_CONTENT_TYPE}};
	struct http_call_options options = {.headers = headers,
		.n_headers = 2,
		.timeout_ms = call->timeout_ms,
		.answer_max_bytes = call->answer_max_bytes,
		.keeps_head = call->keeps_head,
		.what = call->what,
		.done = http_done,
		.arg = handle};
	auto_(free_at_exit) char *key = NULL, *signature = NULL;
	char path[FLOWER_PATH_BYTES];
	const char *pem;
	size_t pem_len;
	int r;

	if (flower_path(http->form->prefix, call->method, path) < 0)
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
