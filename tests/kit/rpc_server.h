/*
 * rpc_server: the test server's two halves: main() and standard input (rpc_server.c), the methods
 * (rpc_server_methods.c).
 */
#ifndef FLWR_KIT_RPC_SERVER_H
#define FLWR_KIT_RPC_SERVER_H

#include "common/service/service.h"

enum { RPC_SERVER_SERVICES = 2 };

extern const struct service rpc_server_services[RPC_SERVER_SERVICES];

/* A line at standard output. */
void say(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* End the program unless condition holds. */
void must(bool condition, const char *what);

/* Standard input says that Slow shall read a message, and that Wait shall answer. */
void methods_read(void);
void methods_finish(void);

#endif
