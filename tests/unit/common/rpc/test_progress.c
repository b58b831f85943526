/*
 * How far a call is, and when that is told. The clock stands still but for time_passes(), and what
 * has passed over the connections is what the test says.
 */
#include "common/rpc/internal/progress.h"

#include "common/rpc/traffic.h"
#include "fixture.h"
#include "kit/clock.h"
#include "kit/log.h"

#include <arpa/inet.h>
#include <sys/socket.h>

enum { END_MS = 200 }; /* that the end of a call may come after its answer */

static struct rig {
	struct kit_log log;
	bool terminal;
	/* the connections */
	bool connected;
	struct traffic traffic;
	unsigned looks;
	char peer[64]; /* that was asked for last */
	bool found;    /* and there really is a connection to it */
	/* the channel */
	int64_t planned_ms; /* the next look at its calls; 0: none */
	struct timer *end;  /* that waits for the ends of calls */
} rig;

/* ---- time and traffic ---- */

void __real_timer_set(struct timer *timer, int64_t at_ms);
void __wrap_timer_set(struct timer *timer, int64_t at_ms);
bool __wrap_log_on_terminal(const struct log *log);
bool __real_traffic_with(const char *peer, struct traffic *out);
bool __wrap_traffic_with(const char *peer, struct traffic *out);

void __wrap_timer_set(struct timer *timer, int64_t at_ms)
{
	if (at_ms == clock_now_ms() + END_MS)
		rig.end = timer;
	if (at_ms != 0 &&
		timer != rig.end) /* by which kit_clock_pass() has the loop look at the time */
		rig.planned_ms = at_ms == CLOCK_NEVER ? 0 : at_ms;
	__real_timer_set(timer, at_ms);
}

bool __wrap_log_on_terminal(const struct log *log)
{
	assert_ptr_equal(log, rig.log.log);
	return rig.terminal;
}

bool __wrap_traffic_with(const char *peer, struct traffic *out)
{
	struct traffic real;

	rig.looks++;
	rig.found = __real_traffic_with(peer, &real);
	snprintf(rig.peer, sizeof rig.peer, "%s", peer);
	*out = rig.traffic;
	return rig.connected;
}

static int setup(void **state)
{
	memset(&rig, 0, sizeof rig);
	kit_clock_start(NULL);
	rig.connected = true;
	kit_log_init(&rig.log, NULL, LOG_LEVEL_INFO);
	return 0;
}

static int teardown(void **state)
{
	kit_log_done(&rig.log);
	return 0;
}

/* That and nothing else was written since the last look at it. */
static void expect_log(const char *text)
{
	kit_log_expect(&rig.log, text);
}

/* The call's next look, so much later, when so much more has passed. */
static void look(struct progress *progress, int64_t ms, size_t sent, size_t received)
{
	kit_clock_pass(ms);
	rig.traffic.sent += sent;
	rig.traffic.received += received;
	progress_tick(progress, &(struct progress_look){0}, rig.log.log, "ipv4:10.0.0.1:9092");
}

/* ---- one call ---- */

static void what_was_sent_is_told_every_ten_seconds(void **state)
{
	struct progress progress;

	rig.traffic = (struct traffic){.sent = 100 * MIB, .received = 7 * MIB};
	progress_begin(&progress, "a reply", 32 * MIB);
	look(&progress, 1000, MIB / 2, 0);
	assert_string_equal(rig.peer, "ipv4:10.0.0.1:9092");
	/* Every ten seconds, from the first look on; what comes meanwhile does not count. */
	look(&progress, 9999, 8 * MIB, 5 * MIB);
	expect_log("");
	look(&progress, 1, 0, 0);
	expect_log("INFO  sending a reply: 8.0 of 32.0 MiB, 25 %, 0.8 MiB/s\n");
	look(&progress, 9999, 16 * MIB, 0);
	expect_log("");
	/* How fast since the last line. */
	look(&progress, 1, 0, 0);
	expect_log("INFO  sending a reply: 24.0 of 32.0 MiB, 75 %, 1.6 MiB/s\n");
	/* It may stand still. */
	look(&progress, 20000, 0, 0);
	expect_log("INFO  sending a reply: 24.0 of 32.0 MiB, 75 %, 0.0 MiB/s\n");
	/* Other calls use the connection, too. */
	look(&progress, 10000, 16 * MIB, 0);
	expect_log("INFO  sending a reply: 40.0 of 32.0 MiB, 100 %, 1.6 MiB/s\n");
}

