/*
 * server: the life of a server: its ports, connections that are given to it, calls that are waited
 * for, and an end in order: no new calls, grace, cancel what is left, wait for all tags, free.
 */
#include "common/rpc/server.h"

#include "common/base/cleanup.h"
#include "common/base/clock.h"
#include "common/rpc/internal/args.h"
#include "common/rpc/internal/inbound.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <grpc/grpc.h>
#include <grpc/grpc_posix.h>
#include <grpc/grpc_security.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <sys/socket.h>

#define SERVER_POSTED      16
#define SERVER_REPOST_MS   100
#define SERVER_PING_MIN_MS 1000
#define SERVER_WAIT_MS     60000 /* that a step of the loop takes at most */

enum { SERVER_ARGS = ARGS_COMMON + 6 };

/* Fill args with what a server has beside what its user names, and say how many these are. */
static size_t server_args(
	const struct rpc_server_options *options, grpc_arg *args, grpc_resource_quota **quota)
{
	size_t n = ARGS_COMMON;

	args_common(args, &(struct args_common){.receive_max_bytes = options->receive_max_bytes,
				  .keepalive_ms = options->keepalive_ms,
				  .keepalive_timeout_ms = options->keepalive_timeout_ms,
				  .accept = options->accept});
	/* A peer whose machine is gone is found without a call, too: it would be an idle connection
	 * for ever. */
	args[n++] = arg_int(GRPC_ARG_KEEPALIVE_PERMIT_WITHOUT_CALLS, 1);
	/* Peers with a keepalive of their own must not be thrown out for it. */
	args[n++] =
		arg_int(GRPC_ARG_HTTP2_MIN_RECV_PING_INTERVAL_WITHOUT_DATA_MS, SERVER_PING_MIN_MS);
	/* A single connection must not take all the calls that there are. */
	args[n++] = arg_int(GRPC_ARG_MAX_CONCURRENT_STREAMS,
		options->connection_calls_max ? (int64_t)options->connection_calls_max : INT_MAX);
	/* Answering a ping costs less than counting how many were too many. */
	args[n++] = arg_int(GRPC_ARG_HTTP2_MAX_PING_STRIKES, 0);
	/* Two servers at one port would share the calls that come. */
	args[n++] = arg_int(GRPC_ARG_ALLOW_REUSEPORT, 0);
	if (options->memory_max_bytes > 0)
		args[n++] = arg_quota(options->memory_max_bytes, quota);
	return n;
}

/* NULL on no memory. */
static grpc_server *server_create(const struct rpc_server_options *options)
{
	auto_(free_at_exit) grpc_arg *v = calloc(SERVER_ARGS + options->n_options, sizeof *v);
	grpc_channel_args args = {.args = v};
	grpc_resource_quota *quota = NULL;
	grpc_server *server;

	if (!v)
		return NULL;
	for (size_t i = 0; i < options->n_options; i++)
		v[args.num_args++] = arg_option(&options->options[i]);
	args.num_args += server_args(options, v + args.num_args, &quota);
	server = grpc_server_create(&args, NULL);
	if (quota)
		grpc_resource_quota_unref(quota);
	return server;
}

static grpc_server_credentials *port_credentials(const struct rpc_tls *tls)
{
	static const grpc_ssl_client_certificate_request_type requests[] = {
		[RPC_CLIENT_CERTIFICATE_NOT_ASKED] = GRPC_SSL_DONT_REQUEST_CLIENT_CERTIFICATE,
		[RPC_CLIENT_CERTIFICATE_ASKED] = GRPC_SSL_REQUEST_CLIENT_CERTIFICATE_AND_VERIFY,
		[RPC_CLIENT_CERTIFICATE_REQUIRED] =
			GRPC_SSL_REQUEST_AND_REQUIRE_CLIENT_CERTIFICATE_AND_VERIFY,
	};
	grpc_ssl_pem_key_cert_pair pair;

	if (!tls)
		return grpc_insecure_server_credentials_create();
	/* gRPC ends the program without these. */
	if (!tls->key_pem || !tls->chain_pem)
		return NULL;
	if ((size_t)tls->client_certificate >= ARRAY_LEN(requests))
		return NULL;
	/* Nothing could vouch for a client. */
	if (tls->client_certificate != RPC_CLIENT_CERTIFICATE_NOT_ASKED && !tls->trusted_pem)
		return NULL;
	pair = (grpc_ssl_pem_key_cert_pair){tls->key_pem, tls->chain_pem};
	return grpc_ssl_server_credentials_create_ex(
		tls->trusted_pem, &pair, 1, requests[tls->client_certificate], NULL);
}

