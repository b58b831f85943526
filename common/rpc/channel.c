/*
 * channel: a unary call is one batch with one tag. A channel lives until the last of its calls has
 * ended, even if its owner frees it before.
 */
#include "common/rpc/channel.h"

#include "common/base/cleanup.h"
#include "common/base/clock.h"
#include "common/rpc/args.h"
#include "common/rpc/bytes.h"
#include "common/rpc/grpc_metadata.h"
#include "common/rpc/progress.h"
#include "common/rpc/status.h"
#include "common/rpc/tag.h"

#include <errno.h>
#include <fcntl.h>
#include <grpc/byte_buffer.h>
#include <grpc/grpc.h>
#include <grpc/grpc_posix.h>
#include <grpc/grpc_security.h>
#include <grpc/support/alloc.h>
#include <limits.h>
#include <stdlib.h>
#include <sys/queue.h>

#define BACKOFF_FIRST_MS 50
#define BACKOFF_MAX_MS   1000
#define RESOLVE_MIN_MS   1000

struct rpc_channel {
	struct rpc *rpc;
	grpc_channel *channel;       /* NULL once freed by its owner */
	LIST_HEAD(, rpc_call) calls; /* all that are out */
	unsigned telling;            /* callbacks that are running */
	struct log *log;
	struct timer *progress; /* looks at the calls that are watched; NULL: none is */
};

struct rpc_call {
	struct rpc_channel *channel;
	LIST_ENTRY(rpc_call) link;
	struct tag tag;
	grpc_call *call;
	rpc_done_fn *done;
	void *arg;
	struct metadata_out headers;
	grpc_byte_buffer *request;
	grpc_byte_buffer *response;
	grpc_metadata_array initial;
	grpc_metadata_array trailing;
	grpc_status_code status;
	grpc_slice details;
	uint64_t answer_max_bytes; /* 0: any */
	struct progress progress;
};

/* ---- channels ---- */

static void channel_args(const struct rpc_channel_options *options, grpc_arg *args, size_t *n)
{
	size_t i = ARGS_COMMON;

	args_common(args, &(struct args_common){.receive_max_bytes = options->receive_max_bytes,
				  .keepalive_ms = options->keepalive_ms,
				  .keepalive_timeout_ms = options->keepalive_timeout_ms});
	args[i++] = arg_int(GRPC_ARG_ENABLE_HTTP_PROXY, 0);
	args[i++] = arg_int(GRPC_ARG_KEEPALIVE_PERMIT_WITHOUT_CALLS, 0);
	/* Later releases of gRPC end connections that are idle. */
	args[i++] = arg_int(GRPC_ARG_CLIENT_IDLE_TIMEOUT_MS, INT_MAX);
	args[i++] = arg_int(GRPC_ARG_INITIAL_RECONNECT_BACKOFF_MS, BACKOFF_FIRST_MS);
	args[i++] = arg_int(GRPC_ARG_MAX_RECONNECT_BACKOFF_MS, BACKOFF_MAX_MS);
	args[i++] = arg_int(GRPC_ARG_DNS_MIN_TIME_BETWEEN_RESOLUTIONS_MS, RESOLVE_MIN_MS);
	args[i++] = arg_int(GRPC_ARG_SERVICE_CONFIG_DISABLE_RESOLUTION, 1);
	/* Our callers decide about retries, and gRPC would keep the payload for its own. */
	args[i++] = arg_int(GRPC_ARG_ENABLE_RETRIES, 0);
	args[i++] = arg_int(GRPC_ARG_USE_LOCAL_SUBCHANNEL_POOL, options->own_connection);
	if (options->user_agent)
		args[i++] = arg_text(GRPC_ARG_PRIMARY_USER_AGENT_STRING, options->user_agent);
	*n = i;
}

enum { CHANNEL_ARGS_MAX = ARGS_COMMON + 11 };

