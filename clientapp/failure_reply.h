/*
 * failure_reply: answers a message with an error in the place of its worker, which has ended
 * without a reply. Main thread.
 */
#ifndef FLWR_CLIENTAPP_FAILURE_REPLY_H
#define FLWR_CLIENTAPP_FAILURE_REPLY_H

#include "common/base/log.h"
#include "common/rpc/credentials.h"
#include "common/rpc/rpc.h"

#include <stdbool.h>
#include <stdint.h>

struct http;
struct spelling;

struct failure_reply_options {
	const char *address;       /* of the worker API, as gRPC takes it */
	const struct rpc_tls *tls; /* copied; NULL: plain text */
	uint64_t token;
	const char *task_token;          /* of a message that is objects; NULL: it is inline */
	const struct spelling *spelling; /* of the calls about it; NULL: as conversation.h has it */
	struct http *http;               /* of a spelling that HTTP carries */
	int64_t code;                    /* Flower's error code */
	const char *reason;
	bool patient; /* try a SuperNode that cannot be reached for ever */
	void (*done)(void *arg);
	void *arg;
};

struct failure_reply;

/*
 * Send it. 0: done(arg) comes from the loop, once, when the reply was taken or cannot be; -errno:
 * it does not. Strings are copied.
 */
int failure_reply_new(struct loop *loop, struct rpc *rpc, struct log *log,
	const struct failure_reply_options *options, struct failure_reply **out);

/* No callback comes afterwards. NULL is fine. */
void failure_reply_free(struct failure_reply *reply);

#endif
