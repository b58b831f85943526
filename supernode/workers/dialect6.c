/*
 * The token comes in a header, so that nobody's body is received who has none. The same live token
 * may ask for its inputs again until it has confirmed them: its worker may have lost its
 * connection.
 */
#include "supernode/workers/dialect6.h"

#include "common/base/cleanup.h"
#include "common/base/clock.h"
#include "common/message/envelope.h"
#include "common/message/object_calls_codec.h"
#include "common/message/task_codec.h"
#include "common/message/worker_api.h"
#include "supernode/store/object_store.h"
#include "supernode/workers/dialect6_internal.h"

#include <errno.h>
#include <string.h>

#define SMALL_BODY_MAX 4096 /* bytes of a request without content */
#define SMALL_BODY_MS  10000
#define LOGS_MAX       (1 << 20)
#define MESSAGES_MAX   (OBJECT_TREE_BYTES_MAX + (1 << 20))

static struct node_now now(void)
{
	return (struct node_now){clock_now_ms(), clock_wall_s()};
}

void dialect6_changed(const struct dialect6 *dialect)
{
	dialect->admission->ops->changed(dialect->admission->arg);
}

void dialect6_answer(struct dialect6 *dialect, struct request *request, int r, struct slices *body)
{
	if (r)
		refuse_errno(dialect->admission, request, r);
	else
		request_reply(request, body);
}

static void answer_nothing(struct request *request)
{
	struct slices nothing = {0};

	request_reply(request, &nothing);
}

bool dialect6_own_run(struct dialect6 *dialect, struct request *request,
	const struct message *message, uint64_t run_id)
{
	if (run_id == node_run_of(dialect->admission->node, node_message_number(message)))
		return true;
	refuse(dialect->admission, request, OUTCOME_PERMISSION_DENIED,
		"the call is about another run than the task");
	return false;
}

/* Read which object a call is about; not 0: the request was refused. */
static int read_object(struct dialect6 *dialect, struct request *request,
	const struct message *message, struct object_request *what)
{
	int r = object_request_decode(&request->body, what);

	if (r)
		refuse_errno(dialect->admission, request, r);
	/* Flower's node needs no run here: it may be left out. */
	else if (what->run_id && !dialect6_own_run(dialect, request, message, what->run_id))
		r = -EPERM;
	return r;
}

static bool own_message(struct dialect6 *dialect, struct request *request, bool own)
{
	if (!own)
		refuse(dialect->admission, request, OUTCOME_PERMISSION_DENIED,
			"the call is about another message than the task");
	return own;
}

/* ---- launchers ---- */

static bool give_pending(void *arg, struct request *request, const char **details_out)
{
	struct dialect6 *dialect = arg;
	const struct node *node = dialect->admission->node;
	auto_(slices_done) struct slices body = {0};
	int64_t since_ms;
	uint64_t message = node_offered(node, MESSAGE_OBJECTS, &since_ms);

	*details_out = "no message waits for a worker";
	if (!message)
		return false;
	dialect6_answer(dialect, request,
		task_encode_pending(message, node_run_of(node, message), &body), &body);
	return true;
}

static void no_pending(void *arg, struct request *request, const char *details)
{
	(void)arg;
	(void)details;
	answer_nothing(request);
}

static const struct held_calls_ops questions = {.give = give_pending, .none = no_pending};

static void handle_pending(void *arg, struct request *request, struct message *message)
{
	struct dialect6 *dialect = arg;

	(void)message;
	held_calls_ask(dialect->held_calls, MESSAGE_OBJECTS, request);
}

static void handle_get_run(void *arg, struct request *request, struct message *message)
{
	struct dialect6 *dialect = arg;
	auto_(slices_done) struct slices body = {0};
	const struct slices *run;
	uint64_t run_id = 0;
	int r = task_decode_get_run(&request->body, &run_id);

	if (r == 0 && message && !dialect6_own_run(dialect, request, message, run_id))
		return;
	run = r ? NULL : node_run_bytes(dialect->admission->node, run_id);
	if (run)
		r = task_encode_get_run(run, &body);
	dialect6_answer(dialect, request, r, &body);
}

/* The token of a task that is offered; without one in the answer somebody else has it. */
static void handle_claim(void *arg, struct request *request, struct message *message)
{
	struct dialect6 *dialect = arg;
	struct node *node = dialect->admission->node;
	auto_(slices_done) struct slices body = {0};
	char text[NODE_TOKEN_TEXT_BYTES];
	uint64_t number = 0;
	uint64_t token = 0;
	bool claimed;
	int r = task_decode_claim(&request->body, &number);

	(void)message;
	if (r) {
		refuse_errno(dialect->admission, request, r);
		return;
	}
	claimed = node_claim(node, now(), number, &token) && node_token_text(node, token, text);
	r = task_encode_claimed(claimed ? text : NULL, &body);
	explicit_bzero(text, sizeof text);
	if (claimed && r == 0)
		r = admission_hold(dialect->admission, request, token);
	if (claimed && r)
		node_worker_lost(node, now(), number, "no memory");
	else if (claimed)
		guests_claimed(dialect->admission->guests, request->peer, token);
	dialect6_answer(dialect, request, r, &body);
	if (claimed)
		dialect6_changed(dialect);
}

/* ---- what a worker is given ---- */

