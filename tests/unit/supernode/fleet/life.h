/*
 * life: a node's life at a real Fleet API, which a script of the test serves: three registrations,
 * a message in each, sent back as it came.
 */
#ifndef FLWR_TEST_FLEET_LIFE_H
#define FLWR_TEST_FLEET_LIFE_H

#include "kit/child.h"

/*
 * python runs script (its path): it prints "port N", then, when its stdin has ended, what it saw:
 * the replies 1 to 3, and "nodes 0". speaks: what the node calls it.
 */
void life_run(enum kit_python python, const char *script, const char *speaks);

#endif
