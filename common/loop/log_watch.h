/*
 * log_watch: lets a log keep what its descriptor does not take at once, and writes it later. Main
 * thread, which must be the one that logs.
 */
#ifndef FLWR_LOOP_LOG_WATCH_H
#define FLWR_LOOP_LOG_WATCH_H

#include "common/base/log.h"
#include "common/loop/loop.h"

#define LOG_KEEP_BYTES (2 << 20) /* of a program's log */

struct log_watch;

/* Loop and log are borrowed, and must outlive the watch. NULL on no memory: the log drops lines
 * then, as it did. */
struct log_watch *log_watch_new(struct loop *loop, struct log *log);
/* The log keeps nothing more. NULL is fine. */
void log_watch_free(struct log_watch *log_watch);

#endif
