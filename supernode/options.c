#include "supernode/options.h"

#include "common/base/address_text.h"
#include "common/base/cleanup.h"
#include "common/base/exit_code.h"
#include "common/base/files.h"
#include "common/base/number.h"
#include "common/config/config.h"
#include "common/launch/command.h"
#include "common/launch/native_apps.h"
#include "common/launch/sandbox_options.h"

#include <errno.h>
#include <fcntl.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#define AT(member)   offsetof(struct supernode_options, member)
#define LAUNCH       AT(launch)
#define GRPC_MAX     2147483647
#define GRPC_MAX_MIN 536870912
#define DAY_MS       OPTION_DAY_MS
#define WORKER_HOST  "127.0.0.1"
#define WORKER_PORT  9094

static const char *const isolations[] = {"subprocess", "process", NULL};

static const struct option_spec rows[] = {
	ROW_TEXT("superlink", AT(superlink_text), "HOST:PORT",
		"The SuperLink's Fleet API; http:// before it stands for --insecure (default: 127.0.0.1:8000, and when nobody is there 127.0.0.1:9092)."),
	ROW_FLAG("insecure", AT(insecure), "Talk to the SuperLink without TLS."),
	ROW_PATH("root-certificates", AT(root_certificates), "FILE",
		"PEM file of the authorities that the SuperLink's certificate may come from (default: those of the system)."),
	ROW_PATH("auth-supernode-private-key", AT(auth_private_key), "FILE",
		"The key that the SuperLink knows this node by (default: one that is made at the start)."),
	ROW_PATH("auth-supernode-public-key", AT(auth_public_key), "FILE",
		"Compared with the private key, which says it: not needed."),
	ROW_PATH("trusted-entities", AT(trusted_entities), "FILE",
		"YAML file of public keys: only apps that one of them has signed are run."),
	ROW_TEXT("node-config", AT(node_config_text), "CONFIG",
		"What this node tells its apps: 'partition-id=0 name=\"alice\"', or the path of a .toml file."),
	ROW_CHOICE("isolation", AT(isolation), isolations, "MODE",
		"subprocess (default): each message gets a flwr-clientapp of its own; process: nothing is started, a flwr-clientapp that somebody else runs asks for messages."),
	ROW_PATH("clientappio-api-address", AT(worker_api_text), "ADDR",
		"Where workers connect: HOST:PORT (port 0 takes a free one) or unix:PATH (default: a private unix socket; with --isolation process 127.0.0.1:9094; for a launcher or HTTP worker of --clientapp-command a free port of 127.0.0.1)."),
	ROW_TEXT("socket-group", AT(socket_group), "GROUP",
		"The group whose members may connect to unix:PATH (default: that of the process)."),
	ROW_PATH("superexec-auth-secret-file", AT(launcher_secret), "FILE",
		"With --isolation process or a launcher of --clientapp-command: the secret with which launchers sign when they ask for messages; others are refused."),
	ROW_PATH("ssl-certfile", AT(ssl_certificate), "FILE",
		"TLS of the worker API: PEM file of its certificate, and of those between that and its authority. With the next two."),
	ROW_PATH("ssl-keyfile", AT(ssl_key), "FILE", "PEM file of the key of that certificate."),
	ROW_PATH("ssl-ca-certfile", AT(ssl_authorities), "FILE",
		"PEM file of the authorities that the certificates of the worker API and of its workers may come from."),
	ROW_FLAG("ssl-require-client-certificate", AT(ssl_require_client),
		"Refuse a worker that shows no certificate by --ssl-ca-certfile."),
	ROW_TEXT("host", AT(host), "HOST",
		"As --clientappio-api-address HOST:9094, or with --port."),
	ROW_INTEGER("port", AT(port), 0, 65535, "PORT",
		"As --clientappio-api-address 127.0.0.1:PORT, or with --host."),
	ROW_SECONDS("clientapp-wait", AT(clientapp_wait_ms), 1, 3650 * DAY_MS,
		"With --isolation process or a launcher of --clientapp-command: answer a message with an error when no worker has asked for it within this time (default: the message's ttl)."),
	ROW_SECONDS("worker-reconnect", AT(worker_reconnect_ms), 0, DAY_MS,
		"With --isolation process or a launcher of --clientapp-command: how long the worker of a message may be without a connection (default 30)."),
	LAUNCH_ROW_FLWR_DIR(LAUNCH),
	ROW_PATH("state-dir", AT(state_dir), "DIR",
		"What outlives the program is kept below it (default: $STATE_DIRECTORY, else $XDG_STATE_HOME/flwr-native, else flwr-native below the Flower home)."),
	ROW_FLAG("no-state", AT(no_state), "Keep nothing that outlives the program."),
	ROW_TEXT("health-server-address", AT(health_server_text), "HOST:PORT",
		"Where gRPC's health service is offered, without TLS (default: nowhere)."),
	ROW_TEXT("healthcheck", AT(healthcheck), "HOST:PORT",
		"Start nothing: ask the node or launcher whose --health-server-address this is, say in one line how it is, and exit: 0 when it is serving, else 1."),
	LAUNCH_ROW_PYTHON(LAUNCH),
	LAUNCH_ROW_APP_USER(LAUNCH),
	LAUNCH_ROW_APP_ENV_HIDE(LAUNCH),
	LAUNCH_ROW_SANDBOX(LAUNCH),
	LAUNCH_ROW_APP_DIR_WRITABLE(LAUNCH),
	LAUNCH_ROW_DATA_DIR(LAUNCH),
	LAUNCH_ROW_APP_NETWORK(LAUNCH),
	LAUNCH_ROW_APP_ENV(LAUNCH),
	LAUNCH_ROW_NATIVE_APP(LAUNCH),
	LAUNCH_ROW_ALLOW_NATIVE(LAUNCH),
	LAUNCH_ROW_DEPENDENCIES(LAUNCH),
	LAUNCH_ROW_DEPENDENCY_INDEX(LAUNCH),
	LAUNCH_ROW_DEPENDENCY_TIMEOUT(LAUNCH),
	ROW_TEXT("clientapp-command", AT(clientapp_command), "TEMPLATE",
		"Another worker program to start for each message, with {address}, {token}, {token_file} and {parent_pid}; with some of these but no token a launcher, for as long as the node runs (default: the flwr-clientapp beside this program)."),
	ROW_INTEGER("max-retries", AT(max_retries), 0, INT32_MAX, "N",
		"Give up after N further tries of one call (default: never)."),
	ROW_SECONDS("max-wait-time", AT(max_wait_ms), 0, 3650 * DAY_MS,
		"Give up so long after the first try of a call (default: never)."),
	ROW_SECONDS("poll-min", AT(poll_min_ms), 10, DAY_MS,
		"Shortest time between two questions for a message (default 0.1)."),
	ROW_SECONDS("poll-max", AT(poll_max_ms), 10, DAY_MS,
		"Longest time, when nothing has happened for a while (default 3)."),
	LAUNCH_ROW_GRACE(
		LAUNCH, "For messages at work when the program is told to stop (default 10)."),
	LAUNCH_ROW_APP_EXIT_GRACE(LAUNCH),
	LAUNCH_ROW_WARM_IDLE(LAUNCH),
	LAUNCH_ROW_PRELOAD(LAUNCH),
	LAUNCH_ROW_MAX_WORKERS(LAUNCH,
		"So many messages are worked on at a time, those of several runs in turn (default 1). With --isolation process: so many are handed out."),
	ROW_FLAG("parallel-in-run", AT(parallel_in_run),
		"With --max-workers: messages of one run, too, at once; the Context of the last one to be answered stays (default: one after the other)."),
	LAUNCH_ROW_WORKER_MEMORY(LAUNCH),
	LAUNCH_ROW_WORKER_CPUS(LAUNCH),
	LAUNCH_ROW_WORKER_PIDS(LAUNCH),
	LAUNCH_ROW_GPU_SLOTS(LAUNCH),
	ROW_SECONDS("worker-timeout", AT(worker_timeout_ms), 1, 3650 * DAY_MS,
		"From a worker's first call to its reply (default: the message's ttl)."),
	ROW_BYTES("spool-max", AT(spool_max_bytes), 1 << 20, INT64_MAX,
		"Objects of messages in files, with K, M or G (default: half of what is free on their file system)."),
	ROW_BYTES("memory-budget", AT(memory_budget_bytes), 1 << 20, INT64_MAX,
		"What peers may make us hold, with K, M or G (default: half of the memory limit that applies)."),
	ROW_BYTES("grpc-max-message-length", AT(grpc_max_bytes), GRPC_MAX_MIN, GRPC_MAX,
		"Largest message of the SuperLink or a worker (default 2147483647)."),
	LAUNCH_ROW_RESTART(LAUNCH),
	LAUNCH_ROW_APP_OUTPUT(LAUNCH),
	LAUNCH_ROW_STDERR_IN_REPLIES(LAUNCH),
	LAUNCH_ROW_NO_STDERR_IN_REPLIES(LAUNCH, "Keep them in the log of this node (default)."),
	LAUNCH_ROW_LOG_LEVEL(LAUNCH),
	ROW_FLAG("grpc-rere", AT(grpc_rere),
		"A first guess: what the SuperLink speaks is found out in any case."),
	ROW_FLAG("grpc-adapter", AT(grpc_adapter), "As --grpc-rere: another guess."),
	ROW_FLAG("rest", AT(rest), "As --grpc-rere: another guess."),
	ROW_ACTION("version", 'V', OPTIONS_VERSION, "Print the version and exit."),
	ROW_ACTION("help", 'h', OPTIONS_HELP, "Print this text and exit."),
	/* Flower's name before 1.15. */
	ROW_REFUSED("server", "HOST:PORT", "--server is called --superlink HOST:PORT"),
	/* Their names before 1.37. */
	ROW_PATH("appio-ssl-certfile", AT(appio_ssl_certificate), "FILE", NULL),
	ROW_PATH("appio-ssl-keyfile", AT(appio_ssl_key), "FILE", NULL),
	ROW_PATH("appio-ssl-ca-certfile", AT(appio_ssl_authorities), "FILE", NULL),
};

