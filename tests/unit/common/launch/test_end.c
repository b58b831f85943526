#include "common/launch/end.h"
#include "rig.h"

#include <signal.h>

static const struct {
	enum end_role role;
	struct process_end end;
	bool with_stderr;
	int code;
	const char *reason;
	const char *line;
} cases[] = {
	{END_APP, {.kind = PROCESS_EXITED, .value = 3, .tail = "boom"}, true, 8,
		"The process that ran the ClientApp exited with status 3.\nLast lines of its "
		"stderr:\nboom",
		"exited with status 3"},
	{END_APP, {.kind = PROCESS_EXITED, .value = 0, .tail = "secret"}, false, 8,
		"The process that ran the ClientApp exited with status 0.", "exited with status 0"},
	{END_WORKER, {.kind = PROCESS_KILLED, .value = SIGSEGV}, true, 8,
		"The worker that ran the ClientApp was killed by signal 11 (SIGSEGV).",
		"killed by signal 11 (SIGSEGV)"},
	{END_APP, {.kind = PROCESS_KILLED, .value = SIGKILL, .out_of_memory = true}, true, 8,
		"The process that ran the ClientApp was killed by signal 9 (SIGKILL): the node ran "
		"out of "
		"memory.",
		"killed by signal 9 (SIGKILL), out of memory"},
	{END_APP, {.kind = PROCESS_KILLED, .value = SIGKILL, .over_memory_limit = true}, true, 8,
		"The process that ran the ClientApp was killed by signal 9 (SIGKILL): it needed "
		"more memory than it may have (--worker-memory).",
		"killed by signal 9 (SIGKILL), over --worker-memory"},
	{END_APP,
		{.kind = PROCESS_KILLED,
			.value = SIGTERM,
			.stop = PROCESS_STOPPED,
			.never_ready = true},
		true, 8,
		"The process that ran the ClientApp was killed by signal 15 (SIGTERM), because the "
		"node "
		"stopped it. It never started to work.",
		"killed by signal 15 (SIGTERM), stopped by us, never started to work"},
	{END_APP, {.kind = PROCESS_KILLED, .value = 44}, true, 8,
		"The process that ran the ClientApp was killed by signal 44.",
		"killed by signal 44"},
	{END_APP, {.kind = PROCESS_NOT_STARTED, .value = ENOENT, .why = {"no python3"}}, true, 1,
		"An exception was raised when attempting to load `ClientApp`: no python3",
		"could not be started: no python3"},
	{END_WORKER, {.kind = PROCESS_NOT_STARTED, .value = ENOENT, .why = {"cannot start /a/b"}},
		true, 1,
		"The worker that ran the ClientApp could not be started: No such file or directory",
		"could not be started: cannot start /a/b"},
};

static void test_table(void **state)
{
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct text reason = {.len = 0};
		char line[256];

		assert_int_equal(
			end_error(cases[i].role, &cases[i].end, cases[i].with_stderr, &reason),
			cases[i].code);
		assert_string_equal(reason.data, cases[i].reason);
		end_describe(&cases[i].end, line, sizeof line);
		assert_string_equal(line, cases[i].line);
		text_done(&reason);
	}
}

static void test_every_signal_and_small_buffers(void **state)
{
	for (int value = -2; value < 130; value++) {
		struct process_end end = {.kind = PROCESS_KILLED, .value = value};
		struct text reason = {.len = 0};
		char line[8];

		assert_int_equal(end_error(END_APP, &end, true, &reason), 8);
		end_describe(&end, line, sizeof line);
		assert_string_equal(line, "killed ");
		text_done(&reason);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_table),
		cmocka_unit_test(test_every_signal_and_small_buffers),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
