/*
 * Connections of workers with real sockets and a real gRPC server behind them.
 */
#include "common/base/clock.h"
#include "common/rpc/call.h"
#include "kit/clock.h"
#include "kit/log.h"
#include "kit/loop.h"
#include "supernode/workers/guests.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/wait.h>

/* What cut() was told: how often, and the last time. */
struct cut {
	unsigned times;
	uint64_t token;
	uint64_t before; /* the token of the time before */
	int process;     /* taken over */
	bool idle;
	struct peer peer;
};

struct rig {
	struct loop *loop;
	struct rpc *rpc;
	struct kit_log log;
	struct guests *guests;
	struct rpc_server *server;
	bool down;
	struct peer peer;  /* of the last call */
	uint64_t live;     /* the one token that lives */
	uint64_t live_too; /* 0: no other one does */
	struct cut cut;
	unsigned held; /* so often held() was told */
	int found;     /* the process that was found last; taken over */
};

static struct rig *rig; /* of the running test */

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

static int setup(void **state)
{
	return setup_with(state, &events);
}

/* With an owner that wants to know whose connection has ended. */
static int setup_cutting(void **state)
{
	return setup_with(state, &cutting_events);
}

static void on_down(void *arg)
{
	((struct rig *)arg)->down = true;
}

static int teardown(void **state)
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

/* kit_loop_until() for the loop of the test. */
#define run_until(condition) kit_loop_until(rig->loop, condition)

static int dial(void)
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

/* Has the other end closed fd? What it has said before is passed over. */
static bool closed(int fd)
{
	char bytes[4096];
	ssize_t n;

	do
		n = recv(fd, bytes, sizeof bytes, MSG_DONTWAIT);
	while (n > 0);
	return n == 0 || errno == ECONNRESET;
}

