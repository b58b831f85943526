/*
 * outputs: the answer of a task is encoded on the io thread, since objects are hashed; then the
 * core gets it. Objects go into a set first, as those that a worker pushes.
 */
#include "common/base/clock.h"
#include "common/records/items_codec.h"
#include "common/records/maps_codec.h"
#include "common/records/objects_codec.h"
#include "libflwr/node/superlink_internal.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

struct outputs {
	struct superlink *superlink;
	struct task *task;
	struct job encode;
	int result;
	/* The encoded answer. */
	struct held_message reply; /* inline: with its content */
	struct given_context context;
	struct object_list list; /* without the Message object */
	struct slices message_object;
	struct object_id message_id;
	struct slices tree;
	/* Objects on their way to reply.objects. */
	unsigned puts;
	struct reason why;
};

void outputs_free(struct outputs *outputs)
{
	if (!outputs)
		return;
	held_message_done(&outputs->reply);
	given_context_done(&outputs->context);
	object_list_done(&outputs->list);
	slices_done(&outputs->message_object);
	slices_done(&outputs->tree);
	task_unref(outputs->task);
	free(outputs);
}

/* ---- encoding, on the io thread ---- */

static int encode_objects(struct outputs *outputs)
{
	int r = objects_encode(&outputs->task->reply, OBJECTS_CHUNK_BYTES, &outputs->list);

	if (r == 0)
		r = envelope_message_object(&outputs->reply.envelope, &outputs->list.root,
			&outputs->message_object, &outputs->message_id);
	if (r == 0)
		r = object_tree_encode(
			&outputs->message_id, &outputs->list.tree, 1, &outputs->tree);
	return r;
}

static int encode_context(struct outputs *outputs)
{
	const struct superlink *superlink = outputs->superlink;
	struct context context = superlink->context;
	int r = (superlink->form == MESSAGE_OBJECTS ? items_encode : maps_encode)(
		&outputs->task->state, &context.state);

	if (r == 0)
		r = context_encode(&context, &outputs->context.bytes);
	slices_done(&context.state);
	return r;
}

static int encode(struct outputs *outputs)
{
	struct envelope *envelope = &outputs->reply.envelope;
	int r = envelope_reply_metadata(
		&outputs->task->metadata, clock_wall_s(), &envelope->metadata);

	envelope->has_content = true;
	if (r == 0)
		r = outputs->superlink->form == MESSAGE_OBJECTS
			    ? encode_objects(outputs)
			    : maps_encode(&outputs->task->reply, &envelope->content);
	return r ? r : encode_context(outputs);
}

static void encode_run(struct job *job)
{
	struct outputs *outputs = container_of(job, struct outputs, encode);

	outputs->result = encode(outputs);
}

/* ---- the core gets it ---- */

/* The answer, or the error in its place, is the core's: the slot is free. */
static void outputs_end(struct superlink *superlink, uint64_t number)
{
	outputs_free(take_pointer(&superlink->outputs));
	node_worker_gone(superlink->node, uplink_now(), number);
	superlink_pump(superlink);
}

static void outputs_fail(struct outputs *outputs, const char *sentence)
{
	struct superlink *superlink = outputs->superlink;
	const uint64_t number = outputs->task->number;

	node_worker_ended(
		superlink->node, uplink_now(), number, ERROR_CODE_CLIENT_APP_CRASHED, sentence);
	outputs_end(superlink, number);
}

static enum outcome give_inline(
	struct outputs *outputs, struct message *message, const char **details_out)
{
	struct instruction_outputs given = {.token = node_message_token(message),
		.context = outputs->context,
		.decoded = true,
		.reply = outputs->reply.envelope};
	enum outcome outcome;

	outputs->context = (struct given_context){0};
	outputs->reply = (struct held_message){0};
	outcome = node_push_outputs(outputs->superlink->node, uplink_now(), &given, details_out);
	instruction_outputs_done(&given);
	return outcome;
}

static enum outcome give_objects(
	struct outputs *outputs, struct message *message, const char **details_out)
{
	struct node *node = outputs->superlink->node;
	enum outcome outcome =
		node_reply_begin(node, uplink_now(), message, &outputs->reply, details_out);

	return outcome == OUTCOME_OK
		       ? node_push_task(node, uplink_now(), message, &outputs->context, details_out)
		       : outcome;
}

static void outputs_give(struct outputs *outputs)
{
	struct superlink *superlink = outputs->superlink;
	struct message *message = node_message_of(superlink->node, outputs->task->token);
	const char *details = "";
	enum outcome outcome = OUTCOME_OK;

	if (message)
		outcome = (superlink->form == MESSAGE_OBJECTS ? give_objects : give_inline)(
			outputs, message, &details);
	if (outcome == OUTCOME_OK)
		outputs_end(superlink, outputs->task->number);
	else
		outputs_fail(outputs, details);
}

