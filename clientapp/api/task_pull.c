/*
 * Input, message, objects: several objects are asked for at a time, and each is checked, on the
 * io thread: our own SuperNode has left that to us. There the pieces of arrays go, in
 * their order, to a memory file, which the app process is given; so they take memory once, and an
 * array lies there in one piece. When all are here they are read, on that thread, too: arrays then
 * refer to that file, or to what came.
 */
#include "clientapp/api/task_internal.h"

#include "common/base/cleanup.h"
#include "common/base/clock.h"
#include "common/base/pace.h"
#include "common/message/object_calls_codec.h"
#include "common/records/items_codec.h"

#include <errno.h>
#include <inttypes.h>
#include <stddef.h>
#include <string.h>

/* Waiting for an object that the SuperNode has not got yet. */
#define AWAIT_FIRST_MS  1000
#define AWAIT_MAX_MS    10000
#define AWAIT_TRIES_MAX 500
/* A smaller piece of an array stays where it came. */
#define LAID_MIN_BYTES 65536

static void fetch_next(struct task_fetch *fetch);

void task_pull_done(struct task_pull *pull)
{
	for (size_t i = 0; pull->objects && i < pull->tree.n; i++)
		slices_done(&pull->objects[i].bytes);
	free(pull->objects);
	for (size_t i = 0; i < TASK_IN_FLIGHT; i++) {
		timer_free(pull->fetch[i].timer);
		slices_done(&pull->fetch[i].content);
	}
	object_tree_done(&pull->tree);
	conversation_inputs_done(&pull->inputs);
	*pull = (struct task_pull){0};
}

/* ---- its end ---- */

static void confirmed(void *arg, struct carrier_result *result)
{
	const struct task *task = arg;

	if (result->outcome != OUTCOME_OK)
		log_debug(task->log, "ConfirmMessageReceived: %s: %s",
			outcome_name(result->outcome), result->details);
}

/* The SuperNode may forget the objects: nobody waits for its answer. */
static void confirm(struct task *task)
{
	static const struct api_call call = {0};
	const struct task_pull *pull = &task->pull;
	const struct object_request request = {.node_id = pull->inputs.context.node_id,
		.run_id = pull->inputs.context.run_id,
		.id = pull->tree.v[pull->tree.n - 1].id};
	struct slices body = {0};

	if (object_request_encode(&request, &body) ||
		task_call(task, API_CONFIRM, &call, &body, confirmed, task))
		slices_done(&body);
}

static void finish(struct task *task)
{
	struct task_pull pull = task->pull;
	auto_(conversation_inputs_done) struct conversation_inputs inputs = pull.inputs;

	task->pull.inputs = (struct conversation_inputs){0};
	task_pull_done(&task->pull);
	if (pull.outcome != OUTCOME_OK)
		task_heartbeat_end(task);
	pull.done(pull.arg, pull.outcome, &inputs, pull.details.text);
}

/* Without inputs. */
static void give_up(struct task *task, enum outcome outcome, const char *details)
{
	task->pull.outcome = outcome;
	reason_set(&task->pull.details, "%.400s", details);
	finish(task);
}

/* End the pull with inputs that cannot be used. */
static void give_broken(struct task *task, const char *why)
{
	if (!task->pull.inputs.broken.text[0])
		reason_set(&task->pull.inputs.broken, "%.400s", why);
	finish(task);
}

/* ---- reading ---- */

static int get_object(void *arg, const struct object_id *id, struct slices *out)
{
	const struct task_pull *pull = arg;
	ptrdiff_t index = object_tree_find(&pull->tree, id);
	const struct task_object *object;
	struct slice body;
	int r;

	if (index < 0)
		return -ENOENT;
	object = &pull->objects[index];
	r = slices_append_refs(out, &object->bytes);
	if (r == 0 && object->body_bytes) {
		r = memory_file_get(pull->inputs.file, object->offset, object->body_bytes, &body);
		if (r == 0)
			r = slices_append(out, body);
	}
	return r;
}