static bool logged(const char *text)
{
	return kit_log_count(&rig->log, text) > 0;
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

static struct rpc_channel *channel_new(void)
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

static enum outcome echo(struct rpc_channel *channel)
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

static void a_connection_is_known_from_its_first_call_to_its_end(void **state)
{
	struct rpc_channel *channel = channel_new();

	assert_int_equal(echo(channel), OUTCOME_OK);
	assert_int_equal(guests_count(rig->guests), 1);
	assert_int_not_equal(rig->peer.connection, 0);
	assert_memory_equal(rig->peer.text, "127.0.0.1:", 10);
	rpc_channel_free(channel);
	run_until(guests_count(rig->guests) == 0);
}

static void a_shown_token_is_remembered_while_its_message_lives(void **state)
{
	struct rpc_channel *channel = channel_new();

	assert_int_equal(echo(channel), OUTCOME_OK);
	assert_int_equal(guests_holds(rig->guests, &rig->peer, 0), 0);
	rig->live = 7;
	assert_int_equal(guests_hold(rig->guests, &rig->peer, 7, NULL), 0);
	assert_int_equal(guests_holds(rig->guests, &rig->peer, 0), 7);
	rig->live = 8;
	assert_int_equal(guests_holds(rig->guests, &rig->peer, 0), 0);
	assert_true(guests_open(rig->guests, &rig->peer));
	rpc_channel_free(channel);
	run_until(guests_count(rig->guests) == 0);
	assert_false(guests_open(rig->guests, &rig->peer));
}

static void bytes_are_counted(void **state)
{
	struct rpc_channel *channel = channel_new();
	uint64_t before;

	assert_int_equal(echo(channel), OUTCOME_OK);
	before = guests_received(rig->guests, &rig->peer);
	assert_true(before > 0);
	assert_int_equal(echo(channel), OUTCOME_OK);
	assert_true(guests_received(rig->guests, &rig->peer) > before);
	rpc_channel_free(channel);
	run_until(guests_count(rig->guests) == 0);
	assert_int_equal(guests_received(rig->guests, &rig->peer), 0);
}

/* ---- the end of a connection that holds a message ---- */

/* A channel whose connection has shown the token of message. */
static struct rpc_channel *holding(uint64_t message)
{
	struct rpc_channel *channel = channel_new();

	assert_int_equal(echo(channel), OUTCOME_OK);
	assert_int_equal(guests_hold(rig->guests, &rig->peer, message, NULL), 0);
	return channel;
}

static void the_end_of_the_one_that_holds_a_message_is_told(void **state)
{
	struct rpc_channel *other = channel_new();
	struct rpc_channel *holder = holding(7);
	struct peer peer = rig->peer;

	rig->live = 7;
	assert_int_equal(rig->held, 1);
	/* The end of one that holds nothing is no news. */
	assert_int_equal(echo(other), OUTCOME_OK);
	rpc_channel_free(other);
	run_until(guests_count(rig->guests) == 1);
	assert_int_equal(rig->cut.times, 0);
	rpc_channel_free(holder);
	run_until(guests_count(rig->guests) == 0);
	assert_int_equal(rig->cut.times, 1);
	assert_int_equal(rig->cut.token, 7);
	assert_int_equal(rig->cut.peer.connection, peer.connection);
	assert_string_equal(rig->cut.peer.text, peer.text);
	/* It was this process, which is not looked for. */
	assert_true(rig->cut.process < 0);
}

static void not_while_another_connection_holds_it(void **state)
{
	struct rpc_channel *first = holding(7);
	struct rpc_channel *second = holding(7);

	rig->live = 7;
	rpc_channel_free(first);
	run_until(guests_count(rig->guests) == 1);
	assert_int_equal(rig->cut.times, 0);
	rpc_channel_free(second);
	run_until(guests_count(rig->guests) == 0);
	assert_int_equal(rig->cut.times, 1);
}

static void not_when_the_message_was_answered(void **state)
{
	struct rpc_channel *channel = holding(7);

	rig->live = 7;
	assert_int_equal(guests_holds(rig->guests, &rig->peer, 0), 7);
	rig->live = 0;
	rpc_channel_free(channel);
	run_until(guests_count(rig->guests) == 0);
	assert_int_equal(rig->cut.times, 0);
}

static void only_what_still_lives_is_told(void **state)
{
	struct rpc_channel *channel = holding(7);

	assert_int_equal(guests_hold(rig->guests, &rig->peer, 8, NULL), 0);
	rig->live = 8;
	rpc_channel_free(channel);
	run_until(guests_count(rig->guests) == 0);
	assert_int_equal(rig->cut.times, 1);
	assert_int_equal(rig->cut.token, 8);
}

/* A worker that takes the next message before the one at hand is answered. */
static void each_message_of_a_connection_is_held(void **state)
{
	struct rpc_channel *channel = holding(7);

	rig->live = 7;
	rig->live_too = 8;
	assert_int_equal(guests_hold(rig->guests, &rig->peer, 8, NULL), 0);
	assert_int_equal(guests_holds(rig->guests, &rig->peer, 0), 7);
	assert_int_equal(guests_holds(rig->guests, &rig->peer, 1), 8);
	assert_int_equal(guests_holds(rig->guests, &rig->peer, 2), 0);
	rig->live = 0;
	assert_int_equal(guests_holds(rig->guests, &rig->peer, 0), 8);
	assert_int_equal(guests_hold(rig->guests, &rig->peer, 8, NULL), 0);
	assert_int_equal(guests_holds(rig->guests, &rig->peer, 1), 0);
	rpc_channel_free(channel);
	run_until(guests_count(rig->guests) == 0);
}

/* A process that has connected, as far as a server's first bytes; it stays. */
static pid_t process_connected(void)
{
	static const char hello[] = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\4\0\0\0\0\0";
	int ready[2];
	pid_t pid;
	char byte = 0;

	assert_return_code(pipe2(ready, O_CLOEXEC | O_NONBLOCK), errno);
	pid = fork();
	assert_true(pid >= 0);
	if (pid == 0) {
		int fd = dial();

		if (write(fd, hello, sizeof hello - 1) != sizeof hello - 1 ||
			recv(fd, &byte, 1, 0) != 1 || write(ready[1], &byte, 1) != 1)
			_exit(1);
		for (;;)
			pause();
	}
	close(ready[1]);
	run_until(read(ready[0], &byte, 1) == 1);
	close(ready[0]);
	return pid;
}

static void nothing_run(struct job *job)
{
}

static struct job *job_over;

static void nothing_done(struct job *job)
{
	job_over = job;
}

/* Everything that was given to the io thread until now is done. */
static void jobs_done(void)
{
	struct job job = {.run = nothing_run, .done = nothing_done};

	job_over = NULL;
	assert_int_equal(loop_job(rig->loop, &job), 0);
	run_until(job_over == &job);
}

static void its_process_comes_with_it(void **state)
{
	pid_t pid = process_connected();
	pid_t other = process_connected();
	const struct peer first = {.connection = 1};
	struct pollfd ended = {.events = POLLIN};

	rig->live = 7;
	assert_int_equal(guests_hold(rig->guests, &first, 7, NULL), 0);
	jobs_done();
	assert_return_code(kill(pid, SIGKILL), errno);
	run_until(rig->cut.times == 1);
	assert_int_equal(rig->cut.token, 7);
	assert_true(rig->cut.process >= 0);
	ended.fd = rig->cut.process;
	assert_int_equal(poll(&ended, 1, KIT_WAIT_MS), 1);
	assert_int_equal(waitpid(pid, NULL, 0), pid);
	assert_int_equal(guests_count(rig->guests), 1);
	assert_return_code(kill(other, SIGKILL), errno);
	assert_int_equal(waitpid(other, NULL, 0), other);
	run_until(guests_count(rig->guests) == 0);
}

/* Flower's launcher keeps its connection while the worker that it has started works on another. */
static void a_claim_ends_when_the_worker_shows_the_token(void **state)
{
	pid_t launcher = process_connected();
	pid_t worker = process_connected();
	const struct peer first = {.connection = 1}, second = {.connection = 2};

	rig->live = 7;
	assert_int_equal(guests_hold(rig->guests, &first, 7, NULL), 0);
	guests_claimed(rig->guests, &first, 7);
	assert_int_equal(guests_holds(rig->guests, &first, 0), 7);
	assert_int_equal(guests_hold(rig->guests, &second, 7, NULL), 0);
	assert_int_equal(guests_holds(rig->guests, &first, 0), 0);
	jobs_done();
	assert_return_code(kill(worker, SIGKILL), errno);
	run_until(rig->cut.times == 1);
	assert_int_equal(rig->cut.token, 7);
	assert_int_equal(waitpid(worker, NULL, 0), worker);
	assert_return_code(kill(launcher, SIGKILL), errno);
	assert_int_equal(waitpid(launcher, NULL, 0), launcher);
	run_until(guests_count(rig->guests) == 0);
	assert_int_equal(rig->cut.times, 1);
}

/* A launcher that has claimed two messages, and ends before their workers have come. */
static void each_message_of_a_connection_that_ends_is_told(void **state)
{
	static const uint64_t tokens[] = {7, 8};
	pid_t launcher = process_connected();
	pid_t worker = process_connected();
	const struct peer first = {.connection = 1}, second = {.connection = 2};

	rig->live = 7;
	rig->live_too = 8;
	for (size_t i = 0; i < ARRAY_LEN(tokens); i++) {
		assert_int_equal(guests_hold(rig->guests, &first, tokens[i], NULL), 0);
		guests_claimed(rig->guests, &first, tokens[i]);
	}
	jobs_done();
	assert_return_code(kill(launcher, SIGKILL), errno);
	run_until(rig->cut.times == 2);
	assert_int_equal(rig->cut.before, 7);
	assert_int_equal(rig->cut.token, 8);
	/* Each is told with a descriptor of its own. */
	assert_true(rig->cut.process >= 0);
	assert_int_equal(waitpid(launcher, NULL, 0), launcher);
	/* A worker shows one of them: the other one is not its. */
	assert_int_equal(guests_hold(rig->guests, &second, 7, NULL), 0);
	jobs_done();
	assert_return_code(kill(worker, SIGKILL), errno);
	run_until(rig->cut.times == 3);
	assert_int_equal(rig->cut.token, 7);
	assert_int_equal(waitpid(worker, NULL, 0), worker);
	run_until(guests_count(rig->guests) == 0);
	assert_int_equal(rig->cut.times, 3);
}

static int gate[2]; /* a job waits until this pipe is closed */

static void gate_run(struct job *job)
{
	char byte;

	while (read(gate[0], &byte, 1) < 0)
		;
}

/* Who was there is not known yet when the connection ends; it is told later. */
static void a_connection_may_end_while_its_process_is_looked_for(void **state)
{
	struct job waits = {.run = gate_run, .done = nothing_done};
	struct rpc_channel *channel;

	assert_return_code(pipe2(gate, O_CLOEXEC), errno);
	assert_int_equal(loop_job(rig->loop, &waits), 0);
	channel = holding(7);
	rig->live = 7;
	rpc_channel_free(channel);
	run_until(rig->cut.times == 1);
	assert_int_equal(rig->cut.process, -1);
	assert_int_equal(guests_count(rig->guests), 0);
	close(gate[1]);
	jobs_done();
	close(gate[0]);
	assert_int_equal(rig->cut.times, 1);
	/* It was this process, which is not looked for. */
	assert_int_equal(rig->found, -1);
}

static void pass_to(int64_t start_ms, double minutes)
{
	kit_clock_pass(start_ms + (int64_t)(minutes * 60000) - clock_now_ms());
}

/*
 * gRPC's clients look each half hour after their first call whether there was another one since.
 * All times in minutes since the start.
 */
static void the_end_of_an_idle_client_is_told_apart(void **state)
{
	static const struct {
		double first, last, end; /* calls; the connection's end */
		bool idle;
		double lasts; /* the first call; 0: no time */
	} cases[] = {
		{10, 10, 40, true, 0},
		{10, 10, 40.05, true, 0},
		{10, 10, 39.95, true, 0},
		{10, 10, 39, false, 0},
		{10, 10, 41, false, 0},
		{10, 10, 55, false, 0},
		/* The second look finds none. */
		{10, 12, 40, false, 0},
		{10, 12, 70, true, 0},
		{10, 12, 60, false, 0},
		/* A client that was there before us has looked when we do not know. */
		{0, 0, 30, true, 0},
		{0, 0, 45, true, 0},
		{0, 0, 29, false, 0},
		{1, 20, 48, false, 0},
		{1, 20, 51, true, 0},
		/* The first call took ten minutes; it is still out. */
		{10, 10, 50, true, 10},
		{10, 10, 40, false, 10},
		{10, 10, 40, false, 100},
	};

	rig->live = 7;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct rpc_channel *channel;
		unsigned cuts = rig->cut.times;
		const int64_t start_ms = clock_now_ms();

		guests_start(rig->guests);
		pass_to(start_ms, cases[i].first);
		channel = channel_new();
		assert_int_equal(echo(channel), OUTCOME_OK);
		guests_used(rig->guests, &rig->peer);
		assert_int_equal(guests_hold(rig->guests, &rig->peer, 7, NULL), 0);
		if (cases[i].lasts > 0)
			guests_busy(rig->guests, &rig->peer, 1);
		if (cases[i].lasts > 0 && cases[i].lasts < cases[i].end) {
			kit_clock_pass((int64_t)(cases[i].lasts * 60000));
			guests_busy(rig->guests, &rig->peer, -1);
		}
		if (cases[i].last > cases[i].first) {
			pass_to(start_ms, cases[i].last);
			guests_used(rig->guests, &rig->peer);
		}
		pass_to(start_ms, cases[i].end);
		rpc_channel_free(channel);
		run_until(rig->cut.times == cuts + 1);
		if (rig->cut.idle != cases[i].idle)
			fail_msg("case %zu", i);
	}
}

