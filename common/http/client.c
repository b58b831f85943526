/*
 * client: a call is a handle of libcurl's. A client lives until the last of its calls has ended,
 * even if its owner frees it before.
 */
#include "common/http/client.h"

#include "common/base/cleanup.h"
#include "common/base/clock.h"
#include "common/base/text.h"
#include "common/http/call.h"
#include "common/http/failure_internal.h"

#include <arpa/inet.h>
#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>

/* ---- clients ---- */

/* The host of "host:port" and "[host]:port". */
static void host_of(const char *address, char *out, size_t out_bytes)
{
	const char *colon = strrchr(address, ':');
	size_t len = colon ? (size_t)(colon - address) : strlen(address);

	if (address[0] == '[') {
		address++;
		len = strcspn(address, "]");
	}
	if (len >= out_bytes)
		len = out_bytes - 1;
	memcpy(out, address, len);
	out[len] = '\0';
}

/* Is the address this machine's, by its text? Nothing is looked up. */
static bool is_loopback(const char *address)
{
	struct in_addr v4;
	struct in6_addr v6;
	char host[256];
	size_t len;

	host_of(address, host, sizeof host);
	len = strlen(host);
	if (inet_pton(AF_INET, host, &v4) == 1)
		return ntohl(v4.s_addr) >> 24 == IN_LOOPBACKNET || v4.s_addr == INADDR_ANY;
	if (inet_pton(AF_INET6, host, &v6) == 1)
		return IN6_IS_ADDR_LOOPBACK(&v6) || IN6_IS_ADDR_UNSPECIFIED(&v6) ||
		       (IN6_IS_ADDR_V4MAPPED(&v6) && v6.s6_addr[12] == IN_LOOPBACKNET);
	return strcasecmp(host, "localhost") == 0 ||
	       (len > 10 && strcasecmp(host + len - 10, ".localhost") == 0);
}

/* The address becomes part of a URL: nothing in it may be another part of one. */
static bool is_address(const char *address)
{
	if (!address || !address[0])
		return false;
	for (const char *c = address; *c; c++)
		if ((unsigned char)*c <= ' ' || (unsigned char)*c > '~' || strchr("/\\@?#", *c))
			return false;
	return true;
}

static void client_look(void *arg)
{
	struct http_client *client = arg;
	struct http_call *call;
	bool watched = false;

	LIST_FOREACH(call, &client->calls, link)
	{
		if (!call->progress.what)
			continue;
		watched = true;
		progress_count(&call->progress, client->log, call->source.sent,
			http_sink_bytes(&call->sink));
	}
	if (watched)
		timer_set(client->progress, clock_after(clock_now_ms(), PROGRESS_TICK_MS));
}

static void client_drop(struct http_client *client)
{
	timer_free(client->progress);
	free(client->address);
	free(client->ca_pem);
	free(client->chain_pem);
	if (client->key_pem)
		explicit_bzero(client->key_pem, strlen(client->key_pem));
	free(client->key_pem);
	free(client->user_agent);
	free(client);
}

static void client_drop_at_exit(struct http_client **client)
{
	if (*client)
		client_drop(*client);
}

/* strdup() of what may be NULL; false on no memory. */
static bool copy_text(const char *from, char **out)
{
	*out = from ? strdup(from) : NULL;
	return *out || !from;
}

int http_client_new(
	struct http *http, const struct http_client_options *options, struct http_client **out)
{
	auto_(client_drop_at_exit) struct http_client *client = NULL;

	if (!is_address(options->address))
		return -EINVAL;
	client = calloc(1, sizeof *client);
	if (!client)
		return -ENOMEM;
	if (!copy_text(options->address, &client->address) ||
		!copy_text(options->ca_pem, &client->ca_pem) ||
		!copy_text(options->chain_pem, &client->chain_pem) ||
		!copy_text(options->key_pem, &client->key_pem) ||
		!copy_text(options->user_agent, &client->user_agent))
		return -ENOMEM;
	client->http = http;
	client->receive_max_bytes = options->receive_max_bytes;
	client->loopback = is_loopback(client->address);
	client->log = options->log;
	if (options->log) {
		client->progress = timer_new(http_loop(http), client_look, client);
		if (!client->progress)
			return -ENOMEM;
	}
	http_opened(http);
	*out = take_pointer(&client);
	return 0;
}

