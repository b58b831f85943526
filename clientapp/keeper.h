/*
 * keeper: in place of handling a message, have another worker program do it (--clientapp-command),
 * with what our own worker has from its agent: a session and process group of its own, an end with
 * its agent's, its output in the log. Main thread. Knows nothing about the worker API.
 */
#ifndef FLWR_CLIENTAPP_KEEPER_H
#define FLWR_CLIENTAPP_KEEPER_H

#include "common/base/log.h"
#include "common/launch/control.h"
#include "common/loop/loop.h"

struct keeper;

/*
 * Start it; the loop is stopped when it has ended. control (the agent's socket) is borrowed.
 * core_limit: its soft limit of core files, in bytes; NULL: ours. 0; -errno with a sentence.
 */
int keeper_new(struct loop *loop, struct log *log, int control, const struct control_start *start,
	const char *core_limit, struct keeper **out, struct reason *why);

/* End it: TERM, then KILL. */
void keeper_stop(struct keeper *keeper);

/* Kills what is left. NULL is fine. */
void keeper_free(struct keeper *keeper);

/* How the program ended; the keeper should end in the same way: keeper_end_as(). */
struct process_end keeper_end(const struct keeper *keeper);

/* Exit with its status, or die by its signal, so that the agent sees what there was to see. */
void keeper_end_as(const struct process_end *end) __attribute__((noreturn));

#endif