/* When the server has ended, all connections have: that is no news. */
static void not_when_everything_ends(void **state)
{
	struct rpc_channel *channel = holding(7);

	guests_detach(rig->guests);
	rig->live = 7;
	rpc_channel_free(channel);
	run_until(guests_count(rig->guests) == 0);
	assert_int_equal(rig->cut.times, 0);
}

static void garbage_costs_one_line_and_harms_nobody(void **state)
{
	auto_(close_at_exit) int fd = dial();
	struct rpc_channel *channel = channel_new();

	assert_int_equal(write(fd, "\x16\x03\x01 tls?", 8), 8);
	run_until(closed(fd));
	assert_true(logged("WARN"));
	assert_true(logged("is not gRPC"));
	assert_int_equal(echo(channel), OUTCOME_OK);
	rpc_channel_free(channel);
	run_until(guests_count(rig->guests) == 0);
}

static void http_1_is_told_apart(void **state)
{
	auto_(close_at_exit) int fd = dial();
	static const char request[] = "POST /v1/runtime/acquire-task HTTP/1.1\r\n";

	assert_int_equal(write(fd, request, sizeof request - 1), sizeof request - 1);
	run_until(closed(fd));
	assert_true(logged("HTTP/1.1"));
}

static void a_preface_in_pieces_is_waited_for(void **state)
{
	static const char preface[] = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
	auto_(close_at_exit) int fd = dial();
	struct rpc_channel *channel = channel_new();
	char bytes[16];

	for (size_t i = 0; i < sizeof preface - 1; i++) {
		assert_int_equal(write(fd, preface + i, 1), 1);
		loop_step(rig->loop, 0);
	}
	/* Behind the preface the server begins with its settings. */
	run_until(recv(fd, bytes, sizeof bytes, MSG_DONTWAIT) > 0);
	assert_int_equal(echo(channel), OUTCOME_OK);
	rpc_channel_free(channel);
}

