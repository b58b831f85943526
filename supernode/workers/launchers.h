/*
 * launchers: may this caller ask for work? With a secret only when its call is signed. Main thread.
 */
#ifndef FLWR_WORKERS_LAUNCHERS_H
#define FLWR_WORKERS_LAUNCHERS_H

#include "common/message/launcher_auth.h"
#include "common/service/service.h"
#include "supernode/workers/guests.h"

/* Embedded. Both borrowed. */
struct launchers {
	struct launcher_auth *auth; /* NULL: everybody may */
	struct guests *guests;
};

/* In a handle(). false: the request was refused. */
bool launchers_admit(const struct launchers *launchers, struct request *request);

#endif
