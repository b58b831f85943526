/*
 * waiting: calls that are answered later, of all conversations: questions for work that wait until
 * there is some, and those that attend a message until it is over. Main thread. Knows no transport.
 */
#ifndef FLWR_WORKERS_WAITING_H
#define FLWR_WORKERS_WAITING_H

#include "common/base/log.h"
#include "common/service/service.h"
#include "supernode/core/node.h"
#include "supernode/workers/guests.h"

struct waiting;

/* All borrowed. NULL on no memory. */
struct waiting *waiting_new(
	struct loop *loop, struct log *log, struct node *node, struct guests *guests);

struct waiting_ops {
	/* Answer request with work, if there is some: true. Else *details_out says why not. */
	bool (*give)(void *arg, struct request *request, const char **details_out);
	/* Answer that there is none. */
	void (*none)(void *arg, struct request *request, const char *details);
};

/* Who answers questions for messages of this form. */
void waiting_serve(
	struct waiting *waiting, enum message_form form, const struct waiting_ops *ops, void *arg);

/* A question: given work at once (true), or when there is some, or told that there is none. */
bool waiting_ask(struct waiting *waiting, enum message_form form, struct request *request);

/* The outputs of token were taken: that is how it ends. */
void waiting_taken(struct waiting *waiting, uint64_t token);
/* Was token attended: does its worker come back by itself? */
bool waiting_attended(const struct waiting *waiting, uint64_t token);

/* The node was given an event: is there a message now for whom waits for one, is one over that is
 * attended? */
void waiting_offer(struct waiting *waiting);
/* Let nobody wait any more. */
void waiting_stop(struct waiting *waiting);
/* Its requests must have ended. NULL is fine. */
void waiting_free(struct waiting *waiting);

/* The service WORKER_API_ATTENDANCE, to give to a front-end; borrowed. */
const struct service *waiting_service(const struct waiting *waiting);

#endif
