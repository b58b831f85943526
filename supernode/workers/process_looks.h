/*
 * process_looks: the searches for the processes of connections' peers, on the io thread. Main
 * thread. Knows no server.
 */
#ifndef FLWR_WORKERS_PROCESS_LOOKS_H
#define FLWR_WORKERS_PROCESS_LOOKS_H

#include "common/loop/loop.h"
#include "common/service/service.h"
#include "supernode/workers/held_tokens.h"

struct process_looks;

/* The search for the process of peer has ended: process (the callee's) is a pidfd of it, -1 when it
 * was not found. held: what process_looks_keep() was given; else empty. */
typedef void process_looked_fn(
	void *arg, const struct peer *peer, int process, const struct held_tokens *held);

/* NULL on no memory. */
struct process_looks *process_looks_new(struct loop *loop, process_looked_fn *looked, void *arg);
/* Waits for the searches that are out (the loop runs). NULL is fine. */
void process_looks_free(struct process_looks *looks);

/* Search for the process at the other end of fd, which is borrowed. said: the peer's words about
 * itself, or NULL. Without memory nothing is searched for. */
void process_looks_begin(
	struct process_looks *looks, const struct peer *peer, int fd, const char *said);
/* The connection of peer has ended. Is its process being searched for? Then held is taken over.
 * looks NULL: it is not. */
bool process_looks_keep(
	struct process_looks *looks, const struct peer *peer, struct held_tokens *held);

#endif
