/*
 * instruction: the conversation of dialect 1 (service ClientAppIo of Flower 1.15 - 1.18): a worker
 * shows a token, is given one instruction, gives back one reply. Main thread. Knows no transport
 * and no process.
 */
#ifndef FLWR_APPIO_INSTRUCTION_H
#define FLWR_APPIO_INSTRUCTION_H

#include "common/base/log.h"
#include "common/service/service.h"
#include "supernode/appio/appio.h"
#include "supernode/appio/listener.h"
#include "supernode/node/node.h"

/* Whoever has shown no token has so long to send its outputs, when others wait. */
#define INSTRUCTION_STRANGER_MS 120000
/* No longer, whether others wait or not, when so long nothing comes. */
#define INSTRUCTION_STALL_MS 30000
/*
 * Ours, beside the dialect: a GetToken with this header may wait so many milliseconds (at most
 * INSTRUCTION_WAIT_MAX_MS) for a message to come, before it is refused as ever.
 */
#define INSTRUCTION_WAIT_HEADER "flwr-native-wait-ms"
#define INSTRUCTION_WAIT_MAX_MS 60000
/*
 * Ours, too: Attend (service flwr.native.ClientAppIo) takes a token as PullClientAppInputs does,
 * and is answered when that lives no longer: OK (empty) when its outputs were taken, else
 * FAILED_PRECONDITION (the message was answered otherwise, or is offered again). Whoever has it
 * open holds the token.
 */
#define INSTRUCTION_OWN_SERVICE "flwr.native.ClientAppIo"

struct instruction;

/* All borrowed. NULL on no memory. */
struct instruction *instruction_new(struct loop *loop, struct log *log, struct node *node,
	struct listener *listener, const struct appio_ops *ops, void *arg);
/* The node was given an event: is there a message now for whom waits for one, is one over that is
 * attended? */
void instruction_offer(struct instruction *instruction);
/* Are outputs being received from someone who has shown no token on that connection? */
bool instruction_receiving(const struct instruction *instruction);
/* Was token attended: does its worker come back by itself? */
bool instruction_attended(const struct instruction *instruction, uint64_t token);
/* Let nobody wait any more. */
void instruction_stop(struct instruction *instruction);
/* Its requests must have ended. */
void instruction_free(struct instruction *instruction);

/* The services to give to a front-end; borrowed. */
const struct service *instruction_services(const struct instruction *instruction, size_t *n_out);

#endif
