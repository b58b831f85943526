#include "clientapp/options.h"

#include "common/base/cleanup.h"
#include "common/base/exit_code.h"
#include "common/base/files.h"
#include "common/base/flower_env.h"
#include "common/base/number.h"
#include "common/base/options.h"
#include "common/base/text.h"
#include "common/message/task_codec.h"

#include <ctype.h>
#include <errno.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#define TOKEN_FILE_MAX  4096
#define AT(member)      offsetof(struct options, member)
#define SUPEREXEC       "flower-superexec"
#define NO_DEPENDENCIES "leave it out, and install what apps import for the interpreter of --python"

/* Which of the two programs has an option. */
enum { CLIENTAPP = 1, LAUNCHER = 2, BOTH = 3 };

struct row {
	int of;
	struct option_spec spec;
};

static const char *const outputs[] = {"log", "pass", NULL};
static const char *const levels[] = {"error", "warn", "info", "debug", NULL};

static const struct row rows[] = {
	{CLIENTAPP, {.name = "clientappio-api-address",
			    .kind = OPTION_PATH,
			    .offset = AT(appio_address),
			    .metavar = "ADDR",
			    .help = "The SuperNode's worker API: host:port or unix:PATH (default "
				    "127.0.0.1:9094)."}},
	{BOTH, {.name = "runtime-api-address",
		       .kind = OPTION_PATH,
		       .offset = AT(runtime_address),
		       .metavar = "ADDR",
		       .help = "The SuperNode's worker API, as releases from 1.36 on call it."}},
	{LAUNCHER, {.name = "appio-api-address",
			   .kind = OPTION_PATH,
			   .offset = AT(appio_address),
			   .metavar = "ADDR",
			   .help = "The same, as releases to 1.35 call it."}},
	{CLIENTAPP, {.name = "token",
			    .kind = OPTION_TEXT,
			    .offset = AT(token_text),
			    .metavar = "TOKEN",
			    .help = "The number or hex digits that the SuperNode issued for one "
				    "message, which is all that is done then (default: ask for "
				    "messages, one after the other)."}},
	{CLIENTAPP, {.name = "token-file",
			    .kind = OPTION_PATH,
			    .offset = AT(token_file),
			    .metavar = "FILE",
			    .help = "A file with the token in it."}},
	{CLIENTAPP, {.name = "run-once",
			    .kind = OPTION_FLAG,
			    .offset = AT(run_once),
			    .help = "Without a token: end after one message."}},
	{BOTH, {.name = "superexec-auth-secret-file",
		       .kind = OPTION_PATH,
		       .offset = AT(secret_file),
		       .metavar = "FILE",
		       .help = "Without a token: the secret of the SuperNode's launchers, to sign "
			       "with when asking for messages."}},
	{BOTH, {.name = "insecure",
		       .kind = OPTION_FLAG,
		       .offset = AT(insecure),
		       .help = "Talk to the SuperNode without TLS."}},
	{BOTH, {.name = "parent-pid",
		       .kind = OPTION_INTEGER,
		       .offset = AT(parent_pid),
		       .min = 1,
		       .max = INT32_MAX,
		       .metavar = "PID",
		       .help = "End when this process has ended."}},
	{LAUNCHER, {.name = "plugin-type",
			   .kind = OPTION_TEXT,
			   .offset = AT(plugin_type),
			   .metavar = "TYPE",
			   .help = "clientapp (default, and all there is)."}},
	{LAUNCHER, {.name = "executor",
			   .kind = OPTION_TEXT,
			   .offset = AT(executor),
			   .metavar = "NAME",
			   .help = "subprocess (default, and all there is)."}},
	{BOTH, {.name = "flwr-dir",
		       .kind = OPTION_PATH,
		       .offset = AT(flwr_dir),
		       .metavar = "DIR",
		       .help = "Apps are installed below it (default: $FLWR_HOME, else "
			       "$HOME/.flwr, else $XDG_DATA_HOME/.flwr)."}},
	{BOTH, {.name = "python",
		       .kind = OPTION_PATH,
		       .offset = AT(python),
		       .metavar = "PATH",
		       .help = "The interpreter that runs apps, with the flwr package installed "
			       "(default: $VIRTUAL_ENV/bin/python3, else python3 on PATH)."}},
	{BOTH, {.name = "app-user",
		       .kind = OPTION_TEXT,
		       .offset = AT(app_user),
		       .metavar = "USER",
		       .help = "As root: apps run as this user, a name, UID or UID:GID (default: "
			       "as root)."}},
	{BOTH, {.name = "app-env-hide",
		       .kind = OPTION_NAMES,
		       .offset = AT(app_env_hide),
		       .metavar = "NAMES",
		       .help = "Environment variables that apps do not get; a name may end in *. "
			       "Can be given several times."}},
	{BOTH, {.name = "grace",
		       .kind = OPTION_SECONDS,
		       .offset = AT(grace_ms),
		       .min = 0,
		       .max = 86400000,
		       .metavar = "SECONDS",
		       .help = "Without a token: for the message at work when the program is told "
			       "to stop (default 10)."}},
	{BOTH, {.name = "app-exit-grace",
		       .kind = OPTION_SECONDS,
		       .offset = AT(app_exit_grace_ms),
		       .min = 0,
		       .max = 86400000,
		       .metavar = "SECONDS",
		       .help = "For an app to end by itself when its reply was taken over: its "
			       "threads, exit handlers and open files (default 30)."}},
	{BOTH, {.name = "app-output",
		       .kind = OPTION_CHOICE,
		       .offset = AT(app_output),
		       .choices = outputs,
		       .metavar = "WAY",
		       .help = "What apps print: log (default) puts it into the log by lines; "
			       "pass hands it through to stdout and stderr as it is."}},
	{BOTH, {.name = "signed-apps",
		       .kind = OPTION_FLAG,
		       .offset = AT(signed_apps),
		       .help = "Refuse an installed app that is not as its SuperNode got it; for "
			       "one "
			       "with --trusted-entities."}},
	{BOTH, {.name = "stderr-in-replies",
		       .kind = OPTION_FLAG,
		       .offset = AT(stderr_in_replies),
		       .help = "Send an app's last lines of stderr in error replies, too."}},
	{BOTH, {.name = "no-stderr-in-replies",
		       .kind = OPTION_OFF,
		       .offset = AT(stderr_in_replies),
		       .help = "Keep them in the log of this program (default)."}},
	{BOTH, {.name = "log-level",
		       .kind = OPTION_CHOICE,
		       .offset = AT(log_level_text),
		       .choices = levels,
		       .metavar = "LEVEL",
		       .help = "error, warn, info or debug (default: $FLWR_LOG_LEVEL, else "
			       "info)."}},
	{CLIENTAPP, {.name = "control", .kind = OPTION_FLAG, .offset = AT(control)}},
	{CLIENTAPP, {.name = "core-limit",
			    .kind = OPTION_TEXT,
			    .offset = AT(core_limit),
			    .metavar = "BYTES"}},
	{BOTH, {.name = "version",
		       .letter = 'V',
		       .kind = OPTION_ACTION,
		       .action = OPTIONS_VERSION,
		       .help = "Print the version and exit."}},
	{BOTH, {.name = "help",
		       .letter = 'h',
		       .kind = OPTION_ACTION,
		       .action = OPTIONS_HELP,
		       .help = "Print this text and exit."}},
	/* With --insecure a contradiction, without it not there: check_tls(). */
	{BOTH, {.name = "root-certificates",
		       .kind = OPTION_PATH,
		       .offset = AT(root_certificates),
		       .metavar = "FILE"}},
	/* Of Flower before 1.15. */
	{CLIENTAPP, {.name = "supernode",
			    .kind = OPTION_REFUSED,
			    .metavar = "HOST:PORT",
			    .why_refused = "--supernode is called --clientappio-api-address ADDR"}},
	/* What releases of Flower have beside these. */
	{BOTH, {.name = "allow-runtime-dependency-installation",
		       .kind = OPTION_REFUSED,
		       .why_refused = "--allow-runtime-dependency-installation is not in this "
				      "version: " NO_DEPENDENCIES}},
	{LAUNCHER,
		{.name = "health-server-address",
			.kind = OPTION_REFUSED,
			.metavar = "HOST:PORT",
			.why_refused = "--health-server-address is not in this version: leave it "
				       "out; the program ends when it cannot work"}},
	{LAUNCHER, {.name = "executor-config",
			   .kind = OPTION_REFUSED,
			   .metavar = "FILE",
			   .why_refused = "--executor-config is not in this version: it is for "
					  "executors other than subprocess; leave it out"}},
};

