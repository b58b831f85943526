#include "common/launch/oom.h"
#include "rig.h"

static void test_formats(void **state)
{
	static const struct {
		const char *text;
		uint64_t count;
	} cases[] = {
		{"low 0\nhigh 0\nmax 9\noom 4\noom_kill 3\noom_group_kill 1\n", 3},
		{"oom_kill_disable 0\nunder_oom 0\noom_kill 5\n", 5},
		{"oom_kill_disable 1\n", 0},
		{"nr_free_pages 7\noom_kill 18446744073709551615\n", INT64_MAX},
		{"", 0},
	};

	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		char path[64];
		struct oom_source source = {.path = path};

		script_new(path, cases[i].text);
		assert_int_equal(oom_count(&source), cases[i].count);
		unlink(path);
		assert_int_equal(oom_count(&source), 0);
	}
}

static void test_of_this_machine(void **state)
{
	struct oom_source source;

	oom_source_init(&source);
	if (source.path)
		print_message(
			"counts: %s, %llu\n", source.path, (unsigned long long)oom_count(&source));
	oom_count(&source);
	oom_source_done(&source);
	assert_int_equal(oom_count(&source), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_formats),
		cmocka_unit_test(test_of_this_machine),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
