#include "supernode/options.h"

#include "common/base/cleanup.h"
#include "common/config/config.h"
#include "common/base/exit_code.h"
#include "common/base/files.h"
#include "common/base/flower_env.h"
#include "common/base/number.h"
#include "common/base/options.h"

#include <errno.h>
#include <fcntl.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#define AT(member)   offsetof(struct options, member)
#define GRPC_MAX     2147483647
#define GRPC_MAX_MIN 536870912
#define DAY_MS       86400000LL
#define WORKER_HOST  "127.0.0.1"
#define WORKER_PORT  9094

/* A row that is known and refused; name is a literal. */
#define NOT_HERE(option, value, instead)                                                           \
	{                                                                                          \
		.name = (option), .kind = OPTION_REFUSED, .metavar = (value),                      \
		.why_refused = "--" option " is not in this version: " instead                     \
	}
#define NO_WORKER_TLS                                                                              \
	"workers are spoken to without TLS; leave it out, and keep the worker API on loopback or " \
	"in a network of its own"

static const char *const isolations[] = {"subprocess", "process", NULL};
static const char *const outputs[] = {"log", "pass", NULL};
static const char *const levels[] = {"error", "warn", "info", "debug", NULL};

static const struct option_spec specs[] = {
	{.name = "superlink",
		.kind = OPTION_TEXT,
		.offset = AT(superlink),
		.metavar = "HOST:PORT",
		.help = "The SuperLink's Fleet API (default: 127.0.0.1:8000, and when nobody is "
			"there 127.0.0.1:9092)."},
	{.name = "insecure",
		.kind = OPTION_FLAG,
		.offset = AT(insecure),
		.help = "Talk to the SuperLink without TLS."},
	{.name = "root-certificates",
		.kind = OPTION_PATH,
		.offset = AT(root_certificates),
		.metavar = "FILE",
		.help = "PEM file of the authorities that the SuperLink's certificate may come "
			"from (default: those of the system)."},
	{.name = "auth-supernode-private-key",
		.kind = OPTION_PATH,
		.offset = AT(auth_private_key),
		.metavar = "FILE",
		.help = "The key that the SuperLink knows this node by (default: one that is made "
			"at the start)."},
	{.name = "auth-supernode-public-key",
		.kind = OPTION_PATH,
		.offset = AT(auth_public_key),
		.metavar = "FILE",
		.help = "Compared with the private key, which says it: not needed."},
	{.name = "trusted-entities",
		.kind = OPTION_PATH,
		.offset = AT(trusted_entities),
		.metavar = "FILE",
		.help = "YAML file of public keys: only apps that one of them has signed are run."},
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
		.kind = OPTION_PATH,
		.offset = AT(worker_api_text),
		.metavar = "ADDR",
		.help = "Where workers connect: HOST:PORT (port 0 takes a free one) or unix:PATH "
			"(default: a private unix socket; with --isolation process "
			"127.0.0.1:9094)."},
	{.name = "socket-group",
		.kind = OPTION_TEXT,
		.offset = AT(socket_group),
		.metavar = "GROUP",
		.help = "The group whose members may connect to unix:PATH (default: that of the "
			"process)."},
	{.name = "superexec-auth-secret-file",
		.kind = OPTION_PATH,
		.offset = AT(launcher_secret),
		.metavar = "FILE",
		.help = "With --isolation process: the secret with which launchers sign when they "
			"ask for messages; others are refused."},
	{.name = "host",
		.kind = OPTION_TEXT,
		.offset = AT(host),
		.metavar = "HOST",
		.help = "As --clientappio-api-address HOST:9094, or with --port."},
	{.name = "port",
		.kind = OPTION_INTEGER,
		.offset = AT(port),
		.min = 0,
		.max = 65535,
		.metavar = "PORT",
		.help = "As --clientappio-api-address 127.0.0.1:PORT, or with --host."},
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
		.kind = OPTION_PATH,
		.offset = AT(flwr_dir),
		.metavar = "DIR",
		.help = "Apps are installed below it (default: $FLWR_HOME, else "
			"$HOME/.flwr, else $XDG_DATA_HOME/.flwr)."},
	{.name = "state-dir",
		.kind = OPTION_PATH,
		.offset = AT(state_dir),
		.metavar = "DIR",
		.help = "What outlives the program is kept below it (default: $STATE_DIRECTORY, "
			"else "
			"$XDG_STATE_HOME/flwr-native, else flwr-native below the Flower home)."},
	{.name = "no-state",
		.kind = OPTION_FLAG,
		.offset = AT(no_state),
		.help = "Keep nothing that outlives the program."},
	{.name = "health-server-address",
		.kind = OPTION_TEXT,
		.offset = AT(health_server_address),
		.metavar = "HOST:PORT",
		.help = "Where gRPC's health service is offered, without TLS (default: nowhere)."},
	{.name = "python",
		.kind = OPTION_PATH,
		.offset = AT(python),
		.metavar = "PATH",
		.help = "The interpreter that runs apps, with the flwr package installed (default: "
			"$VIRTUAL_ENV/bin/python3, else python3 on PATH)."},
	{.name = "app-user",
		.kind = OPTION_TEXT,
		.offset = AT(app_user),
		.metavar = "USER",
		.help = "As root: apps run as this user, a name, UID or UID:GID (default: as "
			"root)."},
	{.name = "app-env-hide",
		.kind = OPTION_NAMES,
		.offset = AT(app_env_hide),
		.metavar = "NAMES",
		.help = "Environment variables that apps do not get; a name may end in *. Can be "
			"given several times."},
	{.name = "clientapp-command",
		.kind = OPTION_TEXT,
		.offset = AT(clientapp_command),
		.metavar = "TEMPLATE",
		.help = "Another worker program to start for each message, with {address}, "
			"{token}, "
			"{token_file} and {parent_pid} (default: the flwr-clientapp beside this "
			"program)."},
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
	{.name = "app-exit-grace",
		.kind = OPTION_SECONDS,
		.offset = AT(app_exit_grace_ms),
		.min = 0,
		.max = DAY_MS,
		.metavar = "SECONDS",
		.help = "For an app to end by itself when its reply was taken over: its threads, "
			"exit handlers and open files (default 30)."},
	{.name = "worker-timeout",
		.kind = OPTION_SECONDS,
		.offset = AT(worker_timeout_ms),
		.min = 1,
		.max = 3650 * DAY_MS,
		.metavar = "SECONDS",
		.help = "From a worker's first call to its reply (default: the message's ttl)."},
	{.name = "spool-max",
		.kind = OPTION_BYTES,
		.offset = AT(spool_max_bytes),
		.min = 1 << 20,
		.max = INT64_MAX,
		.metavar = "BYTES",
		.help = "Objects of messages in files, with K, M or G (default: half of what is "
			"free "
			"on their file system)."},
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
	{.name = "app-output",
		.kind = OPTION_CHOICE,
		.offset = AT(app_output),
		.choices = outputs,
		.metavar = "WAY",
		.help = "What apps print: log (default) puts it into the log by lines; pass hands "
			"it through to stdout and stderr as it is."},
	{.name = "stderr-in-replies",
		.kind = OPTION_FLAG,
		.offset = AT(stderr_in_replies),
		.help = "Send an app's last lines of stderr in error replies, too."},
	{.name = "no-stderr-in-replies",
		.kind = OPTION_OFF,
		.offset = AT(stderr_in_replies),
		.help = "Keep them in the log of this node (default)."},
	{.name = "log-level",
		.kind = OPTION_CHOICE,
		.offset = AT(log_level_text),
		.choices = levels,
		.metavar = "LEVEL",
		.help = "error, warn, info or debug (default: $FLWR_LOG_LEVEL, else info)."},
	{.name = "grpc-rere",
		.kind = OPTION_FLAG,
		.offset = AT(grpc_rere),
		.help = "Has no effect: what the SuperLink speaks is found out."},
	{.name = "grpc-adapter",
		.kind = OPTION_FLAG,
		.offset = AT(grpc_adapter),
		.help = "As --grpc-rere; a SuperLink that only speaks this is not supported yet."},
	{.name = "rest",
		.kind = OPTION_FLAG,
		.offset = AT(rest),
		.help = "As --grpc-rere; a SuperLink that only speaks this is not supported yet."},
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
	/* What releases of Flower have beside these. */
	NOT_HERE("ssl-certfile", "FILE", NO_WORKER_TLS),
	NOT_HERE("ssl-keyfile", "FILE", NO_WORKER_TLS),
	NOT_HERE("ssl-ca-certfile", "FILE", NO_WORKER_TLS),
	NOT_HERE("appio-ssl-certfile", "FILE", NO_WORKER_TLS),
	NOT_HERE("appio-ssl-keyfile", "FILE", NO_WORKER_TLS),
	NOT_HERE("appio-ssl-ca-certfile", "FILE", NO_WORKER_TLS),
	NOT_HERE("allow-runtime-dependency-installation", NULL,
		"leave it out, and install what apps import for the interpreter of --python"),
};

