/*
 * front_end_http: the server that speaks HTTP/1.1 (common/http/server.h), as a door sees it. A
 * target of its own, since a door for gRPC alone needs no such server.
 */
#ifndef FLWR_LISTEN_FRONT_END_HTTP_H
#define FLWR_LISTEN_FRONT_END_HTTP_H

#include "common/http/server.h"
#include "common/listen/front_end.h"

struct front_end front_end_http(struct http_server *server);

#endif
