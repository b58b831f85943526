/*
 * session: the owner of a libflwr session: it keeps what the session reports, and takes tasks in
 * the place of the node's thread. One thread. Whatever fails fails the test.
 */
#ifndef FLWR_KIT_SESSION_H
#define FLWR_KIT_SESSION_H

#include "kit/log.h"
#include "kit/test.h"
#include "libflwr/node/session.h"

struct kit_session {
	struct engine engine; /* all zero but for what the test puts there */
	struct settings settings;
	struct kit_log log;
	struct mailbox mailbox;
	struct session *session;
	bool ready, ended, gone; /* what it has told last */
	uint64_t node_id;
	int result;
	struct reason sentence;
};

typedef int kit_session_new_fn(
	const struct session_options *options, struct session **out, struct reason *why);

/* Settings with this address, messages of up to 1 MiB and the node's configuration partition-id=3;
 * no session yet. */
void kit_session_init(struct kit_session *self, const char *address);

/* The outcome of new. */
int kit_session_open(struct kit_session *self, kit_session_new_fn *new, struct reason *why);

/* The task that waits, for session_ops.answered(), or NULL; those that are over are freed. */
struct task *kit_session_take_task(struct kit_session *self);

/* After its session has gone: no task may be left. */
void kit_session_done(struct kit_session *self);

#endif
