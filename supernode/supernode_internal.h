/*
 * supernode_internal: what supernode.c, pump.c, uplink.c and stopping.c share of a running
 * SuperNode. Main thread.
 */
#ifndef FLWR_SUPERNODE_INTERNAL_H
#define FLWR_SUPERNODE_INTERNAL_H

#include "common/base/clock.h"
#include "common/base/files.h"
#include "common/health/health.h"
#include "common/launch/agent.h"
#include "common/launch/command.h"
#include "common/launch/dependencies.h"
#include "common/launch/sandbox.h"
#include "common/rpc/rpc.h"
#include "supernode/core/node.h"
#include "supernode/credentials.h"
#include "supernode/fleet/fleet.h"
#include "supernode/run/fab_check.h"
#include "supernode/run/launcher_process.h"
#include "supernode/run/private_dir.h"
#include "supernode/run/runner.h"
#include "supernode/state_dir.h"
#include "supernode/supernode.h"
#include "supernode/uplink.h"
#include "supernode/workers/workers.h"

/* WORKING, DRAINING, ANSWERING if the grace was too short, LINGERING if a reply may be fetched yet,
 * LEAVING, ENDING if apps are left, LEFT. A lost SuperLink leads to ANSWERING at once. */
enum phase {
	PHASE_WORKING,
	PHASE_DRAINING,  /* no more messages are taken; those at hand go on */
	PHASE_ANSWERING, /* those at hand were given up; their replies are on their way */
	PHASE_LINGERING, /* all are answered; the last reply can be fetched yet */
	PHASE_LEAVING,   /* unregistering, closing the worker API */
	PHASE_ENDING,    /* workers and apps that have replied are still at their end */
	PHASE_LEFT
};

struct supernode {
	struct loop *loop;
	struct log *log;
	const struct supernode_options *options; /* borrowed */
	struct budget budget;
	struct rpc *rpc;
	struct http *http;
	struct spool *spool; /* objects of messages */
	struct credentials credentials;
	struct state_dir state;
	struct health *health; /* NULL: nobody wants to know */
	struct timer *health_timer;
	struct node *node;
	struct fleet *fleet;
	struct uplink uplink; /* between these two */
	struct workers *workers;
	struct dependencies dependencies;
	struct sandbox *sandbox; /* NULL: there is none for apps */
	struct agent *agent;     /* NULL when nothing is started, the next when workers come */
	struct runner *runner;
	struct launcher_process *launcher; /* in the runner's place; NULL: none is ours */
	struct process_set *processes;     /* ours, where there is no agent; else NULL */
	struct fab_checks *fab_checks;
	struct timer *offers;  /* of the next line about a message that waits for a worker */
	int64_t offer_line_ms; /* when the last one was written */
	struct timer *tick;
	struct timer *end;      /* of the phase */
	struct private_dir dir; /* the worker API's socket, tokens */
	struct flwr_home flwr_home;
	bool token_files;         /* the command wants the token of a message in a file */
	int64_t grace_end_ms;     /* while stopping */
	struct timer *trim_timer; /* armed after a large message */
	uint64_t passed_bytes;    /* of the spool, when it was armed last */
	enum phase phase;
	bool apps_stopped; /* the last ones, in PHASE_ENDING */
	unsigned leaving;  /* parts that have not said that they are done */
	bool pumping;
	bool told;      /* to end, by the SuperLink; not yet by a signal */
	bool hurried;   /* asked to stop twice */
	bool cut_short; /* hurried, once the last replies are out */
	int status;
};

static inline struct node_now supernode_now(void)
{
	return uplink_now();
}

/* ---- pump.c ---- */
/* Do what the node decided, until it has nothing more to say: after each event that it is given. */
void supernode_pump(struct supernode *supernode);
extern const struct workers_ops workers_events; /* arg is the supernode */
extern const struct runner_ops runner_events;   /* arg is the supernode */
extern const struct uplink_ops pump_uplink;     /* arg is the supernode */
/* Callbacks of the timers; arg is the supernode. */
void pump_tick(void *arg);
void pump_say_offer(void *arg);
void pump_health(void *arg);
/* The processes of the launcher that this node runs are gone. */
void pump_launcher_gone(void *arg);
void pump_trim(void *arg);

/* ---- stopping.c ---- */
/* The SuperLink is lost for good, or has told the node to leave. */
void supernode_over(struct supernode *supernode, enum fleet_over over, const char *sentence);
/* After each event: does the phase end? */
void stopping_check(struct supernode *supernode);
/* arg is the supernode: the time of the phase is over. */
void stopping_over(void *arg);

/* ---- fab_fetch.c ---- */
/* Get and check the FAB of an action of the core. */
void fab_fetch(struct supernode *supernode, const struct node_action *action);

#endif
