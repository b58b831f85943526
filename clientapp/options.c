#include "clientapp/options.h"

#include "common/base/address_text.h"
#include "common/base/argument.h"
#include "common/base/cleanup.h"
#include "common/base/exit_code.h"
#include "common/base/files.h"
#include "common/base/number.h"
#include "common/base/text.h"
#include "common/message/task_codec.h"

#include <ctype.h>
#include <errno.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#define TOKEN_FILE_MAX 4096
#define AT(member)     offsetof(struct clientapp_options, member)
#define LAUNCH         AT(launch)
#define SUPEREXEC      "flower-superexec"

/* The programs that have an option. */
enum { CLIENTAPP = 1, LAUNCHER = 2, BOTH = 3 };

struct row {
	int of;
	struct option_spec spec;
};

static const struct row rows[] = {
	{CLIENTAPP,
		ROW_PATH("clientappio-api-address", AT(appio_address), "ADDR",
			"The SuperNode's worker API: host:port or unix:PATH (default 127.0.0.1:9094).")},
	{BOTH, ROW_PATH("runtime-api-address", AT(runtime_address), "ADDR",
		       "The SuperNode's worker API, as releases from 1.36 on call it.")},
	{LAUNCHER, ROW_PATH("appio-api-address", AT(appio_address), "ADDR",
			   "The same, as releases to 1.35 call it.")},
	{CLIENTAPP,
		ROW_TEXT("token", AT(token_text), "TOKEN",
			"The number or hex digits that the SuperNode issued for one message, which is all that is done then (default: ask for messages, one after the other).")},
	{CLIENTAPP, ROW_PATH("token-file", AT(token_file), "FILE", "A file with the token in it.")},
	{CLIENTAPP, ROW_FLAG("run-once", AT(run_once), "Without a token: end after one message.")},
	{BOTH, ROW_PATH("superexec-auth-secret-file", AT(secret_file), "FILE",
		       "As a launcher: the secret of the SuperNode's launchers, to sign with when asking for messages.")},
	{BOTH, ROW_FLAG("insecure", AT(insecure), "Talk to the SuperNode without TLS.")},
	{BOTH, ROW_PATH("root-certificates", AT(root_certificates), "FILE",
		       "PEM file of the authorities that the SuperNode's certificate may come from (default: those of the system).")},
	{BOTH, ROW_PATH("client-certificate", AT(client_certificate), "FILE",
		       "PEM file of the certificate to show to a SuperNode that wants one (--ssl-require-client-certificate).")},
	{BOTH, ROW_PATH("client-key", AT(client_key), "FILE",
		       "PEM file of the key of that certificate.")},
	{BOTH, ROW_INTEGER("parent-pid", AT(parent_pid), 1, INT32_MAX, "PID",
		       "End when this process has ended.")},
	{LAUNCHER, ROW_TEXT("plugin-type", AT(plugin_type), "TYPE",
			   "clientapp (default, and all there is).")},
	{LAUNCHER, ROW_TEXT("executor", AT(executor), "NAME",
			   "subprocess (default, and all there is).")},
	{LAUNCHER,
		ROW_TEXT("health-server-address", AT(health_server_address), "HOST:PORT",
			"Where gRPC's health service is offered, without TLS, as long as this program runs.")},
	{BOTH, LAUNCH_ROW_FLWR_DIR(LAUNCH)},
	{BOTH, LAUNCH_ROW_PYTHON(LAUNCH)},
	{BOTH, LAUNCH_ROW_APP_USER(LAUNCH)},
	{BOTH, LAUNCH_ROW_APP_ENV_HIDE(LAUNCH)},
	{BOTH, LAUNCH_ROW_SANDBOX(LAUNCH)},
	{BOTH, LAUNCH_ROW_APP_DIR_WRITABLE(LAUNCH)},
	{BOTH, LAUNCH_ROW_DATA_DIR(LAUNCH)},
	{BOTH, LAUNCH_ROW_APP_NETWORK(LAUNCH)},
	{BOTH, LAUNCH_ROW_APP_ENV(LAUNCH)},
	{BOTH, LAUNCH_ROW_NATIVE_APP(LAUNCH)},
	{BOTH, LAUNCH_ROW_ALLOW_NATIVE(LAUNCH)},
	{BOTH, LAUNCH_ROW_DEPENDENCIES(LAUNCH)},
	{BOTH, LAUNCH_ROW_DEPENDENCY_INDEX(LAUNCH)},
	{BOTH, LAUNCH_ROW_DEPENDENCY_TIMEOUT(LAUNCH)},
	{BOTH, LAUNCH_ROW_GRACE(LAUNCH,
		       "As a launcher: for the message at work when the program is told to stop (default 10).")},
	{BOTH, LAUNCH_ROW_APP_EXIT_GRACE(LAUNCH)},
	{BOTH, LAUNCH_ROW_WARM_IDLE(LAUNCH)},
	{BOTH, LAUNCH_ROW_PRELOAD(LAUNCH)},
	{BOTH, LAUNCH_ROW_MAX_WORKERS(LAUNCH,
		       "As a launcher: so many messages are asked for and worked on at a time (default 1).")},
	{BOTH, ROW_SECONDS("worker-timeout", AT(worker_timeout_ms), 1, 3650 * OPTION_DAY_MS,
		       "As a launcher: from a worker's start to its reply (default: the SuperNode says when its time is over).")},
	{BOTH, LAUNCH_ROW_WORKER_MEMORY(LAUNCH)},
	{BOTH, LAUNCH_ROW_WORKER_CPUS(LAUNCH)},
	{BOTH, LAUNCH_ROW_WORKER_PIDS(LAUNCH)},
	{BOTH, LAUNCH_ROW_GPU_SLOTS(LAUNCH)},
	{BOTH, LAUNCH_ROW_RESTART(LAUNCH)},
	{BOTH, LAUNCH_ROW_APP_OUTPUT(LAUNCH)},
	{BOTH, ROW_FLAG("signed-apps", AT(signed_apps),
		       "Refuse an installed app that is not as its SuperNode got it; for one with --trusted-entities.")},
	{BOTH, LAUNCH_ROW_STDERR_IN_REPLIES(LAUNCH)},
	{BOTH, LAUNCH_ROW_NO_STDERR_IN_REPLIES(
		       LAUNCH, "Keep them in the log of this program (default).")},
	{BOTH, LAUNCH_ROW_LOG_LEVEL(LAUNCH)},
	{CLIENTAPP, ROW_FLAG("control", AT(control), NULL)},
	{CLIENTAPP, ROW_FLAG("fork-server", AT(fork_server), NULL)},
	{CLIENTAPP, ROW_TEXT("core-limit", AT(core_limit), "BYTES", NULL)},
	{BOTH, ROW_ACTION("version", 'V', OPTIONS_VERSION, "Print the version and exit.")},
	{BOTH, ROW_ACTION("help", 'h', OPTIONS_HELP, "Print this text and exit.")},
	/* Flower's name before 1.15. */
	{CLIENTAPP, ROW_REFUSED("supernode", "HOST:PORT",
			    "--supernode is called --clientappio-api-address ADDR")},
	/* An option of Flower's releases that is not there. */
	{LAUNCHER, ROW_NOT_HERE("executor-config", "FILE",
			   "it is for executors other than subprocess; leave it out")},
};

