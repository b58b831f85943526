/*
 * held_lines: lines of output that wait for their turn in the log: a queue with a bound in bytes,
 * whose oldest lines go first. Main thread. Private to common/launch.
 */
#ifndef FLWR_LAUNCH_HELD_LINES_H
#define FLWR_LAUNCH_HELD_LINES_H

#include <stddef.h>
#include <stdint.h>

struct output;

struct held_line {
	struct held_line *next;
	const struct output *from;
	uint64_t number; /* of its process, from 1 */
	size_t len;
	char bytes[];
};

/* Zero-initialised but for max_bytes is empty. */
struct held_lines {
	struct held_line *first, **end;
	size_t bytes, max_bytes; /* with what a line costs beside its text */
};

/* Add a copy at the end; the oldest lines go when there is no room (or no memory: then the new one
 * does). */
void held_lines_add(struct held_lines *lines, const struct output *from, uint64_t number,
	const char *bytes, size_t len);

/* Take the first off; it is the caller's, to be free()d. There is one. */
struct held_line *held_lines_take(struct held_lines *lines);

#endif
