/*
 * end: the one place that turns the end of a process into what a person, a SuperLink and who waits
 * for this program are told.
 * Any thread.
 */
#ifndef FLWR_LAUNCH_END_H
#define FLWR_LAUNCH_END_H

#include "common/base/text.h"
#include "common/launch/process.h"

enum end_role { END_WORKER, END_APP };

/*
 * Flower's error code (common/message/envelope.h) of an end without a reply, and the sentence for
 * the error reply, appended to reason: which role, exit status or signal by name, out of memory
 * where known, "never started to work" where never_ready; then, when with_stderr and there is any,
 * the last lines of stderr. 8 for ends of a process, 1 for one that could not be started.
 */
int end_error(
	enum end_role role, const struct process_end *end, bool with_stderr, struct text *reason);

/* Write a line for the log: "killed by signal 9 (SIGKILL)", "exited with status 3". */
void end_describe(const struct process_end *end, char *text, size_t bytes);

/* End this program as another has ended, by status or signal: who waits for it sees what there was
 * to see. Its signals may be blocked. */
void end_as(const struct process_end *end) __attribute__((noreturn));

#endif
