/*
 * handlers: what is done for each thing that a worker or launcher asks, for the tables of
 * dialects.c. All take the struct dialects as their first argument. Private to this folder.
 */
#ifndef FLWR_WORKERS_HANDLERS_H
#define FLWR_WORKERS_HANDLERS_H

#include "supernode/workers/dialects.h"

enum {
	DIALECTS_RUNTIME,       /* dialects 6 and 7 */
	DIALECTS_CLIENT_APP_IO, /* 1 - 5 */
	DIALECTS_FAILURE,       /* ours */
	DIALECTS_SERVICES
};

struct dialects {
	struct admission *admission;
	struct held_calls *held_calls;
	struct dialects_options options;
	struct worker_service services[DIALECTS_SERVICES];
	bool told[MESSAGE_OBJECTS + 1]; /* that a worker of the other kind is needed */
};

/* The moment of an event, for the node. */
struct node_now handlers_now(void);
/* The node was given an event. */
void handlers_changed(const struct dialects *dialects);
/* Answer with body (taken over) if r is 0. */
void handlers_answer(
	struct dialects *dialects, struct request *request, int r, struct slices *body);
/* Answer OK with an empty body. */
void handlers_answer_nothing(struct request *request);
/* Does a caller that asks for messages of this form ask in vain, since others wait? Then it was
 * told, and the log, once. Not of one that waits: such a launcher of ours asks for both. */
bool handlers_wrong_kind(
	struct dialects *dialects, struct request *request, enum message_form form);
/* Is run_id, which request names, the run of its message? Else it was refused. */
bool handlers_own_run(struct dialects *dialects, struct request *request,
	const struct message *message, uint64_t run_id);

/* ---- instructions.c: messages whose content is inline (dialect 1) ---- */

void instructions_get_token(void *arg, struct request *request, struct message *message);
void instructions_pull(void *arg, struct request *request, struct message *message);
extern const struct content_kind instructions_outputs;

/* ---- task_offers.c: what launchers ask for messages that are objects ---- */

/* Messages by the number of a task, or by runs. */
void tasks_pending(void *arg, struct request *request, struct message *message);
void tasks_claim(void *arg, struct request *request, struct message *message);
void tasks_list_runs(void *arg, struct request *request, struct message *message);
void tasks_request_token(void *arg, struct request *request, struct message *message);
/* A task and its token in one. */
void tasks_acquire(void *arg, struct request *request, struct message *message);
void tasks_get_run(void *arg, struct request *request, struct message *message);

/* ---- tasks.c: what workers ask ---- */

void tasks_app_heartbeat(void *arg, struct request *request, struct message *message);
void tasks_heartbeat(void *arg, struct request *request, struct message *message);
/* Heartbeats are expected from the pull on; not so of a release whose workers may send none. */
void tasks_pull_input(void *arg, struct request *request, struct message *message);
void tasks_pull_input_only(void *arg, struct request *request, struct message *message);
void tasks_pull_messages(void *arg, struct request *request, struct message *message);
void tasks_pull_object(void *arg, struct request *request, struct message *message);
void tasks_confirm(void *arg, struct request *request, struct message *message);
void tasks_logs(void *arg, struct request *request, struct message *message);

/* ---- task_reply.c: what a worker gives back ---- */

extern const struct content_kind tasks_messages, tasks_object, tasks_output;
extern const struct content_kind tasks_app_output; /* dialects 2 - 4: a Context alone */
void tasks_fail(void *arg, struct request *request, struct message *message);

#endif
