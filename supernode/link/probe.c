/*
 * probe: the question is GET /health. An HTTP SuperLink answers it; gRPC's servers begin with a
 * frame of HTTP/2, or, with TLS, agree to speak HTTP/2 and answer as gRPC. Where the answer hints
 * at a wrong setting (TLS or none, a proxy), a second question finds out whether the other one
 * would be right.
 */
#include "supernode/link/probe.h"

#include "common/base/cleanup.h"
#include "common/http/status.h"
#include "supernode/link/probe_words.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define FIRST_MS      6000
#define NEXT_MS       2000 /* each of at most two more: PROBE_MAX_MS in all */
#define ANSWER_BYTES  4096
#define FRAME_BYTES   4
#define STATUS_BAD    400
#define STATUS_BROKEN 500

enum question {
	AS_CONFIGURED,
	OTHERWISE, /* TLS instead of plain text, or the other way round */
	DIRECTLY,  /* without a proxy */
};

struct probe {
	struct http_client *client;
	struct http_call *call;
	char *address;
	bool tls;
	enum question question;
	bool cancelled;
	/* The result of the first question, when it was not clear. */
	enum probe_result first;
	struct reason why;
	probe_done_fn *done;
	void *arg;
};

static void probe_drop(struct probe *probe)
{
	http_client_free(probe->client);
	free(probe->address);
	free(probe);
}

static void probe_drop_at_exit(struct probe **probe)
{
	if (*probe)
		probe_drop(*probe);
}

static void finish(struct probe *probe, enum probe_result result)
{
	if (result == PROBE_GRPC || result == PROBE_HTTP)
		probe->why = (struct reason){0};
	reason_clean(&probe->why);
	probe->call = NULL;
	probe->done(probe->arg, result, &probe->why);
	probe_drop(probe);
}

/* ---- what it is ---- */

/* The first bytes of a peer: length (below 65536), then type SETTINGS. */
static bool is_settings(const struct slices *body)
{
	uint8_t head[FRAME_BYTES];

	return slices_read(body, 0, head, sizeof head) == 0 && head[0] == 0 && head[1] == 0 &&
	       head[3] == 4;
}

/* An alert of TLS: the peer takes our question for a broken handshake. */
static bool is_alert(const struct slices *body)
{
	uint8_t head[2];

	return slices_read(body, 0, head, sizeof head) == 0 && head[0] == 0x15 && head[1] == 3;
}

/* Is there anybody who understood us? */
static bool is_answer(const struct http_result *result)
{
	return result->version != 0 || is_settings(&result->body);
}

/* A peer that has chosen HTTP/2 and is no web server is gRPC, whatever it answers. */
static bool is_grpc(const struct http_result *result)
{
	if (result->version == 2)
		return result->grpc || result->status != HTTP_STATUS_OK;
	return result->version == 0 && is_settings(&result->body);
}

/* ---- questions ---- */

static int ask(struct probe *probe, enum question question);

/* Ask once more before this becomes the result. */
static void ask_again(struct probe *probe, enum question question, enum probe_result result)
{
	probe->first = result;
	if (ask(probe, question) < 0)
		finish(probe, result);
}

/* An answer by HTTP/1. */
static void heard_http(struct probe *probe, const struct http_result *result)
{
	if (result->status == HTTP_STATUS_PROXY_PASSWORD) {
		probe_say_password(probe->address, &probe->why);
		ask_again(probe, DIRECTLY, PROBE_ABSENT);
	} else if (result->status > STATUS_BROKEN) {
		probe_say_status(probe->address, result, &probe->why);
		ask_again(probe, DIRECTLY, PROBE_ABSENT);
	} else if (result->status == STATUS_BAD && !probe->tls) {
		/* Web servers answer so when TLS is missing. */
		ask_again(probe, OTHERWISE, PROBE_HTTP);
	} else if (result->status != HTTP_STATUS_OK) {
		/* Perhaps that was a proxy of ours, which gRPC would not use. */
		ask_again(probe, DIRECTLY, PROBE_HTTP);
	} else {
		finish(probe, PROBE_HTTP);
	}
}

