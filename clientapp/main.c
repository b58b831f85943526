/*
 * flwr-clientapp: asks a SuperNode for messages, or is given the token of one, and starts itself
 * for each, as the worker that fetches the message, has the ClientApp run and returns the reply.
 * Its other name is flower-superexec.
 *
 * Threads:
 *   main  the event loop: control socket, app process, timers; owns all state, starts all calls
 *   cq    takes finished tags from gRPC's completion queue and hands them to main (common/rpc)
 *   io    verifies and unpacks the FAB, makes objects (common/loop), large ones with some
 *         threads beside it (common/base/parallel.h)
 */
#include "clientapp/api/api_tls.h"
#include "clientapp/api/spelling.h"
#include "clientapp/foreign_worker.h"
#include "clientapp/launcher.h"
#include "clientapp/options.h"
#include "clientapp/worker.h"
#include "common/base/cleanup.h"
#include "common/base/clock.h"
#include "common/base/files.h"
#include "common/base/flower_env.h"
#include "common/base/harden.h"
#include "common/base/sha256.h"
#include "common/fab/bundle.h"
#include "common/health/health.h"
#include "common/http/http.h"
#include "common/launch/agent.h"
#include "common/launch/app_user.h"
#include "common/launch/control.h"
#include "common/launch/dependencies.h"
#include "common/launch/end.h"
#include "common/launch/fork_server.h"
#include "common/launch/reaper.h"
#include "common/launch/sandbox.h"
#include "common/loop/log_watch.h"
#include "common/loop/loop.h"
#include "common/message/launcher_auth.h"
#include "common/rpc/channel.h"
#include "common/rpc/rpc.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <malloc.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/pidfd.h>
#include <sys/prctl.h>
#include <unistd.h>

#define EXIT_USAGE      2
#define HEALTH_GRACE_MS 1000 /* for watchers to take in that the launcher ends */

/* Worker, launcher or foreign worker: one of them is there. */
struct program {
	struct app_bounds bounds; /* of apps that it starts by itself */
	struct dependencies dependencies;
	struct sandbox *sandbox; /* of these apps */
	uint64_t core_bytes;     /* soft limit of core files that there was */
	struct loop *loop;
	struct log *log;
	struct rpc *rpc; /* a worker's */
	struct job warm; /* a spare worker's, as nowhere */
	struct rpc_channel *nowhere;
	struct worker *worker;
	struct launcher *launcher;
	struct foreign_worker *foreign_worker;
	struct health *health; /* a launcher's; NULL: it has none */
	struct reaper reaper;
	int parent; /* pidfd of --parent-pid; -1: none */
	struct watch *parent_watch;
	struct timer *parent_end; /* of waiting for the last answer */
	bool has_token;
	bool interrupted;
	int signal; /* that has ended the worker; 0: none */
};

static void on_done(void *arg)
{
	struct program *program = arg;

	loop_stop(program->loop);
}

static void on_signal(void *arg, int signal)
{
	struct program *program = arg;

	if (signal == SIGHUP || reaper_repeats(&program->reaper, signal,
					loop_signal_sender(program->loop), clock_now_ms()))
		return;
	if (program->foreign_worker) {
		foreign_worker_stop(program->foreign_worker);
	} else if (program->launcher) {
		launcher_stop(program->launcher);
	} else {
		/* The agent sees that, and answers for its worker. */
		program->signal = signal;
		loop_stop(program->loop);
	}
	program->interrupted = true;
}

static int cannot_work(struct program *program, int r, const struct reason *why)
{
	log_error(program->log, "cannot work: %s", why->text[0] ? why->text : strerror(-r));
	return EXIT_FAILURE;
}

/* Make what every worker needs, whatever its message is. 0 or -errno. */
static int prepare_worker(struct program *program)
{
	const sigset_t signals = loop_block_signals();
	int r = rpc_new(program->loop, &program->rpc);

	return r ? r : loop_signals(program->loop, &signals, on_signal, program);
}

/* Steps that are slow the first time: OpenSSL finds its digests, libarchive is loaded, the io
 * thread starts. */
static void warm_run(struct job *job)
{
	char hex[SHA256_HEX_BYTES];
	const struct slices nothing = {0};

	(void)job;
	(void)sha256_slices(&nothing, hex);
	bundle_prepare();
}

static void warm_done(struct job *job)
{
	(void)job;
}

