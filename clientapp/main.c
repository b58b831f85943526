/*
 * flwr-clientapp: handles one message: fetches it from a SuperNode, runs the ClientApp, returns the
 * reply.
 *
 * Threads:
 *   main  the event loop: control socket, app process, timers; owns all state, starts all calls
 *   cq    takes finished tags from gRPC's completion queue and hands them to main (common/rpc)
 *   io    verifies and unpacks the FAB (common/loop)
 */
#include "clientapp/message_worker.h"
#include "clientapp/options.h"
#include "common/base/cleanup.h"
#include "common/base/files.h"
#include "common/launch/control.h"
#include "common/loop/loop.h"
#include "common/rpc/rpc.h"

#include <errno.h>
#include <fcntl.h>
#include <malloc.h>
#include <signal.h>
#include <string.h>
#include <sys/prctl.h>

#define EXIT_USAGE 2

struct program {
	struct loop *loop;
	struct log *log;
	struct message_worker *worker;
	bool controlled; /* by an agent */
	bool interrupted;
};

static void on_done(void *arg)
{
	struct program *program = arg;

	loop_stop(program->loop);
}

static void on_signal(void *arg, int signal)
{
	struct program *program = arg;

	if (signal == SIGHUP)
		return;
	/* An agent answers for its worker; one that is alone has to do that itself. The second time
	 * there is no time left. */
	if (program->controlled || program->interrupted) {
		loop_stop(program->loop);
	} else {
		log_info(program->log, "stopping");
		message_worker_stop(program->worker);
	}
	program->interrupted = true;
}

static sigset_t block_signals(void)
{
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGTERM);
	sigaddset(&set, SIGINT);
	sigaddset(&set, SIGQUIT);
	sigaddset(&set, SIGHUP);
	sigaddset(&set, SIGPIPE);
	sigprocmask(SIG_BLOCK, &set, NULL);
	sigdelset(&set, SIGPIPE);
	return set;
}

static int run(struct program *program, const struct message_worker_options *options)
{
	const sigset_t signals = block_signals();
	struct rpc *rpc = NULL;
	int status = EXIT_FAILURE;
	int r = rpc_new(program->loop, &rpc);

	if (r == 0)
		r = message_worker_new(program->loop, rpc, program->log, options, on_done, program,
			&program->worker);
	if (r == 0)
		r = loop_signals(program->loop, &signals, on_signal, program);
	if (r == 0) {
		message_worker_start(program->worker);
		r = loop_run(program->loop);
	}
	if (r)
		log_error(program->log, "cannot work: %s", strerror(-r));
	else if (message_worker_succeeded(program->worker) || program->interrupted)
		status = EXIT_SUCCESS;
	message_worker_free(program->worker);
	if (rpc)
		rpc_free(rpc);
	return status;
}

/* Started by an agent: what there is to do comes first on the control socket. */
static int run_controlled(struct program *program)
{
	struct control_message message = {.fd = -1};
	struct message_worker_options options = {.control = PROCESS_FD};
	int status = EXIT_FAILURE;
	int r;

	/* A worker that is stopped while its agent dies must wake up and see the hang-up: it has
	 * things to end. */
	prctl(PR_SET_PDEATHSIG, SIGCONT);
	r = fcntl(PROCESS_FD, F_SETFD, FD_CLOEXEC) ? -errno : control_receive(PROCESS_FD, &message);
	if (r == 1 && message.kind == CONTROL_START) {
		program->controlled = true;
		log_set_level(program->log, (enum log_level)message.start.log_level);
		options.address = message.start.address;
		options.token = message.start.token;
		options.flwr_home = message.start.flwr_home;
		options.stderr_in_replies = message.start.stderr_in_replies;
		status = run(program, &options);
	} else {
		log_error(program->log, "--control is for SuperNodes that start this program: %s",
			r < 0 ? strerror(-r) : "nothing was said");
		status = EXIT_USAGE;
	}
	control_message_done(&message);
	return status;
}

/* Started by somebody else: the worker is its own agent. */
static int run_alone(struct program *program, const struct options *options)
{
	auto_(free_at_exit) char *flwr_home = path_flwr_home(options->flwr_dir);
	const struct message_worker_options wanted = {
		.address = options->address,
		.token = options->token,
		.flwr_home = flwr_home,
		.control = -1,
		.python = options->python,
		.log_level = options->log_level,
		.stderr_in_replies = true,
	};

	return flwr_home ? run(program, &wanted) : EXIT_FAILURE;
}

int main(int argc, char **argv)
{
	struct program program = {0};
	struct options options;
	struct reason why = {0};
	int status = EXIT_FAILURE;
	int r = options_read(argc, argv, &options, &why);

	if (r < 0) {
		fprintf(stderr, "flwr-clientapp: %s\n", why.text[0] ? why.text : strerror(-r));
		return EXIT_USAGE;
	}
	if (r == OPTIONS_HELP) {
		options_print_help(stdout);
		return EXIT_SUCCESS;
	}
	if (r == OPTIONS_VERSION) {
		puts("flwr-clientapp (flwr-native) " FLWR_VERSION ", Flower 1.15-1.18");
		return EXIT_SUCCESS;
	}
	mallopt(M_MMAP_THRESHOLD, 65536);
	rpc_silence();
	/* Under an agent the lines go into its log, which dates them. */
	program.log =
		log_new(STDERR_FILENO, options.control ? NULL : "clientapp", options.log_level);
	if (program.log && loop_new(&program.loop) == 0)
		status = options.control ? run_controlled(&program) : run_alone(&program, &options);
	loop_free(program.loop);
	log_free(program.log);
	return status;
}