/* ---- guests: connections that have shown no token ---- */

/* One that speaks HTTP/2 by hand; it is the first that comes. */
static int guest_new(void)
{
	static const char hello[] = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\4\0\0\0\0";
	int fd = dial();
	char bytes[256];

	assert_int_equal(write(fd, hello, sizeof hello), sizeof hello);
	run_until(recv(fd, bytes, sizeof bytes, MSG_DONTWAIT) > 0);
	return fd;
}

/* A frame that nobody knows. */
#define FRAME_BYTES (9 + 16384)
static const char frame_head[9] = "\0\100\0\372\0\0\0\0";

/* Send so many bytes of such frames, reading what comes back. false: closed before. */
static bool send_frames(int fd, size_t bytes)
{
	char out[FRAME_BYTES] = "", in[4096];
	int64_t end_ms = kit_now_ms() + KIT_WAIT_MS;

	memcpy(out, frame_head, sizeof frame_head);
	for (size_t sent = 0; sent < bytes;) {
		ssize_t n = send(fd, out + sent % sizeof out, sizeof out - sent % sizeof out,
			MSG_DONTWAIT | MSG_NOSIGNAL);
		ssize_t got = recv(fd, in, sizeof in, MSG_DONTWAIT);

		if (got == 0 || ((n < 0 || got < 0) && errno != EAGAIN))
			return false;
		sent += n > 0 ? (size_t)n : 0;
		if (n > 0)
			loop_step(rig->loop, 0);
		else
			kit_loop_step(rig->loop, end_ms, "all is sent", __FILE__, __LINE__);
	}
	return true;
}

