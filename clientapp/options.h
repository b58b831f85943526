/*
 * options: the command line of flwr-clientapp. Main thread, before anything else is there.
 */
#ifndef FLWR_CLIENTAPP_OPTIONS_H
#define FLWR_CLIENTAPP_OPTIONS_H

#include "common/base/log.h"
#include "common/base/reason.h"

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

/* Texts point into argv. */
struct options {
	bool control; /* started by an agent: everything else comes by the control socket */
	const char *address;
	const char *token_text;
	uint64_t token;
	bool insecure;
	const char *flwr_dir;
	const char *python;
	int64_t grace_ms;
	bool run_once;
	bool no_stderr_in_replies;
	const char *log_level_text;
	enum log_level log_level;
};

enum options_action { OPTIONS_RUN, OPTIONS_HELP, OPTIONS_VERSION };

/* 0, OPTIONS_HELP or OPTIONS_VERSION; -EINVAL with one line for the user. */
int options_read(int argc, char *const *argv, struct options *out, struct reason *why);

void options_print_help(FILE *file);

#endif
