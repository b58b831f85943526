#include "common/launch/agent_client.h"
#include "rig.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/pidfd.h>
#include <sys/socket.h>
#include <sys/wait.h>

/* sh stands for python, and is given -u and a script as python would be. */
static const char app_ends[] = "printf hello >&3\nexit 7\n";
static const char app_stays[] = "trap '' TERM\nsleep 1000 &\necho member $! .\n"
				"(setsid sleep 1000 & echo member $! .)\n"
				"echo member $$ .\nprintf hello >&3\nwhile :; do sleep 1; done\n";
static const char app_waits[] =
	"printf hello >&3\ntrap 'exit 5' TERM\nwhile :; do sleep 0.01; done\n";

struct heard {
	bool started, ended;
	int fd;
	struct process_end end;
};

static void on_started(void *arg, int fd)
{
	struct heard *heard = arg;

	assert_false(heard->started);
	heard->started = true;
	heard->fd = fd;
}

static void on_ended(void *arg, const struct process_end *end)
{
	struct heard *heard = arg;

	assert_false(heard->ended);
	heard->ended = true;
	heard->end = *end;
}

static const struct agent_client_ops ops = {.started = on_started, .ended = on_ended};

static struct agent_client *local(
	struct rig *rig, const char *python, const char *script, struct heard *heard)
{
	const struct agent_options options = {.launch = &rig->launch, .paths = &rig->paths};
	struct agent_client *client;

	*heard = (struct heard){.fd = -1};
	rig->launch = (struct launch_options){.python = python};
	rig->paths = (struct launch_paths){.start = (char *)APP_START, .bridge = (char *)script};
	assert_int_equal(
		agent_client_local(rig->loop, rig->log, &options, &ops, heard, &client), 0);
	return client;
}

static void test_local(void **state)
{
	struct rig *rig = *state;
	struct heard heard;
	char path[64], text[16];

	script_new(path, app_ends);
	struct agent_client *client = local(rig, "/bin/sh", path, &heard);
	agent_client_start(client);
	assert_false(heard.started);
	rig_until(rig, &heard.ended);
	assert_true(heard.started);
	assert_int_equal(heard.end.value, 7);
	assert_int_equal(read(heard.fd, text, sizeof text), 5);
	close(heard.fd);
	agent_client_free(client);
	unlink(path);
}

static void test_local_stop(void **state)
{
	struct rig *rig = *state;
	struct heard heard;
	char path[64], text[16];

	script_new(path, app_waits);
	struct agent_client *client = local(rig, "/bin/sh", path, &heard);
	agent_client_start(client);
	rig_until(rig, &heard.started);
	assert_int_equal(read(heard.fd, text, sizeof text), 5);
	agent_client_stop(client);
	rig_until(rig, &heard.ended);
	assert_int_equal(heard.end.stop, PROCESS_STOPPED);
	close(heard.fd);
	agent_client_free(client);

	client = local(rig, "/bin/sh", path, &heard);
	agent_client_start(client);
	agent_client_stop(client);
	rig_until(rig, &heard.ended);
	assert_false(heard.started);
	assert_int_equal(heard.end.kind, PROCESS_NOT_STARTED);
	agent_client_free(client);
	unlink(path);
}

static void test_local_no_python(void **state)
{
	struct rig *rig = *state;
	struct heard heard;
	struct agent_client *client = local(rig, "/nonexistent/python3", "/x", &heard);

	agent_client_start(client);
	assert_false(heard.ended);
	rig_until(rig, &heard.ended);
	assert_int_equal(heard.end.kind, PROCESS_NOT_STARTED);
	assert_int_equal(heard.end.value, ENOENT);
	assert_non_null(strstr(heard.end.why.text, "--python"));
	assert_null(strstr(heard.end.why.text, "/nonexistent"));
	agent_client_free(client);
}

static void test_local_free_waits(void **state)
{
	struct rig *rig = *state;
	struct heard heard;
	char path[64];
	int64_t now_ms = clock_now_ms();

	script_new(path, "printf hello >&3\nsleep 0.3\necho by itself\n");
	struct agent_client *client = local(rig, "/bin/sh", path, &heard);
	agent_client_start(client);
	rig_until(rig, &heard.started);
	agent_client_free(client);
	assert_false(heard.ended);
	assert_true(clock_now_ms() - now_ms < WORKER_GRACE_MS);
	assert_int_equal(rig_log_count(rig, "app out: by itself"), 1);
	close(heard.fd);
	unlink(path);
}

/* ---- by control ---- */

static void control_reply(int agent, const struct control_message *message)
{
	assert_int_equal(control_send(agent, message), 0);
}

static void on_lost(void *arg)
{
	bool *lost = arg;

	*lost = true;
}

static void must_not_start(void *arg, int fd)
{
	(void)arg;
	fail_msg("started with %d", fd);
}

