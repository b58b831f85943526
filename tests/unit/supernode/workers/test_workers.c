/* The end of the worker API's server: both of its servers have the same time for it. */
#include "supernode/workers/workers.h"

#include "common/http/server.h"
#include "common/rpc/server.h"
#include "kit/dir.h"
#include "kit/log.h"
#include "kit/loop.h"
#include "kit/test.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#define GRACE_MS 20000

static struct {
	struct loop *loop;
	struct rpc *rpc;
	struct kit_log log;
	struct budget budget;
	struct node *node;
	struct workers *workers;
	int64_t http_ms, rpc_ms; /* the time that each server was given */
	unsigned done;
} rig;

void __real_http_server_shutdown(
	struct http_server *server, int64_t grace_ms, void (*done)(void *arg), void *arg);
void __wrap_http_server_shutdown(
	struct http_server *server, int64_t grace_ms, void (*done)(void *arg), void *arg);
void __real_rpc_server_shutdown(
	struct rpc_server *server, int64_t grace_ms, void (*done)(void *arg), void *arg);
void __wrap_rpc_server_shutdown(
	struct rpc_server *server, int64_t grace_ms, void (*done)(void *arg), void *arg);

void __wrap_http_server_shutdown(
	struct http_server *server, int64_t grace_ms, void (*done)(void *arg), void *arg)
{
	rig.http_ms = grace_ms;
	__real_http_server_shutdown(server, grace_ms, done, arg);
}

void __wrap_rpc_server_shutdown(
	struct rpc_server *server, int64_t grace_ms, void (*done)(void *arg), void *arg)
{
	rig.rpc_ms = grace_ms;
	__real_rpc_server_shutdown(server, grace_ms, done, arg);
}

static uint64_t next_random(void *arg)
{
	static uint64_t last = 4711;

	return last++;
}

static void on_changed(void *arg)
{
}

static void on_ready(void *arg, uint64_t message, const struct peer *peer)
{
}

static void on_done(void *arg)
{
	rig.done++;
}

static int begin(void **state, bool private_socket)
{
	static const struct workers_ops events = {.changed = on_changed, .ready = on_ready};
	char address[sizeof(struct sockaddr_un)];

	memset(&rig, 0, sizeof rig);
	assert_int_equal(kit_dir_make(state), 0);
	snprintf(address, sizeof address, "unix:%s/api.sock", kit_dir);
	assert_int_equal(loop_new(&rig.loop), 0);
	assert_int_equal(rpc_new(rig.loop, &rig.rpc), 0);
	kit_log_init(&rig.log, "test", LOG_LEVEL_INFO);
	budget_init(&rig.budget, 1 << 20);
	rig.node = node_new(&(struct node_options){.node_config = &(struct value_map){0},
		.slots = 1,
		.workers_come = true,
		.budget = &rig.budget,
		.random = next_random});
	assert_non_null(rig.node);
	return workers_new(rig.rpc,
		&(struct workers_options){.loop = rig.loop,
			.log = rig.log.log,
			.node = rig.node,
			.ops = &events,
			.address = private_socket ? NULL : address,
			.dir = kit_dir,
			.receive_max_bytes = 1 << 20,
			.memory_max_bytes = 1 << 20,
			.workers_come = true,
			.reconnect_ms = 1000},
		&rig.workers, NULL);
}

static int setup(void **state)
{
	return begin(state, false);
}

static int setup_private(void **state)
{
	return begin(state, true);
}

static int teardown(void **state)
{
	workers_free(rig.workers);
	node_free(rig.node);
	kit_log_done(&rig.log);
	rpc_free(rig.rpc);
	loop_free(rig.loop);
	return kit_dir_remove(state);
}

/* A request whose body does not come: HTTP is at work until its time is over. */
static int say_half_a_request(void)
{
	static const char text[] = "POST /v1/runtime/push-logs HTTP/1.1\r\nHost: x\r\n"
				   "Content-Type: application/protobuf\r\nContent-Length: 9\r\n";
	struct sockaddr_un to = {.sun_family = AF_UNIX};
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	snprintf(to.sun_path, sizeof to.sun_path, "%s",
		workers_address(rig.workers) + strlen("unix:"));
	assert_int_equal(connect(fd, (struct sockaddr *)&to, sizeof to), 0);
	assert_int_equal(write(fd, text, sizeof text - 1), sizeof text - 1);
	return fd;
}

static void both_servers_stop_at_once(void **state)
{
	workers_stop(rig.workers, GRACE_MS, on_done, NULL);
	assert_int_equal(rig.http_ms, GRACE_MS);
	assert_int_equal(rig.rpc_ms, GRACE_MS);
	kit_loop_until(rig.loop, rig.done);
	loop_step(rig.loop, 0);
	assert_int_equal(rig.done, 1);
}

/* gRPC is gone before HTTP; a connection of HTTP ends in between, and one afterwards. */
static void one_may_be_down_before_the_other(void **state)
{
	int first = say_half_a_request(), second = say_half_a_request();

	for (int i = 0; i < 20; i++)
		loop_step(rig.loop, 0);
	workers_stop(rig.workers, 100, on_done, NULL);
	close(first);
	kit_loop_until(rig.loop, rig.done);
	assert_int_equal(rig.done, 1);
	close(second);
	/* Nobody is told that a worker was lost. */
	assert_string_equal(kit_log_text(&rig.log), "");
}

static void the_private_socket_has_grpc_alone(void **state)
{
	int fd = say_half_a_request();

	kit_loop_until(
		rig.loop, strstr(kit_log_text(&rig.log), "which is not gRPC: closed") != NULL);
	close(fd);
	workers_stop(rig.workers, GRACE_MS, on_done, NULL);
	assert_int_equal(rig.http_ms, 0);
	assert_int_equal(rig.rpc_ms, GRACE_MS);
	kit_loop_until(rig.loop, rig.done);
	loop_step(rig.loop, 0);
	assert_int_equal(rig.done, 1);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
		TEST(both_servers_stop_at_once),
		TEST(one_may_be_down_before_the_other),
		cmocka_unit_test_setup_teardown(
			the_private_socket_has_grpc_alone, setup_private, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
