/*
 * given_context: the Context that a worker gives back is kept, and given to all later messages of
 * its run: one that cannot be read would spoil them all. So it is checked before the node gets it.
 * Any thread.
 */
#ifndef FLWR_WORKERS_GIVEN_CONTEXT_H
#define FLWR_WORKERS_GIVEN_CONTEXT_H

#include "supernode/core/node.h"

/* Can it be read, its state in the form of its message? Nothing is built, array bytes are not
 * looked at. 0, -EBADMSG, -ENOMEM. */
int given_context_check(struct given_context *context, enum message_form form);

#endif
