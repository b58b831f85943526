/*
 * mailbox: what waits for the thread that runs a node: log lines, a task, parts of tasks that are
 * over, the end. Putting something in is for any thread, taking it out for the one that runs the
 * node.
 */
#ifndef FLWR_NODE_MAILBOX_H
#define FLWR_NODE_MAILBOX_H

#include "common/base/reason.h"

#include <pthread.h>
#include <stdbool.h>

#define MAILBOX_LINES 256 /* that may wait; more are counted */

struct task;
struct task_part;

struct mail_line {
	struct mail_line *next;
	int level; /* enum flwr_level */
	double time_s;
	char text[];
};

/* The taker owns these contents of the mailbox. */
struct mail {
	struct mail_line *lines; /* in order */
	unsigned dropped;        /* lines after these */
	struct task *task;       /* to be worked on; NULL: none */
	struct task_part *over;  /* to be freed, linked by next */
	bool ended;
	int result; /* of the end: 0, or an enum flwr_result */
	struct reason sentence;
};

struct mailbox {
	int fd; /* an eventfd: readable when there is something */
	pthread_mutex_t lock;
	pthread_cond_t changed;
	/* The lock guards: */
	struct mail mail;
	struct mail_line **last_line;
	unsigned lines;
	unsigned tasks; /* that are not freed */
	bool gone;      /* nobody puts anything in any more, but parts that are over */
};

/* Readable at first. 0 or -errno. */
int mailbox_init(struct mailbox *mailbox);
/* Everything was taken out. */
void mailbox_done(struct mailbox *mailbox);

/* Make the descriptor readable. Async-signal-safe. */
void mailbox_wake(const struct mailbox *mailbox);

/* ---- in ---- */
void mailbox_line(struct mailbox *mailbox, int level, const char *text);
/* A task to be worked on; there must be none in there. */
void mailbox_task(struct mailbox *mailbox, struct task *task);
/* Take it back, if it is still in there; else NULL. The caller's. Any thread. */
struct task *mailbox_take_task(struct mailbox *mailbox);
/* A part of a task that nothing refers to any more. */
void mailbox_over(struct mailbox *mailbox, struct task_part *part);
/* Once. */
void mailbox_end(struct mailbox *mailbox, int result, const char *sentence);
/* The session is gone. Once, the last of its calls. */
void mailbox_gone(struct mailbox *mailbox);
/* A task was made, or freed. */
void mailbox_count_task(struct mailbox *mailbox, int difference);

/* ---- out ---- */
/* All of it; the descriptor is not readable then. */
void mailbox_take(struct mailbox *mailbox, struct mail *out);
/* Only the lines. */
struct mail_line *mailbox_take_lines(struct mailbox *mailbox, unsigned *dropped_out);
/* Block until the session is gone, if wanted, and something can be taken out or no task is left.
 * False: no task is left. */
bool mailbox_wait_over(struct mailbox *mailbox, bool session);

#endif
