/*
 * The reply's objects are made and hashed on the io thread; then the SuperNode says which of them
 * it wants, gets several at a time, and the Context in the end.
 */
#include "clientapp/api/task_internal.h"

#include "common/base/cleanup.h"
#include "common/message/object_calls_codec.h"
#include "common/records/items_codec.h"

#include <errno.h>
#include <stddef.h>
#include <string.h>

static void send_next(struct task *task);

static void forget(struct task_push *push)
{
	conversation_reply_done(&push->reply);
	object_list_done(&push->list);
	slices_done(&push->message_object);
	slices_done(&push->largest);
	slices_done(&push->tree);
	slices_done(&push->context);
	task_pushed_done(&push->wanted);
}

void task_push_done(struct task_push *push)
{
	forget(push);
	*push = (struct task_push){0};
}

static void finish(struct task *task, enum outcome outcome, const char *details)
{
	struct task_push *push = &task->push;
	struct reason why = {0};

	reason_set(&why, "%.400s", details);
	forget(push);
	if (outcome == OUTCOME_OK)
		task_heartbeat_end(task);
	push->done(push->arg, outcome, why.text, push->bytes);
}

/* ---- the end ---- */

static void output_taken(void *arg, struct carrier_result *result)
{
	finish(arg, result->outcome, result->details);
}

static void push_output(struct task *task)
{
	static const struct api_call call = {.what = "the context"};
	struct task_push *push = &task->push;
	const struct envelope *message = &push->reply.message;
	const struct task_output output = {.has_context = true,
		.context.bytes = push->context,
		.sub_status =
			(char *)(uintptr_t)(message->has_error ? TASK_FAILED : TASK_COMPLETED),
		.details = message->has_error ? message->error_reason : NULL};
	struct slices body = {0};

	task->ending = true;
	if (task->spelling->output(task->token, push->reply.context->run_id, &output, &body) ||
		task_call(task, API_PUSH_OUTPUT, &call, &body, output_taken, task))
		finish(task, OUTCOME_RESOURCE_EXHAUSTED, "no memory");
}

/* ---- objects ---- */

static int compare_ids(const void *a, const void *b)
{
	return memcmp(a, b, sizeof(struct object_id));
}

static bool wanted(const struct task_push *push, const struct object_id *id)
{
	return push->wanted.n_wanted > 0 &&
	       bsearch(id, push->wanted.wanted, push->wanted.n_wanted, sizeof *id, compare_ids);
}

/* false: there is none any more. */
static bool next_wanted(struct task_push *push, struct object_request *request)
{
	for (; push->next < push->list.n; push->next++) {
		struct object_entry *entry = &push->list.v[push->next];

		if (!wanted(push, &entry->id))
			continue;
		request->id = entry->id;
		request->content = entry->bytes;
		/* The request owns the bytes now: they are freed when they are sent, not at the
		 * end. */
		entry->bytes = (struct slices){0};
		push->next++;
		return true;
	}
	if (push->next > push->list.n)
		return false;
	push->next++;
	if (!wanted(push, &push->message_id))
		return false;
	request->id = push->message_id;
	request->content = push->message_object;
	push->message_object = (struct slices){0};
	return true;
}

static void failed(struct task_push *push, enum outcome outcome, const char *details)
{
	if (push->outcome != OUTCOME_OK)
		return;
	push->outcome = outcome;
	reason_set(&push->details, "%.400s", details);
}

static void object_taken(void *arg, struct carrier_result *result)
{
	struct task *task = arg;
	bool stored = false;

	task->push.in_flight--;
	if (result->outcome != OUTCOME_OK)
		failed(&task->push, result->outcome, result->details);
	else if (object_stored_decode(&result->body, &stored) || !stored)
		failed(&task->push, OUTCOME_INTERNAL,
			"the SuperNode has not stored an object of the reply");
	send_next(task);
}

static int send_object(struct task *task, struct object_request *request)
{
	static const struct api_call call = {.what = "an object of the reply"};
	struct task_push *push = &task->push;
	const struct context *context = push->reply.context;
	struct slices body = {0};
	int r;

	request->node_id = context->node_id;
	request->run_id = context->run_id;
	request->session_id = push->wanted.session_id;
	r = object_request_encode(request, &body);
	if (request->content.bytes >= push->largest.bytes) {
		slices_done(&push->largest);
		push->largest = request->content;
		request->content = (struct slices){0};
	}
	slices_done(&request->content);
	return r ? r : task_call(task, API_PUSH_OBJECT, &call, &body, object_taken, task);
}

