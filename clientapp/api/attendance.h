/*
 * attendance: keeps a call open about the message of a token (Attend, of this project's SuperNode):
 * so that one knows when it is over, and that the SuperNode sees us come back when the connection
 * was lost. Flower's SuperNode does not know the call: then nothing more happens. Main thread;
 * callbacks come from the loop.
 */
#ifndef FLWR_API_ATTENDANCE_H
#define FLWR_API_ATTENDANCE_H

#include "common/base/log.h"
#include "common/rpc/call.h"

struct attendance;

/* The token is of no use any more, and not by its outputs: the message was answered otherwise or is
 * offered again, or the SuperNode was started anew. */
typedef void attendance_unwanted_fn(void *arg);

/* channel is borrowed and outlives it. A SuperNode that cannot be reached is told in the log, once
 * a message. NULL on no memory. */
struct attendance *attendance_new(struct loop *loop, struct log *log, struct rpc_channel *channel,
	attendance_unwanted_fn *unwanted, void *arg);

/* Attend the message of this token (or of task_token, copied, if it is not NULL) from now on. A
 * call about another message ends first. 0; -ENOMEM: nothing is attended. */
int attendance_begin(struct attendance *attendance, uint64_t token, const char *task_token);
void attendance_end(struct attendance *attendance);

/* No callback comes afterwards. NULL is fine. */
void attendance_free(struct attendance *attendance);

#endif
