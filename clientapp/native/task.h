/*
 * task: a message as the worker has written it, in the app form. Main thread. Knows no library for
 * apps: values are those of common/records.
 */
#ifndef FLWR_NATIVE_TASK_H
#define FLWR_NATIVE_TASK_H

#include "clientapp/form/form_layout.h"
#include "common/base/reason.h"

/* Texts are owned. */
struct task {
	struct slice file; /* mapped, read-only: the arrays of the records lie in it */
	uint64_t run_id;
	uint64_t src_node_id;
	char *message_id;
	char *message_type;
	char *group_id;
	double ttl;        /* seconds */
	double created_at; /* seconds since 1970 */
	struct record_dict content;
	uint64_t node_id;
	struct value_map node_config;
	struct value_map run_config;
	struct record_dict state;
};

/* Read the file of a task (fd is borrowed). 0: task_done() is due; -EBADMSG, -ENOMEM or another
 * -errno with a sentence. */
int task_read(int fd, struct task *out, struct reason *why);
/* Mappings that somebody still refers to outlive it. */
void task_done(struct task *task);

#endif
