/*
 * awaited: calls about objects, of workers of Flower 1.24 - 1.28, which show no token in them. When
 * the connection of such a worker has ended between two calls, the next one comes on a connection
 * that has shown none yet; the worker's heartbeats, which have it, follow on the same. So these
 * calls wait. Main thread. Knows no method.
 */
#ifndef FLWR_WORKERS_AWAITED_H
#define FLWR_WORKERS_AWAITED_H

#include "common/service/service.h"

#include <stdbool.h>

/* Such a worker sends a heartbeat every 17.5 to 22.5 s. */
#define AWAITED_MS  30000
#define AWAITED_MAX 16 /* calls; further ones are refused as if nobody were awaited */

struct admission;
struct awaited;

/* admission is borrowed. NULL: no memory. */
struct awaited *awaited_new(struct admission *admission);
/* Its requests must have ended. NULL is fine. */
void awaited_free(struct awaited *awaited);

/*
 * Keep request, whose body is not here, if it may be of a worker that is away: until its connection
 * has shown a token, or nobody is away any more, but not for long. Then admission_admit() gets it.
 * false: nobody is awaited.
 */
bool awaited_keep(struct awaited *awaited, struct request *request);

/* A connection has shown a token, or one has ended: those that wait are looked at, from the loop.
 */
void awaited_look(struct awaited *awaited);
/* Nobody is awaited any more. */
void awaited_stop(struct awaited *awaited);

#endif
