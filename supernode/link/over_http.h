/*
 * over_http: what the transports over HTTP/1.1 have in common: a POST for each call, protobuf in
 * it and in its answer. Connections as they are needed; heartbeats never wait for one. Main thread.
 * Private to this folder.
 */
#ifndef FLWR_LINK_OVER_HTTP_H
#define FLWR_LINK_OVER_HTTP_H

#include "supernode/link/transport.h"

/* Where they differ; static. */
struct over_http_form {
	const char *prefix; /* of the paths, "/v1/fleet/": the method follows as pull-messages */
	bool signs;         /* key and signature go into headers */
};

/* 0, -EINVAL, -ENOMEM. */
int over_http_new(const struct transport_options *options, const struct over_http_form *form,
	struct transport **out);

#endif