static const struct option_table table = {rows, ARRAY_LEN(rows)};

/* Defaults for workers that come by themselves. */
static void come_by_default(struct supernode_options *options, const char *address)
{
	if (!options->worker_api_address)
		options->worker_api_address = address;
	if (options->worker_reconnect_ms < 0)
		options->worker_reconnect_ms = 30000;
	if (options->clientapp_wait_ms < 0)
		options->clientapp_wait_ms = 0;
}

/* The first option about who apps are, what they reach, or that they are native; NULL: none. */
static const char *about_apps(const struct launch_options *launch)
{
	if (native_apps_any(launch))
		return launch->native_app.v[0] ? "native-app" : "allow-native";
	return launch->app_user ? "app-user" : sandbox_options_any(launch);
}

/* The first option that limits apps; NULL: none is given. */
static const char *limit_given(const struct launch_options *launch)
{
	return launch->worker_memory_bytes ? "worker-memory"
	       : launch->worker_cpus       ? "worker-cpus"
	       : launch->worker_pids       ? "worker-pids"
					   : NULL;
}

/* Options that only one of the two isolations has. */
static int check_isolation(struct supernode_options *options, struct reason *why)
{
	if (options->clientapp_command && options->launch.python)
		return reason_code(why, -EINVAL,
			"--python has no effect with --clientapp-command, which starts another worker: leave one out");
	if (options->clientapp_command && about_apps(&options->launch))
		return reason_code(why, -EINVAL,
			"--%s has no effect with --clientapp-command, which starts another worker: leave one out",
			about_apps(&options->launch));
	if (options->clientapp_command && options->launch.warm_idle_ms >= 0)
		return reason_code(why, -EINVAL,
			"--warm-idle has no effect with --clientapp-command, which starts another worker: leave one out");
	if (options->workers_come && options->launch.warm_idle_ms >= 0)
		return reason_code(why, -EINVAL,
			"--warm-idle has no effect with --isolation process: give it to flwr-clientapp");
	if (options->clientapp_command && launch_options_preloads(&options->launch))
		return reason_code(why, -EINVAL,
			"--preload has no effect with --clientapp-command, which starts another worker: leave one out");
	if (options->workers_come && launch_options_preloads(&options->launch))
		return reason_code(why, -EINVAL,
			"--preload has no effect with --isolation process: give it to flwr-clientapp");
	if (options->clientapp_command && limit_given(&options->launch))
		return reason_code(why, -EINVAL,
			"--%s has no effect with --clientapp-command, which starts another worker: leave one out",
			limit_given(&options->launch));
	if (options->workers_come && limit_given(&options->launch))
		return reason_code(why, -EINVAL,
			"--%s has no effect with --isolation process: give it to flwr-clientapp",
			limit_given(&options->launch));
	if (options->workers_come && options->launch.gpu_slots)
		return reason_code(why, -EINVAL,
			"--gpu-slots has no effect where the node starts no workers: give it to what starts them");
	if (options->launch.warm_idle_ms < 0)
		options->launch.warm_idle_ms = options->clientapp_command ? 0 : LAUNCH_WARM_IDLE_MS;
	if (options->launch.installs_dependencies && options->clientapp_command)
		options->warnings[6] =
			"--allow-runtime-dependency-installation has no effect with --clientapp-command: say it in the template, to the program that runs the apps";
	if (options->launch.installs_dependencies && options->workers_come)
		options->warnings[6] =
			"--allow-runtime-dependency-installation has no effect with --isolation process: give it to flower-superexec or flwr-clientapp";
	if (!options->workers_come) {
		if (options->launcher_secret)
			options->warnings[1] =
				"--superexec-auth-secret-file has no effect with --isolation subprocess: nobody may ask for messages";
		if (options->clientapp_wait_ms >= 0 || options->worker_reconnect_ms >= 0)
			return reason_code(why, -EINVAL,
				"--%s is for --isolation process: with subprocess the node starts its workers itself",
				options->clientapp_wait_ms >= 0 ? "clientapp-wait"
								: "worker-reconnect");
		if (!options->worker_api_address && command_speaks_http(options->clientapp_command))
			options->worker_api_address = "127.0.0.1:0";
		return 0;
	}
	if (options->is_launcher) {
		if (options->launch.app_output || options->launch.stderr_in_replies)
			return reason_code(why, -EINVAL,
				"--%s has no effect with --clientapp-command, whose launcher starts the apps: leave it out",
				options->launch.app_output ? "app-output" : "stderr-in-replies");
		come_by_default(options, "127.0.0.1:0");
		return 0;
	}
	if (options->clientapp_command)
		return reason_code(why, -EINVAL,
			"--clientapp-command is for --isolation subprocess: with process nothing is started");
	if (options->launch.python || options->launch.app_output ||
		options->launch.stderr_in_replies)
		return reason_code(why, -EINVAL,
			"--%s has no effect with --isolation process: give it to flwr-clientapp",
			options->launch.python       ? "python"
			: options->launch.app_output ? "app-output"
						     : "stderr-in-replies");
	if (about_apps(&options->launch) || options->launch.app_env_hide.v[0])
		return reason_code(why, -EINVAL,
			"--%s has no effect with --isolation process: give it to flwr-clientapp",
			about_apps(&options->launch) ? about_apps(&options->launch)
						     : "app-env-hide");
	come_by_default(options, "127.0.0.1:9094");
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
static int check_key(const char *path, bool restarts, struct reason *why)
{
	int fd = fd_named(path);

	if (fd == -1)
		return check_file("auth-supernode-private-key", path, EXIT_CODE_KEY_INVALID, why);
	if (restarts)
		return reason_code(why, -EINVAL,
			"--restart and --auth-supernode-private-key %s: a descriptor can be read once; leave one out, or name a file",
			path);
	if (fd < 0)
		return reason_exit(why, -EINVAL, EXIT_CODE_KEY_INVALID,
			"--auth-supernode-private-key %s: fd: is followed by the number of a descriptor to read from, 0 or 3 and above",
			path);
	return fcntl(fd, F_GETFD) < 0
		       ? reason_exit(why, -EBADF, EXIT_CODE_KEY_INVALID,
				 "--auth-supernode-private-key %s: the descriptor is not open",
				 path)
		       : 0;
}

static int check_tls(struct supernode_options *options, struct reason *why)
{
	if (options->insecure && options->root_certificates)
		return reason_code(why, -EINVAL,
			"--root-certificates is for TLS, which --insecure or http:// turns off: leave one out");
	return options->root_certificates ? check_file("root-certificates",
						    options->root_certificates, EXIT_CODE_NONE, why)
					  : 0;
}

static bool is_unix(const char *address)
{
	return address && strncmp(address, "unix:", 5) == 0;
}

/* The name from 1.37 on wins. */
static void choose(const char **newer, const char **older)
{
	if (!*newer)
		*newer = take_pointer(older);
}

/* TLS of the worker API. */
static int check_worker_tls(struct supernode_options *options, struct reason *why)
{
	int r;

	if (options->appio_ssl_certificate || options->appio_ssl_key ||
		options->appio_ssl_authorities)
		options->warnings[4] =
			"--appio-ssl-certfile, --appio-ssl-keyfile and --appio-ssl-ca-certfile are called --ssl-certfile, --ssl-keyfile and --ssl-ca-certfile now";
	choose(&options->ssl_certificate, &options->appio_ssl_certificate);
	choose(&options->ssl_key, &options->appio_ssl_key);
	choose(&options->ssl_authorities, &options->appio_ssl_authorities);
	if (!options->ssl_certificate && !options->ssl_key && !options->ssl_authorities)
		return options->ssl_require_client
			       ? reason_code(why, -EINVAL,
					 "--ssl-require-client-certificate is for TLS: give --ssl-certfile, --ssl-keyfile and --ssl-ca-certfile")
			       : 0;
	if (!options->ssl_certificate || !options->ssl_key || !options->ssl_authorities)
		return reason_exit(why, -EINVAL, EXIT_CODE_SERVER_CERTIFICATES_INVALID,
			"--ssl-certfile, --ssl-keyfile and --ssl-ca-certfile belong together: give all three, or none");
	if (is_unix(options->worker_api_address))
		return reason_code(why, -EINVAL,
			"--ssl-certfile is for a worker API at HOST:PORT: nobody can read along at unix:PATH; leave one out");
	if (!options->worker_api_address)
		options->warnings[5] =
			"--ssl-certfile has no effect: the worker API is at a private unix socket, where nobody can read along";
	r = check_file("ssl-certfile", options->ssl_certificate, EXIT_CODE_PATH_INVALID, why);
	if (r == 0)
		r = check_file("ssl-keyfile", options->ssl_key, EXIT_CODE_PATH_INVALID, why);
	return r ? r
		 : check_file("ssl-ca-certfile", options->ssl_authorities, EXIT_CODE_PATH_INVALID,
			   why);
}

static int check_keys(struct supernode_options *options, struct reason *why)
{
	int r = 0;

	if (options->auth_public_key && !options->auth_private_key)
		return reason_exit(why, -EINVAL, EXIT_CODE_KEYS_MISSING,
			"--auth-supernode-public-key is of no use without --auth-supernode-private-key: give that one");
	if (options->auth_private_key && options->insecure)
		return reason_exit(why, -EINVAL, EXIT_CODE_KEY_WITHOUT_TLS,
			"--auth-supernode-private-key is for a SuperLink with TLS: leave out --insecure or http://, or the key");
	if (options->auth_private_key)
		r = check_key(options->auth_private_key, options->launch.restarts, why);
	if (r == 0 && options->trusted_entities)
		r = check_file("trusted-entities", options->trusted_entities,
			EXIT_CODE_TRUSTED_ENTITIES_INVALID, why);
	if (r == 0 && options->auth_public_key)
		r = check_file("auth-supernode-public-key", options->auth_public_key,
			EXIT_CODE_KEY_INVALID, why);
	return r;
}

static int check_transport(struct supernode_options *options, struct reason *why)
{
	if (options->grpc_rere + options->grpc_adapter + options->rest > 1)
		return reason_code(why, -EINVAL,
			"--grpc-rere, --grpc-adapter and --rest are different transports: leave them out, what the SuperLink speaks is found out");
	options->transport = options->grpc_rere      ? "grpc-rere"
			     : options->grpc_adapter ? "grpc-adapter"
			     : options->rest         ? "rest"
						     : NULL;
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
static bool contradicts(const struct supernode_options *options)
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

/* --host and --port are the halves of --clientappio-api-address. */
static int check_worker_api(struct supernode_options *options, struct reason *why)
{
	const char *host = options->host ? options->host : WORKER_HOST;
	int64_t port = options->port >= 0 ? options->port : WORKER_PORT;
	bool bare6 = strchr(host, ':') && host[0] != '[';
	struct reason cause = {0};
	int r;

	options->worker_api_address = options->worker_api_bare;
	r = options->worker_api_address
		    ? address_check_unix(options->worker_api_address, true, &cause)
		    : 0;
	if (r)
		return reason_exit(why, r, EXIT_CODE_ADDRESS_INVALID,
			"--clientappio-api-address %s", cause.text);
	if (options->socket_group && !is_unix(options->worker_api_address))
		return reason_code(why, -EINVAL,
			"--socket-group is for --clientappio-api-address unix:PATH: give that, or leave it out");
	if (!options->host && options->port < 0)
		return 0;
	if (options->worker_api_address)
		return contradicts(options)
			       ? reason_code(why, -EINVAL,
					 "--clientappio-api-address is --host and --port in one, and says something else than they do: leave one out")
			       : 0;
	if (asprintf(&options->host_port, "%s%s%s:%lld", bare6 ? "[" : "", host, bare6 ? "]" : "",
		    (long long)port) < 0) {
		options->host_port = NULL;
		return -ENOMEM;
	}
	options->worker_api_address = options->host_port;
	return check_address("host", options->host_port, true, why);
}

/* An address of the program's own. *bare_out is left as it is when text is NULL. */
static int take_plain(
	const char *option, const char *text, bool *taken_out, char **bare_out, struct reason *why)
{
	struct reason cause = {0};
	int r = text ? address_take_plain(text, taken_out, bare_out, &cause) : 0;

	return r == -EINVAL ? reason_exit(why, r, EXIT_CODE_ADDRESS_INVALID, "--%s %s", option,
				      cause.text)
			    : r;
}

static int take_plain_schemes(struct supernode_options *options, struct reason *why)
{
	bool worker_api = false, health = false;
	int r = take_plain("clientappio-api-address", options->worker_api_text, &worker_api,
		&options->worker_api_bare, why);

	if (r == 0)
		r = take_plain("health-server-address", options->health_server_text, &health,
			&options->health_server_address, why);
	if (worker_api)
		options->warnings[2] =
			"--clientappio-api-address: the scheme before the address is not needed";
	if (health)
		options->warnings[3] =
			"--health-server-address: the scheme before the address is not needed";
	return r;
}

/* http:// and https:// are as good as --insecure and its absence. */
static int take_scheme(struct supernode_options *options, struct reason *why)
{
	enum address_scheme scheme = ADDRESS_BARE;
	int r = options->superlink_text
			? address_take_scheme(options->superlink_text, &scheme, &options->superlink)
			: 0;

	if (r)
		return r;
	if (scheme == ADDRESS_HTTPS && options->insecure)
		return reason_code(why, -EINVAL,
			"--superlink https:// is for TLS, which --insecure turns off: leave one out");
	if (scheme == ADDRESS_HTTP && !options->insecure)
		options->insecure = true;
	else if (scheme != ADDRESS_BARE)
		options->warnings[0] =
			"--superlink: the scheme before the address is not needed: what the SuperLink speaks is found out";
	return 0;
}

static int check_addresses(struct supernode_options *options, struct reason *why)
{
	int r = take_scheme(options, why);

	if (r == 0)
		r = take_plain_schemes(options, why);
	if (r == 0)
		r = check_address("superlink", options->superlink, false, why);
	if (r == 0)
		r = check_address(
			"health-server-address", options->health_server_address, true, why);
	if (r == 0)
		r = check_address("healthcheck", options->healthcheck, false, why);
	if (r == 0)
		r = check_worker_api(options, why);
	if (r == 0 && options->superlink && options->worker_api_address &&
		strcmp(options->worker_api_address, options->superlink) == 0)
		r = reason_code(why, -EINVAL,
			"--superlink and --clientappio-api-address are the same: the first is the SuperLink's, the second is listened at by this program");
	return r;
}

/* ---- all of it ---- */

static int check(struct supernode_options *options, struct reason *why)
{
	struct reason cause = {0};
	int r = check_addresses(options, why);

	options->workers_come = strcmp(options->isolation, "process") == 0;
	options->is_launcher = !options->workers_come && options->clientapp_command &&
			       command_is_launcher(options->clientapp_command);
	options->workers_come = options->workers_come || options->is_launcher;
	if (r == 0)
		r = check_isolation(options, why);
	if (r == 0)
		r = launch_options_check(&options->launch, why);
	if (r == 0)
		r = check_tls(options, why);
	if (r == 0)
		r = check_worker_tls(options, why);
	if (r == 0)
		r = check_keys(options, why);
	if (r == 0)
		r = check_transport(options, why);
	if (r)
		return r;
	r = options->state_dir ? dir_check(options->state_dir, &cause) : 0;
	if (r)
		return reason_code(why, r, "--state-dir %s", cause.text);
	if (options->parallel_in_run && options->launch.max_workers == 1)
		return reason_code(why, -EINVAL,
			"--parallel-in-run has no effect with one worker: give --max-workers 2 or more");
	if (options->poll_min_ms > options->poll_max_ms)
		return reason_code(why, -EINVAL,
			"--poll-min is larger than --poll-max: give --poll-max %g or more",
			(double)options->poll_min_ms / 1000);
	if (options->node_config_text) {
		r = config_parse(options->node_config_text, &options->node_config, &cause);
		if (r)
			return reason_code(why, r, "--node-config: %s", cause.text);
	}
	return 0;
}

int supernode_options_read(
	int argc, char *const *argv, struct supernode_options *out, struct reason *why)
{
	int r;

	*out = (struct supernode_options){
		.port = -1,
		.isolation = "subprocess",
		.grpc_max_bytes = GRPC_MAX,
		.max_retries = -1,
		.max_wait_ms = -1,
		.clientapp_wait_ms = -1,
		.worker_reconnect_ms = -1,
		.poll_min_ms = 100,
		.poll_max_ms = 3000,
		.launch = {.grace_ms = 10000,
			.app_exit_grace_ms = 30000,
			.warm_idle_ms = -1,
			.max_workers = 1,
			.dependency_timeout_ms = -1},
	};
	r = options_parse(&table, argc, argv, out, why);
	return r ? r : check(out, why);
}

void supernode_options_done(struct supernode_options *options)
{
	value_map_done(&options->node_config);
	options_free_paths(&table, options);
	free(options->host_port);
	free(options->superlink);
	free(options->worker_api_bare);
	free(options->health_server_address);
	options->host_port = options->superlink = NULL;
	options->worker_api_bare = options->health_server_address = NULL;
}

void supernode_options_help(FILE *file)
{
	fputs("usage: flower-supernode [--superlink HOST:PORT] [--insecure] [options]\n\n", file);
	fputs("Connects to a Flower SuperLink and runs each of its messages in a worker of its own.\n\n",
		file);
	options_help(file, &table);
}
