/*
 * work: what workers ask for and hand back. A worker is believed only what it was asked for:
 * content or error, and the Context; all of the reply's metadata is ours. Inline messages are
 * pulled and answered in one call each; for a message that is objects a reply is announced, its
 * objects follow, the Context ends it.
 */
#include "supernode/core/node_internal.h"

#include "common/base/cleanup.h"
#include "common/base/clock.h"

#include <errno.h>
#include <math.h>
#include <string.h>

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

static enum outcome refuse(enum outcome outcome, const char *sentence, const char **details_out)
{
	*details_out = sentence;
	return outcome;
}

enum outcome node_find_message(const struct node *node, uint64_t token, enum message_form form,
	struct message **out, const char **details_out)
{
	static const char *const other_form[] = {
		[MESSAGE_INLINE] = OTHER_TOKEN, [MESSAGE_OBJECTS] = NO_TASK};
	struct message *message = token_find(node, token);

	if (message && !message_at_work(message))
		return refuse(OUTCOME_FAILED_PRECONDITION, ANSWERED, details_out);
	if (!any_at_work(node))
		return refuse(OUTCOME_FAILED_PRECONDITION, NOTHING_AT_WORK, details_out);
	if (!message)
		return refuse(OUTCOME_INVALID_ARGUMENT, OTHER_TOKEN, details_out);
	if (message->form != form)
		return refuse(OUTCOME_INVALID_ARGUMENT, other_form[form], details_out);
	*out = message;
	return OUTCOME_OK;
}

static void pulled(const struct node *node, struct message *message, struct node_now now)
{
	if (message->state != MESSAGE_STARTED)
		return;
	message->state = MESSAGE_WORKING;
	message->pulled_ms = now.ms;
	if (!message->beats)
		message->alive_end_ms = CLOCK_NEVER;
	message->work_end_ms = node->worker_timeout_ms
				       ? clock_after(now.ms, node->worker_timeout_ms)
				       : CLOCK_NEVER;
}

static void fail(
	struct node *node, struct message *message, struct node_now now, const char *reason)
{
	message_fail(node, message, now, ERROR_CODE_CLIENT_APP_CRASHED, reason);
	node_reconcile(node, now);
}

static int append_fab(const struct node_run *run, struct slices *out)
{
	return run->fab ? slices_append_refs(out, &run->fab->bytes) : 0;
}

enum outcome node_pull_inputs(struct node *node, struct node_now now, struct message *message,
	struct instruction_inputs *out, const char **details_out)
{
	const struct node_run *run;

	if (message->state == MESSAGE_RETURNING) {
		fail(node, message, now, "the worker ended while it sent its outputs");
		return refuse(OUTCOME_FAILED_PRECONDITION, CONSUMED, details_out);
	}
	run = message->run;
	if (envelope_encode(&message->instruction.envelope, &out->message) < 0 ||
		context_get(node, run, &out->context) < 0 ||
		slices_append_refs(&out->run, &run->bytes) < 0 || append_fab(run, &out->fab) < 0) {
		instruction_inputs_done(out);
		return refuse(OUTCOME_RESOURCE_EXHAUSTED, NO_MEMORY, details_out);
	}
	pulled(node, message, now);
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
	fail(node, message, now, "the SuperNode had no memory for the worker's outputs");
	return refuse(OUTCOME_RESOURCE_EXHAUSTED, NO_MEMORY, details_out);
}

/* A reply and its Context, as a worker hands them back. */
struct outputs {
	struct held_message reply;
	uint64_t reserved;             /* for the reply, already */
	struct given_context *context; /* NULL: the Context stays as it was */
};

/*
 * Reply and Context belong together: with OUTCOME_OK both are taken. INVALID_ARGUMENT: nothing has
 * happened; else the reply is an error of ours. The reply's metadata is made anew.
 */
static enum outcome answer(struct node *node, struct message *message, struct node_now now,
	struct outputs *outputs, const char **details_out)
{
	struct given_context *context = outputs->context;
	uint64_t content_bytes = held_message_bytes(&outputs->reply);
	uint64_t context_bytes = context ? context->bytes.bytes : 0;
	uint64_t more = content_bytes > outputs->reserved ? content_bytes - outputs->reserved : 0;
	struct reason why = {0};
	int r = context ? context_check(node, message, context) : 0;

	if (r < 0 && r != -ENOMEM)
		return refuse(OUTCOME_INVALID_ARGUMENT,
			"the context is broken, or of another run or node", details_out);
	if (r < 0 || own_metadata(message, now, &outputs->reply.envelope) < 0)
		return out_of_memory(node, message, now, details_out);
	if (node_reserve(node, more + context_bytes, "the worker's outputs", &why) < 0) {
		fail(node, message, now, why.text);
		return refuse(OUTCOME_RESOURCE_EXHAUSTED,
			"the outputs do not fit into the SuperNode's memory budget", details_out);
	}
	if (context)
		context_replace(node, message->run, &context->bytes, context_bytes);
	message->runtime_s = (double)(now.ms - message->pulled_ms) / 1000.0;
	message_answer(node, message, now, &outputs->reply, outputs->reserved + more);
	outputs->reserved = 0;
	/* The next message of the run may have a slot already. */
	node_reconcile(node, now);
	return OUTCOME_OK;
}

static bool expects_inline(const struct node *node)
{
	for (const struct message *message = node->messages; message; message = message->next) {
		if (message->form == MESSAGE_INLINE && message_is_pulled(message))
			return true;
	}
	return false;
}

enum outcome node_push_outputs(struct node *node, struct node_now now,
	struct instruction_outputs *outputs, const char **details_out)
{
	struct message *message;
	enum outcome outcome =
		node_find_message(node, outputs->token, MESSAGE_INLINE, &message, details_out);
	struct outputs all = {.context = &outputs->context};
	int r;

