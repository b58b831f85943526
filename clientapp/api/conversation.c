#include "clientapp/api/conversation.h"

#include "clientapp/api/conversation_ops.h"
#include "clientapp/api/spelling.h"

#include "common/base/cleanup.h"
#include "common/base/clock.h"
#include "common/base/text.h"

#include <errno.h>
#include <stdlib.h>

int conversation_new(struct loop *loop, struct rpc *rpc, struct log *log,
	const struct conversation_options *options, struct conversation **out)
{
	const struct spelling *spelling = options->spelling ? options->spelling : &spelling_1_34;
	const struct api_calls_options calls = {
		.carrier = options->task_token ? spelling->carrier : CARRIER_GRPC,
		.http = options->http,
		.address = options->address,
		.tls = options->tls,
		.task_token = options->task_token,
		.token_header = spelling->token_header,
		.retry_ms = options->retry_ms};
	struct conversation *conversation = options->task_token ? task_new(loop, log, options)
								: instruction_new(options->token);
	int r;

	if (!conversation)
		return -ENOMEM;
	r = api_calls_new(loop, rpc, log, &calls, &conversation->calls);
	if (r) {
		conversation_free(conversation);
		return r;
	}
	*out = conversation;
	return 0;
}

void conversation_inputs_done(struct conversation_inputs *inputs)
{
	envelope_done(&inputs->message);
	record_dict_done(&inputs->content);
	slices_done(&inputs->context_bytes);
	context_done(&inputs->context);
	record_dict_done(&inputs->state);
	run_done(&inputs->run);
	free(inputs->fab_hash);
	slices_done(&inputs->fab);
	memory_file_free(inputs->file);
	*inputs = (struct conversation_inputs){0};
}

void conversation_reply_done(struct conversation_reply *reply)
{
	envelope_done(&reply->message);
	record_dict_done(&reply->content);
	slices_done(&reply->context_bytes);
	record_dict_done(&reply->state);
	value_map_done(&reply->node_config);
	value_map_done(&reply->run_config);
	*reply = (struct conversation_reply){0};
}

const char *conversation_message_id(const struct conversation_inputs *inputs)
{
	const char *id = inputs->message.metadata.message_id;

	return id ? id : "without an id";
}

int conversation_reply_context(
	const struct conversation_inputs *inputs, struct conversation_reply *reply)
{
	reply->context = &inputs->context;
	return slices_append_refs(&reply->context_bytes, &inputs->context_bytes);
}

int conversation_error_reply(const struct conversation_inputs *inputs, int64_t code,
	const char *reason, struct conversation_reply *out)
{
	auto_(conversation_reply_done) struct conversation_reply reply = {0};
	int r = envelope_error(
		&inputs->message.metadata, clock_wall_s(), code, reason, &reply.message);

	if (r == 0)
		r = conversation_reply_context(inputs, &reply);
	if (r)
		return r;
	text_cut(reply.message.error_reason, ENVELOPE_REASON_MAX);
	*out = reply;
	reply = (struct conversation_reply){0};
	return 0;
}

int conversation_decode_rest(struct conversation_inputs *inputs, struct slices *context,
	const struct slices *run, const struct slices *fab)
{
	int r = slices_move(&inputs->context_bytes, context);

	if (r == 0)
		r = context_decode(&inputs->context_bytes, &inputs->context);
	if (r == 0)
		r = run_decode(run, &inputs->run);
	if (r == 0 && fab->bytes)
		r = fab_decode(fab, &inputs->fab_hash, &inputs->fab, NULL);
	return r;
}

int conversation_encode_context(const struct conversation_reply *reply,
	int (*encode)(const struct record_dict *dict, struct slices *out), struct slices *out)
{
	struct context context;
	int r;

	if (!reply->has_context)
		return slices_append_refs(out, &reply->context_bytes);
	context = *reply->context;
	context.node_config = reply->node_config;
	context.run_config = reply->run_config;
	context.state = (struct slices){0};
	r = encode(&reply->state, &context.state);
	if (r == 0)
		r = context_encode(&context, out);
	slices_done(&context.state);
	return r;
}

int conversation_pull(struct conversation *conversation, conversation_pulled_fn *done, void *arg)
{
	return conversation->ops->pull(conversation, done, arg);
}

int conversation_push(struct conversation *conversation, struct conversation_reply *reply,
	conversation_pushed_fn *done, void *arg)
{
	return conversation->ops->push(conversation, reply, done, arg);
}

int conversation_fail(struct conversation *conversation, int64_t code, const char *reason,
	conversation_pushed_fn *done, void *arg)
{
	return conversation->ops->fail
		       ? conversation->ops->fail(conversation, code, reason, done, arg)
		       : 1;
}

void conversation_free(struct conversation *conversation)
{
	if (conversation)
		conversation->ops->free(conversation);
}
