/* The place of a worker with another program in it: sh stands for that. */
#include "clientapp/foreign_worker.h"
#include "common/launch/end.h"
#include "common/launch/process.h"
#include "kit/dir.h"
#include "kit/log.h"
#include "kit/loop.h"

#include <signal.h>
#include <sys/pidfd.h>
#include <sys/socket.h>
#include <sys/wait.h>

struct rig {
	struct loop *loop;
	struct kit_log log;
	int ends[2]; /* of the control socket; the second is the worker's */
	struct foreign_worker *worker;
};

static bool stopped;

void __wrap_loop_stop(struct loop *loop);
void __wrap_loop_stop(struct loop *loop)
{
	stopped = true;
}

static int setup(void **state)
{
	static struct rig rig;

	memset(&rig, 0, sizeof rig);
	stopped = false;
	kit_log_init(&rig.log, NULL, LOG_LEVEL_INFO);
	assert_int_equal(loop_new(&rig.loop), 0);
	assert_return_code(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, rig.ends), errno);
	kit_dir_make(NULL);
	*state = &rig;
	return 0;
}

static int teardown(void **state)
{
	struct rig *rig = *state;

	foreign_worker_free(rig->worker);
	close_fd(&rig->ends[0]);
	close_fd(&rig->ends[1]);
	loop_free(rig->loop);
	kit_log_done(&rig->log);
	kit_dir_remove(NULL);
	return 0;
}

static int new_worker(struct rig *rig, const struct control_start *start, struct reason *why)
{
	const struct foreign_worker_options options = {.control = rig->ends[1], .start = start};

	return foreign_worker_new(rig->loop, rig->log.log, &options, &rig->worker, why);
}

/* sh with this script; $1 is the test's folder. */
static void start(struct rig *rig, const char *script)
{
	char command[1024];
	const struct control_start message = {.token = 7,
		.address = (char *)"unix:/nowhere",
		.flwr_home = (char *)"/",
		.command = command};
	struct reason why = {0};

	snprintf(command, sizeof command, "/bin/sh -c '%s' sh %s {token}", script, kit_dir);
	assert_int_equal(new_worker(rig, &message, &why), 0);
}

/* A file that the script writes when it is at work: the pid in it. 0: not yet. */
static pid_t pid_in(const char *name)
{
	auto_(free_at_exit) char *path = kit_dir_path(name);
	auto_(fclose_at_exit) FILE *file = fopen(path, "re");
	int pid = 0;

	return file && fscanf(file, "%d.", &pid) == 1 ? pid : 0;
}

static bool is_gone(pid_t pid)
{
	return kill(pid, 0) < 0 && errno == ESRCH;
}

static void its_exit_status_is_told(void **state)
{
	struct rig *rig = *state;

	start(rig, "test \"$2\" = 7 && exit 3");
	kit_loop_until(rig->loop, stopped);
	assert_int_equal(foreign_worker_end(rig->worker).kind, PROCESS_EXITED);
	assert_int_equal(foreign_worker_end(rig->worker).value, 3);
}

static void its_signal_is_told(void **state)
{
	struct rig *rig = *state;

	start(rig, "kill -SEGV $$");
	kit_loop_until(rig->loop, stopped);
	assert_int_equal(foreign_worker_end(rig->worker).kind, PROCESS_KILLED);
	assert_int_equal(foreign_worker_end(rig->worker).value, SIGSEGV);
}

static void stopped_it_may_end_by_itself(void **state)
{
	struct rig *rig = *state;

	start(rig, "trap \"exit 9\" TERM; echo $$. >$1/leader; sleep 1000 & wait");
	kit_loop_until(rig->loop, pid_in("leader"));
	foreign_worker_stop(rig->worker);
	kit_loop_until(rig->loop, stopped);
	assert_int_equal(foreign_worker_end(rig->worker).kind, PROCESS_EXITED);
	assert_int_equal(foreign_worker_end(rig->worker).value, 9);
}

static void stopped_it_is_killed_with_its_group_when_it_does_not_end(void **state)
{
	struct rig *rig = *state;
	pid_t leader, member;

	start(rig, "trap \"\" TERM; sleep 1000 & echo $!. >$1/member; echo $$. >$1/leader; wait; "
		   "wait; sleep 1000");
	kit_loop_until(rig->loop, pid_in("leader"));
	leader = pid_in("leader");
	member = pid_in("member");
	foreign_worker_stop(rig->worker);
	kit_loop_until(rig->loop, stopped);
	assert_int_equal(foreign_worker_end(rig->worker).value, SIGKILL);
	kit_loop_until(rig->loop, is_gone(leader) && is_gone(member));
}

static void freed_it_takes_sessions_of_its_own_along(void **state)
{
	struct rig *rig = *state;
	pid_t away;

	start(rig, "setsid sleep 1000 & sleep 1000 & echo $!. >$1/near; "
		   "setsid sh -c \"echo \\$\\$. >$1/away; sleep 1000\"");
	kit_loop_until(rig->loop, pid_in("away"));
	away = pid_in("away");
	foreign_worker_free(rig->worker);
	rig->worker = NULL;
	kit_loop_until(rig->loop, is_gone(away) && is_gone(pid_in("near")));
}

static void a_program_that_is_not_there_is_named(void **state)
{
	struct rig *rig = *state;
	const struct control_start message = {.address = (char *)"a",
		.flwr_home = (char *)"/",
		.command = (char *)"/nonexistent/worker"};
	struct reason why = {0};

	assert_int_equal(new_worker(rig, &message, &why), -ENOENT);
	assert_non_null(strstr(why.text, "/nonexistent/worker"));
}

/* A child that ends as a foreign worker did: its status as waitpid() has it. */
static int status_of(const struct process_end *end)
{
	int status;
	pid_t pid = fork();

	assert_return_code(pid, errno);
	if (pid == 0)
		end_as(end);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	return status;
}

static void an_end_can_be_repeated(void **state)
{
	int status = status_of(&(struct process_end){.kind = PROCESS_EXITED, .value = 5});

	assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 5);
	status = status_of(&(struct process_end){.kind = PROCESS_KILLED, .value = SIGSEGV});
	assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGSEGV);
}

#define TEST(function) cmocka_unit_test_setup_teardown(function, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(its_exit_status_is_told),
		TEST(its_signal_is_told),
		TEST(stopped_it_may_end_by_itself),
		TEST(stopped_it_is_killed_with_its_group_when_it_does_not_end),
		TEST(freed_it_takes_sessions_of_its_own_along),
		TEST(a_program_that_is_not_there_is_named),
		cmocka_unit_test(an_end_can_be_repeated),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
