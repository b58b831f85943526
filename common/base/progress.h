/*
 * progress: tells of a call that takes long how far it is: on a terminal by a line that is renewed
 * each second, else by a log line every 10 s. Main thread; knows no transport.
 */
#ifndef FLWR_BASE_PROGRESS_H
#define FLWR_BASE_PROGRESS_H

#include "common/base/log.h"

#include <stdbool.h>
#include <stdint.h>

#define PROGRESS_TICK_MS 1000
#define PROGRESS_LINE_MS 10000
#define PROGRESS_BYTES   (1 << 20) /* below this there is nothing to tell */

/* The progress of one call. Embedded by value. */
struct progress {
	const char *what; /* "a reply"; NULL: nobody wants to know. Static */
	uint64_t total;   /* bytes that are sent; below PROGRESS_BYTES: what comes is told */
	int64_t said_ms;
	uint64_t base, said; /* of the counts */
	bool based;
};

/* The call starts, with so many bytes to send. */
void progress_begin(struct progress *progress, const char *what, uint64_t send_bytes);

/*
 * Tell the progress if it is time, at most once a second. sent and received are counts of bytes
 * that may have begun before the call: the first pair is where the telling starts.
 */
void progress_count(struct progress *progress, struct log *log, uint64_t sent, uint64_t received);

#endif