static void handle_heartbeat(void *arg, struct request *request, struct message *message)
{
	auto_(slices_done) struct slices body = {0};

	(void)message;
	dialect6_answer(arg, request, task_encode_heartbeat(true, &body), &body);
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

static void handle_pull_input(void *arg, struct request *request, struct message *message)
{
	struct dialect6 *dialect = arg;
	struct admission *admission = dialect->admission;
	auto_(task_inputs_done) struct task_inputs inputs = {0};
	auto_(slices_done) struct slices body = {0};
	const char *details = "";
	enum outcome outcome = node_pull_task(admission->node, now(), message, &inputs, &details);

	if (outcome != OUTCOME_OK) {
		refuse(admission, request, outcome, details);
	} else {
		int r = encode_input(&inputs, message, &body);

		if (!inputs.again)
			admission->ops->ready(
				admission->arg, node_message_number(message), request->peer);
		dialect6_answer(dialect, request, r, &body);
	}
	dialect6_changed(dialect);
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

static void handle_pull_messages(void *arg, struct request *request, struct message *message)
{
	const struct held_message *instruction = node_instruction(message);
	auto_(slices_done) struct slices body = {0};
	bool own = true;
	int r = instruction ? task_decode_pull(&request->body,
				      instruction->envelope.metadata.message_id, &own)
			    : 0;

	if (r == 0 && !own_message(arg, request, own))
		return;
	dialect6_answer(arg, request, r ? r : encode_instruction(instruction, &body), &body);
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

static void handle_pull_object(void *arg, struct request *request, struct message *message)
{
	struct dialect6 *dialect = arg;
	auto_(object_request_done) struct object_request what = {0};
	auto_(object_pulled_done) struct object_pulled pulled = {0};
	auto_(slices_done) struct slices body = {0};
	int r;

	if (read_object(dialect, request, message, &what))
		return;
	r = get_object(message, &what.id, &pulled);
	if (r == 0)
		r = object_pulled_encode(&pulled, &body);
	if (r)
		refuse(dialect->admission, request, OUTCOME_RESOURCE_EXHAUSTED,
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

static void handle_confirm(void *arg, struct request *request, struct message *message)
{
	struct dialect6 *dialect = arg;
	auto_(object_request_done) struct object_request what = {0};
	const struct held_message *instruction = node_instruction(message);

	if (read_object(dialect, request, message, &what) ||
		(instruction && instruction->objects &&
			!own_message(dialect, request, is_root(instruction, &what.id))))
		return;
	node_outputs_coming(dialect->admission->node, message);
	answer_nothing(request);
}

/* Workers of ours log to where they were started. */
static void handle_logs(void *arg, struct request *request, struct message *message)
{
	(void)arg;
	(void)message;
	answer_nothing(request);
}

/* ---- life ---- */

#define SMALL       .body_max = SMALL_BODY_MAX, .body_ms = SMALL_BODY_MS
#define BY_LAUNCHER SMALL, .rule = ADMIT_LAUNCHER
#define BY_WORKER   SMALL, .rule = ADMIT_WORKER

static const struct worker_method methods[] = {
	{.name = "PullPendingTasks", BY_LAUNCHER, .handle = handle_pending},
	{.name = "ClaimTask", BY_LAUNCHER, .handle = handle_claim},
	{.name = "GetRun", SMALL, .rule = ADMIT_LAUNCHER_OR_WORKER, .handle = handle_get_run},
	{.name = "SendTaskHeartbeat", BY_WORKER, .handle = handle_heartbeat},
	{.name = "PullTaskInput", BY_WORKER, .handle = handle_pull_input},
	{.name = "PullMessages", BY_WORKER, .handle = handle_pull_messages},
	{.name = "PullObject", BY_WORKER, .handle = handle_pull_object},
	{.name = "ConfirmMessageReceived", BY_WORKER, .handle = handle_confirm},
	{.name = "PushMessages",
		.body_max = MESSAGES_MAX,
		.rule = ADMIT_CONTENT,
		.content = &dialect6_messages},
	{.name = "PushObject",
		.body_max = INT32_MAX,
		.rule = ADMIT_CONTENT,
		.content = &dialect6_object},
	{.name = "PushTaskOutput",
		.body_max = INT32_MAX,
		.rule = ADMIT_CONTENT,
		.content = &dialect6_output},
	{.name = "PushLogs",
		.body_max = LOGS_MAX,
		.body_ms = SMALL_BODY_MS,
		.rule = ADMIT_WORKER,
		.handle = handle_logs},
};

static const struct worker_method failure_methods[] = {
	{.name = "Fail",
		.body_max = 2 * ENVELOPE_STRING_MAX,
		.body_ms = SMALL_BODY_MS,
		.rule = ADMIT_WORKER,
		.handle = dialect6_fail},
};

struct dialect6 *dialect6_new(struct admission *admission, struct held_calls *held_calls,
	const struct dialect6_options *options)
{
	struct dialect6 *dialect = calloc(1, sizeof *dialect);

	if (!dialect)
		return NULL;
	*dialect = (struct dialect6){
		.admission = admission,
		.held_calls = held_calls,
		.options = *options,
		.service = {.name = WORKER_API_RUNTIME,
			.table = methods,
			.n = ARRAY_LEN(methods),
			.dialect = dialect,
			.admission = admission},
		.failure_service = {.name = WORKER_API_FAILURE,
			.table = failure_methods,
			.n = ARRAY_LEN(failure_methods),
			.dialect = dialect,
			.admission = admission},
	};
	worker_service_init(&dialect->service);
	worker_service_init(&dialect->failure_service);
	held_calls_serve(held_calls, MESSAGE_OBJECTS, &questions, dialect);
	return dialect;
}

void dialect6_free(struct dialect6 *dialect)
{
	free(dialect);
}

const struct service *dialect6_service(const struct dialect6 *dialect)
{
	return &dialect->service.service;
}

const struct service *dialect6_failure_service(const struct dialect6 *dialect)
{
	return &dialect->failure_service.service;
}
