#include "common/base/harden.h"

#include <stdbool.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/resource.h>

uint64_t harden_program(void)
{
	struct rlimit limit = {0};
	bool hidden = true;
	uint64_t before;

#ifdef __SANITIZE_ADDRESS__
	/* LeakSanitizer looks at its own process by ptrace(). */
	hidden = false;
#endif
#ifdef FLWR_TEST_HOOKS
	/* Tests of another user than root can look at the process, too. */
	if (getenv("FLWR_TEST_VISIBLE"))
		hidden = false;
#endif
	if (hidden)
		prctl(PR_SET_DUMPABLE, 0, 0, 0, 0);
	getrlimit(RLIMIT_CORE, &limit);
	before = limit.rlim_cur;
	limit.rlim_cur = 0;
	setrlimit(RLIMIT_CORE, &limit);
	return before;
}
