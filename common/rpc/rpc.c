/*
 * rpc: a completion queue, the thread that empties it, and the count of batches that are not
 * finished.
 */
#include "common/rpc/rpc.h"

#include "common/base/cleanup.h"
#include "common/base/thread.h"
#include "common/rpc/internal/tag.h"

#include <assert.h>
#include <errno.h>
#include <grpc/grpc.h>
#include <grpc/grpc_posix.h>
#include <grpc/grpc_security.h>
#include <grpc/support/log.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#define RPC_STEP_MS      1000 /* how long rpc_free() sleeps at most when nothing happens */
#define RPC_WAKE_STEPS   100  /* and how long it tries to wake a thread of gRPC's: a second */
#define RPC_WAKE_STEP_MS 10

struct rpc {
	struct loop *loop;
	grpc_completion_queue *queue;
	pthread_t thread;
	size_t held; /* tags out, servers not yet ended */
	size_t open; /* channels and servers that have an owner */
};

static void tag_run(struct loop_work *work)
{
	struct tag *tag = container_of(work, struct tag, work);

	tag->rpc->held--;
	tag->done(tag, tag->ok);
}

/* The thread: takes what is finished and hands it over, until the queue is shut down and empty. */
static void *rpc_run(void *arg)
{
	struct rpc *rpc = arg;

	for (;;) {
		grpc_event event = grpc_completion_queue_next(
			rpc->queue, gpr_inf_future(GPR_CLOCK_MONOTONIC), NULL);
		struct tag *tag;

		if (event.type == GRPC_QUEUE_SHUTDOWN)
			return NULL;
		if (event.type != GRPC_OP_COMPLETE)
			continue;
		tag = event.tag;
		tag->ok = event.success != 0;
		loop_post(rpc->loop, &tag->work);
	}
}

static int rpc_start_thread(struct rpc *rpc)
{
	int r = thread_start(&rpc->thread, rpc_run, rpc);

	if (r == 0)
		pthread_setname_np(rpc->thread, "rpc-queue");
	return r;
}

static void queue_end(grpc_completion_queue *queue)
{
	grpc_completion_queue_shutdown(queue);
	while (grpc_completion_queue_next(queue, gpr_inf_future(GPR_CLOCK_MONOTONIC), NULL).type !=
		GRPC_QUEUE_SHUTDOWN)
		;
	grpc_completion_queue_destroy(queue);
}

/*
 * Wake the thread of gRPC's that polls on for 10 s after a write that had to wait for the peer: its
 * shutdown would sit that out. Any event on a descriptor ends the polling, so there is one: the end
 * of a connection to ourselves. That thread or the queue here sees it and closes the other end,
 * too.
 */
static void rpc_wake_poller(void)
{
	grpc_channel_credentials *plain = grpc_insecure_credentials_create();
	grpc_completion_queue *queue = grpc_completion_queue_create_for_next(NULL);
	grpc_channel *channel = NULL;
	int ends[2] = {-1, -1};
	char bytes[256];

	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, ends) == 0) {
		channel = grpc_channel_create_from_fd("wake", ends[0], plain, NULL);
		shutdown(ends[1], SHUT_WR);
	}
	for (int i = 0; channel && i < RPC_WAKE_STEPS; i++) {
		gpr_timespec until = gpr_time_add(gpr_now(GPR_CLOCK_MONOTONIC),
			gpr_time_from_millis(RPC_WAKE_STEP_MS, GPR_TIMESPAN));
		ssize_t n;

		do
			n = recv(ends[1], bytes, sizeof bytes, 0);
		while (n > 0);
		if (n == 0 || errno != EAGAIN)
			break;
		grpc_completion_queue_next(queue, until, NULL);
	}
	close_fd(&ends[1]);
	if (channel)
		grpc_channel_destroy(channel);
	queue_end(queue);
	grpc_channel_credentials_release(plain);
}

static void rpc_close_queue(struct rpc *rpc, bool started)
{
	if (started) {
		grpc_completion_queue_shutdown(rpc->queue);
		pthread_join(rpc->thread, NULL);
		grpc_completion_queue_destroy(rpc->queue);
		rpc_wake_poller();
	} else {
		queue_end(rpc->queue);
	}
	/* grpc_shutdown() would leave the end to a thread of its own, which may outlive main(). */
	grpc_shutdown_blocking();
	free(rpc);
}

int rpc_new(struct loop *loop, struct rpc **out)
{
	struct rpc *rpc = calloc(1, sizeof *rpc);
	int r;

	if (!rpc)
		return -ENOMEM;
	rpc->loop = loop;
	grpc_init();
	rpc->queue = grpc_completion_queue_create_for_next(NULL);
	r = rpc_start_thread(rpc);
	if (r < 0) {
		rpc_close_queue(rpc, false);
		return r;
	}
	*out = rpc;
	return 0;
}

void rpc_free(struct rpc *rpc)
{
	if (!rpc)
		return;
	assert(rpc->open == 0);
	while (rpc->held > 0)
		loop_step(rpc->loop, RPC_STEP_MS);
	rpc_close_queue(rpc, true);
}

void tag_expect(struct rpc *rpc, struct tag *tag)
{
	tag->rpc = rpc;
	tag->work.run = tag_run;
	rpc->held++;
}

void tag_forget(struct tag *tag)
{
	tag->rpc->held--;
}

int tag_batch(struct rpc *rpc, struct tag *tag, grpc_call *call, const grpc_op *ops, size_t n)
{
	tag_expect(rpc, tag);
	if (grpc_call_start_batch(call, ops, n, tag, NULL) == GRPC_CALL_OK)
		return 0;
	tag_forget(tag);
	return -EINVAL;
}

/* Print what gRPC says right before it aborts: nothing else tells why. */
static void print_assertions(gpr_log_func_args *args)
{
	if (args->severity == GPR_LOG_SEVERITY_ERROR && strstr(args->message, "assertion failed"))
		fprintf(stderr, "gRPC: %s:%d: %s\n", args->file, args->line, args->message);
}

void rpc_silence(void)
{
	const char *wanted = getenv("GRPC_VERBOSITY");

	if (!wanted || (strcasecmp(wanted, "debug") != 0 && strcasecmp(wanted, "info") != 0))
		gpr_set_log_function(print_assertions);
}

void rpc_silence_unless_used(void)
{
	if (!grpc_is_initialized())
		rpc_silence();
}

struct loop *rpc_loop(struct rpc *rpc)
{
	return rpc->loop;
}

grpc_completion_queue *rpc_queue(struct rpc *rpc)
{
	return rpc->queue;
}

void rpc_hold(struct rpc *rpc)
{
	rpc->held++;
}

void rpc_release(struct rpc *rpc)
{
	assert(rpc->held > 0);
	rpc->held--;
}

void rpc_opened(struct rpc *rpc)
{
	rpc->open++;
}

void rpc_closed(struct rpc *rpc)
{
	assert(rpc->open > 0);
	rpc->open--;
}
