/*
 * dialects: what the worker API's server understands: for each service of Flower's, and those of
 * ours, a table of methods: name, size of the body, who may call it, and the handler. A thing that
 * workers ask has one handler, whatever it is called in a release (handlers.h). Main thread. Knows
 * no transport and no process; decodes no object.
 */
#ifndef FLWR_WORKERS_DIALECTS_H
#define FLWR_WORKERS_DIALECTS_H

#include "supernode/store/spool.h"
#include "supernode/workers/admission.h"
#include "supernode/workers/held_calls.h"

struct dialects;

struct dialects_options {
	struct spool *spool; /* for objects of replies; borrowed; NULL: those are refused */
	/* All workers are programs of ours: the ids of large objects that they push need no check
	 * (object_set_skip_large_hashes()). */
	bool own_workers;
};

/* Both borrowed. NULL on no memory. */
struct dialects *dialects_new(struct admission *admission, struct held_calls *held_calls,
	const struct dialects_options *options);
/* Requests must have ended. NULL is fine. */
void dialects_free(struct dialects *dialects);

/* Service i, to give to a front-end; borrowed. NULL: there are no more. */
const struct service *dialects_service(const struct dialects *dialects, size_t i);

#endif
