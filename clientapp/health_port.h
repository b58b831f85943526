/*
 * health_port: gRPC's health service of the launcher, in plain text at an address of its own, as
 * Flower's launcher has it: Check says SERVING as long as the program runs. Main thread.
 */
#ifndef FLWR_CLIENTAPP_HEALTH_PORT_H
#define FLWR_CLIENTAPP_HEALTH_PORT_H

#include "common/base/log.h"
#include "common/base/reason.h"
#include "common/rpc/rpc.h"

struct health_port;

/* Listen at address ("host:port"; port 0: any), which is borrowed until this returns. 0; -errno
 * with a sentence. */
int health_port_new(struct rpc *rpc, struct log *log, const char *address, struct health_port **out,
	struct reason *why);
/* Runs the loop until the last call has ended. NULL is fine. */
void health_port_free(struct health_port *port);

#endif
