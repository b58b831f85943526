/*
 * outcome: the end of a call, whatever carried it. rpc/status.c maps outcomes to gRPC statuses,
 * http/status.c to and from HTTP statuses; nothing else does. Any thread.
 */
#ifndef FLWR_BASE_OUTCOME_H
#define FLWR_BASE_OUTCOME_H

enum outcome {
	OUTCOME_OK,
	OUTCOME_CANCELLED,
	OUTCOME_UNKNOWN,          /* also every status that has no name of its own here */
	OUTCOME_INVALID_ARGUMENT, /* the request cannot be right at any time */
	OUTCOME_DEADLINE_EXCEEDED,
	OUTCOME_NOT_FOUND,
	OUTCOME_PERMISSION_DENIED, /* from a SuperLink: the run is not running */
	OUTCOME_UNAUTHENTICATED,
	OUTCOME_RESOURCE_EXHAUSTED,  /* too large, too many, no memory */
	OUTCOME_FAILED_PRECONDITION, /* not in this state */
	OUTCOME_UNIMPLEMENTED,       /* no such method: another release */
	OUTCOME_INTERNAL,
	OUTCOME_UNAVAILABLE, /* no connection, or it broke */
	OUTCOME_N
};

/* The field's name of an outcome, upper case as gRPC writes it; never NULL. */
const char *outcome_name(enum outcome outcome);

#endif
