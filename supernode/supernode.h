/*
 * supernode: a running SuperNode: node, SuperLink, worker API and agent wired together: what the
 * node decides is done here. Main thread.
 */
#ifndef FLWR_SUPERNODE_H
#define FLWR_SUPERNODE_H

#include "common/base/log.h"
#include "common/base/reason.h"
#include "common/base/value.h"
#include "common/launch/app_bounds.h"
#include "common/loop/loop.h"

#include <stdbool.h>
#include <stdint.h>

/* Everything is borrowed during supernode_new(), unless it says otherwise. */
struct supernode_options {
	const char *superlink;             /* NULL: 127.0.0.1:8000 is tried, then 127.0.0.1:9092 */
	bool insecure;                     /* no TLS towards the SuperLink */
	const char *root_certificates;     /* PEM file; NULL: the system's */
	const char *auth_private_key;      /* the operator's key, a file; NULL: one of our own */
	const char *auth_public_key;       /* says nothing that the private one does not */
	const char *trusted_entities;      /* YAML file; NULL: apps need no signature */
	const char *health_server_address; /* NULL: no health service */
	const char *state_dir; /* what outlives the program is below it; NULL: the usual places */
	bool no_state;         /* nothing outlives the program */
	bool grpc_wanted;      /* worth a line when the SuperLink speaks HTTP */
	double clock_offset_s; /* for tests: added to the time that is signed */
	const struct value_map *node_config;
	const char *worker_api_address;  /* NULL: private unix socket */
	const char *socket_group;        /* of a unix socket there; NULL: the process's own */
	const char *launcher_secret;     /* a file; NULL: everybody may ask for messages */
	const char *flwr_dir;            /* NULL: the usual places */
	const char *python;              /* NULL: found by the agent */
	const struct app_bounds *bounds; /* for as long as the supernode is there */
	const char
		*clientapp_command; /* template of another worker (launch/command.h); NULL: ours */
	uint64_t grpc_max_bytes;
	uint64_t memory_budget_bytes; /* 0: half of what applies */
	uint64_t spool_max_bytes;     /* spool_set_file_max() */
	int64_t max_retries;          /* -1: no end */
	int64_t max_wait_ms;          /* -1: no end */
	int64_t poll_min_ms, poll_max_ms;
	int64_t grace_ms;
	int64_t app_exit_grace_ms; /* as in agent_options */
	bool workers_come;    /* process isolation: nothing is started, workers ask for messages */
	int64_t reconnect_ms; /* with workers_come: a worker may be so long without a connection */
	int64_t offer_ms; /* with workers_come: a message waits so long for a worker; 0: its ttl */
	int64_t worker_timeout_ms; /* 0: none */
	bool stderr_in_replies;
	bool passes_output; /* what apps print goes to our stdout and stderr, not into the log */
	enum log_level log_level;
	void (*trim)(void); /* gives free memory back to the system; NULL: nobody does */
};

struct supernode;

/* Listens at the worker API's address. 0; -errno with a sentence: nothing was started. */
int supernode_new(struct loop *loop, struct log *log, const struct supernode_options *options,
	struct supernode **out, struct reason *why);

/* Connect to the SuperLink and work until it is over; then the loop is stopped. */
void supernode_start(struct supernode *supernode);

/*
 * The first time: take no more messages, give running ones their grace, then end them; reply,
 * unregister, stop the loop. The second time: now.
 */
void supernode_stop(struct supernode *supernode);

/* 0: stopped, or told to by the SuperLink; 1: gave up. */
int supernode_status(const struct supernode *supernode);

/* Was it asked to stop a second time? Then supernode_abandon() is all there is time for. */
bool supernode_hurried(const struct supernode *supernode);

/* Kill every process, remove what lies in the file system. The program must end right after, by
 * _exit(). */
void supernode_abandon(struct supernode *supernode);

/* After the loop has stopped by itself, or without a start. */
void supernode_free(struct supernode *supernode);

#endif
