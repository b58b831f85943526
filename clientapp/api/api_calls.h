/*
 * api_calls: the calls of a worker to its SuperNode, made again while that cannot be reached. Main
 * thread; callbacks come from the loop. Knows no method.
 */
#ifndef FLWR_API_API_CALLS_H
#define FLWR_API_API_CALLS_H

#include "clientapp/api/carrier.h"
#include "common/loop/loop.h"

/* A SuperNode that has no memory for its answer is asked again for so long. */
#define API_CALLS_FULL_MS 30000

struct api_calls;

struct api_calls_options {
	enum carrier_kind carrier;
	struct http *http;         /* of CARRIER_HTTP */
	const char *address;       /* as gRPC takes it */
	const struct rpc_tls *tls; /* copied; NULL: plain text */
	const char *task_token;    /* shown in each call; NULL: none */
	const char *token_header;  /* that shows it; static */
	int64_t retry_ms; /* how long a SuperNode that cannot be reached is tried in each call;
			     CLOCK_NEVER: for ever */
};

/* 0, -EINVAL, -ENOMEM. Strings are copied. */
int api_calls_new(struct loop *loop, struct rpc *rpc, struct log *log,
	const struct api_calls_options *options, struct api_calls **out);

struct api_call {
	const char *path;   /* as gRPC has it; static */
	const char *what;   /* static: what passes, "the inputs": its progress is told; NULL: it is
			       not */
	bool again_if_full; /* also when the SuperNode has no memory: it is a few bytes to ask */
	int64_t timeout_ms; /* 0: none; else it is made once only */
};

/*
 * body is taken over (empty afterwards, on failure too), by reference. done as of
 * carrier_call(), but its details are quoted: fit for the log. 0; -ENOMEM: done does not come.
 */
int api_calls_start(struct api_calls *calls, const struct api_call *call, struct slices *body,
	carrier_done_fn *done, void *arg);

/* No callback comes afterwards. NULL is fine. */
void api_calls_free(struct api_calls *calls);

#endif
