/*
 * task: the conversation of dialect 6 (service Runtime of Flower 1.34): a worker shows a token in a
 * header, is given a message as objects, gives back a reply as objects, and the Context. Main
 * thread. Knows no transport and no process; decodes no object.
 */
#ifndef FLWR_WORKERS_TASK_H
#define FLWR_WORKERS_TASK_H

#include "common/base/log.h"
#include "common/service/service.h"
#include "supernode/core/node.h"
#include "supernode/store/spool.h"
#include "supernode/workers/appio.h"
#include "supernode/workers/guests.h"
#include "supernode/workers/launchers.h"
#include "supernode/workers/waiting.h"

/* Objects of replies that are being received, or checked, take so much at a time; further ones
 * wait. How large one is is not known before it is here: it counts as TASK_OBJECT_BYTES. */
#define TASK_INTAKE_BYTES (32 << 20)
#define TASK_OBJECT_BYTES (6 << 20)

struct task;

/* All borrowed. NULL on no memory. spool NULL: replies in the form of objects are refused. */
struct task *task_new(struct loop *loop, struct log *log, struct node *node, struct guests *guests,
	struct waiting *waiting, struct spool *spool, const struct appio_ops *ops, void *arg);
/* All workers are programs of ours: the ids of large objects that they push need no check
 * (object_set_skip_large_hashes()). */
void task_set_own_workers(struct task *task);
/* Who may ask for work (borrowed); everybody, unless this is called. */
void task_set_launchers(struct task *task, const struct launchers *launchers);
/* Its requests must have ended. NULL is fine. */
void task_free(struct task *task);

/* The services to give to a front-end; borrowed. */
const struct service *task_services(const struct task *task, size_t *n_out);

#endif