static bool is_launcher(const struct options *options)
{
	return strcmp(options->program, SUPEREXEC) == 0;
}

/* The rows of the program; how many. */
static size_t rows_of(const struct options *options, struct option_spec specs[ARRAY_LEN(rows)])
{
	const int program = is_launcher(options) ? LAUNCHER : CLIENTAPP;
	size_t n = 0;

	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		if (rows[i].of & program)
			specs[n++] = rows[i].spec;
	}
	return n;
}

/* ---- the address ---- */

static int check_address(const char *option, const char *address, struct reason *why)
{
	struct reason cause = {0};
	int r = address_check_unix(address, false, &cause);

	return r ? reason_exit(why, r, EXIT_CODE_ADDRESS_INVALID, "--%s %s", option, cause.text)
		 : 0;
}

/* It has two names. */
static int choose_address(struct options *options, struct reason *why)
{
	const char *older = is_launcher(options) ? "appio-api-address" : "clientappio-api-address";

	if (options->appio_address && options->runtime_address &&
		strcmp(options->appio_address, options->runtime_address) != 0)
		return reason_code(why, -EINVAL,
			"--%s and --runtime-api-address are two names of one thing: leave one out",
			older);
	if (options->runtime_address) {
		options->address = options->runtime_address;
		older = "runtime-api-address";
	} else if (options->appio_address) {
		options->address = options->appio_address;
	} else if (is_launcher(options)) {
		return reason_code(why, -EINVAL,
			"--runtime-api-address ADDR is needed: the address of the SuperNode's "
			"worker API");
	}
	return check_address(older, options->address, why);
}