static void channel_look(void *arg)
{
	struct rpc_channel *channel = arg;
	struct progress_look look = {0};
	struct rpc_call *call;
	bool watched = false;

	LIST_FOREACH(call, &channel->calls, link)
	{
		char *peer;

		if (!call->progress.what)
			continue;
		watched = true;
		peer = grpc_call_get_peer(call->call);

		if (peer)
			progress_tick(&call->progress, &look, channel->log, peer);
		gpr_free(peer);
	}
	if (watched)
		timer_set(channel->progress, clock_after(clock_now_ms(), PROGRESS_TICK_MS));
}

/* Takes over fd unless it is -1. */
static int channel_create(struct rpc *rpc, const struct rpc_channel_options *options, int fd,
	struct rpc_channel **out)
{
	grpc_arg v[CHANNEL_ARGS_MAX];
	grpc_channel_args args = {.args = v};
	grpc_resource_quota *quota = NULL;
	grpc_channel_credentials *credentials;
	struct rpc_channel *channel = calloc(1, sizeof *channel);

	if (!channel) {
		close_fd(&fd);
		return -ENOMEM;
	}
	channel_args(options, v, &args.num_args);
	if (options->memory_max_bytes > 0)
		v[args.num_args++] = arg_quota(options->memory_max_bytes, &quota);
	credentials = options->ca_pem
			      ? grpc_ssl_credentials_create(options->ca_pem, NULL, NULL, NULL)
			      : grpc_insecure_credentials_create();
	if (fd >= 0)
		channel->channel = grpc_channel_create_from_fd(
			options->target ? options->target : "fd", fd, credentials, &args);
	else
		channel->channel = grpc_channel_create(options->target, credentials, &args);
	grpc_channel_credentials_release(credentials);
	if (quota)
		grpc_resource_quota_unref(quota);
	/* A target that cannot be understood gives a channel on which every call fails. */
	if (!channel->channel || (fd < 0 && grpc_channel_check_connectivity_state(channel->channel,
						    0) == GRPC_CHANNEL_TRANSIENT_FAILURE)) {
		if (channel->channel)
			grpc_channel_destroy(channel->channel);
		free(channel);
		return -EINVAL;
	}
	channel->rpc = rpc;
	channel->log = options->log;
	if (options->log)
		channel->progress = timer_new(rpc_loop(rpc), channel_look, channel);
	rpc_opened(rpc);
	*out = channel;
	return 0;
}

int rpc_channel_new(
	struct rpc *rpc, const struct rpc_channel_options *options, struct rpc_channel **out)
{
	if (!options->target || !options->target[0])
		return -EINVAL;
	return channel_create(rpc, options, -1, out);
}

int rpc_channel_from_fd(struct rpc *rpc, int fd, const struct rpc_channel_options *options,
	struct rpc_channel **out)
{
	int flags = fcntl(fd, F_GETFL);

	/* gRPC would end the program on a descriptor that is none. */
	if (flags < 0 || fcntl(fd, F_SETFL, flags | O_NONBLOCK) < 0) {
		close_fd(&fd);
		return -EINVAL;
	}
	return channel_create(rpc, options, fd, out);
}

static void channel_maybe_free(struct rpc_channel *channel)
{
	if (channel->channel || !LIST_EMPTY(&channel->calls) || channel->telling > 0)
		return;
	timer_free(channel->progress);
	free(channel);
}

void rpc_channel_free(struct rpc_channel *channel)
{
	struct rpc_call *call;

	if (!channel)
		return;
	LIST_FOREACH(call, &channel->calls, link)
	rpc_call_cancel(call);
	grpc_channel_destroy(channel->channel);
	channel->channel = NULL;
	channel->log = NULL;
	rpc_closed(channel->rpc);
	channel_maybe_free(channel);
}

void rpc_channel_reconnect_now(struct rpc_channel *channel)
{
	grpc_channel_reset_connect_backoff(channel->channel);
}

/* ---- calls ---- */

