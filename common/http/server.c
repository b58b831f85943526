/*
 * server: libmicrohttpd on the loop. Its own epoll descriptor says when it wants to run; it calls
 * back from inside only.
 */
#include "common/http/server.h"

#include "common/base/cleanup.h"
#include "common/base/clock.h"
#include "common/http/exchange.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* libmicrohttpd from 1.0 on takes connections in later otherwise, by MHD_run(). */
#if MHD_VERSION >= 0x00097707
#define SINGLE_THREAD MHD_USE_NO_THREAD_SAFETY
#else
#define SINGLE_THREAD 0
#endif

/* A connection's: its head, and what is read of a body at a time. */
#define CONNECTION_BYTES ((size_t)64 << 10)
#define READ_BYTES       ((size_t)16 << 10)
#define TURNS_MAX        100 /* of the library, without a pause, in which no byte goes on */
#define TURN_MS          10

LIBRARY_DEFINE(MHD, MHD_FUNCTIONS, MICROHTTPD_SONAME)

/* ---- the library's turns ---- */

void http_server_run_soon(struct http_server *server)
{
	timer_set(server->timer, clock_now_ms());
}

/* The library wants to run at once as long as it has bytes; also when it can do nothing with them,
 * as with a chunk's size that does not end in its memory. */
static int64_t next_run_ms(struct http_server *server, MHD_UNSIGNED_LONG_LONG wait_ms)
{
	if (wait_ms == 0)
		wait_ms = ++server->turns > TURNS_MAX ? TURN_MS : 0;
	return clock_after(clock_now_ms(), (int64_t)wait_ms);
}

static void server_run(struct http_server *server)
{
	MHD_UNSIGNED_LONG_LONG wait_ms;

	MHD_lib.run(server->daemon);
	if (MHD_lib.get_timeout(server->daemon, &wait_ms) == MHD_YES)
		timer_set(server->timer, next_run_ms(server, wait_ms));
}

static void watch_ready(void *arg, int ready)
{
	struct http_server *server = arg;

	(void)ready;
	server->turns = 0;
	server_run(server);
}

static void timer_due(void *arg)
{
	server_run(arg);
}

/* ---- connections ---- */

static void link_begin(struct http_server *server, void **context)
{
	*context = take_pointer(&server->adding);
}

static void link_end(struct http_link *link)
{
	const struct http_server_options *options = &link->server->options;

	/* The library has answered itself, or closed. */
	if (link->peer && !link->requests && options->refused && !link->server->stopping)
		options->refused(options->arg, link->peer, "a call", OUTCOME_INVALID_ARGUMENT,
			"it is no request of HTTP/1.1");
	LIST_REMOVE(link, entry);
	free(link);
}

static void link_changed(void *arg, struct MHD_Connection *connection, void **context,
	enum MHD_ConnectionNotificationCode what)
{
	(void)connection;
	if (what == MHD_CONNECTION_NOTIFY_STARTED)
		link_begin(arg, context);
	else if (*context)
		link_end(*context);
}

void http_server_add(struct http_server *server, int fd, const struct peer *peer)
{
	/* The address is the door's business. */
	const struct sockaddr none = {.sa_family = AF_UNIX};
	struct http_link *link = calloc(1, sizeof *link);

	if (!link) {
		close_fd(&fd);
		return;
	}
	*link = (struct http_link){.server = server, .peer = peer};
	LIST_INSERT_HEAD(&server->links, link, entry);
	server->adding = link;
	(void)MHD_lib.add_connection(server->daemon, fd, &none, sizeof none);
	/* The descriptor is closed then: the door sees that. */
	if (server->adding) {
		LIST_REMOVE(link, entry);
		free(take_pointer(&server->adding));
	}
	http_server_run_soon(server);
}

void http_server_peer_gone(struct http_server *server, const struct peer *peer)
{
	struct http_link *link;
	struct exchange *at;

	LIST_FOREACH(link, &server->links, entry)
	if (link->peer == peer)
		link->peer = NULL;
	LIST_FOREACH(at, &server->exchanges, entry)
	if (at->request.peer == peer)
		exchange_orphan(at);
	timer_set(server->sweep, clock_now_ms());
}

