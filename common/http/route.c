#include "common/http/route.h"

#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

static bool is_letter(char c)
{
	return c >= 'a' && c <= 'z';
}

static bool is_digit(char c)
{
	return c >= '0' && c <= '9';
}

int http_route_find(const struct http_route *route, const char *url, char out[HTTP_ROUTE_BYTES])
{
	size_t prefix = strlen(route->prefix);
	char path[HTTP_ROUTE_BYTES];
	bool begins = true; /* a word does, at this character */
	size_t n;

	if (strncmp(url, route->prefix, prefix) != 0)
		return -ENOENT;
	n = (size_t)snprintf(path, sizeof path, "/%s/", route->service);
	for (const char *at = url + prefix; *at; at++) {
		if (!begins && *at == '-') {
			begins = true;
			continue;
		}
		if (!is_letter(*at) && (begins || !is_digit(*at)))
			return -ENOENT;
		if (n + 1 >= sizeof path)
			return -ENAMETOOLONG;
		path[n++] = begins ? (char)(*at - 'a' + 'A') : *at;
		begins = false;
	}
	/* Nothing, or a hyphen, is the end of no name. */
	if (begins)
		return -ENOENT;
	path[n] = '\0';
	memcpy(out, path, n + 1);
	return 0;
}