static void decode_run(struct job *job)
{
	struct task_pull *pull = container_of(job, struct task_pull, decode);
	const struct task *task = container_of(pull, const struct task, pull);
	const struct objects_source source = {get_object, pull, task->content_max_bytes};
	const struct object_node *root = &pull->tree.v[pull->tree.n - 1];
	struct conversation_inputs *inputs = &pull->inputs;
	int r = 0;

	if (inputs->message.has_content)
		r = objects_decode(&source, &pull->tree.v[root->children[0]].id, &inputs->content,
			&inputs->broken);
	inputs->too_large = r == -EDQUOT;
	if (r == 0)
		r = items_decode(&inputs->context.state, &inputs->state, &inputs->broken);
	if (r && !inputs->broken.text[0])
		reason_set(&inputs->broken, "no memory for the inputs");
}

static void decode_done(struct job *job)
{
	struct task_pull *pull = container_of(job, struct task_pull, decode);
	struct task *task = container_of(pull, struct task, pull);

	if (!task_job_over(task))
		return;
	confirm(task);
	finish(task);
}

static bool idle(const struct task_pull *pull)
{
	for (size_t i = 0; i < TASK_IN_FLIGHT; i++)
		if (pull->fetch[i].busy)
			return false;
	return true;
}

/* Nothing is on its way any more. */
static void fetched(struct task *task)
{
	struct task_pull *pull = &task->pull;

	if (!idle(pull))
		return;
	if (pull->outcome != OUTCOME_OK || pull->broken) {
		finish(task);
		return;
	}
	pull->decode = (struct job){.run = decode_run, .done = decode_done};
	if (task_job(task, &pull->decode))
		give_broken(task, "no memory for the inputs");
}

/* ---- objects ---- */

/* The message has too much; its other objects are not fetched. */
static void fetch_is_too_large(struct task_fetch *fetch)
{
	struct task_pull *pull = &fetch->task->pull;

	pull->broken = pull->inputs.too_large = true;
	reason_set(&pull->inputs.broken,
		"the objects of the message have more than %" PRIu64 " bytes", pull->bytes_max);
	fetch_next(fetch);
}

/* End the fetch, and begin no other. */
static void fetch_failed(struct task_fetch *fetch, enum outcome outcome, const char *details)
{
	struct task_pull *pull = &fetch->task->pull;

	if (outcome == OUTCOME_OK) {
		pull->broken = true;
		pull->inputs.unavailable = true;
		reason_set(&pull->inputs.broken, "%.400s", details);
	} else {
		pull->outcome = outcome;
		reason_set(&pull->details, "%.400s", details);
	}
	fetch_next(fetch);
}

/* 0; -ENODATA: it is no piece of an array, or a small one; or it cannot be done: it stays where it
 * is. */
static int lay(struct memory_file **file, struct task_object *object)
{
	auto_(object_head_done) struct object_head head = {0};
	auto_(slices_done) struct slices first = {0};
	auto_(slices_done) struct slices body = {0};
	uint8_t bytes[64]; /* the head of what has no children */
	int r = object->bytes.bytes < LAID_MIN_BYTES
			? -ENODATA
			: object_head_parse(&object->bytes, &head, NULL);

	if (r == 0 && (head.type != OBJECT_ARRAY_CHUNK || head.body_offset > sizeof bytes))
		r = -ENODATA;
	if (r == 0)
		r = slices_read(&object->bytes, 0, bytes, head.body_offset);
	if (r == 0)
		r = slices_append_copy(&first, bytes, head.body_offset);
	if (r == 0)
		r = slices_append_range(&body, &object->bytes, head.body_offset, head.body_bytes);
	if (r == 0 && !*file)
		r = memory_file_new("flwr-task", file);
	if (r == 0)
		r = memory_file_append(*file, &body, &object->offset);
	if (r < 0)
		return r;
	object->body_bytes = head.body_bytes;
	slices_done(&object->bytes);
	object->bytes = first;
	first = (struct slices){0};
	return 0;
}

static void check_run(struct job *job)
{
	struct task_fetch *fetch = container_of(job, struct task_fetch, job);
	struct task_pull *pull = &fetch->task->pull;

	fetch->result = object_check_id(&fetch->content, &pull->tree.v[fetch->index].id);
	if (fetch->result)
		return;
	pull->objects[fetch->index].bytes = fetch->content;
	fetch->content = (struct slices){0};
	/* Objects are laid in their order, up to the first that is missing. */
	while (pull->laid < pull->tree.n && pull->objects[pull->laid].bytes.bytes > 0)
		(void)lay(&pull->inputs.file, &pull->objects[pull->laid++]);
}

