/*
 * flower-supernode: connects to a SuperLink and has each message handled by a worker.
 *
 * Threads:
 *   main  the event loop: signals, children, timers, sockets; owns all state, starts all calls
 *   cq    takes finished tags from gRPC's completion queue and hands them to main (common/rpc)
 *   io    runs jobs: hashing and reading FABs (common/loop); started with the first one
 *   gRPC's own threads run no code of ours but the release of slices
 */
#include "common/base/cleanup.h"
#include "common/base/clock.h"
#include "common/base/files.h"
#include "common/base/flower_env.h"
#include "common/base/harden.h"
#include "common/base/heap.h"
#include "common/base/number.h"
#include "common/health/healthcheck.h"
#include "common/launch/app_bounds.h"
#include "common/launch/reaper.h"
#include "common/loop/log_watch.h"
#include "common/loop/loop.h"
#include "common/rpc/rpc.h"
#include "supernode/supernode.h"

#include <errno.h>
#include <malloc.h>
#include <signal.h>
#include <stdlib.h>

#define EXIT_USAGE 2

/* Free memory that is still ours at two looks in turn goes back to the system. */
#define HEAP_LOOK_MS 4000

#define HEALTHCHECK_MS 5000

/* What signals and the end of the reaper are about. */
struct program {
	struct loop *loop;
	struct log *log;
	struct supernode *supernode;
	struct reaper *reaper;
};

static void on_signal(void *arg, int signal)
{
	struct program *program = arg;

	if (reaper_repeats(
		    program->reaper, signal, loop_signal_sender(program->loop), clock_now_ms()))
		return;
	if (signal == SIGHUP)
		supernode_reload(program->supernode);
	else
		supernode_stop(program->supernode);
}

static void reaper_gone(void *arg)
{
	struct program *program = arg;

	log_error(program->log, "the reaper (process %d) has ended: ending, with all that runs",
		(int)program->reaper->pid);
	supernode_cut_short(program->supernode, REAPER_GONE_MS);
}

static void complain(struct reason *why, int r)
{
	reason_print(why, "flower-supernode", r);
}

static void trim(void)
{
	malloc_trim(0);
}

struct heap {
	struct timer *timer;
	struct heap_watch watch;
};

/* Give back memory that gRPC took for peers, as supernode_options.trim does for messages. */
static void heap_look(void *arg)
{
	struct heap *heap = arg;

	if (heap_watch_look(&heap->watch, heap_free_bytes())) {
		trim();
		heap_watch_given(&heap->watch, heap_free_bytes());
	}
	timer_set(heap->timer, clock_after(clock_now_ms(), HEAP_LOOK_MS));
}

/* How far the clock is off that keys sign with, in seconds: 0 but in tests. 0, or -errno with a
 * sentence. */
static int clock_offset(double *out, struct reason *why)
{
	*out = 0;
#ifdef FLWR_TEST_HOOKS
	const char *text = getenv("FLWR_TEST_CLOCK_OFFSET_S");

	if (text && number_double(text, out))
		return reason_code(
			why, -EINVAL, "FLWR_TEST_CLOCK_OFFSET_S must be a number of seconds");
#else
	(void)why;
#endif
	return 0;
}

/* May the same command line work in a moment? Another node of this key may be ending, or the
 * machine be short of something. */
static bool is_passing(int error)
{
	return error == -ENOMEM || error == -EBUSY || error == -EMFILE || error == -ENFILE ||
	       error == -ENOSPC || error == -EAGAIN;
}

/* The program proper, once the command line is understood: its exit status. */
static int run(struct supernode_options *options, struct loop *loop, struct log *log,
	struct reaper *reaper)
{
	struct program program = {.loop = loop, .log = log, .reaper = reaper};
	struct supernode *supernode = NULL;
	struct heap heap = {.timer = timer_new(loop, heap_look, &heap)};
	const sigset_t signals = loop_block_signals();
	struct reason why = {0};
	int status;
	int r = heap.timer ? clock_offset(&options->clock_offset_s, &why) : -ENOMEM;

