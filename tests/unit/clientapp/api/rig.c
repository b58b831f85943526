#include "rig.h"

#include <fcntl.h>
#include <sys/socket.h>
#include <sys/un.h>

struct rig rig;

/* ---- time ---- */

struct timer *__real_timer_new(struct loop *loop, timer_fn *fn, void *arg);
struct timer *__wrap_timer_new(struct loop *loop, timer_fn *fn, void *arg);
void __real_timer_set(struct timer *timer, int64_t at_ms);
void __wrap_timer_set(struct timer *timer, int64_t at_ms);
void __real_rpc_channel_reconnect_now(struct rpc_channel *channel);
void __wrap_rpc_channel_reconnect_now(struct rpc_channel *channel);

struct timer *__wrap_timer_new(struct loop *loop, timer_fn *fn, void *arg)
{
	struct timer *timer = rig.no_timers ? NULL : __real_timer_new(loop, fn, arg);

	if (rig.begun && !rig.timer)
		rig.timer = timer;
	return timer;
}

void __wrap_timer_set(struct timer *timer, int64_t at_ms)
{
	if (timer == rig.timer)
		rig.planned_ms = at_ms == CLOCK_NEVER ? 0 : at_ms;
	__real_timer_set(timer, at_ms);
}

void __wrap_rpc_channel_reconnect_now(struct rpc_channel *channel)
{
	rig.reconnects++;
	__real_rpc_channel_reconnect_now(channel);
}

void settle(void)
{
	for (int i = 0; i < 5; i++)
		loop_step(rig.loop, 5);
}

/* ---- the SuperNode ---- */

static void on_cancel(void *arg, struct request *request)
{
	assert_ptr_equal(rig.kept, request);
	rig.kept = NULL;
	rig.cancelled++;
	request_fail(request, OUTCOME_CANCELLED, "gone");
}

void rig_keep(struct request *request)
{
	assert_null(rig.kept);
	rig.kept = request;
	request_on_cancel(request, on_cancel, NULL);
}

struct request *take_kept(void)
{
	assert_non_null(rig.kept);
	request_on_cancel(rig.kept, NULL, NULL);
	return take_pointer(&rig.kept);
}

static void accept_one(void *arg, int ready)
{
	int fd = accept4(rig.listening, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
	struct peer *peer;

	if (fd < 0)
		return;
	assert_true(rig.connections < ARRAY_LEN(rig.peers));
	peer = &rig.peers[rig.connections];
	peer->connection = ++rig.connections;
	close_fd(&rig.connection);
	rig.connection = fcntl(fd, F_DUPFD_CLOEXEC, 0);
	assert_return_code(rig.connection, errno);
	rpc_server_add(rig.server, fd, peer);
}

void supernode_comes(void)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};

	snprintf(address.sun_path, sizeof address.sun_path, "%s", rig.address + strlen("unix:"));
	assert_int_equal(rpc_server_new(rig.rpc,
				 &(struct rpc_server_options){.services = rig.service,
					 .n_services = rig.n_services,
					 .receive_max_bytes = 1 << 16,
					 .calls_max = 4,
					 .keepalive_ms = 60000,
					 .keepalive_timeout_ms = 20000},
				 &rig.server),
		0);
	rig.listening = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	assert_return_code(rig.listening, errno);
	assert_return_code(bind(rig.listening, (struct sockaddr *)&address, sizeof address), errno);
	assert_return_code(listen(rig.listening, 5), errno);
	rig.accepts = watch_new(rig.loop, rig.listening, WATCH_READ, accept_one, NULL);
	assert_non_null(rig.accepts);
}

static void on_down(void *arg)
{
	rig.down = true;
}

void supernode_goes(void)
{
	watch_free(rig.accepts);
	close_fd(&rig.listening);
	close_fd(&rig.connection);
	unlink(rig.address + strlen("unix:"));
	rig.down = false;
	rpc_server_shutdown(take_pointer(&rig.server), 0, on_down, NULL);
	/* The shutdown has a timer that is due now. */
	kit_clock_pass(0);
	run_until(rig.down);
}

void connection_breaks(void)
{
	assert_return_code(shutdown(rig.connection, SHUT_RDWR), errno);
}

/* ---- who asks ---- */

void asks_again_in(int64_t ms)
{
	run_until(rig.planned_ms);
	assert_int_equal(rig.planned_ms, clock_now_ms() + ms);
}

void asks_again(void)
{
	unsigned before = rig.questions;
	int64_t ms = rig.planned_ms - clock_now_ms();

	assert_true(ms >= 0);
	rig.planned_ms = 0;
	kit_clock_pass(ms);
	run_until(rig.questions > before);
	assert_int_equal(rig.questions, before + 1);
}

void until_asked(void)
{
	unsigned before = rig.questions;

	run_until((kit_clock_pass(2000), rig.questions > before));
}

/* ---- life ---- */

void rig_setup(const struct service *service)
{
	memset(&rig, 0, sizeof rig);
	rig.service = service;
	rig.n_services = 1;
	rig.listening = -1;
	rig.connection = -1;
	kit_log_init(&rig.log, "test", LOG_LEVEL_DEBUG);
	snprintf(rig.dir, sizeof rig.dir, "/tmp/clientapp-appio-XXXXXX");
	assert_non_null(mkdtemp(rig.dir));
	snprintf(rig.address, sizeof rig.address, "unix:%s/sock", rig.dir);
	assert_int_equal(loop_new(&rig.loop), 0);
	kit_clock_start(rig.loop);
	assert_int_equal(rpc_new(rig.loop, &rig.rpc), 0);
	rig.begun = true;
}

void rig_teardown(void)
{
	rig.timer = NULL;
	if (rig.server)
		supernode_goes();
	kit_clock_done();
	rpc_free(rig.rpc);
	loop_free(rig.loop);
	kit_log_done(&rig.log);
	rmdir(rig.dir);
}
