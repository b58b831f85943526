/*
 * work: what workers ask for and hand back. A worker is believed only what it was asked for:
 * content or error, and the Context; all of the reply's metadata is ours.
 */
#include "supernode/core/node_internal.h"

#include "common/base/cleanup.h"
#include "common/base/clock.h"

#include <errno.h>
#include <math.h>

#define NOTHING_AT_WORK "no message is being worked on"
#define OTHER_TOKEN     "the token is of no message that is being worked on"
#define NO_TASK         "the token is of no task"
#define ANSWERED        "the message of this token has been answered"
#define NOT_PULLED      "the inputs were not pulled before"
#define CONSUMED        "the inputs are gone: outputs were on their way"
#define NO_MEMORY       "the SuperNode has no memory for it"

static bool any_at_work(const struct node *node)
{
	for (const struct message *message = node->messages; message; message = message->next) {
		if (message_at_work(message))
			return true;
	}
	return false;
}

enum outcome work_refuse(enum outcome outcome, const char *sentence, const char **details_out)
{
	*details_out = sentence;
	return outcome;
}

enum outcome work_find(const struct node *node, uint64_t token, enum message_form form,
	struct message **out, const char **details_out)
{
	static const char *const other_form[] = {
		[MESSAGE_INLINE] = OTHER_TOKEN, [MESSAGE_OBJECTS] = NO_TASK};
	struct message *message = token_find(node, token);

	if (message && !message_at_work(message))
		return work_refuse(OUTCOME_FAILED_PRECONDITION, ANSWERED, details_out);
	if (!any_at_work(node))
		return work_refuse(OUTCOME_FAILED_PRECONDITION, NOTHING_AT_WORK, details_out);
	if (!message)
		return work_refuse(OUTCOME_INVALID_ARGUMENT, OTHER_TOKEN, details_out);
	if (message->form != form)
		return work_refuse(OUTCOME_INVALID_ARGUMENT, other_form[form], details_out);
	*out = message;
	return OUTCOME_OK;
}

void work_pulled(const struct node *node, struct message *message, struct node_now now)
{
	if (message->state != MESSAGE_STARTED)
		return;
	message->state = MESSAGE_WORKING;
	message->pulled_ms = now.ms;
	message->work_end_ms = node->worker_timeout_ms
				       ? clock_after(now.ms, node->worker_timeout_ms)
				       : CLOCK_NEVER;
}

enum outcome node_pull_inputs(struct node *node, struct node_now now, uint64_t token,
	struct instruction_inputs *out, const char **details_out)
{
	struct message *message;
	enum outcome outcome = work_find(node, token, MESSAGE_INLINE, &message, details_out);
	const struct node_run *run;

	if (outcome != OUTCOME_OK)
		return outcome;
	if (message->state == MESSAGE_RETURNING) {
		message_fail(node, message, now, ERROR_CODE_CLIENT_APP_CRASHED,
			"the worker ended while it sent its outputs");
		return work_refuse(OUTCOME_FAILED_PRECONDITION, CONSUMED, details_out);
	}
	run = message->run;
	if (envelope_encode(&message->instruction.envelope, &out->message) < 0 ||
		context_get(node, run, &out->context) < 0 ||
		slices_append_refs(&out->run, &run->bytes) < 0 ||
		slices_append_refs(&out->fab, &run->fab->bytes) < 0) {
		instruction_inputs_done(out);
		return work_refuse(OUTCOME_RESOURCE_EXHAUSTED, NO_MEMORY, details_out);
	}
	work_pulled(node, message, now);
	return OUTCOME_OK;
}

/* Make the worker's reply ours: content or error stay, the metadata is made anew. 0 or -ENOMEM. */
static int own_metadata(const struct message *message, struct node_now now, struct envelope *reply)
{
	struct metadata metadata;
	double ttl = reply->metadata.ttl;

	if (envelope_reply_metadata(
		    &message->instruction.envelope.metadata, now.wall_s, &metadata) < 0)
		return -ENOMEM;
	if (isfinite(ttl) && ttl > 0 && ttl <= metadata.ttl)
		metadata.ttl = ttl;
	metadata_done(&reply->metadata);
	reply->metadata = metadata;
	return 0;
}

static enum outcome out_of_memory(
	struct node *node, struct message *message, struct node_now now, const char **details_out)
{
	message_fail(node, message, now, ERROR_CODE_CLIENT_APP_CRASHED,
		"the SuperNode had no memory for the worker's outputs");
	return work_refuse(OUTCOME_RESOURCE_EXHAUSTED, NO_MEMORY, details_out);
}

enum outcome work_answer(struct node *node, struct message *message, struct node_now now,
	struct held_message *reply, uint64_t *reserved, struct slices *context,
	const char **details_out)
{
	uint64_t content_bytes = held_message_bytes(reply);
	uint64_t context_bytes = context ? context->bytes : 0;
	uint64_t more = content_bytes > *reserved ? content_bytes - *reserved : 0;
	struct reason why = {0};
	int r = context ? context_check(node, message, context) : 0;

	if (r < 0 && r != -ENOMEM)
		return work_refuse(OUTCOME_INVALID_ARGUMENT,
			"the context is broken, or of another run or node", details_out);
	if (r < 0 || own_metadata(message, now, &reply->envelope) < 0)
		return out_of_memory(node, message, now, details_out);
	if (node_reserve(node, more + context_bytes, "the worker's outputs", &why) < 0) {
		message_fail(node, message, now, ERROR_CODE_CLIENT_APP_CRASHED, why.text);
		return work_refuse(OUTCOME_RESOURCE_EXHAUSTED,
			"the outputs do not fit into the SuperNode's memory budget", details_out);
	}
	if (context)
		context_replace(node, message->run, context, context_bytes);
	message->runtime_s = (double)(now.ms - message->pulled_ms) / 1000.0;
	message_answer(node, message, now, reply, *reserved + more);
	*reserved = 0;
	return OUTCOME_OK;
}

enum outcome node_push_outputs(struct node *node, struct node_now now,
	struct instruction_outputs *outputs, const char **details_out)
{
	struct message *message;
	enum outcome outcome =
		work_find(node, outputs->token, MESSAGE_INLINE, &message, details_out);
	struct held_message reply = {0};
	uint64_t reserved = 0;
	int r;

	/* Flower looks at what was pulled before it looks at the token. */
	if (outcome == OUTCOME_INVALID_ARGUMENT && !node_expects_outputs(node))
		return work_refuse(OUTCOME_FAILED_PRECONDITION, NOT_PULLED, details_out);
	if (outcome != OUTCOME_OK)
		return outcome;
	if (!message_is_pulled(message))
		return work_refuse(OUTCOME_FAILED_PRECONDITION, NOT_PULLED, details_out);
	r = instruction_decode_reply(outputs);
	if (r == -ENOMEM)
		return out_of_memory(node, message, now, details_out);
	if (r < 0)
		return work_refuse(OUTCOME_INVALID_ARGUMENT, "the message is broken", details_out);
	if (outputs->reply.has_content == outputs->reply.has_error)
		return work_refuse(OUTCOME_INVALID_ARGUMENT,
			"a reply has either content or an error", details_out);
	reply.envelope = outputs->reply;
	outputs->reply = (struct envelope){0};
	outcome =
		work_answer(node, message, now, &reply, &reserved, &outputs->context, details_out);
	if (outcome == OUTCOME_OK)
		instruction_outputs_done(outputs);
	else
		outputs->reply = held_message_take(&reply).envelope;
	return outcome;
}
