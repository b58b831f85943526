/*
 * The runner, with a stand-in for the agent: which worker is of which message, what it is given,
 * what its end becomes.
 */
#include "kit/dir.h"
#include "kit/log.h"
#include "supernode/run/runner.h"

#include <errno.h>
#include <signal.h>
#include <sys/stat.h>
#include <unistd.h>

#define WORKERS_MAX 4

struct worker_process {
	unsigned number;
	char name[32];
	uint64_t token;
	bool has_task_token;
	char *token_file;
	const char *command;
	const struct worker_process_ops *ops;
	void *arg;
	unsigned stops;
};

static struct {
	struct worker_process workers[WORKERS_MAX];
	unsigned n;
	int result; /* of the next start */
} agent;

int agent_start_worker(struct agent *self, const struct worker_process_spec *spec,
	struct worker_process **out, struct reason *why)
{
	const struct control_start *start = spec->start;
	struct worker_process *worker = &agent.workers[agent.n];

	if (agent.result)
		return reason_code(why, agent.result, "no processes left");
	*worker = (struct worker_process){.number = agent.n++,
		.token = start->token,
		.has_task_token = start->task_token != NULL,
		.token_file = start->token_file ? strdup(start->token_file) : NULL,
		.command = start->command,
		.ops = spec->ops,
		.arg = spec->arg};
	snprintf(worker->name, sizeof worker->name, "%s", spec->name);
	*out = worker;
	return 0;
}

void worker_process_stop(struct worker_process *worker, int64_t grace_ms)
{
	worker->stops++;
}

pid_t worker_process_pid(const struct worker_process *worker)
{
	return 1000 + (pid_t)worker->number;
}

/* ---- what the runner tells ---- */

static struct {
	uint64_t ended, gone;
	int64_t code;
	char reason[512];
} told;

static void on_ended(void *arg, uint64_t message, int64_t code, const char *reason)
{
	told.ended = message;
	told.code = code;
	snprintf(told.reason, sizeof told.reason, "%s", reason);
}

static void on_gone(void *arg, uint64_t message)
{
	told.gone = message;
}

static const struct runner_ops events = {.ended = on_ended, .gone = on_gone};

static struct kit_log lines;

static struct runner *make(const char *token_dir)
{
	struct runner *runner;

	memset(&agent, 0, sizeof agent);
	memset(&told, 0, sizeof told);
	runner = runner_new(
		&(struct runner_options){
			.log = lines.log,
			.address = "unix:/socket",
			.command = token_dir ? "foreign {token_file}" : NULL,
			.token_dir = token_dir,
			.stderr_in_replies = true,
		},
		&events, NULL);
	assert_non_null(runner);
	return runner;
}

static void start(struct runner *runner, uint64_t message)
{
	struct reason why = {0};

	assert_int_equal(
		runner_start(runner,
			&(struct runner_task){.message = message, .token = 10 * message}, &why),
		0);
}

static void end(unsigned worker, int signal)
{
	const struct process_end how = {
		.kind = PROCESS_KILLED, .value = signal, .tail = "last words"};
	struct worker_process *its = &agent.workers[worker];

	its->ops->ended(its->arg, its, &how);
}

static void go(unsigned worker)
{
	struct worker_process *its = &agent.workers[worker];

	its->ops->gone(its->arg, its);
}

static int setup(void **state)
{
	kit_log_init(&lines, "supernode", LOG_LEVEL_DEBUG);
	return kit_dir_make(state);
}

static int teardown(void **state)
{
	for (unsigned i = 0; i < agent.n; i++)
		free(agent.workers[i].token_file);
	kit_log_done(&lines);
	return kit_dir_remove(state);
}

/* ---- tests ---- */

