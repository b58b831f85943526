/*
 * dialect6: the worker API of Flower 1.34 (service Runtime): a worker shows a token in a header, is
 * given a message as objects, gives back a reply as objects, and the Context. Main thread. Knows no
 * transport and no process; decodes no object.
 */
#ifndef FLWR_WORKERS_DIALECT6_H
#define FLWR_WORKERS_DIALECT6_H

#include "supernode/store/spool.h"
#include "supernode/workers/admission.h"
#include "supernode/workers/held_calls.h"

struct dialect6;

struct dialect6_options {
	struct spool *spool; /* for objects of replies; borrowed; NULL: those are refused */
	/* All workers are programs of ours: the ids of large objects that they push need no check
	 * (object_set_skip_large_hashes()). */
	bool own_workers;
};

/* Both borrowed. NULL on no memory. */
struct dialect6 *dialect6_new(struct admission *admission, struct held_calls *held_calls,
	const struct dialect6_options *options);
/* Requests of the dialect must have ended. NULL is fine. */
void dialect6_free(struct dialect6 *dialect);

/* The services to give to a front-end, Flower's and WORKER_API_FAILURE; borrowed. */
const struct service *dialect6_service(const struct dialect6 *dialect);
const struct service *dialect6_failure_service(const struct dialect6 *dialect);

#endif
