/*
 * flwr-native-host [-l LEVEL] FILE [SYMBOL]: runs one message of an app that is a shared object, in
 * an app process of its own: in the place of Python and its bridge, and with the same conversation
 * (docs/app-form.md). Started by an agent with the descriptor number of its socket in FLWR_APP_FD.
 * Links libflwr-app and libc: the app shares its process with nothing else.
 *
 *   -l  the least important level of lines that flwr_log() shows (default: info)
 *
 * Exit status, when the app does not choose one: 0 there was a reply, 1 there was none, or the app
 * cannot be loaded.
 */
#include "clientapp/native/app_file.h"
#include "clientapp/native/conversation.h"
#include "clientapp/native/run.h"
#include "common/base/cleanup.h"
#include "common/base/number.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <string.h>

static const char *const levels[] = {
	[FLWR_LOG_ERROR] = "error",
	[FLWR_LOG_WARN] = "warn",
	[FLWR_LOG_INFO] = "info",
	[FLWR_LOG_DEBUG] = "debug",
};

struct command {
	const char *file;
	const char *symbol;
	int level;
};

static bool command_read(int argc, char **argv, struct command *out)
{
	int option;

	*out = (struct command){.symbol = APP_FILE_SYMBOL, .level = FLWR_LOG_INFO};
	while ((option = getopt(argc, argv, "+l:")) != -1) {
		if (option != 'l')
			return false;
		for (size_t i = 1; i < ARRAY_LEN(levels); i++)
			if (strcmp(optarg, levels[i]) == 0)
				out->level = (int)i;
	}
	if (argc - optind < 1 || argc - optind > 2)
		return false;
	out->file = argv[optind];
	if (argc - optind == 2)
		out->symbol = argv[optind + 1];
	return true;
}

/* The socket that the agent has handed in, or -1. The app's own programs do not get it. */
static int take_socket(void)
{
	const char *text = getenv("FLWR_APP_FD");
	uint64_t fd = 0;

	if (!text || number_u64(text, &fd) < 0 || fd > INT32_MAX ||
		fcntl((int)fd, F_SETFD, FD_CLOEXEC) < 0)
		return -1;
	unsetenv("FLWR_APP_FD");
	return (int)fd;
}

/* Load the app and say so, or what is wrong with it. */
static int load(int socket, const struct command *command, const struct flwr_clientapp **out)
{
	const char *name = app_file_name(command->file);
	struct reason text;

	if (app_file_load(command->file, command->symbol, out) != 0) {
		fprintf(stderr, "ERROR %s: %s\n", command->file, flwr_error());
		reason_set(&text, "%s", flwr_error());
		conversation_hello(socket, ERROR_LOAD, &text);
		return -ENOEXEC;
	}
	reason_set(&text, "native %s, header %u.%u", name, (*out)->version / 10000,
		(*out)->version / 100 % 100);
	return conversation_hello(socket, 0, &text);
}

int main(int argc, char **argv)
{
	const struct flwr_clientapp *app;
	struct command command;
	int socket, task, r;

	if (!command_read(argc, argv, &command)) {
		fprintf(stderr, "usage: flwr-native-host [-l LEVEL] FILE [SYMBOL]\n");
		return EXIT_FAILURE;
	}
	socket = take_socket();
	if (socket < 0) {
		fprintf(stderr,
			"flwr-native-host is started by flower-supernode or flwr-clientapp\n");
		return EXIT_FAILURE;
	}
	/* Lines that an app has printed are in the log when it crashes. */
	setvbuf(stdout, NULL, _IOLBF, BUFSIZ);
	/* A limit for files (RLIMIT_FSIZE) is an error of the write that meets it, as in Python. */
	signal(SIGXFSZ, SIG_IGN);
	if (load(socket, &command, &app) < 0)
		return EXIT_FAILURE;
	r = conversation_task(socket, &task);
	if (r == 0)
		return EXIT_SUCCESS; /* the worker has gone */
	if (r > 0)
		r = run(&(struct run_spec){
			.app = app, .socket = socket, .task = task, .level = command.level});
	if (r < 0)
		fprintf(stderr, "flwr-native-host: no reply: %s\n", strerror(-r));
	/* Exit handlers and destructors are the app's, too. */
	return r < 0 ? EXIT_FAILURE : EXIT_SUCCESS;
}
