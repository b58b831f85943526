/*
 * held_calls: calls of all dialects that are answered later: questions for work that wait until
 * there is some, and those that attend a message until it is over. Main thread. Knows no transport.
 */
#ifndef FLWR_WORKERS_HELD_CALLS_H
#define FLWR_WORKERS_HELD_CALLS_H

#include "supernode/workers/admission.h"

struct held_calls;

/* admission is borrowed. NULL on no memory. */
struct held_calls *held_calls_new(struct admission *admission);

struct held_calls_ops {
	/* Answer request with work, if there is some: true. Else *details_out says why not. */
	bool (*give)(void *arg, struct request *request, const char **details_out);
	/* Answer that there is none. */
	void (*none)(void *arg, struct request *request, const char *details);
};

/* Have ops answer questions for messages of this form. */
void held_calls_serve(struct held_calls *held, enum message_form form,
	const struct held_calls_ops *ops, void *arg);

/* A question: given work at once (true), or when there is some, or told that there is none. */
bool held_calls_ask(struct held_calls *held, enum message_form form, struct request *request);

/* The outputs of token were taken: those who attend it are told. */
void held_calls_taken(struct held_calls *held, uint64_t token);
/* Was token attended: does its worker come back by itself? */
bool held_calls_attended(const struct held_calls *held, uint64_t token);

/* The node was given an event: is there a message now for a question that waits, is one over that
 * is attended? */
void held_calls_offer(struct held_calls *held);
/* Let nobody wait any more. */
void held_calls_stop(struct held_calls *held);
/* All held calls must have ended. NULL is fine. */
void held_calls_free(struct held_calls *held);

/* The service WORKER_API_ATTENDANCE, to give to a front-end; borrowed. */
const struct service *held_calls_service(const struct held_calls *held);

#endif