/* Options that only one of the two isolations has. */
static int check_isolation(struct options *options, struct reason *why)
{
	if (options->clientapp_command && options->python)
		return reason_code(why, -EINVAL,
			"--python has no effect with --clientapp-command, which starts another "
			"worker: leave one out");
	if (options->clientapp_command && options->app_user)
		return reason_code(why, -EINVAL,
			"--app-user has no effect with --clientapp-command, which starts another "
			"worker: leave one out");
	if (!options->workers_come) {
		if (options->launcher_secret)
			options->warnings[1] =
				"--superexec-auth-secret-file has no effect with --isolation "
				"subprocess: nobody may ask for messages";
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
	if (options->python || options->app_output || options->stderr_in_replies)
		return reason_code(why, -EINVAL,
			"--%s has no effect with --isolation process: give it to flwr-clientapp",
			options->python       ? "python"
			: options->app_output ? "app-output"
					      : "stderr-in-replies");
	if (options->app_user || options->app_env_hide.v[0])
		return reason_code(why, -EINVAL,
			"--%s has no effect with --isolation process: give it to flwr-clientapp",
			options->app_user ? "app-user" : "app-env-hide");
	if (!options->worker_api_address)
		options->worker_api_address = "127.0.0.1:9094";
	if (options->worker_reconnect_ms < 0)
		options->worker_reconnect_ms = 30000;
	if (options->clientapp_wait_ms < 0)
		options->clientapp_wait_ms = 0;
	return 0;
}

/* ---- towards the SuperLink ---- */

/* Is it a file that can be read? 0, or -errno with a line. */
static int check_file(const char *option, const char *path, int exit_code, struct reason *why)
{
	auto_(close_at_exit) int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
	struct stat file;
	int r = fd < 0 || fstat(fd, &file) < 0 ? -errno : 0;

	if (r)
		return reason_exit(why, r, exit_code, "--%s %s cannot be read: %s", option, path,
			strerror(-r));
	if (!S_ISREG(file.st_mode))
		return reason_exit(why, -EINVAL, exit_code, "--%s %s is no file", option, path);
	return 0;
}

/* The same of a key, which may be a descriptor. */
static int check_key(const char *path, struct reason *why)
{
	int fd = fd_named(path);

	if (fd == -1)
		return check_file("auth-supernode-private-key", path, EXIT_CODE_KEY_INVALID, why);
	if (fd < 0)
		return reason_exit(why, -EINVAL, EXIT_CODE_KEY_INVALID,
			"--auth-supernode-private-key %s: fd: is followed by the number of a "
			"descriptor to read from, 0 or 3 and above",
			path);
	return fcntl(fd, F_GETFD) < 0
		       ? reason_exit(why, -EBADF, EXIT_CODE_KEY_INVALID,
				 "--auth-supernode-private-key %s: the descriptor is not open",
				 path)
		       : 0;
}

static int check_tls(struct options *options, struct reason *why)
{
	if (options->insecure && options->root_certificates)
		return reason_code(why, -EINVAL,
			"--root-certificates is for TLS, which --insecure turns off: leave one "
			"out");
	return options->root_certificates ? check_file("root-certificates",
						    options->root_certificates, EXIT_CODE_NONE, why)
					  : 0;
}

static int check_keys(struct options *options, struct reason *why)
{
	int r = 0;

	if (options->auth_public_key && !options->auth_private_key)
		return reason_exit(why, -EINVAL, EXIT_CODE_KEYS_MISSING,
			"--auth-supernode-public-key is of no use without "
			"--auth-supernode-private-key: give that one");
	if (options->auth_private_key && options->insecure)
		return reason_exit(why, -EINVAL, EXIT_CODE_KEY_WITHOUT_TLS,
			"--auth-supernode-private-key is for a SuperLink with TLS: leave out "
			"--insecure, or the key");
	if (options->auth_private_key)
		r = check_key(options->auth_private_key, why);
	if (r == 0 && options->trusted_entities)
		r = check_file("trusted-entities", options->trusted_entities,
			EXIT_CODE_TRUSTED_ENTITIES_INVALID, why);
	if (r == 0 && options->auth_public_key)
		r = check_file("auth-supernode-public-key", options->auth_public_key,
			EXIT_CODE_KEY_INVALID, why);
	return r;
}

static int check_transport(struct options *options, struct reason *why)
{
	if (options->grpc_rere + options->grpc_adapter + options->rest > 1)
		return reason_code(why, -EINVAL,
			"--grpc-rere, --grpc-adapter and --rest are different transports: leave "
			"them out, what the SuperLink speaks is found out");
	if (options->grpc_adapter || options->rest)
		options->warnings[0] =
			options->rest
				? "--rest has no effect: what the SuperLink speaks is found out; "
				  "one that only speaks REST as Flower did up to 1.32 is not "
				  "supported yet"
				: "--grpc-adapter has no effect: what the SuperLink speaks is "
				  "found out; one that only speaks by the adapter is not "
				  "supported yet";
	return 0;
}

/* ---- addresses ---- */

static int check_address(const char *option, const char *address, bool zero_ok, struct reason *why)
{
	struct reason cause = {0};
	int r = address ? address_check(address, zero_ok, &cause) : 0;

	return r ? reason_exit(why, r, EXIT_CODE_ADDRESS_INVALID, "--%s %s", option, cause.text)
		 : 0;
}

/* Does the address, which is a good one, contradict --host or --port? */
static bool contradicts(const struct options *options)
{
	const char *address = options->worker_api_address;
	const char *colon = strrchr(address, ':');
	bool brackets = address[0] == '[' && (!options->host || options->host[0] != '[');
	const char *host = address + brackets;
	size_t len = (size_t)(colon - host) - brackets;
	uint64_t port = 0;

	if (options->host &&
		(strlen(options->host) != len || memcmp(options->host, host, len) != 0))
		return true;
	return options->port >= 0 &&
	       (number_u64(colon + 1, &port) != 0 || port != (uint64_t)options->port);
}

static bool is_unix(const char *address)
{
	return address && strncmp(address, "unix:", 5) == 0;
}

/* --host and --port are the halves of --clientappio-api-address. */
static int check_worker_api(struct options *options, struct reason *why)
{
	const char *host = options->host ? options->host : WORKER_HOST;
	int64_t port = options->port >= 0 ? options->port : WORKER_PORT;
	bool bare6 = strchr(host, ':') && host[0] != '[';
	struct reason cause = {0};
	int r;

	options->worker_api_address = options->worker_api_text;
	r = options->worker_api_address
		    ? address_check_unix(options->worker_api_address, true, &cause)
		    : 0;
	if (r)
		return reason_exit(why, r, EXIT_CODE_ADDRESS_INVALID,
			"--clientappio-api-address %s", cause.text);
	if (options->socket_group && !is_unix(options->worker_api_address))
		return reason_code(why, -EINVAL,
			"--socket-group is for --clientappio-api-address unix:PATH: give that, or "
			"leave it out");
	if (!options->host && options->port < 0)
		return 0;
	if (options->worker_api_address)
		return contradicts(options)
			       ? reason_code(why, -EINVAL,
					 "--clientappio-api-address is --host and --port in one, "
					 "and says something else than they do: leave one out")
			       : 0;
	if (asprintf(&options->host_port, "%s%s%s:%lld", bare6 ? "[" : "", host, bare6 ? "]" : "",
		    (long long)port) < 0) {
		options->host_port = NULL;
		return -ENOMEM;
	}
	options->worker_api_address = options->host_port;
	return check_address("host", options->host_port, true, why);
}

static int check_addresses(struct options *options, struct reason *why)
{
	int r = check_address("superlink", options->superlink, false, why);

	if (r == 0)
		r = check_address(
			"health-server-address", options->health_server_address, true, why);
	if (r == 0)
		r = check_worker_api(options, why);
	if (r == 0 && options->superlink && options->worker_api_address &&
		strcmp(options->worker_api_address, options->superlink) == 0)
		r = reason_code(why, -EINVAL,
			"--superlink and --clientappio-api-address are the same: the first is the "
			"SuperLink's, the second is listened at by this program");
	return r;
}

/* ---- all of it ---- */

/* Nothing of what is handed through is kept for replies. */
static int check_output(struct options *options, struct reason *why)
{
	options->passes_output = options->app_output && strcmp(options->app_output, "pass") == 0;
	if (options->passes_output && options->stderr_in_replies)
		return reason_code(why, -EINVAL,
			"--stderr-in-replies has no effect with --app-output pass, which keeps "
			"nothing of it: leave one out");
	return 0;
}

static int check_dir(const char *option, const char *path, struct reason *why)
{
	struct reason cause = {0};
	int r = path ? dir_check(path, &cause) : 0;

	return r ? reason_code(why, r, "--%s %s", option, cause.text) : 0;
}

static int check(struct options *options, struct reason *why)
{
	struct reason cause = {0};
	int r = check_addresses(options, why);

	options->workers_come = strcmp(options->isolation, "process") == 0;
	if (r == 0)
		r = check_isolation(options, why);
	if (r == 0)
		r = check_output(options, why);
	if (r == 0)
		r = check_tls(options, why);
	if (r == 0)
		r = check_keys(options, why);
	if (r == 0)
		r = check_transport(options, why);
	if (r == 0)
		r = check_dir("flwr-dir", options->flwr_dir, why);
	if (r == 0)
		r = check_dir("state-dir", options->state_dir, why);
	if (r)
		return r;
	if (options->poll_min_ms > options->poll_max_ms)
		return reason_code(why, -EINVAL,
			"--poll-min is larger than --poll-max: give --poll-max %g or more",
			(double)options->poll_min_ms / 1000);
	if (options->node_config_text) {
		r = config_parse(options->node_config_text, &options->node_config, &cause);
		if (r)
			return reason_code(why, r, "--node-config: %s", cause.text);
	}
	return flower_env_log_level(options->log_level_text, &options->log_level);
}

int options_read(int argc, char *const *argv, struct options *out, struct reason *why)
{
	int r;

	*out = (struct options){
		.port = -1,
		.isolation = "subprocess",
		.grpc_max_bytes = GRPC_MAX,
		.max_retries = -1,
		.max_wait_ms = -1,
		.clientapp_wait_ms = -1,
		.worker_reconnect_ms = -1,
		.poll_min_ms = 100,
		.poll_max_ms = 3000,
		.grace_ms = 10000,
		.app_exit_grace_ms = 30000,
	};
	r = options_parse(specs, ARRAY_LEN(specs), argc, argv, out, why);
	return r ? r : check(out, why);
}

void options_done(struct options *options)
{
	value_map_done(&options->node_config);
	options_free_paths(specs, ARRAY_LEN(specs), options);
	free(options->host_port);
	options->host_port = NULL;
}

void options_print_help(FILE *file)
{
	fputs("usage: flower-supernode [--superlink HOST:PORT] [--insecure] [options]\n\n"
	      "Connects to a Flower SuperLink and runs each of its messages in a worker of its "
	      "own.\n\n",
		file);
	options_help(file, specs, ARRAY_LEN(specs));
}