static void client_maybe_drop(struct http_client *client)
{
	if (client->freed && LIST_EMPTY(&client->calls) && client->telling == 0)
		client_drop(client);
}

void http_client_free(struct http_client *client)
{
	struct http_call *call;

	if (!client)
		return;
	LIST_FOREACH(call, &client->calls, link)
	http_call_cancel(call);
	client->freed = true;
	client->log = NULL;
	http_closed(client->http);
	client_maybe_drop(client);
}

/* ---- calls ---- */

/* Free a call that is in no list any more, or not yet; half-built ones too. */
static void call_free(struct http_call *call)
{
	if (!call)
		return;
	timer_free(call->impatience);
	curl_lib.easy_cleanup(call->transfer.easy);
	curl_lib.slist_free_all(call->headers);
	slices_done(&call->source.body);
	http_sink_done(&call->sink);
	free(call);
}

static void call_free_at_exit(struct http_call **call)
{
	call_free(*call);
}

/* The names in a line of a certificate's description, "DNS:a, IP Address:1.2.3.4". */
static void add_names(const char *line, char *out, size_t out_bytes)
{
	static const char *const kinds[] = {"DNS:", "IP Address:"};
	auto_(text_done) struct text names = {0};

	while (*line) {
		size_t len = strcspn(line, ",");

		for (size_t i = 0; i < ARRAY_LEN(kinds); i++) {
			size_t skip = strlen(kinds[i]);

			if (len > skip && strncmp(line, kinds[i], skip) == 0)
				text_printf(&names, "%s%.*s", names.len ? ", " : "",
					(int)(len - skip), line + skip);
		}
		line += len;
		line += strspn(line, ", ");
	}
	if (!names.data || names.len == 0)
		return;
	if (names.len >= out_bytes)
		memcpy(names.data + out_bytes - 4, "...", 4);
	memcpy(out, names.data, strlen(names.data) + 1);
}

/* Collect the names in the peer's certificate. */
static void take_names(struct http_call *call)
{
	static const char mark[] = "X509v3 Subject Alternative Name:";
	const struct curl_certinfo *info = NULL;

	curl_lib.easy_getinfo(call->transfer.easy, CURLINFO_CERTINFO, &info);
	if (!info || info->num_of_certs < 1)
		return;
	for (const struct curl_slist *line = info->certinfo[0]; line; line = line->next)
		if (strncmp(line->data, mark, strlen(mark)) == 0)
			add_names(line->data + strlen(mark), call->names, sizeof call->names);
}

static int version_of(const struct http_call *call)
{
	long version = 0;

	if (call->h2)
		return 2;
	curl_lib.easy_getinfo(call->transfer.easy, CURLINFO_HTTP_VERSION, &version);
	return version == CURL_HTTP_VERSION_1_0 || version == CURL_HTTP_VERSION_1_1 ? 1 : 0;
}

/* Describe the peer, if the caller has asked for that. */
static void call_answer(struct http_call *call, struct http_result *result)
{
	curl_off_t secured = 0;

	curl_lib.easy_getinfo(call->transfer.easy, CURLINFO_APPCONNECT_TIME_T, &secured);
	result->secured = secured > 0;
	result->version = version_of(call);
	result->grpc = call->head.grpc;
	take_names(call);
	result->names = call->names;
}

/* libcurl's words, without what only says where in OpenSSL they are from. */
static const char *plain_words(char *words)
{
	char *from = words, *next;
	size_t len = strlen(words);

	if (strstr(words, "SSL_ERROR_SYSCALL"))
		return "the connection was closed";
	while (len > 0 && words[len - 1] == ' ')
		words[--len] = '\0';
	while ((next = strstr(from, "::")))
		from = next + 2;
	return from[0] ? from : "the connection broke";
}

