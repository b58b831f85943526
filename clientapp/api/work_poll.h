/*
 * work_poll: asks a SuperNode for something to do until there is some, in all ways that there are:
 * GetToken (inline messages, Flower 1.15 - 1.18), and those of work_ways.h (messages that are
 * objects). Main thread; callbacks come from the loop.
 *
 * A SuperNode of this project keeps the questions until a message comes. Flower's own answers at
 * once: it is asked again after a tenth of the idle time, between 0.1 and 1 s. A way that it does
 * not know is not gone again before it has been away, nor a carrier that finds nobody.
 */
#ifndef FLWR_API_WORK_POLL_H
#define FLWR_API_WORK_POLL_H

#include "clientapp/api/spelling.h"
#include "common/message/launcher_auth.h"
#include "common/rpc/call.h"

struct work_poll;

/* A message to be done. Neither token: the poll was stopped, and none came. */
struct work {
	uint64_t token;                  /* of an inline message */
	const char *task_token;          /* of one that is objects; borrowed; NULL: it is inline */
	const struct spelling *spelling; /* of the calls about it; NULL: it is inline */
};

typedef void work_poll_fn(void *arg, const struct work *work);

struct work_poll_options {
	const char *address;              /* as gRPC takes it; copied */
	const struct rpc_tls *tls;        /* borrowed; NULL: plain text */
	struct http *http;                /* NULL: only gRPC is spoken */
	const struct launcher_auth *auth; /* borrowed; NULL: what is asked is not signed */
	work_poll_fn *got;
	/* there false: the channel that work_poll_channel() has given is freed after this call;
	 * true: the SuperNode is there again, with another one. May be NULL. */
	void (*channel)(void *arg, bool there);
	void *arg;
};

/*
 * 0, -EINVAL, -ENOMEM. A SuperNode that cannot be reached is tried for ever; its absence and its
 * return are logged, once each.
 */
int work_poll_new(struct loop *loop, struct rpc *rpc, struct log *log,
	const struct work_poll_options *options, struct work_poll **out);

/* Ask; got() comes once. Not while asking. */
void work_poll_ask(struct work_poll *poll);
/* While asking: ask no more. got() comes soon, with the token that was on its way, or none. */
void work_poll_stop(struct work_poll *poll);

/* The channel to the SuperNode, for other calls, until channel(); borrowed. NULL: it is no gRPC. */
struct rpc_channel *work_poll_channel(const struct work_poll *poll);

/* No callback comes afterwards. */
void work_poll_free(struct work_poll *poll);

#endif
