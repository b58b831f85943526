/*
 * task_reply: a reply is announced by PushMessages (its tree says which objects it has), filled by
 * PushObject in any order, and taken with the Context by PushTaskOutput.
 */
#include "common/base/cleanup.h"
#include "common/message/app_codec.h"
#include "common/message/envelope.h"
#include "common/message/object_calls_codec.h"
#include "supernode/store/object_store.h"
#include "supernode/workers/given_context.h"
#include "supernode/workers/handlers.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* ---- PushMessages ---- */

/* The envelope of what was announced. 0; -ENOMEM; -EBADMSG, -EMSGSIZE with a sentence. */
static int read_announced(const struct slices *body, struct envelope *reply,
	struct object_tree *tree, struct reason *why)
{
	auto_(task_messages_done) struct task_messages messages = {0};
	char root[OBJECT_ID_TEXT_BYTES];
	char token[TASK_TOKEN_DIGITS + 1];
	/* A method of one name has both forms. */
	int r = app_first_token(body, token) ? app_decode_push(body, &messages)
					     : task_decode_push(body, &messages);

	if (r == 0 && (messages.n_messages != 1 || messages.n_trees != 1))
		return reason_code(why, -EBADMSG, "one message and one object tree are expected");
	if (r == 0)
		r = envelope_decode(&messages.message, reply);
	if (r)
		return r == -ENOMEM ? r : reason_code(why, r, "the message is broken");
	r = object_tree_decode(&messages.tree, tree, why);
	if (r)
		return r;
	object_id_format(&tree->v[tree->n - 1].id, root);
	if (strcmp(root, reply->metadata.message_id) != 0)
		return reason_code(why, -EBADMSG, "the object tree is of another message");
	return 0;
}

static int list_missing(const struct object_set *set, struct task_pushed *pushed)
{
	const struct object_tree *tree = object_set_tree(set);

	pushed->wanted = calloc(tree->n, sizeof *pushed->wanted);
	if (!pushed->wanted)
		return -ENOMEM;
	for (size_t i = 0; i < tree->n; i++)
		if (!object_set_has(set, i))
			pushed->wanted[pushed->n_wanted++] = tree->v[i].id;
	return 0;
}

/* A reply is content, which needs objects, or an error, which needs none. */
static int prepare(struct dialects *dialects, struct held_message *reply, struct object_tree *tree,
	struct task_pushed *pushed, struct reason *why)
{
	int r;

	pushed->message_id = strdup(reply->envelope.metadata.message_id);
	if (!pushed->message_id)
		return -ENOMEM;
	if (reply->envelope.has_error)
		return 0;
	if (!dialects->options.spool)
		return reason_code(why, -ENOMEM, "the SuperNode keeps no objects");
	slices_done(&reply->envelope.content);
	r = object_set_new(dialects->options.spool, tree, &reply->objects);
	if (r == 0 && dialects->options.own_workers)
		object_set_skip_large_hashes(reply->objects);
	return r ? r : list_missing(reply->objects, pushed);
}

static void refuse_announced(
	struct dialects *dialects, struct request *request, int r, const struct reason *why)
{
	if (r == -ENOMEM || !why->text[0])
		refuse_errno(dialects->admission, request, r);
	else
		refuse(dialects->admission, request,
			r == -EMSGSIZE ? OUTCOME_RESOURCE_EXHAUSTED : OUTCOME_INVALID_ARGUMENT,
			why->text);
}

struct announcement {
	struct content content;
	struct held_message reply;
	struct object_tree tree;
	struct reason why;
};

static int announcement_read(struct content *content)
{
	struct announcement *said = container_of(content, struct announcement, content);

	return read_announced(
		&content->request->body, &said->reply.envelope, &said->tree, &said->why);
}

static bool announcement_take(struct content *content, struct message *message)
{
	struct announcement *said = container_of(content, struct announcement, content);
	struct dialects *dialects = content->service->dialect;
	struct request *request = content->request;
	auto_(task_pushed_done) struct task_pushed pushed = {0};
	auto_(slices_done) struct slices body = {0};
	const char *details = "";
	enum outcome outcome;
	int r = content->result;

	if (r == 0 &&
		!handlers_own_run(dialects, request, message, said->reply.envelope.metadata.run_id))
		return true;
	if (r == 0)
		r = prepare(dialects, &said->reply, &said->tree, &pushed, &said->why);
	if (r) {
		refuse_announced(dialects, request, r, &said->why);
		return true;
	}
	outcome = node_reply_begin(
		dialects->admission->node, handlers_now(), message, &said->reply, &details);
	if (outcome != OUTCOME_OK)
		refuse(dialects->admission, request, outcome, details);
	else
		handlers_answer(dialects, request, task_encode_pushed(&pushed, &body), &body);
	handlers_changed(dialects);
	return true;
}

