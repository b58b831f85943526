/*
 * carrier_http: a POST for each call, as Runtime has it from Flower 1.35 on.
 */
#include "clientapp/api/carrier_ops.h"

#include "common/base/cleanup.h"
#include "common/base/text.h"
#include "common/http/flower_answer.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define PREFIX      "/v1/runtime/"
#define HEADERS_MAX 8

struct http_carrier {
	struct carrier carrier;
	struct http_client *client;
	const struct rpc_header *token;
};

struct http_handle {
	struct carrier_handle handle;
	struct http_call *call;
};

static struct http_carrier *http_of(struct carrier *carrier)
{
	return container_of(carrier, struct http_carrier, carrier);
}

static void http_done(void *arg, struct http_result *from)
{
	auto_(free_at_exit) struct http_handle *out = arg;
	auto_(text_done) struct text details = {0};
	struct carrier_result result = {.outcome = from->outcome, .details = from->details};
	int code = 0;

	if (from->failure == HTTP_FAILURE_NONE) {
		result.outcome = flower_answer_read(from, true, &code, &details);
		result.details = details.data ? details.data : "";
	}
	if (result.outcome == OUTCOME_OK)
		result.body = slices_take(&from->body);
	out->handle.done(out->handle.arg, &result);
	slices_done(&result.body);
}

static int set_headers(const struct http_carrier *http, const struct carrier_call *call,
	struct http_header headers[HEADERS_MAX], size_t *n_out)
{
	size_t n = 0;

	headers[n++] = (struct http_header){"content-type", FLOWER_CONTENT_TYPE};
	headers[n++] = (struct http_header){"accept", FLOWER_CONTENT_TYPE};
	if (http->token && http->token->key)
		headers[n++] = (struct http_header){http->token->key, http->token->value};
	if (call->n_headers > HEADERS_MAX - n)
		return -EINVAL;
	for (size_t i = 0; i < call->n_headers; i++)
		headers[n++] = (struct http_header){call->headers[i].key, call->headers[i].value};
	*n_out = n;
	return 0;
}

static int http_call(struct carrier *carrier, const struct carrier_call *call, struct slices *body,
	struct carrier_handle **out)
{
	const struct http_carrier *http = http_of(carrier);
	auto_(free_at_exit) struct http_handle *made = calloc(1, sizeof *made);
	struct http_header headers[HEADERS_MAX];
	const char *slash = strrchr(call->path, '/');
	char path[FLOWER_PATH_BYTES];
	struct http_call_options options = {.path = path,
		.headers = headers,
		.timeout_ms = call->timeout_ms,
		.what = call->what,
		.done = http_done,
		.arg = made};
	int r = made ? 0 : -ENOMEM;

	if (r == 0)
		r = set_headers(http, call, headers, &options.n_headers);
	if (r == 0)
		r = flower_path(PREFIX, slash ? slash + 1 : "", path);
	if (r)
		return r;
	made->handle = (struct carrier_handle){carrier->ops, call->done, call->arg};
	r = http_call_start(http->client, &options, body, &made->call);
	if (r)
		return r;
	*out = &((struct http_handle *)take_pointer(&made))->handle;
	return 0;
}

static void http_cancel(struct carrier_handle *handle)
{
	http_call_cancel(container_of(handle, struct http_handle, handle)->call);
}

static void http_carrier_free(struct carrier *carrier)
{
	struct http_carrier *http = http_of(carrier);

	http_client_free(http->client);
	free(http);
}

static const struct carrier_ops http_ops = {
	.call = http_call, .cancel = http_cancel, .free = http_carrier_free};

int carrier_http_new(const struct carrier_options *options, struct carrier **out)
{
	auto_(free_at_exit) struct http_carrier *made = calloc(1, sizeof *made);
	const struct rpc_tls none = {0}, *tls = options->tls ? options->tls : &none;
	int r;

	if (!made)
		return -ENOMEM;
	made->carrier.ops = &http_ops;
	made->token = options->token;
	r = http_client_new(options->http,
		&(struct http_client_options){.address = options->address,
			.ca_pem = tls->trusted_pem,
			.chain_pem = tls->chain_pem,
			.key_pem = tls->key_pem,
			.receive_max_bytes = options->receive_max_bytes,
			.user_agent = "flwr-native/" FLWR_RELEASE,
			.log = options->log},
		&made->client);
	if (r)
		return r;
	*out = &((struct http_carrier *)take_pointer(&made))->carrier;
	return 0;
}
