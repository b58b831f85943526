/*
 * attendance: keeps a call open about a message, by its token (Attend, of this project's
 * SuperNode): so that one knows when it is over, and that the SuperNode sees us come back when the
 * connection was lost. Flower's SuperNode does not know the call: then nothing more happens. Main
 * thread; callbacks come from the loop.
 */
#ifndef FLWR_API_ATTENDANCE_H
#define FLWR_API_ATTENDANCE_H

#include "common/base/log.h"
#include "common/rpc/call.h"

struct attendance;

/* The token is of no use any more, and not by its outputs: the message was answered otherwise or is
 * offered again, or the SuperNode was started anew. */
typedef void attendance_unwanted_fn(void *arg);

struct attendance_options {
	struct rpc_channel *channel; /* borrowed, for as long as the attendance is there */
	uint64_t token;              /* of the message */
	const char *task_token;      /* in its place, if it is not NULL; copied */
	attendance_unwanted_fn *unwanted;
	void *arg;
};

/* Attend a message from now on. The log tells once that a SuperNode cannot be reached. NULL on no
 * memory. unwanted() may free the attendance. */
struct attendance *attendance_new(
	struct loop *loop, struct log *log, const struct attendance_options *options);

/* Attend it no more. No callback comes afterwards. NULL is fine. */
void attendance_free(struct attendance *attendance);

#endif
