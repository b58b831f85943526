#include "common/http/flower_answer.h"

#include "common/base/cleanup.h"
#include "common/http/flower_error.h"
#include "common/http/status.h"

#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

#define PLAIN_TYPE "text/plain"

int flower_path(const char *prefix, const char *method, char path[FLOWER_PATH_BYTES])
{
	size_t n = (size_t)snprintf(path, FLOWER_PATH_BYTES, "%s", prefix);

	for (const char *c = method; *c; c++) {
		if (n + 3 > FLOWER_PATH_BYTES)
			return -EINVAL;
		if (isupper((unsigned char)*c) && c > method)
			path[n++] = '-';
		path[n++] = (char)tolower((unsigned char)*c);
	}
	path[n] = '\0';
	return n > strlen(prefix) ? 0 : -EINVAL;
}

/* "application/protobuf", with or without parameters. */
static bool is_type(const char *type, const char *wanted)
{
	size_t len = strlen(wanted);

	return strncasecmp(type, wanted, len) == 0 && strchr("; \t", type[len]);
}

bool flower_is_answer(const struct http_result *result)
{
	return result->status == HTTP_STATUS_OK &&
	       is_type(result->content_type, FLOWER_CONTENT_TYPE);
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

/* Servers that check who calls say 401 in JSON, and 403 with a code; others neither. */
static bool is_of_proxy(bool refuses, int status, int code, bool json)
{
	if (status == HTTP_STATUS_UNAUTHORIZED)
		return !refuses || !json;
	if (status == HTTP_STATUS_FORBIDDEN)
		return !refuses || code == 0;
	return http_outcome_of(status, code) == OUTCOME_UNKNOWN; /* no server of Flower has it */
}

enum outcome flower_answer_read(
	const struct http_result *from, bool refuses, int *code_out, struct text *words)
{
	auto_(text_done) struct text json = {0}, plain = {0};
	char type[64];
	int code = 0;
	bool proxy;

	*code_out = 0;
	if (flower_is_answer(from))
		return OUTCOME_OK;
	if (from->status == HTTP_STATUS_OK) {
		text_quote(from->content_type, strlen(from->content_type), type, sizeof type);
		text_printf(
			words, "HTTP status 200 with content of type %s, as proxies say it", type);
		return OUTCOME_UNAVAILABLE;
	}
	read_error(from, &code, &json, &plain);
	proxy = is_of_proxy(refuses, from->status, code, json.len > 0);
	if (json.len && !proxy)
		text_add(words, json.data, json.len);
	else
		text_printf(words, "HTTP status %d%s%s", from->status,
			proxy ? ", as proxies say it" : "", plain.len ? plain.data : "");
	if (proxy)
		return OUTCOME_UNAVAILABLE;
	*code_out = code;
	return http_outcome_of(from->status, code);
}
