/*
 * absence: messages whose worker has lost its connection: it may come back, within a time. Main
 * thread. For workers that came by themselves; of those that an agent has started the agent knows.
 */
#ifndef FLWR_APPIO_ABSENCE_H
#define FLWR_APPIO_ABSENCE_H

#include "common/loop/loop.h"

#include <stdbool.h>

struct absence;

/* The worker of message will not come back, since its process has ended, or (late) it has not
 * within its time; reason is a sentence, borrowed. */
typedef void absence_lost_fn(void *arg, uint64_t message, bool late, const char *reason);

/* back_ms: how long a worker may be away. NULL on no memory. */
struct absence *absence_new(struct loop *loop, int64_t back_ms, absence_lost_fn *lost, void *arg);
void absence_free(struct absence *absence);

/* The last connection of message's worker has ended; process (taken over) is a pidfd of it, -1 when
 * unknown: its end is not waited out. */
void absence_begin(struct absence *absence, uint64_t message, int process);
/* It is back. Fine also when it was not away. */
void absence_end(struct absence *absence, uint64_t message);

#endif
