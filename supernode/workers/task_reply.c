/*
 * A reply is announced by PushMessages (its tree says which objects it has), filled by PushObject
 * in any order, and taken with the Context by PushTaskOutput.
 */
#include "common/base/cleanup.h"
#include "common/base/clock.h"
#include "common/message/envelope.h"
#include "common/message/object_calls_codec.h"
#include "common/message/task_codec.h"
#include "supernode/store/object_store.h"
#include "supernode/workers/given_context.h"
#include "supernode/workers/reading.h"
#include "supernode/workers/refuse.h"
#include "supernode/workers/task_internal.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

static struct node_now now(void)
{
	return (struct node_now){clock_now_ms(), clock_wall_s()};
}

void task_admit_content(void *server, struct request *request)
{
	struct task *task = server;

	if (task_admits(task, request))
		intake_admit(&task->intake, request);
}

/* ---- PushMessages ---- */

/* The envelope of what was announced. 0; -ENOMEM; -EBADMSG, -EMSGSIZE with a sentence. */
static int read_announced(const struct slices *body, struct envelope *reply,
	struct object_tree *tree, struct reason *why)
{
	auto_(task_messages_done) struct task_messages messages = {0};
	char root[OBJECT_ID_TEXT_BYTES];
	int r = task_decode_push(body, &messages);

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

/* What is announced is content of objects, or an error, of which no object is needed. */
static int prepare(struct task *task, struct held_message *reply, struct object_tree *tree,
	struct task_pushed *pushed, struct reason *why)
{
	int r;