/* Do what each message would wait for otherwise. gRPC starts threads with its first channel; this
 * one is never used. */
static void warm_up(struct program *program)
{
	const struct rpc_channel_options nowhere = {.target = "unix:/"};

	program->warm = (struct job){.run = warm_run, .done = warm_done};
	(void)loop_job(program->loop, &program->warm);
	(void)rpc_channel_new(program->rpc, &nowhere, &program->nowhere);
}

static void start_came(void *arg, int ready)
{
	struct program *program = arg;

	(void)ready;
	loop_stop(program->loop);
}

/* Wait for the message, as a spare worker. 1: it is in *out; 0: there will be none; -errno. */
static int wait_for_start(struct program *program, struct control_message *out)
{
	struct watch *start;
	int r = prepare_worker(program);

	if (r)
		return r;
	warm_up(program);
	start = watch_new(program->loop, PROCESS_FD, WATCH_READ, start_came, program);
	r = start ? -EAGAIN : -ENOMEM;
	while (r == -EAGAIN) {
		r = loop_run(program->loop);
		if (r == 0 && !program->signal)
			r = control_receive(PROCESS_FD, out);
	}
	watch_free(start);
	return r;
}

/* Handle one message for an agent. */
static int run_worker(struct program *program, const struct control_start *start)
{
	const struct api_tls_files files = {.root_certificates = start->root_certificates,
		.client_certificate = start->client_certificate,
		.client_key = start->client_key};
	auto_(api_tls_done) struct api_tls tls = {0};
	struct worker_options options = {.start = start,
		.tls = start->tls ? &tls.tls : NULL,
		.control = PROCESS_FD,
		.done = on_done,
		.arg = program};
	struct reason why = {0};
	int status = EXIT_FAILURE;
	int r = start->tls ? api_tls_load(&files, &tls, &why) : 0;

	if (r == 0 && !program->rpc)
		r = prepare_worker(program);
	if (r == 0 && spelling_find(start->spelling)->carrier == CARRIER_HTTP)
		r = http_new(program->loop, &options.http, &why);
	if (r == 0)
		r = worker_new(
			program->loop, program->rpc, program->log, &options, &program->worker);
	if (r == 0) {
		worker_start(program->worker);
		r = loop_run(program->loop);
	}
	if (r)
		cannot_work(program, r, &why);
	/* The agent takes success for an answer. */
	else if (worker_succeeded(program->worker))
		status = EXIT_SUCCESS;
	worker_free(program->worker);
	http_free(options.http);
	return status;
}

/* gRPC's health service, where a launcher is asked for one: it serves as long as it runs. */
static int begin_health(
	struct program *program, struct rpc *rpc, const char *address, struct reason *why)
{
	int r = health_new(&(struct health_options){program->loop, rpc, program->log, address},
		&program->health, why);

	if (r == 0)
		health_set(program->health, true);
	return r;
}

static void health_ended(void *arg)
{
	*(bool *)arg = true;
}

static void end_health(struct program *program)
{
	bool ended = false;

	if (!program->health)
		return;
	health_stop(program->health, HEALTH_GRACE_MS, health_ended, &ended);
	while (!ended)
		loop_step(program->loop, HEALTH_GRACE_MS);
	health_free(program->health);
}

/* Message after message, or that of a token. */
static int run_launcher(struct program *program, struct launcher_options *options)
{
	const sigset_t signals = loop_block_signals();
	const char *health = options->given->health_server_address;
	struct reason why = {0};
	struct rpc *rpc = NULL;
	int status = EXIT_SUCCESS;
	int r = rpc_new(program->loop, &rpc);

	if (r == 0)
		r = http_new(program->loop, &options->http, &why);
	if (r == 0)
		r = launcher_new(program->loop, rpc, program->log, options, &program->launcher);
	if (r == 0 && health)
		r = begin_health(program, rpc, health, &why);
	if (r == 0)
		r = loop_signals(program->loop, &signals, on_signal, program);
	if (r == 0) {
		launcher_start(program->launcher);
		r = loop_run(program->loop);
	}
	if (r)
		status = cannot_work(program, r, &why);
	else if ((options->given->run_once || options->given->token_text) &&
		 !program->interrupted && !launcher_succeeded(program->launcher))
		status = EXIT_FAILURE;
	launcher_free(program->launcher);
	/* The loop runs twice more, which may bring signals. */
	program->launcher = NULL;
	end_health(program);
	http_free(options->http);
	if (rpc)
		rpc_free(rpc);
	return status;
}

