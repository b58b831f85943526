#include "common/launch/sandbox.h"

#include "common/launch/sandbox_internal.h"
#include "kit/test.h"

static bool repeats(struct sandbox *sandbox, uint64_t run_id, const char *line)
{
	return sandbox_repeats(sandbox, run_id, line, strlen(line));
}

#define REFUSAL(what) "--sandbox strict: the app was refused something: " what

static void refusals_once_a_run(void **state)
{
	struct sandbox sandbox = {.kind = SANDBOX_STRICT};

	/* A run that had no message here has nothing to repeat. */
	assert_false(repeats(&sandbox, 1, REFUSAL("'/a'")));
	assert_false(repeats(&sandbox, 1, REFUSAL("'/a'")));
	assert_true(sandbox_run_is_new(&sandbox, 1));
	assert_false(sandbox_run_is_new(&sandbox, 1));
	assert_true(sandbox_run_is_new(&sandbox, 2));
	assert_false(repeats(&sandbox, 1, REFUSAL("'/a'")));
	assert_true(repeats(&sandbox, 1, REFUSAL("'/a'")));
	assert_false(repeats(&sandbox, 1, REFUSAL("'/b'")));
	assert_true(repeats(&sandbox, 1, REFUSAL("'/a'")));
	assert_true(repeats(&sandbox, 1, REFUSAL("'/b'")));
	assert_false(repeats(&sandbox, 2, REFUSAL("'/a'")));
	/* Other lines are the app's own. */
	for (int i = 0; i < 2; i++) {
		assert_false(repeats(&sandbox, 1, "'/a'"));
		assert_false(repeats(&sandbox, 1, ""));
		assert_false(repeats(&sandbox, 1, "--sandbox "));
		assert_false(repeats(&sandbox, 1, " " REFUSAL("'/a'")));
		assert_false(repeats(&sandbox, 0, REFUSAL("'/a'")));
	}
}

/* A run that says ever new things, and ever new runs, take no more memory; the oldest is forgotten.
 */
static void refusals_are_bounded(void **state)
{
	struct sandbox sandbox = {.kind = SANDBOX_STRICT};
	char line[80];

	assert_true(sandbox_run_is_new(&sandbox, 1));
	for (int i = 0; i <= SANDBOX_SAID_MAX; i++) {
		snprintf(line, sizeof line, REFUSAL("'/%d'"), i);
		assert_false(repeats(&sandbox, 1, line));
		assert_true(repeats(&sandbox, 1, line));
	}
	assert_false(repeats(&sandbox, 1, REFUSAL("'/0'")));
	assert_true(repeats(&sandbox, 1, REFUSAL("'/2'")));
	/* Of a run that is over nothing is kept. */
	assert_true(sandbox_run_is_new(&sandbox, 99));
	assert_false(repeats(&sandbox, 99, REFUSAL("'/0'")));
	sandbox_run_ended(&sandbox, 99);
	assert_true(sandbox_run_is_new(&sandbox, 99));
	assert_false(repeats(&sandbox, 99, REFUSAL("'/0'")));
	for (uint64_t run_id = 4; run_id <= SANDBOX_RUNS_MAX; run_id++)
		assert_true(sandbox_run_is_new(&sandbox, run_id));
	assert_true(repeats(&sandbox, 1, REFUSAL("'/0'")));
	assert_true(sandbox_run_is_new(&sandbox, SANDBOX_RUNS_MAX + 1));
	assert_true(sandbox_run_is_new(&sandbox, 1));
	assert_false(repeats(&sandbox, 1, REFUSAL("'/0'")));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(refusals_once_a_run),
		cmocka_unit_test(refusals_are_bounded),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