static void announcement_done(struct content *content)
{
	struct announcement *said = container_of(content, struct announcement, content);

	held_message_done(&said->reply);
	object_tree_done(&said->tree);
}

const struct content_kind tasks_messages = {.bytes = sizeof(struct announcement),
	.read = announcement_read,
	.take = announcement_take,
	.done = announcement_done};

/* ---- PushObject ---- */

/* An object that is being read, then checked. */
struct pushed_object {
	struct content content;
	struct object_request object;
};

static int object_read(struct content *content)
{
	struct pushed_object *pushed = container_of(content, struct pushed_object, content);
	int r = object_request_decode(&content->request->body, &pushed->object);

	slices_done(&content->request->body);
	return r;
}

static void answer_stored(const struct content *content, bool stored)
{
	auto_(slices_done) struct slices body = {0};

	handlers_answer(content->service->dialect, content->request,
		object_stored_encode(stored, &body), &body);
}

static void object_stored(void *arg, size_t index, int r, const struct reason *why)
{
	struct content *content = arg;
	struct admission *admission = content->service->admission;
	struct request *request = content->request;

	(void)index;
	if (r == 0) {
		answer_stored(content, true);
	} else if (r == -EBADMSG) {
		guests_complain(admission->guests, request->peer, why->text);
		answer_stored(content, false);
	} else {
		refuse(admission, request, OUTCOME_RESOURCE_EXHAUSTED,
			r == -EDQUOT ? why->text : "the SuperNode has no room for the object");
	}
	content_end(content);
}

/* 0: object_stored() comes. 1: it is none of the reply's; negative. */
static int object_store(struct pushed_object *pushed, const struct message *message)
{
	struct object_set *set = node_reply_objects(message);
	ptrdiff_t index = set ? object_tree_find(object_set_tree(set), &pushed->object.id) : -1;

	if (index < 0)
		return 1;
	return object_set_put(
		set, (size_t)index, &pushed->object.content, object_stored, &pushed->content);
}

static bool object_take(struct content *content, struct message *message)
{
	struct pushed_object *pushed = container_of(content, struct pushed_object, content);
	int r = content->result;

	/* Flower's node needs no run here: it may be left out. */
	if (r == 0 && pushed->object.run_id &&
		!handlers_own_run(content->service->dialect, content->request, message,
			pushed->object.run_id))
		return true;
	if (r == 0)
		r = object_store(pushed, message);
	if (r > 0)
		answer_stored(content, false);
	else if (r == -EBADMSG || r == -EMSGSIZE)
		refuse_errno(content->service->admission, content->request, r);
	else if (r < 0)
		refuse(content->service->admission, content->request, OUTCOME_RESOURCE_EXHAUSTED,
			"the SuperNode has no room for the object");
	return r != 0;
}

static void object_done(struct content *content)
{
	object_request_done(&container_of(content, struct pushed_object, content)->object);
}

const struct content_kind tasks_object = {.bytes = sizeof(struct pushed_object),
	.read = object_read,
	.take = object_take,
	.done = object_done};

/* ---- the end ---- */

/* Answer the message with an error, whatever its worker has done or not. */
static enum outcome fail(struct node *node, struct message *message, int64_t code,
	const char *reason, const char **details_out)
{
	auto_(task_inputs_done) struct task_inputs inputs = {0};
	auto_(held_message_done) struct held_message reply = {
		.envelope = {
			.has_error = true, .error_code = code, .error_reason = strdup(reason)}};
	struct given_context no_context = {0};
	enum outcome outcome;

	*details_out = "no memory";
	if (!reply.envelope.error_reason)
		return OUTCOME_RESOURCE_EXHAUSTED;
	/* A worker that has failed early has not pulled the inputs, which the node expects. */
	(void)node_pull_task(node, handlers_now(), message, &inputs, details_out);
	outcome = node_reply_begin(node, handlers_now(), message, &reply, details_out);
	return outcome == OUTCOME_OK
		       ? node_push_task(node, handlers_now(), message, &no_context, details_out)
		       : outcome;
}

