/*
 * channel: a channel lives until the last of its calls has ended, even if its owner frees it
 * before.
 */
#include "common/rpc/channel.h"

#include "common/base/cleanup.h"
#include "common/base/clock.h"
#include "common/rpc/internal/args.h"
#include "common/rpc/internal/outgoing.h"

#include <errno.h>
#include <fcntl.h>
#include <grpc/grpc_posix.h>
#include <grpc/grpc_security.h>
#include <grpc/support/alloc.h>
#include <limits.h>
#include <stdlib.h>

#define BACKOFF_FIRST_MS 50
#define BACKOFF_MAX_MS   1000
#define RESOLVE_MIN_MS   1000

enum { CHANNEL_ARGS = ARGS_COMMON + 12 };

/* Fill CHANNEL_ARGS places, the options of the user, and one more place that stays free. */
static void channel_args(const struct rpc_channel_options *options, grpc_arg *args, size_t *n)
{
	size_t i = 0;

	/* gRPC takes the first of two arguments of one name. */
	while (i < options->n_options) {
		args[i] = arg_option(&options->options[i]);
		i++;
	}
	args_common(&args[i], &(struct args_common){.receive_max_bytes = options->receive_max_bytes,
				      .keepalive_ms = options->keepalive_ms,
				      .keepalive_timeout_ms = options->keepalive_timeout_ms,
				      .accept = options->accept});
	i += ARGS_COMMON;
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
	if (options->tls_name)
		args[i++] = arg_text(GRPC_SSL_TARGET_NAME_OVERRIDE_ARG, options->tls_name);
	*n = i;
}

