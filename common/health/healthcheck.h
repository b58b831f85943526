/*
 * healthcheck: asks the health service of a node or launcher once, as a container's health check
 * does. Main thread; runs the loop until the answer is there.
 */
#ifndef FLWR_HEALTH_HEALTHCHECK_H
#define FLWR_HEALTH_HEALTHCHECK_H

#include "common/base/reason.h"
#include "common/rpc/rpc.h"

#include <stdint.h>

enum healthcheck_outcome { HEALTHCHECK_SERVING, HEALTHCHECK_NOT_SERVING, HEALTHCHECK_NO_ANSWER };

/*
 * Ask at address, "host:port", for at most timeout_ms. An enum healthcheck_outcome, or -errno; with
 * a sentence in said in any case.
 */
int healthcheck(struct loop *loop, struct rpc *rpc, const char *address, int64_t timeout_ms,
	struct reason *said);

#endif
