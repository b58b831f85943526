/*
 * app_process: how the process of an app is started: forked by the zygote, or plainly by
 * flwr-app-start, which in both cases ties it to this program, with the Python bridge or the native
 * host in it and one end of a socketpair. Main thread. Private to common/launch.
 */
#ifndef FLWR_LAUNCH_APP_PROCESS_H
#define FLWR_LAUNCH_APP_PROCESS_H

#include "common/launch/agent.h"
#include "common/launch/sandbox.h"

/* Result of a start. */
struct app_process {
	struct process *process; /* as from process_start() */
	int fd;                  /* the caller's end of the socketpair (SOCK_SEQPACKET, CLOEXEC) */
	bool native;             /* flwr-native-host runs in it */
	struct process_end failed; /* PROCESS_NOT_STARTED; its sentence names no path, the log's
				      does */
};

struct app_process_spec {
	const char *name;                /* for log lines */
	const struct control_app *app;   /* what will run in it, if that is known */
	const struct app_limits *limits; /* NULL: none */
	const char *setting;             /* "NAME=VALUE" of the environment; NULL: none */
	const struct process_ops *ops;
	void *arg; /* of ops and later */
	/* After APP_PROCESS_LATER, once, from the loop; r and app are as of app_process_start(). */
	void (*later)(void *arg, struct app_process *app, int r);
};

enum { APP_PROCESS_LATER = 1 };

/* Start one in the agent's set. 0: process, fd and native are set; -errno: failed is.
 * APP_PROCESS_LATER: the zygote forks it, and later() will be called. */
int app_process_start(
	struct agent *agent, const struct app_process_spec *wanted, struct app_process *out);

/* The zygote could not: start it plainly with that interpreter in that cage, and tell later(). */
void app_process_start_later(struct agent *agent, const struct app_process_spec *wanted,
	const char *python, const struct sandbox_cage *cage);

/*
 * Start one plainly, without limits, that waits for its task: wanted->app is what may come. 0: out
 * and cage_out, in which it is, are the caller's; -errno with a sentence.
 */
int app_process_start_ahead(struct agent *agent, const struct app_process_spec *wanted,
	const char *python, struct sandbox_cage *cage_out, struct app_process *out,
	struct reason *why);

/* The WARN line of an app that was at its end, its reply taken over, and was cut off. */
void app_process_tell_cut(
	struct log *log, const char *name, const char *why, const struct process_end *end);

#endif
