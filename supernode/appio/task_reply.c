/*
 * A reply is announced by PushMessages (its tree says which objects it has), filled by PushObject
 * in any order, and taken with the Context by PushTaskOutput.
 */
#include "common/base/cleanup.h"
#include "common/base/clock.h"
#include "common/message/envelope.h"
#include "common/message/object_calls_codec.h"
#include "common/message/task_codec.h"
#include "supernode/appio/refuse.h"
#include "supernode/appio/task_internal.h"

#include <errno.h>
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
static int prepare(struct task *task, struct envelope *reply, struct object_tree *tree,
	struct task_pushed *pushed, struct reason *why)
{
	int r;

	pushed->message_id = strdup(reply->metadata.message_id);
	if (!pushed->message_id)
		return -ENOMEM;
	if (reply->has_error)
		return 0;
	if (!task->spool)
		return reason_code(why, -ENOMEM, "the SuperNode keeps no objects");
	slices_done(&reply->content);
	r = object_set_new(task->spool, tree, &reply->objects);
	if (r == 0 && task->own_workers)
		object_set_skip_large_hashes(reply->objects);
	return r ? r : list_missing(reply->objects, pushed);
}

static void refuse_announced(
	struct task *task, struct request *request, int r, const struct reason *why)
{
	if (r == -ENOMEM || !why->text[0])
		refuse_errno(task->listener, request, r);
	else
		refuse(task->listener, request,
			r == -EMSGSIZE ? OUTCOME_RESOURCE_EXHAUSTED : OUTCOME_INVALID_ARGUMENT,
			why->text);
}

static void announced(struct task *task, struct request *request, uint64_t token)
{
	auto_(envelope_done) struct envelope reply = {0};
	auto_(object_tree_done) struct object_tree tree = {0};
	auto_(task_pushed_done) struct task_pushed pushed = {0};
	auto_(slices_done) struct slices body = {0};
	const struct envelope *instruction = node_instruction(task->node, token);
	const char *details = "";
	struct reason why = {0};
	enum outcome outcome;
	int r = read_announced(&request->body, &reply, &tree, &why);

	if (r == 0 && instruction && instruction->metadata.run_id != reply.metadata.run_id) {
		refuse(task->listener, request, OUTCOME_PERMISSION_DENIED,
			"the message is of another run than the task");
		return;
	}
	if (r == 0)
		r = prepare(task, &reply, &tree, &pushed, &why);
	if (r) {
		refuse_announced(task, request, r, &why);
		return;
	}
	outcome = node_reply_begin(task->node, now(), token, &reply, &details);
	if (outcome != OUTCOME_OK)
		refuse(task->listener, request, outcome, details);
	else
		task_answer(task, request, task_encode_pushed(&pushed, &body), &body);
	task->ops->changed(task->arg);
}

void task_push_messages(void *server, struct request *request)
{
	struct task *task = server;
	uint64_t token;

	intake_received(&task->intake, request);
	if (task_token(task, request, &token))
		announced(task, request, token);
	intake_release(&task->intake);
}

/* ---- PushObject ---- */

/* One that is being checked. */
struct put {
	struct task *task;
	struct request *request;
};

static void answer_stored(struct task *task, struct request *request, bool stored)
{
	auto_(slices_done) struct slices body = {0};

	task_answer(task, request, object_stored_encode(stored, &body), &body);
}

static void put_done(void *arg, size_t index, int r, const struct reason *why)
{
	struct put *put = arg;
	struct task *task = put->task;

	(void)index;
	if (r == 0) {
		answer_stored(task, put->request, true);
	} else if (r == -EBADMSG) {
		listener_complain(task->listener, put->request->peer, why->text);
		answer_stored(task, put->request, false);
	} else {
		refuse(task->listener, put->request, OUTCOME_RESOURCE_EXHAUSTED,
			"the SuperNode has no room for the object");
	}
	free(put);
	intake_release(&task->intake);
}

/* 0: put_done() comes. 1: it is none of the reply's; negative. */
static int put_object(struct task *task, struct request *request, uint64_t token)
{
	auto_(object_request_done) struct object_request object = {0};
	auto_(free_at_exit) struct put *put = malloc(sizeof *put);
	struct object_set *set = node_reply_objects(task->node, token);
	ptrdiff_t index;
	int r = object_request_decode(&request->body, &object);

	slices_done(&request->body);
	if (r || !put)
		return r ? r : -ENOMEM;
	index = set ? object_tree_find(object_set_tree(set), &object.id) : -1;
	if (index < 0)
		return 1;
	*put = (struct put){.task = task, .request = request};
	r = object_set_put(set, (size_t)index, &object.content, put_done, put);
	if (r == 0)
		take_pointer(&put);
	return r;
}

void task_push_object(void *server, struct request *request)
{
	struct task *task = server;
	uint64_t token;
	int r;

	intake_received(&task->intake, request);
	if (task_token(task, request, &token)) {
		r = put_object(task, request, token);
		if (r == 0)
			return;
		if (r > 0)
			answer_stored(task, request, false);
		else if (r == -EBADMSG || r == -EMSGSIZE)
			refuse_errno(task->listener, request, r);
		else
			refuse(task->listener, request, OUTCOME_RESOURCE_EXHAUSTED,
				"the SuperNode has no room for the object");
	}
	intake_release(&task->intake);
}

/* ---- the end ---- */

/* Answer the message of a token with an error, whatever its worker has done or not. */
static enum outcome fail(struct task *task, uint64_t token, int64_t code, const char *reason,
	const char **details_out)
{
	auto_(task_inputs_done) struct task_inputs inputs = {0};
	auto_(envelope_done) struct envelope reply = {
		.has_error = true, .error_code = code, .error_reason = strdup(reason)};
	struct slices no_context = {0};
	enum outcome outcome;

	*details_out = "no memory";
	if (!reply.error_reason)
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
		refuse(task->listener, request, outcome, details);
	}
	task->ops->changed(task->arg);
}

static void output_came(struct task *task, struct request *request, uint64_t token)
{
	auto_(task_output_done) struct task_output output = {0};
	const char *details = "";
	enum outcome outcome;
	int r = task_decode_output(&request->body, &output);

	slices_done(&request->body);
	if (r) {
		refuse_errno(task->listener, request, r);
		return;
	}
	outcome = node_push_task(task->node, now(), token, &output.context, &details);
	/* Without a reply it can end in one way only. */
	if (outcome == OUTCOME_FAILED_PRECONDITION && output.sub_status[0] &&
		strcmp(output.sub_status, TASK_COMPLETED) != 0)
		outcome = fail(task, token, ERROR_CODE_CLIENT_APP_CRASHED,
			output.details[0] ? output.details : "the task has ended without a reply",
			&details);
	answer_end(task, request, token, outcome, details);
}

void task_push_output(void *server, struct request *request)
{
	struct task *task = server;
	uint64_t token;

	intake_received(&task->intake, request);
	if (task_token(task, request, &token))
		output_came(task, request, token);
	intake_release(&task->intake);
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
		refuse_errno(task->listener, request, r ? r : -EBADMSG);
		return;
	}
	outcome = fail(task, token, error.error_code, error.error_reason, &details);
	answer_end(task, request, token, outcome, details);
}
