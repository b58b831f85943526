#include "guests_rig.h"

#include "common/base/clock.h"
#include "kit/clock.h"

#include <arpa/inet.h>
#include <sys/socket.h>

struct rig *rig;

static void handle_echo(void *server, struct request *request)
{
	struct slices body = {0};

	rig->peer = *request->peer;
	slices_move(&body, &request->body);
	request_reply(request, &body);
	slices_done(&body);
}

static const struct method methods[] = {{.name = "Echo", .body_max = 1000, .handle = handle_echo}};
static const struct service service = {.name = "test.Echo", .methods = methods, .n_methods = 1};

static bool token_live(void *arg, uint64_t token)
{
	return token == rig->live || (rig->live_too && token == rig->live_too);
}

static void token_held(void *arg, uint64_t token, const struct peer *peer)
{
	assert_int_not_equal(peer->connection, 0);
	assert_ptr_equal(arg, rig);
	assert_int_not_equal(token, 0);
	rig->held++;
}

static void token_cut(void *arg, uint64_t token, int process, bool idle, const struct peer *peer)
{
	struct cut *cut = &((struct rig *)arg)->cut;

	assert_true(token_live(arg, token));
	close_fd(&cut->process);
	*cut = (struct cut){cut->times + 1, token, cut->token, process, idle, *peer};
}

static void process_found(void *arg, uint64_t token, int process)
{
	assert_ptr_equal(arg, rig);
	assert_int_equal(token, 7);
	close_fd(&rig->found);
	rig->found = process;
}

static const struct guests_ops events = {.live = token_live};
static const struct guests_ops cutting_events = {
	.live = token_live, .held = token_held, .cut = token_cut, .found = process_found};

static int setup_with(void **state, const struct guests_ops *ops)
{
	struct front_end grpc;

	rig = calloc(1, sizeof *rig);
	assert_non_null(rig);
	kit_log_init(&rig->log, "test", LOG_LEVEL_DEBUG);
	assert_int_equal(loop_new(&rig->loop), 0);
	kit_clock_start(rig->loop);
	assert_int_equal(rpc_new(rig->loop, &rig->rpc), 0);
	rig->cut.process = -1;
	rig->found = -1;
	assert_int_equal(guests_new(&(struct guests_options){.loop = rig->loop,
					    .log = rig->log.log,
					    .address = "127.0.0.1:0",
					    .streams_max = 16,
					    .ops = ops,
					    .arg = rig},
				 &rig->guests, NULL),
		0);
	assert_int_equal(rpc_server_new(rig->rpc,
				 &(struct rpc_server_options){.services = &service,
					 .n_services = 1,
					 .receive_max_bytes = 1 << 20,
					 .calls_max = 16,
					 .keepalive_ms = 60000,
					 .keepalive_timeout_ms = 20000},
				 &rig->server),
		0);
	grpc = front_end_grpc(rig->server);
	guests_register(rig->guests, &grpc);
	guests_start(rig->guests);
	*state = rig;
	return 0;
}

int setup(void **state)
{
	return setup_with(state, &events);
}

int setup_cutting(void **state)
{
	return setup_with(state, &cutting_events);
}

static void on_down(void *arg)
{
	((struct rig *)arg)->down = true;
}

int teardown(void **state)
{
	guests_stop(rig->guests);
	rpc_server_shutdown(rig->server, 0, on_down, rig);
	kit_loop_until(rig->loop, rig->down);
	guests_free(rig->guests);
	rpc_free(rig->rpc);
	kit_clock_done();
	loop_free(rig->loop);
	kit_log_done(&rig->log);
	close_fd(&rig->cut.process);
	close_fd(&rig->found);
	free(rig);
	rig = NULL;
	return 0;
}

int dial(void)
{
	struct sockaddr_in address = {
		.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	address.sin_port =
		htons((uint16_t)strtoul(strrchr(guests_address(rig->guests), ':') + 1, NULL, 10));
	assert_true(fd >= 0);
	assert_int_equal(connect(fd, (struct sockaddr *)&address, sizeof address), 0);
	return fd;
}

struct answer {
	bool there;
	enum outcome outcome;
};

static void on_answer(void *arg, struct rpc_result *result)
{
	struct answer *answer = arg;

	*answer = (struct answer){true, result->outcome};
}

struct rpc_channel *channel_new(void)
{
	struct rpc_channel *channel;

	assert_int_equal(
		rpc_channel_new(rig->rpc,
			&(struct rpc_channel_options){.target = guests_address(rig->guests),
				.receive_max_bytes = 1 << 20,
				.own_connection = true},
			&channel),
		0);
	return channel;
}

enum outcome echo(struct rpc_channel *channel)
{
	struct answer answer = {0};
	const struct rpc_call_options options = {.path = "/test.Echo/Echo",
		.timeout_ms = KIT_WAIT_MS,
		.done = on_answer,
		.arg = &answer};
	struct slices body = {0};

	slices_append(&body, slice_static("hello", 5));
	assert_int_equal(rpc_call_start(channel, &options, &body, NULL), 0);
	run_until(answer.there);
	return answer.outcome;
}
