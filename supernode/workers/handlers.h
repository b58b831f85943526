/*
 * handlers: what is done for each thing that a worker or launcher asks, for the tables of
 * dialects.c. All take the struct dialects as their first argument. Private to this folder.
 */
#ifndef FLWR_WORKERS_HANDLERS_H
#define FLWR_WORKERS_HANDLERS_H

#include "supernode/workers/dialects.h"

enum {
	DIALECTS_CLIENT_APP_IO, /* dialects 1 - 5 */
	DIALECTS_RUNTIME,       /* 6 and 7 */
	DIALECTS_FAILURE,       /* ours */
	DIALECTS_SERVICES
};

struct dialects {
	struct admission *admission;
	struct held_calls *held_calls;
	struct dialects_options options;
	struct worker_service services[DIALECTS_SERVICES];
};

/* The moment of an event, for the node. */
struct node_now handlers_now(void);
/* The node was given an event. */
void handlers_changed(const struct dialects *dialects);
/* Answer with body (taken over) if r is 0. */
void handlers_answer(
	struct dialects *dialects, struct request *request, int r, struct slices *body);
/* Is run_id, which request names, the run of its message? Else it was refused. */
bool handlers_own_run(struct dialects *dialects, struct request *request,
	const struct message *message, uint64_t run_id);

/* ---- instructions.c: messages whose content is inline (dialect 1) ---- */

void instructions_get_token(void *arg, struct request *request, struct message *message);
void instructions_pull(void *arg, struct request *request, struct message *message);
extern const struct content_kind instructions_outputs;

/* ---- tasks.c: messages that are objects, and what is asked about them ---- */

void tasks_pending(void *arg, struct request *request, struct message *message);
void tasks_claim(void *arg, struct request *request, struct message *message);
void tasks_get_run(void *arg, struct request *request, struct message *message);
void tasks_heartbeat(void *arg, struct request *request, struct message *message);
void tasks_pull_input(void *arg, struct request *request, struct message *message);
void tasks_pull_messages(void *arg, struct request *request, struct message *message);
void tasks_pull_object(void *arg, struct request *request, struct message *message);
void tasks_confirm(void *arg, struct request *request, struct message *message);
void tasks_logs(void *arg, struct request *request, struct message *message);

/* ---- task_acquire.c ---- */

void tasks_acquire(void *arg, struct request *request, struct message *message);

/* ---- task_reply.c: what a worker gives back ---- */

extern const struct content_kind tasks_messages, tasks_object, tasks_output;
void tasks_fail(void *arg, struct request *request, struct message *message);

#endif