static void channel_look(void *arg)
{
	struct rpc_channel *channel = arg;
	struct progress_look look = {0};
	struct outgoing *call;
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

void channel_watch_progress(struct rpc_channel *channel)
{
	if (channel->progress)
		timer_set(channel->progress, clock_after(clock_now_ms(), PROGRESS_TICK_MS));
}

/* Wait until the state is another than last. */
static void state_wait(struct rpc_channel *channel, grpc_connectivity_state last)
{
	tag_expect(channel->rpc, &channel->state);
	channel->state_out = true;
	grpc_channel_watch_connectivity_state(channel->channel, last,
		gpr_inf_future(GPR_CLOCK_MONOTONIC), rpc_queue(channel->rpc), &channel->state);
}

/* Tell the watcher whether there is a connection, if that is another answer than the last one. */
static void tell_ready(struct rpc_channel *channel, bool ready)
{
	if (ready == channel->ready)
		return;
	channel->ready = ready;
	channel->ready_fn(channel->ready_arg, ready);
}

static void told_due(void *arg)
{
	struct rpc_channel *channel = arg;

	if (channel->ready_fn)
		tell_ready(channel, rpc_channel_is_ready(channel));
}

static void state_changed(struct tag *tag, bool ok)
{
	struct rpc_channel *channel = container_of(tag, struct rpc_channel, state);
	grpc_connectivity_state state;

	(void)ok;
	channel->state_out = false;
	if (!channel->channel || !channel->ready_fn) {
		channel_maybe_free(channel);
		return;
	}
	state = grpc_channel_check_connectivity_state(channel->channel, 1);
	state_wait(channel, state);
	tell_ready(channel, state == GRPC_CHANNEL_READY);
}

static grpc_channel_credentials *credentials_new(const struct rpc_tls *tls)
{
	grpc_ssl_pem_key_cert_pair own;

	if (!tls)
		return grpc_insecure_credentials_create();
	/* gRPC would end the program on a chain without a key, and leave out a lone key. */
	if (!tls->chain_pem != !tls->key_pem)
		return NULL;
	own = (grpc_ssl_pem_key_cert_pair){
		.private_key = tls->key_pem, .cert_chain = tls->chain_pem};
	return grpc_ssl_credentials_create(
		tls->trusted_pem, tls->chain_pem ? &own : NULL, NULL, NULL);
}

/* gRPC's channel: 0, -ENOMEM, or -EINVAL: it takes no such options. fd is taken over unless it is
 * -1.
 */
static int create(const struct rpc_channel_options *options, int fd, grpc_channel **out)
{
	auto_(free_at_exit) grpc_arg *v = calloc(CHANNEL_ARGS + options->n_options, sizeof *v);
	grpc_channel_args args = {.args = v};
	grpc_resource_quota *quota = NULL;
	grpc_channel_credentials *credentials = v ? credentials_new(options->tls) : NULL;
	grpc_channel *channel;

	if (!credentials) {
		close_fd(&fd);
		return v ? -EINVAL : -ENOMEM;
	}
	channel_args(options, v, &args.num_args);
	if (options->memory_max_bytes > 0)
		v[args.num_args++] = arg_quota(options->memory_max_bytes, &quota);
	if (fd >= 0)
		channel = grpc_channel_create_from_fd(
			options->target ? options->target : "fd", fd, credentials, &args);
	else
		channel = grpc_channel_create(options->target, credentials, &args);
	grpc_channel_credentials_release(credentials);
	if (quota)
		grpc_resource_quota_unref(quota);
	/* A target that cannot be understood gives a channel on which every call fails. */
	if (channel && fd < 0 &&
		grpc_channel_check_connectivity_state(channel, 0) ==
			GRPC_CHANNEL_TRANSIENT_FAILURE) {
		grpc_channel_destroy(channel);
		channel = NULL;
	}
	*out = channel;
	return channel ? 0 : -EINVAL;
}

static int copy_interceptors(struct rpc_channel *channel, const struct rpc_channel_options *options)
{
	size_t n = options->n_interceptors;

	if (n == 0)
		return 0;
	channel->interceptors = calloc(n, sizeof *channel->interceptors);
	if (!channel->interceptors)
		return -ENOMEM;
	memcpy(channel->interceptors, options->interceptors, n * sizeof *channel->interceptors);
	channel->n_interceptors = n;
	return 0;
}

static void channel_dispose(struct rpc_channel *channel)
{
	for (size_t i = 0; channel->made && i < channel->n_interceptors; i++)
		if (channel->interceptors[i].gone)
			channel->interceptors[i].gone(channel->interceptors[i].arg);
	timer_free(channel->late);
	timer_free(channel->progress);
	timer_free(channel->told);
	free(channel->interceptors);
	free(channel);
}

/* Takes over fd unless it is -1. */
static int channel_create(struct rpc *rpc, const struct rpc_channel_options *options, int fd,
	struct rpc_channel **out)
{
	struct rpc_channel *channel = calloc(1, sizeof *channel);
	int r;

	if (!channel || copy_interceptors(channel, options) < 0) {
		close_fd(&fd);
		free(channel);
		return -ENOMEM;
	}
	channel->rpc = rpc;
	channel->log = options->log;
	channel->compression = options->compression;
	channel->direct = fd >= 0;
	channel->state.done = state_changed;
	r = create(options, fd, &channel->channel);
	if (r) {
		channel_dispose(channel);
		return r;
	}
	if (options->log)
		channel->progress = timer_new(rpc_loop(rpc), channel_look, channel);
	rpc_opened(rpc);
	channel->made = true;
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

void channel_maybe_free(struct rpc_channel *channel)
{
	if (!channel->channel && LIST_EMPTY(&channel->calls) && channel->telling == 0 &&
		!channel->state_out)
		channel_dispose(channel);
}

void rpc_channel_free(struct rpc_channel *channel)
{
	struct outgoing *call;

	if (!channel)
		return;
	LIST_FOREACH(call, &channel->calls, link)
	grpc_call_cancel(call->call, NULL);
	grpc_channel_destroy(channel->channel);
	channel->channel = NULL;
	channel->log = NULL;
	if (channel->told)
		timer_set(channel->told, CLOCK_NEVER);
	rpc_closed(channel->rpc);
	channel_maybe_free(channel);
}

void rpc_channel_reconnect_now(struct rpc_channel *channel)
{
	grpc_channel_reset_connect_backoff(channel->channel);
}

int rpc_channel_watch(struct rpc_channel *channel, rpc_ready_fn *fn, void *arg)
{
	if (channel->direct)
		return -EINVAL;
	if (!channel->told)
		channel->told = timer_new(rpc_loop(channel->rpc), told_due, channel);
	if (!channel->told)
		return -ENOMEM;
	channel->ready_fn = fn;
	channel->ready_arg = arg;
	channel->ready = false;
	if (!fn)
		return 0;
	if (channel->state_out)
		timer_set(channel->told, 0); /* the wait began with the present state */
	else
		state_wait(channel, GRPC_CHANNEL_SHUTDOWN);
	return 0;
}

bool rpc_channel_is_ready(const struct rpc_channel *channel)
{
	return !channel->direct &&
	       grpc_channel_check_connectivity_state(channel->channel, 0) == GRPC_CHANNEL_READY;
}
