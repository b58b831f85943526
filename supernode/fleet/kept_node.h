/*
 * kept_node: the number that a SuperLink of Flower 1.15 - 1.22 gave to an operator's key, kept in a
 * small file: such a SuperLink gives it only once. Main thread; reading blocks on the file system.
 */
#ifndef FLWR_FLEET_KEPT_NODE_H
#define FLWR_FLEET_KEPT_NODE_H

#include "common/base/log.h"
#include "common/loop/loop.h"
#include "supernode/link/auth.h"

#define KEPT_NODE_FILE "node-id" /* below the state directory */

struct kept_node {
	struct loop *loop; /* whose io thread writes; NULL: writing is done inside */
	char *dir;         /* NULL: nothing is kept in a file */
	struct log *log;
	void (*written)(void *arg); /* from the loop, after each kept_node_set() that wrote later */
	void *arg;
	uint64_t id; /* 0: none, or not read yet */
	bool dead;   /* the SuperLink does not know it any more */
	unsigned writing;
};

/* The number of this key; 0: none is kept, or it is dead. Reads the file if need be. */
uint64_t kept_node_get(struct kept_node *kept, const struct auth *auth);
/* Keep it, instead of any other (0: none any more). log_warn when that fails. */
void kept_node_set(struct kept_node *kept, const struct auth *auth, uint64_t id);

#endif
