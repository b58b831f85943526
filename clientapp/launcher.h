/*
 * launcher: flwr-clientapp that runs by itself: asks a SuperNode for messages, one after the other,
 * is the agent of the worker of each, and answers for one that ended without a reply. Main thread.
 */
#ifndef FLWR_CLIENTAPP_LAUNCHER_H
#define FLWR_CLIENTAPP_LAUNCHER_H

#include "common/base/log.h"
#include "common/launch/app_bounds.h"
#include "common/rpc/rpc.h"

#include <stdbool.h>
#include <stdint.h>

struct launcher_auth;

struct launcher_options {
	const char *address;              /* of the worker API, as gRPC takes it */
	const char *flwr_home;            /* where apps are installed */
	const char *python;               /* NULL: found by the agent */
	const struct app_bounds *bounds;  /* borrowed, for as long as the launcher is there */
	const struct launcher_auth *auth; /* borrowed; NULL: questions are not signed */
	int64_t grace_ms;                 /* for the message at work when stopped */
	int64_t exit_grace_ms;            /* as in agent_options */
	enum log_level log_level;
	bool passes_output;     /* what apps print goes to our stdout and stderr */
	bool signed_apps;       /* refuse an installed app that is not as its FAB */
	bool stderr_in_replies; /* may error replies quote the stderr of an app? */
	bool run_once;          /* end after one message */
};

struct launcher;

/* 0 or -errno. Everything in options is copied. */
int launcher_new(struct loop *loop, struct rpc *rpc, struct log *log,
	const struct launcher_options *options, struct launcher **out);

/* Ask and work until it is stopped, or one message is done (run_once); then the loop is stopped. */
void launcher_start(struct launcher *launcher);

/* Ask no more; the message at work gets its grace, then an error reply; then the loop is stopped.
 * The second time: now. */
void launcher_stop(struct launcher *launcher);

/* run_once: was the message answered by its worker? */
bool launcher_succeeded(const struct launcher *launcher);

/* Kills what is left. Not from a callback of the loop. NULL is fine. */
void launcher_free(struct launcher *launcher);

#endif
