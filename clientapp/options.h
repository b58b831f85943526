/*
 * options: the command lines of flwr-clientapp and of flower-superexec, which is the same program
 * under another name. Main thread, before anything else is there.
 */
#ifndef FLWR_CLIENTAPP_OPTIONS_H
#define FLWR_CLIENTAPP_OPTIONS_H

#include "common/base/log.h"
#include "common/base/options.h"
#include "common/base/reason.h"

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

/* Texts point into argv, paths are freed by options_done(); NULL: not given. */
struct options {
	const char *program; /* the name that it was started by: flwr-clientapp, if it is another */
	bool control;        /* started by an agent: everything else comes by the control socket */
	const char *core_limit; /* with it: of core files of another worker program, in bytes */
	const char *address;    /* whichever of the three was given, or the default */
	const char *runtime_address; /* --runtime-api-address */
	const char *appio_address;   /* --clientappio-api-address, --appio-api-address */
	const char *token_text;      /* also what the file has, ours then */
	const char *token_file;
	char *file_token; /* NULL: there is none */
	uint64_t token;
	bool insecure;
	const char *root_certificates;
	int64_t parent_pid; /* 0: not given */
	const char *plugin_type, *executor;
	const char *flwr_dir;
	const char *secret_file; /* of the launchers */
	const char *python;
	const char *app_user; /* as given */
	struct option_names app_env_hide;
	int64_t app_exit_grace_ms;
	int64_t grace_ms;
	bool run_once;
	const char *app_output; /* "log", "pass" or NULL */
	bool passes_output; /* what apps print goes to our stdout and stderr, not into the log */
	bool signed_apps;   /* refuse an installed app that is not as its FAB */
	bool stderr_in_replies; /* may error replies quote the stderr of an app? */
	const char *log_level_text;
	enum log_level log_level;
};

enum options_action { OPTIONS_RUN, OPTIONS_HELP, OPTIONS_VERSION };

/*
 * 0, OPTIONS_HELP or OPTIONS_VERSION; -EINVAL or another -errno with one line for the user.
 * out->program is set, and options_done() is due, in any case.
 */
int options_read(int argc, char *const *argv, struct options *out, struct reason *why);
void options_done(struct options *options);

/* Of the program that these are for. */
void options_print_help(FILE *file, const struct options *options);

#endif