static void a_guest_that_sends_much_is_cut(void **state)
{
	struct rpc_channel *channel;
	auto_(close_at_exit) int fd = guest_new();

	assert_false(send_frames(fd, 8 << 20));
	assert_true(logged("sends too much without a token: closed"));
	assert_int_equal(guests_count(rig->guests), 0);
	channel = channel_new();
	assert_int_equal(echo(channel), OUTCOME_OK);
	rpc_channel_free(channel);
}

static void whoever_holds_a_token_may_send_much(void **state)
{
	const struct peer first = {.connection = 1};
	auto_(close_at_exit) int fd = guest_new();

	rig->live = 7;
	assert_int_equal(guests_hold(rig->guests, &first, 7, NULL), 0);
	assert_true(send_frames(fd, 1 << 20));
	assert_true(guests_open(rig->guests, &first));
	/* Not when it is of no use any more. */
	rig->live = 8;
	assert_false(send_frames(fd, 8 << 20));
}

/* Small frames that nobody knows, as many of which a peer may send only while it is trusted. */
static void trust_ends_with_the_token(void **state)
{
	enum { FRAMES = 150, SMALL_BYTES = 20 };
	static const char frame[SMALL_BYTES] = "\0\0\13\372\0\0\0\0";
	const struct peer first = {.connection = 1};
	auto_(close_at_exit) int fd = guest_new();

	rig->live = 7;
	assert_int_equal(guests_hold(rig->guests, &first, 7, NULL), 0);
	for (unsigned i = 0; i < FRAMES; i++)
		assert_int_equal(write(fd, frame, sizeof frame), sizeof frame);
	for (int i = 0; i < 20; i++)
		loop_step(rig->loop, 10);
	assert_true(guests_open(rig->guests, &first));
	rig->live = 8;
	for (unsigned i = 0; i < FRAMES; i++)
		(void)!send(fd, frame, sizeof frame, MSG_NOSIGNAL);
	run_until(closed(fd));
	assert_true(logged("sends too many unknown frames: closed"));
}

