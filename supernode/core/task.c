/*
 * task: what workers ask for and hand back of a message whose content is objects. It comes in
 * several calls, which is all that differs from work.c: a reply is announced, its objects follow,
 * the Context ends it.
 */
#include "supernode/core/node_internal.h"

#include "common/base/cleanup.h"

void task_inputs_done(struct task_inputs *inputs)
{
	slices_done(&inputs->context);
	slices_done(&inputs->run);
	slices_done(&inputs->fab);
}

enum outcome node_pull_task(struct node *node, struct node_now now, uint64_t token,
	struct task_inputs *out, const char **details_out)
{
	struct message *message;
	enum outcome outcome = work_find(node, token, MESSAGE_OBJECTS, &message, details_out);
	const struct node_run *run;

	if (outcome != OUTCOME_OK)
		return outcome;
	if (message->state == MESSAGE_RETURNING)
		return work_refuse(OUTCOME_FAILED_PRECONDITION,
			"the task's inputs were taken already", details_out);
	run = message->run;
	if (context_get(node, run, &out->context) < 0 ||
		slices_append_refs(&out->run, &run->bytes) < 0 ||
		slices_append_refs(&out->fab, &run->fab->bytes) < 0) {
		task_inputs_done(out);
		return work_refuse(OUTCOME_RESOURCE_EXHAUSTED, "the SuperNode has no memory for it",
			details_out);
	}
	out->message = message->number;
	out->run_id = run->run_id;
	out->again = message->state == MESSAGE_WORKING;
	work_pulled(node, message, now);
	return OUTCOME_OK;
}

uint64_t node_run_of(const struct node *node, uint64_t number)
{
	const struct message *message = message_find(node, number);

	return message ? message->instruction.envelope.metadata.run_id : 0;
}

/* The message of a token, when its worker has pulled the task's input and it has no reply. */
static struct message *find_working(const struct node *node, uint64_t token)
{
	struct message *message = token_find(node, token);

	if (!message || message->form != MESSAGE_OBJECTS || !message_is_pulled(message))
		return NULL;
	return message;
}

const struct held_message *node_instruction(const struct node *node, uint64_t token)
{
	const struct message *message = find_working(node, token);

	return message && message->state == MESSAGE_WORKING ? &message->instruction : NULL;
}

void node_inputs_taken(struct node *node, uint64_t token)
{
	struct message *message = find_working(node, token);

	if (message)
		node_outputs_coming(node, message->number);
}

/* What the SuperLink takes: content is one object below the message's, an error has none. */
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

enum outcome node_reply_begin(struct node *node, struct node_now now, uint64_t token,
	struct held_message *reply, const char **details_out)
{
	uint64_t bytes = held_message_bytes(reply);
	struct reason why = {0};
	struct message *message;
	enum outcome outcome = work_find(node, token, MESSAGE_OBJECTS, &message, details_out);

	if (outcome != OUTCOME_OK)
		return outcome;
	if (!message_is_pulled(message))
		return work_refuse(OUTCOME_FAILED_PRECONDITION,
			"the task's input was not pulled before", details_out);
	if (!is_reply(reply))
		return work_refuse(OUTCOME_INVALID_ARGUMENT,
			"a reply has either an error or content, which is one object", details_out);
	message_draft_done(node, message);
	if (node_reserve(node, bytes, "the worker's reply", &why) < 0) {
		message_fail(node, message, now, ERROR_CODE_CLIENT_APP_CRASHED, why.text);
		return work_refuse(OUTCOME_RESOURCE_EXHAUSTED,
			"the reply does not fit into the SuperNode's memory budget", details_out);
	}
	message->draft = held_message_take(reply);
	message->draft_reserved = bytes;
	return OUTCOME_OK;
}

struct object_set *node_reply_objects(const struct node *node, uint64_t token)
{
	const struct message *message = find_working(node, token);

	return message && message_has_draft(message) ? message->draft.objects : NULL;
}

/* Answer with the draft, or keep it: what was not taken can be pushed again, with another Context.
 */
static enum outcome answer_draft(struct node *node, struct message *message, struct node_now now,
	struct slices *context, const char **details_out)
{
	auto_(held_message_done) struct held_message draft = held_message_take(&message->draft);
	uint64_t reserved = message->draft_reserved;
	enum outcome outcome;

	message->draft_reserved = 0;
	outcome = work_answer(node, message, now, &draft, &reserved, context, details_out);
	if (message_is_pulled(message)) {
		message->draft = held_message_take(&draft);
		message->draft_reserved = reserved;
	} else {
		node_release(node, &reserved);
	}
	return outcome;
}

enum outcome node_push_task(struct node *node, struct node_now now, uint64_t token,
	struct slices *context, const char **details_out)
{
	struct message *message;
	enum outcome outcome = work_find(node, token, MESSAGE_OBJECTS, &message, details_out);

	if (outcome != OUTCOME_OK)
		return outcome;
	if (!message_is_pulled(message) || !message_has_draft(message))
		return work_refuse(
			OUTCOME_FAILED_PRECONDITION, "no reply was pushed before", details_out);
	if (message->draft.objects && object_set_missing(message->draft.objects) > 0)
		return work_refuse(OUTCOME_FAILED_PRECONDITION, "objects of the reply are missing",
			details_out);
	return answer_draft(node, message, now, context->bytes ? context : NULL, details_out);
}
