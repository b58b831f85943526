/*
 * runner: has messages worked on: a worker for each, known by the node's number of its message. Of
 * messages it knows only their numbers and tokens. Where workers come by themselves (process
 * isolation) there is none. Main thread.
 */
#ifndef FLWR_RUN_RUNNER_H
#define FLWR_RUN_RUNNER_H

#include "common/launch/agent.h"

struct runner;

struct runner_ops {
	/* The worker of message has ended. code and reason are for the error reply, if the message
	 * has no reply yet. */
	void (*ended)(void *arg, uint64_t message, int64_t code, const char *reason);
	/* Every process of the worker is gone. */
	void (*gone)(void *arg, uint64_t message);
};

/* Borrowed for as long as the runner is there. */
struct runner_options {
	struct log *log;
	struct agent *agent;
	const char *address; /* of the worker API */
	bool tls;            /* spoken there */
	/* PEM files for our workers, with TLS. */
	const char *root_certificates, *client_certificate, *client_key;
	const char *flwr_home;
	const char *command;   /* template of another worker (launch/command.h); NULL: ours */
	const char *token_dir; /* where it finds its token in a file; NULL: it needs none */
	uint64_t content_max_bytes;
	enum log_level log_level;
	bool stderr_in_replies;
	bool signed_apps; /* the worker runs only what somebody trusted has signed */
};

/* NULL on no memory. */
struct runner *runner_new(
	const struct runner_options *options, const struct runner_ops *ops, void *arg);
/* The workers must be gone, or killed right after. */
void runner_free(struct runner *runner);

/* The work of one worker. */
struct runner_task {
	uint64_t message;
	uint64_t token;
	const char *task_token; /* as dialect 6 writes it; NULL: dialect 1 */
};

/* Start the worker of a message. 0; -errno with a sentence: no event comes. */
int runner_start(struct runner *runner, const struct runner_task *task, struct reason *why);
/* The worker's first sign of life has come. */
void runner_ready(struct runner *runner, uint64_t message);
/* TERM, grace, KILL; unknown numbers are ignored. */
void runner_stop(struct runner *runner, uint64_t message, int64_t grace_ms);
void runner_stop_all(struct runner *runner, int64_t grace_ms);

#endif
