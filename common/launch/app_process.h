/*
 * app_process: how the process of an app is started: by flwr-app-start, which ties it to this
 * program, with the Python bridge in it and one end of a socketpair. Main thread. Private to
 * common/launch.
 */
#ifndef FLWR_LAUNCH_APP_PROCESS_H
#define FLWR_LAUNCH_APP_PROCESS_H

#include "common/launch/agent.h"

/* Result of a start. */
struct app_process {
	struct process *process; /* as from process_start() */
	int fd;                  /* the caller's end of the socketpair (SOCK_SEQPACKET, CLOEXEC) */
	struct process_end failed; /* PROCESS_NOT_STARTED; its sentence names no path, the log's
				      does */
};

/* Start one in the agent's set. 0: process and fd are set; -errno: failed is. */
int app_process_start(struct agent *agent, const char *name, const struct process_ops *ops,
	void *arg, struct app_process *out);

/* The WARN line of an app that was at its end, its reply taken over, and was cut off. */
void app_process_tell_cut(
	struct log *log, const char *name, const char *why, const struct process_end *end);

#endif