/* ---- objects ---- */

/* False: the session is being freed, and may be gone. */
static bool not_busy(struct superlink *superlink)
{
	superlink->busy--;
	if (!superlink->abandoned)
		return true;
	superlink_look_gone(superlink);
	return false;
}

static void objects_put(struct outputs *outputs)
{
	if (outputs->puts > 0)
		return;
	if (outputs->why.text[0])
		outputs_fail(outputs, outputs->why.text);
	else
		outputs_give(outputs);
}

static void on_put(void *arg, size_t index, int r, const struct reason *why)
{
	struct outputs *outputs = arg;

	(void)index;
	outputs->puts--;
	if (r && !outputs->why.text[0])
		reason_set(&outputs->why, "no room for the reply: %s",
			why->text[0] ? why->text : strerror(-r));
	if (not_busy(outputs->superlink))
		objects_put(outputs);
}

static int put(struct outputs *outputs, const struct object_id *id, struct slices *bytes)
{
	struct object_set *set = outputs->reply.objects;
	ptrdiff_t index = object_tree_find(object_set_tree(set), id);
	int r = index < 0 ? -EINVAL : object_set_put(set, (size_t)index, bytes, on_put, outputs);

	if (r)
		return r;
	outputs->puts++;
	outputs->superlink->busy++;
	return 0;
}

static int put_objects(struct outputs *outputs)
{
	auto_(object_tree_done) struct object_tree tree = {0};
	int r = object_tree_decode(&outputs->tree, &tree, &outputs->why);

	if (r == 0)
		r = object_set_new(
			outputs->superlink->options.engine->spool, &tree, &outputs->reply.objects);
	if (r)
		return r;
	/* Their ids were made from their bytes. */
	object_set_skip_large_hashes(outputs->reply.objects);
	for (size_t i = 0; i < outputs->list.n && r == 0; i++)
		r = put(outputs, &outputs->list.v[i].id, &outputs->list.v[i].bytes);
	if (r == 0)
		r = put(outputs, &outputs->message_id, &outputs->message_object);
	return r;
}

/* ---- from the answer on ---- */

static void outputs_encoded(struct outputs *outputs)
{
	int r = outputs->result;

	if (r == -EILSEQ) {
		outputs_fail(outputs, "a name in the reply is no UTF-8");
		return;
	}
	if (r == 0 && outputs->superlink->form == MESSAGE_OBJECTS)
		r = put_objects(outputs);
	if (r == -ENOMEM)
		reason_set(&outputs->why, "no memory for the reply");
	else if (r && !outputs->why.text[0])
		reason_set(&outputs->why, "the reply cannot be encoded: %s", strerror(-r));
	objects_put(outputs);
}

static void encode_done(struct job *job)
{
	struct outputs *outputs = container_of(job, struct outputs, encode);

	if (not_busy(outputs->superlink))
		outputs_encoded(outputs);
}

/* The answer is an error, or of no use. */
static void end_task(struct superlink *superlink, struct task *task, bool wanted)
{
	if (wanted) {
		log_error(superlink->log, "ClientApp raised an exception: %s", task->sentence);
		node_worker_ended(superlink->node, uplink_now(), task->number,
			ERROR_CODE_CLIENT_APP_RAISED, task->sentence);
	}
	node_worker_gone(superlink->node, uplink_now(), task->number);
	task_unref(task);
	superlink_pump(superlink);
}

void superlink_answered(struct session *session, struct task *task)
{
	struct superlink *superlink = superlink_of(session);
	struct outputs *outputs;
	bool wanted = node_message_of(superlink->node, task->token) != NULL;

	if (superlink->task == task)
		superlink->task = NULL;
	if (superlink->phase == SUPERLINK_OVER) {
		task_unref(task);
		return;
	}
	if (!wanted || task->result) {
		end_task(superlink, task, wanted);
		return;
	}
	outputs = calloc(1, sizeof *outputs);
	if (!outputs) {
		node_worker_ended(superlink->node, uplink_now(), task->number,
			ERROR_CODE_CLIENT_APP_CRASHED, "no memory for the reply");
		end_task(superlink, task, false);
		return;
	}
	outputs->superlink = superlink;
	outputs->task = task;
	outputs->encode = (struct job){.run = encode_run, .done = encode_done};
	superlink->outputs = outputs;
	if (loop_job(superlink->options.engine->loop, &outputs->encode))
		outputs_fail(outputs, "no memory for the reply");
	else
		superlink->busy++;
}