/* No answer at all, as configured. */
static void heard_nothing(struct probe *probe, const struct http_result *result)
{
	enum http_failure failure = result->failure;

	probe_say_failure(probe->address, result, &probe->why);
	if (probe_is_certificate(failure))
		finish(probe, PROBE_WRONG);
	else if (failure == HTTP_FAILURE_TLS ||
		 (failure == HTTP_FAILURE_CLOSED && !result->secured) ||
		 (failure == HTTP_FAILURE_TIMEOUT && !result->secured))
		ask_again(probe, OTHERWISE, PROBE_ABSENT);
	else if (failure == HTTP_FAILURE_PROXY)
		ask_again(probe, DIRECTLY, PROBE_ABSENT);
	else
		finish(probe, PROBE_ABSENT);
}

static void heard_first(struct probe *probe, const struct http_result *result)
{
	if (is_grpc(result)) {
		finish(probe, PROBE_GRPC);
	} else if (result->version == 2) {
		finish(probe, PROBE_HTTP);
	} else if (result->version == 1 && result->status > 0) {
		heard_http(probe, result);
	} else if (result->body.bytes == 0) {
		heard_nothing(probe, result);
	} else if (!probe->tls && is_alert(&result->body)) {
		probe_say_tls(probe->address, &probe->why);
		finish(probe, PROBE_WRONG);
	} else {
		probe_say_stranger(probe->address, &result->body, &probe->why);
		finish(probe, PROBE_WRONG);
	}
}

static void heard_otherwise(struct probe *probe, const struct http_result *result)
{
	if (!probe->tls && result->secured) {
		probe_say_tls(probe->address, &probe->why);
		finish(probe, PROBE_WRONG);
	} else if (probe->tls && is_answer(result)) {
		probe_say_plain(probe->address, &probe->why);
		finish(probe, PROBE_WRONG);
	} else if (probe->tls && result->body.bytes > 0) {
		probe_say_stranger(probe->address, &result->body, &probe->why);
		finish(probe, PROBE_WRONG);
	} else {
		finish(probe, probe->first);
	}
}

static void heard_directly(struct probe *probe, const struct http_result *result)
{
	if (is_grpc(result))
		finish(probe, PROBE_GRPC);
	else
		finish(probe, probe->first);
}

static void heard(void *arg, struct http_result *result)
{
	struct probe *probe = arg;

	if (probe->cancelled) {
		probe_drop(probe);
		return;
	}
	switch (probe->question) {
	case AS_CONFIGURED:
		heard_first(probe, result);
		break;
	case OTHERWISE:
		heard_otherwise(probe, result);
		break;
	case DIRECTLY:
		heard_directly(probe, result);
		break;
	}
}

static int ask(struct probe *probe, enum question question)
{
	struct http_ask how = {
		.tls = probe->tls != (question == OTHERWISE),
		.unverified = question == OTHERWISE,
		.direct = question == DIRECTLY,
	};
	struct http_call_options options = {.path = "/health",
		.timeout_ms = question == AS_CONFIGURED ? FIRST_MS : NEXT_MS,
		.ask = &how,
		.done = heard,
		.arg = probe};
	struct slices none = {0};

	probe->question = question;
	return http_call_start(probe->client, &options, &none, &probe->call);
}

int probe_start(struct http *http, const struct probe_options *wanted, struct probe **out)
{
	auto_(probe_drop_at_exit) struct probe *probe = calloc(1, sizeof *probe);
	struct http_client_options options = {
		.address = wanted->address,
		.ca_pem = wanted->ca_pem,
		.receive_max_bytes = ANSWER_BYTES,
		.user_agent = "flwr-native/" FLWR_RELEASE,
	};
	int r;

	if (!probe)
		return -ENOMEM;
	probe->tls = wanted->ca_pem != NULL;
	probe->done = wanted->done;
	probe->arg = wanted->arg;
	probe->address = strdup(wanted->address);
	if (!probe->address)
		return -ENOMEM;
	r = http_client_new(http, &options, &probe->client);
	if (r == 0)
		r = ask(probe, AS_CONFIGURED);
	if (r < 0)
		return r;
	*out = take_pointer(&probe);
	return 0;
}

void probe_cancel(struct probe *probe)
{
	if (!probe)
		return;
	probe->cancelled = true;
	http_call_cancel(probe->call);
}
