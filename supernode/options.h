/*
 * options: the command line of flower-supernode, and all that a SuperNode can be told. Main thread;
 * it is read before anything else is there, and not changed afterwards.
 */
#ifndef FLWR_SUPERNODE_OPTIONS_H
#define FLWR_SUPERNODE_OPTIONS_H

#include "common/base/value.h"
#include "common/launch/launch_options.h"

#define OPTIONS_WARNINGS 7

struct app_bounds;

/* Texts point into argv, paths are freed by supernode_options_done(); NULL: not given. */
struct supernode_options {
	struct launch_options launch;
	bool insecure; /* no TLS towards the SuperLink */
	bool grpc_rere, grpc_adapter, rest;
	const char *transport; /* the option of the three that was given; NULL: none */
	const char *superlink_text;
	char *superlink; /* that, without a scheme, ours; NULL: 127.0.0.1:8000 is tried, then
			    127.0.0.1:9092 */
	const char *root_certificates; /* PEM file; NULL: the system's */
	const char *auth_private_key;  /* the operator's key, a file; NULL: one of our own */
	const char *auth_public_key;   /* says nothing that the private one does not */
	const char *trusted_entities;  /* YAML file; NULL: apps need no signature */
	const char *health_server_text;
	char *health_server_address; /* that, without a scheme, ours; NULL: no health service */
	const char *healthcheck;     /* an address: ask there, start nothing; NULL: not so */
	const char *state_dir; /* what outlives the program is below it; NULL: the usual places */
	bool no_state;         /* nothing outlives the program */
	const char *node_config_text;
	struct value_map node_config; /* parsed */
	const char *isolation;
	bool workers_come; /* --isolation process, or is_launcher: workers ask for messages */
	const char *worker_api_text;
	char *worker_api_bare;          /* that, without a scheme, ours */
	const char *worker_api_address; /* that, or --host and --port, or the default; NULL: a
					   private unix socket */
	const char *socket_group;       /* of a unix socket; NULL: the process's own */
	const char *launcher_secret;    /* a file; NULL: everybody may ask for messages */
	/* TLS of the worker API at host:port: PEM files, all three or none; NULL: plain text. */
	const char *ssl_certificate, *ssl_key, *ssl_authorities;
	const char *appio_ssl_certificate, *appio_ssl_key, *appio_ssl_authorities; /* older names */
	bool ssl_require_client;       /* workers must show a certificate */
	const char *host;              /* with port the same as worker_api_address, in two halves */
	int64_t port;                  /* -1: not given */
	char *host_port;               /* both as worker_api_address, ours */
	const char *clientapp_command; /* template of another worker (launch/command.h); NULL: our
					  own */
	bool is_launcher;              /* that is a launcher, which runs as long as the node */
	int64_t clientapp_wait_ms;     /* with workers_come: a message waits so long for a worker;
					  0: its ttl; -1: not given */
	int64_t worker_reconnect_ms;   /* with workers_come: a worker may be so long without a
					  connection; -1: not given */
	bool parallel_in_run;          /* messages of one run are worked on at once */
	int64_t worker_timeout_ms;     /* 0: none */
	uint64_t grpc_max_bytes;
	uint64_t memory_budget_bytes; /* 0: half of what applies */
	uint64_t spool_max_bytes;     /* 0: as spool_set_file_max() */
	int64_t max_retries;          /* -1: no end */
	int64_t max_wait_ms;          /* -1: no end */
	int64_t poll_min_ms, poll_max_ms;
	const char
		*warnings[OPTIONS_WARNINGS]; /* sentences for the log; NULL where there is none */
	/* Set by the program, not by its command line. */
	const struct app_bounds *bounds; /* borrowed */
	void (*trim)(void);    /* gives free memory back to the system; NULL: nobody does */
	double clock_offset_s; /* for tests: added to the time that is signed */
};

/*
 * 0, OPTIONS_HELP or OPTIONS_VERSION; -EINVAL or another -errno with one line for the user.
 * supernode_options_done() in any case.
 */
int supernode_options_read(
	int argc, char *const *argv, struct supernode_options *out, struct reason *why);
void supernode_options_done(struct supernode_options *options);

void supernode_options_help(FILE *file);

#endif