static void send_next(struct task *task)
{
	struct task_push *push = &task->push;
	struct object_request request = {0};

	while (push->outcome == OUTCOME_OK && push->in_flight < TASK_IN_FLIGHT &&
		next_wanted(push, &request)) {
		if (send_object(task, &request))
			failed(push, OUTCOME_RESOURCE_EXHAUSTED, "no memory");
		else
			push->in_flight++;
	}
	if (push->in_flight > 0)
		return;
	if (push->outcome == OUTCOME_OK)
		push_output(task);
	else
		finish(task, push->outcome, push->details.text);
}

/* ---- the message ---- */

static void message_taken(void *arg, struct carrier_result *result)
{
	struct task *task = arg;
	struct task_push *push = &task->push;

	if (result->outcome != OUTCOME_OK) {
		finish(task, result->outcome, result->details);
		return;
	}
	if (task_decode_pushed(&result->body, &push->wanted)) {
		finish(task, OUTCOME_INTERNAL, "the SuperNode's answer cannot be decoded");
		return;
	}
	if (push->wanted.n_wanted > 0)
		qsort(push->wanted.wanted, push->wanted.n_wanted, sizeof *push->wanted.wanted,
			compare_ids);
	send_next(task);
}

/* The message without its content, which is there and empty, under its id. */
static int push_message(struct task *task)
{
	static const struct api_call call = {0};
	struct task_push *push = &task->push;
	struct envelope *message = &push->reply.message;
	auto_(task_messages_done) struct task_messages messages = {.n_messages = 1, .n_trees = 1};
	struct slices body = {0};
	int r;

	free(message->metadata.message_id);
	message->metadata.message_id = malloc(OBJECT_ID_TEXT_BYTES);
	if (!message->metadata.message_id)
		return -ENOMEM;
	object_id_format(&push->message_id, message->metadata.message_id);
	r = envelope_encode(message, &messages.message);
	if (r == 0)
		r = slices_append_refs(&messages.tree, &push->tree);
	if (r == 0)
		r = task->spelling->push(
			task->token, push->reply.context->run_id, &messages, &body);
	return r ? r : task_call(task, API_PUSH_MESSAGE, &call, &body, message_taken, task);
}

static int encode(struct task_push *push)
{
	const struct envelope *message = &push->reply.message;
	bool content = message->has_content;
	int r = 0;

	if (content)
		r = objects_encode(&push->reply.content, OBJECTS_CHUNK_BYTES, &push->list);
	if (r == 0)
		r = envelope_message_object(message, content ? &push->list.root : NULL,
			&push->message_object, &push->message_id);
	if (r == 0)
		r = object_tree_encode(
			&push->message_id, &push->list.tree, content ? 1 : 0, &push->tree);
	if (r == 0)
		r = conversation_encode_context(&push->reply, items_encode, &push->context);
	return r;
}

static void encode_run(struct job *job)
{
	struct task_push *push = container_of(job, struct task_push, encode);

	push->result = encode(push);
	push->bytes = push->context.bytes + push->message_object.bytes;
	for (size_t i = 0; i < push->list.n; i++)
		push->bytes += push->list.v[i].bytes.bytes;
	/* The objects refer to what is still needed of them. */
	record_dict_done(&push->reply.content);
	record_dict_done(&push->reply.state);
}

static void encode_done(struct job *job)
{
	struct task_push *push = container_of(job, struct task_push, encode);
	struct task *task = container_of(push, struct task, push);
	int r = push->result;

	if (!task_job_over(task))
		return;
	if (r == 0)
		r = push_message(task);
	if (r == -EILSEQ)
		finish(task, OUTCOME_INVALID_ARGUMENT, "a name in the reply is no UTF-8");
	else if (r)
		finish(task, OUTCOME_RESOURCE_EXHAUSTED, "no memory for the reply");
}

int task_push(struct conversation *conversation, struct conversation_reply *reply,
	conversation_pushed_fn *done, void *arg)
{
	struct task *task = task_of(conversation);
	int r;

	task_push_done(&task->push);
	task->ending = false;
	task->push = (struct task_push){.done = done,
		.arg = arg,
		.reply = *reply,
		.encode = {.run = encode_run, .done = encode_done}};
	*reply = (struct conversation_reply){0};
	r = task_job(task, &task->push.encode);
	if (r)
		forget(&task->push);
	return r;
}
