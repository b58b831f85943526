#include "clientapp/native/task.h"

#include "clientapp/form/form_reader.h"
#include "common/base/cleanup.h"

#include <errno.h>
#include <string.h>
#include <sys/stat.h>

void task_done(struct task *task)
{
	record_dict_done(&task->content);
	record_dict_done(&task->state);
	value_map_done(&task->node_config);
	value_map_done(&task->run_config);
	free_at_exit(&task->message_id);
	free_at_exit(&task->message_type);
	free_at_exit(&task->group_id);
	slice_unref(&task->file);
}

/* The app in C is not told of these parts. */
static int skip_u64(struct form_reader *reader)
{
	uint64_t number;

	return form_get_u64(reader, &number);
}

static int skip_string(struct form_reader *reader)
{
	auto_(free_at_exit) char *text = NULL;

	return form_get_string(reader, &text);
}

static int get_metadata(struct form_reader *reader, struct task *task)
{
	uint8_t tasks;
	int r = form_get_u64(reader, &task->run_id);

	if (r == 0)
		r = form_get_string(reader, &task->message_id);
	if (r == 0)
		r = form_get_u64(reader, &task->src_node_id);
	if (r == 0)
		r = skip_u64(reader); /* the node that it goes to */
	if (r == 0)
		r = skip_string(reader); /* what it replies to */
	if (r == 0)
		r = form_get_string(reader, &task->group_id);
	if (r == 0)
		r = form_get_double(reader, &task->ttl);
	if (r == 0)
		r = form_get_string(reader, &task->message_type);
	if (r == 0)
		r = form_get_double(reader, &task->created_at);
	if (r == 0)
		r = form_get_u8(reader, &tasks);
	if (r == 0)
		r = skip_u64(reader); /* numbers of tasks */
	return r ? r : skip_u64(reader);
}

static int get_context(struct form_reader *reader, struct task *task)
{
	int r = skip_u64(reader); /* the run, once more */

	if (r == 0)
		r = form_get_u64(reader, &task->node_id);
	if (r == 0)
		r = skip_u64(reader); /* the series of runs */
	if (r == 0)
		r = form_get_values(reader, false, &task->node_config);
	if (r == 0)
		r = form_get_values(reader, false, &task->run_config);
	if (r == 0)
		r = value_map_unique(&task->node_config);
	if (r == 0)
		r = value_map_unique(&task->run_config);
	return r ? r : form_get_records(reader, &task->state);
}

static int get_task(struct form_reader *reader, struct task *task)
{
	int r = get_metadata(reader, task);

	if (r == 0)
		r = form_get_records(reader, &task->content);
	if (r == 0)
		r = get_context(reader, task);
	/* The app's folder, and what its FAB is called. */
	for (int i = 0; r == 0 && i < 4; i++)
		r = skip_string(reader);
	if (r == 0 && reader->left)
		r = -EBADMSG;
	return r;
}

int task_read(int fd, struct task *out, struct reason *why)
{
	auto_(task_done) struct task task = {0};
	struct form_reader reader;
	struct stat st;
	int r = fstat(fd, &st) < 0 ? -errno : slice_map(fd, (size_t)st.st_size, &task.file);

	if (r < 0)
		return reason_code(why, r, "the task cannot be mapped: %s", strerror(-r));
	r = form_open(&task.file, FORM_TASK, &reader);
	if (r == 0)
		r = get_task(&reader, &task);
	if (r == -ENOMEM)
		return reason_code(why, r, "no memory for the task");
	if (r < 0)
		return reason_code(why, r, "the task is not in the app form");
	*out = task;
	task = (struct task){0};
	return 0;
}
