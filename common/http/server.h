/*
 * server: an HTTP/1.1 front-end of common/service: protobuf in the bodies of POST. It is given
 * accepted connections. Main thread. No type of libmicrohttpd appears here.
 *
 * A request is refused with its headers when admit() says so, before its body is received. A body
 * is received into slices, no faster than it is wanted; an answer is sent from its slices, whenever
 * it is given. GET and HEAD of HTTP_HEALTH_PATH are answered with an empty 200.
 */
#ifndef FLWR_HTTP_SERVER_H
#define FLWR_HTTP_SERVER_H

#include "common/base/reason.h"
#include "common/http/route.h"
#include "common/loop/loop.h"
#include "common/service/service.h"

#define HTTP_HEALTH_PATH "/health"
#define HTTP_CONTENT     "application/protobuf"
/* A request's: the lines before its body, and how many of them are headers. */
#define HTTP_HEAD_MAX    16384
#define HTTP_HEADERS_MAX 64

struct http_server;

struct http_server_options {
	struct loop *loop;
	const struct service *services; /* borrowed, as all below, outlive the server */
	size_t n_services;
	struct http_route route; /* where the methods are that it serves */
	/* Before and after each request, in this order. */
	const struct interceptor *interceptors;
	size_t n_interceptors;
	/* Bytes of bodies that are being received, of all callers together; beyond it: 503. */
	uint64_t memory_max_bytes;
	unsigned connections_max;
	unsigned calls_max;       /* at work at a time, one a connection; further ones: 503 */
	unsigned guest_calls_max; /* of them admitted ones of peers that are not trusted */
	/* A request was answered here, in the services' place: method is theirs or "a call"; for
	 * the log. May be NULL. */
	void (*refused)(void *arg, const struct peer *peer, const char *method,
		enum outcome outcome, const char *details);
	/* Somebody has asked for HTTP_HEALTH_PATH. May be NULL. */
	void (*health)(void *arg, const struct peer *peer);
	void *arg; /* of these two */
};

/* *options is copied. 0; -ENOMEM (or no descriptors); -ELIBACC: libmicrohttpd is not there, why
 * says so. */
int http_server_new(
	const struct http_server_options *options, struct http_server **out, struct reason *why);

/*
 * Serve a connected, non-blocking socket whose peer speaks HTTP/1.1: nothing was read of it. fd is
 * taken over. peer is borrowed until http_server_peer_gone(); calls on this connection carry it
 * (request->peer).
 */
void http_server_add(struct http_server *server, int fd, const struct peer *peer);

/*
 * The connection of peer has ended: no new request will name it, and requests that still do are
 * given a stand-in peer that outlives them, and are cancelled, from the loop.
 */
void http_server_peer_gone(struct http_server *server, const struct peer *peer);

/*
 * Take no more calls (503); let those at hand finish for grace_ms, then cancel them; close all
 * connections; then call done(arg), from the loop. Once. Afterwards there are only
 * http_server_peer_gone() and http_server_free().
 */
void http_server_shutdown(
	struct http_server *server, int64_t grace_ms, void (*done)(void *arg), void *arg);

/* The server was shut down, or has had no connection. NULL is fine. */
void http_server_free(struct http_server *server);

#endif
