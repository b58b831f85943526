/*
 * superlink_internal: what the files of a session with a SuperLink share: session_superlink.c (its
 * life), inputs.c (a message becomes a task), outputs.c (its answer becomes a reply). Engine's
 * thread, but for what the encoding job does.
 */
#ifndef FLWR_NODE_SUPERLINK_INTERNAL_H
#define FLWR_NODE_SUPERLINK_INTERNAL_H

#include "common/base/cleanup.h"
#include "libflwr/node/session.h"
#include "supernode/store/object_store.h"
#include "supernode/uplink.h"

enum superlink_phase {
	SUPERLINK_WORKING,
	SUPERLINK_DRAINING,
	SUPERLINK_LINGERING,
	SUPERLINK_LEAVING,
	SUPERLINK_OVER
};

struct outputs;

struct superlink {
	struct session session;
	struct session_options options;
	struct log *log;
	struct node *node;
	struct fleet *fleet;
	struct uplink uplink;
	struct fleet_ops events; /* the uplink's, with some of the session's own */
	struct timer *tick;      /* the core's */
	struct timer *end;       /* of the phase */
	enum superlink_phase phase;
	struct task *task;       /* that is out; not its owner */
	struct context context;  /* of the last task, without its state */
	enum message_form form;  /* the same */
	struct outputs *outputs; /* of an answer on its way; NULL: there is none */
	unsigned busy;           /* jobs and puts that are out: they end before the session goes */
	uint64_t node_id;        /* 0: not registered */
	bool pumping;
	bool waits; /* DRAINING: without an end, for the program's function */
	bool fleet_ended;
	bool abandoned;
	int result; /* of the end */
	struct reason sentence;
};

static inline struct superlink *superlink_of(struct session *session)
{
	return container_of(session, struct superlink, session);
}

/* Do what the core has decided: after each event that it is given. */
void superlink_pump(struct superlink *superlink);
/* Something that was busy has ended, or the fleet. May free the session. */
void superlink_look_gone(struct superlink *superlink);

/* ---- inputs.c ---- */
/* The task of an action NODE_START_WORKER. 0; negative with the code and the sentence of the error
 * reply; *out may be set all the same. */
int inputs_task(struct superlink *superlink, const struct node_action *action, struct task **out,
	int64_t *code_out, struct reason *why);

/* ---- outputs.c ---- */
void superlink_answered(struct session *session, struct task *task);
/* NULL is fine. */
void outputs_free(struct outputs *outputs);

#endif