/* ---- the token ---- */

/* What the file has, without the white space around it. */
static int read_token(struct options *options, struct reason *why)
{
	const char *path = options->token_file;
	struct stat file;
	size_t len = 0, from = 0;
	int r = stat(path, &file) < 0 ? -errno : 0;

	if (r == 0 && !S_ISREG(file.st_mode))
		return reason_code(why, -EINVAL, "--token-file %s is no file", path);
	if (r == 0)
		r = file_read(path, TOKEN_FILE_MAX, &options->file_token, &len);
	if (r)
		return reason_code(
			why, r, "--token-file %s cannot be read: %s", path, strerror(-r));
	while (len > 0 && isspace((unsigned char)options->file_token[len - 1]))
		options->file_token[--len] = '\0';
	while (isspace((unsigned char)options->file_token[from]))
		from++;
	if (strlen(options->file_token) != len || from == len)
		return reason_code(why, -EINVAL, "--token-file %s has no token in it", path);
	options->token_text = options->file_token + from;
	return 0;
}

static int check_token(struct options *options, struct reason *why)
{
	int r = 0;

	if (options->token_text && options->token_file)
		return reason_code(why, -EINVAL,
			"--token and --token-file: there is one token, leave one out");
	if (options->token_file)
		r = read_token(options, why);
	if (r)
		return r;
	if (options->token_text && options->grace_ms >= 0)
		return reason_code(why, -EINVAL,
			"--grace and --token: the message of a token is stopped at once; leave one "
			"out");
	if (options->token_text && options->secret_file)
		return reason_code(why, -EINVAL,
			"--superexec-auth-secret-file and --token: the secret is for asking for "
			"messages; leave one out");
	if (options->grace_ms < 0)
		options->grace_ms = 10000;
	if (!options->token_text || task_token_valid(options->token_text))
		return 0;
	return number_u64(options->token_text, &options->token)
		       ? reason_code(why, -EINVAL,
				 "%s takes the decimal number that the SuperNode issued, or the "
				 "256 hex digits of a task",
				 options->token_file ? "--token-file" : "--token")
		       : 0;
}

/* ---- all of it ---- */

