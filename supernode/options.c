#include "supernode/options.h"

#include "common/base/cleanup.h"
#include "common/base/config.h"
#include "common/base/files.h"
#include "common/base/options.h"

#include <errno.h>
#include <stddef.h>
#include <string.h>

#define AT(member)   offsetof(struct options, member)
#define GRPC_MAX     2147483647
#define GRPC_MAX_MIN 536870912
#define DAY_MS       86400000LL

static const char *const isolations[] = {"subprocess", "process", NULL};
static const char *const levels[] = {"error", "warn", "info", "debug", NULL};

static const struct option_spec specs[] = {
	{.name = "superlink",
		.kind = OPTION_TEXT,
		.offset = AT(superlink),
		.metavar = "HOST:PORT",
		.help = "The SuperLink's Fleet API (default 127.0.0.1:9092)."},
	{.name = "insecure",
		.kind = OPTION_FLAG,
		.offset = AT(insecure),
		.help = "Talk to the SuperLink without TLS."},
	{.name = "node-config",
		.kind = OPTION_TEXT,
		.offset = AT(node_config_text),
		.metavar = "CONFIG",
		.help = "What this node tells its apps: 'partition-id=0 name=\"alice\"', or the "
			"path of "
			"a .toml file."},
	{.name = "isolation",
		.kind = OPTION_CHOICE,
		.offset = AT(isolation),
		.choices = isolations,
		.metavar = "MODE",
		.help = "subprocess (default): each message gets a flwr-clientapp of its own; "
			"process: "
			"nothing is started, a flwr-clientapp that somebody else runs asks for "
			"messages."},
	{.name = "clientappio-api-address",
		.kind = OPTION_TEXT,
		.offset = AT(worker_api_address),
		.metavar = "HOST:PORT",
		.help = "Where workers connect; port 0 takes a free one (default: a private unix "
			"socket; with --isolation process 127.0.0.1:9094)."},
	{.name = "clientapp-wait",
		.kind = OPTION_SECONDS,
		.offset = AT(clientapp_wait_ms),
		.min = 1,
		.max = 3650 * DAY_MS,
		.metavar = "SECONDS",
		.help = "With --isolation process: answer a message with an error when no worker "
			"has "
			"asked for it within this time (default: the message's ttl)."},
	{.name = "worker-reconnect",
		.kind = OPTION_SECONDS,
		.offset = AT(worker_reconnect_ms),
		.min = 0,
		.max = DAY_MS,
		.metavar = "SECONDS",
		.help = "With --isolation process: how long the worker of a message may be without "
			"a "
			"connection (default 30)."},
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
	{.name = "clientapp-command",
		.kind = OPTION_TEXT,
		.offset = AT(clientapp_command),
		.metavar = "TEMPLATE",
		.help = "Another worker program to start for each message, with {address}, {token} "
			"and "
			"{parent_pid} (default: the flwr-clientapp beside this program)."},
	{.name = "max-retries",
		.kind = OPTION_INTEGER,
		.offset = AT(max_retries),
		.min = 0,
		.max = INT32_MAX,
		.metavar = "N",
		.help = "Give up after N further tries of one call (default: never)."},
	{.name = "max-wait-time",
		.kind = OPTION_SECONDS,
		.offset = AT(max_wait_ms),
		.min = 0,
		.max = 3650 * DAY_MS,
		.metavar = "SECONDS",
		.help = "Give up so long after the first try of a call (default: never)."},
	{.name = "poll-min",
		.kind = OPTION_SECONDS,
		.offset = AT(poll_min_ms),
		.min = 10,
		.max = DAY_MS,
		.metavar = "SECONDS",
		.help = "Shortest time between two questions for a message (default 0.1)."},
	{.name = "poll-max",
		.kind = OPTION_SECONDS,
		.offset = AT(poll_max_ms),
		.min = 10,
		.max = DAY_MS,
		.metavar = "SECONDS",
		.help = "Longest time, when nothing has happened for a while (default 3)."},
	{.name = "grace",
		.kind = OPTION_SECONDS,
		.offset = AT(grace_ms),
		.min = 0,
		.max = DAY_MS,
		.metavar = "SECONDS",
		.help = "For messages at work when the program is told to stop (default 10)."},
	{.name = "worker-timeout",
		.kind = OPTION_SECONDS,
		.offset = AT(worker_timeout_ms),
		.min = 1,
		.max = 3650 * DAY_MS,
		.metavar = "SECONDS",
		.help = "From a worker's first call to its reply (default: the message's ttl)."},
	{.name = "memory-budget",
		.kind = OPTION_BYTES,
		.offset = AT(memory_budget_bytes),
		.min = 1 << 20,
		.max = INT64_MAX,
		.metavar = "BYTES",
		.help = "What peers may make us hold, with K, M or G (default: half of the memory "
			"limit that applies)."},
	{.name = "grpc-max-message-length",
		.kind = OPTION_BYTES,
		.offset = AT(grpc_max_bytes),
		.min = GRPC_MAX_MIN,
		.max = GRPC_MAX,
		.metavar = "BYTES",
		.help = "Largest message of the SuperLink or a worker (default 2147483647)."},
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
	{.name = "grpc-rere",
		.kind = OPTION_FLAG,
		.offset = AT(grpc_rere),
		.help = "gRPC request-response (default, and the only transport of this version)."},
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
	/* Of Flower before 1.15. */
	{.name = "server",
		.kind = OPTION_REFUSED,
		.metavar = "HOST:PORT",
		.why_refused = "--server is called --superlink HOST:PORT"},
	/* What Flower 1.15.2 has beside these. */
	{.name = "root-certificates",
		.kind = OPTION_REFUSED,
		.metavar = "FILE",
		.why_refused = "--root-certificates: TLS is not in this version; use --insecure"},
	{.name = "grpc-adapter",
		.kind = OPTION_REFUSED,
		.why_refused = "--grpc-adapter is not in this version; use --grpc-rere"},
	{.name = "rest",
		.kind = OPTION_REFUSED,
		.why_refused = "--rest is not in this version; use --grpc-rere"},
	{.name = "auth-supernode-private-key",
		.kind = OPTION_REFUSED,
		.metavar = "FILE",
		.why_refused = "--auth-supernode-private-key: keys of an operator are not in this "
			       "version; leave it out, the node then makes a key of its own"},
	{.name = "auth-supernode-public-key",
		.kind = OPTION_REFUSED,
		.metavar = "FILE",
		.why_refused = "--auth-supernode-public-key: keys of an operator are not in this "
			       "version; leave it out, the node then makes a key of its own"},
};