	if (r == 0)
		r = supernode_new(loop, log, options, &supernode, &why);
	if (r) {
		complain(&why, r);
		timer_free(heap.timer);
		return is_passing(r) ? EXIT_FAILURE : EXIT_USAGE;
	}
	flower_env_tell(log, FLOWER_SUPERNODE);
	for (size_t i = 0; i < ARRAY_LEN(options->warnings); i++) {
		if (options->warnings[i])
			log_warn(log, "%s", options->warnings[i]);
	}
	program.supernode = supernode;
	if (supernode_private_dir(supernode))
		reaper_name_dir(reaper, supernode_private_dir(supernode));
	app_bounds_tell_reaper(options->bounds, reaper);
	if (options->launch.restarts && !reaper_ask_restart(reaper))
		log_warn(log, "--restart has no effect: the program was not started by its reaper");
	r = loop_signals(loop, &signals, on_signal, &program);
	if (r == 0)
		r = reaper_watch(reaper, loop, reaper_gone, &program);
	if (r == 0) {
		supernode_start(supernode);
		heap_look(&heap);
		r = loop_run(loop);
	}
	status = r ? EXIT_FAILURE : supernode_status(supernode);
	if (r || supernode_hurried(supernode)) {
		supernode_abandon(supernode);
		log_drain(log);
		_exit(status);
	}
	reaper_done(reaper);
	timer_free(heap.timer);
	supernode_free(supernode);
	log_info(log, "stopped");
	return status;
}

/* Settings of the whole process. */
static void settle_process(void)
{
	/* libcurl would write the keys of all TLS connections there. */
	unsetenv("SSLKEYLOGFILE");
	/* A limit for files (RLIMIT_FSIZE) is an error of the write that meets it. */
	signal(SIGXFSZ, SIG_IGN);
	/* gRPC receives in pieces of a little more than 64 KiB: mapped one by one, each would take
	 * 17 pages for 16, and all of them anew for each message. So they come from one heap, whose
	 * free parts the supervisor gives back when a large message is over. */
	mallopt(M_MMAP_THRESHOLD, 1 << 20);
	/* While one is at hand the heap keeps what is free in it: new pages are slow. */
	mallopt(M_TRIM_THRESHOLD, 64 << 20);
	mallopt(M_ARENA_MAX, 1);
	rpc_silence();
	fd_limit_raise();
}

/* --healthcheck: the exit status. */
static int check_health(const char *address)
{
	struct loop *loop = NULL;
	struct rpc *rpc = NULL;
	struct reason said = {0};
	int r = loop_new(&loop);

	rpc_silence();
	if (r == 0)
		r = rpc_new(loop, &rpc);
	if (r == 0)
		r = healthcheck(loop, rpc, address, HEALTHCHECK_MS, &said);
	if (r == HEALTHCHECK_SERVING)
		puts(said.text);
	else
		complain(&said, r);
	rpc_free(rpc);
	loop_free(loop);
	return r == HEALTHCHECK_SERVING ? EXIT_SUCCESS : EXIT_FAILURE;
}

int main(int argc, char **argv)
{
	const uint64_t core_bytes = harden_program();
	struct app_bounds bounds = {0};
	struct supernode_options options;
	struct reason why = {0};
	struct loop *loop = NULL;
	struct log *log = NULL;
	struct reaper reaper;
	struct log_watch *log_watch = NULL;
	int status = EXIT_FAILURE;
	int r = supernode_options_read(argc, argv, &options, &why);

	reaper_find(&reaper);
	if (r == OPTIONS_RUN && !options.healthcheck)
		r = app_bounds_init(&bounds, core_bytes, &options.launch, &why);
	if (r < 0) {
		complain(&why, r);
		status = EXIT_USAGE;
	} else if (r == OPTIONS_HELP) {
		supernode_options_help(stdout);
		status = EXIT_SUCCESS;
	} else if (r == OPTIONS_VERSION) {
		puts("flower-supernode (flwr-native) " FLWR_RELEASE ", Flower 1.15-1.42");
		status = EXIT_SUCCESS;
	} else if (options.healthcheck) {
		status = check_health(options.healthcheck);
	} else {
		options.bounds = &bounds;
		options.trim = trim;
		settle_process();
		log = log_new(STDERR_FILENO, "supernode", options.launch.log_level);
		if (log && loop_new(&loop) == 0) {
			log_watch = log_watch_new(loop, log);
			if (options.launch.log_level_text)
				log_level_output(log);
			status = run(&options, loop, log, &reaper);
			reaper_done(&reaper);
		} else {
			fputs("flower-supernode: no memory or no descriptors\n", stderr);
		}
	}
	log_watch_free(log_watch);
	loop_free(loop);
	log_free(log);
	app_bounds_done(&bounds);
	supernode_options_done(&options);
	return status;
}
