#include "libflwr/node/task.h"

#include "common/base/cleanup.h"

#include <flwr/records.h>

#include <stdlib.h>

static void task_unpinned(struct slice_owner *owner)
{
	struct task *task = container_of(owner, struct task, pin);

	mailbox_over(task->mailbox, task);
}

struct task *task_new(struct mailbox *mailbox, struct session *session)
{
	struct task *task = calloc(1, sizeof *task);

	if (!task)
		return NULL;
	slice_owner_init(&task->pin, task_unpinned);
	atomic_init(&task->unwanted, false);
	task->mailbox = mailbox;
	task->session = session;
	mailbox_count_task(mailbox, 1);
	return task;
}

void task_unref(struct task *task)
{
	struct slice mine;

	if (!task)
		return;
	record_dict_done(&task->content);
	record_dict_done(&task->reply);
	record_dict_done(&task->state);
	mine = (struct slice){.owner = &task->pin};
	slice_unref(&mine);
}

static void pin_slice(struct task *task, struct slice *slice)
{
	struct slice pinned = {.data = slice->data, .len = slice->len, .owner = &task->pin};

	/* Static bytes need nobody. An earlier task that is pinned already stays so: else each
	 * round would hold the ones before it. */
	if (!slice->owner || slice->owner->release == task_unpinned)
		return;
	pinned = slice_ref(pinned);
	slice_unref(slice);
	*slice = pinned;
}

void task_pin(struct task *task, struct record_dict *dict)
{
	for (size_t i = 0; i < dict->n; i++)
		for (size_t k = 0; k < dict->v[i].n_arrays; k++) {
			struct slices *data = &dict->v[i].arrays[k].data;

			for (size_t n = 0; n < data->n; n++)
				pin_slice(task, &data->v[n]);
		}
}

void task_free(struct task *task)
{
	if (!task)
		return;
	metadata_done(&task->metadata);
	value_map_done(&task->node_config);
	value_map_done(&task->run_config);
	record_dict_done(&task->content);
	record_dict_done(&task->state);
	record_dict_done(&task->reply);
	flwr_dict_free(task->reply_dict);
	flwr_dict_free(task->state_dict);
	free(task->sentence);
	mailbox_count_task(task->mailbox, -1);
	free(task);
}
