/*
 * work_poll: asks a SuperNode for something to do until there is some, in both ways that there
 * are: GetToken (inline messages, Flower 1.15 - 1.18), PullPendingTasks and ClaimTask (messages
 * that are objects, gRPC service Runtime of 1.34). Main thread; callbacks come from the loop.
 *
 * A SuperNode of this project keeps the questions until a message comes. Flower's own answers at
 * once: it is asked again after a tenth of the idle time, between 0.1 and 1 s. A way that it does
 * not know is not gone again before it has been away.
 */
#ifndef FLWR_API_WORK_POLL_H
#define FLWR_API_WORK_POLL_H

#include "common/base/log.h"
#include "common/message/launcher_auth.h"
#include "common/rpc/call.h"

struct work_poll;

/* task_token (borrowed): of a task; else NULL, and token is all. Neither (0, NULL): it was stopped,
 * and none came. */
typedef void work_poll_fn(void *arg, uint64_t token, const char *task_token);

struct work_poll_options {
	const char *address;              /* as gRPC takes it; copied */
	const struct rpc_tls *tls;        /* copied; NULL: plain text */
	const struct launcher_auth *auth; /* borrowed; NULL: what is asked is not signed */
	work_poll_fn *got;
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

/* The channel to the SuperNode, for other calls; borrowed. */
struct rpc_channel *work_poll_channel(const struct work_poll *poll);

/* No callback comes afterwards. */
void work_poll_free(struct work_poll *poll);

#endif
