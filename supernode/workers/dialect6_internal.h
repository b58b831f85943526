/*
 * dialect6_internal: what the two halves of the dialect share. Private to dialect6*.c.
 */
#ifndef FLWR_WORKERS_DIALECT6_INTERNAL_H
#define FLWR_WORKERS_DIALECT6_INTERNAL_H

#include "supernode/workers/dialect6.h"

struct dialect6 {
	struct admission *admission;
	struct held_calls *held_calls;
	struct dialect6_options options;
	struct worker_service service;
	struct worker_service failure_service;
};

/* Answer with body (taken over) if r is 0. */
void dialect6_answer(struct dialect6 *dialect, struct request *request, int r, struct slices *body);
void dialect6_changed(const struct dialect6 *dialect);
/* Is run_id, which request names, the run of its message? Else it was refused. */
bool dialect6_own_run(struct dialect6 *dialect, struct request *request,
	const struct message *message, uint64_t run_id);

/* ---- dialect6_reply.c: what a worker gives back ---- */

extern const struct content_kind dialect6_messages, dialect6_object, dialect6_output;
void dialect6_fail(void *arg, struct request *request, struct message *message);

#endif