static int check_tls(const struct options *options, struct reason *why)
{
	if (options->insecure && options->root_certificates)
		return reason_exit(why, -EINVAL, EXIT_CODE_CERTIFICATES_WITH_INSECURE,
			"--root-certificates is for TLS, which --insecure turns off: leave it out");
	if (options->root_certificates)
		return reason_code(why, -EINVAL,
			"--root-certificates: TLS to the SuperNode is not in this version; use "
			"--insecure");
	return options->insecure ? 0
				 : reason_code(why, -EINVAL,
					   "TLS to the SuperNode is not in this version: give "
					   "--insecure to talk to it without");
}

static int check_launcher(const struct options *options, struct reason *why)
{
	char shown[64];

	if (options->plugin_type && strcmp(options->plugin_type, "clientapp") != 0) {
		text_quote(options->plugin_type, strlen(options->plugin_type), shown, sizeof shown);
		return reason_code(why, -EINVAL,
			"--plugin-type %s is not in this version: this program starts ClientApps "
			"for a SuperNode, use --plugin-type clientapp",
			shown);
	}
	if (options->executor && strcmp(options->executor, "subprocess") != 0) {
		text_quote(options->executor, strlen(options->executor), shown, sizeof shown);
		return reason_code(why, -EINVAL,
			"--executor %s is not in this version: apps run as processes beside this "
			"program, use --executor subprocess",
			shown);
	}
	return 0;
}

static int check(struct options *options, struct reason *why)
{
	struct reason cause = {0};
	int r = flower_env_log_level(options->log_level_text, &options->log_level);

	if (r || options->control)
		return r;
	options->passes_output = options->app_output && strcmp(options->app_output, "pass") == 0;
	if (options->passes_output && options->stderr_in_replies)
		return reason_code(why, -EINVAL,
			"--stderr-in-replies has no effect with --app-output pass, which keeps "
			"nothing of it: leave one out");
	r = check_launcher(options, why);
	if (r == 0)
		r = check_token(options, why);
	if (r == 0)
		r = check_tls(options, why);
	if (r)
		return r;
	r = options->flwr_dir ? dir_check(options->flwr_dir, &cause) : 0;
	if (r)
		return reason_code(why, r, "--flwr-dir %s", cause.text);
	return choose_address(options, why);
}

/* By its last part: the program may be started by a path. */
static const char *name_of(const char *path)
{
	const char *slash = path ? strrchr(path, '/') : NULL;
	const char *name = slash ? slash + 1 : path;

	return name && strcmp(name, SUPEREXEC) == 0 ? SUPEREXEC : "flwr-clientapp";
}

int options_read(int argc, char *const *argv, struct options *out, struct reason *why)
{
	struct option_spec specs[ARRAY_LEN(rows)];
	int r;

	*out = (struct options){
		.program = name_of(argv[0]),
		.address = "127.0.0.1:9094",
		.grace_ms = -1,
		.app_exit_grace_ms = 30000,
	};
	r = options_parse(specs, rows_of(out, specs), argc, argv, out, why);
	return r ? r : check(out, why);
}

void options_done(struct options *options)
{
	struct option_spec specs[ARRAY_LEN(rows)];

	if (options->file_token)
		explicit_bzero(options->file_token, strlen(options->file_token));
	free(options->file_token);
	options->file_token = NULL;
	options_free_paths(specs, rows_of(options, specs), options);
}

void options_print_help(FILE *file, const struct options *options)
{
	struct option_spec specs[ARRAY_LEN(rows)];

	fputs(is_launcher(options)
			? "usage: flower-superexec --insecure --runtime-api-address ADDR "
			  "[options]\n\n"
			  "Asks a Flower SuperNode (--isolation process) for messages, runs the "
			  "ClientApp for each, returns the\nreplies.\n\n"
			: "usage: flwr-clientapp --insecure [--clientappio-api-address ADDR] "
			  "[options]\n\n"
			  "Asks a Flower SuperNode (--isolation process) for messages, runs the "
			  "ClientApp for each, returns the\nreplies. With --token: that one "
			  "message.\n\n",
		file);
	options_help(file, specs, rows_of(options, specs));
}
