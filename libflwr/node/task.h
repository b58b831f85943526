/*
 * task: a message on its way from the session to the thread that runs the node, and its answer on
 * the way back. It belongs to one of the two at a time. The arrays of its answer may be referred to
 * by anyone, those of the state for much longer than those of the reply; after task_unref() each of
 * the two parts is put into the mailbox when its references are gone, because what the program gave
 * by reference is released on its own thread. The task goes with the last part.
 */
#ifndef FLWR_NODE_TASK_H
#define FLWR_NODE_TASK_H

#include "common/loop/loop.h"
#include "common/message/envelope.h"
#include "common/records/records.h"
#include "libflwr/node/mailbox.h"

#include <stdatomic.h>

struct flwr_dict;
struct session;

/* The arrays of a reply, or of a state, refer to this memory. */
struct task_part {
	struct slice_owner pin;
	struct task_part *next; /* the mailbox's */
	struct task *task;
	struct flwr_dict *dict;
};

struct task {
	struct task_part reply_part, state_part;
	unsigned parts; /* that are not freed; of the thread that runs the node */
	struct mailbox *mailbox;
	struct loop_work work; /* back to the session */
	struct session *session;
	/* The session's. */
	uint64_t number;
	uint64_t token;
	int kind;
	atomic_bool unwanted; /* nobody waits for the answer any more */
	/* The question. */
	struct metadata metadata;
	uint64_t run_id, node_id;
	struct value_map node_config, run_config;
	struct record_dict content;
	struct record_dict state;
	/* The answer. result 0: reply, and the new state in place of the old; else an enum
	 * flwr_result and a sentence. */
	int result;
	char *sentence;
	bool skipped; /* it was not wanted any more when its turn came: nothing was called */
	struct record_dict reply;
};

/* One reference is the caller's. NULL on no memory. */
struct task *task_new(struct mailbox *mailbox, struct session *session);
/* Drop the caller's reference. Any thread. NULL is fine. */
void task_unref(struct task *task);
/* Have all arrays of dict, which refer to what the part's dict holds, keep the part. */
void task_pin(struct task_part *part, struct record_dict *dict);
/* Free one that came out of the mailbox as over, on the thread that runs the node; with the last
 * one the task. */
void task_part_free(struct task_part *part);

#endif
