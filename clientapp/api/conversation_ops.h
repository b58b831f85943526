/*
 * conversation_ops: what a dialect has to offer to be a conversation. Private to this folder.
 */
#ifndef FLWR_API_CONVERSATION_OPS_H
#define FLWR_API_CONVERSATION_OPS_H

#include "clientapp/api/api_calls.h"
#include "clientapp/api/conversation.h"

struct conversation_ops {
	int (*pull)(struct conversation *conversation, conversation_pulled_fn *done, void *arg);
	int (*push)(struct conversation *conversation, struct conversation_reply *reply,
		conversation_pushed_fn *done, void *arg);
	int (*fail)(struct conversation *conversation, int64_t code, const char *reason,
		conversation_pushed_fn *done, void *arg); /* NULL: it has none */
	void (*free)(struct conversation *conversation);
};

/* First member of a dialect's own struct. */
struct conversation {
	const struct conversation_ops *ops;
	struct api_calls *calls; /* owned; freed by ops->free(); NULL before it is there */
};

/* calloc()ed; calls is set afterwards. NULL on no memory. */
struct conversation *instruction_new(uint64_t token);
struct conversation *task_new(
	struct loop *loop, struct log *log, const struct conversation_options *options);

/* Decode the inputs that all dialects have: Run, Context and Fab from their bytes (taken over). 0,
 * -EBADMSG, -EMSGSIZE, -ENOMEM. */
int conversation_decode_rest(struct conversation_inputs *inputs, struct slices *context,
	const struct slices *run, const struct slices *fab);
/* The Context of a reply, with its state encoded by encode(); appended to *out. 0, -ENOMEM. */
int conversation_encode_context(const struct conversation_reply *reply,
	int (*encode)(const struct record_dict *dict, struct slices *out), struct slices *out);

#endif
