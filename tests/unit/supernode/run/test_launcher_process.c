/*
 * A launcher that runs as long as the node, with a stand-in for the agent: when it is started
 * again.
 */
#include "kit/clock.h"
#include "kit/log.h"
#include "supernode/run/launcher_process.h"

#include <errno.h>
#include <signal.h>

struct worker_process {
	const struct worker_process_ops *ops;
	void *arg;
};

static struct {
	struct worker_process process;
	unsigned starts, stops, gone;
	int result; /* of the next start */
	char command[64], address[64];
} agent;

static struct loop *loop;
static struct kit_log lines;

int agent_start_worker(struct agent *self, const struct worker_process_spec *spec,
	struct worker_process **out, struct reason *why)
{
	agent.starts++;
	if (agent.result)
		return reason_code(why, agent.result, "no processes left");
	assert_int_equal(spec->start->token, 0);
	snprintf(agent.command, sizeof agent.command, "%s", spec->start->command);
	snprintf(agent.address, sizeof agent.address, "%s", spec->start->address);
	agent.process = (struct worker_process){spec->ops, spec->arg};
	*out = &agent.process;
	return 0;
}

void worker_process_stop(struct worker_process *worker, int64_t grace_ms)
{
	assert_ptr_equal(worker, &agent.process);
	assert_int_equal(grace_ms, 3000);
	agent.stops++;
}

pid_t worker_process_pid(const struct worker_process *worker)
{
	return 4711;
}

static void ends(void)
{
	const struct process_end how = {.kind = PROCESS_EXITED, .value = 1};
	struct worker_process process = agent.process;

	process.ops->ended(process.arg, &agent.process, &how);
	process.ops->gone(process.arg, &agent.process);
}

static void on_gone(void *arg)
{
	agent.gone++;
}

static struct launcher_process *begin(void)
{
	struct launcher_process *launcher;

	memset(&agent, 0, sizeof agent);
	assert_int_equal(loop_new(&loop), 0);
	kit_clock_start(loop);
	kit_log_init(&lines, "supernode", LOG_LEVEL_INFO);
	launcher = launcher_process_new(&(struct launcher_process_options){.loop = loop,
		.log = lines.log,
		.address = "127.0.0.1:4711",
		.command = "launcher {address}",
		.gone = on_gone});
	assert_non_null(launcher);
	kit_clock_pass(0);
	return launcher;
}

static void finish(struct launcher_process *launcher)
{
	launcher_process_free(launcher);
	kit_log_done(&lines);
	kit_clock_done();
	loop_free(loop);
}

static void test_it_is_started_with_the_node(void **state)
{
	struct launcher_process *launcher = begin();

	assert_int_equal(agent.starts, 1);
	assert_string_equal(agent.command, "launcher {address}");
	assert_string_equal(agent.address, "127.0.0.1:4711");
	assert_int_equal(kit_log_count(&lines, "launcher started: pid=4711"), 1);
	launcher_process_stop(launcher, 3000);
	assert_int_equal(agent.stops, 1);
	ends();
	assert_int_equal(agent.gone, 1);
	kit_clock_pass(10 * LAUNCHER_AGAIN_MAX_MS);
	assert_int_equal(agent.starts, 1);
	finish(launcher);
}

/* It ends, and is started again after wait_ms. */
static void ends_and_comes_again(int64_t wait_ms)
{
	unsigned starts = agent.starts;

	ends();
	kit_clock_pass(wait_ms - 1);
	assert_int_equal(agent.starts, starts);
	kit_clock_pass(1);
	assert_int_equal(agent.starts, starts + 1);
}

static void test_it_is_started_again(void **state)
{
	static const int64_t waits_ms[] = {1000, 2000, 4000, 8000, 16000, 32000, 60000, 60000};
	struct launcher_process *launcher = begin();

	for (size_t i = 0; i < ARRAY_LEN(waits_ms); i++)
		ends_and_comes_again(waits_ms[i]);
	assert_int_equal(kit_log_count(&lines, "started again in 60 s"), 2);
	/* One that does its work has ended for another reason. */
	launcher_process_ready(launcher);
	ends_and_comes_again(1000);
	finish(launcher);
}

static void test_one_that_cannot_be_started_is_tried_again(void **state)
{
	struct launcher_process *launcher = begin();

	agent.result = -EAGAIN;
	ends_and_comes_again(1000);
	assert_int_equal(kit_log_count(&lines, "no processes left; started again in 2 s"), 1);
	agent.result = 0;
	kit_clock_pass(2000);
	assert_int_equal(agent.starts, 3);
	launcher_process_stop(launcher, 3000);
	assert_int_equal(agent.stops, 1);
	finish(launcher);
}

/* What it has started may take longer to end than it does itself. */
static void test_it_waits_for_what_is_left(void **state)
{
	const struct process_end how = {.kind = PROCESS_KILLED, .value = SIGKILL};
	struct launcher_process *launcher = begin();
	struct worker_process process = agent.process;

	process.ops->ended(process.arg, &agent.process, &how);
	kit_clock_pass(LAUNCHER_AGAIN_MS);
	assert_int_equal(agent.starts, 1);
	process.ops->gone(process.arg, &agent.process);
	kit_clock_pass(LAUNCHER_AGAIN_MS);
	assert_int_equal(agent.starts, 2);
	finish(launcher);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_it_is_started_with_the_node),
		cmocka_unit_test(test_it_is_started_again),
		cmocka_unit_test(test_one_that_cannot_be_started_is_tried_again),
		cmocka_unit_test(test_it_waits_for_what_is_left),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
