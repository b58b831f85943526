/*
 * launcher: flwr-clientapp that runs by itself: asks a SuperNode for messages, the next one when
 * fewer than --max-workers are at work, or has one message by its token; is the agent of the worker
 * of each, and answers for one that ended without a reply. Main thread.
 */
#ifndef FLWR_CLIENTAPP_LAUNCHER_H
#define FLWR_CLIENTAPP_LAUNCHER_H

#include "clientapp/options.h"
#include "common/launch/app_bounds.h"
#include "common/rpc/credentials.h"
#include "common/rpc/rpc.h"

struct dependencies;
struct http;
struct launcher_auth;

/* All is borrowed, for as long as the launcher is there. */
struct launcher_options {
	const struct clientapp_options *given;
	const char *flwr_home; /* where apps are installed */
	const struct app_bounds *bounds;
	struct sandbox *sandbox; /* what apps can reach */
	const struct dependencies *dependencies;
	struct http *http;
	const struct launcher_auth *auth; /* NULL: questions are not signed */
	const struct rpc_tls *tls;        /* NULL: plain text */
};

struct launcher;

/* 0 or -errno. */
int launcher_new(struct loop *loop, struct rpc *rpc, struct log *log,
	const struct launcher_options *options, struct launcher **out);

/* Ask and work until it is stopped, or one message is done (--run-once, --token); then the loop is
 * stopped. */
void launcher_start(struct launcher *launcher);

/* Ask no more; each message at work gets its grace (that of a token: none), then an error reply;
 * then the loop is stopped. The second time: now. */
void launcher_stop(struct launcher *launcher);

/* Stop as launcher_stop() does, but without any grace. The caller stops the loop when that takes
 * too long. */
void launcher_cut_short(struct launcher *launcher);

/* Was the message that was given last answered by its worker? */
bool launcher_succeeded(const struct launcher *launcher);

/* Kills what is left. Not from a callback of the loop. NULL is fine. */
void launcher_free(struct launcher *launcher);

#endif
