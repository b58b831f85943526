#include "supernode/workers/refuse.h"

#include <errno.h>

void refuse(
	struct guests *guests, struct request *request, enum outcome outcome, const char *details)
{
	guests_complain_refused(guests, request->peer, request->method->name, outcome, details);
	request_fail(request, outcome, details);
}

void refuse_quietly(
	struct log *log, struct request *request, enum outcome outcome, const char *details)
{
	log_debug(log, "worker API: %s %s: %s: %s", request->peer->text, request->method->name,
		outcome_name(outcome), details);
	request_fail(request, outcome, details);
}

void refuse_errno(struct guests *guests, struct request *request, int error)
{
	if (error == -ENOMEM)
		refuse(guests, request, OUTCOME_RESOURCE_EXHAUSTED, "no memory");
	else
		refuse(guests, request, OUTCOME_INVALID_ARGUMENT, "the request cannot be decoded");
}

void refuse_context(struct guests *guests, struct request *request, int error)
{
	if (error == -EBADMSG)
		refuse(guests, request, OUTCOME_INVALID_ARGUMENT, "the context is broken");
	else
		refuse(guests, request, OUTCOME_RESOURCE_EXHAUSTED,
			"the SuperNode has no memory to check the context");
}

void refuse_gone(struct request *request)
{
	request_fail(request, OUTCOME_CANCELLED, "the caller has gone");
}
