/*
 * The token comes in a header, so that nobody's body is received who has none. The same live token
 * may ask for its inputs again until it has confirmed them: its worker may have lost its
 * connection.
 */
#include "supernode/workers/task.h"

#include "common/base/cleanup.h"
#include "common/base/clock.h"
#include "common/message/envelope.h"
#include "common/message/object_calls_codec.h"
#include "common/message/task_codec.h"
#include "common/message/worker_api.h"
#include "supernode/store/object_store.h"
#include "supernode/workers/refuse.h"
#include "supernode/workers/task_internal.h"

#include <errno.h>
#include <string.h>

#define SMALL_BODY_MAX 4096 /* bytes of a request without content */
#define SMALL_BODY_MS  10000
#define LOGS_MAX       (1 << 20)
#define MESSAGES_MAX   (OBJECT_TREE_BYTES_MAX + (1 << 20))

/* ---- tokens ---- */

static bool find_token(const struct task *task, const struct request *request, uint64_t *token_out)
{
	const char *text = request_header(request, WORKER_API_TASK_TOKEN);
	uint64_t message;

	return text && node_token_parse(task->node, text, token_out) &&
	       node_token_live(task->node, *token_out, &message);
}

bool task_admits(struct task *task, struct request *request)
{
	uint64_t token;

	guests_used(task->guests, request->peer);
	if (find_token(task, request, &token)) {
		/* What it sends from now on is no stranger's. */
		guests_hold(task->guests, request->peer, token,
			request_header(request, GUESTS_SAID_HEADER));
		return true;
	}
	refuse(task->guests, request, OUTCOME_UNAUTHENTICATED,
		"the task's token is not valid, or is no more");
	return false;
}

bool task_token(struct task *task, struct request *request, uint64_t *token_out)
{
	if (!task_admits(task, request))
		return false;
	if (!guests_open(task->guests, request->peer)) {
		refuse_gone(request);
		return false;
	}
	find_token(task, request, token_out);
	return true;
}

static void admit_worker(void *server, struct request *request)
{
	if (task_admits(server, request))
		request_admit(request);
}

void task_answer(struct task *task, struct request *request, int r, struct slices *body)
{
	if (r)
		refuse_errno(task->guests, request, r);
	else
		request_reply(request, body);
}

/* ---- launchers ---- */

static bool give_pending(void *arg, struct request *request, const char **details_out)
{
	struct task *task = arg;
	auto_(slices_done) struct slices body = {0};
	int64_t since_ms;
	uint64_t message = node_offered(task->node, MESSAGE_OBJECTS, &since_ms);

	*details_out = "no message waits for a worker";
	if (!message)
		return false;
	task_answer(task, request,
		task_encode_pending(message, node_run_of(task->node, message), &body), &body);
	return true;
}

static void no_pending(void *arg, struct request *request, const char *details)
{
	struct slices nothing = {0};

	(void)arg;
	(void)details;
	request_reply(request, &nothing);
}

static const struct waiting_ops questions = {.give = give_pending, .none = no_pending};

static bool admit_launcher(struct task *task, struct request *request)
{
	guests_used(task->guests, request->peer);
	return !task->launchers || launchers_admit(task->launchers, request);
}

static void handle_pending(void *server, struct request *request)
{
	struct task *task = server;

	if (!admit_launcher(task, request))
		return;
	waiting_ask(task->waiting, MESSAGE_OBJECTS, request);
}

/* For launchers, which have no token, and for workers. */
static void handle_get_run(void *server, struct request *request)
{
	struct task *task = server;
	auto_(slices_done) struct slices body = {0};
	const struct slices *run;
	uint64_t run_id = 0;
	uint64_t token;
	int r = task_decode_get_run(&request->body, &run_id);

	if (!find_token(task, request, &token) && !admit_launcher(task, request))
		return;
	run = r ? NULL : node_run_bytes(task->node, run_id);
	if (run)
		r = task_encode_get_run(run, &body);
	task_answer(task, request, r, &body);
}