	pushed->message_id = strdup(reply->envelope.metadata.message_id);
	if (!pushed->message_id)
		return -ENOMEM;
	if (reply->envelope.has_error)
		return 0;
	if (!task->spool)
		return reason_code(why, -ENOMEM, "the SuperNode keeps no objects");
	slices_done(&reply->envelope.content);
	r = object_set_new(task->spool, tree, &reply->objects);
	if (r == 0 && task->own_workers)
		object_set_skip_large_hashes(reply->objects);
	return r ? r : list_missing(reply->objects, pushed);
}

static void refuse_announced(
	struct task *task, struct request *request, int r, const struct reason *why)
{
	if (r == -ENOMEM || !why->text[0])
		refuse_errno(task->guests, request, r);
	else
		refuse(task->guests, request,
			r == -EMSGSIZE ? OUTCOME_RESOURCE_EXHAUSTED : OUTCOME_INVALID_ARGUMENT,
			why->text);
}

struct announcement {
	struct reading reading;
	struct task *task;
	struct held_message reply;
	struct object_tree tree;
	struct reason why;
};

static int announcement_read(struct reading *reading)
{
	struct announcement *said = container_of(reading, struct announcement, reading);

	return read_announced(
		&reading->request->body, &said->reply.envelope, &said->tree, &said->why);
}

static void announced(struct announcement *said, struct request *request, uint64_t token)
{
	auto_(task_pushed_done) struct task_pushed pushed = {0};
	auto_(slices_done) struct slices body = {0};
	struct task *task = said->task;
	const struct held_message *instruction = node_instruction(task->node, token);
	const char *details = "";
	enum outcome outcome;
	int r = said->reading.result;

	if (r == 0 && instruction &&
		instruction->envelope.metadata.run_id != said->reply.envelope.metadata.run_id) {
		refuse(task->guests, request, OUTCOME_PERMISSION_DENIED,
			"the message is of another run than the task");
		return;
	}
	if (r == 0)
		r = prepare(task, &said->reply, &said->tree, &pushed, &said->why);
	if (r) {
		refuse_announced(task, request, r, &said->why);
		return;
	}
	outcome = node_reply_begin(task->node, now(), token, &said->reply, &details);
	if (outcome != OUTCOME_OK)
		refuse(task->guests, request, outcome, details);
	else
		task_answer(task, request, task_encode_pushed(&pushed, &body), &body);
	task->ops->changed(task->arg);
}

static void announcement_done(struct reading *reading)
{
	struct announcement *said = container_of(reading, struct announcement, reading);
	struct task *task = said->task;
	uint64_t token;

	/* It may be of no use any more. */
	if (task_token(task, reading->request, &token))
		announced(said, reading->request, token);
	held_message_done(&said->reply);
	object_tree_done(&said->tree);
	free(said);
	intake_release(&task->intake);
}

void task_push_messages(void *server, struct request *request)
{
	struct task *task = server;
	struct announcement *said = NULL;
	uint64_t token;

	intake_received(&task->intake, request);
	if (task_token(task, request, &token)) {
		said = calloc(1, sizeof *said);
		if (!said)
			refuse_errno(task->guests, request, -ENOMEM);
	}
	if (!said) {
		intake_release(&task->intake);
		return;
	}
	said->task = task;
	said->reading = (struct reading){
		.request = request, .read = announcement_read, .done = announcement_done};
	reading_start(task->loop, &said->reading);
}

/* ---- PushObject ---- */

/* One that is being read, then checked. */
struct put {
	struct reading reading;
	struct task *task;
	struct request *request;
	struct object_request object;
};

static void put_end(struct put *put)
{
	struct task *task = put->task;

	object_request_done(&put->object);
	free(put);
	intake_release(&task->intake);
}

static void answer_stored(struct task *task, struct request *request, bool stored)
{
	auto_(slices_done) struct slices body = {0};

	task_answer(task, request, object_stored_encode(stored, &body), &body);
}

static void refuse_put(struct task *task, struct request *request, int r)
{
	if (r == -EBADMSG || r == -EMSGSIZE)
		refuse_errno(task->guests, request, r);
	else
		refuse(task->guests, request, OUTCOME_RESOURCE_EXHAUSTED,
			"the SuperNode has no room for the object");
}

static void put_done(void *arg, size_t index, int r, const struct reason *why)
{
	struct put *put = arg;
	struct task *task = put->task;

	(void)index;
	if (r == 0) {
		answer_stored(task, put->request, true);
	} else if (r == -EBADMSG) {
		guests_complain(task->guests, put->request->peer, why->text);
		answer_stored(task, put->request, false);
	} else {
		refuse(task->guests, put->request, OUTCOME_RESOURCE_EXHAUSTED,
			r == -EDQUOT ? why->text : "the SuperNode has no room for the object");
	}
	put_end(put);
}

static int put_read(struct reading *reading)
{
	struct put *put = container_of(reading, struct put, reading);
	int r = object_request_decode(&reading->request->body, &put->object);

	slices_done(&reading->request->body);
	return r;
}

/* 0: put_done() comes. 1: it is none of the reply's; negative. */
static int put_object(struct put *put, uint64_t token)
{
	struct object_set *set = node_reply_objects(put->task->node, token);
	ptrdiff_t index = set ? object_tree_find(object_set_tree(set), &put->object.id) : -1;

	if (index < 0)
		return 1;
	return object_set_put(set, (size_t)index, &put->object.content, put_done, put);
}

static void put_was_read(struct reading *reading)
{
	struct put *put = container_of(reading, struct put, reading);
	struct task *task = put->task;
	uint64_t token;
	int r;

	/* It may be of no use any more. */
	if (task_token(task, put->request, &token)) {
		r = reading->result ? reading->result : put_object(put, token);
		if (r == 0)
			return;
		if (r > 0)
			answer_stored(task, put->request, false);
		else
			refuse_put(task, put->request, r);
	}
	put_end(put);
}

void task_push_object(void *server, struct request *request)
{
	struct task *task = server;
	struct put *put = NULL;
	uint64_t token;

	intake_received(&task->intake, request);
	if (task_token(task, request, &token)) {
		put = calloc(1, sizeof *put);
		if (!put)
			refuse_put(task, request, -ENOMEM);
	}
	if (!put) {
		intake_release(&task->intake);
		return;
	}
	*put = (struct put){.task = task,
		.request = request,
		.reading = {.request = request, .read = put_read, .done = put_was_read}};
	reading_start(task->loop, &put->reading);
}

/* ---- the end ---- */

/* Answer the message of a token with an error, whatever its worker has done or not. */
static enum outcome fail(struct task *task, uint64_t token, int64_t code, const char *reason,
	const char **details_out)
{
	auto_(task_inputs_done) struct task_inputs inputs = {0};
	auto_(held_message_done) struct held_message reply = {
		.envelope = {
			.has_error = true, .error_code = code, .error_reason = strdup(reason)}};
	struct slices no_context = {0};
	enum outcome outcome;

	*details_out = "no memory";
	if (!reply.envelope.error_reason)
		return OUTCOME_RESOURCE_EXHAUSTED;
	/* It may not have pulled anything; who has may not do so again. */
	(void)node_pull_task(task->node, now(), token, &inputs, details_out);
	outcome = node_reply_begin(task->node, now(), token, &reply, details_out);
	return outcome == OUTCOME_OK
		       ? node_push_task(task->node, now(), token, &no_context, details_out)
		       : outcome;
}

static void answer_end(struct task *task, struct request *request, uint64_t token,
	enum outcome outcome, const char *details)
{
	struct slices nothing = {0};

