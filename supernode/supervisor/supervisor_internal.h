/*
 * supervisor_internal: what the sources of this folder share of a running SuperNode. Main thread.
 */
#ifndef FLWR_SUPERVISOR_SUPERVISOR_INTERNAL_H
#define FLWR_SUPERVISOR_SUPERVISOR_INTERNAL_H

#include "common/base/clock.h"
#include "common/base/files.h"
#include "common/launch/agent.h"
#include "common/launch/command.h"
#include "common/rpc/rpc.h"
#include "supernode/admin/health.h"
#include "supernode/core/node.h"
#include "supernode/fleet/fleet.h"
#include "supernode/supervisor/bundle.h"
#include "supernode/supervisor/credentials.h"
#include "supernode/supervisor/private_dir.h"
#include "supernode/supervisor/slots.h"
#include "supernode/supervisor/state_dir.h"
#include "supernode/supervisor/supervisor.h"
#include "supernode/workers/appio.h"

enum phase {
	PHASE_WORKING,
	PHASE_DRAINING,  /* no more messages are taken; those at hand go on */
	PHASE_ANSWERING, /* those at hand were given up; their replies are on their way */
	PHASE_LINGERING, /* all are answered; the last reply can be fetched yet */
	PHASE_LEAVING,   /* unregistering, closing the worker API */
	PHASE_ENDING,    /* apps that have replied are still at their end */
	PHASE_LEFT
};

struct supervisor {
	struct loop *loop;
	struct log *log;
	struct budget budget;
	struct rpc *rpc;
	struct http *http;
	struct spool *spool; /* objects of messages */
	struct credentials credentials;
	struct state_dir state;
	struct health *health; /* NULL: nobody wants to know */
	struct timer *health_timer;
	bool grpc_wanted; /* and no SuperLink that speaks HTTP was seen yet */
	struct node *node;
	struct fleet *fleet;
	struct appio *appio;
	struct agent *agent; /* NULL, as slots, when workers come by themselves */
	struct slots *slots;
	struct process_set *processes; /* ours, where there is no agent; else NULL */
	struct bundles *bundles;
	struct timer *offers;  /* of the next line about a message that waits for a worker */
	int64_t offer_line_ms; /* when the last one was written */
	struct timer *tick;
	struct timer *end;      /* of the phase */
	struct private_dir dir; /* the worker API's socket, tokens */
	struct flwr_home flwr_home;
	char *clientapp_command; /* NULL: our own worker */
	bool token_files;        /* the command wants the token of a message in a file */
	enum log_level log_level;
	bool stderr_in_replies;
	int64_t grace_ms;
	int64_t grace_end_ms; /* while stopping */
	void (*trim)(void);
	struct timer *trim_timer; /* armed after a large message */
	uint64_t passed_bytes;    /* of the spool, when it was armed last */
	enum phase phase;
	int64_t answered_ms; /* while stopping: when the last reply was delivered; 0: none was */
	bool apps_stopped;   /* the last ones, in PHASE_ENDING */
	unsigned leaving;    /* parts that have not said that they are done */
	bool pumping;
	bool hurried; /* asked to stop twice */
	int status;
};

static inline struct node_now supervisor_now(void)
{
	return (struct node_now){clock_now_ms(), clock_wall_s()};
}

/* Do what the node decided, until it has nothing more to say: after each event that it is given. */
void supervisor_pump(struct supervisor *supervisor);

/* The SuperLink is lost for good, or has told the node to leave. */
void supervisor_over(struct supervisor *supervisor, enum fleet_over over, const char *sentence);

/* ---- stopping.c ---- */
/* After each event: does the phase end? */
void stopping_check(struct supervisor *supervisor);
/* arg is the supervisor: the time of the phase is over. */
void stopping_over(void *arg);

/* ---- superlink.c: what comes from the SuperLink, and what the node wants of it ---- */
extern const struct fleet_ops superlink_events; /* arg is the supervisor */
void superlink_fetch_run(struct supervisor *supervisor, const struct node_action *action);
void superlink_fetch_fab(struct supervisor *supervisor, const struct node_action *action);
void superlink_push_reply(struct supervisor *supervisor, const struct node_action *action);

#endif