static void what_was_received_is_told(void **state)
{
	struct progress progress;

	rig.traffic = (struct traffic){.sent = 3 * MIB, .received = 50 * MIB};
	progress_begin(&progress, "a FAB", PROGRESS_BYTES - 1);
	look(&progress, 1000, 0, 0);
	look(&progress, 10000, 9 * MIB, 5 * MIB);
	expect_log("INFO  receiving a FAB: 5.0 MiB so far, 0.5 MiB/s\n");
	/* From that size on it is a call that sends. */
	progress_begin(&progress, "a reply", PROGRESS_BYTES);
	look(&progress, 1000, 0, 0);
	look(&progress, 10000, MIB, 9 * MIB);
	expect_log("INFO  sending a reply: 1.0 of 1.0 MiB, 100 %, 0.1 MiB/s\n");
}

static void it_is_told_each_second_on_a_terminal(void **state)
{
	struct progress progress;

	rig.terminal = true;
	progress_begin(&progress, "a FAB", 0);
	look(&progress, 1000, 0, 0);
	look(&progress, 999, 0, 2 * MIB);
	expect_log("");
	look(&progress, 1, 0, 0);
	expect_log("INFO  receiving a FAB: 2.0 MiB so far, 2.0 MiB/s\n");
	look(&progress, 1000, 0, MIB);
	expect_log("INFO  receiving a FAB: 3.0 MiB so far, 1.0 MiB/s\n");
}

static void little_is_not_told(void **state)
{
	struct progress progress;

	progress_begin(&progress, "a FAB", 0);
	look(&progress, 1000, 0, 0);
	look(&progress, 60000, 0, PROGRESS_BYTES - 1);
	expect_log("");
	/* As soon as it is worth it, if it is time. */
	look(&progress, 1000, 0, 1);
	expect_log("INFO  receiving a FAB: 1.0 MiB so far, 0.0 MiB/s\n");
}

static void connections_come_and_go(void **state)
{
	struct progress progress;

	rig.connected = false;
	progress_begin(&progress, "a FAB", 0);
	look(&progress, 10000, 0, 5 * MIB);
	look(&progress, 10000, 0, 5 * MIB);
	expect_log("");
	rig.connected = true;
	look(&progress, 10000, 0, 0);
	look(&progress, 10000, 0, 2 * MIB);
	expect_log("INFO  receiving a FAB: 2.0 MiB so far, 0.2 MiB/s\n");
	/* Another connection, whose count begins anew. */
	rig.traffic.received = MIB;
	look(&progress, 10000, 0, 0);
	expect_log("");
	look(&progress, 9999, 0, 3 * MIB);
	expect_log("");
	look(&progress, 1, 0, 0);
	expect_log("INFO  receiving a FAB: 3.0 MiB so far, 0.3 MiB/s\n");
}

/* ---- the calls of a channel ---- */

/* The world's server, on a port. */
struct listener {
	struct world *world;
	int fd;
	struct watch *watch;
	unsigned port;
};

static void accept_one(void *arg, int ready)
{
	struct listener *listener = arg;
	int fd = accept4(listener->fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);

	if (fd >= 0)
		rpc_server_add(listener->world->server, fd, &listener->world->peers[0]);
}

