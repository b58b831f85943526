/*
 * refuse: how calls of workers are refused: the caller is told, and the log. Main thread.
 */
#ifndef FLWR_WORKERS_REFUSE_H
#define FLWR_WORKERS_REFUSE_H

#include "common/base/log.h"
#include "common/service/service.h"
#include "supernode/workers/guests.h"

/* The request is gone afterwards, as by request_fail(). details: a sentence for the caller. */
void refuse(
	struct guests *guests, struct request *request, enum outcome outcome, const char *details);

/* As refuse(), for what workers that wait for work meet in ordinary life: a debug line. */
void refuse_quietly(
	struct log *log, struct request *request, enum outcome outcome, const char *details);

/* A request that cannot be decoded, or memory that is not there (-ENOMEM). */
void refuse_errno(struct guests *guests, struct request *request, int error);

/* A Context that a worker gave back and that cannot be kept: error is -EBADMSG, or what has kept it
 * from being checked. */
void refuse_context(struct guests *guests, struct request *request, int error);

/* The caller's connection has ended: it would not learn what became of its request. */
void refuse_gone(struct request *request);

#endif
