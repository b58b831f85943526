/*
 * Apps in Python that end in an error or in no reply at all, against the bridge with the real
 * package.
 */
#include "kit/dir.h"
#include "rig.h"

#include <sys/wait.h>

#define LOAD "An exception was raised when attempting to load `ClientApp`: "

/* The exception that long_app of sample.py raises. */
static const char *long_reason(void)
{
	static char text[4000100];
	char *at = stpcpy(text, "<class 'ValueError'>:<'");

	for (size_t i = 0; i < 1000000; i++)
		at = stpcpy(at, "\u00fcx ");
	memcpy(at, "'>", sizeof("'>"));
	return text;
}

static void each_failure_of_an_app_has_its_code_and_reason(void **state)
{
	const struct {
		const char *clientapp;
		int64_t code;
		const char *reason;
	} rows[] = {{"sample:boom_app", 2, "<class 'ZeroDivisionError'>:<'division by zero'>"},
		{"sample:odd_app", 2, "<class 'ValueError'>:<'a \\x00 and a \\ud800 and \u00fc'>"},
		{"sample:huge_app", 2,
			"<class 'OverflowError'>:<''k' of record 'r' is beyond 64 bits'>"},
		{"sample:bad_list_app", 2,
			"<class 'TypeError'>:<'a value of type list cannot be in a record'>"},
		{"sample:none_app", 2,
			"<class 'TypeError'>:<'ClientApp returned a NoneType, not a Message'>"},
		{"broken:app", 2, "<class 'OSError'>:<'no GPU'>"},
		{"syntax:app", 2, "<class 'SyntaxError'>:<'invalid syntax (syntax.py, line 1)'>"},
		{"sample:long_app", 2, long_reason()},
		{"sample:nothing", 1, LOAD "module 'sample' has no attribute 'nothing'"},
		{"sample:os", 1, LOAD "Attribute sample:os is not of type <class '"},
		{"sample", 1, LOAD "Missing attribute in sample\n"}};

	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct kit_app app;

		run_app(&app, rows[i].clientapp, "train", NULL, NULL);
		assert_int_equal(app.events[APP_HOST_REPLY], 1);
		assert_true(app.reply.has_error && !app.reply.has_content);
		/* The Context as the app left it, as Flower keeps it. */
		assert_true(app.reply.has_context);
		assert_int_equal(app.reply.error_code, rows[i].code);
		if (rows[i].code == 1)
			assert_memory_equal(
				app.reply.error_reason, rows[i].reason, strlen(rows[i].reason));
		else
			assert_string_equal(app.reply.error_reason, rows[i].reason);
		assert_true(app.reply.traceback[0] != '\0');
		assert_true(WIFEXITED(app.status) && WEXITSTATUS(app.status) == 0);
		kit_app_close(&app);
	}
}

/* A module that is not there is an error of code 1 to some release, of code 2 from then on. */
static void a_missing_module_has_the_code_of_its_release(void **state)
{
	static const char *const reasons[] = {NULL, LOAD "No module named 'not_a_module_of_anyone'",
		"<class 'ModuleNotFoundError'>:<'No module named 'not_a_module_of_anyone''>"};
	auto_(free_at_exit) char *command = NULL;
	struct kit_app app;
	FILE *pipe;
	int code = 0;

	assert_true(
		asprintf(&command, "%s " FLWR_TEST_DIR "/code_of_missing.py", app_python()) > 0);
	pipe = popen(command, "re");
	assert_non_null(pipe);
	assert_int_equal(fscanf(pipe, "%d", &code), 1);
	pclose(pipe);
	assert_in_range(code, 1, 2);
	run_app(&app, "missing:app", "train", NULL, NULL);
	assert_int_equal(app.reply.error_code, code);
	assert_string_equal(app.reply.error_reason, reasons[code]);
	kit_app_close(&app);
}

static void an_error_reply_of_the_app_is_passed_on(void **state)
{
	struct kit_app app;

	run_app(&app, "sample:error_app", "train", NULL, NULL);
	assert_true(app.reply.has_error && !app.reply.has_content && app.reply.has_context);
	assert_int_equal(app.reply.error_code, 77);
	assert_string_equal(app.reply.error_reason, "mine");
	kit_app_close(&app);
}

static void an_app_that_exits_gives_no_reply(void **state)
{
	static const struct {
		const char *clientapp;
		int status;
	} rows[] = {{"sample:exit_app", 7}, {"sample:die_app", 9}};

	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct kit_app app;

		run_app(&app, rows[i].clientapp, "train", NULL, NULL);
		assert_int_equal(app.events[APP_HOST_REPLY], 0);
		assert_int_equal(app.events[APP_HOST_HUNG_UP], 1);
		assert_true(WIFEXITED(app.status));
		assert_int_equal(WEXITSTATUS(app.status), rows[i].status);
		assert_true(app_host_ended(app.host));
		kit_app_close(&app);
	}
}

static void a_python_without_flwr_says_so(void **state)
{
	struct kit_app app;

	/* A package of that name which cannot be imported. */
	open_python(&app, "PYTHONPATH=" FLWR_TEST_DIR "/no_flwr", false);
	run_task(&app, "sample:echo_app", "train", NULL, NULL);
	assert_int_equal(app.events[APP_HOST_REPLY], 1);
	assert_int_equal(app.reply.error_code, 1);
	assert_string_equal(app.reply.error_reason,
		"An exception was raised when attempting to load `ClientApp`: flwr: ImportError: "
		"not this one");
	assert_int_equal(WEXITSTATUS(app.status), 1);
	kit_app_close(&app);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(each_failure_of_an_app_has_its_code_and_reason),
		cmocka_unit_test(a_missing_module_has_the_code_of_its_release),
		cmocka_unit_test(an_error_reply_of_the_app_is_passed_on),
		cmocka_unit_test(an_app_that_exits_gives_no_reply),
		cmocka_unit_test(a_python_without_flwr_says_so),
	};

	if (!app_python_installed())
		return SKIPPED;
	return cmocka_run_group_tests(tests, kit_dir_make, kit_dir_remove);
}
