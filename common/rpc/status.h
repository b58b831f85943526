/*
 * status: the one place that maps outcomes to gRPC statuses and back. Any thread.
 */
#ifndef FLWR_RPC_STATUS_H
#define FLWR_RPC_STATUS_H

#include "common/base/outcome.h"

/* gRPC's number of an outcome (0 .. 16). */
int rpc_status_of(enum outcome outcome);

/* The outcome of a status number; OUTCOME_UNKNOWN for those without a name of their own and for
 * numbers out of range. */
enum outcome rpc_outcome_of(int status);

#endif
