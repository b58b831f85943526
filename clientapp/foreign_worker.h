/*
 * foreign_worker: in place of handling a message, have another worker program do it
 * (--clientapp-command), with what our own worker has from its agent: a session and process group
 * of its own, an end with its agent's, its output in the log. Main thread. Knows nothing about the
 * worker API.
 */
#ifndef FLWR_CLIENTAPP_FOREIGN_WORKER_H
#define FLWR_CLIENTAPP_FOREIGN_WORKER_H

#include "common/base/log.h"
#include "common/launch/control.h"
#include "common/loop/loop.h"

struct foreign_worker;

struct foreign_worker_options {
	int control;                       /* the agent's socket; borrowed */
	const struct control_start *start; /* what the agent has said */
	const char *core_limit; /* soft limit of core files of the program, in bytes; NULL: ours */
};

/* Start it; the loop is stopped when it has ended. 0; -errno with a sentence. */
int foreign_worker_new(struct loop *loop, struct log *log,
	const struct foreign_worker_options *options, struct foreign_worker **out,
	struct reason *why);

/* End it: TERM, then KILL. */
void foreign_worker_stop(struct foreign_worker *worker);

/* Kills what is left. NULL is fine. */
void foreign_worker_free(struct foreign_worker *worker);

/* How the program ended; flwr-clientapp should end in the same way: end_as(). */
struct process_end foreign_worker_end(const struct foreign_worker *worker);

#endif
