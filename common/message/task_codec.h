/*
 * task_codec: requests and responses of the worker API with tasks (gRPC service Runtime of
 * Flower 1.34: dialect 6; 5 and 7 differ in what carries them), for both ends. The calls about
 * objects are in object_calls_codec. One thread each; knows no transport.
 */
#ifndef FLWR_MESSAGE_TASK_CODEC_H
#define FLWR_MESSAGE_TASK_CODEC_H

#include "common/message/envelope.h"

#define TASK_TYPE         "flwr-clientapp"
#define TASK_TOKEN_MAX    1024 /* bytes of one that is taken */
#define TASK_TOKEN_DIGITS 256
#define TASK_COMPLETED    "completed" /* a sub-status: the task has ended with a reply */
#define TASK_FAILED       "failed"    /* with an error */
#define TASK_TEXT_MAX     65536       /* bytes of a sub-status */

/* Is the text a token as SuperNodes make them for tasks: TASK_TOKEN_DIGITS hex digits? */
bool task_token_valid(const char *text);

/* Encoders append to *out: 0 or -ENOMEM. Decoders: 0, -EBADMSG, -EMSGSIZE, -ENOMEM; *out is empty
 * then. Requests without fields have no encoder: they are empty. */

/* PullPendingTasksResponse: one task; task_id 0: none. */
int task_encode_pending(uint64_t task_id, uint64_t run_id, struct slices *out);
/* The id of the first task that is TASK_TYPE; 0 when there is none. */
int task_decode_pending(const struct slices *bytes, uint64_t *task_id_out);

/* ClaimTaskRequest and its response; token NULL: somebody else has the task. */
int task_encode_claim(uint64_t task_id, struct slices *out);
int task_decode_claim(const struct slices *bytes, uint64_t *task_id_out);
int task_encode_claimed(const char *token, struct slices *out);
int task_decode_claimed(const struct slices *bytes, char **token_out); /* the caller's */

/* AcquireTaskRequest for a task that is TASK_TYPE: is it for one? And its response; token NULL:
 * there is none. */
int task_encode_acquire(struct slices *out);
int task_decode_acquire(const struct slices *bytes, bool *wanted_out);
int task_encode_acquired(uint64_t task_id, uint64_t run_id, const char *token, struct slices *out);
int task_decode_acquired(const struct slices *bytes, char **token_out); /* the caller's */

/* SendTaskHeartbeatResponse. */
int task_encode_heartbeat(bool success, struct slices *out);
int task_decode_heartbeat(const struct slices *bytes, bool *success_out);

/* PullTaskInputResponse. Parts are bytes, by reference. */
struct task_input {
	struct slices context;
	struct slices run;
	struct slices fab; /* empty: none */
	uint64_t task_id;
};

void task_input_done(struct task_input *input);
int task_encode_input(const struct task_input *input, struct slices *out);
int task_decode_input(const struct slices *bytes, struct task_input *out);

/* PullAppMessagesRequest: does it name no other message than this one? It need not name any. */
int task_decode_pull(const struct slices *bytes, const char *message_id, bool *own_out);

/* PullAppMessagesResponse and PushAppMessagesRequest: a Message without its content and its
 * ObjectTree: bytes, by reference; of those decoded the first, and how many there were. */
struct task_messages {
	size_t n_messages, n_trees;
	struct slices message;
	struct slices tree;
};

void task_messages_done(struct task_messages *messages);
/* A list is left out when its number is 0. */
int task_encode_pulled(const struct task_messages *messages, struct slices *out);
int task_decode_pulled(const struct slices *bytes, struct task_messages *out);
int task_encode_push(const struct task_messages *messages, struct slices *out);
int task_decode_push(const struct slices *bytes, struct task_messages *out);

/* PushAppMessagesResponse: which objects to send. */
struct task_pushed {
	char *message_id; /* owned; NULL or "": none; never NULL after a decode, nor the next */
	char *session_id; /* for PushObject */
	struct object_id *wanted; /* owned */
	size_t n_wanted;
};

void task_pushed_done(struct task_pushed *pushed);
int task_encode_pushed(const struct task_pushed *pushed, struct slices *out);
int task_decode_pushed(const struct slices *bytes, struct task_pushed *out);

/* PushTaskOutputRequest. */
struct task_output {
	bool has_context;
	struct given_context context; /* by reference */
	char *sub_status; /* owned; NULL or "": none; never NULL after a decode, nor the next */
	char *details;
	bool has_runtime;
	double runtime_s; /* the app's */
};

void task_output_done(struct task_output *output);
int task_encode_output(const struct task_output *output, struct slices *out);
int task_decode_output(const struct slices *bytes, struct task_output *out);

/* GetRunRequest's run_id, and GetRunResponse of an encoded Run. */
int task_decode_get_run(const struct slices *bytes, uint64_t *run_id_out);
int task_encode_get_run(const struct slices *run, struct slices *out);

#endif
