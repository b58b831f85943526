/*
 * app_codec: requests and responses of the worker API of Flower 1.20 - 1.29 (gRPC service
 * ClientAppIo, dialects 2 - 4) that are not those of tasks (task_codec): a request begins with the
 * token, a text, which is that of a run. For both ends. One thread each; knows no transport.
 */
#ifndef FLWR_MESSAGE_APP_CODEC_H
#define FLWR_MESSAGE_APP_CODEC_H

#include "common/message/task_codec.h"

/* Encoders append to *out: 0 or -ENOMEM. Decoders: 0, -EBADMSG, -EMSGSIZE, -ENOMEM. */

/* Does a request begin with a text, as those of these dialects with a token do? Copied to out, or
 * "" when it is longer than tokens are. A look that costs the same however many bytes
 * there are. */
bool app_first_token(const struct slices *bytes, char out[TASK_TOKEN_DIGITS + 1]);

/* GetRunIdsWithPendingMessagesResponse (1.20), ListAppsToLaunchResponse (1.21 - 1.29): one run;
 * run_id 0: none. Decoded is the first. */
int app_encode_runs(uint64_t run_id, struct slices *out);
int app_decode_runs(const struct slices *bytes, uint64_t *run_id_out);

/* RequestTokenRequest and its response; token NULL: there is none. */
int app_encode_request(uint64_t run_id, struct slices *out);
int app_decode_request(const struct slices *bytes, uint64_t *run_id_out);
int app_encode_requested(const char *token, struct slices *out);
int app_decode_requested(const struct slices *bytes, char **token_out); /* the caller's */

/* PullAppInputsRequest and SendAppHeartbeatRequest; their responses are those of PullTaskInput and
 * SendTaskHeartbeat. */
int app_encode_token(const char *token, struct slices *out);

/* PullAppMessagesRequest; task_decode_pull() reads it, too, and its response is that of tasks. */
int app_encode_pull(const char *token, uint64_t run_id, struct slices *out);

/* PushAppMessagesRequest; the response is that of tasks. */
int app_encode_push(const char *token, uint64_t run_id, const struct task_messages *messages,
	struct slices *out);
int app_decode_push(const struct slices *bytes, struct task_messages *out);

/* PushAppOutputsRequest: a Context, by reference. run_id 0: left out. */
struct app_output {
	uint64_t run_id;
	struct given_context context;
};

void app_output_done(struct app_output *output);
int app_encode_output(const char *token, const struct app_output *output, struct slices *out);
int app_decode_output(const struct slices *bytes, struct app_output *out);

#endif
