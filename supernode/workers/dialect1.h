/*
 * dialect1: the worker API of Flower 1.15 - 1.18 (service ClientAppIo): a worker shows a token, is
 * given one instruction, gives back one reply. Main thread. Knows no transport and no process.
 */
#ifndef FLWR_WORKERS_DIALECT1_H
#define FLWR_WORKERS_DIALECT1_H

#include "supernode/workers/admission.h"
#include "supernode/workers/held_calls.h"

struct dialect1;

/* Both borrowed. NULL on no memory. */
struct dialect1 *dialect1_new(struct admission *admission, struct held_calls *held_calls);
/* Requests of the dialect must have ended. NULL is fine. */
void dialect1_free(struct dialect1 *dialect);

/* The service to give to a front-end; borrowed. */
const struct service *dialect1_service(const struct dialect1 *dialect);

#endif
