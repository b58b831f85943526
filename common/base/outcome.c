/*
 * outcome: the names.
 */
#include "common/base/outcome.h"

#include "common/base/cleanup.h"

static const char *const outcome_names[] = {
	[OUTCOME_OK] = "OK",
	[OUTCOME_CANCELLED] = "CANCELLED",
	[OUTCOME_UNKNOWN] = "UNKNOWN",
	[OUTCOME_INVALID_ARGUMENT] = "INVALID_ARGUMENT",
	[OUTCOME_DEADLINE_EXCEEDED] = "DEADLINE_EXCEEDED",
	[OUTCOME_NOT_FOUND] = "NOT_FOUND",
	[OUTCOME_PERMISSION_DENIED] = "PERMISSION_DENIED",
	[OUTCOME_UNAUTHENTICATED] = "UNAUTHENTICATED",
	[OUTCOME_RESOURCE_EXHAUSTED] = "RESOURCE_EXHAUSTED",
	[OUTCOME_FAILED_PRECONDITION] = "FAILED_PRECONDITION",
	[OUTCOME_UNIMPLEMENTED] = "UNIMPLEMENTED",
	[OUTCOME_INTERNAL] = "INTERNAL",
	[OUTCOME_UNAVAILABLE] = "UNAVAILABLE",
};

_Static_assert(ARRAY_LEN(outcome_names) == OUTCOME_N, "each outcome has a name");

const char *outcome_name(enum outcome outcome)
{
	if ((unsigned int)outcome >= OUTCOME_N)
		return outcome_names[OUTCOME_UNKNOWN];
	return outcome_names[outcome];
}
