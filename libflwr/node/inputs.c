/*
 * inputs: what a worker would pull, as the records of a task. The core checked the message; objects
 * were compared with their ids when they came.
 */
#include "common/records/items_codec.h"
#include "common/records/maps_codec.h"
#include "common/records/objects_codec.h"
#include "libflwr/node/superlink_internal.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>

/* A message may stand for so much when its objects are used again and again. */
#define CONTENT_MAX_BYTES (1ull << 36)

static int failed(enum outcome outcome, const char *details, struct reason *why)
{
	return reason_code(
		why, outcome == OUTCOME_RESOURCE_EXHAUSTED ? -ENOMEM : -EINVAL, "%s", details);
}

/* Decoders of envelopes say nothing beside their code; of -ENOMEM the caller knows what to say. */
static int undecoded(int r, const char *what, struct reason *why)
{
	return r == 0 || r == -ENOMEM
		       ? r
		       : reason_code(why, r, "%s cannot be decoded: %s", what, strerror(-r));
}

/* ---- the Context ---- */

static int read_context(struct superlink *superlink, const struct slices *bytes, struct task *task,
	struct reason *why)
{
	struct context *context = &superlink->context;
	int r;

	context_done(context);
	*context = (struct context){0};
	r = undecoded(context_decode(bytes, context), "the Context", why);
	if (r == 0)
		r = (superlink->form == MESSAGE_OBJECTS ? items_decode : maps_decode)(
			&context->state, &task->state, why);
	slices_done(&context->state);
	task->run_id = context->run_id;
	task->node_id = context->node_id;
	if (r == 0)
		r = value_map_copy(&context->node_config, &task->node_config);
	if (r == 0)
		r = value_map_copy(&context->run_config, &task->run_config);
	return r;
}

/* ---- inline contents ---- */

static int read_message(
	const struct instruction_inputs *inputs, struct task *task, struct reason *why)
{
	auto_(envelope_done) struct envelope message = {0};
	int r = undecoded(envelope_decode(&inputs->message, &message), "the message", why);

	if (r == 0)
		r = maps_decode(&message.content, &task->content, why);
	task->metadata = message.metadata;
	message.metadata = (struct metadata){0};
	return r;
}

static int take_inline(
	struct superlink *superlink, struct message *message, struct task *task, struct reason *why)
{
	auto_(instruction_inputs_done) struct instruction_inputs inputs = {0};
	const char *details = "";
	enum outcome outcome =
		node_pull_inputs(superlink->node, uplink_now(), message, &inputs, &details);
	int r = outcome == OUTCOME_OK ? read_message(&inputs, task, why)
				      : failed(outcome, details, why);

	return r ? r : read_context(superlink, &inputs.context, task, why);
}

/* ---- objects ---- */

static int get_object(void *arg, const struct object_id *id, struct slices *out)
{
	struct object_set *set = arg;
	ptrdiff_t index = object_tree_find(object_set_tree(set), id);

	return index < 0 ? -ENOENT : object_set_get(set, (size_t)index, out);
}

static int read_objects(const struct held_message *message, struct task *task, struct reason *why)
{
	const struct object_tree *tree =
		message->objects ? object_set_tree(message->objects) : NULL;
	const struct object_node *root = tree && tree->n > 0 ? &tree->v[tree->n - 1] : NULL;

	if (!root || root->n_children != 1)
		return reason_code(
			why, -EBADMSG, "the message's objects are not those of a content");
	return objects_decode(
		&(struct objects_source){get_object, message->objects, CONTENT_MAX_BYTES},
		&tree->v[root->children[0]].id, &task->content, why);
}

static int take_objects(
	struct superlink *superlink, struct message *message, struct task *task, struct reason *why)
{
	auto_(task_inputs_done) struct task_inputs inputs = {0};
	const char *details = "";
	enum outcome outcome =
		node_pull_task(superlink->node, uplink_now(), message, &inputs, &details);
	const struct held_message *held = node_instruction(message);
	int r;

	if (outcome != OUTCOME_OK || !held)
		return failed(outcome, details, why);
	r = metadata_copy(&held->envelope.metadata, &task->metadata);
	if (r == 0)
		r = read_objects(held, task, why);
	return r ? r : read_context(superlink, &inputs.context, task, why);
}

/* ---- either ---- */

/* A small message can stand for a very large one: the program may copy what it reads. */
static int check_size(
	const struct superlink *superlink, const struct task *task, struct reason *why)
{
	uint64_t bytes = record_dict_bytes(&task->content) + record_dict_bytes(&task->state);
	uint64_t limit_bytes = superlink->options.engine->budget.limit_bytes;

	if (bytes <= limit_bytes)
		return 0;
	return reason_code(why, -EDQUOT,
		"the message takes %" PRIu64
		" bytes when its arrays are written out, and the memory budget is %" PRIu64
		" bytes",
		bytes, limit_bytes);
}

int inputs_task(struct superlink *superlink, const struct node_action *action, struct task **out,
	int64_t *code_out, struct reason *why)
{
	struct message *message = node_message_of(superlink->node, action->token);
	struct task *task = task_new(superlink->options.mailbox, &superlink->session);
	int r;

	*out = task;
	*code_out = ERROR_CODE_CLIENT_APP_CRASHED;
	if (!task || !message)
		return -ENOMEM;
	task->number = action->message;
	task->token = action->token;
	superlink->form = action->form;
	r = (action->form == MESSAGE_OBJECTS ? take_objects : take_inline)(
		superlink, message, task, why);
	if (r == 0)
		r = check_size(superlink, task, why);
	/* The records refer to what they need of the message. */
	if (r == 0)
		node_outputs_coming(superlink->node, message);
	return r;
}