	/* Flower looks at what was pulled before it looks at the token. */
	if (outcome == OUTCOME_INVALID_ARGUMENT && !expects_inline(node))
		return refuse(OUTCOME_FAILED_PRECONDITION, NOT_PULLED, details_out);
	if (outcome != OUTCOME_OK)
		return outcome;
	if (!message_is_pulled(message))
		return refuse(OUTCOME_FAILED_PRECONDITION, NOT_PULLED, details_out);
	r = instruction_decode_reply(outputs);
	if (r == -ENOMEM)
		return out_of_memory(node, message, now, details_out);
	if (r < 0)
		return refuse(OUTCOME_INVALID_ARGUMENT, "the message is broken", details_out);
	if (outputs->reply.has_content == outputs->reply.has_error)
		return refuse(OUTCOME_INVALID_ARGUMENT, "a reply has either content or an error",
			details_out);
	all.reply.envelope = outputs->reply;
	outputs->reply = (struct envelope){0};
	outcome = answer(node, message, now, &all, details_out);
	if (outcome == OUTCOME_OK)
		instruction_outputs_done(outputs);
	else
		outputs->reply = held_message_take(&all.reply).envelope;
	return outcome;
}

/* ---- messages that are objects ---- */

void node_heartbeat(struct node *node, struct node_now now, struct message *message)
{
	(void)node;
	if (message->worker != WORKER_GUEST)
		return;
	message->beats = true;
	message->alive_end_ms = clock_after(now.ms, NODE_HEARTBEAT_MS);
}

void task_inputs_done(struct task_inputs *inputs)
{
	slices_done(&inputs->context);
	slices_done(&inputs->run);
	slices_done(&inputs->fab);
}

enum outcome node_pull_task(struct node *node, struct node_now now, struct message *message,
	struct task_inputs *out, const char **details_out)
{
	const struct node_run *run;

	if (message->state == MESSAGE_RETURNING)
		return refuse(OUTCOME_FAILED_PRECONDITION, "the task's inputs were taken already",
			details_out);
	run = message->run;
	if (context_get(node, run, &out->context) < 0 ||
		slices_append_refs(&out->run, &run->bytes) < 0 || append_fab(run, &out->fab) < 0) {
		task_inputs_done(out);
		return refuse(OUTCOME_RESOURCE_EXHAUSTED, NO_MEMORY, details_out);
	}
	out->again = message->state == MESSAGE_WORKING;
	pulled(node, message, now);
	return OUTCOME_OK;
}

uint64_t node_run_of(const struct node *node, uint64_t number)
{
	const struct message *message = message_find(node, number);

	return message ? message->instruction.envelope.metadata.run_id : 0;
}

const struct held_message *node_instruction(const struct message *message)
{
	return message->state == MESSAGE_WORKING ? &message->instruction : NULL;
}

/* The SuperLink takes content that is one object below the message's, or an error without any. */
static bool is_reply(const struct held_message *reply)
{
	const struct envelope *envelope = &reply->envelope;
	const struct object_tree *tree;

	if (envelope->has_content == envelope->has_error ||
		envelope->has_content != !!reply->objects)
		return false;
	tree = reply->objects ? object_set_tree(reply->objects) : NULL;
	return !tree || (tree->n > 0 && tree->v[tree->n - 1].n_children == 1);
}

enum outcome node_reply_begin(struct node *node, struct node_now now, struct message *message,
	struct held_message *reply, const char **details_out)
{
	uint64_t bytes = held_message_bytes(reply);
	struct reason why = {0};

	if (!message_is_pulled(message))
		return refuse(OUTCOME_FAILED_PRECONDITION, "the task's input was not pulled before",
			details_out);
	if (!is_reply(reply))
		return refuse(OUTCOME_INVALID_ARGUMENT,
			"a reply has either an error or content, which is one object", details_out);
	message_draft_done(node, message);
	if (node_reserve(node, bytes, "the worker's reply", &why) < 0) {
		fail(node, message, now, why.text);
		return refuse(OUTCOME_RESOURCE_EXHAUSTED,
			"the reply does not fit into the SuperNode's memory budget", details_out);
	}
	message->draft = held_message_take(reply);
	message->draft_reserved = bytes;
	return OUTCOME_OK;
}

struct object_set *node_reply_objects(const struct message *message)
{
	return message_is_pulled(message) && message_has_draft(message) ? message->draft.objects
									: NULL;
}

/* Answer with the draft, or keep it: what was not taken can be pushed again, with another Context.
 */
static enum outcome answer_draft(struct node *node, struct message *message, struct node_now now,
	struct given_context *context, const char **details_out)
{
	struct outputs outputs = {.reply = held_message_take(&message->draft),
		.reserved = message->draft_reserved,
		.context = context};
	enum outcome outcome;

	message->draft_reserved = 0;
	outcome = answer(node, message, now, &outputs, details_out);
	if (message_is_pulled(message)) {
		message->draft = held_message_take(&outputs.reply);
		message->draft_reserved = outputs.reserved;
	} else {
		node_release(node, &outputs.reserved);
	}
	held_message_done(&outputs.reply);
	return outcome;
}

enum outcome node_push_task(struct node *node, struct node_now now, struct message *message,
	struct given_context *context, const char **details_out)
{
	if (!message_is_pulled(message) || !message_has_draft(message))
		return refuse(
			OUTCOME_FAILED_PRECONDITION, "no reply was pushed before", details_out);
	if (message->draft.objects && object_set_missing(message->draft.objects) > 0)
		return refuse(OUTCOME_FAILED_PRECONDITION, "objects of the reply are missing",
			details_out);
	return answer_draft(node, message, now, context->bytes.bytes ? context : NULL, details_out);
}