/* ---- life ---- */

void http_server_changed(struct http_server *server)
{
	if (server->stopping)
		timer_set(server->sweep, clock_now_ms());
}

static void stop_daemon(struct http_server *server)
{
	watch_free(server->watch);
	server->watch = NULL;
	if (server->daemon)
		MHD_lib.stop_daemon(server->daemon);
	server->daemon = NULL;
	if (server->timer)
		timer_set(server->timer, CLOCK_NEVER);
}

static void server_sweep(void *arg)
{
	struct http_server *server = arg;
	bool over;

	if (!server->daemon)
		return;
	exchange_sweep(server);
	if (!server->stopping)
		return;
	over = clock_now_ms() >= server->end_ms;
	if (over)
		exchange_cancel_all(server);
	/* Suspended exchanges go on, so that the library may end. */
	server_run(server);
	if (server->serving || (!over && !LIST_EMPTY(&server->exchanges))) {
		/* Else http_server_changed() comes. */
		if (!over)
			timer_set(server->sweep, server->end_ms);
		return;
	}
	stop_daemon(server);
	server->done(server->done_arg);
}

void http_server_shutdown(
	struct http_server *server, int64_t grace_ms, void (*done)(void *arg), void *arg)
{
	server->stopping = true;
	server->done = done;
	server->done_arg = arg;
	server->end_ms = clock_after(clock_now_ms(), grace_ms);
	timer_set(server->sweep, clock_now_ms());
}

/* A URL is taken as it was written. */
static size_t leave_escaped(void *arg, struct MHD_Connection *connection, char *text)
{
	(void)arg;
	(void)connection;
	return strlen(text);
}

static struct MHD_Daemon *start_daemon(struct http_server *server)
{
	return MHD_lib.start_daemon(
		SINGLE_THREAD | MHD_USE_EPOLL | MHD_USE_NO_LISTEN_SOCKET | MHD_ALLOW_SUSPEND_RESUME,
		0, NULL, NULL, exchange_handle, server, MHD_OPTION_NOTIFY_COMPLETED,
		exchange_completed, server, MHD_OPTION_NOTIFY_CONNECTION, link_changed, server,
		MHD_OPTION_UNESCAPE_CALLBACK, leave_escaped, NULL, MHD_OPTION_CONNECTION_LIMIT,
		server->options.connections_max, MHD_OPTION_CONNECTION_MEMORY_LIMIT,
		CONNECTION_BYTES, MHD_OPTION_CONNECTION_MEMORY_INCREMENT, READ_BYTES,
		MHD_OPTION_STRICT_FOR_CLIENT, 1, MHD_OPTION_END);
}

void http_server_free(struct http_server *server)
{
	if (!server)
		return;
	assert(LIST_EMPTY(&server->exchanges));
	stop_daemon(server);
	timer_free(server->timer);
	timer_free(server->sweep);
	free(server);
}

int http_server_new(
	const struct http_server_options *options, struct http_server **out, struct reason *why)
{
	int r = MHD_lib_load(why);
	struct http_server *server = r == 0 ? calloc(1, sizeof *server) : NULL;
	const union MHD_DaemonInfo *info;

	if (!server)
		return r ? r : -ENOMEM;
	server->options = *options;
	server->timer = timer_new(options->loop, timer_due, server);
	server->sweep = timer_new(options->loop, server_sweep, server);
	server->daemon = start_daemon(server);
	info = server->daemon ? MHD_lib.get_daemon_info(server->daemon, MHD_DAEMON_INFO_EPOLL_FD)
			      : NULL;
	server->watch =
		info ? watch_new(options->loop, info->epoll_fd, WATCH_READ, watch_ready, server)
		     : NULL;
	if (!server->timer || !server->sweep || !server->watch) {
		http_server_free(server);
		return -ENOMEM;
	}
	*out = server;
	return 0;
}