	if (outcome == OUTCOME_OK) {
		waiting_taken(task->waiting, token);
		request_reply(request, &nothing);
	} else {
		refuse(task->guests, request, outcome, details);
	}
	task->ops->changed(task->arg);
}

struct ending {
	struct reading reading;
	struct task *task;
	struct task_output output;
	int context; /* what is wrong with the Context; 0: nothing, or there is none */
};

static int ending_read(struct reading *reading)
{
	struct ending *ending = container_of(reading, struct ending, reading);
	int r = task_decode_output(&reading->request->body, &ending->output);

	slices_done(&reading->request->body);
	if (r == 0 && ending->output.context.bytes)
		ending->context = given_context_check(&ending->output.context, MESSAGE_OBJECTS);
	return r;
}

static void output_came(
	struct task *task, struct request *request, uint64_t token, struct task_output *output)
{
	const char *details = "";
	enum outcome outcome = node_push_task(task->node, now(), token, &output->context, &details);

	/* Without a reply it can end in one way only. */
	if (outcome == OUTCOME_FAILED_PRECONDITION && output->sub_status[0] &&
		strcmp(output->sub_status, TASK_COMPLETED) != 0)
		outcome = fail(task, token, ERROR_CODE_CLIENT_APP_CRASHED,
			output->details[0] ? output->details : "the task has ended without a reply",
			&details);
	answer_end(task, request, token, outcome, details);
}

static void ending_done(struct reading *reading)
{
	struct ending *ending = container_of(reading, struct ending, reading);
	struct task *task = ending->task;
	uint64_t token;

	/* It may be of no use any more. */
	if (task_token(task, reading->request, &token)) {
		if (reading->result)
			refuse_errno(task->guests, reading->request, reading->result);
		else if (ending->context)
			refuse_context(task->guests, reading->request, ending->context);
		else
			output_came(task, reading->request, token, &ending->output);
	}
	task_output_done(&ending->output);
	free(ending);
	intake_release(&task->intake);
}

void task_push_output(void *server, struct request *request)
{
	struct task *task = server;
	struct ending *ending = NULL;
	uint64_t token;

	intake_received(&task->intake, request);
	if (task_token(task, request, &token)) {
		ending = calloc(1, sizeof *ending);
		if (!ending)
			refuse_errno(task->guests, request, -ENOMEM);
	}
	if (!ending) {
		intake_release(&task->intake);
		return;
	}
	ending->task = task;
	ending->reading =
		(struct reading){.request = request, .read = ending_read, .done = ending_done};
	reading_start(task->loop, &ending->reading);
}

void task_fail(void *server, struct request *request)
{
	struct task *task = server;
	auto_(envelope_done) struct envelope error = {0};
	const char *details = "";
	enum outcome outcome;
	uint64_t token;
	int r;

	if (!task_token(task, request, &token))
		return;
	r = envelope_decode(&request->body, &error);
	if (r || !error.has_error) {
		refuse_errno(task->guests, request, r ? r : -EBADMSG);
		return;
	}
	outcome = fail(task, token, error.error_code, error.error_reason, &details);
	answer_end(task, request, token, outcome, details);
}