/* Options that only one of the two isolations has. */
static int check_isolation(struct options *options, struct reason *why)
{
	if (options->clientapp_command && options->python)
		return reason_code(why, -EINVAL,
			"--python has no effect with --clientapp-command, which starts another "
			"worker: leave one out");
	if (!options->workers_come) {
		if (options->clientapp_wait_ms >= 0 || options->worker_reconnect_ms >= 0)
			return reason_code(why, -EINVAL,
				"--%s is for --isolation process: with subprocess the node starts "
				"its "
				"workers itself",
				options->clientapp_wait_ms >= 0 ? "clientapp-wait"
								: "worker-reconnect");
		return 0;
	}
	if (options->clientapp_command)
		return reason_code(why, -EINVAL,
			"--clientapp-command is for --isolation subprocess: with process nothing "
			"is "
			"started");
	if (options->python || options->no_stderr_in_replies)
		return reason_code(why, -EINVAL,
			"--%s has no effect with --isolation process: give it to flwr-clientapp",
			options->python ? "python" : "no-stderr-in-replies");
	if (!options->worker_api_address)
		options->worker_api_address = "127.0.0.1:9094";
	if (options->worker_reconnect_ms < 0)
		options->worker_reconnect_ms = 30000;
	if (options->clientapp_wait_ms < 0)
		options->clientapp_wait_ms = 0;
	return 0;
}

static int check(struct options *options, struct reason *why)
{
	struct reason cause = {0};
	int r;

	options->workers_come = strcmp(options->isolation, "process") == 0;
	r = check_isolation(options, why);
	if (r)
		return r;
	if (!options->insecure)
		return reason_code(why, -EINVAL,
			"TLS is not in this version: give --insecure to talk to the SuperLink "
			"without it");
	r = address_check(options->superlink, false, &cause);
	if (r)
		return reason_code(why, r, "--superlink %s", cause.text);
	if (options->worker_api_address) {
		r = address_check(options->worker_api_address, true, &cause);
		if (r)
			return reason_code(why, r, "--clientappio-api-address %s", cause.text);
	}
	if (options->worker_api_address &&
		strcmp(options->worker_api_address, options->superlink) == 0)
		return reason_code(why, -EINVAL,
			"--superlink and --clientappio-api-address are the same: the first is the "
			"SuperLink's, the second is listened at by this program");
	r = options->flwr_dir ? dir_check(options->flwr_dir, &cause) : 0;
	if (r)
		return reason_code(why, r, "--flwr-dir %s", cause.text);
	if (options->poll_min_ms > options->poll_max_ms)
		return reason_code(why, -EINVAL,
			"--poll-min is larger than --poll-max: give --poll-max %g or more",
			(double)options->poll_min_ms / 1000);
	if (options->node_config_text) {
		r = config_parse(options->node_config_text, &options->node_config, &cause);
		if (r)
			return reason_code(why, r, "--node-config: %s", cause.text);
	}
	return log_level_parse(options->log_level_text, &options->log_level);
}

int options_read(int argc, char *const *argv, struct options *out, struct reason *why)
{
	int r;

	*out = (struct options){
		.superlink = "127.0.0.1:9092",
		.isolation = "subprocess",
		.grpc_max_bytes = GRPC_MAX,
		.max_retries = -1,
		.max_wait_ms = -1,
		.clientapp_wait_ms = -1,
		.worker_reconnect_ms = -1,
		.poll_min_ms = 100,
		.poll_max_ms = 3000,
		.grace_ms = 10000,
		.log_level_text = "info",
	};
	r = options_parse(specs, ARRAY_LEN(specs), argc, argv, out, why);
	return r ? r : check(out, why);
}

void options_done(struct options *options)
{
	value_map_done(&options->node_config);
}

void options_print_help(FILE *file)
{
	fputs("usage: flower-supernode --insecure [--superlink HOST:PORT] [options]\n\n"
	      "Connects to a Flower SuperLink and runs each of its messages in a worker of its "
	      "own.\n\n",
		file);
	options_help(file, specs, ARRAY_LEN(specs));
}
