#include "common/base/flower_env.h"
#include "kit/log.h"

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

static struct kit_log lines;

/* What is told of the environment. */
static const char *told(enum flower_program program)
{
	kit_log_clear(&lines);
	flower_env_tell(lines.log, program);
	return kit_log_text(&lines);
}

static void what_has_no_effect_is_told_once(void **state)
{
	static const char *const quiet[][2] = {{"FLWR_TELEMETRY_ENABLED", "0"},
		{"FLWR_DISABLE_UPDATE_CHECK", "1"}, {"FLWR_HOME", "/tmp"},
		{"FLWR_LOG_LEVEL", "ERROR"}, {"FLWR_TRACING_ENABLED", "0"},
		{"FLWR_PRIVATE_MAX_ARRAY_CHUNK_SIZE", "5242880"}, {"FLWR_DATABASE", "x"}};
	const char *text;

	kit_log_init(&lines, NULL, LOG_LEVEL_INFO);
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
	kit_log_done(&lines);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(levels),
		cmocka_unit_test(what_has_no_effect_is_told_once),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