static bool is_launcher(const struct clientapp_options *options)
{
	return strcmp(options->program, SUPEREXEC) == 0;
}

/* The rows of the program, of which there is place for all. */
static struct option_table table_of(
	const struct clientapp_options *options, struct option_spec specs[ARRAY_LEN(rows)])
{
	const int program = is_launcher(options) ? LAUNCHER : CLIENTAPP;
	struct option_table table = {.rows = specs};

	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		if (rows[i].of & program)
			specs[table.n++] = rows[i].spec;
	}
	return table;
}

/* ---- the address ---- */

/* Without its scheme, if it has one: http:// and https:// are as good as --insecure and its
 * absence. */
static int take_address(struct clientapp_options *options, const char *option, struct reason *why)
{
	struct reason cause = {0};
	enum address_scheme scheme = ADDRESS_BARE;
	int r = address_take_scheme(options->address, &scheme, &options->bare);

	if (r)
		return r;
	if (scheme == ADDRESS_HTTPS && options->insecure)
		return reason_code(why, -EINVAL,
			"--%s https:// is for TLS, which --insecure turns off: leave one out",
			option);
	if (scheme == ADDRESS_HTTP)
		options->insecure = true;
	r = address_check_unix(options->bare, false, &cause);
	if (r)
		return reason_exit(
			why, r, EXIT_CODE_ADDRESS_INVALID, "--%s %s", option, cause.text);
	options->address = options->bare;
	if (scheme != ADDRESS_BARE)
		options->warnings[0] = "the scheme before the SuperNode's address is not needed";
	return 0;
}

/* The address has two names, of which that from 1.36 on wins. */
static int choose_address(struct clientapp_options *options, struct reason *why)
{
	const char *option = is_launcher(options) ? "appio-api-address" : "clientappio-api-address";

	if (options->appio_address && options->runtime_address &&
		strcmp(options->appio_address, options->runtime_address) != 0)
		options->warnings[1] =
			is_launcher(options)
				? "--appio-api-address has no effect: --runtime-api-address, its newer name, is given, too"
				: "--clientappio-api-address has no effect: --runtime-api-address, its newer name, is given, too";
	if (options->runtime_address) {
		options->address = options->runtime_address;
		option = "runtime-api-address";
	} else if (options->appio_address) {
		options->address = options->appio_address;
	} else if (is_launcher(options)) {
		return reason_code(why, -EINVAL,
			"--runtime-api-address ADDR is needed: the address of the SuperNode's worker API");
	}
	return take_address(options, option, why);
}

