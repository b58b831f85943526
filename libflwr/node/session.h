/*
 * session: the talk of a node with one server, on the engine's thread: it gives tasks, one at a
 * time, takes their answers, and ends once. Callbacks come from the loop. There are two, of the
 * legacy stream (session_bidi.c) and of the Fleet API (session_superlink.c).
 */
#ifndef FLWR_NODE_SESSION_H
#define FLWR_NODE_SESSION_H

#include "common/base/log.h"
#include "libflwr/node/engine.h"
#include "libflwr/node/settings.h"
#include "libflwr/node/task.h"

struct session;

struct session_ops {
	/* The answer of a task, which is taken over; also of one that is not wanted any more. */
	void (*answered)(struct session *session, struct task *task);
	/* Take no other message; have the answer of the task that is out sent, and the server told;
	 * then end. Once; after the end it has no effect. */
	void (*stop)(struct session *session);
	/* Free it, soon, without a word to the server: gone() is the last callback. */
	void (*abandon)(struct session *session);
};

struct session {
	const struct session_ops *ops;
};

/* Everything is borrowed; the settings' key may be taken (it is NULL then). */
struct session_options {
	struct settings *settings;
	struct engine *engine;
	struct log *log;
	struct mailbox *mailbox; /* for tasks */
	/* Has the server been found and does it take this node? */
	void (*ready)(void *arg, bool ready, uint64_t node_id);
	/* Over: 0, or an enum flwr_result; a sentence. Once; abandon() follows some time. */
	void (*ended)(void *arg, int result, const char *sentence);
	void (*gone)(void *arg);
	void *arg;
};

/* 0, or -errno with a sentence. */
int session_bidi_new(
	const struct session_options *options, struct session **out, struct reason *why);
int session_superlink_new(
	const struct session_options *options, struct session **out, struct reason *why);

#endif
