/*
 * child: a Python script as a child process, at both ends of whose standard streams the test is: a
 * judge that asks Flower's own functions, or a stand-in for a peer. Main thread. Whatever fails
 * fails the test.
 */
#ifndef FLWR_KIT_CHILD_H
#define FLWR_KIT_CHILD_H

#include "kit/test.h"

#include <sys/types.h>

struct kit_child {
	pid_t pid;
	FILE *from;  /* what it writes */
	FILE *to;    /* what it reads; NULL after kit_child_close() */
	char *line;  /* what kit_child_line() returned last */
	size_t room; /* of line */
};

/* The Pythons with Flower's oldest and newest release. */
enum kit_python { KIT_OLDEST, KIT_NEWEST, KIT_PYTHON_N };

/* Path of that Python. A test without the oldest fails, one without the newest is skipped. */
const char *kit_python(enum kit_python which);

/* Start the script (its path) with the arguments, which end in NULL; and in any Python. */
#define kit_child_start(child, which, ...)                                                         \
	kit_child_start_with(child, kit_python(which), (const char *const[]){__VA_ARGS__, NULL})
void kit_child_start_with(
	struct kit_child *child, const char *python, const char *const *script_and_arguments);

/* The next line without its end, borrowed until the next call; NULL at the end. */
char *kit_child_line(struct kit_child *child);

/* The next line must be this one. */
void kit_child_expect(struct kit_child *child, const char *line);

/* The next line must be "name value"; value, borrowed in the same way. */
char *kit_child_value(struct kit_child *child, const char *name);

/* The same, copied to a buffer of so many bytes. */
void kit_child_copy_value(struct kit_child *child, const char *name, char *value, size_t bytes);

/* Write bytes to the child, as hex. */
void kit_child_put_hex(struct kit_child *child, const void *data, size_t len);

/* End the child's input; stand-ins end then. */
void kit_child_close(struct kit_child *child);

/* Kill the child, if it was started and not ended: for teardowns. */
void kit_child_kill(struct kit_child *child);

/* End the child's input, print what is left of its output, and wait for its end, which must be with
 * status 0. */
void kit_child_end(struct kit_child *child);

#endif