/* The token of a task that is offered; without one in the answer somebody else has it. */
static void handle_claim(void *server, struct request *request)
{
	struct task *task = server;
	const struct node_now now = {clock_now_ms(), clock_wall_s()};
	auto_(slices_done) struct slices body = {0};
	char text[NODE_TOKEN_TEXT_BYTES];
	const char *details;
	uint64_t message = 0;
	uint64_t token = 0;
	bool claimed;
	int r = task_decode_claim(&request->body, &message);

	if (!admit_launcher(task, request))
		return;
	if (r) {
		refuse_errno(task->guests, request, r);
		return;
	}
	if (!guests_open(task->guests, request->peer)) {
		refuse_gone(request);
		return;
	}
	claimed = node_claim(task->node, now, message, &token, &details) == OUTCOME_OK &&
		  node_token_text(task->node, token, text);
	r = task_encode_claimed(claimed ? text : NULL, &body);
	explicit_bzero(text, sizeof text);
	if (r && claimed)
		node_worker_lost(task->node, now, message, "no memory");
	else if (claimed)
		guests_hold(task->guests, request->peer, token,
			request_header(request, GUESTS_SAID_HEADER));
	task_answer(task, request, r, &body);
	if (claimed)
		task->ops->changed(task->arg);
}

/* ---- what a worker is given ---- */

static void handle_heartbeat(void *server, struct request *request)
{
	struct task *task = server;
	auto_(slices_done) struct slices body = {0};
	uint64_t token;

	if (task_token(task, request, &token))
		task_answer(task, request, task_encode_heartbeat(true, &body), &body);
}

static int encode_input(struct task_inputs *inputs, struct slices *out)
{
	struct task_input input = {.context = inputs->context,
		.run = inputs->run,
		.fab = inputs->fab,
		.task_id = inputs->message};

	return task_encode_input(&input, out);
}

