/*
 * rig: a loop, a log that can be read back, and waiting with an end, for tests of common/launch.
 */
#ifndef FLWR_TEST_LAUNCH_RIG_H
#define FLWR_TEST_LAUNCH_RIG_H

#include "common/base/clock.h"
#include "common/launch/agent.h"
#include "kit/log.h"
#include "kit/loop.h"

#define RIG_WAIT_MS 20000 /* nothing takes that long, on the slowest machine */
#define RIG_LONG_MS 900   /* what waits longer waits for what may never happen */

struct rig {
	struct loop *loop;
	struct kit_log lines;
	struct log *log; /* of lines, as log_fd is */
	int log_fd;
	struct launch_options launch; /* of agent_of() */
	struct launch_paths paths;    /* host: for the test to set, when it needs one */
};

int rig_setup(void **state);
int rig_teardown(void **state);

/* Everything logged until now. */
const char *rig_log(struct rig *rig);

/* Run the loop until *flag, or until the log contains text; a test that waits too long fails. */
void rig_until(struct rig *rig, const bool *flag);
void rig_until_log(struct rig *rig, const char *text);

/* How often text is in the log. */
unsigned rig_log_count(struct rig *rig, const char *text);

/* The numbers that follow text in the log, at most max; how many there are. */
size_t rig_log_numbers(struct rig *rig, const char *text, int *out, size_t max);

/* An agent of this rig, whose worker, python and bridge are these. */
struct agent *agent_of(struct rig *rig, const char *worker, const char *python, const char *script);

/*
 * Do timers that are set more than RIG_LONG_MS ahead become due? Each test begins with true. While
 * it is false, what happens does not happen because of a time-out.
 */
extern bool rig_long_waits;

/* The clock is so far ahead; timers are not. Each test begins with 0. */
extern int64_t rig_ahead_ms;

/* Make the last timer that was held back due now; how long it would have waited, in ms. */
int64_t rig_wait_over(void);
/* The last of those that would have waited for so long. */
int64_t rig_wait_over_within(int64_t least_ms, int64_t most_ms);

/* How many of those that are held back would have waited for so long. */
size_t rig_held_within(int64_t least_ms, int64_t most_ms);

/* A file with this script in it, for the caller to unlink. */
void script_new(char path[64], const char *text);

/* The events that process_ops and worker_ops have told. */
struct seen {
	bool ended;
	bool gone;
	int64_t ended_ms;
	int64_t gone_ms;
	struct process_end end;
};

extern const struct process_ops seen_ops;
extern const struct worker_process_ops worker_seen_ops;

/* Start the worker of a message, which does what launch_helper says of its token. seen, which
 * begins empty, is told what becomes of it. */
struct worker_process *worker_begin(
	struct agent *agent, const char *name, uint64_t behaviour, struct seen *seen);

/* Is there a process (a zombie is one) with this number? */
bool pid_exists(int pid);
/* Does it wait for something? */
bool pid_sleeps(int pid);

/* Wait (not by the loop) until pid, a child or not, has ended; a test that waits too long fails. */
void pidfd_until_end(int pidfd);

#endif
