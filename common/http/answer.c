/*
 * answer: what a caller gets: the reply's slices by reference, or a failure as Flower writes it.
 */
#include "common/base/cleanup.h"
#include "common/http/exchange.h"
#include "common/http/status.h"

#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#define STATUS_NOT_ALLOWED 405
#define CONTENT_JSON       "application/json"

static void reply_free(void *arg)
{
	struct slices *reply = arg;

	slices_done(reply);
	free(reply);
}

static struct MHD_Response *empty_response(void)
{
	static char nothing[1];

	return MHD_lib.create_response_from_buffer(0, nothing, MHD_RESPMEM_PERSISTENT);
}

/* reply is taken over. NULL on no memory. */
static struct MHD_Response *reply_response(struct slices *reply)
{
	auto_(slices_done) struct slices taken = slices_take(reply);
	auto_(free_at_exit) struct slices *kept = NULL;
	auto_(free_at_exit) struct MHD_IoVec *pieces = NULL;
	struct MHD_Response *response;

	if (!taken.bytes)
		return empty_response();
	kept = malloc(sizeof *kept);
	pieces = calloc(taken.n, sizeof *pieces);
	if (!kept || !pieces || taken.n > UINT32_MAX)
		return NULL;
	for (size_t i = 0; i < taken.n; i++)
		pieces[i] = (struct MHD_IoVec){taken.v[i].data, taken.v[i].len};
	*kept = taken;
	response = MHD_lib.create_response_from_iovec(pieces, (unsigned)taken.n, reply_free, kept);
	if (response) {
		taken = (struct slices){0};
		take_pointer(&kept);
	}
	return response;
}

/* {"code": 1008, "detail": "a sentence"}, malloc()ed; NULL on no memory. */
static char *failure_text(int code, const char *details)
{
	json_t *object = json_object();
	char *text = NULL;

	if (object && (!code || json_object_set_new(object, "code", json_integer(code)) == 0) &&
		json_object_set_new(object, "detail", json_string(details)) == 0)
		text = json_dumps(object, JSON_COMPACT);
	json_decref(object);
	return text;
}

static struct MHD_Response *failure_response(int code, const char *details)
{
	char *text = failure_text(code, details);
	struct MHD_Response *response = text ? MHD_lib.create_response_from_buffer(
						       strlen(text), text, MHD_RESPMEM_MUST_FREE)
					     : NULL;

	if (!response)
		free(text);
	return response;
}

static bool add_headers(struct MHD_Response *response, const struct exchange *exchange)
{
	const char *content = exchange->status == HTTP_STATUS_OK ? HTTP_CONTENT : CONTENT_JSON;

	if (exchange->close && !MHD_lib.add_response_header(response, "Connection", "close"))
		return false;
	if (exchange->allow && !MHD_lib.add_response_header(response, "Allow", exchange->allow))
		return false;
	return MHD_lib.add_response_header(response, "Content-Type", content);
}

enum MHD_Result answer_queue(struct exchange *exchange)
{
	struct MHD_Response *response =
		exchange->status == HTTP_STATUS_OK
			? reply_response(&exchange->reply)
			: failure_response(exchange->code, exchange->details);
	enum MHD_Result r;

	if (!response)
		return MHD_NO;
	r = add_headers(response, exchange)
		    ? MHD_lib.queue_response(exchange->connection, exchange->status, response)
		    : MHD_NO;
	MHD_lib.destroy_response(response);
	return r;
}

void answer_beside(const struct exchange *exchange)
{
	const union MHD_ConnectionInfo *info = MHD_lib.get_connection_info(
		exchange->connection, MHD_CONNECTION_INFO_CONNECTION_FD);
	auto_(free_at_exit) char *body = failure_text(exchange->code, exchange->details);
	char text[EXCHANGE_DETAILS_BYTES * 2 + 256];
	int n;

	if (!info)
		return;
	n = snprintf(text, sizeof text,
		"HTTP/1.1 %u %s\r\nConnection: close\r\nContent-Type: " CONTENT_JSON
		"\r\nContent-Length: %zu\r\n\r\n%s",
		exchange->status, MHD_lib.get_reason_phrase_for(exchange->status),
		body ? strlen(body) : 0, body ? body : "");
	/* Nothing else was sent lately: there is room for it. */
	if (n > 0 && (size_t)n < sizeof text)
		(void)send(info->connect_fd, text, (size_t)n, MSG_DONTWAIT | MSG_NOSIGNAL);
	shutdown(info->connect_fd, SHUT_RDWR);
}