/* Another program in our place. */
static int run_foreign_worker(
	struct program *program, const struct control_start *start, const char *core_limit)
{
	const sigset_t signals = loop_block_signals();
	struct process_end end = {.kind = PROCESS_EXITED, .value = EXIT_FAILURE};
	struct reason why = {0};
	int r = foreign_worker_new(program->loop, program->log,
		&(struct foreign_worker_options){
			.control = PROCESS_FD, .start = start, .core_limit = core_limit},
		&program->foreign_worker, &why);

	if (r == 0)
		r = loop_signals(program->loop, &signals, on_signal, program);
	if (r == 0)
		r = loop_run(program->loop);
	if (r)
		cannot_work(program, r, &why);
	else
		end = foreign_worker_end(program->foreign_worker);
	foreign_worker_free(program->foreign_worker);
	log_drain(program->log);
	end_as(&end);
}

static void end_by_signal(struct program *program)
{
	const struct process_end end = {.kind = PROCESS_KILLED, .value = program->signal};

	log_drain(program->log);
	end_as(&end);
}

/*
 * gRPC's shutdown takes longer than a small message, and the next message waits for the end of this
 * process, which gives back all that a worker holds. Programs that look for leaks shut down.
 */
static void end_worker(struct program *program, int status)
{
#ifdef __SANITIZE_ADDRESS__
	(void)status;
	rpc_channel_free(program->nowhere);
	rpc_free(program->rpc);
#else
	const struct process_end end = {.kind = PROCESS_EXITED, .value = status};

	log_drain(program->log);
	end_as(&end);
#endif
}

/* Started by an agent: what there is to do comes first on the control socket, or (a spare worker)
 * later. */
static int run_controlled(struct program *program, const struct clientapp_options *given)
{
	struct control_message message = {.fd = -1};
	int status = EXIT_FAILURE;
	bool spare = false;
	int r;

	/* A worker that is stopped while its agent dies must wake up and see the hang-up: it has
	 * things to end. */
	prctl(PR_SET_PDEATHSIG, SIGCONT);
	r = fcntl(PROCESS_FD, F_SETFD, FD_CLOEXEC) ? -errno : control_receive(PROCESS_FD, &message);
	if (r == -EAGAIN) {
		spare = true;
		r = wait_for_start(program, &message);
	}
	if (r == 1 && message.kind == CONTROL_START) {
		log_set_level(program->log, (enum log_level)message.start.log_level);
		if (message.start.command)
			return run_foreign_worker(program, &message.start, given->core_limit);
		status = run_worker(program, &message.start);
	} else if (r == 0 && spare) {
		status = program->signal ? EXIT_FAILURE : EXIT_SUCCESS;
	} else {
		log_error(program->log, "--control is for SuperNodes that start this program: %s",
			r < 0 ? strerror(-r) : "nothing was said");
		status = EXIT_USAGE;
	}
	control_message_done(&message);
	if (status != EXIT_SUCCESS && program->signal)
		end_by_signal(program);
	end_worker(program, status);
	return status;
}

/* ---- the end of --parent-pid ---- */

static void parent_late(void *arg)
{
	struct program *program = arg;

	loop_stop(program->loop);
}

/* The SuperNode sees the end of a launcher. The message of a token is answered, if somebody is
 * still there to take that. */
static void parent_ended(void *arg, int ready)
{
	struct program *program = arg;

	(void)ready;
	log_info(program->log, "the process of --parent-pid has ended: stopping");
	watch_free(program->parent_watch);
	program->parent_watch = NULL;
	if (program->has_token && program->launcher && !program->interrupted) {
		launcher_stop(program->launcher);
		timer_set(program->parent_end, clock_after(clock_now_ms(), WORKER_GRACE_MS));
	} else {
		loop_stop(program->loop);
	}
	program->interrupted = true;
}

static void reaper_gone(void *arg)
{
	struct program *program = arg;

	log_error(program->log, "the reaper (process %d) has ended: ending, with all that runs",
		(int)program->reaper.pid);
	program->interrupted = true;
	if (!program->launcher) {
		loop_stop(program->loop);
		return;
	}
	launcher_cut_short(program->launcher);
	timer_set(program->parent_end, clock_after(clock_now_ms(), REAPER_GONE_MS));
}

