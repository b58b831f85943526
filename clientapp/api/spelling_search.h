/*
 * spelling_search: finds out how the SuperNode that has issued a token is spoken to: the token's
 * heartbeat, which changes nothing, is sent in one spelling after the other. Main thread; the
 * callback comes from the loop.
 */
#ifndef FLWR_API_SPELLING_SEARCH_H
#define FLWR_API_SPELLING_SEARCH_H

#include "clientapp/api/spelling.h"
#include "common/loop/loop.h"

struct spelling_search;

/* spelling NULL: no SuperNode was there in time; details say why. */
typedef void spelling_found_fn(void *arg, const struct spelling *spelling, const char *details);

struct spelling_search_options {
	struct rpc *rpc;
	struct http *http; /* NULL: only gRPC is spoken */
	struct log *log;
	const char *address;       /* copied */
	const struct rpc_tls *tls; /* borrowed; NULL: plain text */
	const char *task_token;    /* copied */
	int64_t retry_ms;          /* how long a SuperNode that cannot be reached is tried */
	spelling_found_fn *found;
	void *arg;
};

/* found() comes once. 0, -EINVAL (address), -ENOMEM. */
int spelling_search_new(struct loop *loop, const struct spelling_search_options *options,
	struct spelling_search **out);

/* No callback comes afterwards. NULL is fine. */
void spelling_search_free(struct spelling_search *search);

#endif
