#include "common/base/harden.h"
#include "kit/test.h"

#include <sys/prctl.h>
#include <sys/resource.h>

static void memory_is_our_own(void **state)
{
	const struct rlimit some = {.rlim_cur = 1, .rlim_max = 1};
	struct rlimit limit;
	uint64_t before;

	assert_int_equal(setrlimit(RLIMIT_CORE, &some), 0);
	before = harden_program();
	assert_int_equal(before, 1);
	assert_int_equal(getrlimit(RLIMIT_CORE, &limit), 0);
	assert_int_equal(limit.rlim_cur, 0);
	/* For those that are given theirs back. */
	assert_int_equal(limit.rlim_max, 1);
#ifndef __SANITIZE_ADDRESS__
	assert_int_equal(prctl(PR_GET_DUMPABLE), 0);
#endif
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(memory_is_our_own),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
