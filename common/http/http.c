/*
 * http: libcurl says which sockets it waits for and when it wants to be called; the loop does both.
 * Transfers that have ended are collected when libcurl has returned, so that callbacks may do what
 * they like.
 */
#include "common/base/cleanup.h"
#include "common/base/clock.h"
#include "common/http/transfer.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>

#define CONNECTIONS_IDLE_MAX 4L

LIBRARY_DEFINE(curl, CURL_FUNCTIONS, CURL_SONAME)

struct http {
	struct loop *loop;
	CURLM *multi;
	struct timer *timer; /* libcurl's */
	struct timer *sweep; /* ends what is doomed */
	LIST_HEAD(, http_transfer) transfers;
	unsigned int clients;
};

/* A descriptor that libcurl waits for. */
struct http_socket {
	struct http *http;
	curl_socket_t fd;
	struct watch *watch;
};

/* ---- transfers ---- */

/* Take the transfer out of its lists, then call ended(). */
static void transfer_finish(struct http_transfer *transfer, CURLcode code)
{
	curl_lib.multi_remove_handle(transfer->http->multi, transfer->easy);
	LIST_REMOVE(transfer, link);
	transfer->ended(transfer, code);
}

static void collect(struct http *http)
{
	struct http_transfer *transfer;
	CURLMsg *message;
	int left;

	while ((message = curl_lib.multi_info_read(http->multi, &left))) {
		CURLcode code = message->data.result;

		if (message->msg != CURLMSG_DONE)
			continue;
		curl_lib.easy_getinfo(message->easy_handle, CURLINFO_PRIVATE, &transfer);
		/* A transfer that was given up ends with the code of that. */
		transfer_finish(transfer, transfer->doomed != CURLE_OK ? transfer->doomed : code);
	}
}

static struct http_transfer *find_doomed(const struct http *http)
{
	struct http_transfer *transfer;

	LIST_FOREACH(transfer, &http->transfers, link)
	if (transfer->doomed != CURLE_OK)
		return transfer;
	return NULL;
}

static void sweep(void *arg)
{
	struct http *http = arg;
	struct http_transfer *transfer;

	while ((transfer = find_doomed(http)))
		transfer_finish(transfer, transfer->doomed);
}

int http_transfer_start(struct http *http, struct http_transfer *transfer)
{
	CURLMcode code;

	if (curl_lib.easy_setopt(transfer->easy, CURLOPT_PRIVATE, transfer) != CURLE_OK)
		return -ENOMEM;
	transfer->http = http;
	transfer->doomed = CURLE_OK;
	/* libcurl only sets its timer here; all else comes from the loop. */
	code = curl_lib.multi_add_handle(http->multi, transfer->easy);
	if (code != CURLM_OK)
		return code == CURLM_OUT_OF_MEMORY ? -ENOMEM : -EIO;
	LIST_INSERT_HEAD(&http->transfers, transfer, link);
	return 0;
}

void http_transfer_end(struct http_transfer *transfer, CURLcode code)
{
	transfer->doomed = code;
	timer_set(transfer->http->sweep, clock_now_ms());
}

/* ---- the loop ---- */

static void act(struct http *http, curl_socket_t fd, int ready)
{
	int running;

	curl_lib.multi_socket_action(http->multi, fd, ready, &running);
	collect(http);
}

static void socket_ready(void *arg, int ready)
{
	const struct http_socket *sock = arg;

	/* sock may be gone when libcurl returns. */
	act(sock->http, sock->fd,
		((ready & WATCH_READ) ? CURL_CSELECT_IN : 0) |
			((ready & WATCH_WRITE) ? CURL_CSELECT_OUT : 0));
}

static void socket_free(struct http *http, struct http_socket *sock)
{
	if (!sock)
		return;
	curl_lib.multi_assign(http->multi, sock->fd, NULL);
	watch_free(sock->watch);
	free(sock);
}

