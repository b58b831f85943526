/*
 * instruction: the conversation of dialect 1 (service ClientAppIo of Flower 1.15 - 1.18): a worker
 * shows a token, is given one instruction, gives back one reply. Main thread. Knows no transport
 * and no process.
 */
#ifndef FLWR_WORKERS_INSTRUCTION_H
#define FLWR_WORKERS_INSTRUCTION_H

#include "common/base/log.h"
#include "common/service/service.h"
#include "supernode/core/node.h"
#include "supernode/workers/appio.h"
#include "supernode/workers/guests.h"
#include "supernode/workers/launchers.h"
#include "supernode/workers/waiting.h"

/* Whoever has shown no token has so long to send its outputs, when others wait. */
#define INSTRUCTION_STRANGER_MS 120000
/* No longer, whether others wait or not, when so long nothing comes. */
#define INSTRUCTION_STALL_MS 30000
struct instruction;

/* All borrowed. NULL on no memory. */
struct instruction *instruction_new(struct loop *loop, struct log *log, struct node *node,
	struct guests *guests, struct waiting *waiting, const struct appio_ops *ops, void *arg);
/* Are outputs being received from someone who has shown no token on that connection? */
bool instruction_receiving(const struct instruction *instruction);
/* Who may ask for work (borrowed); everybody, unless this is called. */
void instruction_set_launchers(struct instruction *instruction, const struct launchers *launchers);
/* Its requests must have ended. */
void instruction_free(struct instruction *instruction);

/* The service to give to a front-end; borrowed. */
const struct service *instruction_service(const struct instruction *instruction);

#endif
