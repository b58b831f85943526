#include "common/base/clock.h"
#include "common/loop/log_watch.h"
#include "kit/test.h"

#include <fcntl.h>

#define LINES   2000
#define WAIT_MS 20000

static bool ends_with_line(const char *text, const char *part)
{
	const char *at = strstr(text, part);

	return at && strchr(at, '\n');
}

/* A reader that comes late gets every line. */
static void a_late_reader_gets_all(void **state)
{
	static char text[4 << 20];
	struct log_watch *log_watch;
	struct loop *loop;
	struct log *log;
	char padding[500], last[20];
	int ends[2], next = 0;
	size_t len = 0;

	memset(padding, 'x', sizeof padding);
	padding[sizeof padding - 1] = '\0';
	snprintf(last, sizeof last, " %d ", LINES - 1);
	assert_int_equal(pipe2(ends, O_CLOEXEC), 0);
	fcntl(ends[0], F_SETFL, O_NONBLOCK);
	assert_int_equal(loop_new(&loop), 0);
	log = log_new(ends[1], NULL, LOG_LEVEL_INFO);
	log_watch = log_watch_new(loop, log);
	for (int i = 0; i < LINES; i++)
		log_info(log, "%d %s", i, padding);
	for (int64_t end_ms = clock_now_ms() + WAIT_MS; !ends_with_line(text, last);) {
		ssize_t n = read(ends[0], text + len, sizeof text - 1 - len);

		assert_true(clock_now_ms() < end_ms);
		if (n > 0)
			len += (size_t)n;
		else
			loop_step(loop, 100);
	}
	for (char *line = text; *line; line = strchr(line, '\n') + 1) {
		assert_int_equal(strtol(line + 6, NULL, 10), next++);
		assert_non_null(strchr(line, '\n'));
	}
	assert_int_equal(next, LINES);
	log_watch_free(log_watch);
	log_watch_free(NULL);
	log_free(log);
	loop_free(loop);
	close(ends[0]);
	close(ends[1]);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_late_reader_gets_all),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
