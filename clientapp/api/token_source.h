/*
 * token_source: asks a SuperNode for something to do until there is some, in both ways that there
 * are: GetToken (inline messages, Flower 1.15 - 1.18), PullPendingTasks and ClaimTask (messages
 * that are objects, gRPC service Runtime of 1.34). Main thread; callbacks come from the loop.
 *
 * A SuperNode of this project keeps the questions until a message comes. Flower's own answers at
 * once: it is asked again after a tenth of the idle time, between 0.1 and 1 s. A way that it does
 * not know is not gone again before it has been away.
 */
#ifndef FLWR_API_TOKEN_SOURCE_H
#define FLWR_API_TOKEN_SOURCE_H

#include "common/base/log.h"
#include "common/message/launcher_auth.h"
#include "common/rpc/channel.h"

struct token_source;

/* task_token (borrowed): of a task; else NULL, and token is all. Neither (0, NULL): it was stopped,
 * and none came. */
typedef void token_source_fn(void *arg, uint64_t token, const char *task_token);

/*
 * address as gRPC takes it. 0, -EINVAL, -ENOMEM. A SuperNode that cannot be reached is tried for
 * ever; its absence and its return are logged, once each.
 */
int token_source_new(struct loop *loop, struct rpc *rpc, struct log *log, const char *address,
	token_source_fn *got, void *arg, struct token_source **out);

/* Sign what is asked from now on. auth is borrowed; NULL: do not. */
void token_source_sign(struct token_source *source, const struct launcher_auth *auth);

/* Ask; got() comes once. Not while asking. */
void token_source_ask(struct token_source *source);
/* While asking: ask no more. got() comes soon, with the token that was on its way, or none. */
void token_source_stop(struct token_source *source);

/* To the SuperNode, for other calls; borrowed. */
struct rpc_channel *token_source_channel(const struct token_source *source);

/* No callback comes afterwards. */
void token_source_free(struct token_source *source);

#endif
