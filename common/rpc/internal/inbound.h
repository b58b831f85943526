/*
 * inbound: the inside of a server, and the calls it is serving. Main thread. Private to common/rpc.
 */
#ifndef FLWR_RPC_INBOUND_H
#define FLWR_RPC_INBOUND_H

#include "common/rpc/internal/grpc_metadata.h"
#include "common/rpc/internal/peers.h"
#include "common/rpc/internal/tag.h"
#include "common/rpc/server.h"

#include <sys/queue.h>

struct inbound;

struct rpc_server {
	struct rpc *rpc;
	struct rpc_server_options options;
	int *ports; /* the numbers of those in options */
	grpc_server *server;
	grpc_server_credentials *plain;
	struct peers peers;
	LIST_HEAD(, inbound) calls; /* all that have arrived and are not yet freed */
	size_t live;                /* so many */
	/* Calls that the services have: at most calls_max. A search for a call goes through these,
	 * not through all that wait for the end of a refusal. */
	LIST_HEAD(, inbound) served;
	size_t serving;      /* so many */
	size_t posted;       /* waiting for a call to arrive */
	struct timer *timer; /* for what could not be posted; at shutdown for the grace */
	int64_t grace_end_ms;
	bool stopping;
	bool cut;  /* calls at hand were cancelled */
	bool down; /* gRPC has let go of everything */
	struct tag ended;
	struct loop_work free_work;
	void (*done)(void *arg);
	void *done_arg;
	bool *waited; /* set at the end, for rpc_server_wait(); NULL: nobody waits */
};

/* A call. gRPC (tags_out) and the services (serving) must have let go before it is freed. */
struct inbound {
	struct request request;
	struct rpc_server *server;
	LIST_ENTRY(inbound) link, served; /* served: while serving */
	grpc_call *call;
	grpc_call_details about;
	grpc_metadata_array metadata;
	struct rpc_headers headers; /* metadata, readable */
	char *path;
	char *peer;             /* gRPC's text for it */
	grpc_byte_buffer *body; /* or a message of several, received */
	struct metadata_out initial, trailing;
	enum rpc_compression compression;
	bool plain;                /* the next message is not compressed */
	grpc_byte_buffer *message; /* of a stream, on its way */
	grpc_byte_buffer *reply;
	bool status_chosen; /* the services have set status and details */
	grpc_slice details; /* with status: what the peer is told at the end */
	grpc_status_code status;
	struct timer *body_timer; /* NULL when the method has no such limit */
	int64_t body_end_ms;
	uint64_t body_from; /* bytes that the connection had received when the body was admitted */
	struct peer stand_in;
	struct tag arrived, closed, received, headed, sent, replied;
	unsigned tags_out;
	int cancelled;  /* gRPC's word, with closed */
	bool receiving; /* received is out */
	bool begun;     /* the peer has the head of the answer, or will when headed is done */
	bool heading;   /* headed is out */
	bool sending;   /* sent is out */
	bool answered;  /* the peer has been told, or will be when sent is done */
	bool gone;      /* no answer reaches the peer */
	bool withdrawn; /* the services have been told */
	bool serving;   /* the services have the request */
};

/* ---- arrival.c ---- */

/* Wait for one more call. 0 or -ENOMEM. */
int inbound_post(struct rpc_server *server);

/* ---- inbound.c ---- */

extern const struct request_ops inbound_ops;

/* Set the functions of its tags. */
void inbound_init(struct inbound *call);
/* Free a call that is in no list. */
void inbound_free(struct inbound *call);

void inbound_batch(struct inbound *call, struct tag *tag, const grpc_op *ops, size_t n);

/* Answer in the services' place. One of call's tags must be out. */
void inbound_refuse(struct inbound *call, enum outcome outcome, const char *details);

/* Requests of peer get a copy of it and are cancelled; no code of a service runs inside. */
void inbound_orphan(struct rpc_server *server, const struct peer *peer);

/* ---- answer.c ---- */

/* Tell the peer, if it was not told and is there. */
void inbound_answer(struct inbound *call, enum outcome outcome, const char *details);
/* Answer OK, or what the services have set, with a message. */
void inbound_reply(struct inbound *call, const struct slices *body);
/* Choose the status that the peer is told in the place of the services' answer. */
void inbound_choose_status(struct inbound *call, grpc_status_code status, const char *details);
/* Send the answer: nothing before it is on its way any more. */
void inbound_answer_now(struct inbound *call);
/* The beginning of an answer, as an operation; marks it as begun. */
grpc_op inbound_head(struct inbound *call);
/* One message of it; buffer stays the call's. */
grpc_op inbound_message(struct inbound *call, grpc_byte_buffer *buffer);

/* ---- body_watch.c: a small body that becomes too large, or is not there in time ---- */

/* 0 or -ENOMEM. */
int body_watch_new(struct inbound *call);
void body_watch_start(struct inbound *call);
/* A message was received. */
void body_watch_stop(struct inbound *call);

/* ---- server.c ---- */

/* The number of waiting or living calls has changed. */
void server_changed(struct rpc_server *server);

#endif
