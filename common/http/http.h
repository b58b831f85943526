/*
 * http: libcurl's life on one loop: its timers and its sockets. Main thread. No type of libcurl
 * appears in the headers that others include (transfer.h, libcurl.h and body.h are this folder's
 * own).
 *
 * There is one pool of connections for all calls: a call takes an idle connection or opens one, so
 * none ever waits for another.
 */
#ifndef FLWR_HTTP_HTTP_H
#define FLWR_HTTP_HTTP_H

#include "common/base/reason.h"
#include "common/loop/loop.h"

struct http;

/*
 * 0, -ENOMEM, -EIO (libcurl cannot be used), -ELIBACC (it cannot be loaded: why). The caller owns
 * *out; loop must outlive it. SIGPIPE must be blocked or ignored.
 */
int http_new(struct loop *loop, struct http **out, struct reason *why);

/*
 * Free http after all its clients; calls that they have left end inside (cancelled). Not from a
 * callback of a call. NULL is fine.
 */
void http_free(struct http *http);

#endif