/* Free a call that is in no list any more, or not yet; half-built ones too. */
static void call_free(struct rpc_call *call)
{
	if (!call)
		return;
	metadata_out_done(&call->headers);
	if (call->request)
		grpc_byte_buffer_destroy(call->request);
	if (call->response)
		grpc_byte_buffer_destroy(call->response);
	grpc_metadata_array_destroy(&call->initial);
	grpc_metadata_array_destroy(&call->trailing);
	grpc_slice_unref(call->details);
	if (call->call)
		grpc_call_unref(call->call);
	free(call);
}

static void call_free_at_exit(struct rpc_call **call)
{
	call_free(*call);
}

static void result_set(
	struct rpc_result *result, enum outcome outcome, int status, const char *details)
{
	result->outcome = outcome;
	result->status = status;
	result->details = details;
}

/* gRPC's sentences, but for those that say nothing to a person. */
static const char *plain_details(const char *details)
{
	if (!details)
		return "";
	if (strncmp(details, "DNS resolution failed", 21) == 0)
		return "its host name cannot be resolved: is it right, and does DNS work?";
	return details;
}

static void count_headers(const grpc_metadata_array *array, size_t *n, size_t *bytes)
{
	*n += array->count;
	for (size_t i = 0; i < array->count; i++)
		*bytes += GRPC_SLICE_LENGTH(array->metadata[i].key) +
			  GRPC_SLICE_LENGTH(array->metadata[i].value);
}

/* gRPC's own limit holds only from when the peer has acknowledged it. */
static bool has_many_headers(const struct rpc_call *call)
{
	size_t n = 0, bytes = GRPC_SLICE_LENGTH(call->details);

	count_headers(&call->initial, &n, &bytes);
	count_headers(&call->trailing, &n, &bytes);
	return n > RPC_ANSWER_HEADERS_MAX || bytes > RPC_ANSWER_HEADER_BYTES_MAX;
}

static bool is_too_large(const struct rpc_call *call)
{
	return call->answer_max_bytes && call->response &&
	       grpc_byte_buffer_length(call->response) > call->answer_max_bytes;
}

/* Put what the batch brought into result. details is kept by the caller until result is done with.
 */
static void call_result(struct rpc_call *call, const char *details, struct rpc_result *result)
{
	result_set(result, rpc_outcome_of((int)call->status), (int)call->status,
		plain_details(details));
	if (has_many_headers(call))
		result_set(result, OUTCOME_INTERNAL, GRPC_STATUS_INTERNAL,
			"the answer has too many or too long headers");
	if (result->outcome != OUTCOME_OK)
		return;
	result->too_large = is_too_large(call);
	if (result->too_large)
		result_set(result, OUTCOME_RESOURCE_EXHAUSTED, GRPC_STATUS_RESOURCE_EXHAUSTED,
			"the answer is too large");
	else if (!call->response)
		result_set(
			result, OUTCOME_INTERNAL, GRPC_STATUS_INTERNAL, "answer without a message");
	else if (bytes_from_grpc(call->response, &result->body) < 0)
		result_set(result, OUTCOME_RESOURCE_EXHAUSTED, GRPC_STATUS_RESOURCE_EXHAUSTED,
			"no memory for the answer");
}

static void call_done(struct tag *tag, bool ok)
{
	struct rpc_call *call = container_of(tag, struct rpc_call, tag);
	struct rpc_channel *channel = call->channel;
	auto_(free_at_exit) char *details = bytes_text(&call->details);
	struct rpc_result result = {0};
	rpc_done_fn *done = call->done;
	void *arg = call->arg;

	(void)ok; /* a batch that receives the status always succeeds */
	call_result(call, details, &result);
	LIST_REMOVE(call, link);
	if (channel->progress && LIST_EMPTY(&channel->calls))
		timer_set(channel->progress, CLOCK_NEVER);
	/* The call is freed before done(), so that result alone holds what was sent and received.
	 */
	call_free(call);
	/* done() may free the channel. */
	channel->telling++;
	done(arg, &result);
	channel->telling--;
	slices_done(&result.body);
	channel_maybe_free(channel);
}

