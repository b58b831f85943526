/*
 * absence: tokens whose worker has lost its connection: it may come back, within a time. Main
 * thread. For workers that came by themselves; of those that an agent has started the agent knows.
 */
#ifndef FLWR_WORKERS_ABSENCE_H
#define FLWR_WORKERS_ABSENCE_H

#include "common/loop/loop.h"

#include <stdbool.h>

struct absence;

struct absence_ops {
	/* The worker that was given token will not come back: its process has ended, or its time is
	 * over. reason is a sentence, borrowed. */
	void (*lost)(void *arg, uint64_t token, const char *reason);
	/* May one that is away be on its way back? Asked when its time is over, which it then gets
	 * once more (at least a second). */
	bool (*returning)(void *arg);
};

/* back_ms: how long a worker may be away. NULL on no memory. */
struct absence *absence_new(
	struct loop *loop, int64_t back_ms, const struct absence_ops *ops, void *arg);
void absence_free(struct absence *absence);

/* The last connection of token's worker has ended; process (taken over) is a pidfd of it, -1 when
 * unknown: its end is not waited out. for_good: not within back_ms, it may stay away. */
void absence_begin(struct absence *absence, uint64_t token, int process, bool for_good);
/* The process of token's worker has become known: a pidfd, taken over. The worker need not be away.
 */
void absence_found(struct absence *absence, uint64_t token, int process);
/* Is it away, and may stay so? */
bool absence_is_for_good(const struct absence *absence, uint64_t token);
/* The worker of token is back. false: it was not away. */
bool absence_end(struct absence *absence, uint64_t token);
/* Forget those for whom live() is false. */
void absence_sweep(struct absence *absence, bool (*live)(void *arg, uint64_t token), void *arg);

#endif
