/*
 * tasks: a task is what a worker does for one message that is objects: it shows the token, is given
 * the message, gives back a reply as objects, and the Context. The same live token may ask for its
 * inputs again until it has confirmed them: its worker may have lost its connection.
 */
#include "common/base/cleanup.h"
#include "common/message/envelope.h"
#include "common/message/object_calls_codec.h"
#include "common/message/task_codec.h"
#include "supernode/store/object_store.h"
#include "supernode/workers/handlers.h"

#include <errno.h>
#include <string.h>

/* Read which object a call is about; not 0: the request was refused. */
static int read_object(struct dialects *dialects, struct request *request,
	const struct message *message, struct object_request *what)
{
	int r = object_request_decode(&request->body, what);

	if (r)
		refuse_errno(dialects->admission, request, r);
	/* Flower's node needs no run here: it may be left out. */
	else if (what->run_id && !handlers_own_run(dialects, request, message, what->run_id))
		r = -EPERM;
	return r;
}

static bool own_message(struct dialects *dialects, struct request *request, bool own)
{
	if (!own)
		refuse(dialects->admission, request, OUTCOME_PERMISSION_DENIED,
			"the call is about another message than the task");
	return own;
}

/* ---- what a worker is given ---- */

void tasks_heartbeat(void *arg, struct request *request, struct message *message)
{
	struct dialects *dialects = arg;
	auto_(slices_done) struct slices body = {0};

	node_heartbeat(dialects->admission->node, handlers_now(), message);
	handlers_answer(dialects, request, task_encode_heartbeat(true, &body), &body);
	handlers_changed(dialects);
}

/* A token that is of no use is answered, not refused. */
void tasks_app_heartbeat(void *arg, struct request *request, struct message *message)
{
	struct dialects *dialects = arg;
	auto_(slices_done) struct slices body = {0};
	int r = 0;

	message = admission_find(dialects->admission, request);
	if (message && node_message_form(message) != MESSAGE_OBJECTS)
		message = NULL;
	if (message)
		r = admission_hold(dialects->admission, request, node_message_token(message));
	if (message && r == 0)
		node_heartbeat(dialects->admission->node, handlers_now(), message);
	if (r == 0)
		r = task_encode_heartbeat(message != NULL, &body);
	handlers_answer(dialects, request, r, &body);
	if (message)
		handlers_changed(dialects);
}

static int encode_input(
	const struct task_inputs *inputs, const struct message *message, struct slices *out)
{
	struct task_input input = {.context = inputs->context,
		.run = inputs->run,
		.fab = inputs->fab,
		.task_id = node_message_number(message)};

	return task_encode_input(&input, out);
}

void tasks_pull_input_only(void *arg, struct request *request, struct message *message)
{
	struct dialects *dialects = arg;
	struct admission *admission = dialects->admission;
	auto_(task_inputs_done) struct task_inputs inputs = {0};
	auto_(slices_done) struct slices body = {0};
	const char *details = "";
	enum outcome outcome =
		node_pull_task(admission->node, handlers_now(), message, &inputs, &details);

	if (outcome != OUTCOME_OK) {
		refuse(admission, request, outcome, details);
	} else {
		int r = encode_input(&inputs, message, &body);

		if (!inputs.again)
			admission->ops->ready(
				admission->arg, node_message_number(message), request->peer);
		handlers_answer(dialects, request, r, &body);
	}
	handlers_changed(dialects);
}

void tasks_pull_input(void *arg, struct request *request, struct message *message)
{
	struct dialects *dialects = arg;

	node_heartbeat(dialects->admission->node, handlers_now(), message);
	tasks_pull_input_only(dialects, request, message);
}

/* The message without its content, which is there and empty; after the worker has confirmed it, an
 * answer without one. */
static int encode_instruction(const struct held_message *instruction, struct slices *out)
{
	auto_(task_messages_done) struct task_messages messages = {0};
	struct envelope head;
	int r = 0;

	if (instruction) {
		head = instruction->envelope;
		head.content = (struct slices){0};
		messages.n_messages = 1;
		messages.n_trees = 1;
		r = envelope_encode(&head, &messages.message);
		if (r == 0)
			r = slices_append_refs(
				&messages.tree, &object_set_tree(instruction->objects)->bytes);
	}
	return r ? r : task_encode_pulled(&messages, out);
}

void tasks_pull_messages(void *arg, struct request *request, struct message *message)
{
	const struct held_message *instruction = node_instruction(message);
	auto_(slices_done) struct slices body = {0};
	bool own = true;
	int r = instruction ? task_decode_pull(&request->body,
				      instruction->envelope.metadata.message_id, &own)
			    : 0;

	if (r == 0 && !own_message(arg, request, own))
		return;
	handlers_answer(arg, request, r ? r : encode_instruction(instruction, &body), &body);
}

static int get_object(
	const struct message *message, const struct object_id *id, struct object_pulled *out)
{
	const struct held_message *instruction = node_instruction(message);
	ptrdiff_t index = -1;
	int r;

	if (instruction && instruction->objects)
		index = object_tree_find(object_set_tree(instruction->objects), id);
	out->found = index >= 0;
	if (!out->found)
		return 0;
	r = object_set_get(instruction->objects, (size_t)index, &out->content);
	out->available = r == 0;
	return r == -ENOENT ? 0 : r;
}

void tasks_pull_object(void *arg, struct request *request, struct message *message)
{
	struct dialects *dialects = arg;
	auto_(object_request_done) struct object_request what = {0};
	auto_(object_pulled_done) struct object_pulled pulled = {0};
	auto_(slices_done) struct slices body = {0};
	int r;

	if (read_object(dialects, request, message, &what))
		return;
	r = get_object(message, &what.id, &pulled);
	if (r == 0)
		r = object_pulled_encode(&pulled, &body);
	if (r)
		refuse(dialects->admission, request, OUTCOME_RESOURCE_EXHAUSTED,
			"the object cannot be read now");
	else
		request_reply(request, &body);
}

/* Is this the id of the Message object, the root of the instruction's tree? */
static bool is_root(const struct held_message *instruction, const struct object_id *id)
{
	const struct object_tree *tree = object_set_tree(instruction->objects);

	return object_tree_find(tree, id) == (ptrdiff_t)tree->n - 1;
}

void tasks_confirm(void *arg, struct request *request, struct message *message)
{
	struct dialects *dialects = arg;
	auto_(object_request_done) struct object_request what = {0};
	const struct held_message *instruction = node_instruction(message);

	if (read_object(dialects, request, message, &what) ||
		(instruction && instruction->objects &&
			!own_message(dialects, request, is_root(instruction, &what.id))))
		return;
	node_outputs_coming(dialects->admission->node, message);
	handlers_answer_nothing(request);
}

/* Workers of ours log to where they were started. */
void tasks_logs(void *arg, struct request *request, struct message *message)
{
	(void)arg;
	(void)message;
	handlers_answer_nothing(request);
}
