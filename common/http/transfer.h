/*
 * transfer: a handle of libcurl's, from its start on the loop to its end. Main thread. Private to
 * this folder.
 */
#ifndef FLWR_HTTP_TRANSFER_H
#define FLWR_HTTP_TRANSFER_H

#include "common/http/http.h"
#include "common/http/libcurl.h"

#include <sys/queue.h>

/* A transfer, embedded in its owner. */
struct http_transfer {
	CURL *easy;      /* the owner's; CURLOPT_PRIVATE is ours */
	CURLcode doomed; /* it is about to end with this; CURLE_OK: it is not */
	struct http *http;
	LIST_ENTRY(http_transfer) link;
	/* ended() is called once, from the loop; the transfer is the owner's alone then. */
	void (*ended)(struct http_transfer *transfer, CURLcode code);
};

/* easy and ended are set. 0, -ENOMEM, -EIO; then ended does not come. */
int http_transfer_start(struct http *http, struct http_transfer *transfer);

/* ended comes soon, with code. Fine inside libcurl's callbacks. */
void http_transfer_end(struct http_transfer *transfer, CURLcode code);

struct loop *http_loop(struct http *http);

/* A client begins or ends to use http. */
void http_opened(struct http *http);
void http_closed(struct http *http);

#endif