static void handle_pull_input(void *server, struct request *request)
{
	struct task *task = server;
	auto_(task_inputs_done) struct task_inputs inputs = {0};
	auto_(slices_done) struct slices body = {0};
	const char *details = "";
	enum outcome outcome;
	uint64_t token;

	if (!task_token(task, request, &token))
		return;
	outcome = node_pull_task(task->node, (struct node_now){clock_now_ms(), clock_wall_s()},
		token, &inputs, &details);
	if (outcome != OUTCOME_OK) {
		refuse(task->guests, request, outcome, details);
	} else {
		if (!inputs.again)
			task->ops->ready(task->arg, inputs.message, request->peer);
		task_answer(task, request, encode_input(&inputs, &body), &body);
	}
	task->ops->changed(task->arg);
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

static void handle_pull_messages(void *server, struct request *request)
{
	struct task *task = server;
	auto_(slices_done) struct slices body = {0};
	uint64_t token;

	if (task_token(task, request, &token))
		task_answer(task, request,
			encode_instruction(node_instruction(task->node, token), &body), &body);
}

static int get_object(const struct task *task, uint64_t token, const struct object_id *id,
	struct object_pulled *out)
{
	const struct held_message *instruction = node_instruction(task->node, token);
	const struct object_set *set = instruction ? instruction->objects : NULL;
	ptrdiff_t index = set ? object_tree_find(object_set_tree(set), id) : -1;
	int r;

	out->found = index >= 0;
	if (!out->found)
		return 0;
	r = object_set_get(instruction->objects, (size_t)index, &out->content);
	out->available = r == 0;
	return r == -ENOENT ? 0 : r;
}

static void handle_pull_object(void *server, struct request *request)
{
	struct task *task = server;
	auto_(object_request_done) struct object_request what = {0};
	auto_(object_pulled_done) struct object_pulled pulled = {0};
	auto_(slices_done) struct slices body = {0};
	uint64_t token;
	int r;

	if (!task_token(task, request, &token))
		return;
	r = object_request_decode(&request->body, &what);
	if (r) {
		refuse_errno(task->guests, request, r);
		return;
	}
	r = get_object(task, token, &what.id, &pulled);
	if (r == 0)
		r = object_pulled_encode(&pulled, &body);
	if (r)
		refuse(task->guests, request, OUTCOME_RESOURCE_EXHAUSTED,
			"the object cannot be read now");
	else
		request_reply(request, &body);
}

static void handle_confirm(void *server, struct request *request)
{
	struct task *task = server;
	struct slices nothing = {0};
	uint64_t token;

	if (!task_token(task, request, &token))
		return;
	node_inputs_taken(task->node, token);
	request_reply(request, &nothing);
}

/* Workers of ours log to where they were started. */
static void handle_logs(void *server, struct request *request)
{
	struct slices nothing = {0};
	uint64_t token;

	if (task_token(server, request, &token))
		request_reply(request, &nothing);
}

/* ---- life ---- */

#define SMALL .body_max = SMALL_BODY_MAX, .body_ms = SMALL_BODY_MS

static const struct method methods[] = {
	{.name = "PullPendingTasks", SMALL, .handle = handle_pending},
	{.name = "ClaimTask", SMALL, .handle = handle_claim},
	{.name = "GetRun", SMALL, .handle = handle_get_run},
	{.name = "SendTaskHeartbeat", SMALL, .admit = admit_worker, .handle = handle_heartbeat},
	{.name = "PullTaskInput", SMALL, .admit = admit_worker, .handle = handle_pull_input},
	{.name = "PullMessages", SMALL, .admit = admit_worker, .handle = handle_pull_messages},
	{.name = "PullObject", SMALL, .admit = admit_worker, .handle = handle_pull_object},
	{.name = "ConfirmMessageReceived", SMALL, .admit = admit_worker, .handle = handle_confirm},
	{.name = "PushMessages",
		.body_max = MESSAGES_MAX,
		.admit = task_admit_content,
		.handle = task_push_messages},
	{.name = "PushObject",
		.body_max = INT32_MAX,
		.admit = task_admit_content,
		.handle = task_push_object},
	{.name = "PushTaskOutput",
		.body_max = INT32_MAX,
		.admit = task_admit_content,
		.handle = task_push_output},
	{.name = "PushLogs",
		.body_max = LOGS_MAX,
		.body_ms = SMALL_BODY_MS,
		.admit = admit_worker,
		.handle = handle_logs},
};

static const struct method own_methods[] = {
	{.name = "Fail",
		.body_max = 2 * ENVELOPE_STRING_MAX,
		.body_ms = SMALL_BODY_MS,
		.admit = admit_worker,
		.handle = task_fail},
};

struct task *task_new(struct loop *loop, struct log *log, struct node *node, struct guests *guests,
	struct waiting *waiting, struct spool *spool, const struct appio_ops *ops, void *arg)
{
	struct task *task = calloc(1, sizeof *task);

	if (!task)
		return NULL;
	*task = (struct task){
		.loop = loop,
		.log = log,
		.node = node,
		.guests = guests,
		.waiting = waiting,
		.spool = spool,
		.ops = ops,
		.arg = arg,
		.intake = {.guests = guests, .max = TASK_INTAKE_BYTES / TASK_OBJECT_BYTES},
		.services = {{.name = WORKER_API_RUNTIME,
				     .methods = methods,
				     .n_methods = ARRAY_LEN(methods),
				     .server = task},
			{.name = WORKER_API_FAILURE,
				.methods = own_methods,
				.n_methods = ARRAY_LEN(own_methods),
				.server = task}},
	};
	waiting_serve(waiting, MESSAGE_OBJECTS, &questions, task);
	return task;
}

void task_set_launchers(struct task *task, const struct launchers *launchers)
{
	task->launchers = launchers;
}

void task_set_own_workers(struct task *task)
{
	task->own_workers = true;
}

void task_free(struct task *task)
{
	free(task);
}

const struct service *task_services(const struct task *task, size_t *n_out)
{
	*n_out = ARRAY_LEN(task->services);
	return task->services;
}
