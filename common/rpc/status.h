/*
 * status: the one place that maps outcomes to gRPC statuses and back. Any thread.
 */
#ifndef FLWR_RPC_STATUS_H
#define FLWR_RPC_STATUS_H

#include "common/base/outcome.h"

/* gRPC's statuses, with its numbers: outcomes do not name all of them. */
enum rpc_status {
	RPC_STATUS_OK,
	RPC_STATUS_CANCELLED,
	RPC_STATUS_UNKNOWN,
	RPC_STATUS_INVALID_ARGUMENT,
	RPC_STATUS_DEADLINE_EXCEEDED,
	RPC_STATUS_NOT_FOUND,
	RPC_STATUS_ALREADY_EXISTS,
	RPC_STATUS_PERMISSION_DENIED,
	RPC_STATUS_RESOURCE_EXHAUSTED,
	RPC_STATUS_FAILED_PRECONDITION,
	RPC_STATUS_ABORTED,
	RPC_STATUS_OUT_OF_RANGE,
	RPC_STATUS_UNIMPLEMENTED,
	RPC_STATUS_INTERNAL,
	RPC_STATUS_UNAVAILABLE,
	RPC_STATUS_DATA_LOSS,
	RPC_STATUS_UNAUTHENTICATED,
	RPC_STATUS_N
};

/* Upper case as gRPC writes it ("NOT_FOUND"); "UNKNOWN" of a number out of range. */
const char *rpc_status_name(int status);

/* gRPC's number of an outcome (0 .. 16). */
int rpc_status_of(enum outcome outcome);

/* The outcome of a status number; OUTCOME_UNKNOWN for those without a name of their own and for
 * numbers out of range. */
enum outcome rpc_outcome_of(int status);

#endif
