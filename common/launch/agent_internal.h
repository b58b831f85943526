/*
 * agent_internal: what agent.c, spare.c, worker_process.c and the zygote's files share. Private to
 * common/launch.
 */
#ifndef FLWR_LAUNCH_AGENT_INTERNAL_H
#define FLWR_LAUNCH_AGENT_INTERNAL_H

#include "common/launch/agent.h"

#include <sys/queue.h>

struct agent {
	struct loop *loop;
	struct log *log;
	const struct launch_options *options;
	const struct app_bounds *bounds;         /* may be NULL */
	const struct dependencies *dependencies; /* may be NULL */
	struct sandbox *sandbox;                 /* may be NULL */
	const struct launch_paths *paths;
	struct launch_paths installed; /* paths, when none were given */
	struct process_set *set;
	LIST_HEAD(, worker_process) workers; /* linked by worker_process.c */
	/* The spare worker, by spare.c. */
	int64_t warm_idle_ms;         /* 0: there is none, or there will be none any more */
	struct timer *spare_idle;     /* ends it */
	struct worker_process *spare; /* NULL: there is none now */
	struct timer *sweep;          /* removes what runs have left */
	unsigned spares;              /* processes without a message, not yet gone */
	int64_t message_end_ms;       /* when the worker of a message ended last */
	struct fork_server *fork_server;
	/* What forks apps of Python, by zygote.c, and its forks, by zygote_child.c. */
	struct zygote *zygote; /* NULL: each starts a Python of its own */
	LIST_HEAD(, zygote_child) zygote_children;
	struct zygote_runs *runs;      /* those of runs; NULL as zygote */
	struct spare_apps *spare_apps; /* where it can fork none; NULL as zygote */
	bool names_apps; /* some app has flwr_preload(): a worker has to say which it is for */
};

/* Have fn called when memory is short for this program and its apps: memory_pressure_new(). */
struct memory_pressure *agent_watch_memory(
	const struct agent *agent, void (*fn)(void *arg), void *arg);

/* Free it, whatever state it is in; its processes are not touched. */
void worker_process_free(struct worker_process *worker);

/* ---- a worker without a message ---- */

/* Start one. 0; -errno with a sentence. It is freed when it is gone. */
int worker_process_prepare(struct agent *agent, struct worker_process **out, struct reason *why);
/* Give it its message, from where on it is as any other. 0; -errno: it cannot be used. */
int worker_process_begin(struct worker_process *worker, const struct worker_process_spec *spec);
/* Kill it: it holds nothing. */
void worker_process_drop(struct worker_process *worker);

/* ---- spare.c ---- */

/* No message has come for a while: agent->spare_idle calls it, from the loop. */
void spare_idle(void *arg);
/* The worker of a message has ended: have a spare one, and a zygote, for the next message. */
void spare_message_ended(struct agent *agent);
/* The app of a message has been started: its worker needs the agent no more until it ends. */
void spare_app_started(struct agent *agent);
/* Give the message to the spare worker. false: there is none that could take it. */
bool spare_use(
	struct agent *agent, const struct worker_process_spec *spec, struct worker_process **out);
/* A worker without a message has ended. */
void spare_ended(
	struct agent *agent, const struct worker_process *worker, const struct process_end *end);

#endif
