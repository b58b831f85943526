/*
 * app_process: how the process of an app is started: by flwr-app-start, which ties it to this
 * program, with the Python bridge in it and one end of a socketpair. Main thread. Private to
 * common/launch.
 */
#ifndef FLWR_LAUNCH_APP_PROCESS_H
#define FLWR_LAUNCH_APP_PROCESS_H

#include "common/launch/agent.h"

/* Deep copy. 0 or -ENOMEM. */
int agent_options_copy(const struct agent_options *from, struct agent_options *out);
void agent_options_done(struct agent_options *options);

/*
 * Start it. 0: *out as from process_start(), *fd_out is the caller's end of the socketpair
 * (SOCK_SEQPACKET, CLOEXEC). -errno: *failed_out is the end that it came to (PROCESS_NOT_STARTED);
 * its sentence names no path, the log's does.
 */
int app_process_start(struct process_set *set, struct log *log, const struct agent_options *options,
	const char *name, const struct process_ops *ops, void *arg, struct process **out,
	int *fd_out, struct process_end *failed_out);

/* The WARN line of an app that was at its end, its reply taken over, and was cut off. */
void app_process_tell_cut(
	struct log *log, const char *name, const char *why, const struct process_end *end);

#endif
