/*
 * status: outcomes and gRPC statuses, both ways from one table.
 */
#include "common/rpc/status.h"

#include "common/base/cleanup.h"

#include <grpc/status.h>

static const int status_of[OUTCOME_N] = {
	[OUTCOME_OK] = GRPC_STATUS_OK,
	[OUTCOME_CANCELLED] = GRPC_STATUS_CANCELLED,
	[OUTCOME_UNKNOWN] = GRPC_STATUS_UNKNOWN,
	[OUTCOME_INVALID_ARGUMENT] = GRPC_STATUS_INVALID_ARGUMENT,
	[OUTCOME_DEADLINE_EXCEEDED] = GRPC_STATUS_DEADLINE_EXCEEDED,
	[OUTCOME_NOT_FOUND] = GRPC_STATUS_NOT_FOUND,
	[OUTCOME_PERMISSION_DENIED] = GRPC_STATUS_PERMISSION_DENIED,
	[OUTCOME_UNAUTHENTICATED] = GRPC_STATUS_UNAUTHENTICATED,
	[OUTCOME_RESOURCE_EXHAUSTED] = GRPC_STATUS_RESOURCE_EXHAUSTED,
	[OUTCOME_FAILED_PRECONDITION] = GRPC_STATUS_FAILED_PRECONDITION,
	[OUTCOME_UNIMPLEMENTED] = GRPC_STATUS_UNIMPLEMENTED,
	[OUTCOME_INTERNAL] = GRPC_STATUS_INTERNAL,
	[OUTCOME_UNAVAILABLE] = GRPC_STATUS_UNAVAILABLE,
};

int rpc_status_of(enum outcome outcome)
{
	if ((unsigned)outcome >= OUTCOME_N)
		return GRPC_STATUS_UNKNOWN;
	return status_of[outcome];
}

enum outcome rpc_outcome_of(int status)
{
	for (size_t i = 0; i < ARRAY_LEN(status_of); i++) {
		if (status_of[i] == status)
			return (enum outcome)i;
	}
	return OUTCOME_UNKNOWN;
}