static void check_done(struct job *job)
{
	struct task_fetch *fetch = container_of(job, struct task_fetch, job);
	int r = fetch->result;

	if (!task_job_over(fetch->task))
		return;
	if (r) {
		slices_done(&fetch->content);
		fetch_failed(fetch, OUTCOME_OK,
			r == -EBADMSG
				? "an object of the message is not what its id says: it is broken at the SuperLink, or on its way"
				: "no memory for the message");
		return;
	}
	fetch_next(fetch);
}

/* false: it is not there yet, and has been waited for long enough. */
static bool wait_for_object(struct task_fetch *fetch)
{
	if (++fetch->tries > AWAIT_TRIES_MAX)
		return false;
	timer_set(fetch->timer, clock_after(clock_now_ms(), pace_double(&fetch->wait_ms,
								    AWAIT_FIRST_MS, AWAIT_MAX_MS)));
	return true;
}

static void fetch_answered(void *arg, struct carrier_result *result)
{
	struct task_fetch *fetch = arg;
	struct task_pull *pull = &fetch->task->pull;
	auto_(object_pulled_done) struct object_pulled pulled = {0};

	if (result->outcome != OUTCOME_OK) {
		fetch_failed(fetch, result->outcome, result->details);
	} else if (object_pulled_decode(&result->body, &pulled)) {
		fetch_failed(fetch, OUTCOME_INTERNAL, "the SuperNode's answer cannot be decoded");
	} else if (!pulled.found) {
		fetch_failed(fetch, OUTCOME_OK,
			"an object of the message is not at the SuperNode any more");
	} else if (!pulled.available) {
		if (!wait_for_object(fetch))
			fetch_failed(fetch, OUTCOME_OK,
				"an object of the message did not come to the SuperNode");
	} else if (pulled.content.bytes > pull->bytes_max - pull->inputs.content_bytes) {
		fetch_is_too_large(fetch);
	} else {
		slices_done(&result->body);
		pull->inputs.content_bytes += pulled.content.bytes;
		fetch->content = pulled.content;
		pulled.content = (struct slices){0};
		fetch->job = (struct job){.run = check_run, .done = check_done};
		if (task_job(fetch->task, &fetch->job))
			fetch_failed(fetch, OUTCOME_OK, "no memory for the message");
	}
}

static void fetch_ask(void *arg)
{
	static const struct api_call call = {
		.what = "an object of the message", .again_if_full = true};
	struct task_fetch *fetch = arg;
	const struct task_pull *pull = &fetch->task->pull;
	const struct object_request request = {.node_id = pull->inputs.context.node_id,
		.run_id = pull->inputs.context.run_id,
		.id = pull->tree.v[fetch->index].id};
	struct slices body = {0};

	if (object_request_encode(&request, &body) ||
		task_call(fetch->task, API_PULL_OBJECT, &call, &body, fetch_answered, fetch))
		fetch_failed(fetch, OUTCOME_RESOURCE_EXHAUSTED, "no memory");
}

/* The Message object, the last one, tells nothing that is not known. */
static void fetch_next(struct task_fetch *fetch)
{
	struct task_pull *pull = &fetch->task->pull;

	fetch->busy = pull->outcome == OUTCOME_OK && !pull->broken && pull->next + 1 < pull->tree.n;
	if (!fetch->busy) {
		fetched(fetch->task);
		return;
	}
	fetch->index = pull->next++;
	fetch->wait_ms = 0;
	fetch->tries = 0;
	fetch_ask(fetch);
}

static int fetch_begin(struct task *task)
{
	struct task_pull *pull = &task->pull;

	pull->bytes_max = object_tree_bytes_max(&pull->tree, task->content_max_bytes);
	pull->objects = calloc(pull->tree.n, sizeof *pull->objects);
	if (!pull->objects)
		return -ENOMEM;
	for (size_t i = 0; i < TASK_IN_FLIGHT; i++) {
		pull->fetch[i].task = task;
		pull->fetch[i].timer = timer_new(task->loop, fetch_ask, &pull->fetch[i]);
		if (!pull->fetch[i].timer)
			return -ENOMEM;
	}
	/* All count as busy until each has found nothing to do. */
	for (size_t i = 0; i < TASK_IN_FLIGHT; i++)
		pull->fetch[i].busy = true;
	for (size_t i = 0; i < TASK_IN_FLIGHT; i++)
		fetch_next(&task->pull.fetch[i]);
	return 0;
}