/* ---- the token ---- */

/* Read the file without the white space around its text. */
static int read_token(struct clientapp_options *options, struct reason *why)
{
	const char *path = options->token_file;
	struct stat file;
	size_t len = 0, from = 0;
	int r = stat(path, &file) < 0 ? -errno : 0;

	if (r == 0 && !S_ISREG(file.st_mode))
		return reason_code(why, -EINVAL, "--token-file %s is no file", path);
	if (r == 0)
		r = file_read(path, TOKEN_FILE_MAX, &options->token_copy, &len);
	if (r)
		return reason_code(
			why, r, "--token-file %s cannot be read: %s", path, strerror(-r));
	while (len > 0 && isspace((unsigned char)options->token_copy[len - 1]))
		options->token_copy[--len] = '\0';
	while (isspace((unsigned char)options->token_copy[from]))
		from++;
	if (strlen(options->token_copy) != len || from == len)
		return reason_code(why, -EINVAL, "--token-file %s has no token in it", path);
	options->token_text = options->token_copy + from;
	return 0;
}

/* Other users can read the command line. */
static int take_token(struct clientapp_options *options, char *const *argv, struct reason *why)
{
	if (!options->token_text)
		return 0;
	options->token_copy = strdup(options->token_text);
	if (!options->token_copy)
		return reason_code(why, -ENOMEM, "no memory");
	options->token_text = options->token_copy;
	argument_hide(argv, "--token");
	return 0;
}

static int check_token(struct clientapp_options *options, char *const *argv, struct reason *why)
{
	int r;

	if (options->token_text && options->token_file)
		return reason_code(why, -EINVAL,
			"--token and --token-file: there is one token, leave one out");
	r = options->token_file ? read_token(options, why) : take_token(options, argv, why);
	if (r)
		return r;
	if (options->token_text && options->launch.grace_ms >= 0)
		return reason_code(why, -EINVAL,
			"--grace and --token: the message of a token is stopped at once; leave one out");
	if (options->token_text && options->secret_file)
		return reason_code(why, -EINVAL,
			"--superexec-auth-secret-file and --token: the secret is for asking for messages; leave one out");
	if ((options->token_text || options->run_once) && options->launch.warm_idle_ms >= 0)
		return reason_code(why, -EINVAL,
			"--warm-idle has no effect with %s: no other message follows; leave one out",
			options->run_once ? "--run-once" : "a token");
	if ((options->token_text || options->run_once) && launch_options_preloads(&options->launch))
		return reason_code(why, -EINVAL,
			"--preload has no effect with %s: no other message follows; leave one out",
			options->run_once ? "--run-once" : "a token");
	if (options->token_text && options->worker_timeout_ms)
		return reason_code(why, -EINVAL,
			"--worker-timeout has no effect with a token: whoever issued it watches the time; leave one out");
	if ((options->token_text || options->run_once) && options->launch.max_workers > 1)
		return reason_code(why, -EINVAL,
			"--max-workers has no effect with %s: there is one message; leave one out",
			options->run_once ? "--run-once" : "a token");
	if ((options->token_text || options->run_once) && options->launch.restarts)
		return reason_code(why, -EINVAL,
			"--restart has no effect with %s: no other message follows; leave one out",
			options->run_once ? "--run-once" : "a token");
	if (options->launch.warm_idle_ms < 0)
		options->launch.warm_idle_ms =
			options->token_text || options->run_once ? 0 : LAUNCH_WARM_IDLE_MS;
	if (options->launch.grace_ms < 0)
		options->launch.grace_ms = 10000;
	if (options->token_text && task_token_valid(options->token_text))
		options->task_token = options->token_text;
	if (!options->token_text || options->task_token)
		return 0;
	return number_u64(options->token_text, &options->token) || !options->token
		       ? reason_code(why, -EINVAL,
				 "%s takes the decimal number that the SuperNode issued, or the 256 hex digits of a task",
				 options->token_file ? "--token-file" : "--token")
		       : 0;
}

/* ---- all of it ---- */

/* Is it a file that can be read? NULL is fine. */
static int check_file(const char *option, const char *path, struct reason *why)
{
	struct stat file;

	if (!path)
		return 0;
	if (stat(path, &file) < 0)
		return reason_exit(why, -errno, EXIT_CODE_PATH_INVALID,
			"--%s %s cannot be read: %s", option, path, strerror(errno));
	return S_ISREG(file.st_mode) ? 0
				     : reason_exit(why, -EINVAL, EXIT_CODE_PATH_INVALID,
					       "--%s %s is no file", option, path);
}

