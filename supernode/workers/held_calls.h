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

/* A kind of question for work, static. */
struct held_question {
	enum message_form form; /* of the messages that it is for */
	/* Answer request with work, if there is some: true. Else *details_out says why not. */
	bool (*give)(void *arg, struct request *request, const char **details_out);
	/* Answer that there is none. */
	void (*none)(void *arg, struct request *request, const char *details);
};

/* A question: given work at once (true), or when there is some, or told that there is none. arg is
 * for the functions of question. */
bool held_calls_ask(struct held_calls *held, const struct held_question *question, void *arg,
	struct request *request);

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