/* Is it a SuperLink of Flower's? Python runs those: the program is its first argument. */
static bool is_superlink(int64_t pid)
{
	static const char end[] = "/flower-superlink";
	char path[64], words[8192];
	const char *program;
	size_t len;
	ssize_t n;

	snprintf(path, sizeof path, "/proc/%" PRId64 "/cmdline", pid);
	auto_(close_at_exit) int fd = open(path, O_RDONLY | O_CLOEXEC);
	n = fd < 0 ? -1 : read(fd, words, sizeof words - 2);
	if (n <= 0)
		return false;
	words[n] = words[n + 1] = '\0';
	program = words + strlen(words) + 1;
	len = strlen(program);
	return len >= strlen(end) && strcmp(program + len - strlen(end), end) == 0;
}

static void log_warnings(const struct program *program, const struct clientapp_options *options)
{
	for (size_t i = 0; i < ARRAY_LEN(options->warnings); i++) {
		if (options->warnings[i])
			log_warn(program->log, "%s", options->warnings[i]);
	}
	if (options->parent_pid && is_superlink(options->parent_pid))
		log_warn(program->log,
			"process %" PRId64
			" (--parent-pid) is a SuperLink, whose ServerApps this program does not run: start it with Flower's own flower-superexec before this one on PATH",
			options->parent_pid);
}

/* 0; 1 when it has ended already; -errno. */
static int watch_parent(struct program *program, int64_t pid)
{
	program->parent = pidfd_open((pid_t)pid, 0);
	if (program->parent < 0)
		return errno == ESRCH ? 1 : -errno;
	program->parent_watch =
		watch_new(program->loop, program->parent, WATCH_READ, parent_ended, program);
	return program->parent_watch ? 0 : -ENOMEM;
}

static void launcher_auth_at_exit(struct launcher_auth **auth)
{
	launcher_auth_free(*auth);
}

/* Reads the TLS options of the command line. 0, or -errno with a sentence. */
static int load_tls(
	const struct clientapp_options *options, struct api_tls *out, struct reason *why)
{
	return options->insecure
		       ? 0
		       : api_tls_load(&(struct api_tls_files){.root_certificates =
								      options->root_certificates,
					      .client_certificate = options->client_certificate,
					      .client_key = options->client_key},
				 out, why);
}

/* Find out which cage apps can have, and keep them from what belongs to this program. */
static int make_sandbox(struct program *program, const struct clientapp_options *options,
	const char *flwr_home, struct reason *why)
{
	const char *const own[] = {options->client_certificate, options->client_key,
		options->secret_file, options->token_file};
	int r = sandbox_new(&(struct sandbox_options){.launch = &options->launch,
				    .user = program->bounds.user,
				    .flwr_home = flwr_home},
		&program->sandbox, why);

	for (size_t i = 0; i < ARRAY_LEN(own) && r == 0; i++)
		r = sandbox_hide(program->sandbox, own[i]);
	/* An app that reaches it can ask for messages. */
	return r ? r : sandbox_hide_socket(program->sandbox, options->address);
}