static const char *words_of(struct http_call *call, enum http_failure failure)
{
	const char *text = http_failure_text(failure);

	if (text || failure == HTTP_FAILURE_NONE)
		return text ? text : "";
	return plain_words(call->words);
}

static void call_result(struct http_call *call, CURLcode code, struct http_result *result)
{
	CURL *easy = call->transfer.easy;
	char *type = NULL;
	long status = 0;

	result->failure = call->failure;
	if (call->failure == HTTP_FAILURE_NONE && !call->enough)
		result->failure = http_failure_of(easy, code);
	curl_lib.easy_getinfo(easy, CURLINFO_RESPONSE_CODE, &status);
	curl_lib.easy_getinfo(easy, CURLINFO_CONTENT_TYPE, &type);
	result->status = (int)status;
	result->content_type = type ? type : "";
	result->date_s = call->head.date_s > 0 ? call->head.date_s : 0;
	result->names = "";
	if (call->asks)
		call_answer(call, result);
	if ((result->failure == HTTP_FAILURE_NONE || call->asks ||
		    (result->failure == HTTP_FAILURE_TOO_LARGE && call->keeps_head)) &&
		http_sink_take(&call->sink, &result->body) < 0)
		result->failure = HTTP_FAILURE_MEMORY;
	result->outcome = http_failure_outcome(result->failure);
	result->details = words_of(call, result->failure);
}

static void call_ended(struct http_transfer *transfer, CURLcode code)
{
	auto_(call_free_at_exit) struct http_call *call =
		container_of(transfer, struct http_call, transfer);
	struct http_client *client = call->client;
	struct http_result result = {0};

	call_result(call, code, &result);
	LIST_REMOVE(call, link);
	if (client->progress && LIST_EMPTY(&client->calls))
		timer_set(client->progress, CLOCK_NEVER);
	/* The call holds what was sent no longer. */
	slices_done(&call->source.body);
	/* done() may free the client. */
	client->telling++;
	call->done(call->arg, &result);
	client->telling--;
	slices_done(&result.body);
	client_maybe_drop(client);
}

static int call_start(struct http_client *client, const struct http_call_options *options,
	struct slices *body, struct http_call **out)
{
	auto_(call_free_at_exit) struct http_call *call = NULL;
	int r;

	if (options->timeout_ms < 0 || options->timeout_ms > INT_MAX)
		return -EINVAL;
	call = calloc(1, sizeof *call);
	if (!call)
		return -ENOMEM;
	call->client = client;
	call->done = options->done;
	call->arg = options->arg;
	call->asks = options->ask != NULL;
	call->keeps_head = options->keeps_head;
	call->sink.max_bytes = client->receive_max_bytes;
	if (options->answer_max_bytes && options->answer_max_bytes < call->sink.max_bytes)
		call->sink.max_bytes = options->answer_max_bytes;
	call->transfer.ended = call_ended;
	call->transfer.easy = curl_lib.easy_init();
	if (!call->transfer.easy || slices_move(&call->source.body, body) < 0)
		return -ENOMEM;
	progress_begin(&call->progress, options->what, call->source.body.bytes);
	r = http_call_options_set(call, options);
	if (r == 0)
		r = http_transfer_start(client->http, &call->transfer);
	if (r < 0)
		return r;
	if (options->what && client->progress) {
		progress_count(&call->progress, client->log, 0, 0);
		timer_set(client->progress, clock_after(clock_now_ms(), PROGRESS_TICK_MS));
	}
	LIST_INSERT_HEAD(&client->calls, call, link);
	if (out)
		*out = call;
	take_pointer(&call); /* the loop's until it has ended */
	return 0;
}

int http_call_start(struct http_client *client, const struct http_call_options *options,
	struct slices *body, struct http_call **out)
{
	int r = call_start(client, options, body, out);

	slices_done(body);
	return r;
}

void http_call_cancel(struct http_call *call)
{
	call->failure = HTTP_FAILURE_CANCELLED; /* whatever has come meanwhile */
	http_transfer_end(&call->transfer, CURLE_ABORTED_BY_CALLBACK);
}