static int call_send(struct rpc_call *call, const struct rpc_call_options *options)
{
	grpc_op ops[] = {
		{.op = GRPC_OP_SEND_INITIAL_METADATA},
		{.op = GRPC_OP_SEND_MESSAGE},
		{.op = GRPC_OP_SEND_CLOSE_FROM_CLIENT},
		{.op = GRPC_OP_RECV_INITIAL_METADATA},
		{.op = GRPC_OP_RECV_MESSAGE},
		{.op = GRPC_OP_RECV_STATUS_ON_CLIENT},
	};

	if (options->wait_for_ready)
		ops[0].flags = GRPC_INITIAL_METADATA_WAIT_FOR_READY |
			       GRPC_INITIAL_METADATA_WAIT_FOR_READY_EXPLICITLY_SET;
	ops[0].data.send_initial_metadata.count = call->headers.n;
	ops[0].data.send_initial_metadata.metadata = call->headers.v;
	ops[1].data.send_message.send_message = call->request;
	ops[3].data.recv_initial_metadata.recv_initial_metadata = &call->initial;
	ops[4].data.recv_message.recv_message = &call->response;
	ops[5].data.recv_status_on_client.trailing_metadata = &call->trailing;
	ops[5].data.recv_status_on_client.status = &call->status;
	ops[5].data.recv_status_on_client.status_details = &call->details;
	return tag_batch(call->channel->rpc, &call->tag, call->call, ops, ARRAY_LEN(ops));
}

static gpr_timespec call_deadline(int64_t timeout_ms)
{
	if (timeout_ms == 0)
		return gpr_inf_future(GPR_CLOCK_MONOTONIC);
	return gpr_time_add(
		gpr_now(GPR_CLOCK_MONOTONIC), gpr_time_from_millis(timeout_ms, GPR_TIMESPAN));
}

static int call_start(struct rpc_channel *channel, const struct rpc_call_options *options,
	const struct slices *body, rpc_done_fn *done, void *arg, struct rpc_call **out)
{
	auto_(call_free_at_exit) struct rpc_call *call = NULL;
	grpc_slice path;
	int r;

	if (options->timeout_ms < 0 || (options->wait_for_ready && options->timeout_ms == 0) ||
		body->bytes > INT32_MAX)
		return -EINVAL;
	call = calloc(1, sizeof *call);
	if (!call)
		return -ENOMEM;
	call->details = grpc_empty_slice();
	call->tag.done = call_done;
	call->done = done;
	call->arg = arg;
	call->answer_max_bytes = options->answer_max_bytes;
	r = metadata_to_grpc(options->headers, options->n_headers, &call->headers);
	if (r == 0)
		r = bytes_to_grpc(body, &call->request);
	if (r < 0)
		return r;
	path = grpc_slice_from_copied_string(options->path);
	call->call = grpc_channel_create_call(channel->channel, NULL, GRPC_PROPAGATE_DEFAULTS,
		rpc_queue(channel->rpc), path, NULL, call_deadline(options->timeout_ms), NULL);
	grpc_slice_unref(path);
	if (!call->call)
		return -EINVAL;
	call->channel = channel;
	progress_begin(&call->progress, options->what, body->bytes);
	if (options->what && channel->progress)
		timer_set(channel->progress, clock_after(clock_now_ms(), PROGRESS_TICK_MS));
	r = call_send(call, options);
	if (r < 0)
		return r;
	call->channel = channel;
	LIST_INSERT_HEAD(&channel->calls, call, link);
	if (out)
		*out = call;
	take_pointer(&call); /* the tag's until done() */
	return 0;
}

int rpc_call_start(struct rpc_channel *channel, const struct rpc_call_options *options,
	struct slices *body, rpc_done_fn *done, void *arg, struct rpc_call **out)
{
	int r = call_start(channel, options, body, done, arg, out);

	slices_done(body);
	return r;
}

void rpc_call_cancel(struct rpc_call *call)
{
	grpc_call_cancel(call->call, NULL);
}