static int socket_watch(struct http *http, struct http_socket *sock, curl_socket_t fd, int what)
{
	int events = ((what & CURL_POLL_IN) ? WATCH_READ : 0) |
		     ((what & CURL_POLL_OUT) ? WATCH_WRITE : 0);

	if (!sock) {
		sock = calloc(1, sizeof *sock);
		if (!sock)
			return -ENOMEM;
		sock->http = http;
		sock->fd = fd;
		curl_lib.multi_assign(http->multi, fd, sock);
	}
	watch_free(sock->watch);
	sock->watch = watch_new(http->loop, fd, events, socket_ready, sock);
	return sock->watch ? 0 : -ENOMEM;
}

static int socket_changed(CURL *easy, curl_socket_t fd, int what, void *arg, void *sock)
{
	struct http *http = arg;
	struct http_transfer *transfer = NULL;

	if (what == CURL_POLL_REMOVE) {
		socket_free(http, sock);
		return 0;
	}
	/* The failure ends this call alone: libcurl would end all calls if it learnt of it. */
	if (socket_watch(http, sock, fd, what) < 0) {
		curl_lib.easy_getinfo(easy, CURLINFO_PRIVATE, &transfer);
		if (transfer)
			http_transfer_end(transfer, CURLE_OUT_OF_MEMORY);
	}
	return 0;
}

static int timer_changed(CURLM *multi, long after_ms, void *arg)
{
	struct http *http = arg;

	(void)multi;
	timer_set(http->timer, after_ms < 0 ? CLOCK_NEVER : clock_after(clock_now_ms(), after_ms));
	return 0;
}

static void timer_due(void *arg)
{
	act(arg, CURL_SOCKET_TIMEOUT, 0);
}

/* ---- its life ---- */

struct loop *http_loop(struct http *http)
{
	return http->loop;
}

void http_opened(struct http *http)
{
	http->clients++;
}

void http_closed(struct http *http)
{
	http->clients--;
}

static void http_drop(struct http *http)
{
	if (http->multi)
		curl_lib.multi_cleanup(http->multi);
	timer_free(http->timer);
	timer_free(http->sweep);
	free(http);
	curl_lib.global_cleanup();
}

static void http_drop_at_exit(struct http **http)
{
	if (*http)
		http_drop(*http);
}

int http_new(struct loop *loop, struct http **out, struct reason *why)
{
	auto_(http_drop_at_exit) struct http *http = NULL;

	int r = curl_lib_load(why);

	if (r < 0)
		return r;
	/* Counted, and safe in a program whose other parts use libcurl, too. */
	if (curl_lib.global_init(CURL_GLOBAL_DEFAULT) != CURLE_OK)
		return -EIO;
	http = calloc(1, sizeof *http);
	if (!http) {
		curl_lib.global_cleanup();
		return -ENOMEM;
	}
	http->loop = loop;
	http->timer = timer_new(loop, timer_due, http);
	http->sweep = timer_new(loop, sweep, http);
	http->multi = curl_lib.multi_init();
	if (!http->timer || !http->sweep || !http->multi)
		return -ENOMEM;
	curl_lib.multi_setopt(http->multi, CURLMOPT_SOCKETFUNCTION, socket_changed);
	curl_lib.multi_setopt(http->multi, CURLMOPT_SOCKETDATA, http);
	curl_lib.multi_setopt(http->multi, CURLMOPT_TIMERFUNCTION, timer_changed);
	curl_lib.multi_setopt(http->multi, CURLMOPT_TIMERDATA, http);
	curl_lib.multi_setopt(http->multi, CURLMOPT_MAXCONNECTS, CONNECTIONS_IDLE_MAX);
	curl_lib.multi_setopt(http->multi, CURLMOPT_PIPELINING, (long)CURLPIPE_NOTHING);
	*out = take_pointer(&http);
	return 0;
}

void http_free(struct http *http)
{
	if (!http)
		return;
	sweep(http);
	assert(http->clients == 0 && LIST_EMPTY(&http->transfers));
	http_drop(http);
}
