#include "kit/test.h"
#include "libflwr/app/call_internal.h"

#include <fcntl.h>

static struct {
	int level, calls;
	char line[9000];
	double fraction;
	bool stop;
} seen;

static void on_log(void *arg, int level, const char *line)
{
	assert_ptr_equal(arg, &seen);
	seen.level = level;
	seen.calls++;
	snprintf(seen.line, sizeof seen.line, "%s", line);
}

static void on_progress(void *arg, double fraction, const char *text)
{
	assert_ptr_equal(arg, &seen);
	seen.calls++;
	seen.fraction = fraction;
	snprintf(seen.line, sizeof seen.line, "%s", text);
}

static bool on_stopping(void *arg)
{
	assert_ptr_equal(arg, &seen);
	return seen.stop;
}

static const struct context_hooks hooks = {
	.log = on_log, .progress = on_progress, .stopping = on_stopping};

static struct flwr_context *context_with(struct call_context *context, int level)
{
	memset(&seen, 0, sizeof seen);
	context_init(context, &hooks, &seen, level);
	return &context->pub;
}

static void lines_come_up_to_a_level(void **state)
{
	struct call_context whole;
	struct flwr_context *context = context_with(&whole, 0);

	flwr_log(context, FLWR_LOG_WARN, "one");
	assert_int_equal(seen.level, FLWR_LOG_WARN);
	assert_string_equal(seen.line, "one");
	flwr_logf(context, FLWR_LOG_INFO, "%s %d", "two", 2);
	assert_string_equal(seen.line, "two 2");
	flwr_log(context, FLWR_LOG_DEBUG, "not shown");
	flwr_logf(context, FLWR_LOG_DEBUG, "not %s", "shown");
	flwr_log(context, FLWR_LOG_INFO, NULL);
	assert_int_equal(seen.calls, 2);
	context = context_with(&whole, FLWR_LOG_DEBUG);
	flwr_log(context, FLWR_LOG_DEBUG, "shown");
	assert_int_equal(seen.calls, 1);
	context = context_with(&whole, FLWR_LOG_ERROR);
	flwr_log(context, FLWR_LOG_WARN, "not shown");
	assert_int_equal(seen.calls, 0);
}

static void a_line_is_one_line(void **state)
{
	struct call_context whole;
	struct flwr_context *context = context_with(&whole, 0);
	char text[20000];

	flwr_log(context, FLWR_LOG_INFO, "a\nb\tc\x1b[2Jd\r \xc3\xbc \xff \xe2\x80\xae");
	assert_string_equal(seen.line, "a\\nb\\tc\\x1b[2Jd\\x0d \xc3\xbc \\xff \\xe2\\x80\\xae");
	flwr_log(context, FLWR_LOG_INFO, "");
	assert_string_equal(seen.line, "");
	for (size_t i = 0; i + 2 < sizeof text; i += 2)
		memcpy(text + i, "\xc3\xbc", 3);
	flwr_log(context, FLWR_LOG_INFO, text);
	assert_int_equal(strlen(seen.line), 8192);
	memcpy(text, "x", 1);
	memmove(text + 1, text + 2, strlen(text + 2) + 1);
	flwr_logf(context, FLWR_LOG_INFO, "%s", text);
	assert_int_equal(strlen(seen.line), 8191); /* no character is cut */
}

static void progress_is_between_0_and_1(void **state)
{
	struct call_context whole;
	struct flwr_context *context = context_with(&whole, 0);
	static const struct {
		double given, taken;
	} rows[] = {{0, 0}, {0.5, 0.5}, {1, 1}, {7, 1}, {-1, 0}, {__builtin_nan(""), 0},
		{__builtin_inf(), 1}};

	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		flwr_progress(context, rows[i].given, "epoch 1\n");
		assert_true(seen.fraction == rows[i].taken);
		assert_string_equal(seen.line, "epoch 1\\n");
	}
	flwr_progress(context, 0.5, NULL);
	assert_string_equal(seen.line, "");
}

static void stopping_is_asked(void **state)
{
	struct call_context whole;
	struct flwr_context *context = context_with(&whole, 0);

	assert_false(flwr_stopping(context));
	seen.stop = true;
	assert_true(flwr_stopping(context));
}

static void hooks_may_be_left_out(void **state)
{
	static const struct context_hooks none = {0};
	const struct context_hooks *const sets[] = {NULL, &none};
	struct call_context whole;

	memset(&seen, 0, sizeof seen);
	for (size_t i = 0; i < ARRAY_LEN(sets); i++) {
		context_init(&whole, sets[i], NULL, 0);
		flwr_log(&whole.pub, FLWR_LOG_INFO, "x");
		flwr_logf(&whole.pub, FLWR_LOG_INFO, "x");
		flwr_progress(&whole.pub, 0.5, "x");
		assert_false(flwr_stopping(&whole.pub));
	}
	/* No context, and one of another copy of the library: nothing is called. */
	context_with(&whole, 0);
	whole.mark = &whole;
	flwr_log(NULL, FLWR_LOG_INFO, "x");
	flwr_log(&whole.pub, FLWR_LOG_INFO, "x");
	flwr_progress(NULL, 0.5, "x");
	flwr_progress(&whole.pub, 0.5, "x");
	assert_false(flwr_stopping(NULL) || flwr_stopping(&whole.pub));
	assert_int_equal(seen.calls, 0);
}

static void stderr_has_time_level_and_line(void **state)
{
	static const char *const levels[] = {"?    ", "ERROR", "WARN ", "INFO ", "DEBUG", "?    "};
	int pipes[2], kept = dup(STDERR_FILENO);
	char line[200] = "";

	assert_int_equal(setenv("TZ", "UTC", 1), 0);
	assert_int_equal(pipe2(pipes, O_CLOEXEC), 0);
	for (int level = 0; level < (int)ARRAY_LEN(levels); level++) {
		char expected[64];

		assert_true(dup2(pipes[1], STDERR_FILENO) >= 0);
		flwr_log_to_stderr(level, 86400 + 3661.25, "a line", &seen);
		assert_true(dup2(kept, STDERR_FILENO) >= 0);
		memset(line, 0, sizeof line);
		assert_true(read(pipes[0], line, sizeof line - 1) > 0);
		snprintf(expected, sizeof expected, "01:01:01.250 %s a line\n", levels[level]);
		assert_string_equal(line, expected);
	}
	close(pipes[0]);
	close(pipes[1]);
	close(kept);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(lines_come_up_to_a_level),
		cmocka_unit_test(a_line_is_one_line),
		cmocka_unit_test(progress_is_between_0_and_1),
		cmocka_unit_test(stopping_is_asked),
		cmocka_unit_test(hooks_may_be_left_out),
		cmocka_unit_test(stderr_has_time_level_and_line),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
