#include "clientapp/options.h"

#include "common/base/cleanup.h"
#include "common/base/files.h"
#include "common/base/number.h"
#include "common/base/options.h"

#include <errno.h>
#include <stddef.h>
#include <string.h>

#define UNIX_PATH_MAX 108 /* as struct sockaddr_un has it */
#define AT(member)    offsetof(struct options, member)

static const char *const levels[] = {"error", "warn", "info", "debug", NULL};

static const struct option_spec specs[] = {
	{.name = "clientappio-api-address",
		.kind = OPTION_TEXT,
		.offset = AT(address),
		.metavar = "ADDR",
		.help = "The SuperNode's worker API: host:port or unix:PATH (default "
			"127.0.0.1:9094)."},
	{.name = "token",
		.kind = OPTION_TEXT,
		.offset = AT(token_text),
		.metavar = "TOKEN",
		.help = "The number that the SuperNode issued for one message, which is all that "
			"is "
			"done then (default: ask for messages, one after the other)."},
	{.name = "run-once",
		.kind = OPTION_FLAG,
		.offset = AT(run_once),
		.help = "Without --token: end after one message."},
	{.name = "insecure",
		.kind = OPTION_FLAG,
		.offset = AT(insecure),
		.help = "Talk to the SuperNode without TLS."},
	{.name = "flwr-dir",
		.kind = OPTION_TEXT,
		.offset = AT(flwr_dir),
		.metavar = "DIR",
		.help = "Apps are installed below it (default: $FLWR_HOME, else "
			"$XDG_DATA_HOME/.flwr, else $HOME/.flwr)."},
	{.name = "python",
		.kind = OPTION_TEXT,
		.offset = AT(python),
		.metavar = "PATH",
		.help = "The interpreter that runs apps, with the flwr package installed (default: "
			"$VIRTUAL_ENV/bin/python3, else python3 on PATH)."},
	{.name = "grace",
		.kind = OPTION_SECONDS,
		.offset = AT(grace_ms),
		.min = 0,
		.max = 86400000,
		.metavar = "SECONDS",
		.help = "Without --token: for the message at work when the program is told to stop "
			"(default 10)."},
	{.name = "no-stderr-in-replies",
		.kind = OPTION_FLAG,
		.offset = AT(no_stderr_in_replies),
		.help = "Leave an app's last lines of stderr out of error replies."},
	{.name = "log-level",
		.kind = OPTION_CHOICE,
		.offset = AT(log_level_text),
		.choices = levels,
		.metavar = "LEVEL",
		.help = "error, warn, info (default) or debug."},
	{.name = "control", .kind = OPTION_FLAG, .offset = AT(control)},
	/* Of Flower before 1.15. */
	{.name = "supernode",
		.kind = OPTION_REFUSED,
		.metavar = "HOST:PORT",
		.why_refused = "--supernode is called --clientappio-api-address ADDR"},
	{.name = "version",
		.letter = 'V',
		.kind = OPTION_ACTION,
		.action = OPTIONS_VERSION,
		.help = "Print the version and exit."},
	{.name = "help",
		.letter = 'h',
		.kind = OPTION_ACTION,
		.action = OPTIONS_HELP,
		.help = "Print this text and exit."},
};

static int check(struct options *options, struct reason *why)
{
	struct reason cause = {0};
	int r = log_level_parse(options->log_level_text, &options->log_level);

	if (r || options->control)
		return r;
	if (options->token_text && options->run_once)
		return reason_code(why, -EINVAL,
			"--run-once and --token: a token is for one message anyway; leave one out");
	if (options->token_text && options->grace_ms >= 0)
		return reason_code(why, -EINVAL,
			"--grace and --token: the message of a token is stopped at once; leave one "
			"out");
	if (options->grace_ms < 0)
		options->grace_ms = 10000;
	if (options->token_text && number_u64(options->token_text, &options->token))
		return reason_code(
			why, -EINVAL, "--token takes the decimal number that the SuperNode issued");
	if (!options->insecure)
		return reason_code(why, -EINVAL,
			"TLS is not in this version: give --insecure to talk to the SuperNode "
			"without it");
	r = options->flwr_dir ? dir_check(options->flwr_dir, &cause) : 0;
	if (r)
		return reason_code(why, r, "--flwr-dir %s", cause.text);
	if (strncmp(options->address, "unix:", 5) == 0) {
		size_t len = strlen(options->address + 5);

		return len > 0 && len < UNIX_PATH_MAX ? 0
						      : reason_code(why, -EINVAL,
								"--clientappio-api-address: unix: "
								"is followed by a path of 1 "
								"to %d bytes",
								UNIX_PATH_MAX - 1);
	}
	r = address_check(options->address, false, &cause);
	return r ? reason_code(why, r, "--clientappio-api-address %s", cause.text) : 0;
}

int options_read(int argc, char *const *argv, struct options *out, struct reason *why)
{
	int r;

	*out = (struct options){
		.address = "127.0.0.1:9094", .grace_ms = -1, .log_level_text = "info"};
	r = options_parse(specs, ARRAY_LEN(specs), argc, argv, out, why);
	return r ? r : check(out, why);
}

void options_print_help(FILE *file)
{
	fputs("usage: flwr-clientapp --insecure [--clientappio-api-address ADDR] [options]\n\n"
	      "Asks a Flower SuperNode (--isolation process) for messages, runs the ClientApp for "
	      "each, returns the\nreplies. With --token: that one message.\n\n",
		file);
	options_help(file, specs, ARRAY_LEN(specs));
}
