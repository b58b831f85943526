#include "common/base/flower_env.h"
#include "kit/test.h"

#include <fcntl.h>

static enum log_level level_of(const char *option, const char *value)
{
	enum log_level level = LOG_LEVEL_N;

	if (value)
		setenv("FLWR_LOG_LEVEL", value, 1);
	else
		unsetenv("FLWR_LOG_LEVEL");
	assert_int_equal(flower_env_log_level(option, &level), 0);
	return level;
}

/* As Python's logging takes them in FLWR_LOG_LEVEL, in any case; what an option says wins. */
static void levels(void **state)
{
	assert_int_equal(level_of(NULL, NULL), LOG_LEVEL_INFO);
	assert_int_equal(level_of(NULL, ""), LOG_LEVEL_INFO);
	assert_int_equal(level_of(NULL, "nonsense"), LOG_LEVEL_INFO);
	assert_int_equal(level_of(NULL, "10"), LOG_LEVEL_INFO);
	assert_int_equal(level_of(NULL, "Error"), LOG_LEVEL_ERROR);
	assert_int_equal(level_of(NULL, "WARNING"), LOG_LEVEL_WARN);
	assert_int_equal(level_of(NULL, "warn"), LOG_LEVEL_WARN);
	assert_int_equal(level_of(NULL, "DEBUG"), LOG_LEVEL_DEBUG);
	assert_int_equal(level_of(NULL, "FATAL"), LOG_LEVEL_CRITICAL);
	assert_int_equal(level_of("debug", "ERROR"), LOG_LEVEL_DEBUG);
}

/* What is told of the environment. */
static const char *told(enum flower_program program)
{
	static char text[4096];
	int ends[2];
	struct log *log;
	ssize_t n;

	assert_int_equal(pipe2(ends, O_CLOEXEC | O_NONBLOCK), 0);
	log = log_new(ends[1], NULL, LOG_LEVEL_INFO);
	flower_env_tell(log, program);
	n = read(ends[0], text, sizeof text - 1);
	text[n > 0 ? n : 0] = '\0';
	log_free(log);
	close(ends[0]);
	close(ends[1]);
	return text;
}

static void what_has_no_effect_is_told_once(void **state)
{
	static const char *const quiet[][2] = {{"FLWR_TELEMETRY_ENABLED", "0"},
		{"FLWR_DISABLE_UPDATE_CHECK", "1"}, {"FLWR_HOME", "/tmp"},
		{"FLWR_LOG_LEVEL", "ERROR"}, {"FLWR_TRACING_ENABLED", "0"},
		{"FLWR_PRIVATE_MAX_ARRAY_CHUNK_SIZE", "5242880"}, {"FLWR_DATABASE", "x"}};
	const char *text;

	for (size_t i = 0; i < ARRAY_LEN(quiet); i++)
		setenv(quiet[i][0], quiet[i][1], 1);
	assert_string_equal(told(FLOWER_SUPERNODE), "");
	setenv("FLWR_TRACING_ENABLED", "1", 1);
	setenv("FLWR_SUPEREXEC_TASK_POLL_INTERVAL", "3", 1);
	assert_string_equal(told(FLOWER_SUPERNODE),
		"WARN  FLWR_TRACING_ENABLED has no effect: there are no traces in this version\n");
	assert_non_null(
		strstr(told(FLOWER_CLIENTAPP), "FLWR_SUPEREXEC_TASK_POLL_INTERVAL has no effect"));
	setenv("FLWR_LOG_LEVEL", "loud", 1);
	text = told(FLOWER_SUPERNODE);
	assert_ptr_equal(strstr(text, "WARN  FLWR_LOG_LEVEL \"loud\" is no level"), text);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(levels),
		cmocka_unit_test(what_has_no_effect_is_told_once),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
