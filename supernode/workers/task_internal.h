/*
 * task_internal: what the two halves of the conversation share. Private to task*.c.
 */
#ifndef FLWR_WORKERS_TASK_INTERNAL_H
#define FLWR_WORKERS_TASK_INTERNAL_H

#include "supernode/workers/intake.h"
#include "supernode/workers/task.h"

struct task {
	struct loop *loop;
	struct log *log;
	struct node *node;
	struct guests *guests;
	struct waiting *waiting;
	struct spool *spool;
	const struct launchers *launchers;
	bool own_workers;
	const struct appio_ops *ops;
	void *arg;
	struct intake intake;
	struct service services[2]; /* Flower's and ours */
};

/* For admit(): the token in the header lives; else the request was refused. */
bool task_admits(struct task *task, struct request *request);
/* For handle(): the same, and its caller is still there and holds it from now on. */
bool task_token(struct task *task, struct request *request, uint64_t *token_out);
/* Answer with body (taken over) if r is 0. */
void task_answer(struct task *task, struct request *request, int r, struct slices *body);

/* ---- task_reply.c: what a worker gives back ---- */

/* Only with a live token, and when there is room. */
void task_admit_content(void *server, struct request *request);
void task_push_messages(void *server, struct request *request);
void task_push_object(void *server, struct request *request);
void task_push_output(void *server, struct request *request);
void task_fail(void *server, struct request *request);

#endif
