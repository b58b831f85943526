#include "libflwr/node/work.h"

#include "common/base/cleanup.h"
#include "libflwr/app/dict_internal.h"
#include "libflwr/node/client_calls.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* The program is shown this of a task, beside what goes back in the answer. */
struct work {
	struct call_context context;
	struct flwr_message message;
	struct flwr_dict *content;
	struct flwr_dict *configs; /* of node and run */
};

static void work_done(struct work *work)
{
	flwr_dict_free(work->content);
	flwr_dict_free(work->configs);
}

/* ---- before the call ---- */

static int show_config(struct flwr_dict *configs, const char *name, struct value_map *values,
	const struct flwr_record **out)
{
	struct flwr_record *record = flwr_dict_add(configs, name, FLWR_CONFIGS);

	*out = record;
	return record ? record_take_values(record, values) : FLWR_E_MEMORY;
}

static int make_dicts(struct work *work, struct task *task)
{
	work->content = flwr_dict_new();
	work->configs = flwr_dict_new();
	task->reply_part.dict = flwr_dict_new();
	task->state_part.dict = flwr_dict_new();
	return work->content && work->configs && task->reply_part.dict && task->state_part.dict
		       ? 0
		       : error_set(FLWR_E_MEMORY, "no memory for the message");
}

static int show_context(struct work *work, struct task *task)
{
	struct flwr_context *context = &work->context.pub;
	int r = show_config(
		work->configs, "node_config", &task->node_config, &context->node_config);

	if (r == 0)
		r = show_config(
			work->configs, "run_config", &task->run_config, &context->run_config);
	if (r == 0)
		r = dict_take_records(task->state_part.dict, &task->state);
	context->run_id = task->run_id;
	context->node_id = task->node_id;
	context->state = task->state_part.dict;
	return r;
}

static void show_message(struct work *work, const struct task *task)
{
	const struct metadata *metadata = &task->metadata;

	work->message = (struct flwr_message){.type = metadata->message_type,
		.id = metadata->message_id,
		.group_id = metadata->group_id,
		.run_id = metadata->run_id,
		.src_node_id = metadata->src_node_id,
		.created_at = metadata->created_at,
		.ttl = metadata->ttl};
}

/* ---- after it ---- */

/* The records of the answer, which keep their part of the task as long as somebody refers to them.
 */
static int take_answer(const struct settings *settings, struct task *task)
{
	int r = dict_give_records(task->reply_part.dict, &task->reply);

	if (r == 0)
		r = dict_give_records(task->state_part.dict, &task->state);
	if (r)
		return FLWR_E_APP; /* flwr_error() says why */
	if (!settings->app && client_shape_reply(&task->reply))
		return error_set(FLWR_E_MEMORY, "no memory for the reply");
	task_pin(&task->reply_part, &task->reply);
	task_pin(&task->state_part, &task->state);
	return 0;
}

static int answer(const struct settings *settings, const struct work_hooks *hooks,
	struct work *work, struct task *task)
{
	struct flwr_call call = {.reply = task->reply_part.dict, .message = &work->message};
	int r;

	context_init(&work->context, hooks->hooks, hooks->arg, hooks->log_level);
	show_message(work, task);
	r = show_context(work, task);
	if (r == 0)
		r = dict_take_records(work->content, &task->content);
	if (r)
		return r;
	call.content = work->content;
	call.context = &work->context.pub;
	r = settings->app ? call_run(settings->app, &call) : client_call(settings, &call);
	return r ? r : take_answer(settings, task);
}

void work_on(const struct settings *settings, const struct work_hooks *hooks, struct task *task)
{
	auto_(work_done) struct work work = {0};
	int r = make_dicts(&work, task);

	if (r == 0)
		r = answer(settings, hooks, &work, task);
	task->result = r;
	if (r)
		task->sentence = strdup(flwr_error());
	if (r && !task->sentence)
		task->sentence = strdup("no memory");
}
