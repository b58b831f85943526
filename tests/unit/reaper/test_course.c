#include "kit/test.h"
#include "reaper/course.h"

#include <signal.h>

#define EXITED(code)   ((code) << 8)
#define KILLED(signal) (signal)

static void ends_decide(void **state)
{
	static const struct {
		bool restarts;
		int signal; /* that has come before; 0: none */
		int status;
		int64_t pause_ms;
	} rows[] = {
		{false, 0, KILLED(SIGKILL), COURSE_OVER},
		{false, 0, EXITED(1), COURSE_OVER},
		{true, 0, EXITED(0), COURSE_OVER},
		{true, 0, EXITED(2), COURSE_OVER},
		{true, 0, EXITED(1), COURSE_PAUSE_MS},
		{true, 0, EXITED(127), COURSE_PAUSE_MS},
		{true, 0, KILLED(SIGKILL), COURSE_PAUSE_MS},
		{true, 0, KILLED(SIGSEGV), COURSE_PAUSE_MS},
		{true, SIGTERM, KILLED(SIGKILL), COURSE_OVER},
		{true, SIGINT, EXITED(1), COURSE_OVER},
		{true, SIGQUIT, EXITED(1), COURSE_OVER},
		{true, SIGHUP, EXITED(1), COURSE_PAUSE_MS},
		{true, SIGUSR1, EXITED(1), COURSE_PAUSE_MS},
		{true, SIGTSTP, EXITED(1), COURSE_PAUSE_MS},
	};

	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct course course = {.restarts = rows[i].restarts};

		if (rows[i].signal)
			course_signal(&course, rows[i].signal);
		if (course_ended(&course, rows[i].status, 0) != rows[i].pause_ms)
			fail_msg("row %zu", i);
	}
}

static void pauses_grow_and_begin_again(void **state)
{
	static const int64_t pauses_ms[] = {1000, 2000, 4000, 8000, 16000, 32000, 60000, 60000};
	struct course course = {.restarts = true};

	for (size_t i = 0; i < ARRAY_LEN(pauses_ms); i++)
		assert_int_equal(course_ended(&course, EXITED(1), 10), pauses_ms[i]);
	assert_int_equal(course_ended(&course, EXITED(1), COURSE_PAUSE_MAX_MS - 1), 60000);
	assert_int_equal(course_ended(&course, EXITED(1), COURSE_PAUSE_MAX_MS), 1000);
	assert_int_equal(course_ended(&course, EXITED(1), 0), 2000);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(ends_decide),
		cmocka_unit_test(pauses_grow_and_begin_again),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
