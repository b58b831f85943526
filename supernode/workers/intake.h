/*
 * intake: how many contents are received at a time, from callers who have shown a live token:
 * further ones wait until there is room. Main thread.
 */
#ifndef FLWR_WORKERS_INTAKE_H
#define FLWR_WORKERS_INTAKE_H

#include "common/service/service.h"
#include "supernode/workers/guests.h"

#define INTAKE_QUEUE_MAX 64 /* contents that wait; further ones: RESOURCE_EXHAUSTED */

/* Embedded. */
struct intake {
	struct guests *guests; /* borrowed */
	unsigned max;          /* contents at a time */
	unsigned n;            /* that are being received, or dealt with */
	struct request *queue[INTAKE_QUEUE_MAX];
	size_t n_queue;
};

/* In an admit(): request_admit(), now or later; its connection is not idle meanwhile. */
void intake_admit(struct intake *intake, struct request *request);
/* First thing in its handle(). */
void intake_received(struct intake *intake, struct request *request);
/* What was received is dealt with: once for each intake_received(). */
void intake_release(struct intake *intake);

#endif