/* Listen at one port. 0, -EINVAL, -EADDRNOTAVAIL. */
static int server_listen(struct rpc_server *server, const struct rpc_port *port, int *number_out)
{
	grpc_server_credentials *credentials = port_credentials(port->tls);

	if (!credentials)
		return -EINVAL;
	*number_out = grpc_server_add_http2_port(server->server, port->address, credentials);
	grpc_server_credentials_release(credentials);
	if (*number_out > 0)
		return 0;
	/* gRPC does not say what it was: a port that can be opened without TLS tells. */
	return port->tls && grpc_server_add_http2_port(
				    server->server, port->address, server->plain) > 0
		       ? -EINVAL
		       : -EADDRNOTAVAIL;
}

static int server_listen_all(struct rpc_server *server)
{
	const struct rpc_server_options *options = &server->options;
	int r = 0;

	if (options->n_ports == 0)
		return 0;
	server->ports = calloc(options->n_ports, sizeof *server->ports);
	if (!server->ports)
		return -ENOMEM;
	for (size_t i = 0; r == 0 && i < options->n_ports; i++)
		r = server_listen(server, &options->ports[i], &server->ports[i]);
	return r;
}

/* Keep SERVER_POSTED waiting; what memory does not allow now is tried again. */
static void server_refill(struct rpc_server *server)
{
	while (server->posted < SERVER_POSTED) {
		if (inbound_post(server) < 0) {
			timer_set(server->timer, clock_after(clock_now_ms(), SERVER_REPOST_MS));
			return;
		}
	}
}

static void server_cut(struct rpc_server *server)
{
	if (server->cut)
		return;
	server->cut = true;
	/* Ends idle connections, too, which would hold up the shutdown otherwise. */
	grpc_server_cancel_all_calls(server->server);
}

static void server_timer(void *arg)
{
	struct rpc_server *server = arg;

	if (server->stopping)
		server_cut(server);
	else
		server_refill(server);
}

static void server_free(struct loop_work *work)
{
	struct rpc_server *server = container_of(work, struct rpc_server, free_work);
	void (*done)(void *arg) = server->done;
	void *done_arg = server->done_arg;

	grpc_server_destroy(server->server);
	grpc_server_credentials_release(server->plain);
	if (server->waited)
		*server->waited = true;
	free(server->ports);
	peers_done(&server->peers);
	timer_free(server->timer);
	rpc_release(server->rpc);
	free(server);
	if (done)
		done(done_arg);
}

void server_changed(struct rpc_server *server)
{
	if (!server->stopping) {
		server_refill(server);
		return;
	}
	if (server->live == 0)
		server_cut(server);
	/* The loop tells it: the caller that gave the last answer may be working with the server
	 * still. */
	if (server->down && server->live == 0 && server->posted == 0)
		loop_post(rpc_loop(server->rpc), &server->free_work);
}

static void server_ended(struct tag *tag, bool ok)
{
	struct rpc_server *server = container_of(tag, struct rpc_server, ended);

	(void)ok;
	server->down = true;
	server_changed(server);
}

int rpc_server_new(
	struct rpc *rpc, const struct rpc_server_options *options, struct rpc_server **out)
{
	auto_(free_at_exit) struct rpc_server *server = calloc(1, sizeof *server);
	int r;