/* Started by somebody else: this program is the agent. */
static int run_alone(struct program *program, const struct clientapp_options *options)
{
	auto_(flwr_home_done) struct flwr_home home = {0};
	auto_(launcher_auth_at_exit) struct launcher_auth *auth = NULL;
	auto_(api_tls_done) struct api_tls tls = {0};
	struct reason why = {0}, cause = {0};
	int r;

	r = flwr_home_open(options->launch.flwr_dir, &home, &why);
	if (r)
		return cannot_work(program, r, &why);
	r = agent_check_python(options->launch.python, &why);
	if (r == 0)
		r = app_bounds_init(&program->bounds, program->core_bytes, &options->launch, &why);
	if (r == 0)
		r = load_tls(options, &tls, &why);
	if (r == 0 && program->bounds.user)
		r = app_user_check(program->bounds.user, home.path, options->launch.python, &why);
	if (r == 0)
		r = dependencies_init(&program->dependencies, &options->launch, home.path,
			program->bounds.user, &why);
	if (r == 0)
		r = make_sandbox(program, options, home.path, &why);
	if (r) {
		reason_print(&why, options->program, r);
		return EXIT_USAGE;
	}
	if (options->secret_file && launcher_auth_load(options->secret_file, &auth, &cause)) {
		reason_code(&why, -EINVAL, "--superexec-auth-secret-file: %s", cause.text);
		reason_print(&why, options->program, 0);
		return EXIT_USAGE;
	}
	program->parent_end = timer_new(program->loop, parent_late, program);
	r = program->parent_end
		    ? reaper_watch(&program->reaper, program->loop, reaper_gone, program)
		    : -ENOMEM;
	if (r == 0 && options->parent_pid)
		r = watch_parent(program, options->parent_pid);
	if (r < 0)
		return cannot_work(program, r, &why);
	if (r) {
		log_info(program->log, "process %" PRId64 " (--parent-pid) has ended already",
			options->parent_pid);
		return EXIT_SUCCESS;
	}
	log_warnings(program, options);
	app_bounds_tell_reaper(&program->bounds, &program->reaper);
	if (options->launch.restarts && !reaper_ask_restart(&program->reaper))
		log_warn(program->log,
			"--restart has no effect: the program was not started by its reaper");
	program->has_token = options->token_text;
	return run_launcher(program, &(struct launcher_options){.given = options,
					     .flwr_home = home.path,
					     .bounds = &program->bounds,
					     .sandbox = program->sandbox,
					     .dependencies = &program->dependencies,
					     .auth = auth,
					     .tls = options->insecure ? NULL : &tls.tls});
}

/* The program proper, once the command line is understood: its exit status. */
static int run(const struct clientapp_options *options, uint64_t core_bytes)
{
	struct program program = {.core_bytes = core_bytes, .parent = -1};
	struct log_watch *log_watch = NULL;
	int status = EXIT_FAILURE;

	reaper_find(&program.reaper);
	/* A limit for files (RLIMIT_FSIZE) is an error of the write that meets it. */
	signal(SIGXFSZ, SIG_IGN);
	/* gRPC receives in small pieces, which lie densely in one heap; that keeps its free parts
	 * while a message is at hand. flower-supernode has the same settings. */
	mallopt(M_MMAP_THRESHOLD, 1 << 20);
	mallopt(M_TRIM_THRESHOLD, 64 << 20);
	mallopt(M_ARENA_MAX, 1);
	rpc_silence();
	/* Under an agent the lines go into its log, which dates them. */
	program.log = log_new(
		STDERR_FILENO, options->control ? NULL : "clientapp", options->launch.log_level);
	if (program.log && loop_new(&program.loop) == 0) {
		log_watch = log_watch_new(program.loop, program.log);
		if (options->launch.log_level_text)
			log_level_output(program.log);
		if (!options->control)
			flower_env_tell(program.log, FLOWER_CLIENTAPP);
		status = options->control ? run_controlled(&program, options)
					  : run_alone(&program, options);
	}
	reaper_done(&program.reaper);
	log_watch_free(log_watch);
	watch_free(program.parent_watch);
	timer_free(program.parent_end);
	close_fd(&program.parent);
	loop_free(program.loop);
	log_free(program.log);
	sandbox_free(program.sandbox);
	dependencies_done(&program.dependencies);
	app_bounds_done(&program.bounds);
	return status;
}

/* Fork workers for the agent. No thread may have been started, so gRPC is left to each of them. */
static int fork_workers(struct clientapp_options *options, uint64_t core_bytes)
{
	struct job warm;

	warm_run(&warm);
	options->control = fork_server_serve();
	return options->control ? run(options, core_bytes) : EXIT_SUCCESS;
}

int main(int argc, char **argv)
{
	const uint64_t core_bytes = harden_program();
	struct clientapp_options options;
	struct reason why = {0};
	int status = EXIT_SUCCESS;
	int r = clientapp_options_read(argc, argv, &options, &why);

	if (r < 0) {
		reason_print(&why, options.program, r);
		status = EXIT_USAGE;
	} else if (r == OPTIONS_HELP) {
		clientapp_options_help(stdout, &options);
	} else if (r == OPTIONS_VERSION) {
		printf("%s (flwr-native) " FLWR_RELEASE ", Flower 1.15-1.42\n", options.program);
	} else if (options.fork_server) {
		status = fork_workers(&options, core_bytes);
	} else {
		status = run(&options, core_bytes);
	}
	clientapp_options_done(&options);
	return status;
}
