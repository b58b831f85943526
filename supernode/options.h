/*
 * options: the command line of flower-supernode. Main thread, before anything else is there.
 */
#ifndef FLWR_SUPERNODE_OPTIONS_H
#define FLWR_SUPERNODE_OPTIONS_H

#include "common/base/log.h"
#include "common/base/options.h"
#include "common/base/reason.h"
#include "common/base/value.h"

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#define OPTIONS_WARNINGS 2

/* Texts point into argv, paths are freed by options_done(); NULL: not given. */
struct options {
	bool insecure;
	bool grpc_rere, grpc_adapter, rest;
	const char *superlink;
	const char *root_certificates;
	const char *auth_private_key, *auth_public_key;
	const char *trusted_entities;
	const char *health_server_address;
	const char *state_dir;
	bool no_state;
	const char *node_config_text;
	struct value_map node_config; /* parsed */
	const char *isolation;
	const char *worker_api_text;
	const char *worker_api_address; /* that, or --host and --port, or the default */
	const char *socket_group;       /* of a unix socket */
	const char *launcher_secret;    /* a file */
	const char *host; /* with port the same as worker_api_address, in two halves */
	int64_t port;     /* -1: not given */
	char *host_port;  /* both as worker_api_address, ours */
	const char *flwr_dir;
	const char *python;
	const char *app_user; /* as given */
	struct option_names app_env_hide;
	bool workers_come;             /* --isolation process */
	const char *clientapp_command; /* NULL: our own worker */
	int64_t clientapp_wait_ms;     /* -1: not given */
	int64_t worker_reconnect_ms;   /* -1: not given */
	uint64_t grpc_max_bytes;
	uint64_t memory_budget_bytes; /* 0: not given */
	uint64_t spool_max_bytes;     /* 0: not given */
	int64_t max_retries;          /* -1: not given */
	int64_t max_wait_ms;          /* -1: not given */
	int64_t poll_min_ms, poll_max_ms;
	int64_t grace_ms;
	int64_t app_exit_grace_ms;
	int64_t worker_timeout_ms; /* 0: not given */
	const char *app_output;    /* "log", "pass" or NULL */
	bool passes_output; /* what apps print goes to our stdout and stderr, not into the log */
	bool stderr_in_replies; /* may error replies quote the stderr of an app? */
	const char *log_level_text;
	enum log_level log_level;
	const char
		*warnings[OPTIONS_WARNINGS]; /* sentences for the log; NULL where there is none */
};

enum options_action { OPTIONS_RUN, OPTIONS_HELP, OPTIONS_VERSION };

/*
 * 0, OPTIONS_HELP or OPTIONS_VERSION; -EINVAL or another -errno with one line for the user.
 * options_done() in any case.
 */
int options_read(int argc, char *const *argv, struct options *out, struct reason *why);
void options_done(struct options *options);

void options_print_help(FILE *file);

#endif