	if ((unsigned)options->compression >= RPC_COMPRESSION_N)
		return -EINVAL;
	if (!server)
		return -ENOMEM;
	server->server = server_create(options);
	if (!server->server)
		return -ENOMEM;
	server->timer = timer_new(rpc_loop(rpc), server_timer, server);
	if (!server->timer) {
		grpc_server_destroy(server->server);
		return -ENOMEM;
	}
	server->rpc = rpc;
	server->options = *options;
	server->ended.done = server_ended;
	server->free_work.run = server_free;
	server->plain = grpc_insecure_server_credentials_create();
	grpc_server_register_completion_queue(server->server, rpc_queue(rpc), NULL);
	rpc_opened(rpc);
	rpc_hold(rpc);
	r = server_listen_all(server);
	if (r < 0) {
		/* Ports that are open already take an orderly end. */
		rpc_server_shutdown(take_pointer(&server), 0, NULL, NULL);
		return r;
	}
	grpc_server_start(server->server);
	server_refill(server);
	*out = take_pointer(&server);
	return 0;
}

int rpc_server_port(const struct rpc_server *server, size_t i)
{
	assert(i < server->options.n_ports);
	return server->ports[i];
}

/* gRPC leaves both to the maker of the socket. */
static int socket_prepare(int fd)
{
	int flags = fcntl(fd, F_GETFL);
	int on = 1;

	if (flags < 0 || fcntl(fd, F_SETFL, flags | O_NONBLOCK) < 0)
		return -errno;
	/* Unix sockets know no delay and say so. */
	(void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
	return 0;
}

void rpc_server_add(struct rpc_server *server, int fd, const struct peer *peer)
{
	/* A connection that cannot be served ends: its peer sees that, and so does a watcher with
	 * a descriptor of its own. */
	if (server->stopping || socket_prepare(fd) < 0 ||
		peers_add(&server->peers, &fd, peer, clock_now_ms()) < 0) {
		if (fd >= 0)
			shutdown(fd, SHUT_RDWR);
		close_fd(&fd);
		return;
	}
	grpc_server_add_channel_from_fd(server->server, fd, server->plain);
}

void rpc_server_peer_gone(struct rpc_server *server, const struct peer *peer)
{
	peers_gone(&server->peers, peer, clock_now_ms());
	inbound_orphan(server, peer);
}

static void server_grace(struct rpc_server *server, int64_t end_ms)
{
	server->grace_end_ms = end_ms;
	timer_set(server->timer, end_ms);
}

void rpc_server_shutdown(
	struct rpc_server *server, int64_t grace_ms, void (*done)(void *arg), void *arg)
{
	int64_t end_ms = clock_after(clock_now_ms(), grace_ms);

	if (done) {
		server->done = done;
		server->done_arg = arg;
	}
	if (server->stopping) {
		if (!server->cut && end_ms < server->grace_end_ms)
			server_grace(server, end_ms);
		return;
	}
	server->stopping = true;
	rpc_closed(server->rpc);
	tag_expect(server->rpc, &server->ended);
	grpc_server_shutdown_and_notify(server->server, rpc_queue(server->rpc), &server->ended);
	if (server->live == 0)
		server_cut(server);
	else
		server_grace(server, end_ms);
}

bool rpc_server_wait(struct rpc_server *server, int64_t timeout_ms)
{
	struct loop *loop = rpc_loop(server->rpc);
	int64_t end_ms = timeout_ms < 0 ? CLOCK_NEVER : clock_after(clock_now_ms(), timeout_ms);
	bool ended = false;

	server->waited = &ended;
	while (!ended && clock_now_ms() < end_ms) {
		int64_t left_ms = end_ms - clock_now_ms();

		loop_step(loop, left_ms < SERVER_WAIT_MS ? left_ms : SERVER_WAIT_MS);
	}
	if (!ended)
		server->waited = NULL;
	return ended;
}