static void each_worker_is_known_by_its_message(void **state)
{
	struct runner *runner = make(NULL);

	start(runner, 7);
	start(runner, 9);
	assert_string_equal(agent.workers[0].name, "7");
	assert_int_equal(agent.workers[1].token, 90);
	assert_int_equal(kit_log_count(&lines, "worker started: message=9 pid=1001"), 1);
	runner_stop(runner, 9, 3000);
	runner_stop(runner, 8, 3000); /* nobody's */
	assert_int_equal(agent.workers[0].stops, 0);
	assert_int_equal(agent.workers[1].stops, 1);
	end(0, SIGKILL);
	assert_int_equal(told.ended, 7);
	go(0);
	assert_int_equal(told.gone, 7);
	runner_stop_all(runner, 3000);
	assert_int_equal(agent.workers[0].stops, 0); /* it is gone */
	assert_int_equal(agent.workers[1].stops, 2);
	end(1, SIGTERM);
	go(1);
	assert_int_equal(told.gone, 9);
	runner_free(runner);
}

static void the_end_of_a_worker_becomes_a_code_and_a_sentence(void **state)
{
	struct runner *runner = make(NULL);

	start(runner, 7);
	start(runner, 9);
	runner_ready(runner, 7);
	runner_ready(runner, 8); /* nobody's */
	end(0, SIGSEGV);
	assert_int_equal(told.code, 8);
	assert_non_null(strstr(told.reason, "SIGSEGV"));
	assert_non_null(strstr(told.reason, "last words"));
	assert_null(strstr(told.reason, "never started to work"));
	go(0);
	/* The other one has shown no sign of life. */
	end(1, SIGSEGV);
	assert_non_null(strstr(told.reason, "never started to work"));
	go(1);
	runner_free(runner);
}

static void a_worker_that_cannot_be_started_leaves_nothing(void **state)
{
	struct runner *runner = make(kit_dir);
	struct reason why = {0};

	agent.result = -EAGAIN;
	assert_int_equal(
		runner_start(runner, &(struct runner_task){.message = 7, .token = 70}, &why),
		-EAGAIN);
	assert_string_equal(why.text, "no processes left");
	assert_int_equal(rmdir(kit_dir), 0); /* it is empty */
	assert_int_equal(mkdir(kit_dir, 0700), 0);
	runner_stop(runner, 7, 3000);
	runner_free(runner);
}

static void a_token_file_is_there_until_the_worker_is_gone(void **state)
{
	struct runner *runner = make(kit_dir);
	char content[64] = "";
	struct stat stat_of;
	FILE *file;

	start(runner, 7);
	assert_non_null(agent.workers[0].token_file);
	assert_int_equal(stat(agent.workers[0].token_file, &stat_of), 0);
	assert_int_equal(stat_of.st_mode & 0777, 0600);
	file = fopen(agent.workers[0].token_file, "re");
	assert_non_null(file);
	assert_non_null(fgets(content, sizeof content, file));
	fclose(file);
	assert_int_equal(strncmp(content, "70", 2), 0);
	end(0, SIGKILL);
	assert_int_equal(access(agent.workers[0].token_file, F_OK), 0);
	go(0);
	assert_int_equal(access(agent.workers[0].token_file, F_OK), -1);
	runner_free(runner);
}

static void a_token_file_that_cannot_be_made_is_said(void **state)
{
	struct runner *runner = make("/nonexistent");
	struct reason why = {0};

	assert_int_equal(
		runner_start(runner, &(struct runner_task){.message = 7, .token = 70}, &why),
		-ENOENT);
	assert_non_null(strstr(why.text, "no file for its token"));
	assert_int_equal(agent.n, 0);
	runner_free(runner);
}

#define DIR_TEST(test) cmocka_unit_test_setup_teardown(test, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		DIR_TEST(each_worker_is_known_by_its_message),
		DIR_TEST(the_end_of_a_worker_becomes_a_code_and_a_sentence),
		DIR_TEST(a_worker_that_cannot_be_started_leaves_nothing),
		DIR_TEST(a_token_file_is_there_until_the_worker_is_gone),
		DIR_TEST(a_token_file_that_cannot_be_made_is_said),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
