/*
 * dialect1: the worker API of Flower 1.15 - 1.18 (service ClientAppIo): a worker shows a token, is
 * given one instruction, gives back one reply. Main thread. Knows no transport and no process.
 */
#ifndef FLWR_WORKERS_DIALECT1_H
#define FLWR_WORKERS_DIALECT1_H

#include "supernode/workers/admission.h"
#include "supernode/workers/held_calls.h"

/* A caller that has shown no token has so long to send its outputs, when others wait. */
#define DIALECT1_STRANGER_MS 120000
/* The outputs are refused, whether others wait or not, when nothing has come for so long. */
#define DIALECT1_STALL_MS  30000
#define DIALECT1_QUEUE_MAX 16 /* outputs that wait since their callers have shown no token */

struct dialect1;

/* Both borrowed. NULL on no memory. */
struct dialect1 *dialect1_new(struct admission *admission, struct held_calls *held_calls);
/* Are outputs being received from someone who has shown no token on that connection? */
bool dialect1_receiving(const struct dialect1 *dialect);
/* Requests of the dialect must have ended. NULL is fine. */
void dialect1_free(struct dialect1 *dialect);

/* The service to give to a front-end; borrowed. */
const struct service *dialect1_service(const struct dialect1 *dialect);

#endif
