/*
 * agent: starts, watches, stops and reaps the processes of messages: for each message a worker and,
 * when that asks for it, an app process. Main thread. Knows nothing about the worker API.
 */
#ifndef FLWR_LAUNCH_AGENT_H
#define FLWR_LAUNCH_AGENT_H

#include "common/launch/app_bounds.h"
#include "common/launch/control.h"
#include "common/launch/launch_paths.h"
#include "common/launch/process.h"

struct agent;
struct dependencies;
struct sandbox;
struct worker_process;

/* All is borrowed, for as long as the agent is there. */
struct agent_options {
	const struct launch_options *launch;
	const struct app_bounds *bounds;         /* NULL: an app has what we have */
	const struct dependencies *dependencies; /* NULL: none are installed */
	struct sandbox *sandbox;                 /* NULL: apps have no cage */
	const struct launch_paths *paths;        /* NULL: where they are installed */
	int64_t warm_idle_ms; /* a spare worker is kept for so long after a message; 0: there is
				 none */
	bool warm_python;     /* while there is a spare worker a zygote forks the apps of Python */
};

/* 0 or -errno. */
int agent_new(struct loop *loop, struct log *log, const struct agent_options *options,
	struct agent **out);
/* Kills what is left, at once; no event comes. Not from inside a callback. */
void agent_free(struct agent *agent);

/* For other children of this program: there is one set. Borrowed. */
struct process_set *agent_processes(struct agent *agent);

/* Processes that are not yet gone; those without a message, as a spare worker, do not count. */
unsigned agent_count(const struct agent *agent);

/* At the start: is there the interpreter that --python names (NULL: none)? -errno with a sentence
 * that names the option. */
int agent_check_python(const char *python, struct reason *why);
/* Into the log: which apps are native, which interpreter runs the others, or that none can be found
 * yet; that they run as root, that packages are installed for them. */
void agent_tell_apps(const struct agent *agent);

/* No more messages of this run will come, and none is at work: end what waits for one, and forget
 * the run. */
void agent_run_ended(struct agent *agent, uint64_t run_id);

struct worker_process_ops {
	/* The worker process has ended (whatever its app does); everything it and its app started
	 * is being killed, unless the worker exited with 0. Once. */
	void (*ended)(void *arg, struct worker_process *worker, const struct process_end *end);
	/* Worker and app are gone, with all they started: the slot is free. The worker is freed
	 * after this call. */
	void (*gone)(void *arg, struct worker_process *worker);
};

struct worker_process_spec {
	const char *name; /* for log lines */
	const struct control_start *start;
	const struct worker_process_ops *ops;
	void *arg;
};

/*
 * Start a worker for one message. 0; -errno with a sentence, and no event comes. A spare worker,
 * one that was started for an earlier message's successor and has waited since, is given the
 * message, if there is one and it lives, unless another program is to work (control_start.command).
 */
int agent_start_worker(struct agent *agent, const struct worker_process_spec *spec,
	struct worker_process **out, struct reason *why);
/* This program is stopping: end the spare worker and the zygote, and start none any more. */
void agent_stop_spare(struct agent *agent);

/* Have the worker answer its message with an error now, and end with 0. Its app is told to stop
 * when the worker asks for that. */
void worker_process_give_up(struct worker_process *worker);
/* TERM, grace, KILL for the worker and its app. An app that is at its end is cut off: one WARN
 * line. */
void worker_process_stop(struct worker_process *worker, int64_t grace_ms);
pid_t worker_process_pid(const struct worker_process *worker);

#endif
