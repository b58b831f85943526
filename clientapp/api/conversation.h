/*
 * conversation: the worker's end of the worker API about one message, in whichever dialect that
 * travels: gives its inputs, takes its reply. Main thread; callbacks come from the loop. Knows
 * nothing about apps.
 */
#ifndef FLWR_API_CONVERSATION_H
#define FLWR_API_CONVERSATION_H

#include "common/base/log.h"
#include "common/base/memory_file.h"
#include "common/base/outcome.h"
#include "common/message/envelope.h"
#include "common/records/records.h"
#include "common/rpc/rpc.h"

struct conversation;
struct http;
struct spelling;

struct conversation_options {
	const char *address;       /* of the worker API, as gRPC takes it */
	const struct rpc_tls *tls; /* copied; NULL: plain text */
	uint64_t token;
	const char *task_token; /* of a message that is objects; NULL: token is all, it is inline
				   (dialect 1) */
	const struct spelling *spelling; /* with a task_token; NULL: that of dialect 6 */
	struct http *http;               /* of a spelling that HTTP carries */
	int64_t retry_ms; /* how long a SuperNode that cannot be reached is tried in each call;
			     CLOCK_NEVER: for ever */
	uint64_t content_max_bytes; /* that the content of inputs may have when it is written out
				       (record_dict_bytes()); 0: no limit */
	bool without_content;    /* the inputs are for an answer that needs no content: its objects
				    are not fetched. An inline message comes whole all the same */
	void (*gone)(void *arg); /* the token is of no use any more: once; NULL: not told */
	void *arg;
};

/* 0, -EINVAL, -ENOMEM. Strings are copied. */
int conversation_new(struct loop *loop, struct rpc *rpc, struct log *log,
	const struct conversation_options *options, struct conversation **out);

/* Inputs of a worker; everything is owned. */
struct conversation_inputs {
	struct envelope
		message; /* its content is in records, below; here only whether it has one */
	struct record_dict content;
	uint64_t content_bytes;      /* of what was received for it */
	bool too_large;              /* broken: the content has more than content_max_bytes */
	struct memory_file *file;    /* where large arrays lie already; NULL: nowhere */
	struct slices context_bytes; /* as they came */
	struct context context;
	struct record_dict state; /* of the context */
	struct run run;
	char *fab_hash; /* NULL: no FAB */
	struct slices fab;
	struct reason broken; /* why content or context cannot be used; "": they can */
	bool unavailable;     /* broken: objects of the message did not come, or not as they were */
};

void conversation_inputs_done(struct conversation_inputs *inputs);

/* Its id, or a text that says that there is none. Borrowed. */
const char *conversation_message_id(const struct conversation_inputs *inputs);

/* inputs may be taken over with OUTCOME_OK; otherwise details says why: a sentence for the log. */
typedef void conversation_pulled_fn(
	void *arg, enum outcome outcome, struct conversation_inputs *inputs, const char *details);
/* bytes: of what was to be pushed. */
typedef void conversation_pushed_fn(
	void *arg, enum outcome outcome, const char *details, uint64_t bytes);

/* Reply of a worker; everything is owned. */
struct conversation_reply {
	struct envelope message; /* metadata, and the error or whether it has content */
	struct record_dict content;
	struct slices context_bytes;   /* without has_context: the context's, by reference */
	bool has_context;              /* else the ids of context, with these: */
	const struct context *context; /* borrowed until pushed() */
	struct record_dict state;
	struct value_map node_config;
	struct value_map run_config;
};

void conversation_reply_done(struct conversation_reply *reply);

/* Make *out the reply to these inputs, which outlive it, that says an error. 0 or -ENOMEM. */
int conversation_error_reply(const struct conversation_inputs *inputs, int64_t code,
	const char *reason, struct conversation_reply *out);
/* Have the reply give back the Context of the inputs, which outlive it. 0 or -ENOMEM. */
int conversation_reply_context(
	const struct conversation_inputs *inputs, struct conversation_reply *reply);

/* Both are retried while the SuperNode cannot be reached. 0; -ENOMEM and others: no callback. One
 * at a time; a reply that could not be pushed may be followed by another one. */
int conversation_pull(struct conversation *conversation, conversation_pulled_fn *done, void *arg);
/* reply is taken over, empty afterwards, on failure too. */
int conversation_push(struct conversation *conversation, struct conversation_reply *reply,
	conversation_pushed_fn *done, void *arg);

/*
 * Answer in the place of a worker that has ended, with an error. 0; 1: not in this dialect: pull,
 * and push an error; -ENOMEM. With UNIMPLEMENTED or UNAUTHENTICATED the SuperNode, not one of this
 * project, will do it itself when the worker has not been heard of for a while.
 */
int conversation_fail(struct conversation *conversation, int64_t code, const char *reason,
	conversation_pushed_fn *done, void *arg);

/* No callback comes afterwards. Not while a job of it runs: waits for that (the loop runs). NULL is
 * fine. */
void conversation_free(struct conversation *conversation);

#endif
