/*
 * Fuzz target: the path of a URL, which whoever reaches the worker API writes. A path that is taken
 * can be written again from the method that it means.
 */
#include "fuzz.h"

#include "common/http/route.h"

FUZZ_MEMORY(16, 1);

static const struct http_route route = {"/v1/runtime/", "flwr.proto.Runtime"};

void fuzz(const uint8_t *data, size_t size)
{
	auto_(free_at_exit) char *url = malloc(size + 1);
	char path[HTTP_ROUTE_BYTES], again[2 * HTTP_ROUTE_BYTES + 16];
	size_t n;

	CHECK(url);
	memcpy(url, data, size);
	url[size] = '\0';
	if (http_route_find(&route, url, path))
		return;
	n = (size_t)snprintf(again, sizeof again, "%s", route.prefix);
	for (const char *at = path + strlen("/flwr.proto.Runtime/"); *at; at++) {
		bool begins = *at >= 'A' && *at <= 'Z';

		if (begins && at > path + strlen("/flwr.proto.Runtime/"))
			again[n++] = '-';
		again[n++] = begins ? (char)(*at - 'A' + 'a') : *at;
	}
	again[n] = '\0';
	CHECK(strcmp(again, url) == 0);
}
