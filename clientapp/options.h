/*
 * options: the command lines of flwr-clientapp and of flower-superexec, which is the same program
 * under another name. Main thread, before anything else is there.
 */
#ifndef FLWR_CLIENTAPP_OPTIONS_H
#define FLWR_CLIENTAPP_OPTIONS_H

#include "common/launch/launch_options.h"

#define CLIENTAPP_WARNINGS 2

/* Texts point into argv, paths are freed by clientapp_options_done(); NULL: not given. */
struct clientapp_options {
	const char *program; /* the name that it was started by: flwr-clientapp, if it is another */
	bool fork_server;    /* started by an agent, to fork workers */
	bool control;        /* started by an agent: everything else comes by the control socket */
	const char *core_limit; /* with it: of core files of another worker program, in bytes */
	struct launch_options launch;
	const char *address; /* runtime_address, else appio_address, else the default */
	char *bare;          /* that, without a scheme, ours */
	/* Sentences for the log; NULL where there is none. */
	const char *warnings[CLIENTAPP_WARNINGS];
	const char *runtime_address; /* --runtime-api-address */
	const char *appio_address;   /* --clientappio-api-address, --appio-api-address */
	const char *token_text;      /* in token_copy */
	const char *token_file;
	char *token_copy;       /* ours; argv has it no more; NULL: there is none */
	uint64_t token;         /* of an inline message */
	const char *task_token; /* token_text, when it is that of a message that is objects */
	bool insecure;
	/* PEM files, with TLS. */
	const char *root_certificates;  /* NULL: the system's */
	const char *client_certificate; /* with client_key; NULL: none is shown */
	const char *client_key;
	int64_t parent_pid; /* 0: not given */
	const char *plugin_type, *executor;
	const char *secret_file;           /* of the launchers */
	const char *health_server_address; /* NULL: none */
	bool run_once;
	int64_t worker_timeout_ms; /* of each worker, from its start; 0: none */
	bool signed_apps;          /* refuse an installed app that is not as its FAB */
};

/*
 * 0, OPTIONS_HELP or OPTIONS_VERSION; -EINVAL or another -errno with one line for the user.
 * out->program is set, and clientapp_options_done() is due, in any case.
 */
int clientapp_options_read(
	int argc, char *const *argv, struct clientapp_options *out, struct reason *why);
void clientapp_options_done(struct clientapp_options *options);

/* The help of the program that these are for. */
void clientapp_options_help(FILE *file, const struct clientapp_options *options);

#endif