/* False: the machine does not have this family. */
static bool listener_open(struct listener *listener, struct world *world, int family)
{
	struct sockaddr_in v4 = {.sin_family = AF_INET, .sin_addr = {htonl(INADDR_LOOPBACK)}};
	struct sockaddr_in6 v6 = {.sin6_family = AF_INET6, .sin6_addr = in6addr_loopback};
	struct sockaddr *address =
		family == AF_INET ? (struct sockaddr *)&v4 : (struct sockaddr *)&v6;
	socklen_t len = family == AF_INET ? sizeof v4 : sizeof v6;

	*listener = (struct listener){.world = world};
	listener->fd = socket(family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (listener->fd < 0 || bind(listener->fd, address, len) < 0) {
		close_fd(&listener->fd);
		return false;
	}
	assert_int_equal(getsockname(listener->fd, address, &len), 0);
	listener->port = ntohs(family == AF_INET ? v4.sin_port : v6.sin6_port);
	assert_int_equal(listen(listener->fd, 5), 0);
	listener->watch = watch_new(world->loop, listener->fd, WATCH_READ, accept_one, listener);
	assert_non_null(listener->watch);
	return true;
}

static void listener_close(struct listener *listener)
{
	watch_free(listener->watch);
	close_fd(&listener->fd);
}

static struct rpc_channel *listener_channel(
	const struct listener *listener, const char *host, struct log *log)
{
	char target[64];
	struct rpc_channel_options options = {
		.target = target, .receive_max_bytes = MIB, .own_connection = true, .log = log};
	struct rpc_channel *channel = NULL;

	snprintf(target, sizeof target, "%s:%u", host, listener->port);
	assert_int_equal(rpc_channel_new(listener->world->rpc, &options, &channel), 0);
	return channel;
}

/* A call that has arrived and waits for its answer; what as in struct rpc_call_options. */
static struct request *ask(
	struct world *world, struct rpc_channel *channel, const char *what, struct answer *answer)
{
	struct rpc_call_options options = {.path = "/test.Service/Later", .what = what};
	struct slices body = body_of(2 * MIB);

	assert_int_equal(call_begin(channel, &options, &body, answer), 0);
	return world_take_waiting(world);
}

static void answer_it(struct world *world, struct request *request, struct answer *answer)
{
	reply_text(request, "");
	world_wait(world, &answer->done);
	assert_int_equal(answer->outcome, OUTCOME_OK);
	answer_done(answer);
}

static void told_of_a_call(struct world *world, int family, const char *host, const char *name)
{
	struct listener listener;
	struct rpc_channel *channel;
	struct answer answer = {0}, other_answer = {0};
	struct request *request, *other;
	char peer[64];

	if (!listener_open(&listener, world, family))
		skip();
	channel = listener_channel(&listener, host, rig.log.log);
	/* Nobody wants to know about this one. */
	other = ask(world, channel, NULL, &other_answer);
	assert_int_equal(rig.planned_ms, 0);
	request = ask(world, channel, "a reply", &answer);
	assert_int_equal(rig.planned_ms, clock_now_ms() + 1000);
	kit_clock_pass(999);
	assert_int_equal(rig.looks, 0);
	kit_clock_pass(1);
	assert_int_equal(rig.looks, 1);
	assert_int_equal(rig.planned_ms, clock_now_ms() + 1000);
	/* Its connection is the one that is looked at. */
	snprintf(peer, sizeof peer, "%s:%u", name, listener.port);
	assert_string_equal(rig.peer, peer);
	assert_true(rig.found);
	rig.traffic.sent += 2 * MIB;
	for (int i = 0; i < 10; i++)
		kit_clock_pass(1000);
	assert_int_equal(rig.looks, 11);
	expect_log("INFO  sending a reply: 2.0 of 2.0 MiB, 100 %, 0.2 MiB/s\n");
	answer_it(world, request, &answer);
	for (int i = 0; i < 2; i++)
		kit_clock_pass(1000);
	assert_int_equal(rig.looks, 11);

	/* Another one, and then there are none. */
	request = ask(world, channel, "a reply", &answer);
	kit_clock_pass(1000);
	assert_int_equal(rig.looks, 12);
	answer_it(world, other, &other_answer);
	assert_int_equal(rig.planned_ms, clock_now_ms() + 1000);
	answer_it(world, request, &answer);
	assert_int_equal(rig.planned_ms, 0);
	rpc_channel_free(channel);
	listener_close(&listener);
}

static void a_call_over_ipv4_is_told(void **state)
{
	told_of_a_call(*state, AF_INET, "127.0.0.1", "ipv4:127.0.0.1");
}

static void a_call_over_ipv6_is_told(void **state)
{
	told_of_a_call(*state, AF_INET6, "[::1]", "ipv6:%5B::1%5D");
}

static void without_a_log_nobody_looks(void **state)
{
	struct world *world = *state;
	struct listener listener;
	struct rpc_channel *channel;
	struct answer answer = {0};
	struct request *request;

	assert_true(listener_open(&listener, world, AF_INET));
	channel = listener_channel(&listener, "127.0.0.1", NULL);
	request = ask(world, channel, "a reply", &answer);
	assert_int_equal(rig.planned_ms, 0);
	answer_it(world, request, &answer);
	assert_int_equal(rig.looks, 0);
	rpc_channel_free(channel);
	listener_close(&listener);
}

static int channel_setup(void **state)
{
	int r = setup(state);

	if (r == 0)
		r = world_setup(state);
	if (r == 0)
		kit_clock_start(((struct world *)*state)->loop);
	return r;
}

static int channel_teardown(void **state)
{
	int r;

	kit_clock_done();
	r = world_teardown(state);
	return r == 0 ? teardown(state) : r;
}

#define CALL_TEST(test)    cmocka_unit_test_setup_teardown(test, setup, teardown)
#define CHANNEL_TEST(test) cmocka_unit_test_setup_teardown(test, channel_setup, channel_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		CALL_TEST(what_was_sent_is_told_every_ten_seconds),
		CALL_TEST(what_was_received_is_told),
		CALL_TEST(it_is_told_each_second_on_a_terminal),
		CALL_TEST(little_is_not_told),
		CALL_TEST(connections_come_and_go),
		CHANNEL_TEST(a_call_over_ipv4_is_told),
		CHANNEL_TEST(a_call_over_ipv6_is_told),
		CHANNEL_TEST(without_a_log_nobody_looks),
	};

	rpc_silence();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
