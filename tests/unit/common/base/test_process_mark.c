#include "common/base/process_mark.h"
#include "kit/test.h"

#include <poll.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>

/* A child that cannot be looked at, and its mark. */
static pid_t child_new(char mark[PROCESS_MARK_BYTES])
{
	int ends[2];
	pid_t child;

	assert_int_equal(pipe(ends), 0);
	child = fork();
	assert_true(child >= 0);
	if (child == 0) {
		prctl(PR_SET_DUMPABLE, 0, 0, 0, 0);
		process_mark_own(mark);
		if (write(ends[1], mark, PROCESS_MARK_BYTES) != PROCESS_MARK_BYTES)
			_exit(1);
		for (;;)
			pause();
	}
	assert_int_equal(read(ends[0], mark, PROCESS_MARK_BYTES), PROCESS_MARK_BYTES);
	close(ends[0]);
	close(ends[1]);
	return child;
}

static void process_is_found(void **state)
{
	char mark[PROCESS_MARK_BYTES], text[128];
	pid_t child = child_new(mark);
	struct pollfd wanted = {.events = POLLIN};

	snprintf(text, sizeof text, "flwr-native/1 %s grpc-c/29.0.0 (linux; chttp2)", mark);
	wanted.fd = process_mark_open(text);
	assert_return_code(wanted.fd, -wanted.fd);
	assert_int_equal(poll(&wanted, 1, 0), 0);
	kill(child, SIGKILL);
	assert_int_equal(poll(&wanted, 1, 10000), 1);
	close(wanted.fd);
	waitpid(child, NULL, 0);
	assert_int_equal(process_mark_open(mark), -ESRCH);
}

/* Another name space, another start, no such process, no mark. */
static void others_are_not(void **state)
{
	char mark[PROCESS_MARK_BYTES], text[128];
	unsigned long long space, start;
	int pid, fd;

	process_mark_own(mark);
	assert_int_equal(sscanf(mark, "process=%llu.%d.%llu", &space, &pid, &start), 3);
	assert_int_equal(pid, getpid());
	fd = process_mark_open(mark);
	assert_return_code(fd, -fd);
	close(fd);
	snprintf(text, sizeof text, "process=%llu.%d.%llu", space + 1, pid, start);
	assert_int_equal(process_mark_open(text), -ESRCH);
	snprintf(text, sizeof text, "process=%llu.%d.%llu", space, pid, start + 1);
	assert_int_equal(process_mark_open(text), -ESRCH);
	snprintf(text, sizeof text, "process=%llu.%d.%llu", space, 0, start);
	assert_int_equal(process_mark_open(text), -ESRCH);
	snprintf(text, sizeof text, "process=%llu.%d", space, pid);
	assert_int_equal(process_mark_open(text), -ESRCH);
	assert_int_equal(process_mark_open("process="), -ESRCH);
	assert_int_equal(process_mark_open("grpc-python/1.80.0"), -ESRCH);
	assert_int_equal(process_mark_open(""), -ESRCH);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(process_is_found),
		cmocka_unit_test(others_are_not),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
