/*
 * kept_node: the number that a SuperLink of Flower 1.15 - 1.22 gave to an operator's key, kept in a
 * small file: such a SuperLink gives it only once. Main thread; reading blocks on the file system.
 */
#ifndef FLWR_FLEET_KEPT_NODE_H
#define FLWR_FLEET_KEPT_NODE_H

#include "common/base/log.h"
#include "common/loop/loop.h"
#include "supernode/fleet/auth.h"

#define KEPT_NODE_FILE "node-id" /* below the state directory */

/* The number of this key, 0 when none is kept. dir NULL: nothing is kept. */
uint64_t kept_node_read(const char *dir, const struct auth *auth);
/*
 * Keep it, instead of any other (0: none any more), on the io thread of loop; without one (NULL)
 * inside. log_warn when that fails. True: written(arg) comes, from the loop.
 */
bool kept_node_write(struct loop *loop, const char *dir, const struct auth *auth, uint64_t node_id,
	struct log *log, void (*written)(void *arg), void *arg);

#endif