static int check_tls(const struct clientapp_options *options, struct reason *why)
{
	int r;

	if (options->insecure && options->root_certificates)
		return reason_exit(why, -EINVAL, EXIT_CODE_CERTIFICATES_WITH_INSECURE,
			"--root-certificates is for TLS, which --insecure turns off: leave it out");
	if (options->insecure && (options->client_certificate || options->client_key))
		return reason_exit(why, -EINVAL, EXIT_CODE_CERTIFICATES_WITH_INSECURE,
			"--client-certificate is for TLS, which --insecure turns off: leave it out");
	if (!options->client_certificate != !options->client_key)
		return reason_code(why, -EINVAL,
			"--client-certificate and --client-key belong together: give both, or none");
	if (!options->insecure && strncmp(options->address, "unix:", 5) == 0)
		return reason_code(why, -EINVAL,
			"there is no TLS at %s, where nobody can read along: give --insecure",
			options->address);
	r = check_file("root-certificates", options->root_certificates, why);
	if (r == 0)
		r = check_file("client-certificate", options->client_certificate, why);
	return r ? r : check_file("client-key", options->client_key, why);
}

static int check_launcher(const struct clientapp_options *options, struct reason *why)
{
	struct reason cause = {0};
	char shown[64];
	int r;

	if (options->plugin_type && strcmp(options->plugin_type, "clientapp") != 0) {
		text_quote(options->plugin_type, strlen(options->plugin_type), shown, sizeof shown);
		return reason_code(why, -EINVAL,
			"--plugin-type %s is not in this version: this program starts ClientApps for a SuperNode, use --plugin-type clientapp",
			shown);
	}
	if (options->executor && strcmp(options->executor, "subprocess") != 0) {
		text_quote(options->executor, strlen(options->executor), shown, sizeof shown);
		return reason_code(why, -EINVAL,
			"--executor %s is not in this version: apps run as processes beside this program, use --executor subprocess",
			shown);
	}
	r = options->health_server_address
		    ? address_check(options->health_server_address, true, &cause)
		    : 0;
	return r ? reason_exit(why, r, EXIT_CODE_ADDRESS_INVALID, "--health-server-address %s",
			   cause.text)
		 : 0;
}

static int check(struct clientapp_options *options, char *const *argv, struct reason *why)
{
	int r = launch_options_check(&options->launch, why);

	if (r || options->control || options->fork_server)
		return r;
	r = check_launcher(options, why);
	if (r == 0)
		r = check_token(options, argv, why);
	if (r == 0)
		r = choose_address(options, why);
	return r ? r : check_tls(options, why);
}

/* The last part of a path names the program. */
static const char *name_of(const char *path)
{
	const char *slash = path ? strrchr(path, '/') : NULL;
	const char *name = slash ? slash + 1 : path;

	return name && strcmp(name, SUPEREXEC) == 0 ? SUPEREXEC : "flwr-clientapp";
}

int clientapp_options_read(
	int argc, char *const *argv, struct clientapp_options *out, struct reason *why)
{
	struct option_spec specs[ARRAY_LEN(rows)];
	struct option_table table;
	int r;

	*out = (struct clientapp_options){
		.program = name_of(argv[0]),
		.address = "127.0.0.1:9094",
		.launch = {.grace_ms = -1,
			.app_exit_grace_ms = 30000,
			.warm_idle_ms = -1,
			.max_workers = 1,
			.dependency_timeout_ms = -1},
	};
	table = table_of(out, specs);
	r = options_parse(&table, argc, argv, out, why);
	return r ? r : check(out, argv, why);
}

void clientapp_options_done(struct clientapp_options *options)
{
	struct option_spec specs[ARRAY_LEN(rows)];
	const struct option_table table = table_of(options, specs);

	if (options->token_copy)
		explicit_bzero(options->token_copy, strlen(options->token_copy));
	free(options->token_copy);
	options->token_copy = NULL;
	free(options->bare);
	options->bare = NULL;
	options_free_paths(&table, options);
}

void clientapp_options_help(FILE *file, const struct clientapp_options *options)
{
	struct option_spec specs[ARRAY_LEN(rows)];
	const struct option_table table = table_of(options, specs);

	if (is_launcher(options))
		fputs("usage: flower-superexec --runtime-api-address ADDR [--insecure] [options]\n\n",
			file);
	else
		fputs("usage: flwr-clientapp [--insecure] [--clientappio-api-address ADDR] [options]\n\n",
			file);
	fputs("Asks a Flower SuperNode (--isolation process) for messages, runs the ClientApp for each, returns the\nreplies.",
		file);
	fputs(is_launcher(options) ? "\n\n" : " With --token: that one message.\n\n", file);
	options_help(file, &table);
}
