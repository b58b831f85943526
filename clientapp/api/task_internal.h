/*
 * task_internal: the worker's end of dialects 2 - 7 in its three parts: what is common (task.c),
 * the inputs (task_pull.c), the reply (task_push.c). Main thread, but for what their jobs do.
 * Private to this folder.
 */
#ifndef FLWR_API_TASK_INTERNAL_H
#define FLWR_API_TASK_INTERNAL_H

#include "clientapp/api/conversation_ops.h"
#include "clientapp/api/spelling.h"
#include "common/loop/loop.h"
#include "common/message/task_codec.h"
#include "common/objects/object_tree.h"
#include "common/records/objects_codec.h"

#define TASK_IN_FLIGHT 4 /* objects at a time */

struct task;

/* Fetches one object at a time. */
struct task_fetch {
	struct task *task;
	struct job job;      /* hashes it */
	struct timer *timer; /* when it was not available */
	size_t index;        /* in the tree */
	int64_t wait_ms;     /* the last wait for it; 0: none */
	unsigned tries;
	struct slices content;
	int result;
	bool busy;
};

/* An object that is here. */
struct task_object {
	struct slices bytes; /* all of it; or the head, when the body lies in the inputs' file */
	uint64_t offset;     /* of the body there */
	size_t body_bytes;   /* there; 0: it is not */
};

struct task_pull {
	conversation_pulled_fn *done;
	void *arg;
	struct conversation_inputs inputs;
	struct object_tree tree;
	struct task_object *objects; /* of the tree, as far as they are here; the jobs' */
	size_t laid; /* so many of the tree were looked at for the file; the jobs' */
	struct task_fetch fetch[TASK_IN_FLIGHT];
	size_t next;          /* of the tree, to be fetched */
	uint64_t bytes_max;   /* of all objects */
	enum outcome outcome; /* not OK: it has failed, details say why */
	bool broken;          /* no more is fetched: inputs.broken says why */
	struct reason details;
	struct job decode;
};

struct task_push {
	conversation_pushed_fn *done;
	void *arg;
	struct conversation_reply reply;
	struct job encode;
	int result;
	/* The encoded reply. */
	struct object_list list; /* without the Message object */
	struct slices message_object;
	struct object_id message_id;
	struct slices tree;
	struct slices context;
	uint64_t bytes;
	/* The objects of it that the SuperNode wants. */
	struct task_pushed wanted; /* sorted */
	size_t next;               /* of the list; behind it the Message object */
	unsigned in_flight;
	/* The largest that was sent: to give back the memory of a large reply takes a while, in
	 * which the SuperNode can send it on already. */
	struct slices largest;
	enum outcome outcome;
	struct reason details;
};

struct task {
	struct conversation conversation;
	struct loop *loop;
	struct log *log;
	const struct spelling *spelling;
	char *token;
	uint64_t content_max_bytes;
	bool without_content; /* no objects are pulled */
	struct timer *heartbeat;
	bool ending;             /* the last call is on its way: what heartbeats say is old */
	bool is_gone;            /* the SuperNode does not know it any more */
	void (*gone)(void *arg); /* NULL: nobody wants to know */
	void *arg;
	bool closing;
	unsigned jobs; /* that run */
	struct task_pull pull;
	struct task_push push;
};

static inline struct task *task_of(struct conversation *conversation)
{
	return (struct task *)((char *)conversation - offsetof(struct task, conversation));
}

/* Make one of the spelling's calls; how has no path. As api_calls_start(). */
int task_call(struct task *task, enum api_method method, const struct api_call *how,
	struct slices *body, carrier_done_fn *done, void *arg);

/* Start a job whose done() ends with task_job_over(). 0 or -errno. */
int task_job(struct task *task, struct job *job);
/* false: the task is being freed, nothing more may be done for it. */
bool task_job_over(struct task *task);

/* Tell the SuperNode, from the task's first call to its last, that this process lives. */
void task_heartbeat_begin(struct task *task);
void task_heartbeat_end(struct task *task);

/* ---- task_pull.c ---- */
int task_pull(struct conversation *conversation, conversation_pulled_fn *done, void *arg);
void task_pull_done(struct task_pull *pull);

/* ---- task_push.c ---- */
int task_push(struct conversation *conversation, struct conversation_reply *reply,
	conversation_pushed_fn *done, void *arg);
void task_push_done(struct task_push *push);

#endif