/* Its last bytes may be looked at after its message has ended. */
static void what_came_for_a_token_is_nobodys_fault(void **state)
{
	const struct peer first = {.connection = 1};
	auto_(close_at_exit) int fd = guest_new();
	char bytes[10 * FRAME_BYTES] = "";

	for (size_t i = 0; i < sizeof bytes; i += FRAME_BYTES)
		memcpy(bytes + i, frame_head, sizeof frame_head);
	rig->live = 7;
	assert_int_equal(guests_hold(rig->guests, &first, 7, NULL), 0);
	/* Nobody looks meanwhile. */
	for (size_t sent = 0; sent < sizeof bytes;) {
		ssize_t n = write(fd, bytes + sent, sizeof bytes - sent);

		assert_true(n > 0);
		sent += (size_t)n;
	}
	rig->live = 8;
	kit_clock_pass(6000);
	for (int i = 0; i < 20; i++)
		loop_step(rig->loop, 10);
	assert_true(guests_open(rig->guests, &first));
}

static void a_content_may_be_large(void **state)
{
	const struct peer first = {.connection = 1};
	auto_(close_at_exit) int fd = guest_new();

	guests_content(rig->guests, &first, 1);
	assert_true(send_frames(fd, 1 << 20));
	guests_content(rig->guests, &first, -1);
	assert_true(guests_open(rig->guests, &first));
	assert_false(send_frames(fd, 8 << 20));
}

static void refuse(const struct peer *peer, unsigned calls)
{
	for (unsigned i = 0; i < calls; i++)
		guests_complain_refused(
			rig->guests, peer, "GetToken", OUTCOME_INVALID_ARGUMENT, "no");
}

static void a_guest_whose_calls_are_refused_is_cut(void **state)
{
	const struct peer first = {.connection = 1, .text = "first"};
	auto_(close_at_exit) int fd = guest_new();

	refuse(&first, 64);
	/* Time forgives some. */
	kit_clock_pass(10000);
	refuse(&first, 10);
	assert_true(send_frames(fd, 100));
	refuse(&first, 1);
	run_until(closed(fd));
	assert_int_equal(guests_count(rig->guests), 0);
}

static void whoever_holds_a_token_may_have_calls_refused(void **state)
{
	const struct peer first = {.connection = 1, .text = "first"};
	auto_(close_at_exit) int fd = guest_new();

	rig->live = 7;
	assert_int_equal(guests_hold(rig->guests, &first, 7, NULL), 0);
	refuse(&first, 100);
	for (int i = 0; i < 20; i++)
		loop_step(rig->loop, 10);
	assert_true(guests_open(rig->guests, &first));
}

static void many_silent_connections_harm_nobody(void **state)
{
	enum { N = 400 };
	int fds[N];
	struct rpc_channel *channel;

	for (size_t i = 0; i < N; i++)
		fds[i] = dial();
	run_until(guests_count(rig->guests) == N);
	channel = channel_new();
	assert_int_equal(echo(channel), OUTCOME_OK);
	rpc_channel_free(channel);
	for (size_t i = 0; i < N; i++)
		close(fds[i]);
	run_until(guests_count(rig->guests) == 0);
}

int main(void)
{
#define TEST(f)    cmocka_unit_test_setup_teardown(f, setup, teardown)
#define CUTTING(f) cmocka_unit_test_setup_teardown(f, setup_cutting, teardown)
	const struct CMUnitTest tests[] = {
		TEST(a_connection_is_known_from_its_first_call_to_its_end),
		TEST(a_shown_token_is_remembered_while_its_message_lives),
		TEST(bytes_are_counted),
		CUTTING(the_end_of_an_idle_client_is_told_apart),
		CUTTING(the_end_of_the_one_that_holds_a_message_is_told),
		CUTTING(not_while_another_connection_holds_it),
		CUTTING(not_when_the_message_was_answered),
		CUTTING(only_what_still_lives_is_told),
		CUTTING(each_message_of_a_connection_is_held),
		CUTTING(each_message_of_a_connection_that_ends_is_told),
		CUTTING(its_process_comes_with_it),
		CUTTING(a_claim_ends_when_the_worker_shows_the_token),
		CUTTING(a_connection_may_end_while_its_process_is_looked_for),
		CUTTING(not_when_everything_ends),
		TEST(garbage_costs_one_line_and_harms_nobody),
		TEST(http_1_is_told_apart),
		TEST(a_preface_in_pieces_is_waited_for),
		TEST(a_guest_that_sends_much_is_cut),
		TEST(whoever_holds_a_token_may_send_much),
		TEST(trust_ends_with_the_token),
		TEST(what_came_for_a_token_is_nobodys_fault),
		TEST(a_content_may_be_large),
		TEST(a_guest_whose_calls_are_refused_is_cut),
		TEST(whoever_holds_a_token_may_have_calls_refused),
		TEST(many_silent_connections_harm_nobody),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