/* ---- input and message ---- */

/* 0; 1: the metadata is here, but the message is broken, which inputs.broken says; negative. */
static int read_message(struct task_pull *pull, const struct task_messages *messages)
{
	struct conversation_inputs *inputs = &pull->inputs;
	int r = envelope_decode(&messages->message, &inputs->message);

	if (r)
		return r;
	slices_done(&inputs->message.content);
	r = object_tree_decode(&messages->tree, &pull->tree, &inputs->broken);
	if (r == 0 && inputs->message.has_content &&
		pull->tree.v[pull->tree.n - 1].n_children != 1) {
		reason_set(&inputs->broken, "the message's objects are not those of a content");
		r = 1;
	}
	return r == -ENOMEM ? r : r ? 1 : 0;
}

/* Did the SuperNode not know the method, and does another release call it otherwise? That spelling
 * is the task's from now on. */
static bool spelt_otherwise(struct task *task, enum outcome outcome)
{
	if (!task->spelling->older || !spelling_is_unknown(outcome))
		return false;
	task->spelling = task->spelling->older;
	return true;
}

static void ask_for_message(struct task *task);

static void message_came(void *arg, struct carrier_result *result)
{
	struct task *task = arg;
	auto_(task_messages_done) struct task_messages messages = {0};
	int r;

	if (spelt_otherwise(task, result->outcome)) {
		ask_for_message(task);
		return;
	}
	if (result->outcome != OUTCOME_OK) {
		give_up(task, result->outcome, result->details);
		return;
	}
	r = task_decode_pulled(&result->body, &messages);
	if (r == 0 && messages.n_messages == 0) {
		give_up(task, OUTCOME_FAILED_PRECONDITION, "it has no message for this task");
		return;
	}
	if (r == 0)
		r = read_message(&task->pull, &messages);
	if (r == 0 && task->without_content) {
		confirm(task);
		r = 1;
	}
	if (r == 0)
		r = fetch_begin(task);
	if (r > 0)
		finish(task);
	else if (r < 0)
		give_up(task, OUTCOME_INTERNAL, "the SuperNode's answer cannot be decoded");
}

static void ask_for_message(struct task *task)
{
	static const struct api_call call = {.again_if_full = true};
	struct slices body = {0};

	if (task->spelling->pull(task->token, task->pull.inputs.run.run_id, &body) ||
		task_call(task, API_PULL_MESSAGE, &call, &body, message_came, task))
		give_up(task, OUTCOME_RESOURCE_EXHAUSTED, "no memory");
}

static int ask_for_input(struct task *task);

static void input_came(void *arg, struct carrier_result *result)
{
	struct task *task = arg;
	auto_(task_input_done) struct task_input input = {0};
	int r;

	if (spelt_otherwise(task, result->outcome)) {
		if (ask_for_input(task))
			give_up(task, OUTCOME_RESOURCE_EXHAUSTED, "no memory");
		return;
	}
	if (result->outcome != OUTCOME_OK) {
		give_up(task, result->outcome, result->details);
		return;
	}
	r = task_decode_input(&result->body, &input);
	if (r == 0)
		r = conversation_decode_rest(
			&task->pull.inputs, &input.context, &input.run, &input.fab);
	if (r) {
		give_up(task, OUTCOME_INTERNAL, "the SuperNode's answer cannot be decoded");
		return;
	}
	ask_for_message(task);
}

static int ask_for_input(struct task *task)
{
	static const struct api_call call = {.what = "the inputs", .again_if_full = true};
	struct slices body = {0};
	int r = task->spelling->token(task->token, &body);

	return r ? r : task_call(task, API_PULL_INPUT, &call, &body, input_came, task);
}

int task_pull(struct conversation *conversation, conversation_pulled_fn *done, void *arg)
{
	struct task *task = task_of(conversation);

	task->pull = (struct task_pull){.done = done, .arg = arg};
	task_heartbeat_begin(task);
	return ask_for_input(task);
}