static const struct agent_client_ops lost_ops = {
	.started = must_not_start, .ended = on_ended, .lost = on_lost};

static void test_control(void **state)
{
	struct rig *rig = *state;
	struct heard heard = {.fd = -1};
	struct control_message message = {.kind = CONTROL_APP_STARTED, .fd = 2};
	struct control_message got;
	struct agent_client *client;
	int ends[2];

	assert_return_code(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends), errno);
	assert_int_equal(agent_client_from_control(rig->loop, ends[1], &ops, &heard, &client), 0);
	agent_client_start(client);
	assert_int_equal(control_receive(ends[0], &got), 1);
	assert_int_equal(got.kind, CONTROL_APP_START);
	control_reply(ends[0], &message);
	rig_until(rig, &heard.started);
	close(heard.fd);
	agent_client_stop(client);
	assert_int_equal(control_receive(ends[0], &got), 1);
	assert_int_equal(got.kind, CONTROL_APP_STOP);
	message = (struct control_message){.kind = CONTROL_APP_ENDED,
		.fd = -1,
		.end = {.kind = PROCESS_KILLED, .value = 11, .tail = "last"}};
	control_reply(ends[0], &message);
	rig_until(rig, &heard.ended);
	assert_int_equal(heard.end.value, 11);
	assert_string_equal(heard.end.tail, "last");
	agent_client_free(client);
	assert_int_equal(control_receive(ends[0], &got), 0);
	close(ends[0]);
}

static void test_control_lost(void **state)
{
	struct rig *rig = *state;
	bool lost = false;
	struct agent_client *client;
	int ends[2];

	/* Before the app was started, and by a message that makes no sense. */
	for (int i = 0; i < 2; i++) {
		lost = false;
		assert_return_code(
			socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends), errno);
		assert_int_equal(
			agent_client_from_control(rig->loop, ends[1], &lost_ops, &lost, &client),
			0);
		if (i)
			assert_int_equal(send(ends[0], "xyz", 3, 0), 3);
		else
			close_fd(&ends[0]);
		rig_until(rig, &lost);
		agent_client_free(client);
		close_fd(&ends[0]);
	}
}

/* ---- the death of an agent ---- */

/* A program that is an agent with one worker, logging to fd. Never returns. */
static void be_agent(int log_fd, const char *worker, const char *script)
{
	static const struct launch_options launch = {.python = "/bin/sh"};
	const struct launch_paths paths = {
		.worker = (char *)worker, .start = (char *)APP_START, .bridge = (char *)script};
	const struct agent_options options = {.launch = &launch, .paths = &paths};
	const struct control_start message = {.address = (char *)"a", .flwr_home = (char *)"b"};
	static const struct worker_process_ops no_ops;
	struct loop *loop;
	struct agent *agent;
	struct worker_process *started;

	if (loop_new(&loop) < 0 ||
		agent_new(loop, log_new(log_fd, "agent", LOG_LEVEL_INFO), &options, &agent) < 0 ||
		agent_start_worker(agent, "worker 1", &message, &no_ops, NULL, &started, NULL) < 0)
		_exit(1);
	loop_run(loop);
	_exit(2);
}

static void test_agent_killed(void **state)
{
	struct rig *rig = *state;
	char script[64], worker[64];
	int pids[3], worker_pid;

	script_new(script, app_stays);
	script_new(worker, "#!/bin/sh\nexec " LAUNCH_HELPER " client\n");
	pid_t agent = fork();
	assert_return_code(agent, errno);
	if (agent == 0)
		be_agent(rig->log_fd, worker, script);
	rig_until_log(rig, " waits");
	assert_int_equal(rig_log_numbers(rig, "out: member ", pids, 3), 3);
	assert_int_equal(rig_log_numbers(rig, "out: worker ", &worker_pid, 1), 1);
	auto_(close_at_exit) int member = pidfd_open(pids[0], 0);
	auto_(close_at_exit) int away = pidfd_open(pids[1], 0);
	auto_(close_at_exit) int leader = pidfd_open(pids[2], 0);
	auto_(close_at_exit) int of_worker = pidfd_open(worker_pid, 0);
	assert_true(member >= 0 && away >= 0 && leader >= 0 && of_worker >= 0);
	assert_return_code(kill(agent, SIGKILL), errno);
	pidfd_until_end(leader);
	pidfd_until_end(of_worker);
	pidfd_until_end(member);
	pidfd_until_end(away);
	while (waitpid(agent, NULL, 0) < 0)
		assert_int_equal(errno, EINTR);
	unlink(script);
	unlink(worker);
}

#define TEST(function) cmocka_unit_test_setup_teardown(function, rig_setup, rig_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_local),
		TEST(test_local_stop),
		TEST(test_local_no_python),
		TEST(test_local_free_waits),
		TEST(test_control),
		TEST(test_control_lost),
		TEST(test_agent_killed),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