/* How it ended. token: the message's, which is spent now if outcome is OUTCOME_OK. */
static void answer_end(struct dialects *dialects, struct request *request, uint64_t token,
	enum outcome outcome, const char *details)
{
	struct slices nothing = {0};

	if (outcome == OUTCOME_OK) {
		held_calls_taken(dialects->held_calls, token);
		request_reply(request, &nothing);
	} else {
		refuse(dialects->admission, request, outcome, details);
	}
	handlers_changed(dialects);
}

struct ending {
	struct content content;
	struct task_output output;
	int context; /* what is wrong with the Context; 0: nothing, or there is none */
};

static int ending_read(struct content *content)
{
	struct ending *ending = container_of(content, struct ending, content);
	int r = task_decode_output(&content->request->body, &ending->output);

	slices_done(&content->request->body);
	if (r == 0 && ending->output.context.bytes.bytes)
		ending->context = given_context_check(&ending->output.context, MESSAGE_OBJECTS);
	return r;
}

static void output_came(struct dialects *dialects, struct request *request, struct message *message,
	struct task_output *output)
{
	struct node *node = dialects->admission->node;
	uint64_t token = node_message_token(message);
	const char *details = "";
	enum outcome outcome =
		node_push_task(node, handlers_now(), message, &output->context, &details);

	/* A task without a reply can only have failed. */
	if (outcome == OUTCOME_FAILED_PRECONDITION && output->sub_status[0] &&
		strcmp(output->sub_status, TASK_COMPLETED) != 0)
		outcome = fail(node, message, ERROR_CODE_CLIENT_APP_CRASHED,
			output->details[0] ? output->details : "the task has ended without a reply",
			&details);
	answer_end(dialects, request, token, outcome, details);
}

static bool ending_take(struct content *content, struct message *message)
{
	struct ending *ending = container_of(content, struct ending, content);
	struct admission *admission = content->service->admission;
	struct request *request = content->request;

	if (content->result)
		refuse_errno(admission, request, content->result);
	else if (ending->context)
		refuse_context(admission, request, ending->context);
	else
		output_came(content->service->dialect, request, message, &ending->output);
	return true;
}

static void ending_done(struct content *content)
{
	task_output_done(&container_of(content, struct ending, content)->output);
}

const struct content_kind tasks_output = {.bytes = sizeof(struct ending),
	.read = ending_read,
	.take = ending_take,
	.done = ending_done};

struct app_ending {
	struct content content;
	struct app_output output;
	int context; /* as above */
};

static int app_ending_read(struct content *content)
{
	struct app_ending *ending = container_of(content, struct app_ending, content);
	int r = app_decode_output(&content->request->body, &ending->output);

	slices_done(&content->request->body);
	if (r == 0 && ending->output.context.bytes.bytes)
		ending->context = given_context_check(&ending->output.context, MESSAGE_OBJECTS);
	return r;
}

static bool app_ending_take(struct content *content, struct message *message)
{
	struct app_ending *ending = container_of(content, struct app_ending, content);
	struct dialects *dialects = content->service->dialect;
	uint64_t token = node_message_token(message);
	const char *details = "";
	enum outcome outcome;

	if (content->result) {
		refuse_errno(dialects->admission, content->request, content->result);
	} else if (ending->context) {
		refuse_context(dialects->admission, content->request, ending->context);
	} else if (!ending->output.run_id ||
		   handlers_own_run(dialects, content->request, message, ending->output.run_id)) {
		outcome = node_push_task(dialects->admission->node, handlers_now(), message,
			&ending->output.context, &details);
		answer_end(dialects, content->request, token, outcome, details);
	}
	return true;
}

static void app_ending_done(struct content *content)
{
	app_output_done(&container_of(content, struct app_ending, content)->output);
}

const struct content_kind tasks_app_output = {.bytes = sizeof(struct app_ending),
	.read = app_ending_read,
	.take = app_ending_take,
	.done = app_ending_done};

void tasks_fail(void *arg, struct request *request, struct message *message)
{
	struct dialects *dialects = arg;
	auto_(envelope_done) struct envelope error = {0};
	uint64_t token = node_message_token(message);
	const char *details = "";
	enum outcome outcome;
	int r = envelope_decode(&request->body, &error);

	if (r || !error.has_error) {
		refuse_errno(dialects->admission, request, r ? r : -EBADMSG);
		return;
	}
	outcome = fail(
		dialects->admission->node, message, error.error_code, error.error_reason, &details);
	answer_end(dialects, request, token, outcome, details);
}
