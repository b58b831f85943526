/*
 * transports: the table of all transports. Main thread.
 */
#ifndef FLWR_LINK_TRANSPORTS_H
#define FLWR_LINK_TRANSPORTS_H

#include "supernode/link/transport.h"

extern const struct transport_kind transport_http;    /* 1.40 and later */
extern const struct transport_kind transport_rest;    /* to 1.32 */
extern const struct transport_kind transport_grpc;    /* to 1.39 */
extern const struct transport_kind transport_adapter; /* to 1.39 */

/* Those of one line in the order in which they are tried; NULL at the end. */
extern const struct transport_kind *const transports[];

#endif
