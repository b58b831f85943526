/*
 * route: which method the path of a URL means. Pure; any thread.
 */
#ifndef FLWR_HTTP_ROUTE_H
#define FLWR_HTTP_ROUTE_H

#include <stddef.h>

#define HTTP_ROUTE_BYTES 128 /* of a method's path, its NUL among them */

/* Where the methods of one service are. */
struct http_route {
	const char *prefix;  /* "/v1/runtime/" */
	const char *service; /* "flwr.proto.Runtime" */
};

/*
 * The method's path for that of a URL: below the prefix stands its name in kebab case, as
 * "/v1/runtime/pull-task-input" for "/flwr.proto.Runtime/PullTaskInput": words of lower-case
 * letters and digits, each begun by a letter, with one hyphen between two. 0; -ENOENT: it is no
 * such path; -ENAMETOOLONG.
 */
int http_route_find(const struct http_route *route, const char *url, char out[HTTP_ROUTE_BYTES]);

#endif
