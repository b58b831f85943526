/*
 * The end of a connection of a worker that holds tokens: which of them its owner is told of, and
 * with which process.
 */
#include "common/base/clock.h"
#include "guests_rig.h"
#include "kit/clock.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/wait.h>

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
	/* The peer was this process, which is not looked for. */
	assert_true(rig->cut.process < 0);
}

static void a_token_that_another_connection_holds_is_not_cut(void **state)
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

static void an_answered_message_is_not_cut(void **state)
{
	struct rpc_channel *channel = holding(7);

	rig->live = 7;
	assert_int_equal(guests_holds(rig->guests, &rig->peer, 0), 7);
	rig->live = 0;
	rpc_channel_free(channel);
	run_until(guests_count(rig->guests) == 0);
	assert_int_equal(rig->cut.times, 0);
}

static void only_tokens_that_live_are_told(void **state)
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

static void the_process_of_the_peer_is_told_with_its_token(void **state)
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

/* The peer is not known yet when the connection ends; it is told later. */
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
	/* The peer was this process, which is not looked for. */
	assert_int_equal(rig->found, -1);
}

/* A worker has two connections, and one of them is not known yet when it ends. */
static void one_connection_of_a_worker_is_enough(void **state)
{
	struct job waits = {.run = gate_run, .done = nothing_done};
	const struct peer first = {.connection = 1}, second = {.connection = 2};
	pid_t known = process_connected();
	pid_t other = process_connected();
	struct pollfd ended = {.events = POLLIN};

	rig->live = 7;
	assert_int_equal(guests_hold(rig->guests, &first, 7, NULL), 0);
	jobs_done();
	assert_return_code(pipe2(gate, O_CLOEXEC), errno);
	assert_int_equal(loop_job(rig->loop, &waits), 0);
	assert_int_equal(guests_hold(rig->guests, &second, 7, NULL), 0);
	assert_return_code(kill(known, SIGKILL), errno);
	run_until(guests_count(rig->guests) == 1);
	assert_return_code(kill(other, SIGKILL), errno);
	run_until(rig->cut.times == 1);
	assert_true(rig->cut.process >= 0);
	ended.fd = rig->cut.process;
	assert_int_equal(poll(&ended, 1, KIT_WAIT_MS), 1);
	assert_int_equal(waitpid(known, NULL, 0), known);
	assert_int_equal(waitpid(other, NULL, 0), other);
	close(gate[1]);
	jobs_done();
	close(gate[0]);
	run_until(guests_count(rig->guests) == 0);
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
static void nothing_is_told_when_the_server_has_ended(void **state)
{
	struct rpc_channel *channel = holding(7);

	guests_detach(rig->guests, NULL);
	rig->live = 7;
	rpc_channel_free(channel);
	run_until(guests_count(rig->guests) == 0);
	assert_int_equal(rig->cut.times, 0);
}

int main(void)
{
#define CUTTING(f) cmocka_unit_test_setup_teardown(f, setup_cutting, teardown)
	const struct CMUnitTest tests[] = {
		CUTTING(the_end_of_an_idle_client_is_told_apart),
		CUTTING(the_end_of_the_one_that_holds_a_message_is_told),
		CUTTING(a_token_that_another_connection_holds_is_not_cut),
		CUTTING(an_answered_message_is_not_cut),
		CUTTING(only_tokens_that_live_are_told),
		CUTTING(each_message_of_a_connection_is_held),
		CUTTING(each_message_of_a_connection_that_ends_is_told),
		CUTTING(the_process_of_the_peer_is_told_with_its_token),
		CUTTING(a_claim_ends_when_the_worker_shows_the_token),
		CUTTING(a_connection_may_end_while_its_process_is_looked_for),
		CUTTING(one_connection_of_a_worker_is_enough),
		CUTTING(nothing_is_told_when_the_server_has_ended),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
