#include "common/launch/agent_client.h"
#include "rig.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/pidfd.h>
#include <sys/socket.h>
#include <sys/wait.h>

/* sh stands for python, and is given -u and a script as python would be. */
static const char app_stays[] = "trap '' TERM\nsleep 1000 &\necho member $! .\n"
				"(setsid sleep 1000 & echo member $! .)\n"
				"echo member $$ .\nprintf hello >&3\nwhile :; do sleep 1; done\n";
struct heard {
	bool started, native, ended;
	int fd;
	struct process_end end;
};

static void on_started(void *arg, int fd, bool native)
{
	struct heard *heard = arg;

	assert_false(heard->started);
	heard->started = true;
	heard->fd = fd;
	heard->native = native;
}

static void on_ended(void *arg, const struct process_end *end)
{
	struct heard *heard = arg;

	assert_false(heard->ended);
	heard->ended = true;
	heard->end = *end;
}

static const struct agent_client_ops ops = {.started = on_started, .ended = on_ended};

static void control_reply(int agent, const struct control_message *message)
{
	assert_int_equal(control_send(agent, message), 0);
}

static void on_lost(void *arg)
{
	bool *lost = arg;

	*lost = true;
}

static void must_not_start(void *arg, int fd, bool native)
{
	fail_msg("started with %d", fd);
}

static void on_give_up(void *arg)
{
	bool *gave_up = arg;

	*gave_up = true;
}

static const struct agent_client_ops give_up_ops = {
	.started = must_not_start, .ended = on_ended, .give_up = on_give_up, .lost = on_lost};

static void the_agent_may_want_an_answer_at_any_time(void **state)
{
	const struct control_message message = {.kind = CONTROL_GIVE_UP, .fd = -1};
	struct rig *rig = *state;
	bool gave_up = false;
	struct agent_client *client;
	int ends[2];

	assert_return_code(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends), errno);
	assert_int_equal(agent_client_new(rig->loop, ends[1], &give_up_ops, &gave_up, &client), 0);
	control_reply(ends[0], &message);
	rig_until(rig, &gave_up);
	agent_client_free(client);
	close_fd(&ends[0]);
}

static const struct agent_client_ops lost_ops = {
	.started = must_not_start, .ended = on_ended, .lost = on_lost};

static void an_app_is_asked_for_and_stopped(void **state)
{
	struct rig *rig = *state;
	struct heard heard = {.fd = -1};
	const struct control_app app = {.fab_id = (char *)"acme/robot",
		.component = (char *)"robot.app:app",
		.dir = (char *)"/apps/robot"};
	struct control_message message = {.kind = CONTROL_APP_STARTED, .fd = 2, .native = true};
	struct control_message got;
	struct agent_client *client;
	int ends[2];

	assert_return_code(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends), errno);
	assert_int_equal(agent_client_new(rig->loop, ends[1], &ops, &heard, &client), 0);
	agent_client_start(client, &app);
	assert_int_equal(control_receive(ends[0], &got), 1);
	assert_int_equal(got.kind, CONTROL_APP_START);
	assert_string_equal(got.app.fab_id, "acme/robot");
	assert_string_equal(got.app.component, "robot.app:app");
	assert_string_equal(got.app.dir, "/apps/robot");
	control_message_done(&got);
	control_reply(ends[0], &message);
	rig_until(rig, &heard.started);
	assert_true(heard.native);
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

static void the_agent_is_lost_by_its_end_or_by_nonsense(void **state)
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
			agent_client_new(rig->loop, ends[1], &lost_ops, &lost, &client), 0);
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
	const struct worker_process_spec spec = {
		.name = "worker 1", .start = &message, .ops = &no_ops};
	struct loop *loop;
	struct agent *agent;
	struct worker_process *started;

	if (loop_new(&loop) < 0 ||
		agent_new(loop, log_new(log_fd, "agent", LOG_LEVEL_INFO), &options, &agent) < 0 ||
		agent_start_worker(agent, &spec, &started, NULL) < 0)
		_exit(1);
	loop_run(loop);
	_exit(2);
}

static void a_killed_agent_takes_worker_and_app_along(void **state)
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
		TEST(an_app_is_asked_for_and_stopped),
		TEST(the_agent_may_want_an_answer_at_any_time),
		TEST(the_agent_is_lost_by_its_end_or_by_nonsense),
		TEST(a_killed_agent_takes_worker_and_app_along),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
