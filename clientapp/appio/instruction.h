/*
 * instruction: the worker's end of dialect 1 (service ClientAppIo of Flower 1.15 - 1.18): shows a
 * token, takes one instruction, gives back one reply. Main thread; callbacks come from the loop.
 * Knows nothing about apps.
 */
#ifndef FLWR_CLIENTAPP_APPIO_INSTRUCTION_H
#define FLWR_CLIENTAPP_APPIO_INSTRUCTION_H

#include "common/base/log.h"
#include "common/message/instruction_codec.h"
#include "common/rpc/channel.h"

/* A SuperNode that has no memory for the inputs is asked again for so long. */
#define INSTRUCTION_RETRY_MS 30000

struct instruction;

/*
 * inputs may be taken over with OUTCOME_OK; otherwise details says why: a sentence for the log.
 */
typedef void instruction_pulled_fn(
	void *arg, enum outcome outcome, struct instruction_inputs *inputs, const char *details);
typedef void instruction_pushed_fn(void *arg, enum outcome outcome, const char *details);

/* address as gRPC takes it. A SuperNode that cannot be reached is tried for retry_ms (CLOCK_NEVER:
 * for ever) in each call. 0, -EINVAL, -ENOMEM. */
int instruction_new(struct loop *loop, struct rpc *rpc, struct log *log, const char *address,
	uint64_t token, int64_t retry_ms, struct instruction **out);

/* Both are retried while the SuperNode cannot be reached. 0; -ENOMEM: no callback. One call at a
 * time. */
int instruction_pull(struct instruction *instruction, instruction_pulled_fn *done, void *arg);
/* outputs' parts are borrowed until done; its token is set here. */
int instruction_push(struct instruction *instruction, struct instruction_outputs *outputs,
	instruction_pushed_fn *done, void *arg);

/* No callback comes afterwards. */
void instruction_free(struct instruction *instruction);

#endif
